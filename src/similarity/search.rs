//! Exact nearest neighbours by coarse-to-fine bounds.
//!
//! Every local value of SSIM is at most 1, so the product of the terms computed so far, coarsest scale
//! first, bounds a region's score from above, and the average of the regions' bounds bounds the average
//! score. A picture is dropped as soon as its bound falls below the k-th best score found; most never
//! reach full resolution, which holds three quarters of the work and 4 % of the exponent.
//!
//! Several generated pictures are searched for in one pass: what must be read and formed of a training
//! picture is formed once for all of them. Each pair is compared by itself all the same: the data range
//! of the RGBA arithmetics belongs to a pair.

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

/// Scales that every picture is compared at before any is dropped.
const SURVEY: usize = 2;

/// A gallery picture on its way through the scales, for one query.
#[derive(Clone)]
struct Candidate {
    query: u32,
    comparable: Comparable,
    /// Settled or dropped.
    ended: bool,
    /// Scales done, from the coarsest.
    done: u8,
    terms: [[f64; SCALES]; 2],
    bounds: [f64; 2],
}

impl Candidate {
    fn bound(&self) -> f64 {
        self.comparable.average(self.bounds).unwrap_or(0.0)
    }
}

/// A gallery picture and the queries it can be compared with.
struct Visit {
    id: usize,
    candidates: Vec<Candidate>,
}

impl Visit {
    fn bound(&self) -> f64 {
        self.candidates.iter().map(Candidate::bound).fold(0.0, f64::max)
    }
}

/// The best matches of one query so far, best first, ties by gallery index.
struct Best {
    k: usize,
    list: Mutex<Vec<(f32, Match)>>,
    /// Bits of the k-th best average: non-negative floats order as their bits do.
    threshold: AtomicU32,
}

impl Best {
    fn new(k: usize) -> Self {
        Self {
            k,
            list: Mutex::default(),
            threshold: AtomicU32::new(0),
        }
    }

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

    fn into_matches(self) -> Vec<Match> {
        let list = self.list.into_inner().unwrap_or_else(PoisonError::into_inner);
        list.into_iter().map(|(_, m)| m).collect()
    }
}

impl Index {
    /// The `k` training pictures with the highest average score against the generated picture `query`,
    /// best first, ties by gallery index: the same list as comparing all of them. Pictures that share no
    /// region with it have no average and are left out. `query` must be prepared for the index's
    /// arithmetic; otherwise nothing matches.
    ///
    /// `cancelled` is asked before every picture; `None` once it said yes, or when the index file can no
    /// longer be read ([`failure`](Self::failure)).
    pub fn search(
        &self,
        query: &Prepared,
        k: usize,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<Match>> {
        let found = self.search_batch(&[query], k, cancelled)?;
        found.into_iter().next()
    }

    /// [`search`](Self::search) for several queries in one pass over the gallery, one list each. Takes
    /// 150 bytes per picture and query.
    pub fn search_batch(
        &self,
        queries: &[&Prepared],
        k: usize,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<Vec<Match>>> {
        self.nearest(queries, k, &|_| false, cancelled)
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
        let found = self.nearest(&[query], k, &|i| !wanted[i], cancelled)?;
        found.into_iter().next()
    }

    /// The best match of gallery picture `i` among the others for which `skip` is false (leave-one-out;
    /// both sides as training pictures). The outer `None` means cancelled or unreadable, the inner one no
    /// match.
    pub fn nearest_other(
        &self,
        i: usize,
        skip: &(dyn Fn(usize) -> bool + Sync),
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Option<Match>> {
        if i >= self.len() {
            return Some(None);
        }
        let query = self.prepared(i)?;
        let found = self.nearest(&[&query], 1, &|j| j == i || skip(j), cancelled)?;
        Some(found.into_iter().flatten().next())
    }

    /// The best match of a picture made ready as a generated one, among those for which `skip` is false.
    /// The outer `None` means cancelled, the inner one no match.
    pub fn nearest_except(
        &self,
        query: &Prepared,
        skip: &(dyn Fn(usize) -> bool + Sync),
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Option<Match>> {
        let found = self.nearest(&[query], 1, skip, cancelled)?;
        Some(found.into_iter().flatten().next())
    }

    fn nearest(
        &self,
        queries: &[&Prepared],
        k: usize,
        skip: &(dyn Fn(usize) -> bool + Sync),
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Option<Vec<Vec<Match>>> {
        if k == 0 {
            return Some(vec![Vec::new(); queries.len()]);
        }
        let search = Search {
            index: self,
            queries: queries.iter().map(|q| q.generated()).collect(),
            best: queries.iter().map(|_| Best::new(k)).collect(),
        };
        let ids: Vec<usize> = (0..self.len()).filter(|&id| !skip(id)).collect();
        let survey = |id: usize| {
            let mut visit = search.start(id, queries);
            if !visit.candidates.is_empty() && !self.stopped(cancelled) {
                with_viewer(|v, s| search.advance(&mut visit, SURVEY, v, s));
            }
            visit
        };
        let mut visits: Vec<Visit> = ids.into_par_iter().with_min_len(8).map(survey).collect();
        visits.retain(|v| !v.candidates.is_empty());
        visits.par_sort_by(|a, b| b.bound().total_cmp(&a.bound()).then(a.id.cmp(&b.id)));
        search.seed(&mut visits, k, cancelled);

        let next = AtomicUsize::new(0);
        let visits: Vec<Mutex<Visit>> = visits.into_iter().map(Mutex::new).collect();
        let work = || {
            while let Some(visit) = visits.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.stopped(cancelled) {
                    return;
                }
                let mut visit = visit.lock().unwrap_or_else(PoisonError::into_inner);
                with_viewer(|v, s| search.advance(&mut visit, SCALES, v, s));
            }
        };
        rayon::scope(|scope| {
            for _ in 0..rayon::current_num_threads() {
                scope.spawn(|_| work());
            }
        });
        if self.stopped(cancelled) {
            return None;
        }
        Some(search.best.into_iter().map(Best::into_matches).collect())
    }
}

/// What all comparisons of a search share.
struct Search<'a> {
    index: &'a Index,
    queries: Vec<&'a Regions>,
    best: Vec<Best>,
}

impl Search<'_> {
    fn start(&self, id: usize, queries: &[&Prepared]) -> Visit {
        let candidates = queries.iter().enumerate().filter_map(|(q, query)| {
            let comparable = Comparable::of(self.index.store.extents[id], query.extent);
            let fits = query.arithmetic() == self.index.arithmetic();
            (fits && comparable != Comparable::Nothing).then_some(Candidate {
                query: q as u32,
                comparable,
                ended: false,
                done: 0,
                terms: [[0.0; SCALES]; 2],
                bounds: [1.0; 2],
            })
        });
        Visit {
            id,
            candidates: candidates.collect(),
        }
    }

    /// Takes the most promising pictures of every query through one more scale and the best of these to
    /// the end: most likely the true best, which raise the threshold for all others.
    fn seed(&self, visits: &mut [Visit], k: usize, cancelled: &(dyn Fn() -> bool + Sync)) {
        for query in 0..self.best.len() as u32 {
            let mine = |v: &Visit| {
                v.candidates
                    .iter()
                    .find(|c| c.query == query && !c.ended)
                    .map(Candidate::bound)
            };
            for (count, scales) in [((4 * k).max(32), SURVEY + 1), (k, SCALES)] {
                let mut places: Vec<(usize, f64)> = visits
                    .iter()
                    .enumerate()
                    .filter_map(|(at, v)| Some((at, mine(v)?)))
                    .collect();
                let best_first = |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
                let count = count.min(places.len());
                if count == 0 {
                    break;
                }
                places.select_nth_unstable_by(count - 1, best_first);
                let chosen: std::collections::HashSet<usize> =
                    places[..count].iter().map(|&(at, _)| at).collect();
                let chosen: Vec<&mut Visit> = visits
                    .iter_mut()
                    .enumerate()
                    .filter_map(|(at, v)| chosen.contains(&at).then_some(v))
                    .collect();
                chosen.into_par_iter().with_max_len(1).for_each(|visit| {
                    if !self.index.stopped(cancelled) {
                        with_viewer(|v, s| self.advance_one(visit, query, scales, v, s));
                    }
                });
            }
        }
    }

    fn advance_one(
        &self,
        visit: &mut Visit,
        query: u32,
        scales: usize,
        viewer: &mut Viewer,
        scratch: &mut Scratch,
    ) {
        let id = visit.id;
        let one = visit.candidates.iter_mut().filter(|c| c.query == query);
        self.advance_all(id, one.collect(), scales, viewer, scratch);
    }

    fn advance(&self, visit: &mut Visit, scales: usize, viewer: &mut Viewer, scratch: &mut Scratch) {
        let id = visit.id;
        self.advance_all(id, visit.candidates.iter_mut().collect(), scales, viewer, scratch);
    }

    /// Takes candidates of picture `id` through the scales until `scales` are done, each as long as it
    /// can be among the best of its query; offers those that reach the end.
    fn advance_all(
        &self,
        id: usize,
        mut candidates: Vec<&mut Candidate>,
        scales: usize,
        viewer: &mut Viewer,
        scratch: &mut Scratch,
    ) {
        for done in 0..scales {
            for region in [FOREGROUND, BACKGROUND] {
                let mut alive: Vec<&mut &mut Candidate> = candidates
                    .iter_mut()
                    .filter_map(|c| {
                        if !c.ended && c.bound() * SLACK < self.best[c.query as usize].threshold() {
                            c.ended = true;
                        }
                        (!c.ended && usize::from(c.done) == done && c.comparable.has(region)).then_some(c)
                    })
                    .collect();
                if alive.is_empty() {
                    continue;
                }
                let scale = SCALES - 1 - done;
                let Some(level) = self.index.view(id, region, scale, viewer, scratch) else {
                    return; // the search is given up, see `Index::failure`
                };
                for candidate in &mut alive {
                    self.refine(candidate, level, region, scale, scratch);
                }
            }
            for candidate in &mut candidates {
                if !candidate.ended && usize::from(candidate.done) == done {
                    candidate.done += 1;
                }
            }
        }
        for candidate in candidates {
            if !candidate.ended && usize::from(candidate.done) == SCALES {
                candidate.ended = true;
                let scores = candidate.comparable.scores(candidate.terms.map(|t| score(&t)));
                self.best[candidate.query as usize].offer(id, scores);
            }
        }
    }

    /// Multiplies in the term of one region at one scale.
    fn refine(
        &self,
        candidate: &mut Candidate,
        level: &super::level::Level,
        region: usize,
        scale: usize,
        scratch: &mut Scratch,
    ) {
        let Some(levels) = &self.queries[candidate.query as usize][region] else {
            return;
        };
        let threshold = self.best[candidate.query as usize].threshold();
        let wanted = match candidate.comparable {
            Comparable::Both => 2.0 * threshold / SLACK - candidate.bounds[1 - region],
            _ => threshold / SLACK,
        };
        let least = least_term(wanted, candidate.bounds[region], scale);
        let full = scale == SCALES - 1;
        let term = self
            .index
            .metric
            .term(level, &levels[scale], full, least, scratch);
        candidate.terms[region][scale] = term;
        candidate.bounds[region] *= term.powf(BETAS[scale]);
        // A term that was not computed to its end is an upper bound below what was wanted.
        candidate.ended = candidate.bound() * SLACK < threshold;
    }
}
