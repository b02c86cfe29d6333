//! From what a network predicts to the noise and the original in it.

use candle_core::{Result, Tensor};
use std::fmt;

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

/// A place on a variance-preserving schedule: x = α x₀ + σ ε with α² + σ² = 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mix {
    pub alpha: f64,
    pub sigma: f64,
}

impl Mix {
    /// Where ᾱ has this value.
    pub fn at(alpha_bar: f32) -> Self {
        Self {
            alpha: f64::from(alpha_bar.sqrt()),
            sigma: f64::from((1.0 - alpha_bar).sqrt()),
        }
    }

    /// Where noise and original stand in this ratio σ/α.
    pub fn at_ratio(ratio: f32) -> Self {
        let alpha = 1.0 / (ratio * ratio + 1.0).sqrt();
        Self {
            alpha: f64::from(alpha),
            sigma: f64::from(ratio * alpha),
        }
    }

    /// The noise ε in a prediction for `latents`.
    pub fn noise(self, prediction: Prediction, output: &Tensor, latents: &Tensor) -> Result<Tensor> {
        let Self { alpha, sigma } = self;
        match prediction {
            Prediction::Noise => Ok(output.clone()),
            Prediction::Velocity => (output * alpha)? + (latents * sigma)?,
            Prediction::Original => (latents - (output * alpha)?)? / sigma,
        }
    }

    /// The original x₀ in a prediction for `latents`.
    pub fn original(self, prediction: Prediction, output: &Tensor, latents: &Tensor) -> Result<Tensor> {
        let Self { alpha, sigma } = self;
        match prediction {
            Prediction::Noise => (latents - (output * sigma)?)? / alpha,
            Prediction::Velocity => (latents * alpha)? - (output * sigma)?,
            Prediction::Original => Ok(output.clone()),
        }
    }
}
