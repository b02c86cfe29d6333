//! Residual blocks and the levels of the UNet made of them, named as diffusers names them.

use super::{
    attention::SpatialTransformer,
    layers::{Compute, Conv2d, GroupNorm, Linear, upsample},
    probe::Tap,
    weights::Scope,
};
use candle_core::{Result, Tensor};

/// `ResnetBlock2D`.
pub struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

/// What the residual blocks of a network have in common.
#[derive(Clone, Copy)]
pub struct ResnetStyle {
    /// Groups of the normalisations.
    pub groups: usize,
    /// Epsilon of the normalisations.
    pub epsilon: f64,
    /// Width of the time embedding; `None` in the VAE.
    pub time: Option<usize>,
}

impl ResnetBlock {
    /// A block from `inputs` to `outputs` channels.
    pub fn new(scope: &Scope<'_>, inputs: usize, outputs: usize, style: ResnetStyle) -> Result<Self> {
        let ResnetStyle {
            groups,
            epsilon,
            time,
        } = style;
        let time = time
            .map(|width| Linear::new(&scope.at("time_emb_proj"), width, outputs))
            .transpose()?;
        let shortcut =
            (inputs != outputs).then(|| Conv2d::new(&scope.at("conv_shortcut"), inputs, outputs, 1, 1));
        Ok(Self {
            norm1: GroupNorm::new(&scope.at("norm1"), inputs, groups, epsilon),
            conv1: Conv2d::new(&scope.at("conv1"), inputs, outputs, 3, 1),
            time,
            norm2: GroupNorm::new(&scope.at("norm2"), outputs, groups, epsilon),
            conv2: Conv2d::new(&scope.at("conv2"), outputs, outputs, 3, 1),
            shortcut,
        })
    }

    /// `time` is the time embedding after SiLU, `[n, width]`.
    pub fn forward(&self, x: &Tensor, time: Option<&Tensor>, compute: Compute) -> Result<Tensor> {
        let shift = match (&self.time, time) {
            (Some(layer), Some(time)) => Some(layer.forward(time, compute)?),
            _ => None,
        };
        // Assigned, not shadowed: what is used up is freed at once, which is most of a decoder's memory.
        let mut y = self.norm1.forward(x, true, compute)?;
        y = self.conv1.forward_with(&y, shift.as_ref(), None, compute)?;
        y = self.norm2.forward(&y, true, compute)?;
        match &self.shortcut {
            Some(shortcut) => {
                self.conv2
                    .forward_with(&y, None, Some(&shortcut.forward(x, compute)?), compute)
            }
            None => self.conv2.forward_with(&y, None, Some(x), compute),
        }
    }
}

/// What a pass through the UNet carries along.
pub struct Pass<'p, 'o> {
    /// Time embedding after SiLU.
    pub time: &'p Tensor,
    /// Text embedding.
    pub context: &'p Tensor,
    /// Kernels.
    pub compute: Compute<'p>,
    /// Who is looking.
    pub tap: &'p mut Option<Tap<'o>>,
}

/// One residual block and the transformer after it, if the level has cross-attention.
pub struct Layer {
    resnet: ResnetBlock,
    attention: Option<SpatialTransformer>,
}

/// Attention of one level.
#[derive(Clone, Copy)]
pub struct AttentionStyle {
    /// Heads.
    pub heads: usize,
    /// Transformer blocks in a layer.
    pub depth: usize,
    /// Width of the text embedding.
    pub context: usize,
}

impl Layer {
    /// The layer `index` of a level: `resnets.{index}` and `attentions.{index}`.
    pub fn new(
        scope: &Scope<'_>,
        index: usize,
        inputs: usize,
        outputs: usize,
        style: ResnetStyle,
        attention: Option<AttentionStyle>,
    ) -> Result<Self> {
        let resnet = ResnetBlock::new(&scope.at(format!("resnets.{index}")), inputs, outputs, style)?;
        let transformer = |a: AttentionStyle| {
            let scope = scope.at(format!("attentions.{index}"));
            SpatialTransformer::new(&scope, outputs, style.groups, a.context, a.heads, a.depth)
        };
        Ok(Self {
            resnet,
            attention: attention.map(transformer).transpose()?,
        })
    }

    fn forward(&self, x: &Tensor, pass: &mut Pass<'_, '_>) -> Result<Tensor> {
        let y = self.resnet.forward(x, Some(pass.time), pass.compute)?;
        match &self.attention {
            Some(attention) => attention.forward(&y, pass.context, pass.compute, pass.tap),
            None => Ok(y),
        }
    }
}

/// `DownBlock2D` and `CrossAttnDownBlock2D`.
pub struct DownBlock {
    /// Layers.
    pub layers: Vec<Layer>,
    /// Halves the resolution; absent at the lowest level.
    pub downsample: Option<Conv2d>,
}

impl DownBlock {
    /// Puts every intermediate result on `skips` for the way up.
    pub fn forward(&self, mut x: Tensor, skips: &mut Vec<Tensor>, pass: &mut Pass<'_, '_>) -> Result<Tensor> {
        for layer in &self.layers {
            x = layer.forward(&x, pass)?;
            skips.push(x.clone());
        }
        if let Some(conv) = &self.downsample {
            x = conv.forward(&x, pass.compute)?;
            skips.push(x.clone());
        }
        Ok(x)
    }
}

/// `UNetMidBlock2DCrossAttn`.
pub struct MidBlock {
    first: Layer,
    last: ResnetBlock,
}

impl MidBlock {
    /// One layer with attention and one more residual block.
    pub fn new(
        scope: &Scope<'_>,
        channels: usize,
        style: ResnetStyle,
        attention: AttentionStyle,
    ) -> Result<Self> {
        Ok(Self {
            first: Layer::new(scope, 0, channels, channels, style, Some(attention))?,
            last: ResnetBlock::new(&scope.at("resnets.1"), channels, channels, style)?,
        })
    }

    /// Planes to planes.
    pub fn forward(&self, x: &Tensor, pass: &mut Pass<'_, '_>) -> Result<Tensor> {
        let x = self.first.forward(x, pass)?;
        self.last.forward(&x, Some(pass.time), pass.compute)
    }
}

/// `UpBlock2D` and `CrossAttnUpBlock2D`.
pub struct UpBlock {
    /// Layers.
    pub layers: Vec<Layer>,
    /// Follows doubling of the resolution; absent at the highest level.
    pub upsample: Option<Conv2d>,
}

impl UpBlock {
    /// Takes back from `skips` what the way down put there.
    pub fn forward(&self, mut x: Tensor, skips: &mut Vec<Tensor>, pass: &mut Pass<'_, '_>) -> Result<Tensor> {
        for layer in &self.layers {
            let Some(skip) = skips.pop() else {
                candle_core::bail!("more layers up than down")
            };
            x = layer.forward(&Tensor::cat(&[&x, &skip], 1)?, pass)?;
        }
        if let Some(conv) = &self.upsample {
            // Odd sizes do not double exactly: the next skip connection says what is needed.
            let (_, _, h, w) = x.dims4()?;
            let size = match skips.last() {
                Some(skip) => (skip.dim(2)?, skip.dim(3)?),
                None => (2 * h, 2 * w),
            };
            x = conv.forward(&upsample(&x, size, pass.compute)?, pass.compute)?;
        }
        Ok(x)
    }
}
