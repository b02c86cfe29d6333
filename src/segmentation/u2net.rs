//! U²-Net and U²-Net-P (Qin et al., "U²-Net: Going Deeper with Nested U-Structure for Salient Object
//! Detection", 2020): a U of small U's. Tensor names are those of the authors' checkpoints; BatchNorm
//! is folded into the convolutions at load.

use super::{
    Architecture,
    conv::Conv,
    pooling::{pool, stretch_like},
    weights::Weights,
};
use candle_core::{Result, Tensor};

/// PyTorch's default.
const EPSILON: f64 = 1e-5;

/// A small U: `depth` convolutions down, the last one dilated, and back up; its input is added to its
/// output. `flat`: dilations grow instead of maps shrinking.
struct Block {
    input: Conv,
    down: Vec<Conv>,
    /// Deepest first.
    up: Vec<Conv>,
    flat: bool,
}

/// Shape of a [`Block`]: name, depth, flat, channels in, between and out.
struct Plan(&'static str, usize, bool, usize, usize, usize);

impl Block {
    fn load(w: &mut Weights, plan: &Plan) -> Result<Self> {
        let &Plan(stage, depth, flat, input, middle, output) = plan;
        let dilation = |k: usize| match flat {
            true => 1 << (k - 1),
            false if k == depth => 2,
            false => 1,
        };
        let mut unit = |name: String, from: usize, to: usize, dilation: usize| {
            unit(w, &format!("{stage}.{name}"), from, to, dilation)
        };
        let into = unit("rebnconvin".into(), input, output, 1)?;
        let down = (1..=depth)
            .map(|k| {
                let from = if k == 1 { output } else { middle };
                unit(format!("rebnconv{k}"), from, middle, dilation(k))
            })
            .collect::<Result<_>>()?;
        let up = (1..depth)
            .rev()
            .map(|k| {
                let to = if k == 1 { output } else { middle };
                unit(format!("rebnconv{k}d"), 2 * middle, to, dilation(k))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            input: into,
            down,
            up,
            flat,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let start = self.input.forward(x)?;
        let mut maps: Vec<Tensor> = Vec::with_capacity(self.down.len());
        let mut x = start.clone();
        for (k, conv) in self.down.iter().enumerate() {
            let shrink = !self.flat && k > 0 && k + 1 < self.down.len();
            x = conv.forward(&if shrink { pool(&x)? } else { x })?;
            maps.push(x.clone());
        }
        maps.pop();
        for (conv, beside) in self.up.iter().zip(maps.iter().rev()) {
            x = conv.forward(&Tensor::cat(&[&stretch_like(&x, beside)?, beside], 1)?)?;
        }
        x + start
    }
}

/// Convolution 3×3, BatchNorm, ReLU as one convolution.
fn unit(w: &mut Weights, name: &str, input: usize, output: usize, dilation: usize) -> Result<Conv> {
    let weight = w.take(&format!("{name}.conv_s1.weight"), &[output, input, 3, 3])?;
    let bias = w.take(&format!("{name}.conv_s1.bias"), &[output])?;
    let mut norm = |part: &str| w.take(&format!("{name}.bn_s1.{part}"), &[output]);
    let (gain, shift) = (norm("weight")?, norm("bias")?);
    let (mean, variance) = (norm("running_mean")?, norm("running_var")?);
    let scale = (gain / (variance + EPSILON)?.sqrt()?)?;
    let weight = weight.broadcast_mul(&scale.reshape(((), 1, 1, 1))?)?;
    let bias = (((bias - mean)? * scale)? + shift)?;
    Conv::new(&weight, &bias, dilation, true)
}

fn plain(w: &mut Weights, name: &str, input: usize, side: usize) -> Result<Conv> {
    let weight = w.take(&format!("{name}.weight"), &[1, input, side, side])?;
    let bias = w.take(&format!("{name}.bias"), &[1])?;
    Conv::new(&weight, &bias, 1, false)
}

/// The network.
pub(super) struct U2Net {
    encoder: Vec<Block>,
    /// Deepest first.
    decoder: Vec<Block>,
    /// One per resolution, finest first.
    sides: Vec<Conv>,
    fuse: Conv,
}

impl U2Net {
    /// Takes the tensors; missing ones are noted in `w`.
    pub fn load(w: &mut Weights, architecture: Architecture) -> Result<Self> {
        let large = architecture == Architecture::U2Net;
        let pick = |large_value: usize, small: usize| if large { large_value } else { small };
        let encoder = [
            Plan("stage1", 7, false, 3, pick(32, 16), 64),
            Plan("stage2", 6, false, 64, pick(32, 16), pick(128, 64)),
            Plan("stage3", 5, false, pick(128, 64), pick(64, 16), pick(256, 64)),
            Plan("stage4", 4, false, pick(256, 64), pick(128, 16), pick(512, 64)),
            Plan("stage5", 4, true, pick(512, 64), pick(256, 16), pick(512, 64)),
            Plan("stage6", 4, true, pick(512, 64), pick(256, 16), pick(512, 64)),
        ];
        let decoder = [
            Plan("stage5d", 4, true, pick(1024, 128), pick(256, 16), pick(512, 64)),
            Plan("stage4d", 4, false, pick(1024, 128), pick(128, 16), pick(256, 64)),
            Plan("stage3d", 5, false, pick(512, 128), pick(64, 16), pick(128, 64)),
            Plan("stage2d", 6, false, pick(256, 128), pick(32, 16), 64),
            Plan("stage1d", 7, false, 128, 16, 64),
        ];
        let inputs = [64, 64, pick(128, 64), pick(256, 64), pick(512, 64), pick(512, 64)];
        let mut load = |plans: &[Plan]| {
            plans
                .iter()
                .map(|p| Block::load(w, p))
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            encoder: load(&encoder)?,
            decoder: load(&decoder)?,
            sides: (1..)
                .zip(inputs)
                .map(|(k, input)| plain(w, &format!("side{k}"), input, 3))
                .collect::<Result<_>>()?,
            fuse: plain(w, "outconv", 6, 1)?,
        })
    }

    /// Normalised `[1, 3, h, w]` to probabilities `[1, 1, h, w]`: the fused output `d0` after sigmoid.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut maps: Vec<Tensor> = Vec::with_capacity(self.encoder.len());
        let mut x = x.clone();
        for (k, block) in self.encoder.iter().enumerate() {
            x = block.forward(&if k > 0 { pool(&x)? } else { x })?;
            maps.push(x.clone());
        }
        let deepest = maps.pop();
        // From the deepest map to the finest.
        let mut outputs: Vec<Tensor> = deepest.into_iter().collect();
        for (block, beside) in self.decoder.iter().zip(maps.iter().rev()) {
            x = block.forward(&Tensor::cat(&[&stretch_like(&x, beside)?, beside], 1)?)?;
            outputs.push(x.clone());
        }
        outputs.reverse();
        let mut sides: Vec<Tensor> = Vec::with_capacity(outputs.len());
        for (conv, map) in self.sides.iter().zip(&outputs) {
            let side = conv.forward(map)?;
            sides.push(match sides.first() {
                Some(finest) => stretch_like(&side, finest)?,
                None => side,
            });
        }
        candle_nn::ops::sigmoid(&self.fuse.forward(&Tensor::cat(&sides, 1)?)?)
    }
}
