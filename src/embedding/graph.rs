//! The HNSW graph of usearch.

use super::{EmbeddingError, Vectors};
use rayon::prelude::*;
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};
use usearch::{Index, IndexOptions, MetricKind, ScalarKind};

/// Neighbours per node, and candidates looked at while adding and searching.
const CONNECTIVITY: usize = 16;
const EXPANSION_ADD: usize = 128;
const EXPANSION_SEARCH: usize = 256;

pub(super) struct Graph(Index);

fn failed(error: impl std::fmt::Display) -> EmbeddingError {
    EmbeddingError::Shortlist(error.to_string())
}

fn empty(dim: usize) -> Result<Index, EmbeddingError> {
    Index::new(&IndexOptions {
        dimensions: dim,
        metric: MetricKind::IP,
        quantization: ScalarKind::F32,
        connectivity: CONNECTIVITY,
        expansion_add: EXPANSION_ADD,
        expansion_search: EXPANSION_SEARCH,
        multi: false,
    })
    .map_err(failed)
}

impl Graph {
    /// Writes under another name first, so that no half-written file is ever found.
    pub fn save(&self, file: &Path) -> Result<(), EmbeddingError> {
        let partial = file.with_extension(format!("{}.part", std::process::id()));
        let name = partial.to_str().ok_or_else(|| failed("the path is not UTF-8"))?;
        self.0.save(name).map_err(failed)?;
        std::fs::rename(&partial, file).map_err(failed)
    }

    pub fn open(file: &Path, vectors: &Vectors) -> Option<Self> {
        let index = empty(vectors.dim()).ok()?;
        index.load(file.to_str().filter(|_| file.is_file())?).ok()?;
        let fits = index.size() == vectors.len() && index.dimensions() == vectors.dim();
        fits.then_some(Self(index))
    }

    pub fn build(
        vectors: &Vectors,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Self>, EmbeddingError> {
        let index = empty(vectors.dim())?;
        let threads = rayon::current_num_threads() + 1;
        index
            .reserve_capacity_and_threads(vectors.len().max(1), threads)
            .map_err(failed)?;
        let stopped = AtomicBool::new(false);
        vectors
            .values()
            .par_chunks_exact(vectors.dim().max(1))
            .enumerate()
            .try_for_each(|(i, v)| {
                if stopped.load(Ordering::Relaxed) || cancelled() {
                    stopped.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                index.add(i as u64, v).map_err(failed)
            })?;
        Ok((!stopped.into_inner()).then_some(Self(index)))
    }

    pub fn nearest(
        &self,
        vectors: &Vectors,
        query: &[f32],
        count: usize,
    ) -> Result<Vec<(u32, f32)>, EmbeddingError> {
        let count = count.min(vectors.len());
        if count == 0 {
            return Ok(Vec::new());
        }
        let found = self.0.search(query, count).map_err(failed)?;
        // The graph's own distances are rounded by fast-math; the vectors are at hand.
        let mut all: Vec<(u32, f32)> = found
            .keys
            .iter()
            .filter_map(|&key| Some((key as u32, vectors.cosine(key as usize, query)?)))
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(all)
    }
}
