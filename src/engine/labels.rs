//! Labels of pictures, matched with the pictures of the open study.

use super::{Event, session::Session, worker::Outcome};
use crate::{
    store,
    study::{Labels, Problem},
};
use std::{path::Path, sync::Arc};

/// Names that one card gives at most.
const MOST: usize = 12;

impl Session {
    /// Reads labels and tells them. A picture is found by the file name of a picture that is there; a name that is
    /// not, but says prompt and seed, labels that picture once it comes.
    pub(super) fn open_labels(&mut self, path: &Path) -> Result<Outcome, Problem> {
        let (rows, notices) = store::read_labels(path)?;
        notices.into_iter().for_each(|n| self.notice(n));
        let by_name = self.shelf.by_file_name();
        let mut labels = Labels::new();
        let mut unknown = Vec::new();
        let mut twice = 0_usize;
        for row in rows {
            let stem = |name: &str| name.rsplit_once('.').map_or(name, |(s, _)| s).to_owned();
            let found = by_name.get(&stem(&row.name)).copied();
            match found.or(row.key) {
                Some(key) => twice += usize::from(labels.insert(key, row.labels).is_some()),
                None => unknown.push(format!("line {}: {}", row.line, row.name)),
            }
        }
        if labels.is_empty() {
            return Err(Problem::new(
                "None of the labelled pictures is in the open study",
                "Open or import the pictures first; labels name them by file name, or by prompt index and seed.",
            )
            .at(path));
        }
        if !unknown.is_empty() {
            let mut problem = Problem::new(
                format!("{} labelled pictures are not in the open study", unknown.len()),
                "Their labels have no effect.",
            )
            .at(path);
            let more = unknown.len().saturating_sub(MOST);
            unknown.truncate(MOST);
            problem.details = unknown;
            if more > 0 {
                problem = problem.detail(format!("and {more} more"));
            }
            self.notice(problem);
        }
        if twice > 0 {
            self.notice(
                Problem::new(
                    format!("{twice} labels name a picture that an earlier line labels too"),
                    "The later line counts.",
                )
                .at(path),
            );
        }
        self.teller.tell(Event::Labels(Arc::new(labels)));
        Ok(Outcome::Done)
    }
}
