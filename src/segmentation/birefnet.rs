//! BiRefNet (Zheng et al., "Bilateral Reference for High-Resolution Dichotomous Image Segmentation", 2024) in the
//! configuration of the released general models: Swin backbone on the picture and on its half, context of the upper
//! three maps, one squeeze block, deformable atrous pooling in every decoder block, patches of the picture fed to
//! every level, and gates from gradient features. All widths are read from the shapes of the weights. Tensor names
//! are those of the authors' checkpoints; what only training needs is not read.

use super::{
    config::PatchOrder, conv::Conv, deform::Deform, pooling::stretch_corners, stop::Stop, swin::Swin,
};
use crate::weights_file::Weights;
use candle_core::{Result, Tensor};

/// Deformable branches beside the first; the released models have three.
const MOST_BRANCHES: usize = 8;

/// A convolution of `input` channels that keeps the size; width and kernel come from the weights.
fn plain(w: &mut Weights, name: &str, input: usize) -> Result<(Conv, usize)> {
    let shape = kernel(w, name, input);
    let weight = w.take(&format!("{name}.weight"), &shape)?;
    let bias = w.take(&format!("{name}.bias"), &[shape[0]])?;
    Ok((Conv::new(&weight, &bias, 1, false)?, shape[0]))
}

/// As [`plain`] with the BatchNorm behind it, then perhaps ReLU.
fn normed(
    w: &mut Weights,
    (name, norm): (&str, &str),
    input: usize,
    has_bias: bool,
    relu: bool,
) -> Result<(Conv, usize)> {
    let shape = kernel(w, name, input);
    let (weight, bias) = w.take_with_norm(name, norm, shape, has_bias)?;
    Ok((Conv::new(&weight, &bias, 1, relu)?, shape[0]))
}

/// Shape of a convolution's weight, given its input.
fn kernel(w: &mut Weights, name: &str, input: usize) -> [usize; 4] {
    let [output, _, side, _] = w.dims(&format!("{name}.weight"));
    if side.is_multiple_of(2) {
        w.note(format!(
            "{name} has a kernel of {side} pixels; an odd one is needed"
        ));
        return [output, input, 1, 1];
    }
    [output, input, side, side]
}

/// Pooling at several scales with deformable convolutions ("ASPPDeformable").
struct Pooling {
    branches: Vec<Deform>,
    /// On the mean of the map.
    global: Conv,
    join: Conv,
}

impl Pooling {
    fn load(w: &mut Weights, name: &str, input: usize) -> Result<(Self, usize)> {
        let mut names = vec![format!("{name}.aspp1")];
        for k in 0..MOST_BRANCHES {
            let branch = format!("{name}.aspp_deforms.{k}");
            if w.shape(&format!("{branch}.atrous_conv.regular_conv.weight"))
                .is_some()
            {
                names.push(branch);
            }
        }
        let (mut branches, mut width) = (Vec::new(), 0);
        for branch in names {
            let conv = format!("{branch}.atrous_conv");
            let regular = format!("{conv}.regular_conv");
            let shape = kernel(w, &regular, input);
            let (weight, bias) = w.take_with_norm(&regular, &format!("{branch}.bn"), shape, false)?;
            let (offset, offsets) = plain(w, &format!("{conv}.offset_conv"), input)?;
            let (modulator, factors) = plain(w, &format!("{conv}.modulator_conv"), input)?;
            let taps = shape[2] * shape[3];
            if (offsets, factors) != (2 * taps, taps) {
                w.note(format!(
                    "{conv}: {offsets} offsets and {factors} factors for {taps} taps"
                ));
            }
            width += shape[0];
            branches.push(Deform {
                offset,
                modulator,
                weight,
                bias,
            });
        }
        let pool = format!("{name}.global_avg_pool");
        let names = (format!("{pool}.1"), format!("{pool}.2"));
        let (global, globals) = normed(w, (&names.0, &names.1), input, false, true)?;
        let names = (format!("{name}.conv1"), format!("{name}.bn1"));
        let (join, output) = normed(w, (&names.0, &names.1), width + globals, false, true)?;
        let pooling = Self {
            branches,
            global,
            join,
        };
        Ok((pooling, output))
    }

    fn forward(&self, x: &Tensor, stop: Stop<'_>) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let mut parts = Vec::with_capacity(self.branches.len() + 1);
        for branch in &self.branches {
            stop.check()?;
            parts.push(branch.forward(x)?);
        }
        let mean = self.global.forward(&x.mean_keepdim((2, 3))?)?;
        let (_, channels, ..) = mean.dims4()?;
        parts.push(mean.broadcast_as((1, channels, height, width))?.contiguous()?);
        self.join.forward(&Tensor::cat(&parts, 1)?)
    }
}

/// Block of the decoder, and the squeeze module ("BasicDecBlk").
struct Block {
    input: Conv,
    pooling: Pooling,
    output: Conv,
}

impl Block {
    fn load(w: &mut Weights, name: &str, input: usize) -> Result<(Self, usize)> {
        let part = |part: &str| format!("{name}.{part}");
        let (into, width) = normed(w, (&part("conv_in"), &part("bn_in")), input, true, true)?;
        let (pooling, width) = Pooling::load(w, &part("dec_att"), width)?;
        let (output, width) = normed(w, (&part("conv_out"), &part("bn_out")), width, true, false)?;
        let block = Self {
            input: into,
            pooling,
            output,
        };
        Ok((block, width))
    }

    fn forward(&self, x: &Tensor, stop: Stop<'_>) -> Result<Tensor> {
        stop.check()?;
        let x = self.pooling.forward(&self.input.forward(x)?, stop)?;
        self.output.forward(&x)
    }
}

/// Two convolutions on patches of the picture ("SimpleConvs").
struct Patches {
    first: Conv,
    second: Conv,
}

impl Patches {
    fn load(w: &mut Weights, name: &str, input: usize) -> Result<(Self, usize)> {
        let (first, width) = plain(w, &format!("{name}.conv1"), input)?;
        let (second, width) = plain(w, &format!("{name}.conv_out"), width)?;
        Ok((Self { first, second }, width))
    }

    /// The map with the patches' features behind it.
    fn join(&self, map: &Tensor, picture: &Tensor, order: PatchOrder) -> Result<Tensor> {
        let (_, _, height, width) = map.dims4()?;
        let patches = cut(picture, (height, width), order)?;
        let features = self.second.forward(&self.first.forward(&patches)?)?;
        Tensor::cat(&[map, &features], 1)
    }
}

/// Cuts the picture into patches of this size and puts them behind one another as channels.
fn cut(picture: &Tensor, (height, width): (usize, usize), order: PatchOrder) -> Result<Tensor> {
    let (n, colours, all_height, all_width) = picture.dims4()?;
    let (rows, columns) = (all_height / height, all_width / width);
    let split = picture.reshape((n, colours, rows, height, columns, width))?;
    let split = match order {
        PatchOrder::Columns => split.permute((0, 4, 2, 1, 3, 5))?,
        PatchOrder::Channels => split.permute((0, 1, 2, 4, 3, 5))?,
    };
    split
        .contiguous()?
        .reshape((n, colours * rows * columns, height, width))
}

/// Weighs a map by where gradients are expected ("gdt").
struct Gate {
    features: Conv,
    attention: Conv,
}

impl Gate {
    fn load(w: &mut Weights, level: usize, input: usize) -> Result<Self> {
        let name = format!("decoder.gdt_convs_{level}");
        let (features, width) = normed(w, (&format!("{name}.0"), &format!("{name}.1")), input, true, true)?;
        let (attention, _) = plain(w, &format!("decoder.gdt_convs_attn_{level}.0"), width)?;
        Ok(Self { features, attention })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let gate = self.attention.forward(&self.features.forward(x)?)?;
        x.broadcast_mul(&candle_nn::ops::sigmoid(&gate)?)
    }
}

/// One level of the decoder.
struct Level {
    patches: Patches,
    block: Block,
    /// The gate, and the next level's map of the encoder on its way in; the last level has none.
    onward: Option<(Gate, Conv)>,
}

/// The network.
pub(super) struct BiRefNet {
    backbone: Swin,
    squeeze: Block,
    /// From the deepest to the finest.
    levels: Vec<Level>,
    last_patches: Patches,
    output: Conv,
    order: PatchOrder,
}

impl BiRefNet {
    /// Takes the tensors; missing ones are noted in `w`.
    pub fn load(w: &mut Weights, order: PatchOrder) -> Result<Self> {
        let backbone = Swin::load(w, "bb")?;
        // Each map beside that of the half-sized picture; the deepest behind all others.
        let widths: Vec<usize> = backbone.widths().iter().map(|c| 2 * c).collect();
        let (squeeze, mut width) = Block::load(w, "squeeze_module.0", widths.iter().sum())?;
        let mut levels = Vec::with_capacity(4);
        for level in (1..=4).rev() {
            let pixels = 3 << (2 * (level + 1));
            let (patches, more) = Patches::load(w, &format!("decoder.ipt_blk{}", level + 1), pixels)?;
            let (block, output) = Block::load(w, &format!("decoder.decoder_block{level}"), width + more)?;
            width = output;
            let onward = match level {
                1 => None,
                _ => {
                    let gate = Gate::load(w, level, output)?;
                    let lateral = format!("decoder.lateral_block{level}.conv");
                    let (lateral, joined) = plain(w, &lateral, widths[level - 2])?;
                    if joined != output {
                        w.note(format!(
                            "lateral_block{level} gives {joined} channels, its level {output}"
                        ));
                    }
                    Some((gate, lateral))
                }
            };
            levels.push(Level {
                patches,
                block,
                onward,
            });
        }
        let (last_patches, more) = Patches::load(w, "decoder.ipt_blk1", 3)?;
        let (output, logits) = plain(w, "decoder.conv_out1.0", width + more)?;
        if logits != 1 {
            w.note(format!("decoder.conv_out1.0 gives {logits} maps instead of one"));
        }
        Ok(Self {
            backbone,
            squeeze,
            levels,
            last_patches,
            output,
            order,
        })
    }

    /// Normalised `[1, 3, h, w]`, sides multiples of 32, to probabilities `[1, 1, h, w]`.
    pub fn forward(&self, picture: &Tensor, stop: Stop<'_>) -> Result<Tensor> {
        let mut maps = self.encode(picture, stop)?;
        let Some(deepest) = maps.pop() else {
            candle_core::bail!("the backbone gave no maps");
        };
        let mut x = self.squeeze.forward(&deepest, stop)?;
        for level in &self.levels {
            x = level.patches.join(&x, picture, self.order)?;
            x = level.block.forward(&x, stop)?;
            if let (Some((gate, lateral)), Some(beside)) = (&level.onward, maps.pop()) {
                let (_, _, height, width) = beside.dims4()?;
                x = stretch_corners(&gate.forward(&x)?, height, width)?;
                x = (x + lateral.forward(&beside)?)?;
            }
        }
        let (_, _, height, width) = picture.dims4()?;
        let x = stretch_corners(&x, height, width)?;
        let x = self.last_patches.join(&x, picture, self.order)?;
        candle_nn::ops::sigmoid(&self.output.forward(&x)?)
    }

    /// The four maps of the encoder, finest first.
    fn encode(&self, picture: &Tensor, stop: Stop<'_>) -> Result<Vec<Tensor>> {
        let (_, _, height, width) = picture.dims4()?;
        let half = stretch_corners(picture, height / 2, width / 2)?;
        let full = self.backbone.forward(picture, stop)?;
        let half = self.backbone.forward(&half, stop)?;
        let mut maps = Vec::with_capacity(full.len());
        for (map, half) in full.iter().zip(&half) {
            let (_, _, height, width) = map.dims4()?;
            maps.push(Tensor::cat(&[map, &stretch_corners(half, height, width)?], 1)?);
        }
        if let Some(deepest) = maps.pop() {
            let (_, _, height, width) = deepest.dims4()?;
            let mut parts = Vec::with_capacity(4);
            for map in &maps {
                parts.push(stretch_corners(map, height, width)?);
            }
            parts.push(deepest);
            maps.push(Tensor::cat(&parts, 1)?);
        }
        Ok(maps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_weights::{Listing, distance, fixture, pseudo};

    /// Against PyTorch and torchvision.
    #[test]
    fn deformable_pooling_and_the_decoder_block_equal_pytorch() {
        let stored = fixture("birefnet_parts");
        let mut weights = Weights::of(Listing::read("birefnet_parts").weights());
        let (block, width) = Block::load(&mut weights, "block", 6).unwrap();
        weights.finish("block").unwrap();
        assert_eq!(width, 10);
        let stop = Stop(&|| false);
        let x = pseudo("pooling.x", &[1, 8, 9, 7], 2.0);
        let off = distance(&block.pooling.forward(&x, stop).unwrap(), &stored["pooling"]);
        assert!(off < 1e-4, "pooling off by {off}");
        let x = pseudo("decoder.x", &[1, 6, 9, 7], 2.0);
        let off = distance(&block.forward(&x, stop).unwrap(), &stored["decoder_block"]);
        assert!(off < 1e-4, "block off by {off}");
    }
}
