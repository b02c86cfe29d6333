//! The band of unmemorized noise curves as a file, so that it can be laid under the pictures of another run.

use super::{Event, session::Session, worker::Outcome};
use crate::{
    memorization::NoiseBand,
    store::RunParameters,
    study::{Problem, Sampling},
};
use serde::{Deserialize, Serialize};
use std::{io::Read, path::Path, sync::Arc};

const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 1 << 20;
const MAX_STEPS: usize = 10_000;

/// A band, and how the pictures were drawn that it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BandFile {
    /// 1.
    pub format: u32,
    /// Hash of the checkpoint, as the run names it.
    pub model: Option<String>,
    /// How they were drawn. The norm depends on checkpoint, size and schedule.
    pub sampling: Sampling,
    /// The band.
    pub band: NoiseBand,
}

impl BandFile {
    /// The band of a run.
    pub fn new(run: &RunParameters, band: NoiseBand) -> Self {
        Self {
            format: FORMAT,
            model: run.model.clone(),
            sampling: run.sampling.clone(),
            band,
        }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// What the system reports.
    pub fn write(&self, path: &Path) -> Result<(), Problem> {
        let failed = |e: &std::io::Error| Problem::io("The band cannot be written", path, e);
        let text = serde_json::to_string_pretty(self).map_err(|e| failed(&e.into()))?;
        std::fs::write(path, text + "\n").map_err(|e| failed(&e))
    }

    /// Reads it back.
    ///
    /// # Errors
    /// A file that cannot be read, is no band, or whose curves are not as long as each other, not finite or upside down.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|e| Problem::io("The band cannot be read", path, &e))?;
        let no_band = |reason: String| {
            Problem::new(
                "This is not a band of noise norms",
                "Write one with pentimento detect RUN --save-band FILE.",
            )
            .at(path)
            .detail(reason)
        };
        if text.len() as u64 > MAX_BYTES {
            return Err(no_band(format!("the file is larger than {MAX_BYTES} bytes")));
        }
        let file: Self = serde_json::from_str(&text).map_err(|e| no_band(e.to_string()))?;
        file.check().map_err(no_band)?;
        Ok(file)
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("format is {}, this version reads {FORMAT}", self.format));
        }
        let NoiseBand {
            low, middle, high, ..
        } = &self.band;
        let steps = self.band.steps();
        if steps == 0 || steps > MAX_STEPS || low.len() != steps || middle.len() != steps {
            return Err(format!(
                "low, middle and high have {}, {} and {steps} values; 1 to {MAX_STEPS}, equally many, are needed",
                low.len(),
                middle.len()
            ));
        }
        let broken = (0..steps).find(|&i| {
            let all = [low[i], middle[i], high[i]];
            all.iter().any(|v| !v.is_finite()) || all[0] > all[1] || all[1] > all[2]
        });
        broken.map_or(Ok(()), |i| {
            Err(format!(
                "step {} is not finite, or its low end lies above the high one",
                i + 1
            ))
        })
    }

    /// How a run differs in what the norm depends on, as sentences.
    pub fn differences(&self, run: &RunParameters) -> Vec<String> {
        let mut found = Vec::new();
        if self.model.is_some() && run.model.is_some() && self.model != run.model {
            found.push("the band was made with another checkpoint".to_owned());
        }
        let (a, b) = (&self.sampling, &run.sampling);
        let mut differs = |what: &str, then: String, now: String| {
            if then != now {
                found.push(format!(
                    "the band was made with another {what}: {then}, the run has {now}"
                ));
            }
        };
        differs("number of steps", a.steps.to_string(), b.steps.to_string());
        differs("guidance", a.guidance.to_string(), b.guidance.to_string());
        differs("schedule", a.scheduler.to_string(), b.scheduler.to_string());
        differs(
            "size",
            format!("{} × {}", a.width, a.height),
            format!("{} × {}", b.width, b.height),
        );
        found
    }
}

impl Session {
    /// Reads a band and tells it, with a notice when it was made otherwise than the study draws.
    pub(super) fn open_band(&mut self, path: &Path) -> Result<Outcome, Problem> {
        let file = BandFile::read(path)?;
        let parameters = self.parameters(&self.outline.sampling, None);
        let differences = file.differences(&parameters);
        if !differences.is_empty() {
            let mut problem = Problem::new(
                "The band was made otherwise than this study draws",
                "A curve above it may mean the difference, not memorization.",
            )
            .at(path);
            problem.details = differences;
            self.notice(problem);
        }
        self.teller.tell(Event::Band(Arc::new(file)));
        Ok(Outcome::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_comes_back_and_a_broken_one_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("band.json");
        let band = NoiseBand {
            low: vec![1.0, 0.5],
            middle: vec![2.0, 1.0],
            high: vec![3.0, 1.5],
            curves: 9,
            prompts: 3,
            seeds: 3,
        };
        let run = RunParameters::default();
        let file = BandFile::new(&run, band);
        file.write(&path).unwrap();
        assert_eq!(BandFile::read(&path).unwrap(), file);
        assert!(file.differences(&run).is_empty());
        let mut other = run.clone();
        other.sampling.steps += 1;
        assert!(file.differences(&other)[0].contains("number of steps"));

        type Break = fn(&mut BandFile);
        let broken: [(Break, &str); 4] = [
            (|f| f.band.low[1] = 9.0, "step 2"),
            (|f| f.band.middle.clear(), "2, 0 and 2 values"),
            (|f| f.format = 7, "format is 7"),
            (|f| f.band.high.clear(), "0 values"),
        ];
        for (break_it, said) in broken {
            let mut bad = file.clone();
            break_it(&mut bad);
            bad.write(&path).unwrap();
            let problem = BandFile::read(&path).unwrap_err().to_string();
            assert!(problem.contains(said), "{problem}");
        }
        std::fs::write(&path, "[]").unwrap();
        assert!(BandFile::read(&path).is_err());
        assert!(BandFile::read(folder.path()).is_err());
    }
}
