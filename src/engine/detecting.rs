//! The detecting thread: how well signs of memorization tell, for the window.

use super::{Event, teller::Teller};
use crate::{
    memorization::detection::{Detection, DetectionSettings, Observed, detect},
    study::{Generation, Verdict},
};
use crossbeam_channel::Receiver;
use std::sync::Arc;

/// Pictures whose signals are to be judged, as the window holds them.
#[derive(Clone, Debug)]
pub struct DetectionRequest {
    /// Comes back with the answer.
    pub stamp: u64,
    /// Pictures, and what each is held to be.
    pub pictures: Vec<(Arc<Generation>, Verdict)>,
}

/// Answer to a [`DetectionRequest`].
#[derive(Clone, Debug)]
pub struct Detected {
    /// The request's.
    pub stamp: u64,
    /// What came out.
    pub detection: Detection,
}

/// Answers until the sender is dropped; of waiting requests only the newest.
pub(super) fn serve(requests: &Receiver<DetectionRequest>, teller: &Teller) {
    while let Ok(request) = requests.recv() {
        let request = requests.try_iter().last().unwrap_or(request);
        let seen: Vec<Observed<'_>> = request
            .pictures
            .iter()
            .map(|(g, class)| Observed::new(g.key, *class, &g.noise_norm, g.signals.as_deref()))
            .collect();
        teller.tell(Event::Detected(Arc::new(Detected {
            stamp: request.stamp,
            detection: detect(&seen, &DetectionSettings::default()),
        })));
    }
}
