//! `config.json` of a segmenter's folder, and what holds without one.

use super::SegmentationError;
use crate::study::Arithmetic;
use serde::Deserialize;
use std::path::Path;

/// A network this room knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// U²-Net, 44 million parameters.
    U2Net,
    /// U²-Net-P, 1.1 million parameters.
    U2NetP,
    /// IS-Net (DIS), 44 million parameters.
    IsNet,
    /// BiRefNet with a Swin backbone of any size.
    BiRefNet,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::U2Net, Self::U2NetP, Self::IsNet, Self::BiRefNet];

    /// The name used in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::U2Net => "u2net",
            Self::U2NetP => "u2netp",
            Self::IsNet => "isnet",
            Self::BiRefNet => "birefnet",
        }
    }

    /// The name for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::U2Net => "U²-Net",
            Self::U2NetP => "U²-Net-P",
            Self::IsNet => "IS-Net",
            Self::BiRefNet => "BiRefNet",
        }
    }

    /// The side its authors trained with, and rembg uses.
    fn size(self) -> u32 {
        match self {
            Self::U2Net | Self::U2NetP => 320,
            Self::IsNet | Self::BiRefNet => 1024,
        }
    }

    /// Mean and deviation its authors trained with, and rembg uses.
    fn statistics(self) -> ([f32; 3], [f32; 3]) {
        match self {
            Self::IsNet => ([0.5; 3], [1.0; 3]),
            Self::U2Net | Self::U2NetP | Self::BiRefNet => (MEAN, STD),
        }
    }
}

/// In which order BiRefNet's decoder gets the patches of the picture. It changed on 5 November 2024 (commit 5198d3f of
/// its repository), and weights do not tell which one they were trained with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatchOrder {
    /// Columns of patches, then their rows, then colours: weights trained before, as those that rembg uses.
    #[default]
    Columns,
    /// Colours, then rows and columns of patches: weights trained since.
    Channels,
}

/// How bytes become the network's input, and its output a matte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Scale {
    /// Input divided by 255; the output's probabilities as they are. Where none reaches one half there is no
    /// foreground, and the matte is empty.
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
    /// BiRefNet's order of patches.
    pub patches: PatchOrder,
}

/// What the authors trained with: ImageNet statistics.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];

impl PatchOrder {
    /// The name used in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Columns => "columns",
            Self::Channels => "channels",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    architecture: String,
    size: Option<u32>,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    scale: Option<Scale>,
    #[serde(default)]
    patches: PatchOrder,
}

impl Scale {
    /// The scaling that belongs to an arithmetic: rembg's to the reference's.
    pub fn of(arithmetic: Arithmetic) -> Self {
        match arithmetic {
            Arithmetic::Reference => Self::ImageMax,
            Arithmetic::Corrected | Arithmetic::Torchmetrics => Self::Byte,
        }
    }

    /// The name used in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Byte => "255",
            Self::ImageMax => "image-max",
        }
    }
}

impl SegmenterConfig {
    /// The authors' own size, mean and deviation, with the scaling of `arithmetic`.
    pub fn authors(architecture: Architecture, arithmetic: Arithmetic) -> Self {
        let (mean, std) = architecture.statistics();
        Self {
            architecture,
            size: architecture.size(),
            mean,
            std,
            scale: Scale::of(arithmetic),
            patches: PatchOrder::default(),
        }
    }

    /// Reads a `config.json`; what it does not say is as [`Self::authors`] has it.
    ///
    /// # Errors
    /// With line and column when it is not the expected JSON, or with the key whose value is unknown or
    /// out of range.
    pub fn parse(text: &str, path: &Path, arithmetic: Arithmetic) -> Result<Self, SegmentationError> {
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
                    "unknown architecture “{}”; known: {}",
                    file.architecture,
                    Architecture::ALL.map(Architecture::name).join(", ")
                ))
            })?;
        let authors = Self::authors(architecture, arithmetic);
        let config = Self {
            architecture,
            size: file.size.unwrap_or(authors.size),
            mean: file.mean.unwrap_or(authors.mean),
            std: file.std.unwrap_or(authors.std),
            scale: file.scale.unwrap_or(authors.scale),
            patches: file.patches,
        };
        let Self { size, mean, std, .. } = &config;
        if !(32..=2048).contains(size) {
            return Err(wrong(format!("size is {size}; it must be between 32 and 2048")));
        }
        if architecture == Architecture::BiRefNet && size % 32 != 0 {
            return Err(wrong(format!("size is {size}; BiRefNet needs a multiple of 32")));
        }
        if !mean.iter().all(|v| v.is_finite()) {
            return Err(wrong(format!(
                "mean is {mean:?}; it must be three finite numbers"
            )));
        }
        if !std.iter().all(|v| v.is_finite() && *v > 0.0) {
            return Err(wrong(format!(
                "std is {std:?}; it must be three positive numbers"
            )));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SegmenterConfig, String> {
        SegmenterConfig::parse(text, Path::new("config.json"), Arithmetic::Corrected)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_the_authors() {
        let config = parse(r#"{"architecture":"u2netp"}"#).unwrap();
        let authors = SegmenterConfig::authors(Architecture::U2NetP, Arithmetic::Corrected);
        assert_eq!(config, authors);
        let config = parse(r#"{"architecture":"u2net","size":128,"scale":"image-max"}"#).unwrap();
        assert_eq!((config.size, config.scale), (128, Scale::ImageMax));
    }

    #[test]
    fn wrong_values_are_named() {
        assert!(
            parse(r#"{"architecture":"modnet"}"#)
                .unwrap_err()
                .contains("“modnet”")
        );
        assert!(
            parse(r#"{"architecture":"birefnet","size":1000}"#)
                .unwrap_err()
                .contains("multiple of 32")
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
