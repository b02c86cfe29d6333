//! Deformable convolution, version 2 (Zhu et al., "Deformable ConvNets v2", 2019), as torchvision's `deform_conv2d`:
//! every tap reads the map at its own place plus a learned offset, weighed by a learned factor. On the CPU.

use super::conv::{Conv, floats};
use crate::ops::{Onto, Target, View, multiply};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Floats of a gathered tile, about a megabyte.
const TILE: usize = 256 * 1024;

/// A deformable convolution with odd square kernel, stride 1, padding that keeps the size and one group of offsets,
/// followed by ReLU.
pub(super) struct Deform {
    /// `(dy, dx)` of every tap, taps row by row: `[2 · side², in, side, side]`.
    pub offset: Conv,
    /// Factor of every tap before `2 · sigmoid`: `[side², in, side, side]`.
    pub modulator: Conv,
    /// `[out, in, side, side]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Tensor,
}

impl Deform {
    /// `[1, in, h, w]` to `[1, out, h, w]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mask = (candle_nn::ops::sigmoid(&self.modulator.forward(x)?)? * 2.0)?;
        let guide = Tensor::cat(&[self.offset.forward(x)?, mask], 1)?;
        let (outputs, ..) = self.weight.dims4()?;
        let y = sample(x, &guide, &self.weight)?;
        y.broadcast_add(&self.bias.reshape((1, outputs, 1, 1))?)?.relu()
    }
}

/// The convolution itself. `guide` is `[1, 3 · side², h, w]`: offsets, then factors.
fn sample(x: &Tensor, guide: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.contiguous()?
        .apply_op3_no_bwd(&guide.contiguous()?, &weight.contiguous()?, &Op)
}

struct Op;

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "segmentation-deform-conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        guide: &CpuStorage,
        guide_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, inputs, height, width) = x_layout.shape().dims4()?;
        let (outputs, expected, side, _) = weight_layout.shape().dims4()?;
        let taps = side * side;
        if (n, inputs) != (1, expected) || guide_layout.shape().dims() != [1, 3 * taps, height, width] {
            bail!("deformable convolution of mismatched shapes");
        }
        let (x, guide, weight) = (
            floats(x, x_layout)?,
            floats(guide, guide_layout)?,
            floats(weight, weight_layout)?,
        );
        let area = height * width;
        let rows = (TILE / (inputs * taps * width).max(1)).clamp(1, height.max(1));
        let tiles: Vec<Vec<f32>> = (0..height.div_ceil(rows))
            .into_par_iter()
            .map(|t| {
                let lines = t * rows..((t + 1) * rows).min(height);
                let pixels = lines.len() * width;
                let columns = gather(x, guide, (inputs, height, width), side, lines);
                let mut out = vec![0f32; outputs * pixels];
                let (a, b) = (View::rows(weight, inputs * taps), View::rows(&columns, pixels));
                let size = (outputs, pixels, inputs * taps);
                multiply(size, Target::new(&mut out), pixels, Onto::Replace, a, b, false);
                out
            })
            .collect();
        let mut out = Vec::with_capacity(outputs * area);
        for channel in 0..outputs {
            for tile in &tiles {
                let pixels = tile.len() / outputs;
                out.extend_from_slice(&tile[channel * pixels..][..pixels]);
            }
        }
        Ok((CpuStorage::F32(out), (1, outputs, height, width).into()))
    }
}

/// Four neighbours of a place and their weights, zero outside the map.
#[derive(Clone, Copy)]
struct Place {
    at: [u32; 4],
    share: [f32; 4],
}

impl Place {
    fn new((y, x): (f32, f32), factor: f32, (height, width): (usize, usize)) -> Self {
        let mut place = Self {
            at: [0; 4],
            share: [0.0; 4],
        };
        // Also refuses what is not a number.
        if !(y > -1.0 && x > -1.0 && y < height as f32 && x < width as f32) {
            return place;
        }
        let (top, left) = (y.floor(), x.floor());
        let (ty, tx) = (y - top, x - left);
        for (i, (dy, dx)) in [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter().enumerate() {
            let (row, column) = (top as i64 + dy, left as i64 + dx);
            if row < 0 || column < 0 || row >= height as i64 || column >= width as i64 {
                continue;
            }
            let vertical = if dy == 1 { ty } else { 1.0 - ty };
            let horizontal = if dx == 1 { tx } else { 1.0 - tx };
            place.at[i] = row as u32 * width as u32 + column as u32;
            place.share[i] = vertical * horizontal * factor;
        }
        place
    }
}

/// The values under every tap for the output rows `lines`: `[inputs · side², pixels]`.
fn gather(
    x: &[f32],
    guide: &[f32],
    (inputs, height, width): (usize, usize, usize),
    side: usize,
    lines: std::ops::Range<usize>,
) -> Vec<f32> {
    let (taps, area) = (side * side, height * width);
    let (first, pixels) = (lines.start * width, lines.len() * width);
    let reach = (side / 2) as f32;
    let mut columns = vec![0f32; inputs * taps * pixels];
    let mut places = Vec::with_capacity(pixels);
    for tap in 0..taps {
        let (ky, kx) = ((tap / side) as f32 - reach, (tap % side) as f32 - reach);
        let part = |channel: usize| &guide[channel * area + first..][..pixels];
        let (down, right, factors) = (part(2 * tap), part(2 * tap + 1), part(2 * taps + tap));
        places.clear();
        places.extend((0..pixels).map(|p| {
            let (row, column) = (lines.start + p / width, p % width);
            let at = (row as f32 + ky + down[p], column as f32 + kx + right[p]);
            Place::new(at, factors[p], (height, width))
        }));
        for (channel, plane) in x.chunks_exact(area).enumerate() {
            let target = &mut columns[(channel * taps + tap) * pixels..][..pixels];
            for (v, Place { at, share }) in target.iter_mut().zip(&places) {
                *v = plane[at[0] as usize] * share[0]
                    + plane[at[1] as usize] * share[1]
                    + plane[at[2] as usize] * share[2]
                    + plane[at[3] as usize] * share[3];
            }
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_weights::{distance, fixture, pseudo};

    /// Against torchvision.ops.deform_conv2d (tools/fixtures/segmentation_networks.py); offsets reach beyond the edges.
    #[test]
    fn equals_torchvision() {
        let stored = fixture("birefnet_parts");
        for side in [1usize, 3, 7] {
            let x = pseudo("deform.x", &[1, 5, 9, 11], 2.0);
            let offset = pseudo(&format!("deform.offset{side}"), &[1, 2 * side * side, 9, 11], 6.0);
            let mask = pseudo(&format!("deform.mask{side}"), &[1, side * side, 9, 11], 2.0);
            let weight = pseudo(&format!("deform.weight{side}"), &[4, 5, side, side], 2.0);
            let guide = Tensor::cat(&[offset, mask], 1).unwrap();
            let off = distance(
                &sample(&x, &guide, &weight).unwrap(),
                &stored[&format!("deform{side}")],
            );
            // Sums of up to 245 products of numbers below 1.
            assert!(off < 2e-5, "side {side}: off by {off}");
        }
    }
}
