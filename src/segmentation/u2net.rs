//! U²-Net and U²-Net-P (Qin et al., "U²-Net: Going Deeper with Nested U-Structure for Salient Object
//! Detection", 2020): a U of small U's; and IS-Net (Qin et al., "Highly Accurate Dichotomous Image Segmentation",
//! 2022): the same U at half the resolution, behind a strided convolution, whose finest side output is the result.
//! Tensor names are those of the authors' checkpoints; BatchNorm is folded into the convolutions at load.

use super::{
    Architecture,
    conv::Conv,
    pooling::{pool, stretch, stretch_like},
    stop::Stop,
};
use crate::weights_file::Weights;
use candle_core::{Result, Tensor};

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
    let (conv, norm) = (format!("{name}.conv_s1"), format!("{name}.bn_s1"));
    let (weight, bias) = w.take_with_norm(&conv, &norm, [output, input, 3, 3], true)?;
    Conv::new(&weight, &bias, dilation, true)
}

fn plain(w: &mut Weights, name: &str, input: usize, side: usize) -> Result<Conv> {
    let weight = w.take(&format!("{name}.weight"), &[1, input, side, side])?;
    let bias = w.take(&format!("{name}.bias"), &[1])?;
    Conv::new(&weight, &bias, 1, false)
}

/// A strided convolution: weight and bias.
struct Entry(Tensor, Tensor);

/// The network.
pub(super) struct U2Net {
    /// IS-Net's first convolution.
    entry: Option<Entry>,
    encoder: Vec<Block>,
    /// Deepest first.
    decoder: Vec<Block>,
    /// One per resolution, finest first; IS-Net's finest only.
    sides: Vec<Conv>,
    /// Joins the sides; IS-Net has none.
    fuse: Option<Conv>,
}

/// The small U's on the way down and on the way up.
fn plans(architecture: Architecture) -> ([Plan; 6], [Plan; 5]) {
    let small = architecture == Architecture::U2NetP;
    let first = if architecture == Architecture::IsNet {
        64
    } else {
        3
    };
    let pick = |large: usize, of_small: usize| if small { of_small } else { large };
    let encoder = [
        Plan("stage1", 7, false, first, pick(32, 16), 64),
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
    (encoder, decoder)
}

impl U2Net {
    /// Names of all convolutions in the order in which they run, for files that keep only the order.
    pub fn convolutions(architecture: Architecture) -> Vec<String> {
        let (encoder, decoder) = plans(architecture);
        let mut names = Vec::new();
        if architecture == Architecture::IsNet {
            names.push("conv_in".to_owned());
        }
        for Plan(stage, depth, ..) in encoder.iter().chain(&decoder) {
            let mut add = |unit: String| names.push(format!("{stage}.{unit}.conv_s1"));
            add("rebnconvin".into());
            (1..=*depth).for_each(|k| add(format!("rebnconv{k}")));
            (1..*depth).rev().for_each(|k| add(format!("rebnconv{k}d")));
        }
        names.extend((1..=6).map(|k| format!("side{k}")));
        if architecture != Architecture::IsNet {
            names.push("outconv".to_owned());
        }
        names
    }

    /// Takes the tensors; missing ones are noted in `w`.
    pub fn load(w: &mut Weights, architecture: Architecture) -> Result<Self> {
        let (encoder, decoder) = plans(architecture);
        let single = architecture == Architecture::IsNet;
        let inputs: Vec<usize> = decoder
            .iter()
            .rev()
            .chain(encoder.last())
            .map(|Plan(.., output)| *output)
            .take(if single { 1 } else { 6 })
            .collect();
        let entry = match single {
            true => Some(Entry(
                w.take("conv_in.weight", &[64, 3, 3, 3])?,
                w.take("conv_in.bias", &[64])?.reshape((1, 64, 1, 1))?,
            )),
            false => None,
        };
        let mut load = |plans: &[Plan]| {
            plans
                .iter()
                .map(|p| Block::load(w, p))
                .collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            entry,
            encoder: load(&encoder)?,
            decoder: load(&decoder)?,
            sides: (1..)
                .zip(inputs)
                .map(|(k, input)| plain(w, &format!("side{k}"), input, 3))
                .collect::<Result<_>>()?,
            fuse: match single {
                true => None,
                false => Some(plain(w, "outconv", 6, 1)?),
            },
        })
    }

    /// Normalised `[1, 3, h, w]` to probabilities `[1, 1, h, w]`: the fused output `d0` after sigmoid, or IS-Net's
    /// finest side.
    pub fn forward(&self, x: &Tensor, stop: Stop<'_>) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let mut x = match &self.entry {
            Some(Entry(weight, bias)) => x.conv2d(weight, 1, 2, 1, 1)?.broadcast_add(bias)?,
            None => x.clone(),
        };
        let mut maps: Vec<Tensor> = Vec::with_capacity(self.encoder.len());
        for (k, block) in self.encoder.iter().enumerate() {
            stop.check()?;
            x = block.forward(&if k > 0 { pool(&x)? } else { x })?;
            maps.push(x.clone());
        }
        let deepest = maps.pop();
        // From the deepest map to the finest.
        let mut outputs: Vec<Tensor> = deepest.into_iter().collect();
        for (block, beside) in self.decoder.iter().zip(maps.iter().rev()) {
            stop.check()?;
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
        let sides = Tensor::cat(&sides, 1)?;
        candle_nn::ops::sigmoid(&match &self.fuse {
            Some(fuse) => fuse.forward(&sides)?,
            None => stretch(&sides, height, width)?,
        })
    }
}
