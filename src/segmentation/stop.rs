//! Giving up in the middle of a network.

use candle_core::{Result, bail};

/// Asked between the layers of a network, every second or so of work, whether to give up.
#[derive(Clone, Copy)]
pub(super) struct Stop<'a>(pub &'a dyn Fn() -> bool);

impl Stop<'_> {
    /// Ends the network with an error when it is to give up.
    pub fn check(self) -> Result<()> {
        if (self.0)() {
            bail!("stopped");
        }
        Ok(())
    }
}
