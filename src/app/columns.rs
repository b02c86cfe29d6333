//! Scores of many pictures as columns: a moved threshold re-classes a hundred thousand pictures by running over two
//! arrays, without looking at any picture.

use crate::study::{Generation, GenerationKey, Thresholds, Verdict};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// Stands for “no training image”: the picture is not compared.
pub const NOT_COMPARED: u32 = u32::MAX;

/// One row a picture, in the order they came.
#[derive(Debug)]
pub struct Columns {
    id: u64,
    /// Prompt and seed.
    pub keys: Vec<GenerationKey>,
    /// Foreground and background score of the best match; NaN where a region is missing.
    pub scores: Vec<[f32; 2]>,
    /// Gallery index of the best match, or [`NOT_COMPARED`].
    pub best: Vec<u32>,
    /// Whether the picture was drawn from the words that the prompt list has now.
    pub listed: Vec<bool>,
    rows: HashMap<GenerationKey, u32>,
    of_prompt: HashMap<u32, usize>,
}

impl Default for Columns {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            keys: Vec::new(),
            scores: Vec::new(),
            best: Vec::new(),
            listed: Vec::new(),
            rows: HashMap::new(),
            of_prompt: HashMap::new(),
        }
    }
}

impl Columns {
    /// No other set of columns has the same.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Adds a picture, or replaces its row. `listed`: its words are those of the prompt list.
    pub fn insert(&mut self, generation: &Generation, listed: bool) {
        let scores = generation.scores().unwrap_or_default();
        let scores = [scores.foreground, scores.background].map(|s| s.unwrap_or(f32::NAN));
        let best = generation.matches.first().map_or(NOT_COMPARED, |m| m.gallery);
        let next = self.keys.len() as u32;
        let row = *self.rows.entry(generation.key).or_insert(next) as usize;
        if row == self.keys.len() {
            self.keys.push(generation.key);
            self.scores.push(scores);
            self.best.push(best);
            self.listed.push(listed);
            *self.of_prompt.entry(generation.key.prompt).or_default() += 1;
        } else {
            self.scores[row] = scores;
            self.best[row] = best;
            self.listed[row] = listed;
        }
    }

    /// The row of a picture.
    pub fn row(&self, key: &GenerationKey) -> Option<usize> {
        self.rows.get(key).map(|&row| row as usize)
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Number of pictures of a prompt.
    pub fn of_prompt(&self, prompt: u32) -> usize {
        self.of_prompt.get(&prompt).copied().unwrap_or(0)
    }

    /// Class of a row; `None` until compared.
    pub fn verdict(&self, row: usize, thresholds: &Thresholds) -> Option<Verdict> {
        (self.best[row] != NOT_COMPARED).then(|| class(self.scores[row], thresholds))
    }
}

/// As [`Thresholds::classify`]: NaN reaches no threshold.
pub fn class([foreground, background]: [f32; 2], thresholds: &Thresholds) -> Verdict {
    Verdict::of_regions(
        foreground >= thresholds.foreground,
        background >= thresholds.background,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{Match, RegionScores};

    fn generation(prompt: u32, seed: u64, scores: Option<RegionScores>) -> Generation {
        Generation {
            key: GenerationKey { prompt, seed },
            prompt: String::new(),
            image: "none".into(),
            matte: None,
            confidence: None,
            matches: scores
                .map(|scores| Match { gallery: 3, scores })
                .into_iter()
                .collect(),
            noise_norm: Vec::new(),
            seconds: 0.0,
            thumbnail: Default::default(),
            variant: None,
            measures: Default::default(),
            signals: None,
            cluster: None,
            edit: None,
        }
    }

    #[test]
    fn a_row_is_classed_as_the_study_classes() {
        let thresholds = Thresholds::default();
        let some = [None, Some(0.0), Some(0.799_999_95), Some(0.8), Some(1.0)];
        let mut columns = Columns::default();
        for (i, foreground) in some.into_iter().enumerate() {
            for (k, background) in some.into_iter().enumerate() {
                let scores = RegionScores {
                    foreground,
                    background,
                };
                let picture = generation(i as u32, k as u64, Some(scores));
                columns.insert(&picture, true);
                let row = columns.row(&picture.key).unwrap();
                assert_eq!(columns.verdict(row, &thresholds), picture.verdict(&thresholds));
            }
        }
        // Not compared is no class; a later answer takes the same row.
        columns.insert(&generation(9, 9, None), true);
        let row = columns.row(&GenerationKey { prompt: 9, seed: 9 }).unwrap();
        assert_eq!(columns.verdict(row, &thresholds), None);
        let before = columns.len();
        columns.insert(&generation(9, 9, Some(RegionScores::new(0.9, 0.1))), true);
        assert_eq!(
            (columns.len(), columns.verdict(row, &thresholds)),
            (before, Some(Verdict::ForegroundOnly))
        );
    }
}
