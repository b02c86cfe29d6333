//! Euler's method on the probability-flow equation (Karras et al., NeurIPS 2022, algorithm 2 without churn):
//! diffusers' `EulerDiscreteScheduler`.

use super::{
    Scheduler, Stepped, betas,
    sigmas::{Ladder, SigmaTable},
};
use crate::diffusion::ScheduleConfig;
use candle_core::{Result, Tensor};

/// An Euler schedule of a fixed number of steps.
#[derive(Clone, Debug)]
pub struct Euler(Ladder);

impl Euler {
    /// The schedule for `steps` sampling steps, 1 to as many as training had.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Self {
        let table = SigmaTable::new(config);
        let mut timesteps = Ladder::timesteps(config, steps);
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
        Self(Ladder::new(config, timesteps, table.closed(&sigmas)))
    }
}

impl Scheduler for Euler {
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
        _fresh: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<Stepped> {
        let original = self.0.original(output, index, latents)?;
        let (here, next) = (self.0.sigmas[index], self.0.sigmas[index + 1]);
        let slope = ((latents - &original)? / f64::from(here))?;
        Ok(Stepped {
            latents: (latents + (slope * f64::from(next - here))?)?,
            original,
        })
    }
}
