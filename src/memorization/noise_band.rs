//! Where a noise curve lies among those of prompts that are not memorized.

use crate::study::GenerationKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Percentiles of `‖ε_c − ε_∅‖₂` over pictures that are not memorized, step by step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoiseBand {
    /// 5th percentile at each step.
    pub low: Vec<f32>,
    /// Median at each step.
    pub middle: Vec<f32>,
    /// 95th percentile at each step.
    pub high: Vec<f32>,
    /// Number of curves.
    pub curves: usize,
    /// Prompts they belong to.
    pub prompts: usize,
    /// Different seeds among them.
    pub seeds: usize,
}

impl NoiseBand {
    /// Fewer curves than this say nothing about where others lie.
    pub const FEWEST: usize = 3;

    /// The band of curves of `steps` finite values; others are passed over. `None` with fewer than
    /// [`FEWEST`](Self::FEWEST) of them.
    pub fn of<'a>(
        curves: impl IntoIterator<Item = (GenerationKey, &'a [f32])>,
        steps: usize,
    ) -> Option<Self> {
        let fits = |c: &[f32]| steps > 0 && c.len() == steps && c.iter().all(|v| v.is_finite());
        let curves: Vec<_> = curves.into_iter().filter(|(_, c)| fits(c)).collect();
        if curves.len() < Self::FEWEST {
            return None;
        }
        let mut band = Self {
            curves: curves.len(),
            prompts: curves
                .iter()
                .map(|(k, _)| k.prompt)
                .collect::<BTreeSet<_>>()
                .len(),
            seeds: curves.iter().map(|(k, _)| k.seed).collect::<BTreeSet<_>>().len(),
            ..Self::default()
        };
        for step in 0..steps {
            let mut values: Vec<f32> = curves.iter().map(|(_, c)| c[step]).collect();
            values.sort_unstable_by(f32::total_cmp);
            band.low.push(percentile(&values, 0.05));
            band.middle.push(percentile(&values, 0.5));
            band.high.push(percentile(&values, 0.95));
        }
        Some(band)
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.high.len()
    }

    /// Steps, counted from 0, at which a curve lies above the band. The curve may be one that is still growing.
    pub fn above(&self, curve: &[f32]) -> Vec<usize> {
        let pairs = curve.iter().zip(&self.high).enumerate();
        pairs
            .filter(|(_, (value, high))| value > high)
            .map(|(i, _)| i)
            .collect()
    }
}

/// The number of steps that most curves have, of equally frequent ones the larger; `None` without a curve.
pub fn usual_steps<'a>(curves: impl IntoIterator<Item = &'a [f32]>) -> Option<usize> {
    let mut counts = BTreeMap::<usize, usize>::new();
    for curve in curves.into_iter().filter(|c| !c.is_empty()) {
        *counts.entry(curve.len()).or_default() += 1;
    }
    counts
        .into_iter()
        .max_by_key(|&(steps, count)| (count, steps))
        .map(|(steps, _)| steps)
}

/// Between the two nearest of ascending values, in proportion, as numpy's default; `values` has at least one.
fn percentile(values: &[f32], share: f32) -> f32 {
    let at = share * (values.len() - 1) as f32;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    values[below] + (at - below as f32) * (values[above] - values[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_is_of_percentiles_and_tells_what_leaves_it() {
        let key = |i: u32| GenerationKey {
            prompt: i / 3,
            seed: u64::from(i % 3),
        };
        let curves: Vec<[f32; 2]> = (0..=20).map(|i| [i as f32, 100.0 - i as f32]).collect();
        let (odd, broken) = ([1.0f32], [f32::NAN, 1.0]);
        let all = curves.iter().map(|c| c.as_slice()).chain([&odd[..], &broken[..]]);
        let band = NoiseBand::of((0..).map(key).zip(all), 2).unwrap();
        assert_eq!((band.low[0], band.middle[0], band.high[0]), (1.0, 10.0, 19.0));
        assert_eq!((band.curves, band.prompts, band.seeds), (21, 7, 3));
        assert_eq!(band.above(&[19.5, 90.0]), [0]);
        assert_eq!(band.above(&[19.5]), [0]);
        let few = curves[..2].iter().map(|c| (key(0), c.as_slice()));
        assert_eq!(NoiseBand::of(few, 2), None);
        assert_eq!(NoiseBand::of([], 0), None);
    }

    #[test]
    fn the_usual_number_of_steps_is_the_most_frequent() {
        let (a, b) = ([0.0f32; 3], [0.0f32; 5]);
        assert_eq!(usual_steps([&a[..], &b[..], &a[..], &[]]), Some(3));
        assert_eq!(usual_steps([&a[..], &b[..]]), Some(5));
        assert_eq!(usual_steps([]), None);
    }
}
