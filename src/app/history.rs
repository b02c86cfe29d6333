//! Undo and redo of thresholds, selections, variants and edited regions.

use super::{comparing::Bench, lasso::Lasso, region::Edits, state::Selection};
use crate::study::Thresholds;
use std::sync::Arc;

/// What an undo brings back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    /// The thresholds.
    pub thresholds: Thresholds,
    /// The selection.
    pub selection: Selection,
    /// The variant and what is switched off of it.
    pub bench: Bench,
    /// Pictures chosen on the Field.
    pub lasso: Option<Arc<Lasso>>,
    /// The regions drawn by hand.
    pub regions: Edits,
}

/// Former moments, and those undone.
#[derive(Debug, Default)]
pub struct History {
    past: Vec<Moment>,
    future: Vec<Moment>,
    gesture: Option<u64>,
}

impl History {
    /// Most steps kept.
    pub const DEPTH: usize = 200;

    /// Remembers the moment before a change. Changes of one `gesture` (a drag) make one step.
    pub fn before(&mut self, moment: Moment, gesture: Option<u64>) {
        if gesture.is_some() && gesture == self.gesture {
            return;
        }
        self.gesture = gesture;
        self.future.clear();
        if self.past.last() != Some(&moment) {
            self.past.push(moment);
        }
        if self.past.len() > Self::DEPTH {
            self.past.remove(0);
        }
    }

    /// The moment to go back to; `now` can be had again by [`History::redo`].
    pub fn undo(&mut self, now: Moment) -> Option<Moment> {
        self.gesture = None;
        let moment = self.past.pop()?;
        self.future.push(now);
        Some(moment)
    }

    /// The moment that was undone last.
    pub fn redo(&mut self, now: Moment) -> Option<Moment> {
        self.gesture = None;
        let moment = self.future.pop()?;
        self.past.push(now);
        Some(moment)
    }

    /// Whether there is something to undo.
    pub fn can_undo(&self) -> bool {
        !self.past.is_empty()
    }

    /// Whether there is something to redo.
    pub fn can_redo(&self) -> bool {
        !self.future.is_empty()
    }

    /// Forgets everything: another study was opened.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(threshold: f32) -> Moment {
        Moment {
            thresholds: Thresholds {
                foreground: threshold,
                background: 0.8,
            },
            ..Moment::default()
        }
    }

    #[test]
    fn a_drag_is_one_step() {
        let mut history = History::default();
        for t in [0.8, 0.7, 0.6] {
            history.before(moment(t), Some(7));
        }
        history.before(moment(0.5), Some(8));
        assert_eq!(history.undo(moment(0.4)), Some(moment(0.5)));
        assert_eq!(history.undo(moment(0.5)), Some(moment(0.8)));
        assert_eq!(history.undo(moment(0.8)), None);
        assert_eq!(history.redo(moment(0.8)), Some(moment(0.5)));
        assert_eq!(history.redo(moment(0.5)), Some(moment(0.4)));
    }

    #[test]
    fn a_new_change_forgets_what_was_undone() {
        let mut history = History::default();
        history.before(moment(0.8), None);
        history.undo(moment(0.7));
        history.before(moment(0.8), None);
        assert!(!history.can_redo());
    }
}
