//! The report's numbers as tables for other programs.

use super::facts::{Report, RunFacts};
use crate::{
    store::{Run, ScoreRow, write_scores, write_whole},
    study::{Problem, Verdict},
};
use parquet::{
    basic::Compression,
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use std::{path::Path, sync::Arc};

/// Writes the scores of a run in the columns of the reference's `scores.csv`.
///
/// # Errors
/// A problem that names the file.
pub fn write_csv(path: &Path, run: &Run) -> Result<(), Problem> {
    let rows: Vec<ScoreRow> = run
        .records()
        .iter()
        .flat_map(|record| {
            let picture = record.image.rsplit('/').next().unwrap_or(&record.image);
            let row = move |m: &crate::store::RecordMatch| ScoreRow::new(&m.name, picture, m.scores);
            record.matches.iter().map(row)
        })
        .collect();
    write_scores(path, &rows)
}

/// Writes everything the report says as JSON.
///
/// # Errors
/// A problem that names the file.
pub fn write_json(path: &Path, report: &Report) -> Result<(), Problem> {
    let mut text = serde_json::to_vec_pretty(report).map_err(|e| {
        Problem::new("The report cannot be written as JSON", "Please report this.").detail(e.to_string())
    })?;
    text.push(b'\n');
    write_whole(path, &text)
}

/// Columns of the Parquet table, one row a picture.
const SCHEMA: &str = "message pictures {
    required binary run (UTF8);
    required int64 prompt_index;
    required binary prompt (UTF8);
    optional binary group (UTF8);
    required int64 seed (INTEGER(64, false));
    optional binary class (UTF8);
    optional float foreground;
    optional float background;
    optional float average;
    optional binary training_image (UTF8);
    optional double noise_norm_mean;
    required binary sha256 (UTF8);
    optional binary edited_mask (UTF8);
}";

/// Writes one row a picture as Parquet (uncompressed; the bytes depend on nothing but the runs).
///
/// # Errors
/// A problem that names the file.
pub fn write_parquet(path: &Path, report: &Report) -> Result<(), Problem> {
    let bytes = parquet_bytes(&report.runs).map_err(|e| {
        Problem::new("The report cannot be written as Parquet", "Please report this.")
            .at(path)
            .detail(e.to_string())
    })?;
    write_whole(path, &bytes)
}

fn parquet_bytes(runs: &[RunFacts]) -> Result<Vec<u8>, ParquetError> {
    let rows: Vec<_> = runs
        .iter()
        .flat_map(|run| {
            run.prompts
                .iter()
                .flat_map(move |prompt| prompt.pictures.iter().map(move |picture| (run, prompt, picture)))
        })
        .collect();
    let text = |s: &str| ByteArray::from(s.as_bytes().to_vec());
    let properties = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut out = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = out.next_row_group()?;
    let mut place = 0;
    while let Some(mut column) = group.next_column()? {
        match (place, column.untyped()) {
            (1, ColumnWriter::Int64ColumnWriter(w)) => {
                let values: Vec<i64> = rows.iter().map(|(_, p, _)| i64::from(p.index)).collect();
                w.write_batch(&values, None, None)?;
            }
            // Unsigned by its annotation; the bits are the same.
            (4, ColumnWriter::Int64ColumnWriter(w)) => {
                let values: Vec<i64> = rows.iter().map(|(.., v)| v.seed as i64).collect();
                w.write_batch(&values, None, None)?;
            }
            (6..=8, ColumnWriter::FloatColumnWriter(w)) => {
                let of = |v: &super::PictureFacts| [v.foreground, v.background, v.average][place - 6];
                let (values, levels) = optional(rows.iter().map(|(.., v)| of(v)));
                w.write_batch(&values, Some(&levels), None)?;
            }
            (10, ColumnWriter::DoubleColumnWriter(w)) => {
                let (values, levels) = optional(rows.iter().map(|(.., v)| v.noise_norm_mean));
                w.write_batch(&values, Some(&levels), None)?;
            }
            (0 | 2 | 11, ColumnWriter::ByteArrayColumnWriter(w)) => {
                let of = |(run, prompt, picture): &(&RunFacts, &super::PromptFacts, &super::PictureFacts)| {
                    match place {
                        0 => text(&run.name),
                        2 => text(&prompt.text),
                        _ => text(&picture.sha256),
                    }
                };
                w.write_batch(&rows.iter().map(of).collect::<Vec<_>>(), None, None)?;
            }
            (3 | 5 | 9 | 12, ColumnWriter::ByteArrayColumnWriter(w)) => {
                let of = |(_, prompt, picture): &(&RunFacts, &super::PromptFacts, &super::PictureFacts)| {
                    match place {
                        3 => prompt.group.as_deref().map(text),
                        12 => (!picture.edited_mask.is_empty()).then(|| text(&picture.edited_mask.join(" "))),
                        5 => picture.verdict.map(Verdict::letters).map(text),
                        _ => picture.matches.first().map(|m| text(&m.name)),
                    }
                };
                let (values, levels) = optional(rows.iter().map(of));
                w.write_batch(&values, Some(&levels), None)?;
            }
            _ => return Err(ParquetError::General(format!("column {place} has another type"))),
        }
        column.close()?;
        place += 1;
    }
    group.close()?;
    out.into_inner()
}

/// Present values, and for each row whether it has one.
fn optional<T>(values: impl Iterator<Item = Option<T>>) -> (Vec<T>, Vec<i16>) {
    let mut present = Vec::new();
    let levels = values
        .map(|v| v.map(|v| present.push(v)).is_some().into())
        .collect();
    (present, levels)
}
