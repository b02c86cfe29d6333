//! Flags of commands that tell intervals.

use crate::memorization::comparison::Bootstrap;
use clap::Args;

/// How intervals are drawn.
#[derive(Clone, Copy, Debug, Args)]
pub struct BootstrapArgs {
    /// Bootstrap resamples for the intervals
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    pub resamples: u32,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

impl BootstrapArgs {
    /// The settings of the bootstrap.
    pub fn settings(self) -> Bootstrap {
        Bootstrap {
            resamples: self.resamples as usize,
            seed: self.seed,
            ..Bootstrap::default()
        }
    }
}
