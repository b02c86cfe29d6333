//! ResNet of bottleneck blocks (He et al., 2016; torchvision's tensor names), in inference: batch normalisations are
//! folded into the convolutions before them.

use crate::weights_file::Weights;
use candle_core::{Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Module};

struct Block {
    convs: [Conv2d; 3],
    shortcut: Option<Conv2d>,
}

/// The network without its pooling and classifier.
pub(super) struct ResNet {
    stem: Conv2d,
    blocks: Vec<Block>,
    /// Channels of the last map.
    pub channels: usize,
}

/// What the tensors say about the network.
struct Plan {
    stem: usize,
    /// Per stage: blocks, width within a block, channels out of it, groups of its middle convolution.
    stages: Vec<(usize, usize, usize, usize)>,
}

/// Reads the plan off the shapes. `None` for anything that is no bottleneck ResNet of four stages.
fn plan(weights: &Weights) -> Option<Plan> {
    let shape = |name: &str| weights.shape(name).filter(|s| s.len() == 4 && !s.contains(&0));
    let stem = shape("conv1.weight")?[0];
    let stages = (1..=4).map(|stage| {
        let blocks = (0..64)
            .take_while(|b| shape(&format!("layer{stage}.{b}.conv2.weight")).is_some())
            .count();
        let width = shape(&format!("layer{stage}.0.conv1.weight"))?[0];
        let out = shape(&format!("layer{stage}.0.conv3.weight"))?[0];
        let inside = shape(&format!("layer{stage}.0.conv2.weight"))?[1];
        (blocks > 0 && width.is_multiple_of(inside)).then_some((blocks, width, out, width / inside))
    });
    Some(Plan {
        stem,
        stages: stages.collect::<Option<_>>()?,
    })
}

impl ResNet {
    /// Takes the network's tensors; `None` when they are not those of a bottleneck ResNet at all.
    pub fn load(weights: &mut Weights) -> Result<Option<Self>> {
        let Some(plan) = plan(weights) else {
            return Ok(None);
        };
        let stem = conv_bn(weights, "conv1", "bn1", [plan.stem, 3, 7, 7], 2, 1)?;
        let mut blocks = Vec::new();
        let mut from = plan.stem;
        for (stage, &(count, width, out, groups)) in plan.stages.iter().enumerate() {
            for b in 0..count {
                let at = format!("layer{}.{b}", stage + 1);
                let name = |part: &str| format!("{at}.{part}");
                let stride = if b == 0 && stage > 0 { 2 } else { 1 };
                let mut conv = |i: usize, shape, stride, groups| {
                    conv_bn(
                        weights,
                        &name(&format!("conv{i}")),
                        &name(&format!("bn{i}")),
                        shape,
                        stride,
                        groups,
                    )
                };
                let convs = [
                    conv(1, [width, from, 1, 1], 1, 1)?,
                    conv(2, [width, width / groups, 3, 3], stride, groups)?,
                    conv(3, [out, width, 1, 1], 1, 1)?,
                ];
                let shortcut = if b == 0 {
                    let (conv, norm) = (name("downsample.0"), name("downsample.1"));
                    Some(conv_bn(weights, &conv, &norm, [out, from, 1, 1], stride, 1)?)
                } else {
                    None
                };
                blocks.push(Block { convs, shortcut });
                from = out;
            }
        }
        Ok(Some(Self {
            stem,
            blocks,
            channels: from,
        }))
    }

    /// `[b, 3, h, w]` to `[b, channels, h/32, w/32]`, never below 0.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.stem.forward(x)?.relu()?;
        // Values are not negative after ReLU, so padding by zeros is padding by nothing.
        let x = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
        let mut x = x.max_pool2d_with_stride(3, 2)?;
        for block in &self.blocks {
            let [a, b, c] = &block.convs;
            let y = a.forward(&x)?.relu()?;
            let y = b.forward(&y)?.relu()?;
            let y = c.forward(&y)?;
            let straight = match &block.shortcut {
                Some(shortcut) => shortcut.forward(&x)?,
                None => x,
            };
            x = (y + straight)?.relu()?;
        }
        Ok(x)
    }
}

/// A convolution without bias and the batch normalisation after it, as one convolution.
fn conv_bn(
    weights: &mut Weights,
    conv: &str,
    norm: &str,
    shape: [usize; 4],
    stride: usize,
    groups: usize,
) -> Result<Conv2d> {
    let (weight, bias) = weights.take_with_norm(conv, norm, shape, false)?;
    let config = Conv2dConfig {
        padding: shape[2] / 2,
        stride,
        groups,
        ..Conv2dConfig::default()
    };
    Ok(Conv2d::new(weight, Some(bias), config))
}
