//! Other measures of a picture and its best training image.

use super::{picture::read_with_matte, session::Session};
use crate::{
    similarity::measure_pair,
    study::{Generation, Measures},
};
use image::{GrayImage, RgbImage};

impl Session {
    /// Measures a compared picture; what cannot be read or embedded is left out.
    pub(super) fn measures_of(
        &self,
        image: &RgbImage,
        matte: &GrayImage,
        generation: &Generation,
    ) -> Measures {
        let best = generation.matches.first();
        let entry = best.and_then(|m| self.outline.gallery.get(m.gallery as usize));
        let training = entry.and_then(|entry| read_with_matte(entry, self.segmenter.as_ref()).ok());
        let pair = training.and_then(|(other, alpha)| {
            self.pool
                .install(|| measure_pair((image, matte), (&other, &alpha)))
        });
        Measures {
            pair,
            embedding: self.embedding_of(image, generation),
        }
    }
}
