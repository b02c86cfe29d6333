//! Locating: a mitigation's search over prompts, and the variants it leads to.

use super::{CancelToken, Event, JobId, JobKind, session::Session, teller::ProgressLine, worker::Outcome};
use crate::{
    diffusion::Pipeline,
    mitigation::{
        MitigationError, Watch, cluster_neurons,
        guidance::{self, UnguidedTrace},
        neurons::{
            self, ActivationStatistics, Calibration, Located, NemoSettings, NeuronLists, NeuronRow,
            NoiseSettings, ValueLayers,
        },
        prompt::{self, Insertion, PromptSettings},
        pruning::{self, PruningSettings},
    },
    study::{
        BaseCheckpoint, Edit, Embedding, EmbeddingEdit, GuidanceSchedule, Problem, Prompt, Sampling,
        Transition, Variant,
    },
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A search for what remembers.
#[derive(Clone, Debug)]
pub struct LocateJob {
    /// The prompts to search for.
    pub prompts: Vec<Prompt>,
    /// How.
    pub method: Method,
    /// Size, and for methods that draw, steps, guidance and schedule.
    pub sampling: Sampling,
    /// Name of the variant; of several, each gets its cluster behind it.
    pub name: String,
    /// Edits that come before those that are found.
    pub stack: Vec<Edit>,
}

/// The methods.
#[derive(Clone, Debug)]
pub enum Method {
    /// Value neurons.
    Nemo(NemoJob),
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
    /// Clusters of the prompts: one variant for each. `None` for one variant of all prompts.
    pub clusters: Option<Vec<Option<u32>>>,
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
    /// NeMo: neurons of each variant.
    pub neurons: Vec<NeuronLists>,
    /// NeMo: the statistics used.
    pub statistics: Option<Arc<ActivationStatistics>>,
    /// Guidance: a trace for each prompt.
    pub traces: Vec<UnguidedTrace>,
    /// What there is to say, line by line.
    pub lines: Vec<String>,
}

/// Tells a job's progress: one unit for each prompt.
struct JobWatch<'a> {
    line: &'a mut ProgressLine,
    cancel: &'a CancelToken,
    before: f64,
    units: f64,
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
            };
            Search {
                pipeline: &pipeline,
                job,
                base,
                watch,
                found: Findings::default(),
            }
            .run()
        });
        match found {
            Ok(found) => {
                for variant in &found.variants {
                    self.add_variant(variant.clone())?;
                }
                self.teller.tell(Event::Located(id, Arc::new(found)));
                Ok(Outcome::Done)
            }
            Err(Ending::Stopped) => Ok(Outcome::Stopped),
            Err(Ending::Failed(problem)) => Err(problem),
        }
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

    fn nemo(&mut self, job: &NemoJob) -> Result<(), Ending> {
        let layers = ValueLayers::of(self.pipeline)?;
        let mut settings = job.settings;
        if let Some((prompts, noise)) = &job.calibrate {
            let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
            let calibration =
                neurons::calibrate(self.pipeline, &prompts, self.size(), *noise, &mut self.watch)?;
            self.take_thresholds(&calibration, &mut settings);
        }
        let statistics = match &job.statistics {
            StatisticsSource::Given(statistics) => statistics.clone(),
            StatisticsSource::Measure(prompts) => {
                let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
                Arc::new(ActivationStatistics::measure(
                    self.pipeline,
                    &prompts,
                    &mut self.watch,
                )?)
            }
        };
        let searches = self
            .job
            .prompts
            .iter()
            .any(|p| !job.known.iter().any(|k| k.caption == p.text));
        if searches {
            statistics
                .check(&layers.widths())
                .map_err(MitigationError::Request)?;
        }
        self.found.statistics = Some(statistics.clone());
        let journal = Journal::open(job.journal.as_deref(), &self.base, &settings, &statistics)?;
        let mut known: HashMap<&str, &NeuronRow> = journal
            .rows
            .iter()
            .map(|row| (row.caption.as_str(), row))
            .collect();
        known.extend(job.known.iter().map(|row| (row.caption.as_str(), row)));
        for (place, prompt) in self.job.prompts.iter().enumerate() {
            self.unit(place);
            let row = match known.get(prompt.text.as_str()) {
                Some(row) => {
                    layers
                        .check(&row.refined)
                        .map_err(|reason| MitigationError::Request(format!("“{}”: {reason}", row.caption)))?;
                    NeuronRow::clone(row)
                }
                None => {
                    let size = self.size();
                    let located = neurons::locate(
                        self.pipeline,
                        &prompt.text,
                        size,
                        &statistics,
                        &settings,
                        &mut self.watch,
                    )?;
                    NeuronRow::new(&prompt.text, &located)
                }
            };
            self.found.lines.push(line_of(&row));
            self.found.rows.push(row);
            journal.write(&self.found.rows)?;
        }
        self.neuron_variants(job, &layers, &settings)
    }

    fn take_thresholds(&mut self, calibration: &Calibration, settings: &mut NemoSettings) {
        let threshold = calibration.threshold();
        (settings.pairwise, settings.initial, settings.refinement) = (threshold, threshold, threshold);
        self.found.lines.push(format!(
            "calibration over {} prompts: mean {:.4}, deviation {:.4}, threshold {threshold:.4}",
            calibration.pairwise.len(),
            calibration.mean(),
            calibration.deviation()
        ));
    }

    fn neuron_variants(
        &mut self,
        job: &NemoJob,
        layers: &ValueLayers,
        settings: &NemoSettings,
    ) -> Result<(), Ending> {
        let taken: Vec<NeuronRow> = self
            .found
            .rows
            .iter()
            .map(|row| NeuronRow {
                refined: if job.initial {
                    row.initial.clone()
                } else {
                    row.refined.clone()
                },
                ..row.clone()
            })
            .collect();
        let everything = vec![Some(0); taken.len()];
        let labels = job.clusters.as_ref().unwrap_or(&everything);
        let selection = if job.initial {
            "initial selection"
        } else {
            "refined neurons"
        };
        for (cluster, neurons) in cluster_neurons::unions(&taken, labels)? {
            let prompts = labels.iter().filter(|l| **l == Some(cluster)).count();
            let (name, of) = match job.clusters {
                Some(_) => (
                    format!("{}, cluster {cluster}", self.job.name),
                    format!("cluster {cluster}, "),
                ),
                None => (self.job.name.clone(), String::new()),
            };
            let note = format!(
                "NeMo, {of}{prompts} prompts, {selection}: {} neurons; thresholds {:.3} {:.3} {:.3}, {} samples from \
                 seed {}",
                Located::count(&neurons),
                settings.pairwise,
                settings.initial,
                settings.refinement,
                settings.noise.samples,
                settings.noise.seed
            );
            self.keep(name, note, layers.edits(&neurons, settings.factor))?;
            self.found.neurons.push(neurons);
        }
        Ok(())
    }

    fn wanda(&mut self, settings: &PruningSettings, base: &[String]) -> Result<(), Ending> {
        let settings = PruningSettings {
            sampling: self.job.sampling.clone(),
            ..settings.clone()
        };
        let target: Vec<&str> = self.job.prompts.iter().map(|p| p.text.as_str()).collect();
        let empty = vec![String::new(); target.len()];
        let base = if base.is_empty() { &empty } else { base };
        let base: Vec<&str> = base.iter().map(String::as_str).collect();
        let pruned = pruning::prune(self.pipeline, &target, &base, &settings, &mut self.watch)?;
        let mut densities = Vec::new();
        for layer in &pruned.layers {
            let steps: Vec<String> = layer
                .per_step
                .iter()
                .map(|d| format!("{:.2}", 100.0 * d))
                .collect();
            let name = layer.weight.trim_end_matches(".weight");
            self.found.lines.push(format!(
                "{name}: {:.3} % of its weights (each step: {} %)",
                100.0 * layer.density,
                steps.join(" ")
            ));
            densities.push(format!("{name} {:.3} %", 100.0 * layer.density));
        }
        let note = format!(
            "Wanda, {} prompts, skill ratio {}, first {} of {} steps, select ratio {}, guidance {}, seed {}; density: {}",
            target.len(),
            settings.skill_ratio,
            settings.steps,
            settings.sampling.steps,
            settings.select_ratio,
            settings.sampling.guidance,
            settings.seed,
            densities.join(", ")
        );
        self.keep(self.job.name.clone(), note, pruned.edits())
    }

    fn prompt(&mut self, settings: &PromptSettings, tokens: bool) -> Result<(), Ending> {
        let settings = PromptSettings {
            sampling: self.job.sampling.clone(),
            ..settings.clone()
        };
        let mut edits = Vec::new();
        for (place, prompt) in self.job.prompts.iter().enumerate() {
            self.unit(place);
            if tokens {
                let scores = prompt::significance(self.pipeline, &prompt.text, &settings, &self.watch)?;
                let scores: Vec<String> = scores
                    .iter()
                    .map(|t| format!("{} {:.3}", t.token, t.score))
                    .collect();
                self.found
                    .lines
                    .push(format!("“{}”: {}", prompt.text, scores.join(" · ")));
            }
            let optimised = prompt::optimise(self.pipeline, &prompt.text, &settings, &mut self.watch)?;
            let norms = &optimised.norms;
            self.found.lines.push(format!(
                "“{}”: noise norm {:.3} → {:.3} after {} updates{}",
                prompt.text,
                norms[0],
                norms[norms.len() - 1],
                norms.len() - 1,
                if optimised.reached { ", target reached" } else { "" }
            ));
            edits.push(for_prompt(prompt, optimised.embedding));
        }
        let note = format!(
            "Wen et al.: embeddings of {} prompts, AdamW, rate {}, decay {}, at most {} updates, target {}",
            edits.len(),
            settings.learning_rate,
            settings.weight_decay,
            settings.iterations,
            settings.target.map_or("none".to_owned(), |t| t.to_string())
        );
        self.keep(self.job.name.clone(), note, edits)
    }

    fn insert(&mut self, what: Insertion, count: usize, seed: u64) -> Result<(), Ending> {
        let mut edits = Vec::new();
        for (place, prompt) in self.job.prompts.iter().enumerate() {
            self.unit(place);
            self.watch.go_on()?;
            let seed = seed.wrapping_add(u64::from(prompt.index));
            let disturbed = prompt::insert(self.pipeline.tokenizer(), &prompt.text, what, count, seed)?;
            self.found
                .lines
                .push(format!("“{}” → “{disturbed}”", prompt.text));
            let embedding = self.embedding(&disturbed)?;
            edits.push(for_prompt(prompt, embedding));
            self.watch.at(1.0, 1.0);
        }
        let note = format!(
            "{count} random {what} inserted into {} prompts, seed {seed}",
            edits.len()
        );
        self.keep(self.job.name.clone(), note, edits)
    }

    fn embedding(&self, text: &str) -> Result<Embedding, MitigationError> {
        let tensor = self.pipeline.encode_prompts(&[text])?;
        let (_, tokens, width) = tensor.dims3()?;
        Ok(Embedding {
            tokens,
            width,
            values: cluster_neurons::flat_embedding(self.pipeline, text)?.into(),
        })
    }

    fn guidance(&mut self, before: f32, transition: Option<Transition>, seeds: &[u64]) -> Result<(), Ending> {
        let measured = match transition {
            Some(Transition::Step(_) | Transition::Timestep(_)) => None,
            Some(Transition::FirstMinimum) | None => Some(self.traces(before, seeds)?),
        };
        let transition = match (transition, measured) {
            (Some(transition), _) => transition,
            (None, Some(Some(timestep))) => Transition::Timestep(timestep),
            (None, _) => {
                return Err(Ending::Failed(Problem::new(
                    "No transition point was found",
                    "No unguided trajectory has a minimum of the noise norm; give a timestep instead.",
                )));
            }
        };
        let schedule = GuidanceSchedule { before, transition };
        let note = format!("Jain et al.: {schedule}, from {} prompts", self.job.prompts.len());
        self.keep(self.job.name.clone(), note, vec![Edit::Guidance(schedule)])
    }

    /// Traces of all prompts; the median timestep of their first minima.
    fn traces(&mut self, before: f32, seeds: &[u64]) -> Result<Option<u32>, Ending> {
        let mut found = Vec::new();
        for (place, prompt) in self.job.prompts.iter().enumerate() {
            self.unit(place);
            let sampling = &self.job.sampling;
            let trace = guidance::trace(
                self.pipeline,
                &prompt.text,
                sampling,
                seeds,
                before,
                &mut self.watch,
            )?;
            let at = trace.transition();
            let with = trace.candidates().iter().filter(|c| !c.is_empty()).count();
            let words = at.map_or("no minimum".to_owned(), |t| {
                format!("first minimum at timestep {t}")
            });
            self.found.lines.push(format!(
                "“{}”: {words} ({with} of {} seeds have one)",
                prompt.text,
                seeds.len()
            ));
            found.extend(at);
            self.found.traces.push(trace);
        }
        found.sort_unstable();
        Ok(found.get(found.len().saturating_sub(1) / 2).copied())
    }
}

fn for_prompt(prompt: &Prompt, embedding: Embedding) -> Edit {
    Edit::Embedding(EmbeddingEdit {
        prompt: Some(prompt.text.clone()),
        embedding,
    })
}

fn line_of(row: &NeuronRow) -> String {
    let initial = Located::count(&row.initial);
    if initial == 0 && row.initial_ssim == 0.0 {
        return format!("“{}”: does not seem to be memorized", row.caption);
    }
    let layers: Vec<String> = row.refined.iter().map(|l| l.len().to_string()).collect();
    format!(
        "“{}”: {initial} neurons (similarity {:.3}), refined {} (similarity {:.3}; per layer {})",
        row.caption,
        row.initial_ssim,
        Located::count(&row.refined),
        row.refined_ssim,
        layers.join(" ")
    )
}

/// Results on disk, so that a search that was stopped goes on where it was.
struct Journal<'a> {
    path: Option<&'a Path>,
    rows: Vec<NeuronRow>,
}

impl<'a> Journal<'a> {
    fn open(
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
        use sha2::{Digest, Sha256};
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
    fn write(&self, rows: &[NeuronRow]) -> Result<(), Problem> {
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
