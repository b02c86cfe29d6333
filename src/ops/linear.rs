//! Linear layers and the activations inside feed-forward layers.

use super::{
    math::{exp, gelu, vectorised},
    matmul::{Onto, Target, View},
    panels::Weights,
};
use rayon::prelude::*;

/// `x[rows, inputs] · weightᵀ + bias + residual`, `[rows, outputs]`.
pub fn linear(
    x: &[f32],
    weight: Weights<'_>,
    bias: Option<&[f32]>,
    residual: Option<&[f32]>,
    parallel: bool,
) -> Vec<f32> {
    let (n, k) = (weight.outputs, weight.inputs);
    let rows = x.len() / k;
    let (mut out, onto) = prefill_rows(rows, n, bias, residual);
    weight.transposed_after(View::rows(x, k), rows, Target::new(&mut out), n, onto, parallel);
    out
}

/// As [`linear`] on every pixel of planes `x[batch, inputs, pixels]`; gives tokens `[batch, pixels, outputs]`.
pub fn linear_from_planes(
    x: &[f32],
    pixels: usize,
    weight: Weights<'_>,
    bias: Option<&[f32]>,
    parallel: bool,
) -> Vec<f32> {
    let (n, k) = (weight.outputs, weight.inputs);
    let batch = x.len() / (k * pixels);
    let (mut out, onto) = prefill_rows(batch * pixels, n, bias, None);
    let target = Target::new(&mut out);
    for (i, x) in x.chunks(k * pixels).enumerate() {
        let target = target.after(i * pixels * n);
        weight.transposed_after(View::columns(x, pixels), pixels, target, n, onto, parallel);
    }
    out
}

/// As [`linear`] on tokens `x[batch, pixels, inputs]`; gives planes `[batch, outputs, pixels]`, plus `residual` of
/// that shape.
pub fn linear_to_planes(
    x: &[f32],
    pixels: usize,
    weight: Weights<'_>,
    bias: Option<&[f32]>,
    residual: &[f32],
    parallel: bool,
) -> Vec<f32> {
    let (n, k) = (weight.outputs, weight.inputs);
    let mut out = residual.to_vec();
    if let Some(bias) = bias {
        for (plane, b) in out.chunks_mut(pixels).zip(bias.iter().cycle()) {
            plane.iter_mut().for_each(|v| *v += b);
        }
    }
    let target = Target::new(&mut out);
    for (i, x) in x.chunks(k * pixels).enumerate() {
        let target = target.after(i * pixels * n);
        weight.times(View::columns(x, k), pixels, target, pixels, Onto::Add, parallel);
    }
    out
}

/// Output rows that already hold what is to be added.
fn prefill_rows(rows: usize, n: usize, bias: Option<&[f32]>, residual: Option<&[f32]>) -> (Vec<f32>, Onto) {
    match (bias, residual) {
        (None, None) => (vec![0f32; rows * n], Onto::Replace),
        (Some(bias), None) => {
            let mut out = Vec::with_capacity(rows * n);
            (0..rows).for_each(|_| out.extend_from_slice(bias));
            (out, Onto::Add)
        }
        (None, Some(residual)) => (residual.to_vec(), Onto::Add),
        (Some(bias), Some(residual)) => {
            let mut out = residual.to_vec();
            for row in out.chunks_mut(n) {
                row.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
            }
            (out, Onto::Add)
        }
    }
}

/// Gated GELU: rows of `2·width` values become `first half · gelu(second half)`.
pub fn geglu(x: &[f32], width: usize, parallel: bool) -> Vec<f32> {
    let mut out = vec![0f32; x.len() / 2];
    let one = |(y, x): (&mut [f32], &[f32])| gate(y, &x[..width], &x[width..]);
    if parallel {
        out.par_chunks_mut(width)
            .zip(x.par_chunks(2 * width))
            .with_min_len(8)
            .for_each(one);
    } else {
        out.chunks_mut(width).zip(x.chunks(2 * width)).for_each(one);
    }
    out
}

vectorised! {
    /// y = value · gelu(gate).
    pub fn gate(y: &mut [f32], value: &[f32], gate: &[f32]) {
        for ((y, v), g) in y.iter_mut().zip(value).zip(gate) {
            *y = v * gelu(*g);
        }
    }
}

vectorised! {
    /// x · sigmoid(1.702 x), in place.
    pub fn quick_gelu(x: &mut [f32]) {
        for x in x {
            *x /= 1.0 + exp(-1.702 * *x);
        }
    }
}
