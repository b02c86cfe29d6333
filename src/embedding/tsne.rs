//! t-SNE (van der Maaten & Hinton, 2008), exact, with the early exaggeration and gains of the authors' code.

use super::vectors::dot;
use rayon::prelude::*;

const PERPLEXITY: f32 = 20.0;
const EXAGGERATED: usize = 150;
const ROUNDS: usize = 400;
const EXAGGERATION: f32 = 12.0;

/// Moves `places` (one per unit vector of `rows`, at least four) so that near vectors are near. `step` as in
/// [`super::layout()`].
pub(super) fn refine(
    rows: &[&[f32]],
    mut places: Vec<[f32; 2]>,
    step: &mut dyn FnMut(f32) -> bool,
) -> Option<Vec<[f32; 2]>> {
    let n = rows.len();
    let affinities = affinities(rows);
    if step(0.1) {
        return None;
    }
    start_small(&mut places);
    let rate = (n as f32 / EXAGGERATION).max(50.0);
    let mut speed = vec![[0.0_f32; 2]; n];
    let mut gain = vec![[1.0_f32; 2]; n];
    for round in 0..ROUNDS {
        if round % 10 == 0 && step(0.1 + 0.8 * round as f32 / ROUNDS as f32) {
            return None;
        }
        let early = round < EXAGGERATED;
        let (exaggeration, momentum) = if early { (EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        // Attraction, repulsion and the share of the normaliser, per vector.
        let forces: Vec<[f32; 5]> = (0..n)
            .into_par_iter()
            .map(|i| forces(i, &affinities[i * n..(i + 1) * n], &places))
            .collect();
        let total: f64 = forces.iter().map(|f| f64::from(f[4])).sum();
        let inverse = (1.0 / total.max(1e-12)) as f32;
        for i in 0..n {
            for k in 0..2 {
                let pull = 4.0 * (exaggeration * forces[i][k] - inverse * forces[i][2 + k]);
                let with = (pull > 0.0) == (speed[i][k] > 0.0);
                gain[i][k] = if with {
                    (gain[i][k] * 0.8).max(0.01)
                } else {
                    gain[i][k] + 0.2
                };
                speed[i][k] = momentum * speed[i][k] - rate * gain[i][k] * pull;
                places[i][k] += speed[i][k];
            }
        }
    }
    Some(places)
}

fn forces(i: usize, affinities: &[f32], places: &[[f32; 2]]) -> [f32; 5] {
    let [x, y] = places[i];
    let mut sums = [0.0_f32; 5];
    for (j, (p, other)) in affinities.iter().zip(places).enumerate() {
        if j == i {
            continue;
        }
        let (dx, dy) = (x - other[0], y - other[1]);
        let near = 1.0 / (1.0 + dx * dx + dy * dy);
        sums[0] += p * near * dx;
        sums[1] += p * near * dy;
        sums[2] += near * near * dx;
        sums[3] += near * near * dy;
        sums[4] += near;
    }
    sums
}

/// Symmetric neighbour probabilities, `n × n`, that sum to 1.
fn affinities(rows: &[&[f32]]) -> Vec<f32> {
    let n = rows.len();
    let wanted = PERPLEXITY.min((n - 1) as f32 / 3.0).max(1.0).ln();
    let mut conditional = vec![0.0_f32; n * n];
    conditional
        .par_chunks_exact_mut(n)
        .enumerate()
        .for_each(|(i, row)| {
            for (j, out) in row.iter_mut().enumerate() {
                // Squared distance of unit vectors.
                *out = (2.0 - 2.0 * dot(rows[i], rows[j])).max(0.0);
            }
            to_probabilities(row, i, wanted);
        });
    let mut joint = vec![0.0_f32; n * n];
    joint.par_chunks_exact_mut(n).enumerate().for_each(|(i, row)| {
        for (j, out) in row.iter_mut().enumerate() {
            *out = (conditional[i * n + j] + conditional[j * n + i]) / (2 * n) as f32;
        }
    });
    joint
}

/// Squared distances to probabilities with an entropy of `wanted` nats, by bisection of the kernel's width.
fn to_probabilities(row: &mut [f32], own: usize, wanted: f32) {
    let others = || (0..row.len()).filter(|&j| j != own);
    let least = others().map(|j| row[j]).fold(f32::INFINITY, f32::min);
    let (mut beta, mut low, mut high) = (1.0_f32, 0.0_f32, f32::INFINITY);
    let weight = |d: f32, beta: f32| (-(d - least) * beta).exp();
    for _ in 0..50 {
        let (mut sum, mut moment) = (0.0_f64, 0.0_f64);
        for j in others() {
            let w = f64::from(weight(row[j], beta));
            sum += w;
            moment += w * f64::from(row[j] - least);
        }
        let entropy = (sum.ln() + f64::from(beta) * moment / sum) as f32;
        if (entropy - wanted).abs() < 1e-4 {
            break;
        }
        if entropy > wanted {
            low = beta;
            beta = if high.is_finite() {
                0.5 * (low + high)
            } else {
                beta * 2.0
            };
        } else {
            high = beta;
            beta = 0.5 * (low + high);
        }
        if !(1e-12..1e12).contains(&beta) {
            break;
        }
    }
    let mut sum = 0.0_f64;
    for (j, value) in row.iter_mut().enumerate() {
        *value = if j == own { 0.0 } else { weight(*value, beta) };
        sum += f64::from(*value);
    }
    row.iter_mut().for_each(|v| *v = (f64::from(*v) / sum) as f32);
}

/// Scales to a tiny spread and parts places that coincide.
fn start_small(places: &mut [[f32; 2]]) {
    let n = places.len() as f32;
    for k in 0..2 {
        let mean = places.iter().map(|p| p[k]).sum::<f32>() / n;
        let spread = (places.iter().map(|p| (p[k] - mean).powi(2)).sum::<f32>() / n).sqrt();
        for (i, place) in places.iter_mut().enumerate() {
            let apart = ((i * 37 + k * 11) % 101) as f32 / 101.0 - 0.5;
            place[k] = (place[k] - mean) / spread.max(1e-9) * 1e-4 + 1e-6 * apart;
        }
    }
}
