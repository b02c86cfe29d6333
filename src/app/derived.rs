//! What follows from the state and takes a walk over all pictures or prompts. Each part is made anew when what it
//! follows from has changed, once, before the panels are drawn; a frame in which nothing changed walks over nothing.

use super::{
    columns::{self, NOT_COMPARED},
    pairing::{NONE, Pairing},
    state::State,
};
use crate::study::{GenerationKey, Tally, Thresholds, TransitionMatrix, Verdict};
use std::{collections::BTreeSet, sync::Arc};

/// Scores of a picture that B lacks.
pub const ABSENT: [f32; 2] = [f32::NEG_INFINITY; 2];
/// A class of a point that has none: not compared.
pub const OPEN: u8 = 4;

/// Every picture that stands for the study: A's, and B's where A has none.
#[derive(Debug, Default)]
pub struct Points {
    /// Prompt and seed.
    pub keys: Vec<GenerationKey>,
    /// Foreground and background score; NaN where a region is missing.
    pub scores: Vec<[f32; 2]>,
    /// Gallery index of the best match, or [`NOT_COMPARED`].
    pub best: Vec<u32>,
    /// Rows from here on are B's.
    pub alone: usize,
    /// Scores of B's picture of the same prompt and seed; [`ABSENT`] where there is none. Empty without B.
    pub moved: Vec<[f32; 2]>,
    /// A's pictures of the words the prompt list has now that B lacks; 0 without B.
    pub lacking: usize,
}

/// What the parts were made from, to see whether they still hold.
#[derive(Clone, Debug, PartialEq)]
struct Source {
    version: u64,
    first: Option<Arc<str>>,
    second: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Searched {
    search: String,
    opened: u64,
    prompts: usize,
}

#[derive(Clone, Debug, PartialEq)]
struct Filter {
    wanted: BTreeSet<Verdict>,
    cell: Option<(Verdict, Verdict)>,
    lasso: usize,
    /// Of the classes, where they matter to the filter.
    classes: u64,
}

/// What follows from the state.
#[derive(Debug, Default)]
pub struct Derived {
    /// The pictures.
    pub points: Points,
    /// Class of each point: place in [`Verdict::ALL`], or [`OPEN`].
    pub classes: Vec<u8>,
    /// Pictures per class.
    pub tally: Tally,
    /// Classes of A against those of B.
    pub transitions: TransitionMatrix,
    /// Places in the prompt list that search, classes, the chosen cell and the lasso let through.
    pub visible: Vec<usize>,
    /// Seeds of the prompt looked at: in A, in B, forming.
    pub seeds: Vec<u64>,
    /// Grows whenever the points change.
    pub points_stamp: u64,
    /// Grows whenever the points or their classes change.
    pub classes_stamp: u64,
    pairing: Pairing,
    seeds_of: Option<(u64, u32, Vec<u64>)>,
    source: Option<Source>,
    thresholds: Option<Thresholds>,
    searched: Option<Searched>,
    found: Vec<usize>,
    filter: Option<Filter>,
}

impl State {
    /// Brings [`State::derived`] up to date.
    pub fn derive(&mut self) {
        let mut derived = std::mem::take(&mut self.derived);
        derived.refresh(self);
        self.derived = derived;
    }
}

impl Derived {
    fn refresh(&mut self, state: &State) {
        let source = Source {
            version: state.study.version(),
            first: state.study.first().clone(),
            second: state.compare.second.clone(),
        };
        let fresh = self.source.as_ref() != Some(&source);
        if fresh {
            self.collect(state);
            self.source = Some(source);
            self.points_stamp += 1;
        }
        if fresh || self.thresholds != Some(state.thresholds) {
            self.classify(&state.thresholds);
            self.thresholds = Some(state.thresholds);
            self.classes_stamp += 1;
        }
        self.filter(state);
        let Some(prompt) = state.selection.prompt else {
            self.seeds.clear();
            self.seeds_of = None;
            return;
        };
        let forming = state.study.forming_of(prompt).map(|f| f.key.seed).collect();
        let seeds_of = Some((self.points_stamp, prompt, forming));
        if self.seeds_of != seeds_of {
            self.seeds = state.seeds_of(prompt);
            self.seeds_of = seeds_of;
        }
    }

    fn collect(&mut self, state: &State) {
        let points = &mut self.points;
        let first = state.study.columns(state.study.first());
        points.keys.clone_from(&first.keys);
        points.scores.clone_from(&first.scores);
        points.best.clone_from(&first.best);
        points.alone = first.len();
        points.moved.clear();
        points.lacking = 0;
        let Some(second) = &state.compare.second else {
            return;
        };
        let second = state.study.columns(&Some(second.clone()));
        self.pairing.follow(first, second);
        points.moved.extend(self.pairing.of_first.iter().map(|&row| {
            let compared = row != NONE && second.best[row as usize] != NOT_COMPARED;
            if compared {
                second.scores[row as usize]
            } else {
                ABSENT
            }
        }));
        let rows = points.moved.iter().zip(&first.listed);
        points.lacking = rows
            .filter(|(moved, listed)| **listed && **moved == ABSENT)
            .count();
        for row in self.pairing.alone.iter().map(|&row| row as usize) {
            points.keys.push(second.keys[row]);
            points.scores.push(second.scores[row]);
            points.best.push(second.best[row]);
            points.moved.push(ABSENT);
        }
    }

    fn classify(&mut self, thresholds: &Thresholds) {
        let points = &self.points;
        self.classes.clear();
        let rows = points.scores.iter().zip(&points.best);
        self.classes.extend(rows.map(|(&scores, &best)| {
            if best == NOT_COMPARED {
                OPEN
            } else {
                columns::class(scores, thresholds) as u8
            }
        }));
        let mut counts = [0_usize; 5];
        for &class in &self.classes {
            counts[class as usize] += 1;
        }
        self.tally = Tally {
            verbatim: counts[Verdict::Verbatim as usize],
            foreground_only: counts[Verdict::ForegroundOnly as usize],
            background_only: counts[Verdict::BackgroundOnly as usize],
            not_memorized: counts[Verdict::NotMemorized as usize],
            open: counts[OPEN as usize],
        };
        self.transitions = TransitionMatrix::default();
        for (class, moved) in self.classes.iter().zip(&points.moved) {
            if let Some(before) = Verdict::ALL.get(*class as usize)
                && *moved != ABSENT
            {
                self.transitions.add(*before, columns::class(*moved, thresholds));
            }
        }
    }

    /// Class of a point; `None` until compared.
    pub fn class(&self, point: usize) -> Option<Verdict> {
        Verdict::ALL.get(self.classes[point] as usize).copied()
    }

    /// Class in A and in B, of a point that both have.
    pub fn transition(&self, point: usize, thresholds: &Thresholds) -> Option<(Verdict, Verdict)> {
        let moved = *self.points.moved.get(point)?;
        if moved == ABSENT {
            return None;
        }
        Some((self.class(point)?, columns::class(moved, thresholds)))
    }

    /// Whether classes, the chosen cell and the lasso let a point through.
    pub fn lets_through(&self, state: &State, point: usize) -> bool {
        let wanted = &state.wanted;
        (wanted.is_empty() || self.class(point).is_some_and(|v| wanted.contains(&v)))
            && state
                .compare
                .cell
                .is_none_or(|cell| self.transition(point, &state.thresholds) == Some(cell))
            && state
                .lasso
                .as_ref()
                .is_none_or(|lasso| lasso.keys.contains(&self.points.keys[point]))
    }

    /// Whether anything is filtered besides the search.
    pub fn filters(state: &State) -> bool {
        !state.wanted.is_empty() || state.compare.cell.is_some() || state.lasso.is_some()
    }

    fn filter(&mut self, state: &State) {
        let prompts = state.study.prompts();
        let by_picture = Self::filters(state);
        let searched = Searched {
            search: state.search.trim().to_lowercase(),
            opened: state.study.opened(),
            prompts: prompts.len(),
        };
        let filter = Filter {
            wanted: state.wanted.clone(),
            cell: state.compare.cell,
            lasso: state.lasso.as_ref().map_or(0, |l| Arc::as_ptr(l) as usize),
            classes: if by_picture { self.classes_stamp } else { 0 },
        };
        let again = self.searched.as_ref() != Some(&searched);
        if !again && self.filter.as_ref() == Some(&filter) {
            return;
        }
        if again {
            self.found = state.study.search(&searched.search);
            self.searched = Some(searched);
        }
        self.visible.clone_from(&self.found);
        if by_picture {
            let mut lets = vec![false; prompts.len()];
            for (point, key) in self.points.keys.iter().enumerate() {
                if let Some(place) = state.study.place(key.prompt)
                    && !lets[place]
                    && self.lets_through(state, point)
                {
                    lets[place] = true;
                }
            }
            self.visible.retain(|&place| lets[place]);
        }
        self.filter = Some(filter);
    }
}
