//! Pseudo numerical methods (Liu et al., ICLR 2022): diffusers' `PNDMScheduler`.
//!
//! With `skip_prk_steps`, as Stable Diffusion ships it (PLMS): linear multistep from the first step on, the second
//! evaluation repeats the step to its half-way correction, so that there is one evaluation more than steps. Without,
//! three Runge–Kutta steps of four evaluations each come first.

use super::{Prediction, Scheduler, Spacing, Stepped, betas, prediction::Mix, scheduler::within, spacing};
use crate::diffusion::{DiffusionError, ScheduleConfig};
use candle_core::{Result, Tensor};
use std::collections::VecDeque;

/// Evaluations of the Runge–Kutta start.
const PRK: usize = 12;
/// Steps that the Runge–Kutta start spans, and predictions the multistep formula looks at.
const ORDER: usize = 4;

/// A PNDM schedule of a fixed number of steps.
#[derive(Clone, Debug)]
pub struct Pndm {
    alphas: Vec<f32>,
    final_alpha: f32,
    /// All whole.
    timesteps: Vec<f64>,
    stride: usize,
    /// How many evaluations belong to the Runge–Kutta start.
    prk: usize,
    prediction: Prediction,
    /// Newest last.
    outputs: VecDeque<Tensor>,
    /// Weighted sum of the outputs of a Runge–Kutta step so far.
    sum: Option<Tensor>,
    /// Where the current Runge–Kutta step, or the first of the multistep ones, began.
    begin: Option<Tensor>,
}

impl Pndm {
    /// The schedule for `steps` sampling steps, 1 to as many as training had.
    ///
    /// # Errors
    /// Timesteps beyond the end of training; fewer than four steps with a Runge–Kutta start.
    pub fn new(config: &ScheduleConfig, steps: usize) -> std::result::Result<Self, DiffusionError> {
        let train = config.train_steps;
        // Unlike the others, diffusers' PNDM does not rescale β.
        let alphas = betas::alphas(config, false);
        let spacing = config.spacing.unwrap_or(Spacing::Leading);
        let grid = spacing::whole(spacing, train, steps, config.steps_offset);
        let stride = train / steps;
        let evaluations: Vec<usize> = if config.skip_prk_steps {
            // The second step twice.
            let twice = grid.get(1);
            grid.iter()
                .take(1)
                .chain(twice)
                .chain(grid.iter().skip(1))
                .copied()
                .collect()
        } else {
            runge_kutta(&grid, stride, steps)?
        };
        // The repeated step looks one stride back.
        let back = evaluations.get(1).filter(|_| config.skip_prk_steps);
        let back = back.map(|t| t + stride);
        within(evaluations.iter().copied().chain(back), config, steps)?;
        Ok(Self {
            final_alpha: if config.set_alpha_to_one.unwrap_or(false) {
                1.0
            } else {
                alphas[0]
            },
            alphas,
            timesteps: evaluations.iter().map(|&t| t as f64).collect(),
            stride,
            prk: if config.skip_prk_steps { 0 } else { PRK },
            prediction: config.prediction,
            outputs: VecDeque::new(),
            sum: None,
            begin: None,
        })
    }

    /// Timestep of an evaluation.
    fn at(&self, index: usize) -> usize {
        self.timesteps[index] as usize
    }

    /// The output that a Runge–Kutta evaluation steps with, where the step starts, and from and to which timestep.
    fn prk(&mut self, output: &Tensor, index: usize, latents: &Tensor) -> Result<Move> {
        let half = if index.is_multiple_of(2) {
            self.stride / 2
        } else {
            0
        };
        let add = |sum: &Option<Tensor>, weight: f64| match sum {
            Some(sum) => sum + (output * weight)?,
            None => output * weight,
        };
        let mut used = output.clone();
        match index % 4 {
            0 => {
                self.sum = Some(add(&self.sum, 1.0 / 6.0)?);
                self.outputs.push_back(output.clone());
                self.begin = Some(latents.clone());
            }
            3 => {
                used = add(&self.sum, 1.0 / 6.0)?;
                self.sum = None;
            }
            _ => self.sum = Some(add(&self.sum, 1.0 / 3.0)?),
        }
        Ok(Move {
            output: used,
            latents: self.begin.clone().unwrap_or_else(|| latents.clone()),
            from: self.at(index / 4 * 4),
            to: self.at(index).checked_sub(half),
        })
    }

    /// The same for a linear multistep evaluation.
    fn plms(&mut self, output: &Tensor, index: usize, latents: &Tensor) -> Result<Move> {
        let here = self.at(index);
        let (mut from, mut to) = (here, here.checked_sub(self.stride));
        let mut start = latents.clone();
        if index == 1 {
            (from, to) = (here + self.stride, Some(here));
        } else {
            while self.outputs.len() >= ORDER {
                self.outputs.pop_front();
            }
            self.outputs.push_back(output.clone());
        }
        let past = |back: usize| &self.outputs[self.outputs.len() - 1 - back];
        let used = match (self.outputs.len(), index) {
            (1, 0) => {
                self.begin = Some(latents.clone());
                output.clone()
            }
            (1, _) => {
                start = self.begin.take().unwrap_or(start);
                ((output + past(0))? / 2.0)?
            }
            (2, _) => (((past(0) * 3.0)? - past(1))? / 2.0)?,
            (3, _) => ((((past(0) * 23.0)? - (past(1) * 16.0)?)? + (past(2) * 5.0)?)? / 12.0)?,
            _ => {
                let sum = (((past(0) * 55.0)? - (past(1) * 59.0)?)? + (past(2) * 37.0)?)?;
                ((sum - (past(3) * 9.0)?)? * (1.0 / 24.0))?
            }
        };
        Ok(Move {
            output: used,
            latents: start,
            from,
            to,
        })
    }
}

/// A transfer between two timesteps; before the first one when `to` is `None`.
struct Move {
    output: Tensor,
    latents: Tensor,
    from: usize,
    to: Option<usize>,
}

impl Scheduler for Pndm {
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
        let original = Mix::at(self.alphas[self.at(index)]).original(self.prediction, output, latents)?;
        let Move {
            output,
            latents,
            from,
            to,
        } = if index < self.prk {
            self.prk(output, index, latents)?
        } else {
            self.plms(output, index, latents)?
        };
        // Formula (9) of the paper.
        let here = self.alphas[from];
        let next = to.map_or(self.final_alpha, |t| self.alphas[t]);
        let noise = Mix::at(here).noise(self.prediction, &output, &latents)?;
        let denominator = here * (1.0 - next).sqrt() + (here * (1.0 - here) * next).sqrt();
        let latents = (latents * f64::from((next / here).sqrt()))?;
        let change = ((noise * f64::from(next - here))? / f64::from(denominator))?;
        Ok(Stepped {
            latents: (latents - change)?,
            original,
        })
    }
}

/// Evaluations of the Runge–Kutta start and of the steps after it.
fn runge_kutta(
    grid: &[usize],
    stride: usize,
    steps: usize,
) -> std::result::Result<Vec<usize>, DiffusionError> {
    let Some((first, rest)) = grid.split_at_checked(ORDER) else {
        return Err(DiffusionError::Request(format!(
            "{steps} steps were asked for; without skip_prk_steps this scheduler needs at least {ORDER}"
        )));
    };
    // Each step is evaluated at its begin, twice half-way, and at its end, which is the next one's begin.
    let mut evaluations = vec![first[0]];
    for &step in &first[1..] {
        let middle = step + stride / 2;
        evaluations.extend([middle, middle, step, step]);
    }
    evaluations.truncate(PRK);
    evaluations.extend(&first[ORDER - 1..]);
    evaluations.extend(rest);
    Ok(evaluations)
}
