//! Opening: what the path is, which part of the study it becomes, and getting that part ready.

use super::{
    CancelToken, Event, JobId, model_hash,
    session::{Session, checkpoint_problem},
    watch::{Watch, outline_of_run},
    worker::Outcome,
};
use crate::{
    diffusion::Checkpoint,
    gallery,
    segmentation::Segmenter,
    store::{self, Recognised, Run, StudyFile},
    study::{Problem, Sampling, SamplingChoice, StudyOutline, Variant},
};
use std::{path::Path, sync::Arc};

impl Session {
    /// Opens a path of any kind; see [`super::Job::Open`].
    pub fn open(&mut self, id: JobId, cancel: &CancelToken, path: &Path) -> Result<Outcome, Problem> {
        let mut notices = Vec::new();
        let mut watched = None;
        let (mut outline, choice) = match store::recognise(path)? {
            Recognised::Run(folder) => {
                let run = watched.insert(Run::open_read(&folder)?);
                outline_of_run(run, read_study, &mut notices)
            }
            Recognised::Variant(file) => return self.add_variant(store::read_variant(&file)?),
            Recognised::Study(folder) => read_study(&folder, &mut notices)?,
            part => (self.with_part(part, &mut notices)?, SamplingChoice::default()),
        };
        let checkpoint = self.check_model(&mut outline, &choice, path, &mut notices)?;
        if outline.segmenter.is_none() {
            outline.segmenter = self.options.default_segmenter.clone();
        }

        self.grouping.cancel();
        self.grouping = CancelToken::default();
        self.watch = None;
        self.shown.clear();
        self.pipeline = None;
        self.edited = None;
        self.segmenter = None;
        self.gallery = None;
        self.checkpoint = checkpoint;
        self.outline = Arc::new(outline);
        self.shelf.open(self.outline.clone());
        self.teller.tell(Event::Opened(self.outline.clone()));
        notices.into_iter().for_each(|n| self.notice(n));

        self.open_segmenter();
        self.take_hashes();
        match watched {
            Some(run) => self.watch_run(run)?,
            None => self.tell_earlier_results(),
        }
        if cancel.is_cancelled() || self.prepare_gallery(id, cancel)? == Outcome::Stopped {
            return Ok(Outcome::Stopped);
        }
        // Whoever watches a run may never draw; then the model is loaded when it is needed.
        if self.checkpoint.is_some() && self.watch.is_none() {
            self.pipeline()?;
        }
        Ok(Outcome::Done)
    }

    /// Takes a variant into the open study, in place of one of the same name.
    fn add_variant(&mut self, variant: Variant) -> Result<Outcome, Problem> {
        let variant = Arc::new(variant);
        let mut outline = StudyOutline::clone(&self.outline);
        outline.variants.retain(|v| v.name != variant.name);
        outline.variants.push(variant.clone());
        self.outline = Arc::new(outline);
        self.teller.tell(Event::Variant(variant));
        Ok(Outcome::Done)
    }

    /// Follows a run from here on.
    fn watch_run(&mut self, run: Run) -> Result<(), Problem> {
        let made_with = run.parameters().gallery.as_deref();
        if let Some(root) = self.outline.gallery_root.clone()
            && made_with.is_some_and(|hash| hash != self.hashes.gallery)
        {
            self.notice(
                Problem::new(
                    "The gallery is not the one this run was compared with",
                    "Training images are found by their names; scores are shown as recorded.",
                )
                .at(root),
            );
        }
        self.show(run.folder());
        let watch = Watch::begin(run, self.outline.clone(), self.shelf.clone(), self.teller.clone());
        self.watch = Some(watch.map_err(|e| {
            Problem::new("The run cannot be watched", "Open it again.").detail(e.to_string())
        })?);
        Ok(())
    }

    /// The open study with one part replaced. A part never changes a study that has a `study.toml`:
    /// then it starts a new, loose study, which further parts join.
    fn with_part(&self, part: Recognised, notices: &mut Vec<Problem>) -> Result<StudyOutline, Problem> {
        let mut outline = if self.outline.root.is_some() {
            StudyOutline {
                name: "Untitled study".into(),
                seeds: vec![0, 1, 2, 3],
                ..Default::default()
            }
        } else {
            StudyOutline::clone(&self.outline)
        };
        if outline.name.is_empty() {
            outline.name = "Untitled study".into();
            outline.seeds = vec![0, 1, 2, 3];
        }
        match part {
            Recognised::Study(_) | Recognised::Variant(_) | Recognised::Run(_) => {}
            Recognised::Checkpoint(path) => {
                // A single file is named without its ending.
                let name = if path.is_file() {
                    path.file_stem()
                } else {
                    path.file_name()
                };
                outline.name = name.unwrap_or_default().to_string_lossy().into_owned();
                outline.model = Some(path);
            }
            Recognised::Gallery(folder) => {
                let scanned = gallery::scan(&folder, None, None)?;
                outline.gallery = scanned.images;
                outline.gallery_root = Some(folder);
                notices.extend(scanned.notices);
            }
            Recognised::Prompts(file) => {
                let (prompts, bad_lines) = store::read_prompts(&file)?;
                outline.prompts = prompts;
                notices.extend(bad_lines);
            }
            Recognised::Segmenter(path) => outline.segmenter = Some(path),
        }
        Ok(outline)
    }

    /// Validates the checkpoint's files. A broken checkpoint fails the opening when it is what was asked
    /// for; inside a study the rest still opens.
    fn check_model(
        &self,
        outline: &mut StudyOutline,
        choice: &SamplingChoice,
        asked: &Path,
        notices: &mut Vec<Problem>,
    ) -> Result<Option<Checkpoint>, Problem> {
        outline.suggested = None;
        let Some(root) = outline.model.clone() else {
            return Ok(None);
        };
        match Checkpoint::open(&root) {
            Ok(checkpoint) => {
                if let Some(problem) = assumptions(&checkpoint) {
                    notices.push(problem);
                }
                let suggested = checkpoint.default_sampling();
                // A loose study keeps what was set while its checkpoint stays.
                if outline.root.is_some() || self.outline.model.as_ref() != Some(&root) {
                    outline.sampling = choice.over(&suggested);
                    if choice.scheduler.is_none() && checkpoint.schedule.own().is_none() {
                        notices.push(foreign_scheduler(&root, &checkpoint, &suggested));
                    }
                }
                outline.suggested = Some(suggested);
                Ok(Some(checkpoint))
            }
            Err(error) if root == asked => Err(checkpoint_problem(&root, &error)),
            Err(error) => {
                notices.push(checkpoint_problem(&root, &error));
                outline.model = None;
                Ok(None)
            }
        }
    }

    fn open_segmenter(&mut self) {
        let Some(path) = self.outline.segmenter.clone() else {
            return;
        };
        match Segmenter::open(&path) {
            Ok(segmenter) => self.segmenter = Some(segmenter),
            Err(error) => self.notice(
                Problem::new(
                    "The segmenter cannot be used",
                    "Pictures are drawn but not judged. Open a U²-Net folder or weights file.",
                )
                .at(path)
                .detail(error.to_string()),
            ),
        }
    }

    /// Hashes the parts, for the run's parameters. A file that cannot be hashed is told; runs are then
    /// named without it.
    fn take_hashes(&mut self) {
        let model = self.checkpoint.as_ref().map(model_hash).transpose();
        let hashed = |result: std::io::Result<Option<String>>| result.map(Option::unwrap_or_default);
        match hashed(model) {
            Ok(hash) => self.hashes.model = hash,
            Err(error) => self.notice(
                Problem::new(
                    "The checkpoint's weights cannot be read",
                    "Check the disk and open it again.",
                )
                .detail(error.to_string()),
            ),
        }
        self.hashes.segmenter = self
            .segmenter
            .as_ref()
            .map(|s| s.weights_hash().to_owned())
            .unwrap_or_default();
        match self.hash_gallery() {
            Ok(hash) => self.hashes.gallery = hash,
            Err(error) => self.notice(
                Problem::new(
                    "The gallery cannot be read completely",
                    "Check the folder and open it again.",
                )
                .detail(error.to_string()),
            ),
        }
    }
}

/// The checkpoint's own scheduler is none of ours: what is drawn instead must be said.
fn foreign_scheduler(root: &Path, checkpoint: &Checkpoint, used: &Sampling) -> Problem {
    Problem::new(
        "The checkpoint's own scheduler is not offered",
        "Choose one in the run settings, or name it in study.toml.",
    )
    .at(root)
    .detail(format!(
        "scheduler/scheduler_config.json: _class_name is {}; pictures are drawn with {}",
        checkpoint.schedule.class,
        used.scheduler.title()
    ))
}

/// What was assumed about a checkpoint that does not say everything itself.
fn assumptions(checkpoint: &Checkpoint) -> Option<Problem> {
    if checkpoint.notes.is_empty() {
        return None;
    }
    let problem = Problem::new(
        "The checkpoint is a single file: parts of its settings are inferred",
        "Check that the assumptions below fit. A folder in diffusers layout says everything itself.",
    );
    let problem = problem.at(&checkpoint.root);
    Some(
        checkpoint
            .notes
            .iter()
            .fold(problem, |p, note| p.detail(note.clone())),
    )
}

/// Reads `study.toml` and everything it names; a part that cannot be read is told, the rest opens.
fn read_study(folder: &Path, notices: &mut Vec<Problem>) -> Result<(StudyOutline, SamplingChoice), Problem> {
    let file = StudyFile::read(folder)?;
    notices.extend(file.notices.iter().cloned());
    let mut images = Vec::new();
    if let Some(path) = &file.gallery {
        match gallery::scan(path, file.captions.as_deref(), file.mattes.as_deref()) {
            Ok(scanned) => {
                images = scanned.images;
                notices.extend(scanned.notices);
            }
            Err(problem) => notices.push(problem),
        }
    }
    let mut prompts = Vec::new();
    if let Some(path) = &file.prompts {
        match store::read_prompts(path) {
            Ok((read, bad_lines)) => {
                prompts = read;
                notices.extend(bad_lines);
            }
            Err(problem) => notices.push(problem),
        }
    }
    let mut variants = Vec::new();
    for path in &file.variants {
        match store::read_variant(path) {
            Ok(variant) => variants.push(Arc::new(variant)),
            Err(problem) => notices.push(problem),
        }
    }
    Ok((file.outline(images, prompts, variants), file.sampling))
}
