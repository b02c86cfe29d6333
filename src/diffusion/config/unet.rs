//! `unet/config.json` of a `UNet2DConditionModel`.

use super::Keys;
use crate::diffusion::CheckpointError;
use serde_json::json;
use std::path::Path;

/// Shape of the denoising network. Lists have one entry per resolution, highest first.
#[derive(Clone, Debug, PartialEq)]
pub struct UNetConfig {
    /// Latent side (height, width) the model was trained at.
    pub sample_size: (usize, usize),
    /// Latent channels in.
    pub in_channels: usize,
    /// Latent channels out.
    pub out_channels: usize,
    /// Channels per level.
    pub block_out_channels: Vec<usize>,
    /// Whether a level of the way down has cross-attention.
    pub down_attention: Vec<bool>,
    /// Whether a level of the way up (lowest resolution first) has cross-attention.
    pub up_attention: Vec<bool>,
    /// Residual blocks per level on the way down; one more on the way up.
    pub layers_per_block: Vec<usize>,
    /// Transformer blocks per attention layer.
    pub transformer_layers: Vec<usize>,
    /// Attention heads per level (`attention_head_dim`, which in diffusers means the number of heads).
    pub heads: Vec<usize>,
    /// Width of the text embedding.
    pub cross_attention_dim: usize,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// Epsilon of the residual blocks' normalisations.
    pub norm_eps: f64,
    /// Linear instead of 1×1 convolution around the transformer blocks (SD 2).
    pub use_linear_projection: bool,
    /// Cosine half of the time embedding first.
    pub flip_sin_to_cos: bool,
    /// Shift in the frequencies of the time embedding.
    pub freq_shift: usize,
}

impl UNetConfig {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// The key and value that is out of range or cannot be honoured.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        Self::of(Keys::read(path)?)
    }

    /// Checks settings.
    pub(in crate::diffusion) fn of(mut k: Keys) -> Result<Self, CheckpointError> {
        k.only(&[
            ("act_fn", json!("silu")),
            ("attention_type", json!("default")),
            ("center_input_sample", json!(false)),
            ("class_embeddings_concat", json!(false)),
            ("conv_in_kernel", json!(3)),
            ("conv_out_kernel", json!(3)),
            ("downsample_padding", json!(1)),
            ("dual_cross_attention", json!(false)),
            ("mid_block_only_cross_attention", json!(false)),
            ("mid_block_scale_factor", json!(1)),
            ("mid_block_type", json!("UNetMidBlock2DCrossAttn")),
            ("resnet_out_scale_factor", json!(1)),
            ("resnet_skip_time_act", json!(false)),
            ("resnet_time_scale_shift", json!("default")),
            ("time_embedding_type", json!("positional")),
        ])?;
        match k.get("only_cross_attention") {
            Some(v)
                if v != json!(false)
                    && !v.as_array().is_some_and(|a| a.iter().all(|v| *v == json!(false))) =>
            {
                return Err(k.refuse("only_cross_attention", "only false is supported"));
            }
            _ => {}
        }
        for key in ABSENT {
            if k.get(key).is_some() {
                return Err(k.refuse(key, "only null is supported"));
            }
        }
        k.ignore(&["dropout", "upcast_attention", "addition_embed_type_num_heads"]);

        let block_out_channels = k.counts("block_out_channels", &[320, 640, 1280, 1280], 8, 8192)?;
        let levels = block_out_channels.len();
        let norm_num_groups = k.count("norm_num_groups", 32, 1024)?;
        if block_out_channels
            .iter()
            .any(|c| c % norm_num_groups != 0 || c % 2 != 0)
        {
            return Err(k.refuse(
                "block_out_channels",
                format!("every entry must be even and a multiple of norm_num_groups ({norm_num_groups})"),
            ));
        }
        let blocks = |k: &mut Keys, key: &str, default: [&str; 4], plain: &str, cross: &str| {
            let names = k.names(key, &default, &[plain, cross])?;
            if names.len() != levels {
                return Err(k.refuse(
                    key,
                    format!("expected {levels} entries, as block_out_channels has"),
                ));
            }
            Ok(names.iter().map(|n| n == cross).collect::<Vec<bool>>())
        };
        let (c, d) = ("CrossAttnDownBlock2D", "DownBlock2D");
        let down_attention = blocks(&mut k, "down_block_types", [c, c, c, d], d, c)?;
        let (c, d) = ("CrossAttnUpBlock2D", "UpBlock2D");
        let up_attention = blocks(&mut k, "up_block_types", [d, c, c, c], d, c)?;
        let heads = k.per_level("attention_head_dim", 8, levels, 1024)?;
        if let Some(i) = (0..levels).find(|&i| block_out_channels[i] % heads[i] != 0) {
            return Err(k.refuse(
                "attention_head_dim",
                format!(
                    "{} channels cannot be split into {} heads",
                    block_out_channels[i], heads[i]
                ),
            ));
        }
        let side = k.per_level("sample_size", 64, 2, 1024)?;
        let config = Self {
            sample_size: (side[0], side[1]),
            in_channels: k.count("in_channels", 4, 64)?,
            out_channels: k.count("out_channels", 4, 64)?,
            down_attention,
            up_attention,
            layers_per_block: k.per_level("layers_per_block", 2, levels, 16)?,
            transformer_layers: k.per_level("transformer_layers_per_block", 1, levels, 32)?,
            heads,
            cross_attention_dim: k.count("cross_attention_dim", 1280, 16_384)?,
            norm_num_groups,
            norm_eps: k.number("norm_eps", 1e-5, 0.0, 1.0)?,
            use_linear_projection: k.flag("use_linear_projection", false)?,
            flip_sin_to_cos: k.flag("flip_sin_to_cos", true)?,
            freq_shift: k.whole("freq_shift", 0, 0, 1)?,
            block_out_channels,
        };
        if config.in_channels != config.out_channels {
            return Err(k.refuse(
                "in_channels",
                format!(
                    "it must equal out_channels ({}); inpainting and depth models are not supported",
                    config.out_channels
                ),
            ));
        }
        k.finish()?;
        Ok(config)
    }

    /// The transformer blocks in order of execution (down, middle, up): names in diffusers, as
    /// `mid_block.attentions.0.transformer_blocks.0`. Places in this list are [`Site::index`](super::super::Site::index)
    /// and the numbers of layers in variants.
    pub fn transformer_blocks(&self) -> Vec<String> {
        let level = |part: String, layers: usize, depth: usize| {
            (0..layers).flat_map(move |layer| {
                let part = part.clone();
                (0..depth).map(move |block| format!("{part}.attentions.{layer}.transformer_blocks.{block}"))
            })
        };
        let levels = self.levels();
        let mut names = Vec::new();
        for i in (0..levels).filter(|&i| self.down_attention[i]) {
            let part = format!("down_blocks.{i}");
            names.extend(level(part, self.layers_per_block[i], self.transformer_layers[i]));
        }
        names.extend(level(
            "mid_block".to_owned(),
            1,
            self.transformer_layers[levels - 1],
        ));
        for i in (0..levels).filter(|&i| self.up_attention[i]) {
            let (part, same) = (format!("up_blocks.{i}"), levels - 1 - i);
            names.extend(level(
                part,
                self.layers_per_block[same] + 1,
                self.transformer_layers[same],
            ));
        }
        names
    }

    /// Number of resolutions.
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }
}

/// Settings of other model families: present means a different network.
const ABSENT: &[&str] = &[
    "addition_embed_type",
    "addition_time_embed_dim",
    "class_embed_type",
    "cross_attention_norm",
    "encoder_hid_dim",
    "encoder_hid_dim_type",
    "num_attention_heads",
    "num_class_embeds",
    "projection_class_embeddings_input_dim",
    "reverse_transformer_layers_per_block",
    "time_cond_proj_dim",
    "time_embedding_act_fn",
    "time_embedding_dim",
    "timestep_post_act",
];
