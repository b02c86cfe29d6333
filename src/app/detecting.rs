//! How well signs of memorization tell: what the window asks for and shows of it.

use super::state::State;
use crate::{
    engine::{Detected, DetectionRequest},
    memorization::detection::{Positive, Signal},
    study::Verdict,
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalsShown {
    /// The Calibration pane shows signals instead of scores.
    pub on: bool,
    /// Step of the curves, counted from 0; the mean over all steps if `None`.
    pub step: Option<usize>,
    /// Which pictures are told from NM.
    pub positive: Positive,
    /// The signal that a step is chosen for.
    pub signal: Signal,
}

impl Default for SignalsShown {
    fn default() -> Self {
        Self {
            on: false,
            step: Some(0),
            positive: Positive::Any,
            signal: Signal::NoiseNorm,
        }
    }
}

/// Signals in the window.
#[derive(Debug, Default)]
pub struct Detecting {
    /// What is shown.
    pub shown: SignalsShown,
    /// The newest answer.
    pub result: Option<Arc<Detected>>,
    /// Stamp of the request that was sent last.
    pub asked: Option<u64>,
}

impl State {
    /// Whether signals are judged by labels instead of verdicts.
    pub fn judged_by_labels(&self) -> bool {
        self.study
            .generations()
            .any(|g| self.label(g.key).is_some_and(|l| l.verdict().is_some()))
    }

    /// What to ask for, when signals are shown, what is known is not up to date and no answer is awaited.
    pub fn wished_detection(&self) -> Option<DetectionRequest> {
        let answered = self.signals.result.as_ref().map(|r| r.stamp);
        if !self.signals.shown.on
            || self.study.is_empty()
            || (self.signals.asked.is_some() && self.signals.asked != answered)
        {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        let t = &self.thresholds;
        let labels = self.labels.as_ref().map_or(0, |l| Arc::as_ptr(l) as usize);
        (
            self.study.version(),
            t.foreground.to_bits(),
            t.background.to_bits(),
            labels,
        )
            .hash(&mut hasher);
        self.study.first().hash(&mut hasher);
        let stamp = hasher.finish();
        if self.signals.asked == Some(stamp) {
            return None;
        }
        let labelled = self.judged_by_labels();
        let class = |g: &crate::study::Generation| -> Option<Verdict> {
            if labelled {
                self.label(g.key)?.verdict()
            } else {
                g.verdict(t)
            }
        };
        let pictures = self.study.generations();
        Some(DetectionRequest {
            stamp,
            pictures: pictures.filter_map(|g| Some((g.clone(), class(g)?))).collect(),
        })
    }
}
