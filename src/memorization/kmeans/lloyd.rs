//! Lloyd's iterations.

use super::{KMeans, assign, squared_distance};
use rayon::prelude::*;

/// Centres that move less than this, relative to the mean variance of the points' columns, have arrived
/// (scikit-learn's `tol`).
const TOLERANCE: f64 = 1e-4;

/// Lloyd's algorithm on `points` (row-major `[n, dim]`) from `centres` (row-major `[k, dim]`), as scikit-learn's
/// `KMeans(init=centres, n_init=1, max_iter=max_iterations, algorithm="lloyd")`: it ends when no label changes, or when
/// the centres' summed squared move is at most `1e-4` times the mean variance of the columns; a group that lost all its
/// points gets the point farthest from its centre. Labels always fit the returned centroids.
///
/// Empty without points, without centres, or with `dim` 0.
pub fn lloyd(points: &[f32], dim: usize, centres: &[f32], max_iterations: usize) -> KMeans {
    if dim == 0 || points.len() < dim || centres.len() < dim {
        return KMeans::default();
    }
    let tolerance = TOLERANCE * mean_variance(points, dim);
    let mut centroids = centres[..centres.len() / dim * dim].to_vec();
    let mut labels = Vec::new();
    let mut settled = false;
    let mut iterations = 0;
    while iterations < max_iterations && !settled {
        iterations += 1;
        let (now, distances) = assignment(points, dim, &centroids);
        let next = means(points, dim, &centroids, &now, distances);
        let moved: f64 = next
            .chunks_exact(dim)
            .zip(centroids.chunks_exact(dim))
            .map(|(a, b)| squared_distance(a, b))
            .sum();
        centroids = next;
        settled = now == labels;
        labels = now;
        if moved <= tolerance {
            break;
        }
    }
    let (labels, distances) = assignment(points, dim, &centroids);
    KMeans {
        centroids,
        labels,
        inertia: distances.iter().sum(),
        iterations,
    }
}

fn assignment(points: &[f32], dim: usize, centroids: &[f32]) -> (Vec<u32>, Vec<f64>) {
    points
        .par_chunks_exact(dim)
        .map(|p| assign(centroids, dim, p).map_or((0, 0.0), |(i, d)| (i as u32, d)))
        .unzip()
}

/// Means of the groups; an empty one takes the farthest point away from its group.
fn means(points: &[f32], dim: usize, centroids: &[f32], labels: &[u32], distances: Vec<f64>) -> Vec<f32> {
    let k = centroids.len() / dim;
    let mut counts = vec![0usize; k];
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); k];
    for (i, &label) in labels.iter().enumerate() {
        counts[label as usize] += 1;
        members[label as usize].push(i);
    }
    let empty: Vec<usize> = (0..k).filter(|&g| counts[g] == 0).collect();
    if !empty.is_empty() {
        let mut farthest: Vec<usize> = (0..labels.len()).collect();
        farthest.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
        for (group, point) in empty.into_iter().zip(farthest) {
            members[labels[point] as usize].retain(|&p| p != point);
            members[group].push(point);
        }
    }
    let mut means = centroids.to_vec();
    means
        .par_chunks_exact_mut(dim)
        .zip(&members)
        .filter(|(_, members)| !members.is_empty())
        .for_each(|(mean, members)| {
            let mut sum = vec![0.0_f64; dim];
            for &i in members {
                for (s, &v) in sum.iter_mut().zip(&points[i * dim..(i + 1) * dim]) {
                    *s += f64::from(v);
                }
            }
            for (m, s) in mean.iter_mut().zip(sum) {
                *m = (s / members.len() as f64) as f32;
            }
        });
    means
}

/// Mean over the columns of their (population) variances.
fn mean_variance(points: &[f32], dim: usize) -> f64 {
    let n = (points.len() / dim) as f64;
    let mut sums = vec![(0.0_f64, 0.0_f64); dim];
    let first = &points[..dim];
    for row in points.chunks_exact(dim) {
        for (((sum, squares), &v), &shift) in sums.iter_mut().zip(row).zip(first) {
            // Shifted by the first row: no cancellation for columns far from 0.
            let v = f64::from(v) - f64::from(shift);
            *sum += v;
            *squares += v * v;
        }
    }
    let variances = sums
        .iter()
        .map(|(sum, squares)| squares / n - (sum / n) * (sum / n));
    variances.sum::<f64>() / dim as f64
}
