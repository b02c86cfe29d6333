//! Near vectors among very many: the training images worth an exact comparison.
//!
//! With the feature `usearch` a navigable small-world graph (HNSW) answers; without it every vector is compared. Either
//! way the shortlist is approximate for the *region scores*: a training image that resembles in one region only may be
//! far as a whole. [`recall`] measures that; it is shown wherever such results are.

use super::{EmbeddingError, Vectors};
use std::{path::Path, sync::Arc};

/// Gallery size from which a shortlist is used, unless the user sets another.
pub const SHORTLIST_FROM: usize = 100_000;

/// Searchable vectors.
pub struct Shortlist {
    vectors: Arc<Vectors>,
    #[cfg(feature = "usearch")]
    graph: super::graph::Graph,
}

impl Shortlist {
    /// Makes the vectors searchable. `cancelled` is asked often; `None` once it said yes. Runs in the caller's rayon
    /// pool; the graph depends on the order in which threads finish, so that its answers may differ a little from
    /// build to build.
    ///
    /// # Errors
    /// When memory does not suffice.
    pub fn build(
        vectors: Arc<Vectors>,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Self>, EmbeddingError> {
        #[cfg(feature = "usearch")]
        let Some(graph) = super::graph::Graph::build(&vectors, cancelled)? else {
            return Ok(None);
        };
        if cancelled() {
            return Ok(None);
        }
        Ok(Some(Self {
            vectors,
            #[cfg(feature = "usearch")]
            graph,
        }))
    }

    /// Keeps what was built in a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, file: &Path) -> Result<(), EmbeddingError> {
        #[cfg(feature = "usearch")]
        self.graph.save(file)?;
        #[cfg(not(feature = "usearch"))]
        let _ = file;
        Ok(())
    }

    /// Reads what [`save`](Self::save) kept; `None` when there is nothing of these vectors.
    pub fn open(file: &Path, vectors: Arc<Vectors>) -> Option<Self> {
        #[cfg(feature = "usearch")]
        return Some(Self {
            graph: super::graph::Graph::open(file, &vectors)?,
            vectors,
        });
        #[cfg(not(feature = "usearch"))]
        {
            let _ = file;
            Some(Self { vectors })
        }
    }

    /// What answers, for labels.
    pub fn method() -> &'static str {
        if cfg!(feature = "usearch") {
            "usearch HNSW graph"
        } else {
            "comparison of all embeddings"
        }
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// About the `count` nearest by cosine, best first.
    ///
    /// # Errors
    /// When the query has another length.
    pub fn nearest(&self, query: &[f32], count: usize) -> Result<Vec<(u32, f32)>, EmbeddingError> {
        if query.len() != self.vectors.dim() {
            return Err(EmbeddingError::Shortlist(format!(
                "the query has {} values instead of {}",
                query.len(),
                self.vectors.dim()
            )));
        }
        #[cfg(feature = "usearch")]
        return self.graph.nearest(&self.vectors, query, count);
        #[cfg(not(feature = "usearch"))]
        Ok(self.vectors.nearest(query, count))
    }
}

/// Share of the exact results that the approximate ones hold too, over all queries, in `[0, 1]`; 1 when there is
/// nothing to find. Lists are gallery indices, one list per query.
pub fn recall(exact: &[Vec<u32>], approximate: &[Vec<u32>]) -> f64 {
    let wanted: usize = exact.iter().map(Vec::len).sum();
    let found = exact
        .iter()
        .zip(approximate)
        .map(|(e, a)| e.iter().filter(|i| a.contains(i)).count())
        .sum::<usize>();
    if wanted == 0 {
        1.0
    } else {
        found as f64 / wanted as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::vectors::unit;

    #[test]
    fn the_graph_finds_nearly_what_comparing_all_finds() {
        let mut state = 3u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 24) as f32 - 0.5
        };
        let dim = 32;
        let mut vectors = Vectors::new(dim);
        for _ in 0..3000 {
            vectors.push(&unit((0..dim).map(|_| next()).collect()).unwrap());
        }
        let vectors = Arc::new(vectors);
        let built = Shortlist::build(vectors.clone(), &|| false).unwrap().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kept.usearch");
        built.save(&file).unwrap();
        let shortlist = Shortlist::open(&file, vectors.clone()).unwrap();
        let ids = |found: Vec<(u32, f32)>| found.into_iter().map(|f| f.0).collect::<Vec<_>>();
        let queries: Vec<Vec<f32>> = (0..50)
            .map(|_| unit((0..dim).map(|_| next()).collect()).unwrap())
            .collect();
        let exact: Vec<_> = queries.iter().map(|q| ids(vectors.nearest(q, 10))).collect();
        let approximate: Vec<_> = queries
            .iter()
            .map(|q| ids(shortlist.nearest(q, 50).unwrap()))
            .collect();
        assert!(recall(&exact, &approximate) > 0.95);
        let own = shortlist.nearest(vectors.get(17).unwrap(), 1).unwrap();
        assert_eq!(own[0].0, 17);
        assert!((own[0].1 - 1.0).abs() < 1e-5);
        assert!(shortlist.nearest(&[1.0], 3).is_err());
        assert!(Shortlist::build(vectors, &|| true).unwrap().is_none());
    }

    #[test]
    fn recall_counts_what_is_missed() {
        assert_eq!(
            recall(&[vec![1, 2], vec![3]], &[vec![2, 9, 8], vec![3]]),
            2.0 / 3.0
        );
        assert_eq!(recall(&[], &[]), 1.0);
    }
}
