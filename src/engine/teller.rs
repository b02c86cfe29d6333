//! The engine's voice: sends events and wakes the listener.

use super::{Event, JobId, JobKind, Progress, eta::Eta};
use crossbeam_channel::Sender;
use std::sync::Arc;

/// Called after every event, from any engine thread; a window asks for a repaint here.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Sends events. Cheap to clone.
#[derive(Clone)]
pub struct Teller {
    events: Sender<Event>,
    wake: Wake,
}

impl Teller {
    /// A voice into this channel.
    pub fn new(events: Sender<Event>, wake: Wake) -> Self {
        Self { events, wake }
    }

    /// Tells one thing. A listener that is gone hears nothing; the engine ends by its closed inbox.
    pub fn tell(&self, event: Event) {
        self.events.send(event).ok();
        (self.wake)();
    }

    /// A progress line for a job of `total` units.
    pub fn progress(&self, id: JobId, kind: JobKind, total: usize) -> ProgressLine {
        ProgressLine {
            teller: self.clone(),
            id,
            kind,
            total,
            eta: Eta::new(total as f64),
        }
    }
}

/// Reports how far one piece of work is.
pub struct ProgressLine {
    teller: Teller,
    id: JobId,
    kind: JobKind,
    total: usize,
    eta: Eta,
}

impl ProgressLine {
    /// `done` units are done; a fraction counts for the time left.
    pub fn at(&mut self, done: f64) {
        let left = self.eta.left(done);
        self.teller.tell(Event::Progress(
            self.id,
            Progress {
                kind: self.kind,
                done: done as usize,
                total: self.total,
                left,
            },
        ));
    }
}
