//! All pairs of gallery pictures that share a region.
//!
//! The same bounds as in `search`, against fixed minimums. Pictures are taken in blocks, so that what
//! must be computed of a picture (levels that are not in memory) is shared by a block's pairs.

use super::{
    Index,
    composition::{BACKGROUND, FOREGROUND},
    index::{Viewer, with_viewer},
    kernel::Scratch,
    level::Level,
    prepared::Comparable,
    pyramid::SCALES,
    ssim::{BETAS, SLACK, least_term, score},
};
use crate::study::Link;
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pictures per block: their three coarse scales take about 1.4 MB each.
const BLOCK: usize = 16;
/// Pictures whose fine scales are held at once, about 12 MB each.
const FINE_BLOCK: usize = 4;
/// The finest of the coarse scales.
const COARSE: usize = 2;

/// A region of a pair on its way through the scales.
#[derive(Clone, Copy)]
struct Track {
    terms: [f64; SCALES],
    bound: f64,
    alive: bool,
}

impl Track {
    fn new(compared: bool) -> Self {
        Self {
            terms: [0.0; SCALES],
            bound: 1.0,
            alive: compared,
        }
    }

    /// What is known of the region's score: exact if alive, otherwise a bound below `minimum`.
    fn value(&self, minimum: f32) -> f64 {
        if self.alive {
            score(&self.terms)
        } else {
            self.bound.min(f64::from(minimum.next_down()))
        }
    }
}

struct PairTrack {
    i: usize,
    j: usize,
    comparable: Comparable,
    regions: [Track; 2],
}

/// The least scores of a link.
#[derive(Clone, Copy)]
struct Minimums([f32; 2]);

impl Minimums {
    /// Below which a region's score cannot make a link.
    fn of(self, comparable: Comparable, region: usize) -> f32 {
        match comparable {
            // One comparison stands for both regions.
            Comparable::Whole(_) => self.0[0].min(self.0[1]),
            _ => self.0[region],
        }
    }
}

impl Index {
    /// All pairs of gallery pictures with a foreground score of at least `min_foreground` or a
    /// background score of at least `min_background`, ordered by their indices. Both pictures are taken
    /// as training pictures.
    ///
    /// A score at or above its minimum is exact; one below is an upper bound of the true score that is
    /// itself below the minimum (finding it exactly would cost the time the bounds save).
    ///
    /// `progress` is called with pairs done and all pairs, from any thread; `cancelled` is asked before
    /// every picture of a block; `None` once it said yes, or when the index file can no longer be read
    /// ([`failure`](Self::failure)).
    pub fn links(
        &self,
        min_foreground: f32,
        min_background: f32,
        cancelled: &(dyn Fn() -> bool + Sync),
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Option<Vec<Link>> {
        let n = self.len();
        let all = n * n.saturating_sub(1) / 2;
        let minimums = Minimums([min_foreground, min_background]);
        let done = AtomicUsize::new(0);
        let blocks: Vec<usize> = (0..n).step_by(BLOCK).collect();
        let mut links: Vec<Link> = blocks
            .into_par_iter()
            .with_max_len(1)
            .flat_map_iter(|first| {
                let end = (first + BLOCK).min(n);
                let mut pairs = self.coarse(first, end, minimums, cancelled);
                for fine in (first..end).step_by(FINE_BLOCK) {
                    self.fine(
                        fine,
                        (fine + FINE_BLOCK).min(end),
                        &mut pairs,
                        minimums,
                        cancelled,
                    );
                }
                let pairs_here: usize = (first..end).map(|i| n - 1 - i).sum();
                progress(done.fetch_add(pairs_here, Ordering::Relaxed) + pairs_here, all);
                pairs.into_iter().filter_map(move |pair| link(&pair, minimums))
            })
            .collect();
        if self.stopped(cancelled) {
            return None;
        }
        links.sort_by_key(|l| (l.a, l.b));
        Some(links)
    }

    /// Pairs of `first..end` with later pictures that survive the coarse scales in some region.
    fn coarse(
        &self,
        first: usize,
        end: usize,
        minimums: Minimums,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Vec<PairTrack> {
        let mut rows: Vec<[Level; SCALES]> = vec![Default::default(); 2 * (end - first)];
        let mut survivors = Vec::new();
        with_viewer(|viewer, scratch| {
            for i in first..end {
                for region in [FOREGROUND, BACKGROUND] {
                    if self.store.extents[i].regions()[region] {
                        let row = &mut rows[2 * (i - first) + region];
                        for (scale, level) in row.iter_mut().enumerate().skip(COARSE) {
                            let Some(view) = self.view(i, region, scale, viewer, scratch) else {
                                return;
                            };
                            level.clone_from(view);
                        }
                    }
                }
            }
            for j in first + 1..self.len() {
                if self.stopped(cancelled) {
                    return;
                }
                let mut pairs: Vec<PairTrack> = (first..end.min(j)).map(|i| self.pair(i, j)).collect();
                for region in [FOREGROUND, BACKGROUND] {
                    for scale in (COARSE..SCALES).rev() {
                        let row = |i: usize| &rows[2 * (i - first) + region][scale];
                        self.advance(j, region, scale, &mut pairs, row, minimums, viewer, scratch);
                    }
                }
                survivors.extend(pairs.into_iter().filter(|p| p.regions.iter().any(|r| r.alive)));
            }
        });
        survivors
    }

    fn pair(&self, i: usize, j: usize) -> PairTrack {
        let comparable = Comparable::of(self.store.extents[i], self.store.extents[j]);
        let regions = [FOREGROUND, BACKGROUND].map(|r| Track::new(comparable.has(r)));
        PairTrack {
            i,
            j,
            comparable,
            regions,
        }
    }

    /// Takes the pairs of `first..end` through the two fine scales.
    fn fine(
        &self,
        first: usize,
        end: usize,
        pairs: &mut [PairTrack],
        minimums: Minimums,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) {
        pairs.sort_by_key(|p| p.j);
        with_viewer(|viewer, scratch| {
            for region in [FOREGROUND, BACKGROUND] {
                let mine = |p: &PairTrack| (first..end).contains(&p.i) && p.regions[region].alive;
                let needed: Vec<bool> = (first..end)
                    .map(|i| pairs.iter().any(|p| p.i == i && mine(p)))
                    .collect();
                let mut rows: Vec<[Level; COARSE]> = vec![Default::default(); end - first];
                for (i, row) in (first..end).zip(&mut rows).filter(|(i, _)| needed[i - first]) {
                    for (scale, level) in row.iter_mut().enumerate() {
                        let Some(view) = self.view(i, region, scale, viewer, scratch) else {
                            return;
                        };
                        level.clone_from(view);
                    }
                }
                for group in pairs.chunk_by_mut(|a, b| a.j == b.j) {
                    let (mut now, j) = (Vec::new(), group[0].j);
                    for p in group.iter_mut().filter(|p| mine(p)) {
                        now.push(p);
                    }
                    if now.is_empty() {
                        continue;
                    }
                    if self.stopped(cancelled) {
                        return;
                    }
                    for scale in (0..COARSE).rev() {
                        let row = |i: usize| &rows[i - first][scale];
                        self.advance(j, region, scale, &mut now, row, minimums, viewer, scratch);
                    }
                }
            }
        });
    }

    /// Multiplies the term of `scale` into every pair of `pairs` (all with the same `j`) that is alive
    /// in `region`.
    #[allow(clippy::too_many_arguments)]
    fn advance<'r, P: std::borrow::BorrowMut<PairTrack>>(
        &self,
        j: usize,
        region: usize,
        scale: usize,
        pairs: &mut [P],
        row: impl Fn(usize) -> &'r Level,
        minimums: Minimums,
        viewer: &mut Viewer,
        scratch: &mut Scratch,
    ) {
        let mut pairs = pairs
            .iter_mut()
            .map(std::borrow::BorrowMut::borrow_mut)
            .filter(|p| p.regions[region].alive)
            .peekable();
        if pairs.peek().is_none() {
            return;
        }
        let Some(level) = self.view(j, region, scale, viewer, scratch) else {
            return; // the whole is given up, see `Index::failure`
        };
        for pair in pairs {
            let minimum = f64::from(minimums.of(pair.comparable, region));
            let track = &mut pair.regions[region];
            let least = least_term(minimum / SLACK, track.bound, scale);
            let term = self
                .metric
                .term(row(pair.i), level, scale == SCALES - 1, least, scratch);
            track.terms[scale] = term;
            track.bound *= term.powf(BETAS[scale]);
            track.alive = track.bound * SLACK >= minimum;
        }
    }
}

/// The link of a pair that was taken through all scales, if it is one.
fn link(pair: &PairTrack, minimums: Minimums) -> Option<Link> {
    let values = [FOREGROUND, BACKGROUND].map(|r| pair.regions[r].value(minimums.of(pair.comparable, r)));
    let scores = pair.comparable.scores(values);
    let reaches = |score: Option<f32>, minimum: f32| score.is_some_and(|s| s >= minimum);
    (reaches(scores.foreground, minimums.0[0]) || reaches(scores.background, minimums.0[1])).then_some(Link {
        a: pair.i as u32,
        b: pair.j as u32,
        scores,
    })
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
