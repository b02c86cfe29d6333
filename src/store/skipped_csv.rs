//! `skipped.csv`: files that a run left out, with reasons.

use super::atomic;
use crate::study::{Problem, Skipped};
use std::{fs, path::Path};

/// Name of the file in a run's folder.
pub const SKIPPED_FILE: &str = "skipped.csv";

/// Writes the list into a run's folder, in place of an earlier one; an empty list removes it.
///
/// # Errors
/// A problem that names the file.
pub fn write_skipped(folder: &Path, skipped: &[Skipped]) -> Result<(), Problem> {
    let path = folder.join(SKIPPED_FILE);
    if skipped.is_empty() {
        return match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Problem::io(
                "The list of skipped files could not be removed",
                &path,
                &e,
            )),
            _ => Ok(()),
        };
    }
    atomic::write_with(&path, |file| {
        let mut out = csv::Writer::from_writer(std::io::BufWriter::new(file));
        out.write_record(["file", "reason"])?;
        for entry in skipped {
            out.write_record([&*entry.path.to_string_lossy(), entry.reason.as_str()])?;
        }
        out.flush()
    })
    .map_err(|e| Problem::io("The list of skipped files could not be written", &path, &e))
}
