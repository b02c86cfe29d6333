//! The front desk of the engine: hands in work, hands out events. Cheap to call from the UI thread.

use super::{
    CancelToken, ComparisonRequest, DetectionRequest, Event, Job, JobId, PairRequest, PartnersRequest,
    RegionRequest, RevealRequest, Small,
};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

/// A job on its way into the engine.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// The job's number.
    pub id: JobId,
    /// Stops it.
    pub cancel: CancelToken,
    /// The work.
    pub job: Job,
}

/// Something small to look at, answered beside the running job.
#[derive(Clone, Debug)]
pub enum ViewRequest {
    /// Answered by [`Event::Pair`]; a newer request replaces an older one of the same place that was not begun.
    Pair(PairRequest),
    /// Answered by an [`Event::Partner`] each, after pairs; a newer request ends an older one.
    Partners(PartnersRequest),
    /// Small pictures that are in view and missing, most wanted first; each is answered by [`Event::Thumbnail`]. The
    /// list takes the place of the former one: what it does not name and was not begun is not made.
    Thumbnails(Vec<Small>),
    /// The layout of the window kept for the study in this folder: answered by [`Event::Layout`] where there is one.
    Layout(PathBuf),
    /// Keep a layout of the window for the study in this folder.
    KeepLayout(PathBuf, String),
    /// Answered by [`Event::Compared`]; a newer request replaces an older one that was not begun.
    Compare(ComparisonRequest),
    /// Answered by [`Event::Rescored`]; a newer request replaces an older one of the same picture that was not begun.
    Region(RegionRequest),
    /// Answered by [`Event::Detected`]; a newer request replaces an older one that was not begun.
    Detect(DetectionRequest),
    /// An animation to write; answered by [`Event::Written`].
    Reveal(Box<RevealRequest>),
}

/// The caller's end of the engine. Dropping it ends the engine after the step it is in.
#[derive(Debug)]
pub struct EngineHandle {
    jobs: Sender<Ticket>,
    views: Sender<ViewRequest>,
    events: Receiver<Event>,
    next: AtomicU64,
}

/// The engine's end: what an engine (or a test in its place) receives and sends.
#[derive(Debug)]
pub struct EngineSide {
    /// Work handed in.
    pub jobs: Receiver<Ticket>,
    /// Things to look at.
    pub views: Receiver<ViewRequest>,
    /// What the engine tells.
    pub events: Sender<Event>,
}

impl EngineHandle {
    /// Both ends, with nothing between them yet.
    pub fn pair() -> (Self, EngineSide) {
        let (jobs, jobs_in) = unbounded();
        let (views, views_in) = unbounded();
        let (events_out, events) = unbounded();
        (
            Self {
                jobs,
                views,
                events,
                next: AtomicU64::new(1),
            },
            EngineSide {
                jobs: jobs_in,
                views: views_in,
                events: events_out,
            },
        )
    }

    /// Hands in a job. Jobs run one after the other, in this order.
    pub fn submit(&self, job: Job) -> (JobId, CancelToken) {
        let id = JobId(self.next.fetch_add(1, Ordering::Relaxed));
        let cancel = CancelToken::default();
        // A closed channel means the engine is gone; the caller then simply hears no more events.
        self.jobs
            .send(Ticket {
                id,
                cancel: cancel.clone(),
                job,
            })
            .ok();
        (id, cancel)
    }

    /// Asks for something to look at.
    pub fn view(&self, request: ViewRequest) {
        self.views.send(request).ok();
    }

    /// What the engine told since the last look.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }
}
