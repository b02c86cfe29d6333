//! DPM-Solver++ (Lu et al., 2211.01095), multistep of order 1 and 2: diffusers' `DPMSolverMultistepScheduler` with
//! `algorithm_type` `dpmsolver++`.

use super::{
    BetaSchedule, Prediction, Scheduler, Spacing, Stepped, prediction::Mix, sigmas::SigmaTable, spacing,
};
use crate::diffusion::{DiffusionError, ScheduleConfig};
use candle_core::{Result, Tensor};

/// With fewer steps than this, `lower_order_final` makes the last one of first order.
const FEW: usize = 15;

/// How the second-order term is approximated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SolverKind {
    /// At the middle of the step.
    #[default]
    Midpoint,
    /// As an average over the step.
    Heun,
}

/// A DPM-Solver++ schedule of a fixed number of steps.
#[derive(Clone, Debug)]
pub struct DpmSolver {
    timesteps: Vec<f64>,
    /// One more than timesteps.
    sigmas: Vec<f32>,
    prediction: Prediction,
    second_order: bool,
    kind: SolverKind,
    /// The last step is of first order.
    plain_end: bool,
    /// The original predicted before.
    previous: Option<Tensor>,
}

impl DpmSolver {
    /// The schedule for `steps` sampling steps, 1 to as many as training had.
    ///
    /// # Errors
    /// More steps than the spacing can tell apart.
    pub fn new(config: &ScheduleConfig, steps: usize) -> std::result::Result<Self, DiffusionError> {
        let table = SigmaTable::new(config);
        let (timesteps, sigmas) = if config.karras_sigmas {
            let (least, most) = (table.sigmas[0], table.sigmas[table.sigmas.len() - 1]);
            let sigmas = table.karras(f64::from(most), f64::from(least), steps);
            let whole = |&sigma: &f64| match config.betas {
                // The difference is diffusers' own.
                BetaSchedule::SquaredCosine => table.timestep(sigma).trunc(),
                _ => table.timestep(sigma).round_ties_even(),
            };
            (sigmas.iter().map(whole).collect(), sigmas)
        } else {
            let timesteps = timesteps(config, &table, steps)?;
            let sigmas = table.at(&timesteps);
            (timesteps, sigmas)
        };
        let ends_in_picture = config.final_sigma == super::FinalSigma::Zero;
        Ok(Self {
            plain_end: config.euler_at_final
                || ends_in_picture
                || config.lower_order_final && timesteps.len() < FEW,
            timesteps,
            sigmas: table.closed(&sigmas),
            prediction: config.prediction,
            second_order: config.solver_order > 1,
            kind: config.solver,
            previous: None,
        })
    }
}

impl Scheduler for DpmSolver {
    fn timesteps(&self) -> &[f64] {
        &self.timesteps
    }

    fn noise(&self, output: &Tensor, index: usize, latents: &Tensor) -> Result<Tensor> {
        Mix::at_ratio(self.sigmas[index]).noise(self.prediction, output, latents)
    }

    fn step(
        &mut self,
        output: &Tensor,
        index: usize,
        latents: &Tensor,
        _fresh: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<Stepped> {
        let (here, next) = (Place::at(self.sigmas[index]), Place::at(self.sigmas[index + 1]));
        let original = Mix::at_ratio(self.sigmas[index]).original(self.prediction, output, latents)?;
        let h = next.lambda - here.lambda;
        let decay = (-h).exp() - 1.0;
        let kept = (latents * f64::from(next.sigma / here.sigma))?;
        let mut stepped = (kept - (&original * f64::from(next.alpha * decay))?)?;
        let last = index + 1 == self.timesteps.len();
        let before = self.previous.replace(original.clone());
        if let Some(before) = before
            && self.second_order
            && !(last && self.plain_end)
        {
            let past = here.lambda - Place::at(self.sigmas[index - 1]).lambda;
            let change = ((&original - before)? * f64::from(1.0 / (past / h)))?;
            stepped = match self.kind {
                SolverKind::Midpoint => stepped - (change * f64::from(0.5 * (next.alpha * decay)))?,
                SolverKind::Heun => stepped + (change * f64::from(next.alpha * (decay / h + 1.0)))?,
            }?;
        }
        Ok(Stepped {
            latents: stepped,
            original,
        })
    }
}

/// A place on the way, in f32 as diffusers computes it; λ = log(α/σ).
struct Place {
    alpha: f32,
    sigma: f32,
    lambda: f32,
}

impl Place {
    fn at(ratio: f32) -> Self {
        let alpha = 1.0 / (ratio * ratio + 1.0).sqrt();
        let sigma = ratio * alpha;
        Self {
            alpha,
            sigma,
            lambda: alpha.ln() - sigma.ln(),
        }
    }
}

fn timesteps(
    config: &ScheduleConfig,
    table: &SigmaTable,
    steps: usize,
) -> std::result::Result<Vec<f64>, DiffusionError> {
    let lambda = |a: &f32| f64::from(a.sqrt().ln() - (1.0 - a).sqrt().ln());
    let clipped = table
        .alphas
        .iter()
        .filter(|a| lambda(a) < config.lambda_min_clipped)
        .count();
    let end = config.train_steps - clipped;
    // One more point than steps: the last one is left out, for the picture itself follows.
    let whole = match config.spacing.unwrap_or(Spacing::Linspace) {
        _ if end == 0 => Vec::new(),
        Spacing::Linspace => {
            let points = spacing::linspace((end - 1) as f64, steps + 1);
            points.iter().skip(1).rev().map(|&t| spacing::round(t)).collect()
        }
        Spacing::Leading if end / (steps + 1) == 0 => Vec::new(),
        Spacing::Leading => {
            let stride = end / (steps + 1);
            spacing::leading(stride, steps, config.steps_offset + stride)
        }
        Spacing::Trailing => spacing::trailing(end, config.train_steps as f64 / steps as f64),
    };
    if whole.is_empty() {
        return Err(DiffusionError::Request(format!(
            "{steps} steps were asked for; DPM-Solver++ cannot tell so many apart on this checkpoint's schedule of {end}"
        )));
    }
    Ok(whole.into_iter().map(|t| t as f64).collect())
}
