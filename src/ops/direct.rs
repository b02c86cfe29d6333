//! 3×3 convolution without unfolding, for processors with AVX2: the matrix product's inner loop reads a padded copy
//! of the picture instead of nine shifted ones.

#![allow(
    unsafe_code,
    reason = "vector instructions behind a run-time check; disjoint parts of one output"
)]

use super::{
    conv::{Conv, padded_line},
    matmul::Target,
    widen::Stored,
};
use rayon::prelude::*;
use std::{arch::x86_64::*, cell::Cell};

/// Values in a vector register.
const LANES: usize = 8;
/// Output channels computed together; with two vectors of pixels each they fill twelve of sixteen registers.
const CHANNELS: usize = 6;
/// Values of a padded strip of the picture; 384 kB stay in the second-level cache beside the weights.
const STRIP: usize = 98_304;

thread_local! {
    static PADDED: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    static TAPS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Whether this path applies and is the faster one. AVX-512 machines are better served by the matrix product.
pub fn applies(shape: &Conv) -> bool {
    let Conv {
        inputs,
        width,
        kernel,
        stride,
        padding,
        dilation,
        ..
    } = *shape;
    (kernel, stride, padding, dilation) == (3, 1, 1, 1)
        && width >= LANES
        && inputs * 3 * (width + 2 * LANES) <= STRIP
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && !is_x86_feature_detected!("avx512f")
}

/// Adds the convolution to `out[batch, outputs, height, width]`.
pub fn add_conv3x3(x: &[f32], shape: Conv, weight: Stored<'_>, out: &mut [f32], threads: usize) {
    let Conv {
        batch,
        inputs,
        outputs,
        height,
        width,
        ..
    } = shape;
    let area = height * width;
    assert!(x.len() == batch * inputs * area && out.len() == batch * outputs * area && applies(&shape));
    assert!(weight.len() == outputs * inputs * 9);
    let stride = width.next_multiple_of(LANES) + LANES;
    let most = (STRIP / (inputs * stride)).saturating_sub(2).max(1);
    // Enough strips for every thread, all of about the same height.
    let strips = height.div_ceil(most).max(threads.div_ceil(batch)).min(height);
    let lines = height.div_ceil(strips);
    let strips = height.div_ceil(lines);
    let target = Target::new(out);
    let one = |task: usize| {
        let (i, strip) = (task / strips, task % strips);
        let rows = strip * lines..((strip + 1) * lines).min(height);
        let mut padded = PADDED.take();
        let plane = (rows.len() + 2) * stride;
        padded.resize(padded.len().max(inputs * plane), 0.0);
        let picture = &x[i * inputs * area..(i + 1) * inputs * area];
        pad(
            picture,
            (height, width),
            rows.clone(),
            stride,
            &mut padded[..inputs * plane],
        );
        let place = Strip {
            padded: &padded[..inputs * plane],
            plane,
            stride,
            width,
            rows: rows.len(),
        };
        // Tasks write disjoint rows of the output planes.
        let target = target.after(i * outputs * area + rows.start * width);
        let blocks = outputs.div_ceil(CHANNELS);
        let mut taps = TAPS.take();
        for block in 0..blocks {
            let (from, to) = (block * outputs / blocks, (block + 1) * outputs / blocks);
            let weight = weight.widened(from * inputs * 9..to * inputs * 9, &mut taps);
            let target = target.after(from * area);
            // SAFETY: `applies` has checked the instruction set, `place` the sizes.
            unsafe {
                match to - from {
                    1 => place.channels::<1>(weight, target, area),
                    2 => place.channels::<2>(weight, target, area),
                    3 => place.channels::<3>(weight, target, area),
                    4 => place.channels::<4>(weight, target, area),
                    5 => place.channels::<5>(weight, target, area),
                    _ => place.channels::<CHANNELS>(weight, target, area),
                }
            }
        }
        TAPS.set(taps);
        PADDED.set(padded);
    };
    if threads > 1 {
        (0..batch * strips).into_par_iter().for_each(one);
    } else {
        (0..batch * strips).for_each(one);
    }
}

/// Copies rows of a picture with one row above and below, one column to the left and zeros to the stride's end.
fn pad(
    picture: &[f32],
    (height, width): (usize, usize),
    rows: std::ops::Range<usize>,
    stride: usize,
    padded: &mut [f32],
) {
    let planes = picture
        .chunks(height * width)
        .zip(padded.chunks_mut((rows.len() + 2) * stride));
    for (plane, padded) in planes {
        for (line, y) in padded.chunks_mut(stride).zip(rows.start..) {
            match padded_line(plane, y, 1, width) {
                Some(source) => {
                    line[0] = 0.0;
                    line[1..=width].copy_from_slice(source);
                    line[width + 1..].fill(0.0);
                }
                None => line.fill(0.0),
            }
        }
    }
}

/// A padded strip of a picture.
struct Strip<'a> {
    padded: &'a [f32],
    /// Values per channel.
    plane: usize,
    /// Values per line; at least the width rounded up to whole vectors, plus 2.
    stride: usize,
    width: usize,
    /// Output rows.
    rows: usize,
}

impl Strip<'_> {
    /// All pixels of `C` output channels.
    ///
    /// # Safety
    /// Needs AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn channels<const C: usize>(&self, weight: &[f32], target: Target, area: usize) {
        let across = self.width.div_ceil(LANES);
        let vectors = self.rows * across;
        let place = |vector: usize| (vector / across, vector % across * LANES);
        let mut vector = 0;
        while vector < vectors {
            // Two vectors at a time; the last may stand alone and is then computed twice.
            let pair = [place(vector), place((vector + 1).min(vectors - 1))];
            let at = pair.map(|(y, x)| y * self.stride + x);
            // SAFETY: the instruction set is the caller's promise.
            let sums = unsafe { self.sums::<C>(weight, at) };
            for (half, &(y, x)) in pair.iter().enumerate().take(vectors - vector) {
                let valid = LANES.min(self.width - x);
                for (channel, sums) in sums.iter().enumerate() {
                    // SAFETY: this task's own elements.
                    let line = unsafe { target.slice(channel * area + y * self.width + x, valid) };
                    let mut lanes = [0f32; LANES];
                    // SAFETY: eight floats.
                    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), sums[half]) };
                    line.iter_mut().zip(lanes).for_each(|(out, sum)| *out += sum);
                }
            }
            vector += 2;
        }
    }

    /// Sums over all inputs and taps, for `C` channels and two vectors of pixels that start at `at`.
    ///
    /// # Safety
    /// Needs AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    unsafe fn sums<const C: usize>(&self, weight: &[f32], at: [usize; 2]) -> [[__m256; 2]; C] {
        let inputs = self.padded.len() / self.plane;
        let depth = inputs * 9;
        // The last value read: last plane, two lines down, two columns and a vector to the right.
        let reach = at[0].max(at[1]) + (inputs - 1) * self.plane + 2 * self.stride + 2 + LANES;
        assert!(weight.len() >= C * depth && reach <= self.padded.len());
        let mut sums = [[_mm256_setzero_ps(); 2]; C];
        let taps = weight.as_ptr();
        // SAFETY: all reads lie within `padded` and `weight`, as asserted above.
        unsafe {
            let first = self.padded.as_ptr().add(at[0]);
            let second = self.padded.as_ptr().add(at[1]);
            for input in 0..inputs {
                for ky in 0..3 {
                    let line = input * self.plane + ky * self.stride;
                    for kx in 0..3 {
                        let a = _mm256_loadu_ps(first.add(line + kx));
                        let b = _mm256_loadu_ps(second.add(line + kx));
                        let tap = taps.add(input * 9 + ky * 3 + kx);
                        for (channel, sums) in sums.iter_mut().enumerate() {
                            let w = _mm256_broadcast_ss(&*tap.add(channel * depth));
                            sums[0] = _mm256_fmadd_ps(w, a, sums[0]);
                            sums[1] = _mm256_fmadd_ps(w, b, sums[1]);
                        }
                    }
                }
            }
        }
        sums
    }
}
