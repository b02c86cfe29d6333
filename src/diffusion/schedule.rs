//! Deterministic DDIM (Song et al., ICLR 2021), step by step as diffusers' `DDIMScheduler` with η = 0.

use super::{DiffusionError, ScheduleConfig};
use candle_core::Tensor;
use std::fmt;

/// How much noise each training step adds.
#[derive(Clone, Debug, PartialEq)]
pub enum BetaSchedule {
    /// Equally spaced.
    Linear {
        /// First β.
        start: f64,
        /// Last β.
        end: f64,
    },
    /// Equally spaced in √β: that of Stable Diffusion.
    ScaledLinear {
        /// First β.
        start: f64,
        /// Last β.
        end: f64,
    },
    /// Squared cosine (Nichol and Dhariwal, 2021).
    SquaredCosine,
    /// Listed in the file.
    Given(Vec<f32>),
}

/// What the network predicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// The noise ε.
    Noise,
    /// v = √ᾱ ε − √(1−ᾱ) x₀ (Salimans and Ho, 2022).
    Velocity,
    /// The original x₀.
    Original,
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Noise => "ε-prediction",
            Self::Velocity => "v-prediction",
            Self::Original => "x₀-prediction",
        })
    }
}

/// How sampling steps are spread over training steps (Lin et al., 2305.08891, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Multiples of a whole stride, from 0 plus the offset.
    Leading,
    /// Back from the last training step.
    Trailing,
    /// Both ends included.
    Linspace,
}

/// What one step makes of a prediction.
pub struct Stepped {
    /// Latents of the next step.
    pub latents: Tensor,
    /// Predicted original x₀, clamped if the checkpoint says so.
    pub original: Tensor,
}

/// A DDIM schedule of a fixed number of steps.
#[derive(Clone, Debug)]
pub struct Ddim {
    /// ᾱ per training step.
    alphas: Vec<f32>,
    final_alpha: f32,
    timesteps: Vec<usize>,
    stride: usize,
    prediction: Prediction,
    clip: Option<f64>,
}

impl Ddim {
    /// The schedule for `steps` sampling steps.
    ///
    /// # Errors
    /// More steps than the training schedule has, or timesteps beyond its end.
    pub fn new(config: &ScheduleConfig, steps: usize) -> Result<Self, DiffusionError> {
        let train = config.train_steps;
        if steps == 0 || steps > train {
            return Err(DiffusionError::Request(format!(
                "{steps} steps were asked for; this checkpoint's schedule allows 1 to {train}"
            )));
        }
        let mut betas = betas(&config.betas, train);
        if config.zero_terminal_snr {
            betas = zero_terminal_snr(&betas);
        }
        let alphas = cumulative(&betas);
        let timesteps = timesteps(config.spacing, train, steps, config.steps_offset);
        if let Some(beyond) = timesteps.iter().find(|&&t| t >= train) {
            return Err(DiffusionError::Request(format!(
                "{steps} steps with steps_offset {} reach timestep {beyond}, but training had only {train}; \
                 choose fewer steps",
                config.steps_offset
            )));
        }
        Ok(Self {
            final_alpha: if config.set_alpha_to_one { 1.0 } else { alphas[0] },
            stride: train / steps,
            alphas,
            timesteps,
            prediction: config.prediction,
            clip: config.clip_sample,
        })
    }

    /// Timesteps in sampling order, noisiest first.
    pub fn timesteps(&self) -> &[usize] {
        &self.timesteps
    }

    /// Standard deviation of the initial latents.
    pub fn initial_sigma(&self) -> f64 {
        1.0
    }

    /// What the network is given at a timestep: for DDIM the latents as they are.
    pub fn model_input(&self, latents: &Tensor, _timestep: usize) -> Tensor {
        latents.clone()
    }

    /// The noise ε in a prediction.
    ///
    /// # Errors
    /// Shapes that do not agree.
    pub fn noise(&self, output: &Tensor, timestep: usize, latents: &Tensor) -> candle_core::Result<Tensor> {
        let alpha = f64::from(self.alphas[timestep].sqrt());
        let sigma = f64::from((1.0 - self.alphas[timestep]).sqrt());
        match self.prediction {
            Prediction::Noise => Ok(output.clone()),
            Prediction::Velocity => (output * alpha)? + (latents * sigma)?,
            Prediction::Original => (latents - (output * alpha)?)? / sigma,
        }
    }

    /// One step from `timestep` to the next less noisy one.
    ///
    /// # Errors
    /// Shapes that do not agree.
    pub fn step(&self, output: &Tensor, timestep: usize, latents: &Tensor) -> candle_core::Result<Stepped> {
        let here = self.alphas[timestep];
        let next = timestep
            .checked_sub(self.stride)
            .map_or(self.final_alpha, |t| self.alphas[t]);
        let (alpha, sigma) = (f64::from(here.sqrt()), f64::from((1.0 - here).sqrt()));
        let original = match self.prediction {
            Prediction::Noise => ((latents - (output * sigma)?)? / alpha)?,
            Prediction::Velocity => ((latents * alpha)? - (output * sigma)?)?,
            Prediction::Original => output.clone(),
        };
        // As in diffusers, the noise is not derived anew from the clamped original.
        let noise = self.noise(output, timestep, latents)?;
        let original = match self.clip {
            Some(range) => original.clamp(-range, range)?,
            None => original,
        };
        let direction = (noise * f64::from((1.0 - next).sqrt()))?;
        Ok(Stepped {
            latents: ((&original * f64::from(next.sqrt()))? + direction)?,
            original,
        })
    }
}

fn betas(schedule: &BetaSchedule, train: usize) -> Vec<f32> {
    match schedule {
        BetaSchedule::Linear { start, end } => linspace(*start as f32, *end as f32, train),
        BetaSchedule::ScaledLinear { start, end } => linspace(start.sqrt() as f32, end.sqrt() as f32, train)
            .into_iter()
            .map(|b| b * b)
            .collect(),
        BetaSchedule::SquaredCosine => {
            let bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
            let n = train as f64;
            (0..train)
                .map(|i| (1.0 - bar((i + 1) as f64 / n) / bar(i as f64 / n)).min(0.999) as f32)
                .collect()
        }
        BetaSchedule::Given(betas) => betas.clone(),
    }
}

/// `torch.linspace` in f32: the second half is counted back from the end.
fn linspace(start: f32, end: f32, count: usize) -> Vec<f32> {
    if count == 1 {
        return vec![start];
    }
    let step = (end - start) / (count - 1) as f32;
    (0..count)
        .map(|i| {
            if i < count / 2 {
                start + step * i as f32
            } else {
                end - step * (count - 1 - i) as f32
            }
        })
        .collect()
}

/// ᾱ: products of 1 − β, accumulated in f64 and rounded to f32, as `torch.cumprod`.
fn cumulative(betas: &[f32]) -> Vec<f32> {
    let step = |product: &mut f64, beta: &f32| {
        *product *= f64::from(1.0 - beta);
        Some(*product as f32)
    };
    betas.iter().scan(1.0, step).collect()
}

/// Algorithm 1 of Lin et al. (2305.08891).
fn zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let mut roots: Vec<f32> = cumulative(betas).into_iter().map(f32::sqrt).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else {
        return Vec::new();
    };
    let scale = first / (first - last);
    for root in &mut roots {
        *root = (*root - last) * scale;
    }
    let bars: Vec<f32> = roots.iter().map(|r| r * r).collect();
    let rest = bars.windows(2).map(|pair| 1.0 - pair[1] / pair[0]);
    std::iter::once(1.0 - bars[0]).chain(rest).collect()
}

fn timesteps(spacing: Spacing, train: usize, steps: usize, offset: usize) -> Vec<usize> {
    match spacing {
        Spacing::Leading => (0..steps).rev().map(|i| i * (train / steps) + offset).collect(),
        Spacing::Linspace => {
            // numpy's linspace: multiples of the step, and the end exactly.
            let step = if steps > 1 {
                (train - 1) as f64 / (steps - 1) as f64
            } else {
                0.0
            };
            let at = |i: usize| {
                if i > 0 && i + 1 == steps {
                    train - 1
                } else {
                    round(i as f64 * step)
                }
            };
            (0..steps).rev().map(at).collect()
        }
        Spacing::Trailing => {
            // numpy's arange(train, 0, −ratio): its own length rule, and the step as it comes out of the first two.
            let (start, ratio) = (train as f64, train as f64 / steps as f64);
            let delta = (start - ratio) - start;
            let count = (-start / -ratio).ceil() as usize;
            (0..count)
                .map(|i| round(start + i as f64 * delta).saturating_sub(1))
                .collect()
        }
    }
}

fn round(x: f64) -> usize {
    x.round_ties_even().max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn stable_diffusion() -> ScheduleConfig {
        ScheduleConfig {
            class: "DDIMScheduler".into(),
            train_steps: 1000,
            betas: BetaSchedule::ScaledLinear {
                start: 0.00085,
                end: 0.012,
            },
            zero_terminal_snr: false,
            prediction: Prediction::Noise,
            spacing: Spacing::Leading,
            steps_offset: 1,
            set_alpha_to_one: false,
            clip_sample: None,
        }
    }

    #[test]
    fn fifty_steps_are_those_of_the_papers() {
        let ddim = Ddim::new(&stable_diffusion(), 50).unwrap();
        assert_eq!(ddim.timesteps()[..2], [981, 961]);
        assert_eq!(ddim.timesteps().last(), Some(&1));
    }

    #[test]
    fn too_many_steps_are_refused_in_words() {
        for steps in [0, 1000, 1001] {
            let error = Ddim::new(&stable_diffusion(), steps).unwrap_err().to_string();
            assert!(error.contains("steps"), "{error}");
        }
        let all = ScheduleConfig {
            steps_offset: 0,
            ..stable_diffusion()
        };
        assert_eq!(Ddim::new(&all, 1000).unwrap().timesteps().len(), 1000);
    }

    #[test]
    fn predictions_of_the_same_thing_lead_to_the_same_place() {
        let device = candle_core::Device::Cpu;
        let x = Tensor::new(&[0.3f32, -1.2, 0.7], &device).unwrap();
        let noise = Tensor::new(&[1.1f32, 0.2, -0.4], &device).unwrap();
        let by_noise = Ddim::new(&stable_diffusion(), 20).unwrap();
        let t = by_noise.timesteps()[7];
        let expected = by_noise.step(&noise, t, &x).unwrap();
        let alpha = f64::from(by_noise.alphas[t]);
        let velocity = ((&noise * alpha.sqrt()).unwrap()
            - (&expected.original * (1.0 - alpha).sqrt()).unwrap())
        .unwrap();
        for (prediction, output) in [
            (Prediction::Velocity, velocity),
            (Prediction::Original, expected.original.clone()),
        ] {
            let ddim = Ddim {
                prediction,
                ..by_noise.clone()
            };
            let got = ddim.step(&output, t, &x).unwrap();
            for (a, b) in [
                (got.latents, &expected.latents),
                (got.original, &expected.original),
                (ddim.noise(&output, t, &x).unwrap(), &noise),
            ] {
                let worst = (a - b)
                    .unwrap()
                    .abs()
                    .unwrap()
                    .max(0)
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap();
                assert!(worst < 2e-6, "{prediction}: off by {worst}");
            }
        }
    }
}
