//! Results of NeMo on disk.

use crate::{
    mitigation::neurons::{self, ActivationStatistics, NemoSettings, NeuronRow},
    study::{BaseCheckpoint, Problem},
};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Results on disk, so that a search that was stopped goes on where it was.
pub(super) struct Journal<'a> {
    path: Option<&'a Path>,
    pub rows: Vec<NeuronRow>,
}

impl<'a> Journal<'a> {
    pub fn open(
        path: Option<&'a Path>,
        base: &BaseCheckpoint,
        settings: &NemoSettings,
        statistics: &ActivationStatistics,
    ) -> Result<Self, Problem> {
        let Some(path) = path else {
            return Ok(Self {
                path: None,
                rows: Vec::new(),
            });
        };
        let mut digest = Sha256::new();
        for values in statistics.mean.iter().chain(&statistics.deviation) {
            values.iter().for_each(|v| digest.update(v.to_le_bytes()));
        }
        let text = format!(
            "model {}\nstatistics {}\n{settings:#?}\n",
            base.hash.as_deref().unwrap_or_default(),
            hex::encode(digest.finalize())
        );
        let beside = path.with_extension("settings.txt");
        let failed = |e: std::io::Error| Problem::io("The results cannot be kept", &beside, &e);
        if !path.exists() {
            std::fs::write(&beside, text).map_err(failed)?;
            return Ok(Self {
                path: Some(path),
                rows: Vec::new(),
            });
        }
        let former = std::fs::read_to_string(&beside).map_err(failed)?;
        if former != text {
            let line = former.lines().zip(text.lines()).find(|(a, b)| a != b);
            let mut problem = Problem::new(
                "The table of results belongs to another search",
                "Name another file, or remove this one and its .settings.txt.",
            )
            .at(path);
            if let Some((before, now)) = line {
                problem = problem
                    .detail(format!("then: {}", before.trim()))
                    .detail(format!("now: {}", now.trim()));
            }
            return Err(problem);
        }
        let (rows, _) = neurons::read_results(path)?;
        Ok(Self {
            path: Some(path),
            rows,
        })
    }

    /// Writes what is new, and what earlier searches found for prompts that are not reached yet.
    pub fn write(&self, rows: &[NeuronRow]) -> Result<(), Problem> {
        let Some(path) = self.path else { return Ok(()) };
        let mut all = rows.to_vec();
        let later = self
            .rows
            .iter()
            .filter(|old| !rows.iter().any(|new| new.caption == old.caption));
        all.extend(later.cloned());
        neurons::write_results(path, &all)
    }
}
