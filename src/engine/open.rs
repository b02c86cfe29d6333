//! Opening: what the path is, which part of the study it becomes, and getting that part ready.

use super::{
    CancelToken, Event, JobId, ModelFacts, Room, fetch_advice, model_hash,
    session::{Session, checkpoint_problem},
    watch::{Watch, outline_of_run},
    weight_places,
    worker::Outcome,
};
use crate::{
    diffusion::{Checkpoint, MemoryEstimate},
    fetch, gallery,
    segmentation::Segmenter,
    store::{self, Recognised, Run, StudyFile},
    study::{Generation, Problem, Sampling, SamplingChoice, StudyOutline, Variant},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Weights that answer clicks where a study names none.
const CLICKER: &str = "mobilesam";

/// What was read of a path, before it becomes the open study.
struct Opened {
    outline: StudyOutline,
    choice: SamplingChoice,
    /// Whether `choice` counts whatever was set before.
    whole: bool,
    notices: Vec<Problem>,
    /// The run to follow.
    watched: Option<Run>,
}

impl Session {
    /// Opens a path of any kind; see [`super::Job::Open`].
    pub fn open(&mut self, id: JobId, cancel: &CancelToken, path: &Path) -> Result<Outcome, Problem> {
        let mut notices = Vec::new();
        let recognised = store::recognise(path)?;
        let whole = matches!(recognised, Recognised::Study(_) | Recognised::Run(_));
        let mut watched = None;
        let (outline, choice) = match recognised {
            // Beside what is open, unless that shows the run already: then the run itself is meant.
            Recognised::Run(folder) if !self.outline.name.is_empty() && !self.shown.contains(&folder) => {
                return self.add_run(&folder);
            }
            Recognised::Run(folder) => {
                let run = watched.insert(Run::open_read(&folder)?);
                outline_of_run(run, read_study, &mut notices)
            }
            Recognised::Variant(file) => return self.add_variant(store::read_variant(&file)?),
            Recognised::ClickSegmenter(file) => return self.add_clicker(&file),
            Recognised::Labels(file) => return self.open_labels(&file),
            Recognised::Band(file) => return self.open_band(&file),
            Recognised::Scores(file) => return self.open_table(id, cancel, &file),
            Recognised::Generated(folder) => return self.survey(&folder),
            Recognised::Gallery(folder) => return self.open_gallery(id, cancel, folder),
            Recognised::Study(folder) => read_study(&folder, &mut notices)?,
            part => (self.with_part(part, &mut notices)?, SamplingChoice::default()),
        };
        let opened = Opened {
            outline,
            choice,
            whole,
            notices,
            watched,
        };
        self.get_ready(id, cancel, path, opened)
    }

    /// Opens a folder of images as the gallery. Of an open score table it shows the training images.
    pub fn open_gallery(
        &mut self,
        id: JobId,
        cancel: &CancelToken,
        folder: PathBuf,
    ) -> Result<Outcome, Problem> {
        let mut notices = Vec::new();
        if let Some(table) = self.table.clone() {
            let scanned = gallery::scan(&folder, None, None)?;
            scanned.notices.into_iter().for_each(|n| self.notice(n));
            let mut outline = StudyOutline::clone(&self.outline);
            outline.gallery = scanned.images;
            outline.gallery_root = Some(folder);
            outline.mattes = None;
            self.outline = Arc::new(outline);
            return self.open_table(id, cancel, &table);
        }
        let path = folder.clone();
        let outline = self.with_part(Recognised::Gallery(folder), &mut notices)?;
        let opened = Opened {
            outline,
            choice: SamplingChoice::default(),
            whole: false,
            notices,
            watched: None,
        };
        self.get_ready(id, cancel, &path, opened)
    }

    /// Takes the mattes of the training images from a folder, or from the segmenter; see [`super::Job::Mattes`]. What
    /// was compared before stays in its own run.
    pub(super) fn take_mattes(
        &mut self,
        id: JobId,
        cancel: &CancelToken,
        folder: Option<PathBuf>,
    ) -> Result<Outcome, Problem> {
        let root = self.outline.gallery_root.clone().filter(|_| self.table.is_none());
        let Some(root) = root.filter(|_| !self.outline.gallery.is_empty()) else {
            let problem = Problem::new(
                "There are no training images that masks could belong to",
                "Open a study or a folder of training images first, then choose the masks again.",
            );
            return Err(match folder {
                Some(folder) => problem.at(folder),
                None => problem,
            });
        };
        let mut outline = StudyOutline::clone(&self.outline);
        let mut notices = Vec::new();
        match &folder {
            Some(folder) => notices.extend(gallery::take_mattes(&mut outline.gallery, &root, folder)?),
            None => outline.gallery.iter_mut().for_each(|image| image.matte = None),
        }
        outline.mattes = folder;
        let opened = Opened {
            outline,
            choice: SamplingChoice::default(),
            whole: false,
            notices,
            watched: None,
        };
        self.get_ready(id, cancel, &root, opened)
    }

    /// Forgets everything of the study that was open.
    pub(super) fn close(&mut self) {
        self.grouping.cancel();
        self.grouping = CancelToken::default();
        self.watch = None;
        self.beside.clear();
        self.shown.clear();
        self.checkpoint = None;
        self.pipeline = None;
        self.edited = None;
        self.segmenter = None;
        self.clicker = None;
        self.gallery = None;
        self.shelf.set_comparer(None);
        self.embedded = None;
        self.approximate = None;
        self.hashes = super::session::Hashes::default();
        self.table = None;
        self.pushed = None;
        self.skipped.clear();
    }

    /// Makes an outline the open study: models, hashes, earlier results, gallery.
    fn get_ready(
        &mut self,
        id: JobId,
        cancel: &CancelToken,
        path: &Path,
        opened: Opened,
    ) -> Result<Outcome, Problem> {
        let Opened {
            mut outline,
            choice,
            whole,
            mut notices,
            watched,
        } = opened;
        let checkpoint = self.check_model(&mut outline, (&choice, whole), path, &mut notices)?;
        if outline.segmenter.is_none() {
            outline.segmenter = self.options.default_segmenter.clone();
        }
        let weights = weight_places();
        if outline.click_segmenter.is_none() {
            // Whoever has fetched it wants to click.
            let found = fetch::model(CLICKER).and_then(|model| weights.find(model));
            outline.click_segmenter = found.map(|f| f.path);
        }
        for path in [
            &mut outline.segmenter,
            &mut outline.click_segmenter,
            &mut outline.embedder,
        ] {
            *path = path.take().map(|p| weights.resolve(&p));
        }

        self.close();
        self.checkpoint = checkpoint;
        self.outline = Arc::new(outline);
        self.shelf.open(self.outline.clone());
        self.teller.tell(Event::Opened(self.outline.clone()));
        self.storage = self.outline.sampling.weights;
        let facts = self.model_facts().map(Arc::new);
        if let Some(facts) = &facts {
            self.teller.tell(Event::Model(facts.clone()));
        }
        notices.into_iter().for_each(|n| self.notice(n));

        self.open_segmenter();
        self.take_hashes();
        match watched {
            Some(run) => self.watch_run(run)?,
            None => {
                let outline = self.outline.clone();
                self.tell_earlier_results(&outline.sampling, None);
            }
        }
        if cancel.is_cancelled() || self.prepare_gallery(id, cancel)? == Outcome::Stopped {
            return Ok(Outcome::Stopped);
        }
        if self.give_masks_to(id, cancel, None)? == Outcome::Stopped {
            return Ok(Outcome::Stopped);
        }
        if let Some(facts) = facts {
            // Weights that do not fit are not read before somebody asks for a picture.
            let estimate = facts.estimate(&self.outline.sampling);
            match facts.room(&estimate) {
                Room::None => self.notice(no_room(&facts, &estimate)),
                // Whoever watches a run may never draw; then the model is loaded when it is needed.
                Room::Enough | Room::Tight if self.watch.is_some() => {}
                Room::Enough | Room::Tight => drop(self.pipeline()?),
            }
        }
        Ok(Outcome::Done)
    }

    /// Writes a variant; see [`super::Job::SaveVariant`].
    pub(super) fn save_variant(&mut self, path: &Path, variant: &Variant) -> Result<Outcome, Problem> {
        // The folder of a study's variants need not be there yet.
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|e| Problem::io("The variant cannot be written", folder, &e))?;
        }
        store::write_variant(path, variant)?;
        self.add_variant(variant.clone())
    }

    /// Takes a variant into the open study, in place of one of the same name.
    pub(super) fn add_variant(&mut self, variant: Variant) -> Result<Outcome, Problem> {
        let variant = Arc::new(variant);
        let mut outline = StudyOutline::clone(&self.outline);
        outline.variants.retain(|v| v.name != variant.name);
        outline.variants.push(variant.clone());
        self.outline = Arc::new(outline);
        self.teller.tell(Event::Variant(variant));
        Ok(Outcome::Done)
    }

    /// Takes weights of SAM or MobileSAM into the open study.
    fn add_clicker(&mut self, file: &Path) -> Result<Outcome, Problem> {
        let mut outline = StudyOutline::clone(&self.outline);
        outline.click_segmenter = Some(file.to_owned());
        let before = std::mem::replace(&mut self.outline, Arc::new(outline));
        match self.take_clicker() {
            Ok(clicker) => {
                self.teller.tell(Event::ClickSegmenter(clicker.describe()));
                self.clicker = Some(clicker);
                Ok(Outcome::Done)
            }
            Err(problem) => {
                self.outline = before;
                Err(problem)
            }
        }
    }

    /// Tells the pictures of another run beside those of the open study, under a name of their own.
    fn add_run(&mut self, folder: &Path) -> Result<Outcome, Problem> {
        let run = Run::open_read(folder)?;
        let parameters = run.parameters();
        if parameters.arithmetic != self.outline.arithmetic {
            return Err(Problem::new(
                "This run was scored with another arithmetic than the open study",
                "Scores of different arithmetics are never mixed: open the run's own study.",
            )
            .at(folder)
            .detail(format!(
                "the run has {}, the study {}",
                parameters.arithmetic, self.outline.arithmetic
            )));
        }
        run.notices().iter().for_each(|n| self.notice(n.clone()));
        let stem = folder.file_name().unwrap_or_default().to_string_lossy();
        let name: Arc<str> = match &parameters.variant {
            Some(variant) => format!("run {stem}, {}", variant.name),
            None => format!("run {stem}"),
        }
        .into();
        self.teller.tell(Event::Run {
            name: name.clone(),
            sampling: parameters.sampling.clone(),
        });
        let differences = self.other_than_study(parameters);
        if !differences.is_empty() {
            let mut problem = Problem::new(
                "This run differs from the study in more than its variant",
                "Compare with care: what changed may not come from the variant.",
            )
            .at(folder);
            problem.details = differences;
            self.notice(problem);
        }
        for generation in self.held_by(&run).into_values() {
            self.tell_judged(Generation {
                variant: Some(name.clone()),
                ..generation
            });
        }
        self.show(folder);
        let watch = self.follow(run, Some(name))?;
        self.beside.push(watch);
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
        self.watch = Some(self.follow(run, None)?);
        Ok(())
    }

    /// Tells what is added to a run; of one without a name of its own also what it holds.
    fn follow(&self, run: Run, name: Option<Arc<str>>) -> Result<Watch, Problem> {
        let watch = Watch::begin(run, name, &self.outline, self.shelf.clone(), self.teller.clone());
        watch.map_err(|e| Problem::new("The run cannot be watched", "Open it again.").detail(e.to_string()))
    }

    /// The open study with one part replaced. A part never changes a study that has a `study.toml`:
    /// then it starts a new, loose study, which further parts join. Only a segmenter joins any study: its results
    /// go into a run of their own.
    fn with_part(&self, part: Recognised, notices: &mut Vec<Problem>) -> Result<StudyOutline, Problem> {
        // Names of a score table's training images are no gallery.
        let joins = matches!(part, Recognised::Segmenter(_)) && self.table.is_none();
        let mut outline = if (self.outline.root.is_some() || self.table.is_some()) && !joins {
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
            Recognised::Study(_)
            | Recognised::Run(_)
            | Recognised::Variant(_)
            | Recognised::Labels(_)
            | Recognised::Band(_)
            | Recognised::Scores(_)
            | Recognised::Generated(_)
            | Recognised::ClickSegmenter(_) => {}
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
                outline.mattes = None;
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
        (choice, whole): (&SamplingChoice, bool),
        asked: &Path,
        notices: &mut Vec<Problem>,
    ) -> Result<Option<Checkpoint>, Problem> {
        outline.suggested = None;
        let Some(root) = outline.model.clone() else {
            return Ok(None);
        };
        match Checkpoint::open(&root) {
            Ok(checkpoint) => {
                notices.extend(assumptions(&checkpoint));
                notices.extend(overrides(&checkpoint));
                let suggested = checkpoint.default_sampling();
                // With another part, what was set stays while the checkpoint stays.
                if whole || self.outline.model.as_ref() != Some(&root) {
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
        match Segmenter::open_for(&path, self.outline.arithmetic) {
            Ok(segmenter) => {
                self.teller.tell(Event::Segmenter(segmenter.describe()));
                self.segmenter = Some(segmenter);
            }
            Err(error) => self.notice(
                Problem::new(
                    "The segmenter cannot be used",
                    fetch_advice(&path).unwrap_or_else(|| {
                        "Pictures are drawn but not judged. Open weights of U²-Net, IS-Net or BiRefNet."
                            .into()
                    }),
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
        "the checkpoint names {}; pictures are drawn with {}",
        checkpoint.schedule.class,
        used.scheduler.title()
    ))
}

/// What is overridden in a checkpoint's files.
fn overrides(checkpoint: &Checkpoint) -> Option<Problem> {
    let problem = Problem::new(
        "Some of the checkpoint's settings are outdated and overridden",
        "Nothing is to be done: diffusers' StableDiffusionPipeline overrides them too, and draws the same pictures.",
    )
    .at(&checkpoint.root);
    let told = checkpoint.overrides.iter();
    (!checkpoint.overrides.is_empty()).then(|| told.fold(problem, |p, line| p.detail(line.clone())))
}

/// The machine is too small for a checkpoint.
fn no_room(facts: &ModelFacts, estimate: &MemoryEstimate) -> Problem {
    Problem::new(
        "This checkpoint needs more memory than the machine has",
        "Its weights are read only when pictures are drawn. Choose a smaller size, or hold the weights as stored.",
    )
    .detail(format!("needed: {estimate}"))
    .detail(facts.machine.map_or_else(String::new, |m| format!("the machine has: {}", m.total_words())))
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
