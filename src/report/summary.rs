//! Shares of the classes with intervals.

use crate::study::Verdict;
use serde::Serialize;
use std::collections::BTreeMap;

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2000;
/// Share of resamples outside the interval, on both sides together.
const OUTSIDE: f64 = 0.05;

/// Share of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The class.
    pub verdict: Verdict,
    /// Pictures of the class.
    pub count: usize,
    /// Their share of the compared pictures, in `[0, 1]`.
    pub share: f64,
    /// 95 % bootstrap interval of the share; `None` with fewer than two prompts.
    pub interval: Option<[f64; 2]>,
}

/// Counts of a set of pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Prompts with at least one compared picture.
    pub prompts: usize,
    /// All pictures.
    pub pictures: usize,
    /// Pictures that were compared with the gallery.
    pub compared: usize,
    /// One entry a class, in the usual order.
    pub shares: Vec<Share>,
}

/// Counts the classes. `pictures` gives for each picture its prompt and class (`None`: not compared).
///
/// The interval is the percentile bootstrap (Efron 1979) over *prompts*: pictures of one prompt resemble each other,
/// so drawing pictures one by one would make the interval too narrow. 2000 resamples from a fixed seed: the same
/// pictures always give the same interval.
pub fn summarize(pictures: impl IntoIterator<Item = (u32, Option<Verdict>)>) -> Summary {
    let mut all = 0;
    let mut per_prompt = BTreeMap::<u32, [usize; 4]>::new();
    for (prompt, verdict) in pictures {
        all += 1;
        if let Some(verdict) = verdict {
            per_prompt.entry(prompt).or_default()[place(verdict)] += 1;
        }
    }
    let counts: Vec<[usize; 4]> = per_prompt.into_values().collect();
    let total = sum(counts.iter());
    let compared = total.iter().sum::<usize>();
    let intervals = bootstrap(&counts);
    let shares = Verdict::ALL.into_iter().enumerate().map(|(i, verdict)| Share {
        verdict,
        count: total[i],
        share: total[i] as f64 / compared.max(1) as f64,
        interval: intervals.map(|all| all[i]),
    });
    Summary {
        prompts: counts.len(),
        pictures: all,
        compared,
        shares: shares.collect(),
    }
}

fn place(verdict: Verdict) -> usize {
    Verdict::ALL.iter().position(|v| *v == verdict).unwrap_or(0)
}

fn sum<'a>(counts: impl Iterator<Item = &'a [usize; 4]>) -> [usize; 4] {
    counts.fold([0; 4], |sum, c| std::array::from_fn(|i| sum[i] + c[i]))
}

fn bootstrap(prompts: &[[usize; 4]]) -> Option<[[f64; 2]; 4]> {
    if prompts.len() < 2 {
        return None;
    }
    let mut dice = SplitMix(0x0050_656E_7469_6D65);
    let mut drawn = vec![[0.0; RESAMPLES]; 4];
    for resample in 0..RESAMPLES {
        let counts = sum((0..prompts.len()).map(|_| &prompts[dice.below(prompts.len())]));
        let total = counts.iter().sum::<usize>().max(1) as f64;
        for (class, count) in drawn.iter_mut().zip(counts) {
            class[resample] = count as f64 / total;
        }
    }
    let mut intervals = [[0.0; 2]; 4];
    for (interval, class) in intervals.iter_mut().zip(&mut drawn) {
        class.sort_by(f64::total_cmp);
        let at = |q: f64| class[((RESAMPLES - 1) as f64 * q).round() as usize];
        *interval = [at(OUTSIDE / 2.0), at(1.0 - OUTSIDE / 2.0)];
    }
    Some(intervals)
}

/// The splitmix64 generator (Steele, Lea, Flood 2014): a report must not depend on a random seed.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ (z >> 31)) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_intervals_of_known_pictures() {
        // 40 prompts of 5 pictures; every fourth prompt is verbatim throughout, one picture is not compared.
        let pictures = (0..40_u32).flat_map(|p| {
            let verdict = if p % 4 == 0 {
                Verdict::Verbatim
            } else {
                Verdict::NotMemorized
            };
            (0..5).map(move |s| (p, (p != 1 || s > 0).then_some(verdict)))
        });
        let summary = summarize(pictures.clone());
        assert_eq!(
            (summary.prompts, summary.pictures, summary.compared),
            (40, 200, 199)
        );
        let [verbatim, foreground, ..] = &summary.shares[..] else {
            panic!()
        };
        assert_eq!((verbatim.count, foreground.count), (50, 0));
        // A share of 10 of 40 prompts: the binomial standard error is 0.068, so the interval is near 0.25 ± 0.134.
        let [low, high] = verbatim.interval.unwrap();
        assert!(
            (0.09..0.15).contains(&low) && (0.36..0.42).contains(&high),
            "{low} {high}"
        );
        assert_eq!(foreground.interval, Some([0.0, 0.0]));
        assert_eq!(summarize(pictures), summary, "the same again");
    }

    #[test]
    fn one_prompt_has_no_interval_and_nothing_no_share() {
        let one = summarize([(3, Some(Verdict::Verbatim)), (3, None)]);
        assert_eq!((one.shares[0].share, one.shares[0].interval), (1.0, None));
        let none = summarize([]);
        assert_eq!((none.prompts, none.compared, none.shares[0].share), (0, 0, 0.0));
    }
}
