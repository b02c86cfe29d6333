//! The tables beside a joined run, as `scan` leaves them beside each.

use super::{Run, SKIPPED_FILE, ScoreRow, write_scores, write_skipped};
use crate::{
    study::{Problem, Skipped},
    tables,
};
use std::{collections::HashSet, path::Path};

const MAX_BYTES: u64 = 64 << 20;

/// Writes `scores.csv` of all records, by prompt and seed. Percentiles of a null are not taken over: they belong to
/// the machine that measured it.
pub(super) fn write_all_scores(run: &Run) -> Result<(), Problem> {
    let mut records: Vec<_> = run.records().iter().collect();
    records.sort_by_key(|r| r.key);
    let rows: Vec<ScoreRow> = records
        .into_iter()
        .flat_map(|record| {
            let picture = record.image.rsplit('/').next().unwrap_or(&record.image);
            let row = move |m: &super::RecordMatch| ScoreRow::new(&m.name, picture, m.scores);
            record.matches.iter().map(row)
        })
        .collect();
    write_scores(&run.folder().join("scores.csv"), &rows)
}

/// Writes one list of what the parts left out, each file once.
pub(super) fn join_skipped(parts: &[Run], out: &Path) -> Result<(), Problem> {
    let mut known = HashSet::new();
    let mut all = Vec::new();
    for part in parts.iter().map(Run::folder).chain([out]) {
        let path = part.join(SKIPPED_FILE);
        if !path.is_file() {
            continue;
        }
        let text = tables::read_text(&path, MAX_BYTES)?.text;
        let mut lines = csv::ReaderBuilder::new()
            .flexible(true)
            .from_reader(text.as_bytes());
        for line in lines.records().flatten() {
            let (Some(file), Some(reason)) = (line.get(0), line.get(1)) else {
                continue;
            };
            if known.insert((file.to_owned(), reason.to_owned())) {
                all.push(Skipped::new(Path::new(file), reason));
            }
        }
    }
    write_skipped(out, &all)
}
