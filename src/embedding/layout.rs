//! Embeddings on a plane: principal components first, then t-SNE, which keeps neighbours together.
//!
//! The same vectors give the same places, whatever the number of threads. Of many vectors an evenly spread part is laid
//! out and the others are put between their nearest neighbours of that part.

use super::{Vectors, tsne::refine, vectors::dot};
use rayon::prelude::*;

/// Vectors that are laid out by t-SNE; its time grows with the square.
const LANDMARKS: usize = 2000;
/// Landmarks that place another vector.
const NEIGHBOURS: usize = 3;

/// A place in `[0, 1]²` for every vector, in order; proportions are kept. `step` is told the share done, in `[0, 1]`,
/// from the calling thread, and asked whether to stop: `None` once it said yes.
pub fn layout(vectors: &Vectors, step: &mut dyn FnMut(f32) -> bool) -> Option<Vec<[f32; 2]>> {
    let n = vectors.len();
    if n < 4 {
        // Nothing to preserve: side by side.
        let at = |i: usize| [(i as f32 + 0.5) / n as f32, 0.5];
        return Some((0..n).map(at).collect());
    }
    let stride = n.div_ceil(LANDMARKS);
    let landmarks: Vec<usize> = (0..n).step_by(stride).collect();
    let rows: Vec<&[f32]> = landmarks.iter().filter_map(|&i| vectors.get(i)).collect();
    let start = principal(&rows);
    let placed = refine(&rows, start, step)?;
    let all = if stride == 1 {
        placed
    } else {
        if step(0.9) {
            return None;
        }
        let place = |v: &[f32]| between(v, &rows, &placed);
        vectors
            .values()
            .par_chunks_exact(vectors.dim())
            .map(place)
            .collect()
    };
    Some(fit(all))
}

/// Weighted mean of the places of the nearest landmarks.
fn between(vector: &[f32], rows: &[&[f32]], placed: &[[f32; 2]]) -> [f32; 2] {
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(NEIGHBOURS + 1);
    for (i, row) in rows.iter().enumerate() {
        let cosine = dot(vector, row);
        if best.len() < NEIGHBOURS || cosine > best[NEIGHBOURS - 1].0 {
            let at = best.partition_point(|b| b.0 >= cosine);
            best.insert(at, (cosine, i));
            best.truncate(NEIGHBOURS);
        }
    }
    let mut sum = [0.0_f32; 3];
    for (cosine, i) in best {
        let weight = 1.0 / (1e-3 + (2.0 - 2.0 * cosine).max(0.0));
        sum[0] += weight * placed[i][0];
        sum[1] += weight * placed[i][1];
        sum[2] += weight;
    }
    [sum[0] / sum[2], sum[1] / sum[2]]
}

/// Scales to the unit square and centres.
fn fit(mut places: Vec<[f32; 2]>) -> Vec<[f32; 2]> {
    let mut low = [f32::INFINITY; 2];
    let mut high = [f32::NEG_INFINITY; 2];
    for place in &places {
        for k in 0..2 {
            low[k] = low[k].min(place[k]);
            high[k] = high[k].max(place[k]);
        }
    }
    let size = (high[0] - low[0]).max(high[1] - low[1]).max(1e-12);
    for place in &mut places {
        for k in 0..2 {
            place[k] = 0.5 + (place[k] - 0.5 * (low[k] + high[k])) / size;
        }
    }
    places
}

/// Coordinates along the first two principal components, by orthogonal iteration from fixed directions.
fn principal(rows: &[&[f32]]) -> Vec<[f32; 2]> {
    const ROUNDS: usize = 24;
    let dim = rows[0].len();
    let mut mean = vec![0.0_f64; dim];
    for row in rows {
        mean.iter_mut().zip(*row).for_each(|(m, v)| *m += f64::from(*v));
    }
    let mean: Vec<f32> = mean.iter().map(|m| (m / rows.len() as f64) as f32).collect();
    // Directions without any symmetry that data could share.
    let mut axes: [Vec<f32>; 2] =
        [1.0_f32, 1.7].map(|f| (0..dim).map(|i| ((i * i % 97) as f32 * f + f).sin()).collect());
    let project = |axes: &[Vec<f32>; 2]| -> Vec<[f32; 2]> {
        let shift = [dot(&mean, &axes[0]), dot(&mean, &axes[1])];
        rows.par_iter()
            .map(|row| [dot(row, &axes[0]) - shift[0], dot(row, &axes[1]) - shift[1]])
            .collect()
    };
    for _ in 0..ROUNDS {
        orthonormal(&mut axes);
        let places = project(&axes);
        for (k, axis) in axes.iter_mut().enumerate() {
            let mut sum = vec![0.0_f32; dim];
            for (row, place) in rows.iter().zip(&places) {
                for ((s, v), m) in sum.iter_mut().zip(*row).zip(&mean) {
                    *s += place[k] * (v - m);
                }
            }
            // Data without any spread keeps the direction it had.
            if sum.iter().any(|s| s.abs() > 1e-12) {
                *axis = sum;
            }
        }
    }
    orthonormal(&mut axes);
    project(&axes)
}

fn orthonormal(axes: &mut [Vec<f32>; 2]) {
    let scale = |axis: &mut Vec<f32>| {
        let norm = dot(axis, axis).sqrt().max(1e-20);
        axis.iter_mut().for_each(|v| *v /= norm);
    };
    let [first, second] = axes;
    scale(first);
    let along = dot(first, second);
    second
        .iter_mut()
        .zip(first.iter())
        .for_each(|(s, f)| *s -= along * f);
    scale(second);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::vectors::unit;

    /// Groups of near vectors in random directions.
    fn groups(count: usize, each: usize, dim: usize) -> Vectors {
        let mut state = 7u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 24) as f32 - 0.5
        };
        let mut vectors = Vectors::new(dim);
        for _ in 0..count {
            let centre: Vec<f32> = (0..dim).map(|_| next()).collect();
            for _ in 0..each {
                let near = centre.iter().map(|c| c + 0.3 * next()).collect();
                vectors.push(&unit(near).unwrap());
            }
        }
        vectors
    }

    /// Share of the nearest neighbour's on the plane that are of the same group.
    fn kept(places: &[[f32; 2]], each: usize) -> f32 {
        let distance = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        let good = (0..places.len()).filter(|&i| {
            let others = (0..places.len()).filter(|&j| j != i);
            let near = others
                .min_by(|&a, &b| distance(places[i], places[a]).total_cmp(&distance(places[i], places[b])));
            near.is_some_and(|j| j / each == i / each)
        });
        good.count() as f32 / places.len() as f32
    }

    #[test]
    fn neighbours_stay_together_better_than_on_principal_components() {
        let vectors = groups(20, 8, 24);
        let rows: Vec<&[f32]> = vectors.rows().collect();
        let places = layout(&vectors, &mut |_| false).unwrap();
        let (before, after) = (kept(&principal(&rows), 8), kept(&places, 8));
        assert!(after > 0.97 && after > before, "{before} {after}");
        assert!(places.iter().flatten().all(|v| (-1e-4..=1.0001).contains(v)));
        assert_eq!(places, layout(&vectors, &mut |_| false).unwrap());
    }

    #[test]
    fn many_are_placed_between_landmarks() {
        let vectors = groups(41, 100, 8);
        let places = layout(&vectors, &mut |_| false).unwrap();
        assert_eq!(places.len(), 4100);
        assert!(kept(&places[..1000], 100) > 0.9);
    }

    #[test]
    fn few_equal_and_stopped() {
        assert!(layout(&Vectors::new(3), &mut |_| false).unwrap().is_empty());
        let same = Vectors::from_values(2, [1.0, 0.0].repeat(9)).unwrap();
        let places = layout(&same, &mut |_| false).unwrap();
        assert!(places.iter().flatten().all(|v| v.is_finite()));
        assert!(layout(&groups(4, 4, 4), &mut |_| true).is_none());
    }
}
