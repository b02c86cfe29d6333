//! `vae/config.json` of an `AutoencoderKL`.

use super::Keys;
use crate::diffusion::CheckpointError;
use serde_json::json;
use std::path::Path;

/// Shape of the picture decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct VaeConfig {
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Channels per level, highest resolution first.
    pub block_out_channels: Vec<usize>,
    /// Residual blocks per level of the encoder; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of every group normalisation.
    pub norm_num_groups: usize,
    /// Latents are divided by this before decoding.
    pub scaling_factor: f64,
    /// A 1×1 convolution before the decoder.
    pub use_post_quant_conv: bool,
    /// Self-attention in the middle.
    pub mid_block_add_attention: bool,
}

impl VaeConfig {
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
            ("in_channels", json!(3)),
            ("out_channels", json!(3)),
            // Diffusers' pipeline for SD 1 and 2 does not apply it.
            ("shift_factor", json!(0)),
        ])?;
        for key in ["latents_mean", "latents_std"] {
            if k.get(key).is_some() {
                return Err(k.refuse(key, "only null is supported"));
            }
        }
        // Upcasting only matters in half precision; tiling and the encoder are not used.
        k.ignore(&["force_upcast", "sample_size", "use_quant_conv"]);
        let block_out_channels = k.counts("block_out_channels", &[64], 8, 8192)?;
        let levels = block_out_channels.len();
        for (key, name) in [
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ] {
            if k.names(key, &vec![name; levels], &[name])?.len() != levels {
                return Err(k.refuse(
                    key,
                    format!("expected {levels} entries, as block_out_channels has"),
                ));
            }
        }
        let norm_num_groups = k.count("norm_num_groups", 32, 1024)?;
        if block_out_channels.iter().any(|c| c % norm_num_groups != 0) {
            return Err(k.refuse(
                "block_out_channels",
                format!("every entry must be a multiple of norm_num_groups ({norm_num_groups})"),
            ));
        }
        let config = Self {
            latent_channels: k.count("latent_channels", 4, 64)?,
            block_out_channels,
            layers_per_block: k.count("layers_per_block", 1, 16)?,
            norm_num_groups,
            scaling_factor: k.number("scaling_factor", 0.18215, 0.0, 1e6)?,
            use_post_quant_conv: k.flag("use_post_quant_conv", true)?,
            mid_block_add_attention: k.flag("mid_block_add_attention", true)?,
        };
        k.finish()?;
        Ok(config)
    }

    /// Pixels per latent, on a side.
    pub fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }
}
