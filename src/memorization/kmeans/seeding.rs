//! Initial centres by greedy k-means++.

use super::distances_to;
use rand_chacha::{ChaCha8Rng, rand_core::RngCore};

/// `k` rows of `points` (row-major `[n, dim]`, `1 ≤ k ≤ n`), each drawn with a probability proportional to the squared
/// distance to the nearest row drawn before; of several draws the one that lowers the sum of distances most is taken.
pub(super) fn plus_plus(points: &[f32], dim: usize, k: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let n = points.len() / dim;
    let row = |i: usize| &points[i * dim..(i + 1) * dim];
    let trials = 2 + (k as f64).ln() as usize;
    let first = ((uniform(rng) * n as f64) as usize).min(n - 1);
    let mut centres = row(first).to_vec();
    let mut closest = distances_to(points, dim, row(first));
    for _ in 1..k {
        let total: f64 = closest.iter().sum();
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..trials {
            let candidate = draw(&closest, uniform(rng) * total);
            let mut now = distances_to(points, dim, row(candidate));
            for (new, old) in now.iter_mut().zip(&closest) {
                *new = new.min(*old);
            }
            let sum = now.iter().sum();
            if best.as_ref().is_none_or(|(least, ..)| sum < *least) {
                best = Some((sum, candidate, now));
            }
        }
        if let Some((_, candidate, now)) = best {
            centres.extend_from_slice(row(candidate));
            closest = now;
        }
    }
    centres
}

/// First index whose cumulative weight exceeds `at`. Weightless rows are drawn only when there are no others.
fn draw(weights: &[f64], at: f64) -> usize {
    let mut sum = 0.0;
    let mut last = 0;
    for (index, weight) in weights.iter().enumerate() {
        sum += weight;
        if *weight > 0.0 {
            last = index;
            if sum > at {
                return index;
            }
        }
    }
    last
}

/// Uniform in `[0, 1)` with 53 bits.
fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}
