//! Schedules in σ = √((1−ᾱ)/ᾱ), the ratio of noise to original (Karras et al., NeurIPS 2022).

use super::{betas, spacing};
use crate::diffusion::ScheduleConfig;

/// ᾱ that stands for 0 at the end of a rescaled schedule, so that σ stays finite: the smallest positive f16.
const NEARLY_ZERO: f32 = 1.0 / 16_777_216.0;
/// ρ of Karras et al.
const RHO: f64 = 7.0;

/// Where the last step leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinalSigma {
    /// To the picture itself.
    #[default]
    Zero,
    /// To the noise of the first training step.
    SigmaMin,
}

/// σ per training step.
pub(super) struct SigmaTable {
    /// ᾱ per training step.
    pub alphas: Vec<f32>,
    /// Rising.
    pub sigmas: Vec<f32>,
    logs: Vec<f32>,
    range: (Option<f64>, Option<f64>),
    final_sigma: FinalSigma,
}

impl SigmaTable {
    pub fn new(config: &ScheduleConfig) -> Self {
        let mut alphas = betas::alphas(config, config.zero_terminal_snr);
        if config.zero_terminal_snr
            && let Some(last) = alphas.last_mut()
        {
            *last = NEARLY_ZERO;
        }
        let sigmas: Vec<f32> = alphas.iter().map(|a| ((1.0 - a) / a).sqrt()).collect();
        Self {
            logs: sigmas.iter().map(|s| s.ln()).collect(),
            sigmas,
            alphas,
            range: (config.sigma_min, config.sigma_max),
            final_sigma: config.final_sigma,
        }
    }

    /// σ at timesteps, between training steps interpolated as numpy's `interp`.
    pub fn at(&self, timesteps: &[f64]) -> Vec<f64> {
        let most = self.sigmas.len() - 1;
        let at = |&t: &f64| {
            let t = t.clamp(0.0, most as f64);
            let low = (t.floor() as usize).min(most);
            let (a, b) = (
                f64::from(self.sigmas[low]),
                f64::from(self.sigmas[(low + 1).min(most)]),
            );
            (b - a) * (t - low as f64) + a
        };
        timesteps.iter().map(at).collect()
    }

    /// `count` σ from `first` to `last`, equally spaced in σ^(1/7); the file's own ends, where it gives any.
    pub fn karras(&self, first: f64, last: f64, count: usize) -> Vec<f64> {
        let (least, most) = (self.range.0.unwrap_or(last), self.range.1.unwrap_or(first));
        let (least, most) = (least.powf(1.0 / RHO), most.powf(1.0 / RHO));
        let ramp = spacing::linspace(1.0, count);
        ramp.iter()
            .map(|r| (most + r * (least - most)).powf(RHO))
            .collect()
    }

    /// The timestep of a σ, interpolated in log σ.
    pub fn timestep(&self, sigma: f64) -> f64 {
        let log = sigma.max(1e-10).ln();
        let below = self.logs.iter().rposition(|&l| f64::from(l) <= log).unwrap_or(0);
        let low = below.min(self.logs.len().saturating_sub(2));
        let high = (low + 1).min(self.logs.len() - 1);
        let width = self.logs[low] - self.logs[high];
        let weight = ((f64::from(self.logs[low]) - log) / f64::from(width)).clamp(0.0, 1.0);
        (1.0 - weight) * low as f64 + weight * high as f64
    }

    /// The steps' σ as f32, and where the last one leads.
    pub fn closed(&self, sigmas: &[f64]) -> Vec<f32> {
        let last = match self.final_sigma {
            FinalSigma::Zero => 0.0,
            FinalSigma::SigmaMin => self.sigmas[0],
        };
        sigmas.iter().map(|&s| s as f32).chain([last]).collect()
    }
}
