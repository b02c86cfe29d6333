//! Multi-head attention on token layout, without moving heads around.

#![allow(
    unsafe_code,
    reason = "writes disjoint rows of one output from several threads"
)]

use super::{
    math::softmax_numerators,
    matmul::{Onto, Target, View, multiply},
};
use rayon::prelude::*;
use std::cell::Cell;

/// Shape of an attention.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Batch.
    pub batch: usize,
    /// Query positions.
    pub queries: usize,
    /// Key and value positions.
    pub keys: usize,
    /// Heads.
    pub heads: usize,
    /// Channels per head.
    pub width: usize,
}

thread_local! {
    static SCORES: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// softmax(q kᵀ / √width) v for `q[batch, queries, heads·width]`, `k` and `v[batch, keys, heads·width]`.
pub fn attention(q: &[f32], k: &[f32], v: &[f32], shape: Heads, parallel: bool) -> Vec<f32> {
    let Heads {
        batch,
        queries,
        keys,
        heads,
        width,
    } = shape;
    let channels = heads * width;
    let scale = 1.0 / (width as f32).sqrt();
    // Score blocks of some 512 kB stay in the second-level cache.
    let rows = (131_072 / keys.max(1)).clamp(16, queries.max(16));
    let blocks = queries.div_ceil(rows);
    let mut out = vec![0f32; batch * queries * channels];
    let target = Target::new(&mut out);
    let one = |task: usize| {
        let (i, head, block) = (task / (heads * blocks), task / blocks % heads, task % blocks);
        let (from, to) = (block * rows, ((block + 1) * rows).min(queries));
        let m = to - from;
        let mut scores = SCORES.take();
        scores.resize(scores.len().max(m * keys), 0.0);
        let used = &mut scores[..m * keys];
        let at = |sequence: usize, position: usize| (i * sequence + position) * channels + head * width;
        let (a, b) = (
            View::rows(&q[at(queries, from)..], channels),
            View::columns(&k[at(keys, 0)..], channels),
        );
        multiply(
            (m, keys, width),
            Target::new(used),
            keys,
            Onto::Scaled(scale),
            a,
            b,
            false,
        );
        // Dividing the mixed values is less work than dividing the probabilities.
        let sums: Vec<f32> = used.chunks_mut(keys).map(softmax_numerators).collect();
        // Tasks write disjoint rows and columns of the output.
        let (a, b) = (View::rows(used, keys), View::rows(&v[at(keys, 0)..], channels));
        multiply(
            (m, width, keys),
            target.after(at(queries, from)),
            channels,
            Onto::Replace,
            a,
            b,
            false,
        );
        for (row, sum) in sums.iter().enumerate() {
            // SAFETY: this task's own elements.
            let mixed = unsafe { target.slice(at(queries, from + row), width) };
            mixed.iter_mut().for_each(|v| *v /= sum);
        }
        SCORES.set(scores);
    };
    let tasks = batch * heads * blocks;
    if parallel {
        (0..tasks).into_par_iter().for_each(one);
    } else {
        (0..tasks).for_each(one);
    }
    out
}
