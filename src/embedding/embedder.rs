//! Any of the embedders, chosen by what a path holds.

use super::{
    Clip, DESCRIPTOR_DIM, Dinov2, EmbeddingError, Preprocessing, Sscd, clip_config::read_json, descriptor,
};
use image::RgbImage;
use serde::Deserialize;
use std::path::Path;

/// Turns pictures into unit vectors.
pub enum Embedder {
    /// Colours and edges; needs no weights.
    BuiltIn,
    /// SSCD.
    Sscd(Box<Sscd>),
    /// DINOv2.
    Dinov2(Box<Dinov2>),
    /// CLIP's picture tower.
    Clip(Box<Clip>),
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default)]
    model_type: String,
}

impl Embedder {
    /// Opens a weights file of SSCD (`.pt`, `.pth`, `.safetensors`), or a folder of DINOv2 or CLIP with `config.json`
    /// and `model.safetensors`. SSCD sees pictures as its own evaluation does, [`Preprocessing::SMALL_288`].
    ///
    /// # Errors
    /// When it is none of these, or not complete; the message says what is missing.
    pub fn open(path: &Path) -> Result<Self, EmbeddingError> {
        Self::open_with(path, Preprocessing::SMALL_288)
    }

    /// The same with another size of pictures for SSCD.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, sscd: Preprocessing) -> Result<Self, EmbeddingError> {
        if !path.is_dir() {
            return Ok(Self::Sscd(Box::new(Sscd::open(path, sscd)?)));
        }
        let config = path.join("config.json");
        if !config.is_file() {
            return Err(EmbeddingError::Unknown(path.to_owned()));
        }
        match read_json::<Kind>(&config)?.model_type.as_str() {
            "dinov2" => Ok(Self::Dinov2(Box::new(Dinov2::open(path)?))),
            "clip" => Ok(Self::Clip(Box::new(Clip::open(path)?))),
            other => Err(EmbeddingError::Config {
                path: config,
                message: format!("model_type: {other:?} instead of \"dinov2\" or \"clip\""),
            }),
        }
    }

    /// Whether it is the descriptor without weights.
    pub fn is_built_in(&self) -> bool {
        matches!(self, Self::BuiltIn)
    }

    /// Name for columns and labels.
    pub fn name(&self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in descriptor",
            Self::Sscd(sscd) if sscd.preprocessing() == Preprocessing::SKEW_320 => "SSCD skew_320",
            Self::Sscd(_) => "SSCD small_288",
            Self::Dinov2(_) => "DINOv2",
            Self::Clip(_) => "CLIP",
        }
    }

    /// Values per vector.
    pub fn dim(&self) -> usize {
        match self {
            Self::BuiltIn => DESCRIPTOR_DIM,
            Self::Sscd(sscd) => sscd.dim(),
            Self::Dinov2(dinov2) => dinov2.dim(),
            Self::Clip(clip) => clip.dim(),
        }
    }

    /// The unit vector of a picture.
    ///
    /// # Errors
    /// For a picture without pixels, or one whose embedding is not finite.
    pub fn embed(&self, image: &RgbImage) -> Result<Vec<f32>, EmbeddingError> {
        match self {
            Self::BuiltIn => descriptor(image),
            Self::Sscd(sscd) => sscd.embed(image),
            Self::Dinov2(dinov2) => dinov2.embed(image),
            Self::Clip(clip) => clip.embed(image),
        }
    }
}
