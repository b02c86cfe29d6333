//! Bad lines of one file, collected into one notice.

use crate::study::Problem;
use std::path::Path;

/// Counts the bad lines of a file and remembers the first of them.
#[derive(Clone, Debug, Default)]
pub struct Complaints {
    first: Vec<String>,
    count: usize,
}

impl Complaints {
    /// How many bad lines are listed one by one.
    pub const LISTED: usize = 12;

    /// Adds a complaint about a line (counted from 1).
    pub fn add(&mut self, line: u64, what: impl AsRef<str>) {
        self.count += 1;
        if self.first.len() < Self::LISTED {
            self.first.push(format!("line {line}: {}", what.as_ref()));
        }
    }

    /// Number of complaints so far.
    pub fn count(&self) -> usize {
        self.count
    }

    /// One notice for the file; `None` when there was nothing to complain about. `headline` follows the
    /// count: “3 lines of the caption file were left out”.
    pub fn into_notice(self, headline: &str, path: &Path, advice: &str) -> Option<Problem> {
        if self.count == 0 {
            return None;
        }
        let lines = if self.count == 1 { "line" } else { "lines" };
        let mut notice = Problem::new(format!("{} {lines} {headline}", self.count), advice).at(path);
        let more = self.count - self.first.len();
        notice.details = self.first;
        if more > 0 {
            notice.details.push(format!("and {more} more"));
        }
        Some(notice)
    }
}
