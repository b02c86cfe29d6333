//! Segmenting the gallery, before its pyramids are built: with a large network this is by far the longest part of
//! opening a study, so it has a progress of its own, stops between layers, and keeps every matte it finished.

use super::{CancelToken, JobId, JobKind, picture::matte_of, session::Session, worker::Outcome};
use crate::{
    gallery::{MatteCache, decode_rgb},
    segmentation::{SegmentationError, Segmenter},
    study::GalleryImage,
};
use rayon::prelude::*;

/// Networks on pictures of at most this side leave threads idle; several pictures are then segmented at once.
const SMALL: u32 = 512;

impl Session {
    /// Makes the mattes that the gallery lacks, into the cache. What cannot be read or kept is left to those who need
    /// the matte, who say so.
    pub(super) fn segment_gallery(&self, id: JobId, cancel: &CancelToken) -> Outcome {
        let lacking: Vec<&GalleryImage> = self
            .outline
            .gallery
            .iter()
            .filter(|g| g.matte.is_none())
            .collect();
        let Some(segmenter) = self.segmenter.as_ref().filter(|_| !lacking.is_empty()) else {
            return Outcome::Done;
        };
        let Ok(cache) = MatteCache::open(segmenter.weights_hash()) else {
            return Outcome::Done;
        };
        let at_once = match segmenter.config().size <= SMALL {
            true => self.pool.current_num_threads(),
            false => 1,
        };
        let mut progress = self.teller.progress(id, JobKind::Segment, lacking.len());
        for (chunk, entries) in lacking.chunks(at_once).enumerate() {
            progress.at((chunk * at_once) as f64);
            let kept = self.pool.install(|| {
                entries
                    .par_iter()
                    .map(|entry| segment(entry, segmenter, &cache, cancel))
                    .reduce(|| true, |a, b| a && b)
            });
            if cancel.is_cancelled() {
                return Outcome::Stopped;
            }
            if !kept {
                // Everything would be made twice.
                return Outcome::Done;
            }
        }
        progress.at(lacking.len() as f64);
        Outcome::Done
    }
}

/// Whether the matte of a readable picture is in the cache now.
fn segment(entry: &GalleryImage, segmenter: &Segmenter, cache: &MatteCache, cancel: &CancelToken) -> bool {
    let Ok(image) = decode_rgb(&entry.path) else {
        return true;
    };
    let key = MatteCache::key(&image);
    if cache.has(&key) {
        return true;
    }
    match matte_of(segmenter, &image, &|| cancel.is_cancelled()) {
        Ok(_) => cache.has(&key),
        Err(SegmentationError::Stopped) => false,
        Err(_) => true,
    }
}
