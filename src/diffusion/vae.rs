//! The picture decoder, the second half of `AutoencoderKL`.

use super::{
    CheckpointError, Kernels, VaeConfig, WeightMap,
    attention::Attention,
    blocks::{ResnetBlock, ResnetStyle},
    layers::{Compute, Conv2d, GroupNorm, upsample},
    weights::Scope,
};
use candle_core::{Result, Tensor};
use rayon::prelude::*;

const EPSILON: f64 = 1e-6;

/// The decoder with its weights.
pub struct VaeDecoder {
    config: VaeConfig,
    post_quant_conv: Option<Conv2d>,
    conv_in: Conv2d,
    mid_first: ResnetBlock,
    mid_attention: Option<(GroupNorm, Attention)>,
    mid_last: ResnetBlock,
    up: Vec<(Vec<ResnetBlock>, Option<Conv2d>)>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

/// Latents of up to this many values (512² pictures have 16 384) are decoded side by side.
const SPREAD_LIMIT: usize = 4096;

impl VaeDecoder {
    /// Builds the decoder.
    ///
    /// # Errors
    /// All tensors that are missing, of the wrong shape, or superfluous.
    pub fn new(config: &VaeConfig, weights: &WeightMap) -> std::result::Result<Self, CheckpointError> {
        weights.build(|scope| Self::assemble(config, scope))
    }

    fn assemble(config: &VaeConfig, scope: &Scope<'_>) -> Result<Self> {
        let style = ResnetStyle {
            groups: config.norm_num_groups,
            epsilon: EPSILON,
            time: None,
        };
        let latent = config.latent_channels;
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let decoder = scope.at("decoder");
        let mid = decoder.at("mid_block");
        let mid_attention = if config.mid_block_add_attention {
            let scope = mid.at("attentions.0");
            let norm = GroupNorm::new(&scope.at("group_norm"), last, config.norm_num_groups, EPSILON);
            Some((norm, Attention::with_bias(&scope, last)?))
        } else {
            None
        };
        let mut up = Vec::with_capacity(channels.len());
        let mut width = last;
        for (index, &outputs) in channels.iter().rev().enumerate() {
            let scope = decoder.at(format!("up_blocks.{index}"));
            let mut layers = Vec::new();
            for i in 0..config.layers_per_block + 1 {
                layers.push(ResnetBlock::new(
                    &scope.at(format!("resnets.{i}")),
                    width,
                    outputs,
                    style,
                )?);
                width = outputs;
            }
            let upsample = (index + 1 < channels.len())
                .then(|| Conv2d::new(&scope.at("upsamplers.0.conv"), outputs, outputs, 3, 1));
            up.push((layers, upsample));
        }
        Ok(Self {
            post_quant_conv: config
                .use_post_quant_conv
                .then(|| Conv2d::new(&scope.at("post_quant_conv"), latent, latent, 1, 1)),
            conv_in: Conv2d::new(&decoder.at("conv_in"), latent, last, 3, 1),
            mid_first: ResnetBlock::new(&mid.at("resnets.0"), last, last, style)?,
            mid_attention,
            mid_last: ResnetBlock::new(&mid.at("resnets.1"), last, last, style)?,
            up,
            norm_out: GroupNorm::new(
                &decoder.at("conv_norm_out"),
                first,
                config.norm_num_groups,
                EPSILON,
            ),
            conv_out: Conv2d::new(&decoder.at("conv_out"), first, 3, 3, 1),
            config: config.clone(),
        })
    }

    /// Latents of the sampler `[n, channels, h, w]` to pictures `[n, 3, H, W]`, nominally in `[-1, 1]`, not clamped.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn decode(&self, latents: &Tensor, compute: Compute) -> Result<Tensor> {
        let latents = latents.affine(1.0 / self.config.scaling_factor, 0.0)?;
        let n = latents.dim(0)?;
        let one = |i: usize, compute: Compute| self.pass(&latents.narrow(0, i, 1)?, compute);
        // One picture at a time bounds the memory; small ones go side by side.
        let small = latents.elem_count() / n.max(1) <= SPREAD_LIMIT;
        let spread = small && n > 1 && compute.kernels == Kernels::Fast && compute.parallel;
        let pictures = if spread {
            let threads = rayon::current_num_threads();
            let compute = Compute {
                parallel: threads > n,
                ..compute
            };
            (0..n)
                .into_par_iter()
                .map(|i| one(i, compute))
                .collect::<Result<Vec<_>>>()?
        } else {
            (0..n).map(|i| one(i, compute)).collect::<Result<Vec<_>>>()?
        };
        Tensor::cat(&pictures, 0)
    }

    fn pass(&self, latents: &Tensor, compute: Compute) -> Result<Tensor> {
        let mut x = match &self.post_quant_conv {
            Some(conv) => conv.forward(latents, compute)?,
            None => latents.clone(),
        };
        x = self.conv_in.forward(&x, compute)?;
        x = self.mid_first.forward(&x, None, compute)?;
        if let Some((norm, attention)) = &self.mid_attention {
            x = attention.planes(&norm.forward(&x, false, compute)?, &x, compute)?;
        }
        x = self.mid_last.forward(&x, None, compute)?;
        for (layers, conv) in &self.up {
            for layer in layers {
                x = layer.forward(&x, None, compute)?;
            }
            if let Some(conv) = conv {
                let (_, _, h, w) = x.dims4()?;
                x = conv.forward(&upsample(&x, (2 * h, 2 * w), compute)?, compute)?;
            }
        }
        self.conv_out
            .forward(&self.norm_out.forward(&x, true, compute)?, compute)
    }

    /// The configuration the decoder was built from.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }
}

/// Today's name of a VAE tensor; `None` for the encoder, which is not used. Checkpoints from before diffusers 0.18
/// name the attention's parts differently.
pub(super) fn canonical(name: &str) -> Option<String> {
    if name.starts_with("encoder.") || name.starts_with("quant_conv.") {
        return None;
    }
    const RENAMED: [(&str, &str); 4] = [
        ("attentions.0.query.", "attentions.0.to_q."),
        ("attentions.0.key.", "attentions.0.to_k."),
        ("attentions.0.value.", "attentions.0.to_v."),
        ("attentions.0.proj_attn.", "attentions.0.to_out.0."),
    ];
    let renamed = RENAMED.iter().find(|(old, _)| name.contains(old));
    Some(renamed.map_or_else(|| name.to_owned(), |(old, new)| name.replace(old, new)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_attention_names_are_understood() {
        assert_eq!(
            canonical("decoder.mid_block.attentions.0.proj_attn.bias").as_deref(),
            Some("decoder.mid_block.attentions.0.to_out.0.bias")
        );
        assert_eq!(canonical("encoder.conv_in.weight"), None);
        assert_eq!(
            canonical("decoder.conv_in.weight").as_deref(),
            Some("decoder.conv_in.weight")
        );
    }
}
