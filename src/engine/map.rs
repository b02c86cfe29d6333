//! The gallery on a plane: embeddings, laid out so that near ones are neighbours; kept in the cache.

use super::{
    CancelToken, Event, GalleryMap, JobId, JobKind,
    embeddings::{Embedded, cache_file, save},
    session::Session,
    worker::Outcome,
};
use crate::{embedding, study::Problem};
use candle_core::{Device, Tensor, safetensors};
use std::{collections::HashMap, path::Path, sync::Arc};

/// Steps that the layout's progress is told in.
const STEPS: usize = 100;

impl Session {
    /// Lays the gallery out; see [`super::Job::Map`].
    pub fn map(&mut self, id: JobId, cancel: &CancelToken) -> Result<Outcome, Problem> {
        if self.outline.gallery.is_empty() {
            return Err(Problem::new(
                "There is no gallery to lay out",
                "Open a folder of training images.",
            ));
        }
        let Some(embedded) = self.embeddings(id, cancel)? else {
            return Ok(Outcome::Stopped);
        };
        let file = cache_file(&embedded.key, "map");
        let kept = file.as_deref().and_then(|f| read(f, embedded.rows.len()));
        let places = match kept {
            Some(places) => places,
            None => {
                let Some(places) = self.lay_out(id, cancel, &embedded) else {
                    return Ok(Outcome::Stopped);
                };
                if let Some(file) = &file
                    && let Err(error) = write(file, &places)
                {
                    log::warn!("{}: the map is not kept: {error}", file.display());
                }
                places
            }
        };
        self.teller.tell(Event::Map(Arc::new(GalleryMap {
            source: embedded.embedder.name().into(),
            gallery: embedded.rows.to_vec(),
            places,
        })));
        Ok(Outcome::Done)
    }

    fn lay_out(&self, id: JobId, cancel: &CancelToken, embedded: &Embedded) -> Option<Vec<[f32; 2]>> {
        let mut progress = self.teller.progress(id, JobKind::Map, STEPS);
        let mut step = |share: f32| {
            progress.at(f64::from(share) * STEPS as f64);
            cancel.is_cancelled()
        };
        self.pool
            .install(|| embedding::layout(&embedded.vectors, &mut step))
    }
}

fn read(file: &Path, count: usize) -> Option<Vec<[f32; 2]>> {
    let tensors = safetensors::load(file, &Device::Cpu).ok()?;
    let places = tensors.get("places").filter(|t| t.dims() == [count, 2])?;
    let values: Vec<f32> = places.flatten_all().ok()?.to_vec1().ok()?;
    let places = values.as_chunks::<2>().0.to_vec();
    places.iter().flatten().all(|v| v.is_finite()).then_some(places)
}

fn write(file: &Path, places: &[[f32; 2]]) -> candle_core::Result<()> {
    let values = places.as_flattened();
    let places = Tensor::from_slice(values, (places.len(), 2), &Device::Cpu)?;
    save(file, &HashMap::from([("places", places)]))
}
