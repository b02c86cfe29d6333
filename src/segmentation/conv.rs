//! The segmenters' convolutions: shapes, bias and ReLU here, the sums in [`ops`](crate::ops), where the diffusion
//! networks take theirs too. candle's own are two to six times slower.

use crate::ops::{self, Stored};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Below this many multiplications one thread does everything.
const SMALL: usize = 200_000;

/// A convolution with odd square kernel, stride 1, bias, and padding that keeps the size; optionally
/// followed by ReLU.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    weight: Tensor,
    bias: Tensor,
    op: ConvOp,
}

#[derive(Clone, Copy, Debug)]
struct ConvOp {
    side: usize,
    dilation: usize,
    relu: bool,
}

impl Conv {
    /// `weight` is `[out, in, side, side]`, `bias` `[out]`, both f32.
    pub fn new(weight: &Tensor, bias: &Tensor, dilation: usize, relu: bool) -> Result<Self> {
        let (_, _, side, _) = weight.dims4()?;
        let op = ConvOp { side, dilation, relu };
        Ok(Self {
            weight: weight.contiguous()?,
            bias: bias.contiguous()?,
            op,
        })
    }

    /// `[n, in, h, w]` to `[n, out, h, w]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() {
            return x
                .contiguous()?
                .apply_op3_no_bwd(&self.weight, &self.bias, &self.op);
        }
        let ConvOp { side, dilation, relu } = self.op;
        let y = x.conv2d(&self.weight, dilation * (side / 2), 1, dilation, 1)?;
        let y = y.broadcast_add(&self.bias.reshape((1, (), 1, 1))?)?;
        if relu { y.relu() } else { Ok(y) }
    }
}

impl CustomOp3 for ConvOp {
    fn name(&self) -> &'static str {
        "segmentation-conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, input, height, width) = x_layout.shape().dims4()?;
        let (output, expected, side, _) = weight_layout.shape().dims4()?;
        if input != expected || bias_layout.shape().elem_count() != output {
            bail!("convolution of {input} channels with weights for {expected}");
        }
        let shape = ops::Conv {
            batch: n,
            inputs: input,
            outputs: output,
            height,
            width,
            kernel: side,
            stride: 1,
            padding: self.dilation * (side / 2),
            dilation: self.dilation,
        };
        let (x, weight) = (floats(x, x_layout)?, floats(weight, weight_layout)?);
        let bias = floats(bias, bias_layout)?;
        let parallel = weight.len() * height * width >= SMALL;
        let mut out = ops::conv2d(x, shape, Stored::F32(weight), Some(bias), None, None, parallel);
        if self.relu && parallel {
            out.par_chunks_mut(height * width)
                .for_each(|plane| plane.iter_mut().for_each(|v| *v = v.max(0.0)));
        } else if self.relu {
            out.iter_mut().for_each(|v| *v = v.max(0.0));
        }
        Ok((CpuStorage::F32(out), (n, output, height, width).into()))
    }
}

/// The values of a contiguous f32 tensor.
pub(super) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let all = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&all[start..end]),
        None => bail!("the segmenter's operations need contiguous tensors"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn agrees_with_the_stock_convolution() {
        let device = Device::Cpu;
        for (input, output, height, width, side, dilation) in [
            (3, 5, 7, 9, 3, 1),
            (4, 2, 40, 33, 3, 2),
            (16, 64, 64, 64, 3, 1),
            (2, 3, 6, 5, 3, 8),
            (6, 1, 20, 20, 1, 1),
        ] {
            let x = Tensor::randn(0f32, 1.0, (2, input, height, width), &device).unwrap();
            let weight = Tensor::randn(0f32, 1.0, (output, input, side, side), &device).unwrap();
            let bias = Tensor::randn(0f32, 1.0, output, &device).unwrap();
            for relu in [false, true] {
                let conv = Conv::new(&weight, &bias, dilation, relu).unwrap();
                let want = x.conv2d(&weight, dilation * (side / 2), 1, dilation, 1).unwrap();
                let want = want.broadcast_add(&bias.reshape((1, (), 1, 1)).unwrap()).unwrap();
                let want = if relu { want.relu().unwrap() } else { want };
                let off = (conv.forward(&x).unwrap() - want).unwrap().abs().unwrap();
                let off = off
                    .flatten_all()
                    .unwrap()
                    .max(0)
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap();
                assert!(
                    off < 1e-4,
                    "{off} for {input}→{output}, {height}×{width}, dilation {dilation}"
                );
            }
        }
    }
}
