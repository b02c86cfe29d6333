//! Embeddings of the gallery: made once, kept in the cache.

use super::{CancelToken, JobId, JobKind, session::Session};
use crate::{
    embedding::{Embedder, Vectors},
    gallery::{cache_dir, content_hash, decode_rgb, folder_hash},
    study::{EmbeddingCosine, Generation, Problem},
};
use candle_core::{Device, Tensor, safetensors};
use image::RgbImage;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Images decoded at once.
const CHUNK: usize = 32;
/// Part of the cache's key: changes when embedders do.
const VERSION: &str = "embeddings-1";

/// An embedder, and the gallery as it sees it.
#[derive(Clone)]
pub(super) struct Embedded {
    pub embedder: Arc<Embedder>,
    pub vectors: Arc<Vectors>,
    /// Gallery index of every vector; images that cannot be read have none.
    pub rows: Arc<Vec<u32>>,
    /// Names gallery and embedder; empty when the gallery could not be hashed.
    pub key: String,
}

impl Session {
    /// The study's embedder, or the built-in descriptor when it names none or one that cannot be used (which is told).
    fn embedder(&self) -> (Embedder, String) {
        let Some(path) = &self.outline.embedder else {
            return (Embedder::BuiltIn, "built-in".into());
        };
        let opened = Embedder::open(path).map_err(|e| e.to_string());
        let hash = if path.is_dir() {
            folder_hash(path)
        } else {
            content_hash(path)
        };
        match (opened, hash) {
            (Ok(embedder), Ok(hash)) => (embedder, hash),
            (Err(reason), _) => self.no_embedder(path, reason),
            (_, Err(error)) => self.no_embedder(path, error.to_string()),
        }
    }

    fn no_embedder(&self, path: &Path, reason: String) -> (Embedder, String) {
        self.notice(
            Problem::new(
                "The embedder cannot be used",
                super::fetch_advice(path).unwrap_or_else(|| {
                    "The built-in descriptor stands in. Correct [embedder] in study.toml and open the study again."
                        .into()
                }),
            )
            .at(path)
            .detail(reason),
        );
        (Embedder::BuiltIn, "built-in".into())
    }

    /// The gallery's embeddings: those at hand, those in the cache, or new ones; `None` when stopped.
    pub(super) fn embeddings(
        &mut self,
        id: JobId,
        cancel: &CancelToken,
    ) -> Result<Option<Embedded>, Problem> {
        if let Some(known) = &self.embedded {
            return Ok(Some(known.clone()));
        }
        let (embedder, hash) = self.embedder();
        let key = if self.hashes.gallery.is_empty() {
            String::new()
        } else {
            let text = format!("{VERSION}\0{}\0{}\0{hash}", self.hashes.gallery, embedder.name());
            hex::encode(Sha256::digest(text))
        };
        let file = cache_file(&key, "embeddings");
        let kept = file.as_deref().and_then(|f| read(f, embedder.dim()));
        let (vectors, rows) = match kept {
            Some(kept) => kept,
            None => {
                let Some((vectors, rows)) = self.embed_gallery(id, cancel, &embedder) else {
                    return Ok(None);
                };
                if let Some(file) = &file
                    && let Err(error) = write(file, &vectors, &rows)
                {
                    log::warn!("{}: embeddings are not kept: {error}", file.display());
                }
                (vectors, rows)
            }
        };
        let embedded = Embedded {
            embedder: Arc::new(embedder),
            vectors: Arc::new(vectors),
            rows: Arc::new(rows),
            key,
        };
        self.embedded = Some(embedded.clone());
        Ok(Some(embedded))
    }

    /// Cosine of a picture and its best training image, when the study names an embedder.
    pub(super) fn embedding_of(&self, image: &RgbImage, generation: &Generation) -> Option<EmbeddingCosine> {
        let embedded = self.embedded.as_ref().filter(|e| !e.embedder.is_built_in())?;
        let best = generation.matches.first()?.gallery;
        let row = embedded.rows.binary_search(&best).ok()?;
        let vector = self.pool.install(|| embedded.embedder.embed(image)).ok()?;
        Some(EmbeddingCosine {
            by: embedded.embedder.name().into(),
            cosine: embedded.vectors.cosine(row, &vector)?,
        })
    }

    fn embed_gallery(
        &self,
        id: JobId,
        cancel: &CancelToken,
        embedder: &Embedder,
    ) -> Option<(Vectors, Vec<u32>)> {
        let entries = &self.outline.gallery;
        let mut vectors = Vectors::new(embedder.dim());
        let mut rows = Vec::with_capacity(entries.len());
        let mut progress = self.teller.progress(id, JobKind::Embed, entries.len());
        for (chunk, some) in entries.chunks(CHUNK).enumerate() {
            if cancel.is_cancelled() {
                return None;
            }
            progress.at((chunk * CHUNK) as f64);
            let embedded: Vec<Option<Vec<f32>>> = self.pool.install(|| {
                some.par_iter()
                    .map(|entry| embedder.embed(&decode_rgb(&entry.path).ok()?).ok())
                    .collect()
            });
            for (i, vector) in embedded.into_iter().enumerate() {
                // Images that cannot be read were told when the gallery was prepared.
                if vector.is_some_and(|v| vectors.push(&v)) {
                    rows.push((chunk * CHUNK + i) as u32);
                }
            }
        }
        progress.at(entries.len() as f64);
        Some((vectors, rows))
    }
}

/// Where something computed from embeddings is kept; `None` without a key or a cache folder.
pub(super) fn cache_file(key: &str, what: &str) -> Option<PathBuf> {
    let folder = cache_dir().ok()?.join("embeddings");
    fs::create_dir_all(&folder).ok()?;
    Some(folder.join(format!("{}-{what}.safetensors", key.get(..24)?)))
}

fn read(file: &Path, dim: usize) -> Option<(Vectors, Vec<u32>)> {
    let tensors = safetensors::load(file, &Device::Cpu).ok()?;
    let vectors = tensors
        .get("vectors")
        .filter(|t| t.rank() == 2 && t.dims()[1] == dim)?;
    let rows: Vec<u32> = tensors.get("rows")?.to_vec1().ok()?;
    let values = vectors.flatten_all().ok()?.to_vec1().ok()?;
    let vectors = Vectors::from_values(dim, values)?;
    (vectors.len() == rows.len()).then_some((vectors, rows))
}

fn write(file: &Path, vectors: &Vectors, rows: &[u32]) -> candle_core::Result<()> {
    let shape = (vectors.len(), vectors.dim());
    let tensors = HashMap::from([
        (
            "vectors",
            Tensor::from_slice(vectors.values(), shape, &Device::Cpu)?,
        ),
        ("rows", Tensor::from_slice(rows, rows.len(), &Device::Cpu)?),
    ]);
    save(file, &tensors)
}

/// Writes under another name first, so that no half-written file is ever found.
pub(super) fn save(file: &Path, tensors: &HashMap<&str, Tensor>) -> candle_core::Result<()> {
    let partial = file.with_extension(format!("{}.part", std::process::id()));
    safetensors::save(tensors, &partial)?;
    Ok(fs::rename(&partial, file)?)
}
