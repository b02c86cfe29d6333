//! Exact nearest neighbours by coarse-to-fine bounds.
//!
//! Every local value of SSIM is at most 1, so the product of the terms computed so far, coarsest scale
//! first, bounds a region's score from above, and the average of the regions' bounds bounds the average
//! score. A picture is dropped as soon as its bound falls below the k-th best score found; most never
//! reach full resolution, which holds three quarters of the work and 4 % of the exponent.

use super::{
    Index, Prepared,
    composition::{BACKGROUND, FOREGROUND},
    index::{Viewer, with_viewer},
    kernel::Scratch,
    prepared::{Comparable, Regions},
    pyramid::SCALES,
    ssim::{BETAS, SLACK, least_term, score},
};
use crate::study::{Match, RegionScores};
use rayon::prelude::*;
use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

/// A gallery picture on its way through the scales.
#[derive(Clone)]
struct Candidate {
    id: usize,
    comparable: Comparable,
    terms: [[f64; SCALES]; 2],
    bounds: [f64; 2],
    /// Scales done, from the coarsest.
    done: usize,
}

impl Candidate {
    fn bound(&self) -> f64 {
        self.comparable.average(self.bounds).unwrap_or(0.0)
    }
}

/// The best matches so far, best first, ties by gallery index.
struct Best {
    k: usize,
    list: Mutex<Vec<(f32, Match)>>,
    /// Bits of the k-th best average: non-negative floats order as their bits do.
    threshold: AtomicU32,
}

impl Best {
    fn threshold(&self) -> f64 {
        f64::from(f32::from_bits(self.threshold.load(Ordering::Relaxed)))
    }

    fn offer(&self, id: usize, scores: RegionScores) {
        let Some(average) = scores.average() else { return };
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        let before = |(a, m): &(f32, Match)| *a > average || (*a == average && (m.gallery as usize) < id);
        let at = list.partition_point(before);
        list.insert(
            at,
            (
                average,
                Match {
                    gallery: id as u32,
                    scores,
                },
            ),
        );
        list.truncate(self.k);
        if list.len() == self.k {
            self.threshold
                .fetch_max(list[self.k - 1].0.to_bits(), Ordering::Relaxed);
        }
    }
}

impl Index {
    /// The `k` training pictures with the highest average score against the generated picture `query`,
    /// best first, ties by gallery index: the same list as comparing all of them. Pictures that share no
    /// region with it have no average and are left out. `query` must be prepared for the index's
    /// arithmetic; otherwise nothing matches.
    ///
    /// `cancelled` is asked before every picture; `None` once it said yes.
    pub fn search(
        &self,
        query: &Prepared,
        k: usize,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<Match>> {
        self.nearest(query, k, &|_| false, cancelled)
    }

    /// As [`search`](Self::search) among some pictures only, by their rows; rows past the end are ignored.
    pub fn search_among(
        &self,
        query: &Prepared,
        k: usize,
        among: &[u32],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<Match>> {
        let mut wanted = vec![false; self.len()];
        for &row in among {
            if let Some(wanted) = wanted.get_mut(row as usize) {
                *wanted = true;
            }
        }
        self.nearest(query, k, &|i| !wanted[i], cancelled)
    }

    /// The best match of gallery picture `i` among the others for which `skip` is false (leave-one-out;
    /// both sides as training pictures). The outer `None` means cancelled, the inner one no match.
    pub fn nearest_other(
        &self,
        i: usize,
        skip: &(dyn Fn(usize) -> bool + Sync),
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Option<Match>> {
        if i >= self.len() {
            return Some(None);
        }
        let found = self.nearest(&self.prepared(i), 1, &|j| j == i || skip(j), cancelled)?;
        Some(found.into_iter().next())
    }

    /// The best match of a picture made ready as a generated one, among those for which `skip` is false.
    /// The outer `None` means cancelled, the inner one no match.
    pub fn nearest_except(
        &self,
        query: &Prepared,
        skip: &(dyn Fn(usize) -> bool + Sync),
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Option<Match>> {
        let found = self.nearest(query, 1, skip, cancelled)?;
        Some(found.into_iter().next())
    }

    fn nearest(
        &self,
        query: &Prepared,
        k: usize,
        skip: &(dyn Fn(usize) -> bool + Sync),
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<Match>> {
        if k == 0 || query.arithmetic() != self.arithmetic() {
            return Some(Vec::new());
        }
        let regions = query.generated();
        let start = |id: usize| {
            let comparable = Comparable::of(self.store.extents[id], query.extent);
            let candidate = Candidate {
                id,
                comparable,
                terms: [[0.0; SCALES]; 2],
                bounds: [1.0; 2],
                done: 0,
            };
            (comparable != Comparable::Nothing && !skip(id)).then_some(candidate)
        };
        let step = |c: &mut Candidate| {
            if !cancelled() {
                with_viewer(|v, s| self.refine(c, regions, 0.0, v, s));
            }
        };
        let mut candidates: Vec<Candidate> = (0..self.len()).filter_map(start).collect();
        candidates.par_iter_mut().with_min_len(8).for_each(step);
        let best_first = |a: &Candidate, b: &Candidate| b.bound().total_cmp(&a.bound()).then(a.id.cmp(&b.id));
        candidates.sort_by(best_first);
        // One more scale for the most promising puts the true best in front, where they raise the
        // threshold for all others.
        let promising = candidates.len().min((4 * k).max(32));
        candidates[..promising].par_iter_mut().for_each(step);
        candidates[..promising].sort_by(best_first);

        let best = Best {
            k,
            list: Mutex::default(),
            threshold: AtomicU32::new(0),
        };
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(candidate) = candidates.get(next.fetch_add(1, Ordering::Relaxed)) {
                if cancelled() {
                    return;
                }
                let mut candidate = candidate.clone();
                if let Some(scores) = with_viewer(|v, s| self.settle(&mut candidate, regions, &best, v, s)) {
                    best.offer(candidate.id, scores);
                }
            }
        };
        rayon::scope(|scope| {
            for _ in 0..rayon::current_num_threads() {
                scope.spawn(|_| work());
            }
        });
        if cancelled() {
            return None;
        }
        let list = best.list.into_inner().unwrap_or_else(PoisonError::into_inner);
        Some(list.into_iter().map(|(_, m)| m).collect())
    }

    /// Takes a candidate through all remaining scales; `None` when it cannot be among the best.
    fn settle(
        &self,
        candidate: &mut Candidate,
        query: &Regions,
        best: &Best,
        viewer: &mut Viewer,
        scratch: &mut Scratch,
    ) -> Option<RegionScores> {
        while candidate.done < SCALES {
            let threshold = best.threshold();
            if candidate.bound() * SLACK < threshold
                || !self.refine(candidate, query, threshold, viewer, scratch)
            {
                return None;
            }
        }
        Some(candidate.comparable.scores(candidate.terms.map(|t| score(&t))))
    }

    /// Multiplies in the next finer scale; `false` once the bound is below `threshold`.
    fn refine(
        &self,
        candidate: &mut Candidate,
        query: &Regions,
        threshold: f64,
        viewer: &mut Viewer,
        scratch: &mut Scratch,
    ) -> bool {
        let scale = SCALES - 1 - candidate.done;
        candidate.done += 1;
        for region in [FOREGROUND, BACKGROUND] {
            let (true, Some(levels)) = (candidate.comparable.has(region), &query[region]) else {
                continue;
            };
            let wanted = match candidate.comparable {
                Comparable::Both => 2.0 * threshold / SLACK - candidate.bounds[1 - region],
                _ => threshold / SLACK,
            };
            let least = least_term(wanted, candidate.bounds[region], scale);
            let level = self.view(candidate.id, region, scale, viewer, scratch);
            let term = self
                .metric
                .term(level, &levels[scale], scale == SCALES - 1, least, scratch);
            candidate.terms[region][scale] = term;
            candidate.bounds[region] *= term.powf(BETAS[scale]);
            if candidate.bound() * SLACK < threshold {
                return false;
            }
        }
        true
    }
}
