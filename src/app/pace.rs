//! How fast the picture that forms advances, by the window's own clock.

use crate::{engine::StepPreview, study::GenerationKey};

/// Seconds a step, over the steps of one picture.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    key: Option<GenerationKey>,
    /// Clock and step number that the current picture was first heard at.
    first: (f64, usize),
    seconds: Option<f64>,
}

impl Pace {
    /// A step was told; `now` is the window's clock in seconds.
    pub fn heard(&mut self, step: &StepPreview, now: f64) {
        if self.key != Some(step.key) || step.step <= self.first.1 {
            self.key = Some(step.key);
            self.first = (now, step.step);
            return;
        }
        // Several steps heard in one frame say nothing yet.
        let seconds = now - self.first.0;
        if seconds > 0.0 {
            self.seconds = Some(seconds / (step.step - self.first.1) as f64);
        }
    }

    /// Seconds a step; until the second step of a picture those of the one before. `None` when nothing is known.
    pub fn seconds(&self) -> Option<f64> {
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn steps_of_one_picture_are_counted_and_the_pause_between_two_is_not() {
        let step = |seed, step| StepPreview {
            key: GenerationKey { prompt: 0, seed },
            step,
            steps: 50,
            preview: Arc::default(),
            noise_norm: None,
        };
        let mut pace = Pace::default();
        pace.heard(&step(0, 1), 10.0);
        assert_eq!(pace.seconds(), None);
        pace.heard(&step(0, 2), 10.5);
        pace.heard(&step(0, 3), 11.0);
        assert_eq!(pace.seconds(), Some(0.5));
        // Decoding and comparing lie between.
        pace.heard(&step(1, 1), 20.0);
        assert_eq!(pace.seconds(), Some(0.5));
        pace.heard(&step(1, 2), 20.25);
        assert_eq!(pace.seconds(), Some(0.25));
    }
}
