//! 2-D convolution as a matrix product over unfolded patches.

use super::{
    matmul::{Onto, Target, View},
    panels::Weights,
    widen::Stored,
    winograd,
};
use rayon::prelude::*;
use std::cell::Cell;

/// Shape of a convolution with a square kernel.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Batch.
    pub batch: usize,
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Height in.
    pub height: usize,
    /// Width in.
    pub width: usize,
    /// Kernel side.
    pub kernel: usize,
    /// Step between patches.
    pub stride: usize,
    /// Zeros around the picture.
    pub padding: usize,
    /// Pixels from one tap of the kernel to the next; 1 for a dense kernel.
    pub dilation: usize,
}

impl Conv {
    /// Height and width out.
    pub fn output_size(&self) -> (usize, usize) {
        let extent = self.dilation * self.kernel.saturating_sub(1) + 1;
        let side = |n: usize| (n + 2 * self.padding).saturating_sub(extent) / self.stride + 1;
        (side(self.height), side(self.width))
    }
}

thread_local! {
    static PATCHES: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Convolves `x[batch, inputs, height, width]` with `weight[outputs, inputs, kernel, kernel]` and adds `bias[outputs]`,
/// `shift[batch, outputs]` and `residual` (of the output's shape) where given.
pub fn conv2d(
    x: &[f32],
    shape: Conv,
    weight: Stored<'_>,
    bias: Option<&[f32]>,
    shift: Option<&[f32]>,
    residual: Option<&[f32]>,
    parallel: bool,
) -> Vec<f32> {
    let (rows, columns) = shape.output_size();
    let pixels = rows * columns;
    let Conv {
        batch,
        inputs,
        outputs,
        kernel,
        ..
    } = shape;
    let mut out = prefill(shape, pixels, bias, shift, residual);
    let depth = inputs * kernel * kernel;
    let size = inputs * shape.height * shape.width;
    let target = Target::new(&mut out);
    let threads = if parallel { rayon::current_num_threads() } else { 1 };
    let matrix = Weights {
        values: weight,
        outputs,
        inputs: depth,
    };

    if kernel == 1 && shape.stride == 1 && shape.padding == 0 {
        for i in 0..batch {
            let b = View::rows(&x[i * size..(i + 1) * size], pixels);
            let target = target.after(i * outputs * pixels);
            matrix.times(b, pixels, target, pixels, Onto::Add, parallel);
        }
        return out;
    }

    if winograd::applies(&shape) {
        winograd::add_conv3x3(x, shape, weight, &mut out, threads);
        return out;
    }

    #[cfg(target_arch = "x86_64")]
    if super::direct::applies(&shape) {
        super::direct::add_conv3x3(x, shape, weight, &mut out, threads);
        return out;
    }

    // Tiles of whole output rows whose patches fill about 1 MB; larger ones where each tile widens the weights.
    let (values, least) = match weight {
        Stored::F32(_) => (262_144, 64),
        Stored::F16(_) | Stored::Bf16(_) => (524_288, 128),
    };
    let tile = (values / depth).max(least).div_euclid(columns).clamp(1, rows);
    let tiles = rows.div_ceil(tile);
    if threads > 1 && batch * tiles < 2 * threads && batch % threads != 0 {
        // Too few tiles for the threads: they unfold together and share each product.
        let mut patches = vec![0f32; depth * pixels];
        let share = inputs.div_ceil(threads);
        for i in 0..batch {
            let picture = &x[i * size..(i + 1) * size];
            patches
                .par_chunks_mut(share * kernel * kernel * pixels)
                .enumerate()
                .for_each(|(j, part)| {
                    unfold(picture, shape, 0..rows, j * share, part);
                });
            let target = target.after(i * outputs * pixels);
            matrix.times(
                View::rows(&patches, pixels),
                pixels,
                target,
                pixels,
                Onto::Add,
                true,
            );
        }
        return out;
    }
    let one = |task: usize| {
        let (i, t) = (task / tiles, task % tiles);
        let (from, to) = (t * tile, ((t + 1) * tile).min(rows));
        let n = (to - from) * columns;
        let mut patches = PATCHES.take();
        patches.resize(patches.len().max(depth * n), 0.0);
        unfold(
            &x[i * size..(i + 1) * size],
            shape,
            from..to,
            0,
            &mut patches[..depth * n],
        );
        // Tasks write disjoint rows of the output planes.
        let target = target.after(i * outputs * pixels + from * columns);
        let b = View::rows(&patches[..depth * n], n);
        matrix.times(b, n, target, pixels, Onto::Add, false);
        PATCHES.set(patches);
    };
    if threads > 1 {
        (0..batch * tiles).into_par_iter().for_each(one);
    } else {
        (0..batch * tiles).for_each(one);
    }
    out
}

/// The output before the product is added: bias, shift and residual.
fn prefill(
    shape: Conv,
    pixels: usize,
    bias: Option<&[f32]>,
    shift: Option<&[f32]>,
    residual: Option<&[f32]>,
) -> Vec<f32> {
    let planes = shape.batch * shape.outputs;
    let base =
        |plane: usize| bias.map_or(0.0, |b| b[plane % shape.outputs]) + shift.map_or(0.0, |s| s[plane]);
    let mut out = Vec::with_capacity(planes * pixels);
    match residual {
        None => (0..planes).for_each(|plane| out.resize(out.len() + pixels, base(plane))),
        Some(residual) => {
            for (plane, values) in residual.chunks(pixels).enumerate() {
                let base = base(plane);
                out.extend(values.iter().map(|v| v + base));
            }
        }
    }
    out
}

/// Writes the patches of the output rows `lines`, one row of `patches` per (input channel from `first` on, kernel
/// row, kernel column).
fn unfold(picture: &[f32], shape: Conv, lines: std::ops::Range<usize>, first: usize, patches: &mut [f32]) {
    let Conv {
        height,
        width,
        kernel,
        stride,
        padding,
        dilation,
        ..
    } = shape;
    let (_, columns) = shape.output_size();
    let n = lines.len() * columns;
    for (row, line) in patches.chunks_mut(n).enumerate() {
        let (channel, ky, kx) = (
            first + row / (kernel * kernel),
            row / kernel % kernel * dilation,
            row % kernel * dilation,
        );
        let plane = &picture[channel * height * width..(channel + 1) * height * width];
        for (y, target) in lines.clone().zip(line.chunks_mut(columns)) {
            let Some(source) = padded_line(plane, y * stride + ky, padding, width) else {
                target.fill(0.0);
                continue;
            };
            if stride == 1 {
                let from = padding.saturating_sub(kx).min(columns);
                let to = (width + padding).saturating_sub(kx).min(columns).max(from);
                target[..from].fill(0.0);
                target[to..].fill(0.0);
                if from < to {
                    target[from..to].copy_from_slice(&source[from + kx - padding..to + kx - padding]);
                }
            } else {
                for (x, value) in target.iter_mut().enumerate() {
                    let at = (x * stride + kx).checked_sub(padding);
                    *value = at.and_then(|x| source.get(x)).copied().unwrap_or(0.0);
                }
            }
        }
    }
}

/// Line `y` of a plane with `padding` lines of zeros above and below; `None` for one of these.
pub(super) fn padded_line(plane: &[f32], y: usize, padding: usize, width: usize) -> Option<&[f32]> {
    let start = y.checked_sub(padding)? * width;
    plane.get(start..start + width)
}

/// Nearest-neighbour resize of planes from (height, width) to a larger size.
pub fn upsample_nearest(
    x: &[f32],
    (height, width): (usize, usize),
    (rows, columns): (usize, usize),
    parallel: bool,
) -> Vec<f32> {
    let planes = x.len() / (height * width);
    let mut out = vec![0f32; planes * rows * columns];
    let one = |(x, y): (&[f32], &mut [f32])| {
        for (r, line) in y.chunks_mut(columns).enumerate() {
            let source = &x[r * height / rows * width..][..width];
            if columns == 2 * width {
                for (pair, &v) in line.as_chunks_mut::<2>().0.iter_mut().zip(source) {
                    *pair = [v, v];
                }
            } else {
                line.iter_mut()
                    .enumerate()
                    .for_each(|(c, v)| *v = source[c * width / columns]);
            }
        }
    };
    if parallel {
        x.par_chunks(height * width)
            .zip(out.par_chunks_mut(rows * columns))
            .for_each(one);
    } else {
        x.chunks(height * width)
            .zip(out.chunks_mut(rows * columns))
            .for_each(one);
    }
    out
}
