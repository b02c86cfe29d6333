//! What the engine holds of the open study: models, prepared gallery, run.

use super::{
    CancelToken, EngineOptions, Event, MachineMemory, ModelFacts, approximate::Approximate,
    embeddings::Embedded, refine::Clicker, shelf::Shelf, teller::Teller, watch::Watch,
};
use crate::{
    diffusion::{Checkpoint, LoadOptions, Pipeline},
    segmentation::Segmenter,
    similarity::Index,
    store::Run,
    study::{Problem, Skipped, StudyOutline, Variant, WeightStorage},
};
use candle_core::Device;
use rayon::ThreadPool;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The gallery, ready to be searched. Cheap to clone.
#[derive(Clone)]
pub(super) struct PreparedGallery {
    /// The searchable pyramids.
    pub index: Arc<Index>,
    /// Gallery index of each row of `index` (images that could not be read have no row).
    pub rows: Arc<Vec<u32>>,
    /// Names of the gallery's images, by gallery index.
    pub names: Arc<Vec<String>>,
    /// Its file in the cache; what is kept beside it has another extension.
    pub file: PathBuf,
}

/// State of the engine thread. Fields are taken out and put back by the jobs in `open` and `generate`.
pub(super) struct Session {
    pub options: EngineOptions,
    pub pool: Arc<ThreadPool>,
    pub shelf: Shelf,
    pub teller: Teller,
    pub outline: Arc<StudyOutline>,
    pub checkpoint: Option<Checkpoint>,
    /// How the pipeline's weights are held, or will be.
    pub storage: WeightStorage,
    pub pipeline: Option<Arc<Pipeline>>,
    /// The pipeline of the variant drawn with last.
    pub edited: Option<(Arc<Variant>, Arc<Pipeline>)>,
    pub segmenter: Option<Segmenter>,
    /// What answers clicks, once it was needed.
    pub clicker: Option<Clicker>,
    pub gallery: Option<PreparedGallery>,
    /// The gallery's embeddings, once they were needed.
    pub embedded: Option<Embedded>,
    /// The shortlist of a large gallery.
    pub approximate: Option<Arc<Approximate>>,
    pub hashes: Hashes,
    /// The score table that is open, in place of pictures of a run.
    pub table: Option<PathBuf>,
    /// Files left out of what is open.
    pub skipped: Vec<Skipped>,
    /// The run of pictures that other programs pushed, once one came.
    pub pushed: Option<Run>,
    /// Stops the grouping of the former gallery.
    pub grouping: CancelToken,
    /// Folders of the runs whose pictures are shown.
    pub shown: Vec<PathBuf>,
    /// The run that is watched, if one was opened.
    pub watch: Option<Watch>,
    /// Runs opened beside the study, which may grow too.
    pub beside: Vec<Watch>,
}

/// Content hashes that name the parts in a run's parameters; empty for a missing part.
#[derive(Clone, Debug, Default)]
pub(super) struct Hashes {
    pub model: String,
    pub segmenter: String,
    pub gallery: String,
}

impl Session {
    pub fn new(options: EngineOptions, pool: Arc<ThreadPool>, shelf: Shelf, teller: Teller) -> Self {
        Self {
            options,
            pool,
            shelf,
            teller,
            outline: Arc::default(),
            checkpoint: None,
            storage: WeightStorage::Auto,
            pipeline: None,
            edited: None,
            segmenter: None,
            clicker: None,
            gallery: None,
            embedded: None,
            approximate: None,
            hashes: Hashes::default(),
            table: None,
            skipped: Vec::new(),
            pushed: None,
            grouping: CancelToken::default(),
            shown: Vec::new(),
            watch: None,
            beside: Vec::new(),
        }
    }

    /// After a panic: models may be half-way through something, the study is not.
    pub fn forget_models(&mut self) {
        self.pipeline = None;
        self.edited = None;
        self.clicker = None;
    }

    /// Remembers that pictures of this run are shown.
    pub fn show(&mut self, run: &Path) {
        if !self.shown.iter().any(|known| known == run) {
            self.shown.push(run.to_owned());
        }
    }

    pub fn notice(&self, problem: Problem) {
        log::warn!("{problem}");
        self.teller.tell(Event::Notice(problem));
    }

    /// Adds files to those left out, and tells all of them: a card for the newest, the whole list for the Log.
    pub fn skip(&mut self, what: &str, files: Vec<Skipped>) {
        /// Files that one card names at most.
        const MOST: usize = 20;
        if files.is_empty() {
            return;
        }
        let mut problem = Problem::new(
            format!("{} {what} left out", files.len()),
            "Everything else goes on. The Log lists all files that were left out.",
        );
        for file in files.iter().take(MOST) {
            problem = problem.detail(format!("{}: {}", file.path.display(), file.reason));
        }
        if files.len() > MOST {
            problem = problem.detail(format!("and {} more", files.len() - MOST));
        }
        self.skipped.extend(files);
        self.teller.tell(Event::Skipped(Arc::new(self.skipped.clone())));
        self.notice(problem);
    }

    /// Holds weights in another way from now on; those in memory are read anew if it makes a difference to them.
    pub fn hold_weights(&mut self, storage: WeightStorage) {
        let former = std::mem::replace(&mut self.storage, storage);
        let needs = self.checkpoint.as_ref().map(Checkpoint::memory_needs);
        if needs.is_some_and(|n| n.stays_as_stored(former) != n.stays_as_stored(storage)) {
            self.forget_models();
        }
    }

    /// Facts about the checkpoint.
    pub fn model_facts(&self) -> Option<ModelFacts> {
        let checkpoint = self.checkpoint.as_ref()?;
        Some(ModelFacts {
            needs: checkpoint.memory_needs(),
            machine: MachineMemory::now(),
            on_cpu: matches!(self.options.device.open(), Ok(Device::Cpu)),
        })
    }

    /// The pipeline, loaded now if it is not yet.
    pub fn pipeline(&mut self) -> Result<Arc<Pipeline>, Problem> {
        if let Some(pipeline) = &self.pipeline {
            return Ok(pipeline.clone());
        }
        let checkpoint = self.checkpoint.as_ref().ok_or_else(|| {
            Problem::new(
                "The study has no checkpoint",
                "Open a checkpoint folder in diffusers layout (Ctrl+O), then run again.",
            )
        })?;
        let options = LoadOptions {
            device: self.options.device.open()?,
            storage: self.storage,
            ..LoadOptions::default()
        };
        let loaded = self.pool.install(|| Pipeline::load(checkpoint, &options));
        let pipeline = Arc::new(loaded.map_err(|e| checkpoint_problem(&checkpoint.root, &e))?);
        self.pipeline = Some(pipeline.clone());
        Ok(pipeline)
    }

    /// The pipeline with a variant's edits; the one used last is kept.
    pub fn pipeline_of(&mut self, variant: Option<&Arc<Variant>>) -> Result<Arc<Pipeline>, Problem> {
        let original = self.pipeline()?;
        let Some(variant) = variant else {
            return Ok(original);
        };
        if let Some((known, pipeline)) = &self.edited
            && (Arc::ptr_eq(known, variant) || known == variant)
        {
            return Ok(pipeline.clone());
        }
        let edited = self.pool.install(|| original.with_variant(variant));
        let edited = Arc::new(edited.map_err(|error| {
            Problem::new(
                "This variant cannot be drawn with",
                "Choose a variant made for this checkpoint, or correct its file.",
            )
            .detail(format!("variant: {}", variant.name))
            .detail(error.to_string())
        })?);
        if let Some(problem) = made_for_another(variant, &self.hashes.model) {
            self.notice(problem);
        }
        self.edited = Some((variant.clone(), edited.clone()));
        Ok(edited)
    }
}

/// What to tell when a variant says that it was made for another checkpoint: no error, since checkpoints trained
/// from one another share their layers.
pub fn made_for_another(variant: &Variant, model_hash: &str) -> Option<Problem> {
    let other = !model_hash.is_empty() && variant.is_for_another(model_hash);
    other.then(|| {
        let short = |hash: &str| hash.chars().take(16).collect::<String>();
        Problem::new(
            "This variant was made for another checkpoint",
            "Its edits fit by shape and are applied; whether they mean the same here is for you to judge.",
        )
        .detail(format!("variant: {}", variant.name))
        .detail(format!(
            "made for: {} ({}…)",
            if variant.base.name.is_empty() {
                "no name"
            } else {
                &variant.base.name
            },
            short(variant.base.hash.as_deref().unwrap_or_default())
        ))
        .detail(format!("this checkpoint: {}…", short(model_hash)))
    })
}

/// A card for a checkpoint that cannot be used; the error says what is missing, by name.
pub(super) fn checkpoint_problem(root: &std::path::Path, error: &dyn std::error::Error) -> Problem {
    let mut problem = Problem::new(
        "This checkpoint cannot be used",
        "A Stable Diffusion 1.x or 2.x checkpoint with .safetensors weights is needed: a folder in diffusers layout, or \
         a single file with a folder tokenizer/ beside it.",
    )
    .at(root);
    for line in error.to_string().lines() {
        problem = problem.detail(line.trim());
    }
    problem
}
