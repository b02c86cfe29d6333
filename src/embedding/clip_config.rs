//! `config.json` of CLIP in the layout of `transformers`, and the tensors it calls for.

use super::EmbeddingError;
use candle_transformers::models::clip::{
    ClipConfig,
    text_model::{Activation, ClipTextConfig},
    vision_model::ClipVisionConfig,
};
use serde::{Deserialize, de::DeserializeOwned};
use std::path::Path;

const MAX_BYTES: u64 = 1 << 20;

/// Reads a small JSON file.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, EmbeddingError> {
    let io = |source| EmbeddingError::Io {
        path: path.to_owned(),
        source,
    };
    let refuse = |message: String| EmbeddingError::Config {
        path: path.to_owned(),
        message,
    };
    if std::fs::metadata(path).map_err(io)?.len() > MAX_BYTES {
        return Err(refuse("it is too large for a config.json".into()));
    }
    let text = std::fs::read(path).map_err(io)?;
    serde_json::from_slice(&text).map_err(|e| refuse(e.to_string()))
}

/// One tower; defaults are those of `transformers`.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Tower {
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: usize,
    num_attention_heads: Option<usize>,
    hidden_act: String,
    vocab_size: usize,
    max_position_embeddings: usize,
    image_size: usize,
    patch_size: usize,
}

impl Default for Tower {
    fn default() -> Self {
        Self {
            hidden_size: None,
            intermediate_size: None,
            num_hidden_layers: 12,
            num_attention_heads: None,
            hidden_act: "quick_gelu".into(),
            vocab_size: 49_408,
            max_position_embeddings: 77,
            image_size: 224,
            patch_size: 32,
        }
    }
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(default)]
    text_config: Tower,
    #[serde(default)]
    vision_config: Tower,
    #[serde(default = "projection")]
    projection_dim: usize,
}

fn projection() -> usize {
    512
}

/// Reads and checks the settings of both towers.
pub(super) fn read(path: &Path) -> Result<ClipConfig, EmbeddingError> {
    let file: File = read_json(path)?;
    let refuse = |message: String| EmbeddingError::Config {
        path: path.to_owned(),
        message,
    };
    let (text, vision) = (&file.text_config, &file.vision_config);
    let mut heads = [0; 2];
    for (i, (name, tower, width, own)) in [("text_config", text, 512, 8), ("vision_config", vision, 768, 12)]
        .into_iter()
        .enumerate()
    {
        if tower.hidden_act != "quick_gelu" {
            let act = &tower.hidden_act;
            return Err(refuse(format!(
                "{name}.hidden_act: {act:?} instead of \"quick_gelu\""
            )));
        }
        let width = tower.hidden_size.unwrap_or(width);
        heads[i] = tower.num_attention_heads.unwrap_or(own);
        let sizes = [width, heads[i], tower.num_hidden_layers, file.projection_dim];
        if sizes.iter().any(|&s| s == 0 || s > 16_384) || !width.is_multiple_of(heads[i]) {
            return Err(refuse(format!(
                "{name}: hidden_size {width} with {} heads is impossible",
                heads[i]
            )));
        }
    }
    if vision.patch_size == 0 || !(vision.patch_size..=2048).contains(&vision.image_size) {
        return Err(refuse(
            "vision_config: image_size must be at least patch_size, and at most 2048".into(),
        ));
    }
    if !(2..=4096).contains(&text.max_position_embeddings) || !(1..=1_000_000).contains(&text.vocab_size) {
        return Err(refuse(
            "text_config: max_position_embeddings or vocab_size is impossible".into(),
        ));
    }
    Ok(ClipConfig {
        text_config: ClipTextConfig {
            vocab_size: text.vocab_size,
            embed_dim: text.hidden_size.unwrap_or(512),
            activation: Activation::QuickGelu,
            intermediate_size: text.intermediate_size.unwrap_or(2048),
            max_position_embeddings: text.max_position_embeddings,
            pad_with: None,
            num_hidden_layers: text.num_hidden_layers,
            num_attention_heads: heads[0],
            projection_dim: file.projection_dim,
        },
        vision_config: ClipVisionConfig {
            embed_dim: vision.hidden_size.unwrap_or(768),
            activation: Activation::QuickGelu,
            intermediate_size: vision.intermediate_size.unwrap_or(3072),
            num_hidden_layers: vision.num_hidden_layers,
            num_attention_heads: heads[1],
            projection_dim: file.projection_dim,
            num_channels: 3,
            image_size: vision.image_size,
            patch_size: vision.patch_size,
        },
        logit_scale_init_value: 2.6592,
        image_size: vision.image_size,
    })
}

/// Names and shapes of all tensors.
pub(super) fn tensors(config: &ClipConfig) -> Vec<(String, Vec<usize>)> {
    let (text, vision) = (&config.text_config, &config.vision_config);
    let positions = (vision.image_size / vision.patch_size).pow(2) + 1;
    let (t, v) = (text.embed_dim, vision.embed_dim);
    let mut all: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
    add(
        "text_model.embeddings.token_embedding.weight".into(),
        &[text.vocab_size, t],
    );
    add(
        "text_model.embeddings.position_embedding.weight".into(),
        &[text.max_position_embeddings, t],
    );
    add("vision_model.embeddings.class_embedding".into(), &[v]);
    add(
        "vision_model.embeddings.position_embedding.weight".into(),
        &[positions, v],
    );
    add(
        "vision_model.embeddings.patch_embedding.weight".into(),
        &[v, 3, vision.patch_size, vision.patch_size],
    );
    for (norm, width) in [
        ("text_model.final_layer_norm", t),
        ("vision_model.pre_layrnorm", v),
        ("vision_model.post_layernorm", v),
    ] {
        add(format!("{norm}.weight"), &[width]);
        add(format!("{norm}.bias"), &[width]);
    }
    add("text_projection.weight".into(), &[text.projection_dim, t]);
    add("visual_projection.weight".into(), &[vision.projection_dim, v]);
    let towers = [
        ("text_model", t, text.intermediate_size, text.num_hidden_layers),
        (
            "vision_model",
            v,
            vision.intermediate_size,
            vision.num_hidden_layers,
        ),
    ];
    for (tower, width, hidden, layers) in towers {
        for i in 0..layers {
            let at = format!("{tower}.encoder.layers.{i}");
            for norm in ["layer_norm1", "layer_norm2"] {
                add(format!("{at}.{norm}.weight"), &[width]);
                add(format!("{at}.{norm}.bias"), &[width]);
            }
            for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                add(format!("{at}.self_attn.{part}.weight"), &[width, width]);
                add(format!("{at}.self_attn.{part}.bias"), &[width]);
            }
            for (part, from, to) in [("fc1", width, hidden), ("fc2", hidden, width)] {
                add(format!("{at}.mlp.{part}.weight"), &[to, from]);
                add(format!("{at}.mlp.{part}.bias"), &[to]);
            }
        }
    }
    all
}
