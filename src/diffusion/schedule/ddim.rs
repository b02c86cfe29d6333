//! Deterministic DDIM (Song et al., ICLR 2021): diffusers' `DDIMScheduler` with η = 0.

use super::{Prediction, Scheduler, Spacing, Stepped, betas, prediction::Mix, scheduler::within, spacing};
use crate::diffusion::{DiffusionError, ScheduleConfig};
use candle_core::{Result, Tensor};

/// A DDIM schedule of a fixed number of steps.
#[derive(Clone, Debug)]
pub struct Ddim {
    /// ᾱ per training step.
    alphas: Vec<f32>,
    final_alpha: f32,
    /// All whole.
    timesteps: Vec<f64>,
    stride: usize,
    prediction: Prediction,
    clip: Option<f64>,
}

impl Ddim {
    /// The schedule for `steps` sampling steps, 1 to as many as training had.
    ///
    /// # Errors
    /// Timesteps beyond the end of training.
    pub fn new(config: &ScheduleConfig, steps: usize) -> std::result::Result<Self, DiffusionError> {
        let train = config.train_steps;
        let alphas = betas::alphas(config, config.zero_terminal_snr);
        let spacing = config.spacing.unwrap_or(Spacing::Leading);
        let timesteps = spacing::whole(spacing, train, steps, config.steps_offset);
        within(timesteps.iter().copied(), config, steps)?;
        Ok(Self {
            final_alpha: if config.set_alpha_to_one.unwrap_or(true) {
                1.0
            } else {
                alphas[0]
            },
            stride: train / steps,
            alphas,
            timesteps: timesteps.iter().map(|&t| t as f64).collect(),
            prediction: config.prediction,
            clip: config.clip_sample,
        })
    }

    /// Timestep of an evaluation.
    fn at(&self, index: usize) -> usize {
        self.timesteps[index] as usize
    }
}

impl Scheduler for Ddim {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn noise(&self, output: &Tensor, index: usize, latents: &Tensor) -> Result<Tensor> {
        Mix::at(self.alphas[self.at(index)]).noise(self.prediction, output, latents)
    }

    fn step(
        &mut self,
        output: &Tensor,
        index: usize,
        latents: &Tensor,
        _fresh: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<Stepped> {
        let here = Mix::at(self.alphas[self.at(index)]);
        let next = self.at(index).checked_sub(self.stride);
        let next = Mix::at(next.map_or(self.final_alpha, |t| self.alphas[t]));
        let original = here.original(self.prediction, output, latents)?;
        // As in diffusers, the noise is not derived anew from the clamped original.
        let noise = here.noise(self.prediction, output, latents)?;
        let original = match self.clip {
            Some(range) => original.clamp(-range, range)?,
            None => original,
        };
        let direction = (noise * next.sigma)?;
        Ok(Stepped {
            latents: ((&original * next.alpha)? + direction)?,
            original,
        })
    }
}
