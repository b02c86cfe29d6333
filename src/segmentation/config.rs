//! `config.json` of a segmenter's folder.

use super::SegmentationError;
use serde::Deserialize;
use std::path::Path;

/// A network this room knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// U²-Net, 44 million parameters.
    U2Net,
    /// U²-Net-P, 1.1 million parameters.
    U2NetP,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::U2Net, Self::U2NetP];

    /// The name used in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::U2Net => "u2net",
            Self::U2NetP => "u2netp",
        }
    }
}

/// How bytes become the network's input, and its output a matte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Scale {
    /// Input divided by 255; the output's probabilities as they are.
    #[serde(rename = "255")]
    Byte,
    /// As rembg: input divided by the picture's largest value; output stretched to span 0 to 1, so that
    /// every matte has a foreground, even of a picture that has none.
    #[serde(rename = "image-max")]
    ImageMax,
}

/// Settings of a segmenter.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmenterConfig {
    /// The network.
    pub architecture: Architecture,
    /// Side of the square the picture is stretched to, in pixels, 32 to 2048.
    pub size: u32,
    /// Subtracted per colour, after scaling.
    pub mean: [f32; 3],
    /// Divided by per colour, positive.
    pub std: [f32; 3],
    /// Scaling of input and output.
    pub scale: Scale,
}

/// What the authors trained with: ImageNet statistics.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    architecture: String,
    #[serde(default = "authors_size")]
    size: u32,
    #[serde(default = "authors_mean")]
    mean: [f32; 3],
    #[serde(default = "authors_std")]
    std: [f32; 3],
    #[serde(default = "byte")]
    scale: Scale,
}

fn authors_size() -> u32 {
    320
}

fn authors_mean() -> [f32; 3] {
    MEAN
}

fn authors_std() -> [f32; 3] {
    STD
}

fn byte() -> Scale {
    Scale::Byte
}

impl SegmenterConfig {
    /// The authors' own: 320², ImageNet mean and deviation; probabilities kept as they are.
    pub fn authors(architecture: Architecture) -> Self {
        Self {
            architecture,
            size: authors_size(),
            mean: MEAN,
            std: STD,
            scale: Scale::Byte,
        }
    }

    /// Reads a `config.json`.
    ///
    /// # Errors
    /// With line and column when it is not the expected JSON, or with the key whose value is unknown or
    /// out of range.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SegmentationError> {
        let wrong = |message: String| SegmentationError::Config {
            path: path.to_owned(),
            message,
        };
        let file: File = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
        let architecture = Architecture::ALL
            .into_iter()
            .find(|a| a.name() == file.architecture)
            .ok_or_else(|| {
                wrong(format!(
                    "unknown architecture “{}”; known: u2net, u2netp",
                    file.architecture
                ))
            })?;
        if !(32..=2048).contains(&file.size) {
            return Err(wrong(format!(
                "size is {}; it must be between 32 and 2048",
                file.size
            )));
        }
        if !file.mean.iter().all(|v| v.is_finite()) {
            return Err(wrong(format!(
                "mean is {:?}; it must be three finite numbers",
                file.mean
            )));
        }
        if !file.std.iter().all(|v| v.is_finite() && *v > 0.0) {
            return Err(wrong(format!(
                "std is {:?}; it must be three positive numbers",
                file.std
            )));
        }
        Ok(Self {
            architecture,
            size: file.size,
            mean: file.mean,
            std: file.std,
            scale: file.scale,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SegmenterConfig, String> {
        SegmenterConfig::parse(text, Path::new("config.json")).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_the_authors() {
        let config = parse(r#"{"architecture":"u2netp"}"#).unwrap();
        assert_eq!(config, SegmenterConfig::authors(Architecture::U2NetP));
        let config = parse(r#"{"architecture":"u2net","size":128,"scale":"image-max"}"#).unwrap();
        assert_eq!((config.size, config.scale), (128, Scale::ImageMax));
    }

    #[test]
    fn wrong_values_are_named() {
        assert!(
            parse(r#"{"architecture":"birefnet"}"#)
                .unwrap_err()
                .contains("“birefnet”")
        );
        assert!(
            parse(r#"{"architecture":"u2net","size":9}"#)
                .unwrap_err()
                .contains("size is 9")
        );
        assert!(
            parse(r#"{"architecture":"u2net","std":[1,0,1]}"#)
                .unwrap_err()
                .contains("std")
        );
        assert!(
            parse(r#"{"architecture":"u2net","sice":9}"#)
                .unwrap_err()
                .contains("sice")
        );
        assert!(parse("{").unwrap_err().contains("line 1"));
    }
}
