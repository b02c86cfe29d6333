//! MS-SSIM of noise differences, as torchmetrics up to 1.4.1 computes it for NeMo: up to three scales with equal
//! exponents that sum to 0.99, an 11-tap Gaussian window (σ = 1.5), and at every scale the larger range of the two
//! inputs, over all samples that are compared together, as the data range. Computed in f64.

use super::NoiseDifferences;
use crate::mitigation::MitigationError;
use rayon::prelude::*;

const TAPS: usize = 11;
const SIGMA: f64 = 1.5;
/// Sum of the exponents, 3 × 0.33.
const EXPONENTS: f64 = 0.99;
const MOST_SCALES: usize = 3;

/// Similarity of every sample of `a` with the sample at the same place of `b`.
///
/// Three scales need sides of at least 44; smaller ones are compared at as many scales as leave room for the window
/// (sides of at least 11), with the same sum of exponents.
///
/// # Errors
/// Shapes that differ, sides below 11.
pub fn similarity(a: &NoiseDifferences, b: &NoiseDifferences) -> Result<Vec<f64>, MitigationError> {
    if (a.channels, a.height, a.width, a.values.len()) != (b.channels, b.height, b.width, b.values.len()) {
        return Err(MitigationError::Request(
            "noise differences of different shapes cannot be compared".to_owned(),
        ));
    }
    compare(a, a.samples().zip(b.samples()).collect())
}

/// Similarity of every two samples, in the order (0, 1), (0, 2), …, (1, 2), …: compared together.
///
/// # Errors
/// Sides below 11.
pub fn pairwise(samples: &NoiseDifferences) -> Result<Vec<f64>, MitigationError> {
    let all: Vec<&[f32]> = samples.samples().collect();
    let pairs = places(all.len()).map(|(i, j)| (all[i], all[j])).collect();
    compare(samples, pairs)
}

/// The largest of the pairwise similarities of every one of `samples` samples; 0 for a sample alone.
pub fn largest_to_another(pairwise: &[f64], samples: usize) -> Vec<f64> {
    let mut largest = vec![0.0f64; samples];
    for ((i, j), &value) in places(samples).zip(pairwise) {
        largest[i] = largest[i].max(value);
        largest[j] = largest[j].max(value);
    }
    largest
}

fn places(samples: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..samples).flat_map(move |i| (i + 1..samples).map(move |j| (i, j)))
}

fn compare(shape: &NoiseDifferences, pairs: Vec<(&[f32], &[f32])>) -> Result<Vec<f64>, MitigationError> {
    let NoiseDifferences {
        channels,
        mut height,
        mut width,
        ..
    } = *shape;
    let side = height.min(width);
    let scales = (1..=MOST_SCALES)
        .rev()
        .find(|s| side >> (s - 1) >= TAPS)
        .ok_or_else(|| {
            MitigationError::Request(format!(
                "latents of {height} × {width} are too small to be compared; each side must have at least {TAPS}"
            ))
        })?;
    let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
    let mut pairs: Vec<(Vec<f64>, Vec<f64>)> = pairs.into_iter().map(|(a, b)| (wide(a), wide(b))).collect();
    let mut product = vec![1.0; pairs.len()];
    for scale in 1..=scales {
        let range = range(pairs.iter().map(|p| &p.0)).max(range(pairs.iter().map(|p| &p.1)));
        let last = scale == scales;
        product.par_iter_mut().zip(&pairs).for_each(|(product, (a, b))| {
            let mut sum = 0.0;
            let area = height * width;
            for channel in 0..channels {
                let plane = channel * area..(channel + 1) * area;
                sum += mean(&a[plane.clone()], &b[plane], (height, width), range, last);
            }
            *product *= (sum / channels as f64).max(0.0).powf(EXPONENTS / scales as f64);
        });
        if !last {
            pairs.par_iter_mut().for_each(|(a, b)| {
                *a = halve(a, height, width);
                *b = halve(b, height, width);
            });
            (height, width) = (height / 2, width / 2);
        }
    }
    Ok(product)
}

fn range<'a>(planes: impl Iterator<Item = &'a Vec<f64>>) -> f64 {
    let (low, high) = planes
        .flatten()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| {
            (low.min(v), high.max(v))
        });
    high - low
}

/// Mean over the pixels whose window lies inside: of contrast·structure, with luminance at the last scale.
fn mean(a: &[f64], b: &[f64], (height, width): (usize, usize), range: f64, luminance: bool) -> f64 {
    let (c1, c2) = ((0.01 * range).powi(2), (0.03 * range).powi(2));
    let blur = |f: &dyn Fn(f64, f64) -> f64| {
        let plane: Vec<f64> = a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect();
        window(&plane, height, width)
    };
    let (ma, mb) = (blur(&|a, _| a), blur(&|_, b| b));
    let (aa, bb, ab) = (blur(&|a, _| a * a), blur(&|_, b| b * b), blur(&|a, b| a * b));
    let mut sum = 0.0;
    for i in 0..ma.len() {
        let (va, vb) = ((aa[i] - ma[i] * ma[i]).max(0.0), (bb[i] - mb[i] * mb[i]).max(0.0));
        let cov = ab[i] - ma[i] * mb[i];
        let mut value = (2.0 * cov + c2) / (va + vb + c2);
        if luminance {
            value *= (2.0 * ma[i] * mb[i] + c1) / (ma[i] * ma[i] + mb[i] * mb[i] + c1);
        }
        sum += value;
    }
    sum / ma.len() as f64
}

/// Gaussian mean of every window that lies inside.
fn window(plane: &[f64], height: usize, width: usize) -> Vec<f64> {
    let mut weights: [f64; TAPS] = std::array::from_fn(|i| {
        let x = i as f64 - (TAPS / 2) as f64;
        (-x * x / (2.0 * SIGMA * SIGMA)).exp()
    });
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
    let (rows, columns) = (height - TAPS + 1, width - TAPS + 1);
    let across: Vec<f64> = (0..height)
        .flat_map(|y| {
            let row = &plane[y * width..(y + 1) * width];
            row.windows(TAPS)
                .map(|w| w.iter().zip(&weights).map(|(v, k)| v * k).sum())
        })
        .collect();
    (0..rows)
        .flat_map(|y| {
            let across = &across;
            (0..columns).map(move |x| {
                (0..TAPS)
                    .map(|t| across[(y + t) * columns + x] * weights[t])
                    .sum()
            })
        })
        .collect()
}

/// Means of 2 × 2 pixels; an odd last row or column is left out.
fn halve(planes: &[f64], height: usize, width: usize) -> Vec<f64> {
    planes
        .chunks(height * width)
        .flat_map(|plane| {
            (0..height / 2).flat_map(move |y| {
                (0..width / 2).map(move |x| {
                    let at = 2 * y * width + 2 * x;
                    (plane[at] + plane[at + 1] + plane[at + width] + plane[at + width + 1]) / 4.0
                })
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planes(f: impl Fn(usize, usize, usize) -> usize) -> NoiseDifferences {
        let value = |i: usize| {
            let (c, y, x) = (i / 4096, i / 64 % 64, i % 64);
            (f(c, x, y) % 64) as f32 / 63.0
        };
        NoiseDifferences {
            channels: 4,
            height: 64,
            width: 64,
            values: (0..4 * 4096).map(value).collect(),
        }
    }

    /// A vector computed once with torchmetrics 1.3.2: 0.551602.
    #[test]
    fn torchmetrics_gives_the_same() {
        let p = planes(|c, x, y| (c + 3) * x + (c + 5) * y);
        let q = planes(|c, x, y| (c + 3) * x + (c + 5) * y + 5 * (x / 8 % 4));
        let got = similarity(&p, &q).unwrap()[0];
        assert!((got - 0.551_602).abs() < 6e-6, "{got}");
        assert!((similarity(&p, &p).unwrap()[0] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn small_latents_have_fewer_scales_and_tiny_ones_are_refused() {
        let small = |side: usize| NoiseDifferences {
            channels: 1,
            height: side,
            width: side,
            values: (0..side * side).map(|i| (i * 7 % 11) as f32).collect(),
        };
        assert!((similarity(&small(16), &small(16)).unwrap()[0] - 1.0).abs() < 1e-12);
        let refused = similarity(&small(10), &small(10)).unwrap_err().to_string();
        assert!(refused.contains("10 × 10"), "{refused}");
    }

    #[test]
    fn pairs_are_assigned_to_both_samples() {
        // Pairs (0,1), (0,2), (1,2).
        assert_eq!(largest_to_another(&[0.1, 0.9, 0.3], 3), [0.9, 0.3, 0.9]);
        assert_eq!(largest_to_another(&[], 1), [0.0]);
    }
}
