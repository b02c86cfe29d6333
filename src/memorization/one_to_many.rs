//! How many different training images the samples of one prompt come from (METHODS §5.6; the FB-Mem code's
//! `see_res.py`).

use crate::study::{Cluster, Generation, RegionScores, Thresholds, Verdict};
use std::collections::{BTreeMap, HashMap, HashSet};

/// One compared picture, as far as counting needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Number of its prompt.
    pub prompt: u32,
    /// Its best training image, by name or number.
    pub original: String,
    /// Scores of that pair.
    pub scores: RegionScores,
}

/// The samples of one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    /// Number of the prompt.
    pub prompt: u32,
    /// Samples counted.
    pub samples: usize,
    /// Different best training images among them, 1..=`samples`.
    pub originals: usize,
    /// Different groups of training images among them (an image without group is its own); as `originals` where
    /// groups are not known.
    pub groups: usize,
    /// Samples per class, in the order of [`Verdict::ALL`].
    pub classes: [usize; 4],
}

/// A bar of the histogram: the prompts with one number of different originals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// Prompts.
    pub prompts: usize,
    /// Their samples per class, in the order of [`Verdict::ALL`].
    pub classes: [usize; 4],
}

/// The prompts of a run, `corrected`: pictures are counted with the prompt they belong to, however many there are and
/// in whatever order. Pictures not compared yet are left out.
pub fn one_to_many<'a>(
    generations: impl IntoIterator<Item = &'a Generation>,
    thresholds: &Thresholds,
    clusters: &[Cluster],
) -> Vec<Spread> {
    let group: HashMap<u32, u32> = clusters
        .iter()
        .flat_map(|c| c.members.iter().map(|&m| (m, c.id)))
        .collect();
    let mut prompts: BTreeMap<u32, Vec<(u32, RegionScores)>> = BTreeMap::new();
    for generation in generations {
        if let Some(best) = generation.matches.first() {
            prompts
                .entry(generation.key.prompt)
                .or_default()
                .push((best.gallery, best.scores));
        }
    }
    let count = |(prompt, samples): (u32, Vec<(u32, RegionScores)>)| {
        let originals: HashSet<u32> = samples.iter().map(|s| s.0).collect();
        let groups: HashSet<(bool, u32)> = originals
            .iter()
            .map(|o| group.get(o).map_or((false, *o), |&g| (true, g)))
            .collect();
        Spread {
            prompt,
            samples: samples.len(),
            originals: originals.len(),
            groups: groups.len(),
            classes: classes(samples.iter().map(|s| &s.1), thresholds),
        }
    };
    prompts.into_iter().map(count).collect()
}

/// As the reference counts: the rows as they come, in blocks of `samples` rows whatever their prompts, and the last
/// block is lost, since a block is only written down when the next one begins.
pub fn one_to_many_reference(rows: &[Sample], samples: usize, thresholds: &Thresholds) -> Vec<Spread> {
    let blocks: Vec<&[Sample]> = rows.chunks(samples.max(1)).collect();
    let kept = blocks.len().saturating_sub(1);
    let count = |block: &&[Sample]| {
        let originals = block.iter().map(|s| &s.original).collect::<HashSet<_>>().len();
        Spread {
            prompt: block[0].prompt,
            samples: block.len(),
            originals,
            groups: originals,
            classes: classes(block.iter().map(|s| &s.scores), thresholds),
        }
    };
    blocks[..kept].iter().map(count).collect()
}

/// Bars for 1, 2, … different originals, up to the most there are.
pub fn histogram(spreads: &[Spread]) -> Vec<Bar> {
    let most = spreads.iter().map(|s| s.originals).max().unwrap_or(0);
    let mut bars = vec![Bar::default(); most];
    for spread in spreads.iter().filter(|s| s.originals > 0) {
        let bar = &mut bars[spread.originals - 1];
        bar.prompts += 1;
        for (sum, n) in bar.classes.iter_mut().zip(spread.classes) {
            *sum += n;
        }
    }
    bars
}

fn classes<'a>(scores: impl Iterator<Item = &'a RegionScores>, thresholds: &Thresholds) -> [usize; 4] {
    let mut counts = [0; 4];
    for score in scores {
        let class = thresholds.classify(score);
        if let Some(at) = Verdict::ALL.iter().position(|v| *v == class) {
            counts[at] += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{ClusterKind, GenerationKey, Match};

    fn generation(prompt: u32, seed: u64, gallery: u32, score: f32) -> Generation {
        Generation {
            key: GenerationKey { prompt, seed },
            prompt: String::new(),
            image: Default::default(),
            matte: None,
            confidence: None,
            matches: vec![Match {
                gallery,
                scores: RegionScores::new(score, score),
            }],
            measures: Default::default(),
            noise_norm: Vec::new(),
            signals: None,
            seconds: 0.0,
            thumbnail: Default::default(),
            variant: None,
            cluster: None,
            edit: None,
        }
    }

    #[test]
    fn prompts_are_counted_whole_and_groups_once() {
        let made = [
            generation(3, 0, 7, 0.9),
            generation(3, 1, 8, 0.9),
            generation(5, 0, 7, 0.1),
            generation(3, 2, 7, 0.2),
        ];
        let copies = Cluster {
            id: 99,
            members: vec![7, 8],
            exemplar: 7,
            kind: ClusterKind::Duplicates,
        };
        let spreads = one_to_many(&made, &Thresholds::default(), &[copies]);
        assert_eq!(spreads.len(), 2);
        let first = &spreads[0];
        assert_eq!(
            (first.prompt, first.samples, first.originals, first.groups),
            (3, 3, 2, 1)
        );
        assert_eq!(first.classes, [2, 0, 0, 1]);
        let bars = histogram(&spreads);
        assert_eq!((bars[0].prompts, bars[1].prompts), (1, 1));
        assert_eq!(bars[1].classes, [2, 0, 0, 1]);
    }

    #[test]
    fn the_reference_counts_blocks_and_loses_the_last() {
        let row = |prompt: u32, original: &str| Sample {
            prompt,
            original: original.into(),
            scores: RegionScores::new(0.9, 0.1),
        };
        let rows = [
            row(0, "a"),
            row(0, "b"),
            row(0, "a"),
            row(1, "c"), // falls into the second block of two
            row(1, "c"),
            row(1, "c"),
        ];
        let spreads = one_to_many_reference(&rows, 2, &Thresholds::default());
        let counted: Vec<_> = spreads.iter().map(|s| (s.prompt, s.originals)).collect();
        assert_eq!(counted, [(0, 2), (0, 2)]);
        assert!(one_to_many_reference(&[], 20, &Thresholds::default()).is_empty());
    }
}
