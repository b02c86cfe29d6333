//! Labelled pictures: which of them, and which region, is really memorized.

use super::image_names::parse_picture_name;
use crate::{
    study::{GenerationKey, Problem, RegionLabels, Verdict},
    tables::{self, Complaints, Delimited, Row},
};
use std::path::Path;

const MAX_BYTES: u64 = 1 << 30;
const MAX_ROWS: usize = 5_000_000;
pub(super) const PICTURE_COLUMNS: [&str; 7] = [
    "generated image",
    "image",
    "picture",
    "file",
    "file name",
    "file_name",
    "name",
];
const PROMPT_COLUMNS: [&str; 3] = ["prompt index", "prompt_index", "k"];
const SEED_COLUMNS: [&str; 3] = ["seed", "sample", "j"];
pub(super) const CLASS_COLUMNS: [&str; 5] = ["class", "label", "verdict", "group", "type"];
pub(super) const FOREGROUND_COLUMNS: [&str; 3] =
    ["foreground", "foreground memorized", "foreground_memorized"];
pub(super) const BACKGROUND_COLUMNS: [&str; 3] =
    ["background", "background memorized", "background_memorized"];

/// One labelled picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRow {
    /// Line of the file, from 1.
    pub line: u64,
    /// File name without folders; empty where prompt and seed name the picture.
    pub name: String,
    /// Prompt and seed, as columns or as the name says them.
    pub key: Option<GenerationKey>,
    /// The labels.
    pub labels: RegionLabels,
}

/// Reads a table of labels: a picture by its file name (columns generated image, image, file …) or by prompt index
/// and seed; and its class (VM, FM, BM, NM), or foreground and background with yes/no, true/false or 1/0.
///
/// # Errors
/// A problem when the file cannot be read or lacks the columns. Unusable lines are notices with their number.
pub fn read_labels(path: &Path) -> Result<(Vec<LabelRow>, Vec<Problem>), Problem> {
    let text = tables::read_text(path, MAX_BYTES)?;
    let no_columns = |found: &[String]| {
        let shown: Vec<String> = found
            .iter()
            .take(20)
            .map(|f| f.chars().take(60).collect())
            .collect();
        Problem::new(
            "This is not a table of labels",
            "It needs a column generated image (or prompt index and seed), and class, or foreground and background.",
        )
        .at(path)
        .detail(format!("line 1: columns found: {}", shown.join(", ")))
    };
    let wanted: Vec<&str> = PICTURE_COLUMNS.iter().chain(&PROMPT_COLUMNS).copied().collect();
    let table = Delimited::parse(&text.text, &wanted, MAX_ROWS).map_err(|found| no_columns(&found))?;
    let find = |names: &[&str]| tables::column(&table.headers, names);
    let (picture, prompt, seed) = (find(&PICTURE_COLUMNS), find(&PROMPT_COLUMNS), find(&SEED_COLUMNS));
    let (class, foreground, background) = (
        find(&CLASS_COLUMNS),
        find(&FOREGROUND_COLUMNS),
        find(&BACKGROUND_COLUMNS),
    );
    let named = picture.is_some() || (prompt.is_some() && seed.is_some());
    if !named || (class.is_none() && foreground.is_none() && background.is_none()) {
        return Err(no_columns(&table.headers));
    }
    let mut bad = Complaints::default();
    if let Some(line) = text.unreadable {
        bad.add(line, "is not UTF-8; unreadable letters were replaced");
    }
    let mut rows = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        let name = row.cell(picture).unwrap_or_default();
        let name = name.rsplit(['/', '\\']).next().unwrap_or(name).to_owned();
        let columns = row.cell(prompt).zip(row.cell(seed));
        let key = columns
            .and_then(|(p, s)| {
                Some(GenerationKey {
                    prompt: p.parse().ok()?,
                    seed: s.parse().ok()?,
                })
            })
            .or_else(|| {
                let said = parse_picture_name(&name).filter(|n| n.cluster.is_none())?;
                Some(GenerationKey {
                    prompt: said.prompt,
                    seed: said.sample,
                })
            });
        if name.is_empty() && key.is_none() {
            bad.add(row.line, "no picture is named; left out");
            continue;
        }
        match labels(row, class, foreground, background) {
            Ok(labels) if labels == RegionLabels::default() => bad.add(row.line, "no label; left out"),
            Ok(labels) => rows.push(LabelRow {
                line: row.line,
                name,
                key,
                labels,
            }),
            Err(reason) => bad.add(row.line, reason),
        }
    }
    let notice = bad.into_notice(
        "of the labels could not be used",
        path,
        "The other lines are in use; correct these and open the table again.",
    );
    Ok((rows, notice.into_iter().collect()))
}

fn labels(
    row: &Row,
    class: Option<usize>,
    foreground: Option<usize>,
    background: Option<usize>,
) -> Result<RegionLabels, String> {
    let mut labels = match row.cell(class) {
        Some(cell) => Verdict::from_letters(cell)
            .ok_or_else(|| {
                let cell: String = cell.chars().take(40).collect();
                let column = class.map_or(0, |c| c + 1);
                format!("column {column}: “{cell}” is not one of VM, FM, BM, NM; left out")
            })?
            .into(),
        None => RegionLabels::default(),
    };
    for (column, label) in [
        (foreground, &mut labels.foreground),
        (background, &mut labels.background),
    ] {
        if let Some(cell) = row.cell(column) {
            let said = yes_or_no(cell).ok_or_else(|| {
                let cell: String = cell.chars().take(40).collect();
                let column = column.map_or(0, |c| c + 1);
                format!("column {column}: “{cell}” is neither yes nor no; left out")
            })?;
            *label = Some(said);
        }
    }
    Ok(labels)
}

fn yes_or_no(cell: &str) -> Option<bool> {
    match cell.to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "t" | "1" | "1.0" | "memorized" => Some(true),
        "no" | "n" | "false" | "f" | "0" | "0.0" | "not memorized" => Some(false),
        _ => None,
    }
}
