//! How a picture is drawn: everything but prompt and seed.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Denoising schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulerKind {
    /// Deterministic DDIM (η = 0), the schedule of the FB-Mem and NeMo papers.
    Ddim,
}

impl SchedulerKind {
    /// Every schedule the sampler offers.
    pub const ALL: [Self; 1] = [Self::Ddim];

    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
        }
    }
}

impl fmt::Display for SchedulerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SchedulerKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|k| k.name().eq_ignore_ascii_case(s))
            .ok_or_else(|| format!("unknown scheduler “{s}”; known: ddim"))
    }
}

/// Which generator draws the initial noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RngKind {
    /// `torch.Generator("cpu").manual_seed(seed)` followed by `torch.randn`.
    #[default]
    #[serde(rename = "torch-cpu")]
    TorchCpu,
}

/// Parameters of a generation that all pictures of a run share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Denoising steps, 1..=1000.
    pub steps: u32,
    /// Classifier-free guidance scale; at most 1 switches the unconditional half off, as diffusers does.
    pub guidance: f32,
    /// Picture width in pixels, a multiple of 8.
    pub width: u32,
    /// Picture height in pixels, a multiple of 8.
    pub height: u32,
    /// Denoising schedule.
    pub scheduler: SchedulerKind,
    /// What the picture should not show; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub negative: String,
    /// Generator of the initial noise.
    pub rng: RngKind,
}

impl Default for Sampling {
    /// The FB-Mem setting for SD 1.4: 50 DDIM steps, guidance 7, 512².
    fn default() -> Self {
        Self {
            steps: 50,
            guidance: 7.0,
            width: 512,
            height: 512,
            scheduler: SchedulerKind::Ddim,
            negative: String::new(),
            rng: RngKind::TorchCpu,
        }
    }
}

impl Sampling {
    /// Largest side of a picture, in pixels.
    pub const MAX_SIDE: u32 = 2048;

    /// Checks every value against its range.
    ///
    /// # Errors
    /// A sentence that names the parameter, its value and the range.
    pub fn validate(&self) -> Result<(), String> {
        if !(1..=1000).contains(&self.steps) {
            return Err(format!("steps is {}; it must be between 1 and 1000", self.steps));
        }
        if !self.guidance.is_finite() || !(-100.0..=100.0).contains(&self.guidance) {
            return Err(format!(
                "guidance is {}; it must be between −100 and 100",
                self.guidance
            ));
        }
        for (name, side) in [("width", self.width), ("height", self.height)] {
            if !(64..=Self::MAX_SIDE).contains(&side) || side % 8 != 0 {
                return Err(format!(
                    "{name} is {side}; it must be a multiple of 8 between 64 and {}",
                    Self::MAX_SIDE
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_values_are_named() {
        assert!(Sampling::default().validate().is_ok());
        let wrong = |s: Sampling| s.validate().unwrap_err();
        assert!(
            wrong(Sampling {
                steps: 0,
                ..Sampling::default()
            })
            .contains("steps is 0")
        );
        assert!(
            wrong(Sampling {
                width: 500,
                ..Sampling::default()
            })
            .contains("width is 500")
        );
        assert!(
            wrong(Sampling {
                guidance: f32::NAN,
                ..Sampling::default()
            })
            .contains("guidance")
        );
    }
}
