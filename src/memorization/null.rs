//! The null of the scores: what a picture that copies nothing would score against this gallery.
//!
//! Every gallery picture takes the place of a *new* picture: it is compared with all others except its
//! near-duplicates (leave-one-out), and its best match is taken exactly as that of a generated picture (the
//! training image with the highest average score). The foreground and background scores of these matches are
//! the null. Near-duplicates of a picture are
//!
//! * the members of its own group as [`cluster`](super::cluster) finds them, connected by pairs whose foreground or
//!   background score reaches [`ClusterLimits`](super::ClusterLimits), and
//! * every picture, with its group, whose foreground or background score with it reaches [`KIN`]: variants of one
//!   template that lie just below the limits of a group.
//!
//! So a null score lies below [`KIN`] by construction. Where that takes most of a gallery away (plain backgrounds that
//! all look alike), nothing is suggested, see [`NoThreshold::Kin`]. A gallery of many objects of one kind has a high
//! foreground null, and fixed thresholds would call its honest likenesses copies.
//!
//! Thresholds are suggested as in split conformal prediction: at rate α and `n` null scores, at most
//! `⌊α·(n + 1)⌋ − 1` of them may reach the threshold, so that a new picture that is exchangeable with the gallery's
//! reaches it with probability α at most. With fewer than `1/α − 1` scores nothing is suggested.

use crate::{
    similarity::{Index, Prepared},
    study::{Cluster, Match, Region, RegionScores, Thresholds, Verdict},
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Scores from which a match is a near-duplicate and not a stranger. For the foreground as for groups: silhouettes on
/// black reach 0.9 by themselves. For the background lower than for groups: in the demo's probes unrelated backgrounds
/// reach 0.61 (0.70 under the RGBA arithmetics), variants of one background begin at 0.76 (0.82).
pub const KIN: RegionScores = RegionScores {
    foreground: Some(0.92),
    background: Some(0.72),
};

/// Searches for one picture before it counts as having kin only.
const ROUNDS: usize = 64;

/// With fewer null scores of a region, no score is given a standing among them.
pub const FEWEST: usize = 20;

/// Chosen false-alarm rate per region unless a person chooses another.
pub const DEFAULT_RATE: f64 = 0.01;

/// The null of one gallery under one arithmetic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Null {
    scores: Vec<RegionScores>,
    /// Ascending, foreground and background.
    sorted: [Vec<f32>; 2],
    alone: usize,
    kin: usize,
}

/// Where a score stands among the null scores of its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Null scores strictly below it.
    pub below: usize,
    /// Null scores in all, [`FEWEST`] or more: the percentile's resolution is one in this many.
    pub of: usize,
}

impl Standing {
    /// Share of the null below the score, in percent. 100 says no more than “above all [`of`](Self::of)”.
    pub fn percentile(self) -> f64 {
        100.0 * self.below as f64 / self.of.max(1) as f64
    }

    /// `above all 700` or `above 98.3 %`.
    pub fn words(self) -> String {
        if self.below == self.of {
            format!("above all {}", self.of)
        } else {
            // Never rounded up to 100.
            format!("above {:.1} %", (self.percentile() * 10.0).floor() / 10.0)
        }
    }
}

/// Why no threshold is suggested.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoThreshold {
    /// The rate is finer than the gallery can tell.
    #[error(
        "a rate of {} % needs {needed} null scores, the gallery gives {there}: it can tell rates from {:.1} % on",
        rate * 100.0, 100.0 / (*there as f64 + 1.0)
    )]
    TooFew {
        /// The rate asked for, in `(0, 1)`.
        rate: f64,
        /// Null scores of the region.
        there: usize,
        /// As many are needed.
        needed: usize,
    },
    /// Most of the gallery is near-duplicates of the rest: what is left says little about a new picture.
    #[error(
        "{kin} of {all} training images are near-duplicates of others beyond their own groups: what is left says little \
         about new pictures"
    )]
    Kin {
        /// Pictures with near-duplicates beyond their group, or with nothing else.
        kin: usize,
        /// Pictures in all.
        all: usize,
    },
    /// The null reaches 1.
    #[error("unrelated training images score up to {0:.3}: no threshold up to 1 keeps the rate")]
    NoRoom(f32),
    /// The rate is not a share.
    #[error("a false-alarm rate lies between 0 and 1, not at {0}")]
    Rate(f64),
}

impl Null {
    /// The null from each picture's best match among strangers.
    pub fn new(nearest: &[Stranger]) -> Self {
        let scores: Vec<RegionScores> = nearest.iter().filter_map(|s| s.scores).collect();
        let sorted = Region::ALL.map(|region| {
            let mut values: Vec<f32> = scores.iter().filter_map(|s| s.of(region)).collect();
            values.sort_unstable_by(f32::total_cmp);
            values
        });
        Self {
            alone: nearest.len() - scores.len(),
            kin: nearest.iter().filter(|s| s.kin && s.scores.is_some()).count(),
            scores,
            sorted,
        }
    }

    /// The matches' scores, one per picture that has a match.
    pub fn scores(&self) -> &[RegionScores] {
        &self.scores
    }

    /// Pictures that have near-duplicates beyond their own group.
    pub fn kin(&self) -> usize {
        self.kin
    }

    /// Pictures without any match among strangers; they are not part of the null.
    pub fn alone(&self) -> usize {
        self.alone
    }

    /// Null scores of a region, ascending.
    pub fn of(&self, region: Region) -> &[f32] {
        &self.sorted[region as usize]
    }

    /// Where a score stands; `None` with fewer than [`FEWEST`] null scores.
    pub fn standing(&self, region: Region, score: f32) -> Option<Standing> {
        let values = self.of(region);
        (values.len() >= FEWEST).then(|| Standing {
            below: values.partition_point(|&v| v < score),
            of: values.len(),
        })
    }

    /// Standing of both scores of a match.
    pub fn standings(&self, scores: &RegionScores) -> [Option<Standing>; 2] {
        Region::ALL.map(|r| self.standing(r, scores.of(r)?))
    }

    /// Share of a region's null that reaches `threshold`: the false-alarm curve. `None` without null scores.
    pub fn false_alarms(&self, region: Region, threshold: f32) -> Option<f64> {
        let values = self.of(region);
        let reach = values.len() - values.partition_point(|&v| v < threshold);
        (!values.is_empty()).then(|| reach as f64 / values.len() as f64)
    }

    /// The lowest threshold in hundredths that keeps the false-alarm rate of a region; see the module.
    ///
    /// # Errors
    /// [`NoThreshold`] when the gallery is too small for the rate, or no threshold keeps it.
    pub fn threshold(&self, region: Region, rate: f64) -> Result<f32, NoThreshold> {
        if !(rate > 0.0 && rate < 1.0) {
            return Err(NoThreshold::Rate(rate));
        }
        let (kin, all) = (self.kin + self.alone, self.scores.len() + self.alone);
        if kin * 2 > all {
            return Err(NoThreshold::Kin { kin, all });
        }
        let values = self.of(region);
        // The product of a decimal rate and a whole number may fall just short of it.
        let allowed = (rate * (values.len() + 1) as f64 + 1e-9).floor() as usize;
        let Some(allowed) = allowed.checked_sub(1) else {
            return Err(NoThreshold::TooFew {
                rate,
                there: values.len(),
                needed: (1.0 / rate - 1e-9).ceil() as usize - 1,
            });
        };
        let Some(&beaten) = values.iter().rev().nth(allowed) else {
            return Ok(0.0);
        };
        let first = (f64::from(beaten) * 100.0).floor().max(0.0) as u32;
        (first..=100)
            .map(|hundredths| hundredths as f32 / 100.0)
            .find(|threshold| *threshold > beaten)
            .ok_or(NoThreshold::NoRoom(beaten))
    }

    /// Suggested thresholds; a region without a suggestion keeps that of `otherwise`. With the reason per region.
    pub fn suggest(&self, rate: f64, otherwise: Thresholds) -> (Thresholds, [Option<NoThreshold>; 2]) {
        let [foreground, background] = Region::ALL.map(|r| self.threshold(r, rate));
        let thresholds = Thresholds {
            foreground: foreground.unwrap_or(otherwise.foreground),
            background: background.unwrap_or(otherwise.background),
        };
        (thresholds, [foreground.err(), background.err()])
    }

    /// Share of the null in a class under thresholds: with both regions, the false alarms of that class.
    pub fn share(&self, verdict: Verdict, thresholds: &Thresholds) -> Option<f64> {
        let hits = self.scores.iter().filter(|s| thresholds.classify(s) == verdict);
        (!self.scores.is_empty()).then(|| hits.count() as f64 / self.scores.len() as f64)
    }
}

/// Group of each index row, for [`measure`]: `rows` gives the gallery index of each row.
pub fn groups_of_rows(clusters: &[Cluster], rows: &[u32]) -> Vec<Option<u32>> {
    let groups: std::collections::HashMap<u32, u32> = clusters
        .iter()
        .flat_map(|c| c.members.iter().map(|&m| (m, c.id)))
        .collect();
    rows.iter().map(|row| groups.get(row).copied()).collect()
}

/// The best match of a picture among those that are not its near-duplicates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stranger {
    /// Its scores; `None` where all others are near-duplicates, or share no region.
    pub scores: Option<RegionScores>,
    /// Whether near-duplicates beyond the picture's own group were passed over.
    #[serde(default)]
    pub kin: bool,
}

impl From<RegionScores> for Stranger {
    fn from(scores: RegionScores) -> Self {
        Self {
            scores: Some(scores),
            kin: false,
        }
    }
}

/// Whether two pictures with these scores are near-duplicates.
fn is_kin(scores: &RegionScores) -> bool {
    let reaches = |region| scores.of(region).zip(KIN.of(region)).is_some_and(|(s, k)| s >= k);
    Region::ALL.into_iter().any(reaches)
}

/// Measures the null of a gallery, row by row: the best match of each picture among strangers.
///
/// `groups` names the group of each row, `None` for a picture that stands alone. `done` holds the first rows if they
/// were measured before. `query` prepares a picture as a generated one; where it gives `None`, the stored training
/// side is taken (the same under `corrected`). `progress` hears all rows so far after each. `None` once `cancelled`
/// said yes.
pub fn measure(
    index: &Index,
    groups: &[Option<u32>],
    mut done: Vec<Stranger>,
    query: &(dyn Fn(usize) -> Option<Prepared> + Sync),
    cancelled: &(dyn Fn() -> bool + Sync),
    progress: &mut (dyn FnMut(&[Stranger]) + Send),
) -> Option<Vec<Stranger>> {
    done.truncate(index.len());
    for row in done.len()..index.len() {
        let prepared = query(row);
        let search = |skip: &(dyn Fn(usize) -> bool + Sync)| match &prepared {
            Some(prepared) => index.nearest_except(prepared, skip, cancelled),
            None => index.nearest_other(row, skip, cancelled),
        };
        done.push(stranger(row, groups, &search)?);
        progress(&done);
    }
    Some(done)
}

/// The best match of one picture among those that are not to be skipped; the outer `None` means cancelled.
type Search<'a> = &'a dyn Fn(&(dyn Fn(usize) -> bool + Sync)) -> Option<Option<Match>>;

/// Searches again without each near-duplicate that is found, and without its group.
fn stranger(row: usize, groups: &[Option<u32>], search: Search<'_>) -> Option<Stranger> {
    let group_of = |i: usize| groups.get(i).copied().flatten();
    let mut kin_groups: HashSet<u32> = group_of(row).into_iter().collect();
    let mut kin: HashSet<usize> = HashSet::from([row]);
    let mut found = Stranger::default();
    for _ in 0..ROUNDS {
        let skip =
            |other: usize| kin.contains(&other) || group_of(other).is_some_and(|g| kin_groups.contains(&g));
        match search(&skip)? {
            Some(near) if is_kin(&near.scores) => {
                found.kin = true;
                kin.insert(near.gallery as usize);
                kin_groups.extend(group_of(near.gallery as usize));
            }
            other => {
                found.scores = other.map(|m| m.scores);
                break;
            }
        }
    }
    Some(found)
}

/// What is kept of a null on disk, finished or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeasuredNull {
    /// Everything it depends on: the prepared gallery, the arithmetic, the limits of a group.
    pub key: String,
    /// Rows of the index in all.
    pub rows: usize,
    /// The first rows' best matches.
    pub nearest: Vec<Stranger>,
}

impl MeasuredNull {
    /// Whether all rows are there.
    pub fn is_complete(&self) -> bool {
        self.nearest.len() == self.rows
    }

    /// Whether it can be gone on with: same key, no more rows than there are, finite scores.
    pub fn fits(&self, key: &str, rows: usize) -> bool {
        self.key == key
            && self.rows == rows
            && self.nearest.len() <= rows
            && self
                .nearest
                .iter()
                .filter_map(|s| s.scores)
                .flat_map(|s| [s.foreground, s.background])
                .flatten()
                .all(f32::is_finite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Foreground 0.001 … n/1000, background half of it.
    fn even(n: usize) -> Null {
        let scores: Vec<_> = (1..=n)
            .map(|i| RegionScores::new(i as f32 / 1000.0, i as f32 / 2000.0).into())
            .collect();
        Null::new(&scores)
    }

    #[test]
    fn suggested_thresholds_keep_the_rate() {
        let null = even(999);
        // floor(0.01 · 1000) − 1 = 9 scores may reach it: 0.990 is the tenth from above.
        let t = null.threshold(Region::Foreground, 0.01).unwrap();
        assert!((t - 1.0).abs() < 1e-6, "{t}");
        let t = null.threshold(Region::Foreground, 0.1).unwrap();
        assert!((t - 0.91).abs() < 1e-6, "{t}");
        assert!(null.false_alarms(Region::Foreground, t).unwrap() <= 0.1);
        for rate in [0.01, 0.02, 0.05, 0.3] {
            let (t, none) = null.suggest(rate, Thresholds::default());
            assert_eq!(none, [None, None]);
            assert!(null.false_alarms(Region::Foreground, t.foreground).unwrap() <= rate);
            assert!(null.false_alarms(Region::Background, t.background).unwrap() <= rate);
            // A hundredth lower would not.
            let lower = null
                .false_alarms(Region::Background, t.background - 0.01)
                .unwrap();
            assert!(lower > rate - 2.0 / 999.0, "{rate}: {lower}");
        }
    }

    #[test]
    fn small_galleries_are_told_what_they_can_tell() {
        let null = even(98);
        let none = null.threshold(Region::Foreground, 0.01).unwrap_err();
        assert_eq!(
            none,
            NoThreshold::TooFew {
                rate: 0.01,
                there: 98,
                needed: 99
            }
        );
        assert!(none.to_string().contains("from 1.0 % on"), "{none}");
        assert!(even(99).threshold(Region::Foreground, 0.01).is_ok());
        let (kept, _) = null.suggest(0.01, Thresholds::default());
        assert_eq!(kept, Thresholds::default());
        assert_eq!(even(19).standing(Region::Foreground, 0.5), None);
        assert_eq!(
            even(20).standing(Region::Foreground, 0.5),
            Some(Standing { below: 20, of: 20 })
        );
        assert!(null.threshold(Region::Foreground, 0.0).is_err());
        let empty = Null::new(&[Stranger::default(); 2]);
        assert_eq!(empty.alone(), 2);
        assert_eq!(empty.false_alarms(Region::Foreground, 0.5), None);
        assert!(empty.threshold(Region::Background, 0.5).is_err());
    }

    #[test]
    fn kin_of_kin_is_passed_over_until_a_stranger_is_found() {
        // Row 0 with its group 7; 2 shares its background and brings its group 9; 4 is the first stranger.
        let groups = [Some(7), Some(7), Some(9), Some(9), None];
        let scores = [(1.0, 1.0), (0.99, 0.9), (0.5, 0.8), (0.4, 0.7), (0.6, 0.3)];
        let all = |skip: &(dyn Fn(usize) -> bool + Sync)| {
            let best = (0..scores.len()).filter(|&i| !skip(i)).max_by(|&a, &b| {
                let sum = |i: usize| scores[i].0 + scores[i].1;
                f32::total_cmp(&sum(a), &sum(b))
            });
            Some(best.map(|i| Match {
                gallery: i as u32,
                scores: RegionScores::new(scores[i].0, scores[i].1),
            }))
        };
        let found = stranger(0, &groups, &all).unwrap();
        assert_eq!(found.scores, Some(RegionScores::new(0.6, 0.3)));
        assert!(found.kin);
        // Cancelled is not the same as alone.
        assert_eq!(stranger(0, &groups, &|_| None), None);
        assert_eq!(stranger(0, &groups, &|_| Some(None)), Some(Stranger::default()));
    }

    #[test]
    fn a_gallery_of_kin_suggests_nothing() {
        let mut nearest = vec![Stranger::from(RegionScores::new(0.5, 0.5)); 400];
        nearest[..201].iter_mut().for_each(|s| s.kin = true);
        let null = Null::new(&nearest);
        assert_eq!(null.kin(), 201);
        assert_eq!(
            null.threshold(Region::Background, 0.01),
            Err(NoThreshold::Kin { kin: 201, all: 400 })
        );
        assert!(
            Null::new(&nearest[1..])
                .threshold(Region::Background, 0.01)
                .is_err()
        );
        assert!(
            Null::new(&nearest[2..])
                .threshold(Region::Background, 0.01)
                .is_ok()
        );
    }

    #[test]
    fn a_null_that_reaches_one_has_no_threshold() {
        let scores = vec![Stranger::from(RegionScores::new(1.0, 0.995)); 200];
        let null = Null::new(&scores);
        assert_eq!(
            null.threshold(Region::Foreground, 0.01),
            Err(NoThreshold::NoRoom(1.0))
        );
        assert_eq!(null.threshold(Region::Background, 0.01), Ok(1.0));
    }

    #[test]
    fn standings_say_what_the_gallery_can_resolve() {
        let null = even(700);
        let words = |s| null.standing(Region::Foreground, s).unwrap().words();
        assert_eq!(words(0.9), "above all 700");
        assert_eq!(words(0.7), "above 99.8 %");
        assert_eq!(words(0.0), "above 0.0 %");
        let one_region = RegionScores {
            foreground: None,
            background: Some(0.1),
        };
        assert_eq!(null.standings(&one_region)[0], None);
        assert!(null.standings(&one_region)[1].is_some());
    }

    #[test]
    fn a_kept_null_is_only_used_where_it_fits() {
        let kept = MeasuredNull {
            key: "a".into(),
            rows: 3,
            nearest: vec![Stranger::default(), RegionScores::new(0.5, 0.5).into()],
        };
        assert!(kept.fits("a", 3) && !kept.is_complete());
        assert!(!kept.fits("b", 3) && !kept.fits("a", 2));
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<MeasuredNull>(&text).unwrap(), kept);
    }
}
