//! K-means on dense vectors: how FB-Mem groups captions before it mitigates group by group (METHODS §6.6).
//!
//! Seeding by greedy k-means++ (Arthur & Vassilvitskii, SODA 2007, with `2 + ln k` trial draws per centre as
//! scikit-learn does), Lloyd's iterations with scikit-learn's stopping rule, several restarts, the one with the least
//! inertia kept. From the same initial centres the result is scikit-learn's.

mod lloyd;
mod seeding;
mod silhouette;

pub use lloyd::lloyd;
pub use silhouette::silhouette;

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rayon::prelude::*;

/// Lloyd iterations of one restart at most; FB-Mem's setting.
pub const MAX_ITERATIONS: usize = 500;

/// Points in `k` groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KMeans {
    /// Row-major `[k, dim]`.
    pub centroids: Vec<f32>,
    /// Group of every point, `0..k`.
    pub labels: Vec<u32>,
    /// Sum of the squared Euclidean distances of the points to their centroids.
    pub inertia: f64,
    /// Iterations that the kept restart took.
    pub iterations: usize,
}

/// Groups `points` (row-major `[n, dim]`, finite) into `k` groups; the best of `restarts` restarts (at least one).
/// `seed` decides everything that is random: the same arguments give the same groups on every machine.
///
/// `k` is cut to the number of points. Without points or with `dim` 0 the result is empty. Values left over after
/// the last whole row are ignored.
pub fn kmeans(points: &[f32], dim: usize, k: usize, restarts: usize, seed: u64) -> KMeans {
    let n = points.len().checked_div(dim).unwrap_or(0);
    let k = k.min(n);
    if k == 0 {
        return KMeans::default();
    }
    let points = &points[..n * dim];
    let mut best: Option<KMeans> = None;
    for restart in 0..restarts.max(1) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(restart as u64);
        let centres = seeding::plus_plus(points, dim, k, &mut rng);
        let found = lloyd(points, dim, &centres, MAX_ITERATIONS);
        if best.as_ref().is_none_or(|b| found.inertia < b.inertia) {
            best = Some(found);
        }
    }
    best.unwrap_or_default()
}

/// Index of the centroid (row-major `[k, dim]`) nearest to `point` (`dim` values) by Euclidean distance, the first of
/// equals; `None` without centroids. This is how a new prompt finds its group.
pub fn nearest(centroids: &[f32], dim: usize, point: &[f32]) -> Option<usize> {
    (dim > 0 && point.len() == dim)
        .then(|| assign(centroids, dim, point))
        .flatten()
        .map(|(index, _)| index)
}

/// Nearest centroid and its squared distance.
fn assign(centroids: &[f32], dim: usize, point: &[f32]) -> Option<(usize, f64)> {
    let mut best: Option<(usize, f64)> = None;
    for (index, centroid) in centroids.chunks_exact(dim).enumerate() {
        let distance = squared_distance(point, centroid);
        if best.is_none_or(|(_, least)| distance < least) {
            best = Some((index, distance));
        }
    }
    best
}

/// Squared Euclidean distance: `f32` lanes within short runs, `f64` across them, so that 59 136 values lose nothing.
pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    const RUN: usize = 256;
    const LANES: usize = 16;
    let mut total = 0.0;
    for (a, b) in a.chunks(RUN).zip(b.chunks(RUN)) {
        let mut sums = [0.0_f32; LANES];
        let (whole_a, rest_a) = a.as_chunks::<LANES>();
        let (whole_b, rest_b) = b.as_chunks::<LANES>();
        for (a, b) in whole_a.iter().zip(whole_b) {
            for ((s, x), y) in sums.iter_mut().zip(a).zip(b) {
                *s += (x - y) * (x - y);
            }
        }
        total += f64::from(sums.iter().sum::<f32>());
        total += rest_a
            .iter()
            .zip(rest_b)
            .map(|(x, y)| f64::from((x - y) * (x - y)))
            .sum::<f64>();
    }
    total
}

/// Squared distance of every point to `centre`.
fn distances_to(points: &[f32], dim: usize, centre: &[f32]) -> Vec<f64> {
    points
        .par_chunks_exact(dim)
        .map(|p| squared_distance(p, centre))
        .collect()
}

#[cfg(test)]
#[path = "kmeans/tests.rs"]
mod tests;
