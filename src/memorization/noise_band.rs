//! Where a noise curve lies among those of prompts that are not memorized.

/// Percentiles of `‖ε_c − ε_∅‖₂` over prompts that are not memorized, step by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NoiseBand {
    /// 5th percentile at each step.
    pub low: Vec<f32>,
    /// Median at each step.
    pub middle: Vec<f32>,
    /// 95th percentile at each step.
    pub high: Vec<f32>,
    /// Number of curves.
    pub curves: usize,
}

impl NoiseBand {
    /// The band of curves of equal length; shorter or longer ones than the first are passed over. `None` without one.
    pub fn of<'a>(curves: impl IntoIterator<Item = &'a [f32]>) -> Option<Self> {
        let mut curves = curves.into_iter().filter(|c| !c.is_empty()).peekable();
        let steps = curves.peek()?.len();
        let curves: Vec<&[f32]> = curves.filter(|c| c.len() == steps).collect();
        let mut band = Self {
            curves: curves.len(),
            ..Self::default()
        };
        for step in 0..steps {
            let mut values: Vec<f32> = curves.iter().map(|c| c[step]).collect();
            values.sort_by(f32::total_cmp);
            band.low.push(percentile(&values, 0.05));
            band.middle.push(percentile(&values, 0.5));
            band.high.push(percentile(&values, 0.95));
        }
        Some(band)
    }

    /// Steps at which a curve lies above the band.
    pub fn above(&self, curve: &[f32]) -> Vec<usize> {
        let pairs = curve.iter().zip(&self.high).enumerate();
        pairs
            .filter(|(_, (value, high))| value > high)
            .map(|(i, _)| i)
            .collect()
    }
}

/// Between the two nearest of ascending values, in proportion; `values` has at least one.
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
        let curves: Vec<[f32; 2]> = (0..=20).map(|i| [i as f32, 100.0 - i as f32]).collect();
        let odd = [1.0f32];
        let all = curves.iter().map(|c| c.as_slice()).chain([odd.as_slice()]);
        let band = NoiseBand::of(all).unwrap();
        assert_eq!((band.low[0], band.middle[0], band.high[0]), (1.0, 10.0, 19.0));
        assert_eq!(band.curves, 21);
        assert_eq!(band.above(&[19.5, 90.0]), [0]);
        assert_eq!(NoiseBand::of([]), None);
    }
}
