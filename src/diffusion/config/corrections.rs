//! What diffusers' `StableDiffusionPipeline` makes of checkpoints whose files are outdated: its constructor overrides
//! some of their values, and the scheduler's class is the one that `model_index.json` names
//! (`pipelines/stable_diffusion/pipeline_stable_diffusion.py`, diffusers 0.42).

use super::ScheduleConfig;
use crate::study::SchedulerKind;
use serde_json::Value;

/// Side of the latents that the constructor gives UNets from before diffusers 0.9 that say less.
const SIDE: usize = 64;

impl ScheduleConfig {
    /// Makes of these settings what the pipeline would draw with, whichever scheduler is handed to it: `steps_offset` 1
    /// and no clamping. `named` is the scheduler's class in `model_index.json`, `file` what the settings were read
    /// from. Gives a sentence for each value that is overridden.
    pub fn correct(&mut self, named: Option<&str>, file: &Value) -> Vec<String> {
        const FILE: &str = "scheduler/scheduler_config.json";
        let mut told = Vec::new();
        if let Some(named) = named.filter(|named| *named != self.class) {
            if !self.class.is_empty() {
                told.push(format!(
                    "{FILE} was written by {}, but model_index.json names {named}: {named} counts",
                    self.class
                ));
            }
            self.class = named.to_owned();
        }
        let said = |key: &str| match file.get(key).filter(|v| !v.is_null()) {
            Some(value) => format!("{FILE}: {key} is {value}"),
            None => format!("{FILE}: {key} is not there"),
        };
        if self.steps_offset != 1 {
            told.push(format!("{}; drawn with 1", said("steps_offset")));
            self.steps_offset = 1;
        }
        if self.clip_sample.is_some() {
            // A file of another scheduler need not say it, and nothing is overridden unless DDIM draws.
            if file.get("clip_sample").is_some() || self.own() == Some(SchedulerKind::Ddim) {
                told.push(format!("{}; drawn with false", said("clip_sample")));
            }
            self.clip_sample = None;
        }
        told
    }
}

/// Side of the latents that the pipeline takes instead of the one in `unet/config.json`, and a sentence about it.
pub fn corrected_side(file: &Value) -> Option<(usize, String)> {
    let version = file.get("_diffusers_version")?.as_str()?;
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return None;
    };
    // Only a single number is looked at, no pair of them.
    let side = file.get("sample_size")?.as_u64()?;
    ((major, minor) < (0, 9) && side < SIDE as u64).then(|| {
        let told = format!(
            "unet/config.json: sample_size is {side}, written by diffusers {version}; the size of pictures is that of {SIDE}"
        );
        (SIDE, told)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_old_files_with_a_small_side_are_corrected() {
        let side = |version: &str, side: Value| {
            corrected_side(&json!({"_diffusers_version": version, "sample_size": side})).map(|(side, _)| side)
        };
        assert_eq!(side("0.6.0", json!(32)), Some(64));
        assert_eq!(side("0.8.1.dev0", json!(32)), Some(64));
        assert_eq!(side("0.9.0.dev0", json!(32)), None);
        assert_eq!(side("0.42.1", json!(32)), None);
        assert_eq!(side("1.0", json!(32)), None);
        assert_eq!(side("0.6.0", json!(64)), None);
        assert_eq!(side("0.6.0", json!([32, 32])), None);
        assert_eq!(corrected_side(&json!({"sample_size": 32})), None);
    }
}
