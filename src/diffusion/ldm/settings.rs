//! The few lines of the original code's `.yaml` that shapes of tensors cannot tell. This is no YAML parser: it looks
//! for lines `key: value` with the keys it knows, wherever they are nested; these keys occur once in such files
//! (`configs/stable-diffusion/v1-inference.yaml` and its likes).

use crate::diffusion::{CheckpointError, config::read_text};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

const LIMIT: u64 = 1 << 20;
const KNOWN: [&str; 8] = [
    "parameterization",
    "linear_start",
    "linear_end",
    "timesteps",
    "beta_schedule",
    "scale_factor",
    "num_heads",
    "num_head_channels",
];

/// Settings found beside a checkpoint.
#[derive(Debug, Default)]
pub struct Settings {
    /// The file they come from.
    pub path: Option<PathBuf>,
    values: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Reads `NAME.yaml` beside `NAME.safetensors`, or else the only `.yaml` in its folder.
    ///
    /// # Errors
    /// A file that is there but cannot be read.
    pub fn beside(file: &Path) -> Result<Self, CheckpointError> {
        let named = ["yaml", "yml"]
            .map(|ending| file.with_extension(ending))
            .into_iter()
            .find(|p| p.is_file());
        match named.or_else(|| file.parent().and_then(only_one)) {
            Some(path) => Self::read(&path),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, CheckpointError> {
        let text = read_text(path, LIMIT)?;
        let mut values = BTreeMap::new();
        for line in text.lines() {
            let line = line.split(" #").next().unwrap_or_default();
            let Some((key, value)) = line.trim().split_once(':') else {
                continue;
            };
            let value = value.trim().trim_matches(['"', '\'']);
            if let Some(known) = KNOWN.iter().find(|k| **k == key.trim())
                && !value.is_empty()
            {
                values.entry(*known).or_insert_with(|| value.to_owned());
            }
        }
        Ok(Self {
            path: Some(path.to_owned()),
            values,
        })
    }

    /// A setting as text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// A setting as a number.
    ///
    /// # Errors
    /// A value that is no finite number.
    pub fn number(&self, key: &str) -> Result<Option<f64>, CheckpointError> {
        let Some(text) = self.text(key) else {
            return Ok(None);
        };
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Some(value)),
            _ => Err(self.refuse(key, "expected a number")),
        }
    }

    /// An error about the value of a setting.
    pub fn refuse(&self, key: &str, expected: &str) -> CheckpointError {
        CheckpointError::Config {
            path: self.path.clone().unwrap_or_default(),
            key: key.to_owned(),
            value: self.text(key).unwrap_or("missing").to_owned(),
            expected: expected.to_owned(),
        }
    }
}

fn only_one(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.take(10_000).flatten();
    let mut found = entries.map(|e| e.path()).filter(|p| {
        let ending = p.extension().and_then(|e| e.to_str());
        matches!(ending, Some("yaml" | "yml")) && p.is_file()
    });
    match (found.next(), found.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_that_matter_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        assert!(Settings::beside(&file).unwrap().path.is_none());
        // As Stability-AI/stablediffusion's v2-inference-v.yaml.
        let text = "model:\n  base_learning_rate: 1.0e-4\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params:\n    parameterization: \"v\"\n    linear_start: 0.00085\n    linear_end: 0.0120\n    timesteps: 1000\n    scale_factor: 0.18215\n    unet_config:\n      params:\n        image_size: 32 # unused\n        num_head_channels: 64 # need to fix for flash-attn\n";
        fs::write(folder.path().join("v2-inference-v.yaml"), text).unwrap();
        let settings = Settings::beside(&file).unwrap();
        assert_eq!(settings.text("parameterization"), Some("v"));
        assert_eq!(settings.number("linear_end").unwrap(), Some(0.012));
        assert_eq!(settings.number("num_head_channels").unwrap(), Some(64.0));
        assert_eq!(settings.number("num_heads").unwrap(), None);
        // Its own name goes first, and of two others neither.
        fs::write(folder.path().join("other.yaml"), "num_heads: many\n").unwrap();
        assert!(Settings::beside(&file).unwrap().path.is_none());
        fs::write(folder.path().join("model.yaml"), "num_heads: many\n").unwrap();
        let error = Settings::beside(&file).unwrap().number("num_heads").unwrap_err();
        assert!(error.to_string().contains("num_heads is many"), "{error}");
    }
}
