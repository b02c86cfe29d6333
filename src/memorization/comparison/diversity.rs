//! How much the pictures of one prompt differ from seed to seed. A variant that draws the same picture for every
//! seed has no copies of training images and yet is broken.

use super::{
    bootstrap::{Bootstrap, Estimate, median_low},
    compare::Pair,
    picture::{PictureSummary, SKETCH_SIDE},
};
use serde::Serialize;

/// A distance of two pictures, in `[0, 1]` or as its own scale says. SSCD is NeMo's choice; without weights
/// [`SketchDistance`] stands in.
pub trait PictureDistance: Sync {
    /// What it is called in tables.
    fn name(&self) -> &str;
    /// The distance, or `None` when it cannot be told for these.
    fn distance(&self, a: &PictureSummary, b: &PictureSummary) -> Option<f64>;
}

/// `1 − SSIM` of the small grey copies: Wang et al. 2004 with flat windows of 7 × 7, range 1, population variances.
#[derive(Clone, Copy, Debug, Default)]
pub struct SketchDistance;

impl PictureDistance for SketchDistance {
    fn name(&self) -> &str {
        "1 − SSIM at 64 × 64"
    }

    fn distance(&self, a: &PictureSummary, b: &PictureSummary) -> Option<f64> {
        let full = SKETCH_SIDE * SKETCH_SIDE;
        (a.sketch.len() == full && b.sketch.len() == full).then(|| 1.0 - ssim(&a.sketch, &b.sketch))
    }
}

/// `1 − cosine` of the pictures' embeddings.
#[derive(Clone, Debug)]
pub struct EmbeddingDistance {
    /// What it is called in tables.
    pub name: String,
}

impl PictureDistance for EmbeddingDistance {
    fn name(&self) -> &str {
        &self.name
    }

    fn distance(&self, a: &PictureSummary, b: &PictureSummary) -> Option<f64> {
        let (a, b) = (&a.embedding, &b.embedding);
        let both = !a.is_empty() && a.len() == b.len();
        let dot = || a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        both.then(|| 1.0 - dot())
    }
}

/// Diversity of both runs over the same prompts and seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diversity {
    /// The distance it is measured with.
    pub measure: String,
    /// Run A: per prompt the median distance of two seeds; of these the median.
    pub a: Estimate,
    /// Run B, likewise.
    pub b: Estimate,
}

impl Diversity {
    /// Measures prompts that have two seeds or more; `None` when there is none.
    pub(super) fn of(
        prompts: &[Vec<Pair<'_>>],
        measure: &dyn PictureDistance,
        bootstrap: &Bootstrap,
    ) -> Option<Self> {
        let side = |second: bool| {
            let mut pictures = 0;
            let mut seeds = std::collections::BTreeSet::new();
            let mut medians = Vec::new();
            for pairs in prompts {
                let shown: Vec<_> = pairs
                    .iter()
                    .filter_map(|p| Some((p.a.key.seed, p.a.picture.as_deref()?, p.b.picture.as_deref()?)))
                    .map(|(seed, a, b)| (seed, if second { b } else { a }))
                    .collect();
                let mut distances: Vec<f64> = shown
                    .iter()
                    .enumerate()
                    .flat_map(|(i, (_, a))| {
                        shown[..i].iter().filter_map(move |(_, b)| measure.distance(a, b))
                    })
                    .collect();
                if let Some(median) = median_low(&mut distances) {
                    medians.push(median);
                    pictures += shown.len();
                    seeds.extend(shown.iter().map(|(seed, _)| *seed));
                }
            }
            Estimate {
                value: median_low(&mut medians.clone()),
                interval: bootstrap.interval(medians.len(), |drawn| {
                    median_low(&mut drawn.iter().map(|&i| medians[i]).collect::<Vec<_>>())
                }),
                pictures,
                prompts: medians.len(),
                seeds: seeds.len(),
            }
        };
        let (a, b) = (side(false), side(true));
        a.value.is_some().then(|| Self {
            measure: measure.name().to_owned(),
            a,
            b,
        })
    }
}

/// How far B's pictures are from A's at the same seed: per prompt the median over its seeds, of these the median
/// (NeMo's “Memorization-gen” with another measure). `None` when no picture was read.
pub(super) fn between(
    prompts: &[Vec<Pair<'_>>],
    measure: &dyn PictureDistance,
    bootstrap: &Bootstrap,
) -> Option<Estimate> {
    let mut pictures = 0;
    let mut seeds = std::collections::BTreeSet::new();
    let mut medians = Vec::new();
    for pairs in prompts {
        let mut distances = Vec::new();
        for pair in pairs {
            let both = pair.a.picture.as_deref().zip(pair.b.picture.as_deref());
            if let Some(distance) = both.and_then(|(a, b)| measure.distance(a, b)) {
                distances.push(distance);
                seeds.insert(pair.a.key.seed);
            }
        }
        pictures += distances.len();
        medians.extend(median_low(&mut distances));
    }
    Some(Estimate {
        value: Some(median_low(&mut medians.clone())?),
        interval: bootstrap.interval(medians.len(), |drawn| {
            median_low(&mut drawn.iter().map(|&i| medians[i]).collect::<Vec<_>>())
        }),
        pictures,
        prompts: medians.len(),
        seeds: seeds.len(),
    })
}

/// Mean SSIM over all 7 × 7 windows of two sketches.
fn ssim(a: &[f32], b: &[f32]) -> f64 {
    const WINDOW: usize = 7;
    const C1: f64 = 0.01 * 0.01;
    const C2: f64 = 0.03 * 0.03;
    let side = SKETCH_SIDE;
    // Sums over everything above and left: v, w, v², w², vw.
    let mut sums = vec![[0f64; 5]; (side + 1) * (side + 1)];
    for y in 0..side {
        let mut row = [0f64; 5];
        for x in 0..side {
            let (v, w) = (f64::from(a[y * side + x]), f64::from(b[y * side + x]));
            let above = sums[y * (side + 1) + x + 1];
            let out = &mut sums[(y + 1) * (side + 1) + x + 1];
            for (k, part) in [v, w, v * v, w * w, v * w].into_iter().enumerate() {
                row[k] += part;
                out[k] = above[k] + row[k];
            }
        }
    }
    let n = (WINDOW * WINDOW) as f64;
    let steps = side - WINDOW + 1;
    let mut total = 0.0;
    for y in 0..steps {
        for x in 0..steps {
            let at = |dy: usize, dx: usize| &sums[(y + dy) * (side + 1) + x + dx];
            let mean =
                |k: usize| (at(WINDOW, WINDOW)[k] - at(0, WINDOW)[k] - at(WINDOW, 0)[k] + at(0, 0)[k]) / n;
            let (v, w) = (mean(0), mean(1));
            let (vv, ww) = ((mean(2) - v * v).max(0.0), (mean(3) - w * w).max(0.0));
            let vw = mean(4) - v * w;
            total += (2.0 * v * w + C1) * (2.0 * vw + C2) / ((v * v + w * w + C1) * (vv + ww + C2));
        }
    }
    total / (steps * steps) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_pictures_differ_by_their_luminance_alone() {
        let flat = |v: f32| vec![v; SKETCH_SIDE * SKETCH_SIDE];
        assert!((ssim(&flat(0.3), &flat(0.3)) - 1.0).abs() < 1e-9);
        // (2·0.2·0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
        let wanted = 0.2401 / 0.4001;
        assert!((ssim(&flat(0.2), &flat(0.6)) - wanted).abs() < 1e-6);
    }

    #[test]
    fn a_negative_is_as_unlike_as_can_be() {
        let a: Vec<f32> = (0..SKETCH_SIDE * SKETCH_SIDE).map(|i| (i % 2) as f32).collect();
        let b: Vec<f32> = a.iter().map(|v| 1.0 - v).collect();
        assert!(ssim(&a, &a) > 0.999_999);
        assert!(ssim(&a, &b) < -0.9);
    }
}
