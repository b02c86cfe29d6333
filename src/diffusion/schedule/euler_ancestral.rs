//! Euler's method with fresh noise at every step: diffusers' `EulerAncestralDiscreteScheduler` (after k-diffusion).

use super::{
    Scheduler, Stepped,
    sigmas::{Ladder, SigmaTable},
};
use crate::diffusion::ScheduleConfig;
use candle_core::{Result, Tensor};

/// An ancestral Euler schedule of a fixed number of steps.
#[derive(Clone, Debug)]
pub struct EulerAncestral(Ladder);

impl EulerAncestral {
    /// The schedule for `steps` sampling steps, 1 to as many as training had.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Self {
        let table = SigmaTable::new(config);
        let timesteps = Ladder::timesteps(config, steps);
        // It ends in the picture itself, whatever `final_sigmas_type` says, and has no other spacing of σ.
        let mut sigmas: Vec<f32> = table.at(&timesteps).into_iter().map(|s| s as f32).collect();
        sigmas.push(0.0);
        Self(Ladder::new(config, timesteps, sigmas))
    }
}

impl Scheduler for EulerAncestral {
    fn timesteps(&self) -> &[f64] {
        &self.0.timesteps
    }

    fn initial_sigma(&self) -> f64 {
        self.0.initial_sigma()
    }

    fn model_input(&self, latents: &Tensor, index: usize) -> Result<Tensor> {
        self.0.model_input(latents, index)
    }

    fn noise(&self, output: &Tensor, index: usize, latents: &Tensor) -> Result<Tensor> {
        self.0.noise(output, index, latents)
    }

    fn step(
        &mut self,
        output: &Tensor,
        index: usize,
        latents: &Tensor,
        fresh: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<Stepped> {
        let original = self.0.original(output, index, latents)?;
        let (from, to) = (self.0.sigmas[index], self.0.sigmas[index + 1]);
        // A part of the way is made by the equation, the rest by noise of the missing variance.
        let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
        let down = (to * to - up * up).sqrt();
        let slope = ((latents - &original)? / f64::from(from))?;
        let latents = (latents + (slope * f64::from(down - from))?)?;
        Ok(Stepped {
            latents: (latents + (fresh()? * f64::from(up))?)?,
            original,
        })
    }
}
