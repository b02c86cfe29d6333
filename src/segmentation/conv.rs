//! 2-D convolution on the CPU: columns are gathered by copying rows and multiplied by `gemm`, tile by
//! tile. candle's own gathers them with cache-hostile strides and is two to six times slower.

#![allow(unsafe_code, reason = "the gemm kernel takes raw pointers")]

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use gemm::{Parallelism, gemm};
use rayon::prelude::*;

/// Floats of a gathered tile, about half a megabyte: it should stay in the second-level cache.
const TILE: usize = 128 * 1024;
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
        let (x, weight) = (floats(x, x_layout)?, floats(weight, weight_layout)?);
        let bias = floats(bias, bias_layout)?;
        let plan = Plan {
            op: *self,
            side,
            input,
            output,
            height,
            width,
        };
        let mut out = Vec::with_capacity(n * output * height * width);
        for picture in x.chunks_exact((input * height * width).max(1)) {
            plan.run(picture, weight, bias, &mut out);
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

struct Plan {
    op: ConvOp,
    side: usize,
    input: usize,
    output: usize,
    height: usize,
    width: usize,
}

impl Plan {
    fn run(&self, x: &[f32], weight: &[f32], bias: &[f32], out: &mut Vec<f32>) {
        let taps = self.input * self.side * self.side;
        let area = self.height * self.width;
        let alone = self.output * taps * area < SMALL;
        let rows = if alone {
            self.height
        } else {
            let fit = TILE / (taps * self.width).max(1);
            let share = self.height.div_ceil(rayon::current_num_threads());
            fit.min(share).clamp(1, self.height.max(1))
        };
        let tile = |t: usize| {
            let first = t * rows;
            self.tile(x, weight, bias, first, (first + rows).min(self.height))
        };
        let count = self.height.div_ceil(rows.max(1));
        if count == 1 {
            out.extend(tile(0));
            return;
        }
        let tiles: Vec<Vec<f32>> = (0..count).into_par_iter().map(tile).collect();
        for channel in 0..self.output {
            for tile in &tiles {
                let n = tile.len() / self.output;
                out.extend_from_slice(&tile[channel * n..][..n]);
            }
        }
    }

    /// Output rows `first..end` of all channels: `[output, (end − first) · width]`.
    fn tile(&self, x: &[f32], weight: &[f32], bias: &[f32], first: usize, end: usize) -> Vec<f32> {
        let taps = self.input * self.side * self.side;
        let n = (end - first) * self.width;
        let columns = self.gather(x, first, end);
        let mut out = Vec::with_capacity(self.output * n);
        for &b in bias {
            out.resize(out.len() + n, b);
        }
        assert!(columns.len() == taps * n && weight.len() == self.output * taps);
        assert!(out.len() == self.output * n);
        // SAFETY: three dense row-major matrices, out[output, n] += weight[output, taps] ·
        // columns[taps, n], whose lengths are asserted above; `out` is this call's own.
        unsafe {
            gemm(
                self.output,
                n,
                taps,
                out.as_mut_ptr(),
                1,
                n as isize,
                true,
                weight.as_ptr(),
                1,
                taps as isize,
                columns.as_ptr(),
                1,
                n as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
        if self.op.relu {
            out.iter_mut().for_each(|v| *v = v.max(0.0));
        }
        out
    }

    /// The input values under every tap for output rows `first..end`: `[input · side², pixels]`.
    fn gather(&self, x: &[f32], first: usize, end: usize) -> Vec<f32> {
        let (width, dilation) = (self.width, self.op.dilation);
        let reach = dilation * (self.side / 2);
        let mut columns = Vec::with_capacity(self.input * self.side * self.side * (end - first) * width);
        for plane in x.chunks_exact(self.height * width) {
            for ky in 0..self.side {
                for kx in 0..self.side {
                    // Output column c reads input column c + shift − reach.
                    let shift = kx * dilation;
                    let left = reach.saturating_sub(shift).min(width);
                    let right = (width + reach).saturating_sub(shift).min(width).max(left);
                    for row in first..end {
                        let from = (row + ky * dilation).wrapping_sub(reach);
                        if from >= self.height || left == right {
                            columns.resize(columns.len() + width, 0.0);
                            continue;
                        }
                        columns.resize(columns.len() + left, 0.0);
                        let start = from * width + left + shift - reach;
                        columns.extend_from_slice(&plane[start..start + right - left]);
                        columns.resize(columns.len() + width - right, 0.0);
                    }
                }
            }
        }
        columns
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
