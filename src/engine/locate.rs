//! Locating: a mitigation's search over prompts, and the variants it leads to.

mod clusters;
mod embeddings;
mod guidance;
mod journal;
mod kept;
mod nemo;
mod pruning;

use super::{CancelToken, Event, JobId, JobKind, session::Session, teller::ProgressLine, worker::Outcome};
use crate::{
    diffusion::Pipeline,
    mitigation::{
        MitigationError, Progress, Watch,
        guidance::UnguidedTrace,
        neurons::{ActivationStatistics, NemoSettings, NeuronLists, NeuronRow, NoiseSettings},
        prompt::{Insertion, PromptSettings},
        pruning::PruningSettings,
    },
    study::{BaseCheckpoint, Edit, Problem, Prompt, Sampling, Transition, Variant},
};
use kept::Kept;

pub use clusters::{Clustering, Grouped, Grouping, group};
use std::{path::PathBuf, sync::Arc};

/// A search for what remembers.
#[derive(Clone, Debug)]
pub struct LocateJob {
    /// The prompts to search for.
    pub prompts: Vec<Prompt>,
    /// How.
    pub method: Method,
    /// Size, and for methods that draw, steps, guidance and schedule.
    pub sampling: Sampling,
    /// Name of the variant.
    pub name: String,
    /// Edits that come before those that are found.
    pub stack: Vec<Edit>,
    /// The file beside which progress is kept, so that the same search goes on where it was; `None` to keep none.
    pub progress: Option<PathBuf>,
    /// Write the variant into that file, and then remove the progress; otherwise both is for who asked.
    pub write: bool,
}

/// The methods.
#[derive(Clone, Debug)]
pub enum Method {
    /// Value neurons.
    Nemo(Box<NemoJob>),
    /// Weights of the feed-forwards. The settings' own sampling is not used.
    Wanda {
        /// How weights are chosen.
        settings: PruningSettings,
        /// Prompts to compare with, as many as there are memorized ones; empty ones if empty.
        base: Vec<String>,
    },
    /// Optimised embeddings. The settings' own sampling is not used.
    Prompt {
        /// How they are optimised.
        settings: PromptSettings,
        /// Also tell each token's significance.
        tokens: bool,
    },
    /// Embeddings of disturbed prompts.
    Insert {
        /// What is inserted.
        what: Insertion,
        /// How many times.
        count: usize,
        /// Seed of the places.
        seed: u64,
    },
    /// When guidance sets in.
    Guidance {
        /// Guidance before.
        before: f32,
        /// The transition; `None` to measure it on unguided trajectories.
        transition: Option<Transition>,
        /// Seeds of the trajectories.
        seeds: Vec<u64>,
    },
    /// Only the stack.
    Nothing,
}

/// A NeMo search.
#[derive(Clone, Debug)]
pub struct NemoJob {
    /// Thresholds.
    pub settings: NemoSettings,
    /// Where the statistics come from.
    pub statistics: StatisticsSource,
    /// Prompts that are not memorized, and what their similarities are computed from: the three thresholds become
    /// their mean plus one deviation.
    pub calibrate: Option<(Vec<String>, NoiseSettings)>,
    /// Results that are there already (imported): their prompts are not searched again.
    pub known: Vec<NeuronRow>,
    /// Clusters of the prompts, each with the edits of its own; `None` for the same edits for all prompts.
    pub clusters: Option<Grouping>,
    /// Take the initial selection instead of the refined one.
    pub initial: bool,
    /// Table of results: written after every prompt, continued by a later job with the same settings.
    pub journal: Option<PathBuf>,
}

/// Where activation statistics come from.
#[derive(Clone, Debug)]
pub enum StatisticsSource {
    /// They are there.
    Given(Arc<ActivationStatistics>),
    /// Measured on these prompts.
    Measure(Vec<String>),
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The variants, ready to be written.
    pub variants: Vec<Variant>,
    /// NeMo: a row for each prompt.
    pub rows: Vec<NeuronRow>,
    /// NeMo: the neurons, of each cluster if there are any.
    pub neurons: Vec<(Option<u32>, NeuronLists)>,
    /// NeMo: the clusters.
    pub grouped: Option<Arc<Grouped>>,
    /// NeMo: the statistics used.
    pub statistics: Option<Arc<ActivationStatistics>>,
    /// Guidance: a trace for each prompt.
    pub traces: Vec<UnguidedTrace>,
    /// What there is to say, line by line.
    pub lines: Vec<String>,
    /// The folder with the search's progress, to be removed once the variants are written.
    pub progress: Option<PathBuf>,
}

/// Tells a job's progress: one unit for each prompt.
struct JobWatch<'a> {
    line: &'a mut ProgressLine,
    cancel: &'a CancelToken,
    before: f64,
    units: f64,
    kept: Option<Kept>,
}

impl Watch for JobWatch<'_> {
    fn at(&mut self, done: f64, total: f64) {
        let share = if total > 0.0 {
            (done / total).clamp(0.0, 1.0)
        } else {
            0.0
        };
        // A unit is only done when its result is kept.
        self.line.at(self.before + self.units * share.min(0.999));
    }

    fn is_stopped(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn kept(&self, part: &str) -> Option<Progress> {
        self.kept.as_ref()?.load(part)
    }

    fn keep(&mut self, part: &str, progress: &Progress) -> Result<(), MitigationError> {
        match &mut self.kept {
            Some(kept) => kept
                .save(part, progress)
                .map_err(|problem| MitigationError::Request(problem.to_string())),
            None => Ok(()),
        }
    }
}

/// Why a search ended early.
enum Ending {
    Stopped,
    Failed(Problem),
}

impl From<Problem> for Ending {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl From<MitigationError> for Ending {
    fn from(error: MitigationError) -> Self {
        match error {
            MitigationError::Stopped => Self::Stopped,
            other => Self::Failed(
                Problem::new(
                    "The search could not be done",
                    "Change the settings or the inputs named here; what was found so far is kept.",
                )
                .detail(other.to_string()),
            ),
        }
    }
}

impl Session {
    /// Searches and tells the variants; see [`super::Job::Locate`].
    pub fn locate(&mut self, id: JobId, cancel: &CancelToken, job: &LocateJob) -> Result<Outcome, Problem> {
        self.room_for_gradients(job)?;
        let pipeline = self.pipeline()?;
        let base = BaseCheckpoint {
            name: self.model_name(),
            hash: (!self.hashes.model.is_empty()).then(|| self.hashes.model.clone()),
        };
        let mut line = self
            .teller
            .progress(id, JobKind::Locate, job.prompts.len().max(1));
        line.at(0.0);
        let pool = self.pool.clone();
        let found = pool.install(|| {
            let watch = JobWatch {
                line: &mut line,
                cancel,
                before: 0.0,
                units: job.prompts.len() as f64,
                kept: Kept::of(job, &base),
            };
            let found = Findings {
                progress: watch.kept.as_ref().map(|k| k.folder().to_owned()),
                ..Findings::default()
            };
            Search {
                pipeline: &pipeline,
                job,
                base,
                watch,
                found,
            }
            .run()
        });
        match found {
            Ok(found) => {
                for variant in &found.variants {
                    match job.progress.as_ref().filter(|_| job.write) {
                        Some(file) => self.save_variant(file, variant)?,
                        None => self.add_variant(variant.clone())?,
                    };
                }
                if job.write {
                    self.close_search(&found)?;
                }
                self.teller.tell(Event::Located(id, Arc::new(found)));
                Ok(Outcome::Done)
            }
            Err(Ending::Stopped) => Ok(Outcome::Stopped),
            Err(Ending::Failed(problem)) => Err(problem),
        }
    }

    /// Removes the progress of a search whose variants are written, and tells when there are none.
    fn close_search(&self, found: &Findings) -> Result<(), Problem> {
        if let Some(folder) = found.progress.as_ref().filter(|f| f.is_dir()) {
            std::fs::remove_dir_all(folder)
                .map_err(|e| Problem::io("The search is done; its progress cannot be removed", folder, &e))?;
        }
        if found.variants.is_empty() {
            let advice = "Try other prompts, or another method.";
            let told = Problem::new("The search found nothing to switch off", advice);
            self.notice(told.detail(found.lines.join("\n")));
        }
        Ok(())
    }

    fn model_name(&self) -> String {
        let root = self
            .checkpoint
            .as_ref()
            .map(|c| c.root.clone())
            .unwrap_or_default();
        let root = root.canonicalize().unwrap_or(root);
        root.file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

struct Search<'a> {
    pipeline: &'a Pipeline,
    job: &'a LocateJob,
    base: BaseCheckpoint,
    watch: JobWatch<'a>,
    found: Findings,
}

impl Search<'_> {
    fn run(mut self) -> Result<Findings, Ending> {
        let job = self.job;
        match &job.method {
            Method::Nemo(nemo) => self.nemo(nemo)?,
            Method::Wanda { settings, base } => self.wanda(settings, base)?,
            Method::Prompt { settings, tokens } => self.prompt(settings, *tokens)?,
            Method::Insert { what, count, seed } => self.insert(*what, *count, *seed)?,
            Method::Guidance {
                before,
                transition,
                seeds,
            } => self.guidance(*before, *transition, seeds)?,
            Method::Nothing => self.keep(job.name.clone(), "stacked edits".to_owned(), Vec::new())?,
        }
        Ok(self.found)
    }

    /// Units of progress of the prompt at a place.
    fn unit(&mut self, place: usize) {
        self.watch.before = place as f64;
        self.watch.units = 1.0;
        self.watch.line.at(place as f64);
    }

    /// Makes a variant of the stack and these edits.
    fn keep(&mut self, name: String, note: String, edits: Vec<Edit>) -> Result<(), Ending> {
        let mut all = self.job.stack.clone();
        all.extend(edits);
        if all.is_empty() {
            self.found.lines.push(format!(
                "{name}: nothing was found that could be switched off; no variant is made"
            ));
            return Ok(());
        }
        let variant = Variant {
            name,
            note,
            base: self.base.clone(),
            edits: all,
        };
        // One that does not fit must not be written.
        self.pipeline
            .with_variant(&variant)
            .map_err(MitigationError::from)?;
        self.found.variants.push(variant);
        Ok(())
    }

    fn size(&self) -> (u32, u32) {
        (self.job.sampling.width, self.job.sampling.height)
    }
}
