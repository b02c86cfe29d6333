//! Percentile bootstrap over prompts (Efron and Tibshirani 1993, chapter 13). Pictures of one prompt resemble
//! each other, so prompts are drawn, with all their pictures; drawing single pictures would make intervals that
//! are too narrow.

use serde::Serialize;

/// How intervals are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bootstrap {
    /// How often prompts are drawn.
    pub resamples: usize,
    /// Seed of the drawing: the same seed gives the same interval.
    pub seed: u64,
    /// Probability in percent that an interval is meant to hold.
    pub percent: u32,
}

impl Default for Bootstrap {
    /// 1000 resamples, seed 0, 95 %.
    fn default() -> Self {
        Self {
            resamples: 1000,
            seed: 0,
            percent: 95,
        }
    }
}

/// A number with how sure it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// The number; `None` when there is nothing to compute it from.
    pub value: Option<f64>,
    /// Bootstrap interval; `None` with fewer than two prompts, of which nothing can be told.
    pub interval: Option<[f64; 2]>,
    /// Pictures it is computed from.
    pub pictures: usize,
    /// Prompts they belong to.
    pub prompts: usize,
    /// Different seeds among them.
    pub seeds: usize,
}

impl Bootstrap {
    /// Interval of a statistic of `count` prompts. `statistic` gets the places of the drawn prompts, each in
    /// `0..count`; draws of which it cannot tell (`None`) are left out.
    pub fn interval(&self, count: usize, statistic: impl Fn(&[usize]) -> Option<f64>) -> Option<[f64; 2]> {
        if count < 2 || self.resamples == 0 {
            return None;
        }
        let mut state = self.seed;
        let mut drawn = vec![0; count];
        let mut values = Vec::with_capacity(self.resamples);
        for _ in 0..self.resamples {
            drawn.iter_mut().for_each(|d| *d = below(&mut state, count));
            values.extend(statistic(&drawn).filter(|v| v.is_finite()));
        }
        values.sort_by(f64::total_cmp);
        let tail = (100.0 - f64::from(self.percent.min(100))) / 200.0;
        Some([quantile(&values, tail)?, quantile(&values, 1.0 - tail)?])
    }

    /// Interval of a ratio of sums over prompts: `(numerator, denominator)` per prompt.
    pub fn ratio(&self, parts: &[(f64, f64)]) -> Option<[f64; 2]> {
        self.interval(parts.len(), |drawn| {
            let (n, d) = drawn
                .iter()
                .fold((0.0, 0.0), |(n, d), &i| (n + parts[i].0, d + parts[i].1));
            (d > 0.0).then(|| n / d)
        })
    }
}

/// A number in `0..count` from SplitMix64 (Steele, Lea and Flood 2014); fixed here, so that an interval stays
/// the same from version to version.
fn below(state: &mut u64, count: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    // The upper half of the product: no modulo bias worth speaking of below 2³² prompts.
    ((u128::from(z) * count as u128) >> 64) as usize
}

/// Linear between neighbours, as numpy's default. `sorted` ascending.
fn quantile(sorted: &[f64], at: f64) -> Option<f64> {
    let place = at.clamp(0.0, 1.0) * sorted.len().checked_sub(1)? as f64;
    let low = place.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    Some(sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64))
}

/// The lower one of two middle elements, as `torch.median`; `None` of nothing.
pub fn median_low(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    values.sort_by(f64::total_cmp);
    Some(values[middle])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        // First outputs of SplitMix64 for seed 1234567 (its authors' test vector), scaled to 2³².
        let mut state = 1_234_567;
        let wanted = [6_457_827_717_110_365_317u64, 3_203_168_211_198_807_973];
        for w in wanted {
            assert_eq!(below(&mut state, 1 << 32), (w >> 32) as usize);
        }
    }

    #[test]
    fn quantiles_and_medians_are_as_by_hand() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 0.5), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0], 0.25), Some(1.25));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(median_low(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.0));
        assert_eq!(median_low(&mut []), None);
    }

    #[test]
    fn intervals_are_repeatable_and_narrow_with_more_prompts() {
        let b = Bootstrap::default();
        let parts = |n: usize| -> Vec<(f64, f64)> { (0..n).map(|i| ((i % 2) as f64, 1.0)).collect() };
        let [low, high] = b.ratio(&parts(16)).unwrap();
        assert!(low < 0.5 && 0.5 < high, "{low} {high}");
        assert_eq!(b.ratio(&parts(16)), Some([low, high]));
        let [l, h] = b.ratio(&parts(256)).unwrap();
        // The standard error of a share of ½ over n is ½/√n: ±1.96 of it, within a tenth.
        assert!(((h - l) - 2.0 * 1.96 * 0.5 / 16.0).abs() < 0.02, "{}", h - l);
        assert!(h - l < high - low);
        // One prompt tells nothing about others; equal prompts leave no doubt.
        assert_eq!(b.ratio(&parts(1)), None);
        assert_eq!(b.ratio(&[(1.0, 2.0), (2.0, 4.0)]), Some([0.5, 0.5]));
    }
}
