//! `text_encoder/config.json` of a `CLIPTextModel`.

use super::Keys;
use crate::diffusion::CheckpointError;
use serde_json::{Value, json};
use std::path::Path;

/// Activation of the text encoder's feed-forward layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x · sigmoid(1.702 x)`, as OpenAI's CLIP (SD 1).
    QuickGelu,
    /// The exact Gaussian error linear unit, as OpenCLIP (SD 2).
    Gelu,
}

/// Shape of the text encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    /// Number of tokens known.
    pub vocab_size: usize,
    /// Width of the embedding.
    pub hidden_size: usize,
    /// Width inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of every self-attention.
    pub num_attention_heads: usize,
    /// Longest prompt, in tokens.
    pub max_position_embeddings: usize,
    /// Epsilon of the layer normalisations.
    pub layer_norm_eps: f64,
    /// Feed-forward activation.
    pub activation: Activation,
}

impl TextConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// The key and value that is out of range or cannot be honoured.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        Self::of(Keys::read(path)?)
    }

    /// Checks settings.
    pub(in crate::diffusion) fn of(mut k: Keys) -> Result<Self, CheckpointError> {
        // A whole CLIP model keeps the text half one level down.
        if let Some(Value::Object(inner)) = k.get("text_config").filter(|_| k.get("hidden_size").is_none()) {
            k = k.inner(inner);
        }
        k.only(&[
            ("use_attention_mask", json!(false)),
            ("model_type", json!("clip_text_model")),
        ])?;
        let config = Self {
            vocab_size: k.count("vocab_size", 49_408, 1_000_000)?,
            hidden_size: k.count("hidden_size", 512, 16_384)?,
            intermediate_size: k.count("intermediate_size", 2048, 65_536)?,
            num_hidden_layers: k.count("num_hidden_layers", 12, 128)?,
            num_attention_heads: k.count("num_attention_heads", 8, 1024)?,
            max_position_embeddings: k.whole("max_position_embeddings", 77, 2, 4096)?,
            layer_norm_eps: k.number("layer_norm_eps", 1e-5, 0.0, 1.0)?,
            activation: match k
                .name("hidden_act", "quick_gelu", &["quick_gelu", "gelu"])?
                .as_str()
            {
                "gelu" => Activation::Gelu,
                _ => Activation::QuickGelu,
            },
        };
        if !config.hidden_size.is_multiple_of(config.num_attention_heads) {
            return Err(k.refuse(
                "num_attention_heads",
                format!("hidden_size ({}) must be a multiple of it", config.hidden_size),
            ));
        }
        // Everything else in this file configures training or other uses of the model.
        Ok(config)
    }
}
