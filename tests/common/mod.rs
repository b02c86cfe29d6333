//! Drives the real engine from a test, as the window does.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test binary uses its own part, and may fail where it stands"
)]

pub mod stand_in;
pub mod tensors;

use pentimento::{
    engine::{self, EngineHandle, EngineOptions, Event, Job, JobId},
    study::Problem,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// The demo study of the repository.
pub fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo")
}

/// An engine that writes its run into `run`.
pub fn engine(run: &Path) -> EngineHandle {
    let (handle, side) = EngineHandle::pair();
    let options = EngineOptions {
        threads: 0,
        run_folder: Some(run.to_owned()),
        default_segmenter: Some(demo().join("segmenter")),
        ..EngineOptions::default()
    };
    engine::start(side, options, Arc::new(|| {})).unwrap();
    handle
}

/// How a job ended.
#[derive(Debug)]
pub enum Ending {
    Finished,
    Cancelled,
    Failed(Problem),
}

/// Submits a job and hands every event to `see` until it ends.
pub fn follow(handle: &EngineHandle, job: Job, see: &mut dyn FnMut(&Event)) -> Ending {
    let (id, _) = handle.submit(job);
    follow_id(handle, id, see)
}

/// Hands every event to `see` until the job ends.
pub fn follow_id(handle: &EngineHandle, job: JobId, see: &mut dyn FnMut(&Event)) -> Ending {
    let deadline = Instant::now() + Duration::from_secs(3600);
    loop {
        let event = handle
            .events()
            .recv_deadline(deadline)
            .expect("the engine went silent");
        see(&event);
        match event {
            Event::Finished(id) if id == job => return Ending::Finished,
            Event::Cancelled(id) if id == job => return Ending::Cancelled,
            Event::Failed(id, problem) if id == job => return Ending::Failed(problem),
            _ => {}
        }
    }
}
