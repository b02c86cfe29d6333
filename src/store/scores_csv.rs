//! The score table of the FB-Mem code (`scores.csv`, METHODS §1.2 of the project's notes; reference
//! `6_bg_scores.py`): per generated picture its best training images, ascending by average.

use super::atomic;
use crate::{
    study::{Problem, RegionScores},
    tables::{self, Complaints, Delimited, Row},
};
use std::{cmp::Ordering, collections::HashMap, path::Path};

const COLUMNS: [&str; 5] = [
    "original image",
    "generated image",
    "Background Scores",
    "Foreground Scores",
    "Average Scores",
];
const NULL_COLUMNS: [&str; 2] = ["Background Null Percentile", "Foreground Null Percentile"];
const MAX_BYTES: u64 = 2 << 30;
const MAX_ROWS: usize = 20_000_000;

/// One row: a generated picture beside a training image.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreRow {
    /// File name of the training image.
    pub original: String,
    /// File name of the generated picture.
    pub generated: String,
    /// Scores per region; a missing region is an empty cell.
    pub scores: RegionScores,
    /// Average as the table says it. Tables without region scores (SSCD, no segmentation) have only this.
    pub average: Option<f32>,
}

impl ScoreRow {
    /// A row whose average is that of its regions.
    pub fn new(original: impl Into<String>, generated: impl Into<String>, scores: RegionScores) -> Self {
        Self {
            original: original.into(),
            generated: generated.into(),
            scores,
            average: scores.average(),
        }
    }

    /// Order by (average, background, foreground, name), as the reference's heap breaks ties; a missing
    /// value is below every other.
    fn rank(&self, other: &Self) -> Ordering {
        let compare = |a: Option<f32>, b: Option<f32>| match (a, b) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        compare(self.average, other.average)
            .then_with(|| compare(self.scores.background, other.scores.background))
            .then_with(|| compare(self.scores.foreground, other.scores.foreground))
            .then_with(|| self.original.cmp(&other.original))
    }
}

/// A further column of a score table. Nothing in it counts for the order or the verdict.
#[derive(Clone, Copy)]
pub struct ScoreColumn<'a> {
    /// Its header.
    pub name: &'a str,
    /// Its value for a row, if there is one.
    pub value: &'a dyn Fn(&ScoreRow) -> Option<f32>,
}

/// Writes the table: generated pictures in the order in which they first appear, the rows of each ascending
/// by average (best last). The file is replaced as a whole.
///
/// # Errors
/// A problem that names the file.
pub fn write_scores(path: &Path, rows: &[ScoreRow]) -> Result<(), Problem> {
    write_scores_with(path, rows, &[])
}

/// As [`write_scores`], with two further columns: where each row's scores stand among the null scores of the gallery,
/// in percent (share of the null strictly below), as `standing` tells for foreground and background; empty where it
/// cannot tell. `more` come after them. Readers of the reference's columns pass them over.
///
/// # Errors
/// A problem that names the file.
pub fn write_scores_with_null(
    path: &Path,
    rows: &[ScoreRow],
    standing: &dyn Fn(&RegionScores) -> [Option<f64>; 2],
    more: &[ScoreColumn<'_>],
) -> Result<(), Problem> {
    let percent = |p: Option<f64>| p.map(|p| ((1000.0 * p).round() / 1000.0) as f32);
    let background = |row: &ScoreRow| percent(standing(&row.scores)[1]);
    let foreground = |row: &ScoreRow| percent(standing(&row.scores)[0]);
    let [of_background, of_foreground] = NULL_COLUMNS;
    let own = [
        ScoreColumn {
            name: of_background,
            value: &background,
        },
        ScoreColumn {
            name: of_foreground,
            value: &foreground,
        },
    ];
    let columns: Vec<ScoreColumn<'_>> = own.into_iter().chain(more.iter().copied()).collect();
    write_scores_with(path, rows, &columns)
}

/// The same with further columns after the reference's.
///
/// # Errors
/// A problem that names the file.
pub fn write_scores_with(path: &Path, rows: &[ScoreRow], more: &[ScoreColumn<'_>]) -> Result<(), Problem> {
    let mut place: HashMap<&str, usize> = HashMap::new();
    for row in rows {
        let next = place.len();
        place.entry(&row.generated).or_insert(next);
    }
    let mut sorted: Vec<&ScoreRow> = rows.iter().collect();
    sorted.sort_by(|a, b| {
        place[a.generated.as_str()]
            .cmp(&place[b.generated.as_str()])
            .then_with(|| a.rank(b))
    });
    atomic::write_with(path, |file| {
        let mut out = csv::Writer::from_writer(std::io::BufWriter::new(file));
        out.write_record(COLUMNS.into_iter().chain(more.iter().map(|c| c.name)))?;
        for row in sorted {
            let cell = |score: Option<f32>| score.map(|s| s.to_string()).unwrap_or_default();
            let own = [
                row.original.clone(),
                row.generated.clone(),
                cell(row.scores.background),
                cell(row.scores.foreground),
                cell(row.average),
            ];
            out.write_record(own.into_iter().chain(more.iter().map(|c| cell((c.value)(row)))))?;
        }
        out.flush()
    })
    .map_err(|e| Problem::io("The score table could not be written", path, &e))
}

/// Reads a score table of the reference or of this program. Column names count without regard to case, in
/// any order; further columns are passed over, missing score columns are missing scores. The average is the
/// column `Average Scores` or `score`, else the mean of the regions.
///
/// # Errors
/// A problem when the file cannot be read or lacks the columns that name the pictures. Unusable lines are
/// notices.
pub fn read_scores(path: &Path) -> Result<(Vec<ScoreRow>, Vec<Problem>), Problem> {
    let text = tables::read_text(path, MAX_BYTES)?;
    let no_columns = |found: &[String]| {
        Problem::new(
            "This is not a score table",
            "A score table has the columns original image, generated image and Average Scores.",
        )
        .at(path)
        .detail(format!(
            "line 1: columns found: {}",
            found
                .iter()
                .take(20)
                .map(|f| f.chars().take(60).collect())
                .collect::<Vec<String>>()
                .join(", ")
        ))
    };
    let table =
        Delimited::parse(&text.text, &["generated image"], MAX_ROWS).map_err(|found| no_columns(&found))?;
    let find = |names: &[&str]| tables::column(&table.headers, names);
    let generated = find(&["generated image"]);
    let original = find(&["original image"]);
    let background = find(&["background scores", "background score", "background"]);
    let foreground = find(&["foreground scores", "foreground score", "foreground"]);
    let average = find(&["average scores", "average score", "score", "scores"]);
    if original.is_none() || (background.is_none() && foreground.is_none() && average.is_none()) {
        return Err(no_columns(&table.headers));
    }
    let mut bad = Complaints::default();
    let mut rows = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        let (Some(original), Some(generated)) = (row.cell(original), row.cell(generated)) else {
            bad.add(row.line, "a picture is not named; left out");
            continue;
        };
        match (
            score(row, background),
            score(row, foreground),
            score(row, average),
        ) {
            (Ok(background), Ok(foreground), Ok(average)) => {
                let scores = RegionScores {
                    foreground,
                    background,
                };
                rows.push(ScoreRow {
                    original: original.to_owned(),
                    generated: generated.to_owned(),
                    scores,
                    average: average.or_else(|| scores.average()),
                });
            }
            (Err(cell), _, _) | (_, Err(cell), _) | (_, _, Err(cell)) => {
                bad.add(row.line, format!("“{cell}” is not a score; left out"));
            }
        }
    }
    let notice = bad.into_notice(
        "of the score table could not be used",
        path,
        "The other rows are in use; correct these lines and open the table again.",
    );
    Ok((rows, notice.into_iter().collect()))
}

/// Empty and `nan` cells are missing regions.
fn score(row: &Row, column: Option<usize>) -> Result<Option<f32>, String> {
    let Some(cell) = row.cell(column) else {
        return Ok(None);
    };
    match cell.parse::<f32>() {
        Ok(value) if value.is_nan() => Ok(None),
        Ok(value) if value.is_finite() => Ok(Some(value)),
        _ => Err(cell.chars().take(40).collect()),
    }
}

/// The best row of each generated picture, in the order in which the pictures first appear. Does not depend
/// on the order of the rows of one picture.
pub fn best_rows(rows: &[ScoreRow]) -> Vec<&ScoreRow> {
    let mut place: HashMap<&str, usize> = HashMap::new();
    let mut best: Vec<&ScoreRow> = Vec::new();
    for row in rows {
        match place.get(row.generated.as_str()) {
            None => {
                place.insert(&row.generated, best.len());
                best.push(row);
            }
            Some(&at) if row.rank(best[at]) == Ordering::Greater => best[at] = row,
            Some(_) => {}
        }
    }
    best
}
