//! `scheduler/scheduler_config.json`.

use super::Keys;
use crate::diffusion::{BetaSchedule, CheckpointError, Prediction, Spacing};
use serde_json::Value;
use std::path::Path;

/// Noise schedule of a checkpoint. Whatever scheduler wrote the file, its values mean what
/// `DDIMScheduler.from_config` makes of them: keys that are not there get DDIM's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleConfig {
    /// Class that wrote the file (`PNDMScheduler`, `DDIMScheduler`, …); for show.
    pub class: String,
    /// Steps of the training schedule.
    pub train_steps: usize,
    /// How the noise grows.
    pub betas: BetaSchedule,
    /// Rescale so that the last training step is pure noise.
    pub zero_terminal_snr: bool,
    /// What the network predicts.
    pub prediction: Prediction,
    /// How the sampling steps are spread over the training steps.
    pub spacing: Spacing,
    /// Added to every timestep of leading spacing.
    pub steps_offset: usize,
    /// The step before the first one is free of noise, instead of training step 0.
    pub set_alpha_to_one: bool,
    /// Clamp the predicted original to ± this.
    pub clip_sample: Option<f64>,
}

impl ScheduleConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// The key and value that is out of range or cannot be honoured.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        Self::of(Keys::read(path)?)
    }

    /// Checks settings.
    pub(in crate::diffusion) fn of(mut k: Keys) -> Result<Self, CheckpointError> {
        let class = k
            .get("_class_name")
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default();
        if class.starts_with("Flow") {
            return Err(k.refuse("_class_name", "flow-matching models are not supported"));
        }
        if k.flag("thresholding", false)? {
            return Err(k.refuse("thresholding", "only false is supported"));
        }
        let train_steps = k.count("num_train_timesteps", 1000, 100_000)?;
        let betas = match k.get("trained_betas") {
            Some(Value::Array(list)) => {
                let given: Option<Vec<f32>> = list
                    .iter()
                    .map(|v| v.as_f64().filter(|b| (0.0..1.0).contains(b)).map(|b| b as f32))
                    .collect();
                BetaSchedule::Given(given.filter(|b| b.len() == train_steps).ok_or_else(|| {
                    k.refuse(
                        "trained_betas",
                        format!("expected {train_steps} numbers from 0 to below 1"),
                    )
                })?)
            }
            Some(_) => return Err(k.refuse("trained_betas", "expected a list of numbers")),
            None => {
                let start = k.number("beta_start", 0.0001, 0.0, 1.0)?;
                let end = k.number("beta_end", 0.02, 0.0, 1.0)?;
                match k
                    .name(
                        "beta_schedule",
                        "linear",
                        &["linear", "scaled_linear", "squaredcos_cap_v2"],
                    )?
                    .as_str()
                {
                    "scaled_linear" => BetaSchedule::ScaledLinear { start, end },
                    "squaredcos_cap_v2" => BetaSchedule::SquaredCosine,
                    _ => BetaSchedule::Linear { start, end },
                }
            }
        };
        let prediction = match k
            .name(
                "prediction_type",
                "epsilon",
                &["epsilon", "v_prediction", "sample"],
            )?
            .as_str()
        {
            "v_prediction" => Prediction::Velocity,
            "sample" => Prediction::Original,
            _ => Prediction::Noise,
        };
        let spacing = match k
            .name(
                "timestep_spacing",
                "leading",
                &["leading", "trailing", "linspace"],
            )?
            .as_str()
        {
            "trailing" => Spacing::Trailing,
            "linspace" => Spacing::Linspace,
            _ => Spacing::Leading,
        };
        let range = k.number("clip_sample_range", 1.0, 0.0, 1e6)?;
        // Other keys belong to schedulers that DDIM does not share them with; diffusers drops them too.
        Ok(Self {
            class,
            train_steps,
            betas,
            zero_terminal_snr: k.flag("rescale_betas_zero_snr", false)?,
            prediction,
            spacing,
            steps_offset: k.whole("steps_offset", 0, 0, train_steps - 1)?,
            set_alpha_to_one: k.flag("set_alpha_to_one", true)?,
            clip_sample: k.flag("clip_sample", true)?.then_some(range),
        })
    }
}
