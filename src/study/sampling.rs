//! How a picture is drawn: everything but prompt and seed.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Denoising schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SchedulerKind {
    /// Deterministic DDIM (η = 0), the schedule of the FB-Mem and NeMo papers.
    #[serde(rename = "ddim")]
    Ddim,
    /// Pseudo numerical methods (PLMS), which Stable Diffusion 1 ships with.
    #[serde(rename = "pndm")]
    Pndm,
    /// DPM-Solver++ 2M.
    #[serde(rename = "dpm++")]
    DpmPlusPlus,
    /// Euler's method.
    #[serde(rename = "euler")]
    Euler,
    /// Euler's method with fresh noise at every step.
    #[serde(rename = "euler-a")]
    EulerAncestral,
}

impl SchedulerKind {
    /// Every schedule the sampler offers.
    pub const ALL: [Self; 5] = [
        Self::Ddim,
        Self::Pndm,
        Self::DpmPlusPlus,
        Self::Euler,
        Self::EulerAncestral,
    ];

    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::Pndm => "pndm",
            Self::DpmPlusPlus => "dpm++",
            Self::Euler => "euler",
            Self::EulerAncestral => "euler-a",
        }
    }

    /// The name that people know it by.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ddim => "DDIM",
            Self::Pndm => "PNDM",
            Self::DpmPlusPlus => "DPM-Solver++ 2M",
            Self::Euler => "Euler",
            Self::EulerAncestral => "Euler ancestral",
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
        by_name("scheduler", s, &Self::ALL, Self::name)
    }
}

/// Which generator draws the noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RngKind {
    /// `torch.Generator("cpu").manual_seed(seed)` followed by `torch.randn`.
    #[default]
    #[serde(rename = "torch-cpu")]
    TorchCpu,
    /// `torch.Generator("cuda").manual_seed(seed)` followed by `torch.randn`; computed without a GPU.
    #[serde(rename = "torch-cuda")]
    TorchCuda,
}

impl RngKind {
    /// Every generator the sampler offers.
    pub const ALL: [Self; 2] = [Self::TorchCpu, Self::TorchCuda];

    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::TorchCpu => "torch-cpu",
            Self::TorchCuda => "torch-cuda",
        }
    }
}

impl fmt::Display for RngKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RngKind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        by_name("rng", s, &Self::ALL, Self::name)
    }
}

/// How half-precision weights (f16, bf16) are held in memory for f32 arithmetic on the CPU. Widening is exact,
/// since every half-precision number is an f32; results of large layers may differ by rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightStorage {
    /// As stored for large networks, widened for small ones.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// As stored: half the memory; a little more time, spent on widening them where they are used.
    #[serde(rename = "as-stored")]
    AsStored,
    /// Widened to f32 when loaded.
    #[serde(rename = "widened")]
    Widened,
}

impl WeightStorage {
    /// Every way of holding weights.
    pub const ALL: [Self; 3] = [Self::Auto, Self::AsStored, Self::Widened];

    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::AsStored => "as-stored",
            Self::Widened => "widened",
        }
    }

    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

impl fmt::Display for WeightStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WeightStorage {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        by_name("way of holding weights", s, &Self::ALL, Self::name)
    }
}

/// The one of `all` with this name, in any case; the error lists what is known.
pub(super) fn by_name<T: Copy>(
    what: &str,
    s: &str,
    all: &[T],
    name: impl Fn(T) -> &'static str,
) -> Result<T, String> {
    let found = all.iter().copied().find(|&k| name(k).eq_ignore_ascii_case(s));
    found.ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|&k| name(k)).collect();
        format!("unknown {what} “{s}”; known: {}", known.join(", "))
    })
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
    /// Denoising schedule. Files of before there was a choice name none and mean DDIM.
    pub scheduler: SchedulerKind,
    /// What the picture should not show; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub negative: String,
    /// Generator of the initial noise, and of what an ancestral scheduler adds.
    pub rng: RngKind,
    /// Pictures of one prompt that go through the model together, 1..=64, each with its own generator. Sums come out
    /// in another order than alone, so that a picture may differ in the last bit: it belongs to what decides a run.
    #[serde(skip_serializing_if = "is_one")]
    pub at_once: u32,
    /// How half-precision weights are held; not written when it is left to the program, as ever before there was a
    /// choice.
    #[serde(skip_serializing_if = "WeightStorage::is_auto")]
    pub weights: WeightStorage,
}

fn is_one(value: &u32) -> bool {
    *value == 1
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
            at_once: 1,
            weights: WeightStorage::Auto,
        }
    }
}

impl Sampling {
    /// Largest side of a picture, in pixels.
    pub const MAX_SIDE: u32 = 2048;
    /// Most pictures that go through the model together.
    pub const MAX_AT_ONCE: u32 = 64;

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
        if !(1..=Self::MAX_AT_ONCE).contains(&self.at_once) {
            return Err(format!(
                "at_once is {}; it must be between 1 and {}",
                self.at_once,
                Self::MAX_AT_ONCE
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

/// What a person says about [`Sampling`]; the rest is left to the checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SamplingChoice {
    /// See [`Sampling::steps`].
    pub steps: Option<u32>,
    /// See [`Sampling::guidance`].
    pub guidance: Option<f32>,
    /// See [`Sampling::width`].
    pub width: Option<u32>,
    /// See [`Sampling::height`].
    pub height: Option<u32>,
    /// See [`Sampling::scheduler`].
    pub scheduler: Option<SchedulerKind>,
    /// See [`Sampling::negative`].
    pub negative: Option<String>,
    /// See [`Sampling::rng`].
    pub rng: Option<RngKind>,
    /// See [`Sampling::at_once`].
    pub at_once: Option<u32>,
    /// See [`Sampling::weights`].
    pub weights: Option<WeightStorage>,
}

impl SamplingChoice {
    /// What was chosen, and `defaults` for the rest.
    pub fn over(&self, defaults: &Sampling) -> Sampling {
        Sampling {
            steps: self.steps.unwrap_or(defaults.steps),
            guidance: self.guidance.unwrap_or(defaults.guidance),
            width: self.width.unwrap_or(defaults.width),
            height: self.height.unwrap_or(defaults.height),
            scheduler: self.scheduler.unwrap_or(defaults.scheduler),
            negative: self.negative.clone().unwrap_or_else(|| defaults.negative.clone()),
            rng: self.rng.unwrap_or(defaults.rng),
            at_once: self.at_once.unwrap_or(defaults.at_once),
            weights: self.weights.unwrap_or(defaults.weights),
        }
    }
}

impl From<&Sampling> for SamplingChoice {
    /// Everything chosen as it is there.
    fn from(all: &Sampling) -> Self {
        Self {
            steps: Some(all.steps),
            guidance: Some(all.guidance),
            width: Some(all.width),
            height: Some(all.height),
            scheduler: Some(all.scheduler),
            negative: Some(all.negative.clone()),
            rng: Some(all.rng),
            at_once: Some(all.at_once),
            weights: Some(all.weights),
        }
    }
}

impl Sampling {
    /// What differs from other settings, in words: “50 steps (now 20)”. How much is drawn at once and how weights are held
    /// is left out.
    pub fn other_than(&self, now: &Self) -> Vec<String> {
        let mut words = Vec::new();
        let mut say = |differs: bool, own: String, other: String| {
            if differs {
                words.push(format!("{own} (now {other})"));
            }
        };
        let steps = |s: &Self| format!("{} steps", s.steps);
        say(self.steps != now.steps, steps(self), now.steps.to_string());
        let guidance = |s: &Self| format!("guidance {}", s.guidance);
        say(
            self.guidance != now.guidance,
            guidance(self),
            now.guidance.to_string(),
        );
        let size = |s: &Self| format!("{} × {}", s.width, s.height);
        say(size(self) != size(now), size(self), size(now));
        say(
            self.scheduler != now.scheduler,
            self.scheduler.to_string(),
            now.scheduler.to_string(),
        );
        say(self.rng != now.rng, self.rng.to_string(), now.rng.to_string());
        let negative = |s: &Self| {
            if s.negative.is_empty() {
                "no negative prompt".to_owned()
            } else {
                format!("negative prompt “{}”", s.negative)
            }
        };
        say(self.negative != now.negative, negative(self), negative(now));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in SchedulerKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        for rng in RngKind::ALL {
            assert_eq!(rng.name().parse(), Ok(rng));
            assert_eq!(serde_json::to_value(rng).unwrap(), rng.name());
        }
        for storage in WeightStorage::ALL {
            assert_eq!(storage.name().parse(), Ok(storage));
            assert_eq!(serde_json::to_value(storage).unwrap(), storage.name());
        }
        let error = "heun".parse::<SchedulerKind>().unwrap_err();
        assert!(error.contains("heun") && error.contains("euler-a"), "{error}");
    }

    /// Runs are found by a hash over this text.
    #[test]
    fn sampling_with_ddim_is_written_as_ever() {
        assert_eq!(
            serde_json::to_string(&Sampling::default()).unwrap(),
            r#"{"steps":50,"guidance":7.0,"width":512,"height":512,"scheduler":"ddim","rng":"torch-cpu"}"#
        );
        let old: Sampling = serde_json::from_str(r#"{"steps":25}"#).unwrap();
        assert_eq!(old.scheduler, SchedulerKind::Ddim);
    }

    #[test]
    fn what_is_not_chosen_comes_from_the_defaults() {
        let defaults = Sampling {
            scheduler: SchedulerKind::Pndm,
            width: 128,
            ..Sampling::default()
        };
        let choice = SamplingChoice {
            steps: Some(9),
            rng: Some(RngKind::TorchCuda),
            ..SamplingChoice::default()
        };
        let sampling = choice.over(&defaults);
        assert_eq!(
            sampling,
            Sampling {
                steps: 9,
                rng: RngKind::TorchCuda,
                ..defaults
            }
        );
    }

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
        for at_once in [0, 65] {
            let sampling = Sampling {
                at_once,
                ..Sampling::default()
            };
            assert!(wrong(sampling).contains("at_once"));
        }
    }
}
