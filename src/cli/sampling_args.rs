//! Flags of commands that draw from a checkpoint without a study.

use crate::study::{RngKind, SamplingChoice, SchedulerKind};
use clap::Args;

/// How pictures are drawn; what is not given is the checkpoint's own.
#[derive(Clone, Debug, Args)]
pub struct SamplingArgs {
    /// Denoising steps
    #[arg(long, default_value_t = 50)]
    pub steps: u32,
    /// Side of the picture in pixels; the checkpoint's own size when not given
    #[arg(long)]
    pub size: Option<u32>,
    /// Denoising schedule: ddim, pndm, dpm++, euler or euler-a; the checkpoint's own when not given (NeMo always uses ddim)
    #[arg(long)]
    pub scheduler: Option<SchedulerKind>,
    /// Generator of the noise: torch-cpu, or torch-cuda for what a picture drawn on an NVIDIA GPU began
    /// with (computed without one; NeMo always uses torch-cpu)
    #[arg(long, default_value_t = RngKind::TorchCpu)]
    pub rng: RngKind,
}

impl SamplingArgs {
    /// What was chosen, with this guidance.
    pub fn choice(&self, guidance: f32) -> SamplingChoice {
        SamplingChoice {
            steps: Some(self.steps),
            guidance: Some(guidance),
            width: self.size,
            height: self.size,
            scheduler: self.scheduler,
            rng: Some(self.rng),
            ..SamplingChoice::default()
        }
    }
}
