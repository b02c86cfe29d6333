//! The denoising network, `UNet2DConditionModel` as Stable Diffusion 1 and 2 configure it.

use super::{
    CheckpointError, Kernels, UNetConfig, WeightMap,
    blocks::{AttentionStyle, DownBlock, Layer, MidBlock, Pass, ResnetStyle, UpBlock},
    layers::{Compute, Conv2d, GroupNorm, Linear},
    probe::Tap,
    weights::Scope,
};
use candle_core::{Result, Tensor};
use rayon::prelude::*;

/// The network with its weights.
pub struct UNet {
    config: UNetConfig,
    conv_in: Conv2d,
    linear_1: Linear,
    linear_2: Linear,
    down: Vec<DownBlock>,
    mid: MidBlock,
    up: Vec<UpBlock>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    /// Whether a batch is best spread over threads picture by picture.
    spread: bool,
}

/// Networks up to this many values are spread picture by picture: their weights fit in caches well enough that
/// reading them once per thread costs less than waiting for each other after every operation.
const SPREAD_LIMIT: usize = 64_000_000;

impl UNet {
    /// Builds the network.
    ///
    /// # Errors
    /// All tensors that are missing, of the wrong shape, or superfluous.
    pub fn new(config: &UNetConfig, weights: &WeightMap) -> std::result::Result<Self, CheckpointError> {
        let spread = weights.parameters() <= SPREAD_LIMIT;
        weights.build(|scope| Self::assemble(config, scope, spread))
    }

    fn assemble(config: &UNetConfig, scope: &Scope<'_>, spread: bool) -> Result<Self> {
        let channels = &config.block_out_channels;
        let levels = config.levels();
        let (first, last) = (channels[0], channels[levels - 1]);
        let time = 4 * first;
        let style = ResnetStyle {
            groups: config.norm_num_groups,
            epsilon: config.norm_eps,
            time: Some(time),
        };
        let attention = |level: usize| AttentionStyle {
            heads: config.heads[level],
            depth: config.transformer_layers[level],
            context: config.cross_attention_dim,
        };

        // What the way up will find on the stack of skip connections.
        let mut skips = vec![first];
        let mut down = Vec::with_capacity(levels);
        for level in 0..levels {
            let scope = scope.at(format!("down_blocks.{level}"));
            let (inputs, outputs) = (channels[level.saturating_sub(1)], channels[level]);
            let attention = config.down_attention[level].then(|| attention(level));
            let layers = (0..config.layers_per_block[level])
                .map(|i| {
                    Layer::new(
                        &scope,
                        i,
                        if i == 0 { inputs } else { outputs },
                        outputs,
                        style,
                        attention,
                    )
                })
                .collect::<Result<Vec<_>>>()?;
            skips.extend(layers.iter().map(|_| outputs));
            let downsample = (level + 1 < levels)
                .then(|| Conv2d::new(&scope.at("downsamplers.0.conv"), outputs, outputs, 3, 2));
            skips.extend(downsample.iter().map(|_| outputs));
            down.push(DownBlock { layers, downsample });
        }
        let mid = MidBlock::new(&scope.at("mid_block"), last, style, attention(levels - 1))?;
        let mut up = Vec::with_capacity(levels);
        let mut width = last;
        for (index, level) in (0..levels).rev().enumerate() {
            let scope = scope.at(format!("up_blocks.{index}"));
            let outputs = channels[level];
            let attention = config.up_attention[index].then(|| attention(level));
            let mut layers = Vec::new();
            for i in 0..config.layers_per_block[level] + 1 {
                let skip = skips.pop().unwrap_or(0);
                layers.push(Layer::new(&scope, i, width + skip, outputs, style, attention)?);
                width = outputs;
            }
            let upsample =
                (level > 0).then(|| Conv2d::new(&scope.at("upsamplers.0.conv"), outputs, outputs, 3, 1));
            up.push(UpBlock { layers, upsample });
        }
        Ok(Self {
            conv_in: Conv2d::new(&scope.at("conv_in"), config.in_channels, first, 3, 1),
            linear_1: Linear::new(&scope.at("time_embedding.linear_1"), first, time)?,
            linear_2: Linear::new(&scope.at("time_embedding.linear_2"), time, time)?,
            down,
            mid,
            up,
            norm_out: GroupNorm::new(
                &scope.at("conv_norm_out"),
                first,
                config.norm_num_groups,
                config.norm_eps,
            ),
            conv_out: Conv2d::new(&scope.at("conv_out"), first, config.out_channels, 3, 1),
            config: config.clone(),
            spread,
        })
    }

    /// The network's prediction for `latents[n, channels, h, w]` at a timestep, given `context[n, tokens, d]`.
    ///
    /// Small networks with fast kernels compute the pictures of a batch side by side; a tap is then shown the layers
    /// after the pass.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(
        &self,
        latents: &Tensor,
        timestep: usize,
        context: &Tensor,
        compute: Compute,
        mut tap: Option<Tap<'_>>,
    ) -> Result<Tensor> {
        let n = latents.dim(0)?;
        let threads = rayon::current_num_threads();
        let parts = n.min(threads);
        if parts < 2 || !self.spread || compute.kernels != Kernels::Fast || !compute.parallel {
            return self.pass(latents, timestep, context, compute, &mut tap);
        }
        let compute = Compute {
            parallel: threads > parts,
            ..compute
        };
        let wanted = tap.as_ref().map(|tap| tap.set().clone());
        let (outputs, views): (Vec<_>, Vec<_>) = (0..parts)
            .into_par_iter()
            .map(|part| {
                let (from, to) = (part * n / parts, (part + 1) * n / parts);
                let latents = latents.narrow(0, from, to - from)?;
                let context = context.narrow(0, from, to - from)?;
                let mut keeper = wanted.clone().map(Tap::for_part);
                let output = self.pass(&latents, timestep, &context, compute, &mut keeper)?;
                Ok((output, keeper.map_or_else(Vec::new, Tap::into_kept)))
            })
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .unzip();
        if let Some(tap) = &mut tap {
            tap.show(views)?;
        }
        Tensor::cat(&outputs, 0)
    }

    fn pass(
        &self,
        latents: &Tensor,
        timestep: usize,
        context: &Tensor,
        compute: Compute,
        tap: &mut Option<Tap<'_>>,
    ) -> Result<Tensor> {
        let (n, _, height, width) = latents.dims4()?;
        let time = time_embedding(&self.config, timestep as f64);
        let time = Tensor::from_vec(time, (1, self.config.block_out_channels[0]), latents.device())?;
        let time = self
            .linear_1
            .forward(&time.to_dtype(latents.dtype())?, compute)?
            .silu()?;
        let time = self.linear_2.forward(&time, compute)?.silu()?;
        let time = time.repeat((n, 1))?;

        let mut pass = Pass {
            time: &time,
            context,
            compute,
            tap,
        };
        let mut x = self.conv_in.forward(latents, compute)?;
        let mut skips = vec![x.clone()];
        for block in &self.down {
            x = block.forward(x, &mut skips, &mut pass)?;
        }
        x = self.mid.forward(&x, &mut pass)?;
        for block in &self.up {
            x = block.forward(x, &mut skips, &mut pass)?;
        }
        let x = self.norm_out.forward(&x, true, compute)?;
        let out = self.conv_out.forward(&x, compute)?;
        debug_assert_eq!((out.dim(2)?, out.dim(3)?), (height, width));
        Ok(out)
    }

    /// The configuration the network was built from.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }
}

/// Sinusoids of the timestep (diffusers `get_timestep_embedding`), computed in f32 as there.
fn time_embedding(config: &UNetConfig, timestep: f64) -> Vec<f32> {
    let width = config.block_out_channels[0];
    let half = width / 2;
    let angle = |i: usize| {
        let exponent = -(10_000f64.ln() as f32) * i as f32 / (half as f32 - config.freq_shift as f32);
        timestep as f32 * exponent.exp()
    };
    let sines = (0..half).map(|i| angle(i).sin());
    let cosines = (0..half).map(|i| angle(i).cos());
    if config.flip_sin_to_cos {
        cosines.chain(sines).collect()
    } else {
        sines.chain(cosines).collect()
    }
}
