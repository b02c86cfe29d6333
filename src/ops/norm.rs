//! Normalisations, fused with what follows them.

use super::math::{moments, silu, vectorised};
use rayon::prelude::*;

/// Shape of a group normalisation.
#[derive(Clone, Copy, Debug)]
pub struct GroupNormShape {
    /// Channels.
    pub channels: usize,
    /// Height · width.
    pub pixels: usize,
    /// Groups; divides the channels.
    pub groups: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

/// Group normalisation over `[batch, channels, pixels]`, followed by SiLU on request.
pub fn group_norm(
    x: &[f32],
    shape: GroupNormShape,
    weight: &[f32],
    bias: &[f32],
    with_silu: bool,
    parallel: bool,
) -> Vec<f32> {
    let GroupNormShape {
        channels,
        pixels,
        groups,
        epsilon,
    } = shape;
    let per_group = channels / groups;
    let size = per_group * pixels;
    let mut out = vec![0f32; x.len()];
    let one = |index: usize, target: &mut [f32]| {
        let source = &x[index * size..(index + 1) * size];
        let (sum, squares) = moments(source);
        let mean = sum / size as f64;
        let variance = (squares / size as f64 - mean * mean).max(0.0);
        let scale = 1.0 / (variance + epsilon).sqrt();
        let first = index % groups * per_group;
        for (c, (source, target)) in source.chunks(pixels).zip(target.chunks_mut(pixels)).enumerate() {
            let a = f64::from(weight[first + c]) * scale;
            let b = f64::from(bias[first + c]) - mean * a;
            if with_silu {
                affine_silu(source, target, a as f32, b as f32);
            } else {
                affine(source, target, a as f32, b as f32);
            }
        }
    };
    if parallel {
        out.par_chunks_mut(size)
            .enumerate()
            .for_each(|(i, target)| one(i, target));
    } else {
        out.chunks_mut(size)
            .enumerate()
            .for_each(|(i, target)| one(i, target));
    }
    out
}

/// Layer normalisation of rows of `weight.len()` values.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f64, parallel: bool) -> Vec<f32> {
    let width = weight.len();
    let mut out = vec![0f32; x.len()];
    let one = |(source, target): (&[f32], &mut [f32])| {
        let mean = (moments(source).0 / width as f64) as f32;
        layer_norm_row(source, target, weight, bias, mean, epsilon as f32);
    };
    // Rows are short; a task takes some of them.
    let rows = (16_384 / width.max(1)).max(1) * width;
    if parallel {
        let pairs = x.par_chunks(rows).zip(out.par_chunks_mut(rows));
        pairs.for_each(|(x, y)| x.chunks(width).zip(y.chunks_mut(width)).for_each(one));
    } else {
        x.chunks(width).zip(out.chunks_mut(width)).for_each(one);
    }
    out
}

vectorised! {
    /// One row, given its mean.
    pub fn layer_norm_row(x: &[f32], y: &mut [f32], weight: &[f32], bias: &[f32], mean: f32, epsilon: f32) {
        let mut sums = [0f32; 16];
        let (chunks, rest) = x.as_chunks::<16>();
        for chunk in chunks {
            for i in 0..16 {
                let d = chunk[i] - mean;
                sums[i] += d * d;
            }
        }
        let squares: f32 = sums.iter().sum::<f32>() + rest.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>();
        let scale = 1.0 / (squares / x.len() as f32 + epsilon).sqrt();
        for (((y, x), w), b) in y.iter_mut().zip(x).zip(weight).zip(bias) {
            *y = (x - mean) * scale * w + b;
        }
    }
}

vectorised! {
    /// y = a x + b.
    pub fn affine(x: &[f32], y: &mut [f32], a: f32, b: f32) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = x * a + b;
        }
    }
}

vectorised! {
    /// y = silu(a x + b).
    pub fn affine_silu(x: &[f32], y: &mut [f32], a: f32, b: f32) {
        for (y, x) in y.iter_mut().zip(x) {
            *y = silu(x * a + b);
        }
    }
}
