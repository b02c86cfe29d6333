//! Who looks on while a method works.

use super::{MitigationError, Progress};

/// Told how far the work is, asked whether to go on.
pub trait Watch {
    /// `done` of `total` units are done; fractions count. The total may be an estimate that changes.
    fn at(&mut self, done: f64, total: f64);

    /// Whether the work is to stop. Asked at least before every pass through a network.
    fn is_stopped(&self) -> bool;

    /// What an earlier run of the same work kept of a part; parts are named by the methods.
    fn kept(&self, _part: &str) -> Option<Progress> {
        None
    }

    /// Keeps how far a part is, in place of what was kept of it before.
    ///
    /// # Errors
    /// [`MitigationError::Request`] when it cannot be written.
    fn keep(&mut self, _part: &str, _progress: &Progress) -> Result<(), MitigationError> {
        Ok(())
    }

    /// An error when the work is to stop.
    ///
    /// # Errors
    /// [`MitigationError::Stopped`].
    fn go_on(&self) -> Result<(), MitigationError> {
        if self.is_stopped() {
            Err(MitigationError::Stopped)
        } else {
            Ok(())
        }
    }
}

/// Looks at nothing and stops nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Watch for Quiet {
    fn at(&mut self, _done: f64, _total: f64) {}

    fn is_stopped(&self) -> bool {
        false
    }
}
