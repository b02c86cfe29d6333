//! The engine's threads: one that works through the jobs, one that answers looks, and a short-lived one
//! that groups a gallery.

use super::{
    DeviceChoice, EngineSide, Event, Job, JobId, Ticket, comparing, detecting, device_words,
    pool::{compute_pool, lower_priority},
    regions,
    session::Session,
    shelf::Shelf,
    small::Wanted,
    teller::{Teller, Wake},
    views,
};
use crate::study::Problem;
use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    thread,
};

/// How an engine runs.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Compute threads; 0 means one per core.
    pub threads: usize,
    /// Folder of the run to write; `None` keeps runs inside the study (or, where that is read-only or
    /// the study has no folder, in the user's data folder).
    pub run_folder: Option<PathBuf>,
    /// Segmenter for studies that name none.
    pub default_segmenter: Option<PathBuf>,
    /// Where pictures are drawn.
    pub device: DeviceChoice,
}

/// How a job ended, when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is done.
    Done,
    /// Stopped as asked; what was finished is on disk.
    Stopped,
}

/// Starts the engine's threads on their end of the channels. They end when the handle is dropped.
///
/// # Errors
/// When the operating system refuses to start threads.
pub fn start(side: EngineSide, options: EngineOptions, wake: Wake) -> io::Result<()> {
    let EngineSide { jobs, views, events } = side;
    let teller = Teller::new(events, wake);
    let shelf = Shelf::default();
    let pool = Arc::new(compute_pool(options.threads).map_err(io::Error::other)?);

    let (to_comparing, comparisons) = crossbeam_channel::unbounded();
    let voice = teller.clone();
    thread::Builder::new().name("comparing".into()).spawn(move || {
        lower_priority();
        comparing::serve(&comparisons, &voice);
    })?;

    let (to_regions, edits) = crossbeam_channel::unbounded();
    let (looks, voice, threads) = (shelf.clone(), teller.clone(), pool.clone());
    thread::Builder::new()
        .name("regions".into())
        .spawn(move || regions::serve(&edits, &looks, &threads, &voice))?;

    let (to_detecting, detections) = crossbeam_channel::unbounded();
    let voice = teller.clone();
    thread::Builder::new().name("detecting".into()).spawn(move || {
        lower_priority();
        detecting::serve(&detections, &voice);
    })?;

    let small = Wanted::default();
    small.start(&shelf, &teller)?;
    let (looks, voice) = (shelf.clone(), teller.clone());
    thread::Builder::new().name("views".into()).spawn(move || {
        views::serve(
            &views,
            &to_comparing,
            &to_regions,
            &to_detecting,
            &small,
            &looks,
            &voice,
        )
    })?;

    thread::Builder::new().name("engine".into()).spawn(move || {
        lower_priority();
        teller.tell(Event::Device(device_words(options.device)));
        let mut session = Session::new(options, pool, shelf, teller.clone());
        for Ticket { id, cancel, job } in jobs {
            teller.tell(Event::Started(id));
            let result = if cancel.is_cancelled() {
                Ok(Outcome::Stopped)
            } else {
                catch_unwind(AssertUnwindSafe(|| match job {
                    Job::Open(path) => session.open(id, &cancel, &path),
                    Job::Generate(job) => session.generate(id, &cancel, &job),
                    Job::OpenGallery(folder) => session.open_gallery(id, &cancel, folder),
                    Job::Mattes(folder) => session.take_mattes(id, &cancel, folder),
                    Job::GeneratedMattes(folder) => session.take_generated_mattes(id, &cancel, folder),
                    Job::Survey(folder) => session.survey(&folder),
                    Job::Import(job) => session.import(id, &cancel, &job),
                    Job::Calibrate => session.calibrate(id, &cancel),
                    Job::Refine(job) => session.refine(id, &cancel, &job),
                    Job::Repeats(within) => session.repeats(id, &cancel, within),
                    Job::Map => session.map(id, &cancel),
                    Job::Take(job) => session.take(id, &cancel, &job),
                    Job::Locate(job) => session.locate(id, &cancel, &job),
                    Job::EarlierResults { sampling, variant } => {
                        session.tell_earlier_results(&sampling, variant.as_deref());
                        session.give_masks_to(id, &cancel, variant.as_ref().map(|v| v.name.as_str()))
                    }
                    Job::SaveVariant(path, variant) => session.save_variant(&path, &variant),
                    Job::Report(job) => session.report(id, &cancel, &job),
                }))
                .unwrap_or_else(|panic| {
                    session.forget_models();
                    Err(panic_problem(&*panic))
                })
            };
            teller.tell(closing(id, result));
        }
    })?;
    Ok(())
}

fn closing(id: JobId, result: Result<Outcome, Problem>) -> Event {
    match result {
        Ok(Outcome::Done) => Event::Finished(id),
        Ok(Outcome::Stopped) => Event::Cancelled(id),
        Err(problem) => Event::Failed(id, problem),
    }
}

fn panic_problem(panic: &(dyn Any + Send)) -> Problem {
    let message = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Problem::new(
        "The engine stumbled over an error of its own and was restarted",
        "The study and everything on disk are intact. Try again; if it happens again, please report it \
         with the message above.",
    )
    .detail(message)
}
