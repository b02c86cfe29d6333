//! Watching a run that grows, perhaps written by another machine into a shared folder: a thread of its own looks
//! for new records and tells them like pictures drawn here.

use super::{
    CancelToken, Event,
    runs::{small, tell_judged},
    shelf::Shelf,
    teller::Teller,
};
use crate::{
    gallery,
    store::{GalleryNames, Run, STUDY_FILE},
    study::{GalleryImage, Problem, Prompt, SamplingChoice, StudyOutline},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Time between two looks at the run's folder.
const PAUSE: Duration = Duration::from_millis(500);
/// Time between two looks at whether to stop.
const NAP: Duration = Duration::from_millis(50);
/// Folders above a run in which its study is looked for.
const ABOVE: usize = 4;

/// A run being watched. Dropping it ends the watching before it returns.
pub(super) struct Watch {
    stop: CancelToken,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Tells what the run holds, then what is added to it. Of a run that goes by a `name` beside the study only what is
    /// added.
    pub fn begin(
        run: Run,
        name: Option<Arc<str>>,
        outline: &StudyOutline,
        shelf: Shelf,
        teller: Teller,
    ) -> io::Result<Self> {
        let stop = CancelToken::default();
        let names = if outline.gallery_root.is_some() {
            GalleryNames::new(&outline.gallery)
        } else {
            GalleryNames::growing(&outline.gallery)
        };
        let (told, noticed) = match name {
            Some(_) => (run.records().len(), run.notices().len()),
            None => (0, 0),
        };
        let watcher = Watcher {
            run,
            name,
            told,
            noticed,
            names,
            shelf,
            teller,
            stop: stop.clone(),
        };
        let thread = thread::Builder::new()
            .name("watch".into())
            .spawn(move || watcher.work())?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A watcher that panicked has nothing more to say.
            thread.join().ok();
        }
    }
}

struct Watcher {
    run: Run,
    /// What the pictures' variant is called, in place of the run's own name for it.
    name: Option<Arc<str>>,
    /// Records and notices that were told.
    told: usize,
    noticed: usize,
    names: GalleryNames,
    shelf: Shelf,
    teller: Teller,
    stop: CancelToken,
}

impl Watcher {
    fn work(mut self) {
        let (mut told, mut noticed) = (self.told, self.noticed);
        let mut trouble = None;
        loop {
            for notice in self.run.notices().iter().skip(noticed) {
                self.teller.tell(Event::Notice(notice.clone()));
            }
            noticed = self.run.notices().len();
            // Fewer than before: the records were replaced by others.
            told = told.min(self.run.records().len());
            while told < self.run.records().len() {
                if self.stop.is_cancelled() {
                    return;
                }
                let record = &self.run.records()[told..=told];
                for mut generation in self.run.generations_of(record, &mut self.names, small) {
                    if self.name.is_some() {
                        generation.variant.clone_from(&self.name);
                    }
                    tell_judged(&self.shelf, &self.teller, generation);
                }
                told += 1;
            }
            let next = Instant::now() + PAUSE;
            while Instant::now() < next {
                if self.stop.is_cancelled() {
                    return;
                }
                thread::sleep(NAP);
            }
            // One trouble is told once, and again after it was over.
            let now = self.look().err();
            if now != trouble
                && let Some(problem) = &now
            {
                self.teller.tell(Event::Notice(problem.clone()));
            }
            trouble = now;
        }
    }

    fn look(&mut self) -> Result<(), Problem> {
        if !self.run.folder().is_dir() {
            return Err(Problem::new(
                "The folder of the run is gone",
                "What it held so far stays in view. It is read again when it comes back.",
            )
            .at(self.run.folder()));
        }
        self.run.refresh().map(|_| ())
    }
}

/// The study a run belongs to, ready to be opened: the one that is named in the run, or lies above it. Without
/// one, what the run itself says.
pub(super) fn outline_of_run(
    run: &Run,
    read_study: impl Fn(&Path, &mut Vec<Problem>) -> Result<(StudyOutline, SamplingChoice), Problem>,
    notices: &mut Vec<Problem>,
) -> (StudyOutline, SamplingChoice) {
    let parameters = run.parameters();
    let study = study_of(run).and_then(|folder| match read_study(&folder, notices) {
        Ok(study) => Some(study),
        Err(problem) => {
            notices.push(problem);
            None
        }
    });
    let (mut outline, _) = study.unwrap_or_else(|| {
        let outline = StudyOutline {
            name: parameters.study.clone(),
            ..StudyOutline::default()
        };
        (outline, SamplingChoice::default())
    });
    if outline.gallery.is_empty() {
        (outline.gallery, outline.gallery_root) = loose_gallery(run, notices);
    }
    // Prompts of the run that the study's list does not hold, or no longer.
    let mut prompts: BTreeMap<u32, Prompt> = outline.prompts.drain(..).map(|p| (p.index, p)).collect();
    for record in run.records() {
        let known = prompts.entry(record.key.prompt).or_insert_with(|| Prompt {
            index: record.key.prompt,
            text: record.prompt.clone(),
            group: None,
        });
        if known.text != record.prompt {
            known.text.clone_from(&record.prompt);
            known.group = None;
        }
    }
    outline.prompts = prompts.into_values().collect();
    let seeds: BTreeSet<u64> = run.records().iter().map(|r| r.key.seed).collect();
    if !seeds.is_empty() {
        outline.seeds = seeds.into_iter().collect();
    }
    outline.sampling = parameters.sampling.clone();
    outline.arithmetic = parameters.arithmetic;
    outline.thresholds = parameters.thresholds;
    (outline, SamplingChoice::from(&parameters.sampling))
}

fn study_of(run: &Run) -> Option<PathBuf> {
    let above = run.folder().ancestors().skip(1).take(ABOVE).map(Path::to_owned);
    let named = run.parameters().places.study.clone();
    named
        .into_iter()
        .chain(above)
        .find(|folder| folder.join(STUDY_FILE).is_file())
}

/// The training images where the run says they are; else only their names, as far as the records tell them.
fn loose_gallery(run: &Run, notices: &mut Vec<Problem>) -> (Vec<GalleryImage>, Option<PathBuf>) {
    if let Some(folder) = run.parameters().places.gallery.clone().filter(|f| f.is_dir()) {
        match gallery::scan(&folder, None, None) {
            Ok(scanned) => {
                notices.extend(scanned.notices);
                return (scanned.images, Some(folder));
            }
            Err(problem) => notices.push(problem),
        }
    }
    let names: BTreeSet<&str> = run
        .records()
        .iter()
        .flat_map(|r| r.matches.iter().map(|m| m.name.as_str()))
        .collect();
    if !names.is_empty() {
        notices.push(
            Problem::new(
                "The training images of this run are not at hand",
                "Scores and classes are shown without them. Open the study of the run to see the images.",
            )
            .at(run.folder()),
        );
    }
    let images = names.into_iter().map(|name| GalleryImage {
        path: name.into(),
        matte: None,
        caption: None,
    });
    (images.collect(), None)
}
