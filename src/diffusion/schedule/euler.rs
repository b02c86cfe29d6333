//! Euler's method on the probability-flow equation (Karras et al., NeurIPS 2022, algorithm 2 without churn):
//! diffusers' `EulerDiscreteScheduler`; and with fresh noise at every step (after k-diffusion):
//! `EulerAncestralDiscreteScheduler`.
//!
//! Latents are x = x₀ + σ ε; the network sees them scaled to unit variance.

use super::{Prediction, Scheduler, Spacing, Stepped, betas, sigmas::SigmaTable, spacing};
use crate::diffusion::ScheduleConfig;
use candle_core::{Result, Tensor};

/// An Euler schedule of a fixed number of steps.
#[derive(Clone, Debug)]
pub struct Euler {
    timesteps: Vec<f64>,
    /// One more than timesteps: where the last step leads comes last.
    sigmas: Vec<f32>,
    prediction: Prediction,
    initial_sigma: f64,
    /// Whether every step replaces a part of the noise by fresh noise.
    ancestral: bool,
}

impl Euler {
    /// The schedule for `steps` sampling steps, 1 to as many as training had.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Self {
        let table = SigmaTable::new(config);
        let mut timesteps = timesteps(config, steps);
        let mut sigmas = if config.log_linear_sigmas {
            let (least, most) = (table.sigmas[0], table.sigmas[table.sigmas.len() - 1]);
            let logs = betas::linspace(most.ln(), least.ln(), steps + 1);
            logs.iter().map(|l| f64::from(l.exp())).collect()
        } else {
            table.at(&timesteps)
        };
        if config.karras_sigmas {
            sigmas = table.karras(sigmas[0], sigmas[sigmas.len() - 1], steps);
            timesteps = sigmas
                .iter()
                .map(|&s| f64::from(table.timestep(s) as f32))
                .collect();
        }
        Self::between(config, timesteps, table.closed(&sigmas), false)
    }

    /// The ancestral schedule for `steps` sampling steps, 1 to as many as training had.
    pub fn ancestral(config: &ScheduleConfig, steps: usize) -> Self {
        let timesteps = timesteps(config, steps);
        // It ends in the picture itself, whatever `final_sigmas_type` says, and has no other spacing of σ.
        let sigmas = SigmaTable::new(config).at(&timesteps);
        let sigmas = sigmas.into_iter().map(|s| s as f32).chain([0.0]).collect();
        Self::between(config, timesteps, sigmas, true)
    }

    fn between(config: &ScheduleConfig, timesteps: Vec<f64>, sigmas: Vec<f32>, ancestral: bool) -> Self {
        let most = sigmas.iter().copied().fold(0.0, f32::max);
        Self {
            initial_sigma: f64::from(match spacing_of(config) {
                Spacing::Leading => (most * most + 1.0).sqrt(),
                Spacing::Linspace | Spacing::Trailing => most,
            }),
            timesteps,
            sigmas,
            prediction: config.prediction,
            ancestral,
        }
    }

    fn original(&self, output: &Tensor, index: usize, latents: &Tensor) -> Result<Tensor> {
        let sigma = self.sigmas[index];
        match self.prediction {
            Prediction::Noise => latents - (output * f64::from(sigma))?,
            Prediction::Original => Ok(output.clone()),
            Prediction::Velocity => {
                let square = sigma * sigma + 1.0;
                (output * f64::from(-sigma / square.sqrt()))? + (latents / f64::from(square))?
            }
        }
    }
}

impl Scheduler for Euler {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn initial_sigma(&self) -> f64 {
        self.initial_sigma
    }

    fn model_input(&self, latents: &Tensor, index: usize) -> Result<Tensor> {
        let sigma = self.sigmas[index];
        latents / f64::from((sigma * sigma + 1.0).sqrt())
    }

    fn noise(&self, output: &Tensor, index: usize, latents: &Tensor) -> Result<Tensor> {
        match self.prediction {
            Prediction::Noise => Ok(output.clone()),
            _ => (latents - self.original(output, index, latents)?)? / f64::from(self.sigmas[index]),
        }
    }

    fn step(
        &mut self,
        output: &Tensor,
        index: usize,
        latents: &Tensor,
        fresh: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<Stepped> {
        let original = self.original(output, index, latents)?;
        let (from, to) = (self.sigmas[index], self.sigmas[index + 1]);
        // Ancestral: a part of the way is made by the equation, the rest by noise of the missing variance.
        let (down, up) = if self.ancestral {
            let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
            ((to * to - up * up).sqrt(), up)
        } else {
            (to, 0.0)
        };
        let slope = ((latents - &original)? / f64::from(from))?;
        let mut latents = (latents + (slope * f64::from(down - from))?)?;
        if self.ancestral {
            latents = (latents + (fresh()? * f64::from(up))?)?;
        }
        Ok(Stepped { latents, original })
    }
}

fn spacing_of(config: &ScheduleConfig) -> Spacing {
    config.spacing.unwrap_or(Spacing::Linspace)
}

/// Timesteps as f32; between whole steps where the spacing says so.
fn timesteps(config: &ScheduleConfig, steps: usize) -> Vec<f64> {
    let spacing = spacing_of(config);
    if spacing == Spacing::Linspace {
        let points = spacing::linspace((config.train_steps - 1) as f64, steps);
        return points.iter().rev().map(|&t| f64::from(t as f32)).collect();
    }
    let whole = spacing::whole(spacing, config.train_steps, steps, config.steps_offset);
    whole.into_iter().map(|t| t as f64).collect()
}
