//! The silhouette coefficient: how much nearer points are to their own group than to the next one.

use super::squared_distance;
use rayon::prelude::*;

/// Mean silhouette (Rousseeuw, 1987; scikit-learn's `silhouette_score`) of `points` (row-major `[n, dim]`) under
/// `labels` (one per point), by Euclidean distance, in `[-1, 1]`; a point alone in its group counts 0.
///
/// `None` unless there are at least two groups and at least one group of two, or when the lengths do not fit. Takes
/// time in proportion to n²·dim.
pub fn silhouette(points: &[f32], dim: usize, labels: &[u32]) -> Option<f64> {
    let n = labels.len();
    if dim == 0 || points.len() != n * dim {
        return None;
    }
    let mut names = labels.to_vec();
    names.sort_unstable();
    names.dedup();
    let groups = names.len();
    if groups < 2 || groups >= n {
        return None;
    }
    // Every label is among the names, so the search always finds it.
    let group: Vec<usize> = labels
        .iter()
        .map(|l| names.partition_point(|name| name < l))
        .collect();
    let mut sizes = vec![0usize; groups];
    group.iter().for_each(|&g| sizes[g] += 1);

    let of = |i: usize| {
        let own = group[i];
        if sizes[own] == 1 {
            return 0.0;
        }
        let point = &points[i * dim..(i + 1) * dim];
        let mut sums = vec![0.0; groups];
        for (other, &g) in points.chunks_exact(dim).zip(&group) {
            sums[g] += squared_distance(point, other).sqrt();
        }
        let inside = sums[own] / (sizes[own] - 1) as f64;
        let next = (0..groups)
            .filter(|&g| g != own)
            .map(|g| sums[g] / sizes[g] as f64)
            .fold(f64::INFINITY, f64::min);
        let larger = inside.max(next);
        if larger > 0.0 {
            (next - inside) / larger
        } else {
            0.0
        }
    };
    let values: Vec<f64> = (0..n).into_par_iter().map(of).collect();
    Some(values.iter().sum::<f64>() / n as f64)
}
