//! Large galleries: a shortlist by embedding, compared exactly. Labelled as approximate, with its measured recall.

use super::{
    CancelToken, Event, JobId, JobKind,
    embeddings::{Embedded, cache_file},
    session::Session,
    worker::Outcome,
};
use crate::{
    embedding::{Embedder, EmbeddingError, SHORTLIST_FROM, Shortlist, recall},
    study::{Approximation, Problem},
};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fs, sync::Arc};

/// Training images that are compared exactly.
pub(super) const CANDIDATES: usize = 500;
/// Gallery images whose exact nearest other image measures the recall.
const QUERIES: usize = 40;

/// The shortlist of the open gallery.
pub(super) struct Approximate {
    source: Source,
    embedder: Arc<Embedder>,
    /// Row of the exact index per vector.
    index_rows: Vec<Option<u32>>,
    pub measured: Measured,
}

/// Who is asked for near vectors.
enum Source {
    Here(Shortlist),
    #[cfg(feature = "qdrant")]
    Qdrant(crate::embedding::qdrant::Qdrant),
}

impl Source {
    fn nearest(&self, vector: &[f32], count: usize) -> Result<Vec<(u32, f32)>, EmbeddingError> {
        match self {
            Self::Here(shortlist) => shortlist.nearest(vector, count),
            #[cfg(feature = "qdrant")]
            Self::Qdrant(qdrant) => qdrant.nearest(vector, count),
        }
    }

    /// Words about who would be asked.
    fn method() -> &'static str {
        #[cfg(feature = "qdrant")]
        if crate::embedding::qdrant::QdrantSettings::from_env().is_some() {
            return "Qdrant";
        }
        Shortlist::method()
    }

    /// `None` when stopped.
    fn make(embedded: &Embedded, stop: &(dyn Fn() -> bool + Sync)) -> Result<Option<Self>, EmbeddingError> {
        #[cfg(feature = "qdrant")]
        if let Some(settings) = crate::embedding::qdrant::QdrantSettings::from_env() {
            use crate::embedding::qdrant::Qdrant;
            let name = format!("pentimento-{}", embedded.key.get(..24).unwrap_or("unnamed"));
            let qdrant = Qdrant::open(&settings, &name, embedded.vectors.dim())?;
            let complete = embedded.key.len() >= 24 && qdrant.count()? == embedded.vectors.len();
            let stored = complete || qdrant.store(&embedded.vectors, stop)?;
            return Ok(stored.then_some(Self::Qdrant(qdrant)));
        }
        let file = cache_file(&embedded.key, "graph").map(|f| f.with_extension("usearch"));
        let vectors = embedded.vectors.clone();
        if let Some(kept) = file.as_deref().and_then(|f| Shortlist::open(f, vectors.clone())) {
            return Ok(Some(Self::Here(kept)));
        }
        let made = Shortlist::build(vectors, stop)?;
        if let (Some(made), Some(file)) = (&made, &file)
            && let Err(error) = made.save(file)
        {
            log::warn!("{}: the shortlist is not kept: {error}", file.display());
        }
        Ok(made.map(Self::Here))
    }
}

/// How often the exact best match is on the shortlist.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub recall: f32,
    pub queries: usize,
}

impl Approximate {
    /// Rows of the exact index worth a comparison; `None` for a picture that has no embedding.
    pub fn candidates(&self, image: &RgbImage) -> Option<Vec<u32>> {
        self.near(&self.embedder.embed(image).ok()?, CANDIDATES)
    }

    fn near(&self, vector: &[f32], count: usize) -> Option<Vec<u32>> {
        let asked = self.source.nearest(vector, count);
        let found = asked.inspect_err(|e| log::warn!("{e}")).ok()?;
        Some(
            found
                .into_iter()
                .filter_map(|(row, _)| *self.index_rows.get(row as usize)?)
                .collect(),
        )
    }
}

impl Session {
    /// How the open gallery is searched; `None` when every image is compared. Known before anything is prepared,
    /// except for the recall.
    pub(super) fn approximation(&self) -> Option<Approximation> {
        let from = self.outline.shortlist_from.unwrap_or(SHORTLIST_FROM);
        if self.outline.gallery.len() < from.max(1) {
            return None;
        }
        let embedder = self.outline.embedder.as_deref().map_or_else(
            || "the built-in descriptor".into(),
            |path| {
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            },
        );
        let measured = self.approximate.as_ref().map(|a| a.measured);
        Some(Approximation {
            method: format!("shortlist of {CANDIDATES} by {embedder} ({})", Source::method()),
            recall: measured.map(|m| m.recall),
            queries: measured.map_or(0, |m| m.queries),
        })
    }

    /// Makes the shortlist of a large gallery and measures it; nothing to do for a small one.
    pub(super) fn prepare_shortlist(&mut self, id: JobId, cancel: &CancelToken) -> Result<Outcome, Problem> {
        self.approximate = None;
        if self.approximation().is_none() {
            return Ok(Outcome::Done);
        }
        let Some(embedded) = self.embeddings(id, cancel)? else {
            return Ok(Outcome::Stopped);
        };
        let Some(gallery) = &self.gallery else {
            return Ok(Outcome::Done);
        };
        let mut progress = self.teller.progress(id, JobKind::Shortlist, QUERIES);
        progress.at(0.0);
        let stop = || cancel.is_cancelled();
        let made = self.pool.install(|| Source::make(&embedded, &stop));
        let source = match made {
            Ok(Some(source)) => source,
            Ok(None) => return Ok(Outcome::Stopped),
            Err(error) => {
                return Err(Problem::new(
                    "The shortlist of this large gallery cannot be made",
                    "See below what is missing, or set shortlist_from in [embedder] of study.toml above the gallery's size.",
                )
                .detail(error.to_string()));
            }
        };
        let row_of: HashMap<u32, u32> = gallery.rows.iter().zip(0..).map(|(g, row)| (*g, row)).collect();
        let mut approximate = Approximate {
            source,
            embedder: embedded.embedder.clone(),
            index_rows: embedded.rows.iter().map(|g| row_of.get(g).copied()).collect(),
            measured: Measured {
                recall: 0.0,
                queries: 0,
            },
        };
        let Some(measured) = self.measure(&approximate, &embedded, cancel, &mut |done| {
            progress.at(done as f64)
        }) else {
            return Ok(Outcome::Stopped);
        };
        approximate.measured = measured;
        self.approximate = Some(Arc::new(approximate));
        if let Some(approximation) = self.approximation() {
            self.teller.tell(Event::Approximate(Arc::new(approximation)));
        }
        Ok(Outcome::Done)
    }

    /// Recall of evenly spread gallery images, each searched among all others exactly and by the shortlist; kept in the
    /// cache. `None` when stopped.
    fn measure(
        &self,
        approximate: &Approximate,
        embedded: &Embedded,
        cancel: &CancelToken,
        done: &mut dyn FnMut(usize),
    ) -> Option<Measured> {
        let index = &self.gallery.as_ref()?.index;
        // Who answers decides the recall too.
        let method = Source::method().split(' ').next().unwrap_or_default();
        let file = cache_file(&embedded.key, &format!("recall-{}-{method}", index.arithmetic()))
            .map(|f| f.with_extension("json"));
        let kept = file
            .as_ref()
            .and_then(|f| serde_json::from_slice(&fs::read(f).ok()?).ok());
        if let Some(kept) = kept {
            return Some(kept);
        }
        let (mut exact, mut near) = (Vec::new(), Vec::new());
        let stride = embedded.vectors.len().div_ceil(QUERIES).max(1);
        for (i, vector) in embedded.vectors.rows().enumerate().step_by(stride) {
            let Some(own) = approximate.index_rows[i] else {
                continue;
            };
            let stop = || cancel.is_cancelled();
            let best = self
                .pool
                .install(|| index.nearest_other(own as usize, &|_| false, &stop))?;
            let Some(best) = best else { continue };
            exact.push(vec![best.gallery]);
            near.push(approximate.near(vector, CANDIDATES + 1).unwrap_or_default());
            done(exact.len());
        }
        let measured = Measured {
            recall: recall(&exact, &near) as f32,
            queries: exact.len(),
        };
        if let (Some(file), Ok(text)) = (file, serde_json::to_vec(&measured)) {
            fs::write(file, text).ok(); // a cache that cannot be written costs time, no more
        }
        Some(measured)
    }
}
