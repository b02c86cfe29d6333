//! NeMo's result table, `results/memorization_statistics_*.csv`: one line for every prompt.

use super::{Located, NeuronLists, parse_lists, write_lists};
use crate::{
    mitigation::files::write_whole,
    study::Problem,
    tables::{self, Complaints, Delimited},
};
use std::{io::Write, path::Path};

const CAPTION: &str = "Caption";
const COLUMNS: [&str; 6] = [
    CAPTION,
    "URL",
    "Initial Neurons",
    "Initial SSIM",
    "Refined Neurons",
    "Refined SSIM",
];
const MOST_ROWS: usize = 1_000_000;
const MOST_BYTES: u64 = 1 << 30;

/// What was found for one prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NeuronRow {
    /// The prompt.
    pub caption: String,
    /// Address of the training image, where the prompt list names one.
    pub url: String,
    /// Neurons of the initial selection, per layer.
    pub initial: NeuronLists,
    /// Similarity with them off; 0 for a prompt that does not seem to be memorized.
    pub initial_ssim: f64,
    /// Neurons after refinement, per layer.
    pub refined: NeuronLists,
    /// Similarity with these off.
    pub refined_ssim: f64,
}

impl NeuronRow {
    /// A row of a search.
    pub fn new(caption: &str, located: &Located) -> Self {
        Self {
            caption: caption.to_owned(),
            url: String::new(),
            initial: located.initial.clone(),
            initial_ssim: located.initial_ssim,
            refined: located.refined.clone(),
            refined_ssim: located.refined_ssim,
        }
    }
}

/// Reads a result table and what there is to tell about it; lines that cannot be used are told and left out.
///
/// # Errors
/// A file that cannot be read, or without the columns Caption and Refined Neurons.
pub fn read_results(path: &Path) -> Result<(Vec<NeuronRow>, Option<Problem>), Problem> {
    let text = tables::read_text(path, MOST_BYTES)?;
    let table = Delimited::parse(&text.text, &COLUMNS[4..5], MOST_ROWS).map_err(|found| {
        Problem::new(
            "This is no table of located neurons",
            "A table with the columns Caption and Refined Neurons is needed, as NeMo writes it.",
        )
        .at(path)
        .detail(format!("line 1: columns found: {}", found.join(", ")))
    })?;
    let at = COLUMNS.map(|name| tables::column(&table.headers, &[name]));
    let mut complaints = Complaints::default();
    let mut rows = Vec::new();
    for row in &table.rows {
        let lists = |column: usize| match row.cell(at[column]) {
            Some(cell) => parse_lists(cell).map_err(|reason| format!("{}: {reason}", COLUMNS[column])),
            None => Ok(Vec::new()),
        };
        let number = |column: usize| row.cell(at[column]).and_then(|c| c.parse().ok()).unwrap_or(0.0);
        let (Some(caption), true) = (row.cell(at[0]), row.cell(at[4]).is_some()) else {
            complaints.add(row.line, "no caption or no refined neurons");
            continue;
        };
        match (lists(2), lists(4)) {
            (Ok(initial), Ok(refined)) => rows.push(NeuronRow {
                caption: caption.to_owned(),
                url: row.cell(at[1]).unwrap_or_default().to_owned(),
                initial,
                initial_ssim: number(3),
                refined,
                refined_ssim: number(5),
            }),
            (Err(reason), _) | (_, Err(reason)) => complaints.add(row.line, reason),
        }
    }
    let notice = complaints.into_notice(
        "of the table of neurons cannot be used",
        path,
        "The other lines are in use.",
    );
    Ok((rows, notice))
}

/// Writes a result table in NeMo's columns, `;` between them.
///
/// # Errors
/// A file that cannot be written.
pub fn write_results(path: &Path, rows: &[NeuronRow]) -> Result<(), Problem> {
    write_whole(path, |file| {
        let mut table = csv::WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
        table.write_record(COLUMNS)?;
        for row in rows {
            table.write_record([
                row.caption.as_str(),
                row.url.as_str(),
                &write_lists(&row.initial),
                &row.initial_ssim.to_string(),
                &write_lists(&row.refined),
                &row.refined_ssim.to_string(),
            ])?;
        }
        let bytes = table.into_inner().map_err(|e| e.into_error())?;
        file.write_all(&bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_their_rows_and_bad_lines_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.csv");
        let rows = vec![
            NeuronRow {
                caption: "a \"quoted\"; caption".into(),
                url: "https://example.org/1".into(),
                initial: vec![vec![1, 2], vec![]],
                initial_ssim: 0.25,
                refined: vec![vec![2], vec![]],
                refined_ssim: 0.375,
            },
            NeuronRow {
                caption: "not memorized".into(),
                initial: vec![vec![]; 2],
                refined: vec![vec![]; 2],
                ..NeuronRow::default()
            },
        ];
        write_results(&path, &rows).unwrap();
        let (read, notice) = read_results(&path).unwrap();
        assert_eq!((read, notice), (rows.clone(), None));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("Caption;URL;Initial Neurons;Initial SSIM;Refined Neurons;Refined SSIM\n"));
        std::fs::write(&path, text + "x;;[[1]];0;[[oops]];0\n").unwrap();
        let (read, notice) = read_results(&path).unwrap();
        assert_eq!(read, rows);
        assert!(notice.unwrap().to_string().contains("oops"));
        std::fs::write(&path, "a;b\n1;2\n").unwrap();
        assert!(read_results(&path).is_err());
    }
}
