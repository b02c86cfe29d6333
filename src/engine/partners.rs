//! Training images made ready beside the picture on the Stage before they are chosen, so that choosing one shows it
//! in the same frame.

use super::{shelf::Shelf, small::is_only_a_name};
use crate::{
    gallery::decode_rgb,
    similarity::{local_map, resize_lanczos_rgb},
    study::GenerationKey,
};
use image::{GrayImage, RgbImage};
use std::sync::Arc;

/// Side of the pictures that are compared, in pixels.
const SIDE: u32 = 512;
/// Pictures with more pixels are not held ready: five of them would take hundreds of megabytes.
const MOST_PIXELS: u64 = 2048 * 2048;

/// Training images that may be chosen next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartnersRequest {
    /// The generated picture.
    pub generation: GenerationKey,
    /// Variant that drew it; `None` for the checkpoint as it is.
    pub variant: Option<Arc<str>>,
    /// Gallery indices, the likeliest first.
    pub gallery: Vec<u32>,
    /// Make the local maps too: the graphics card cannot.
    pub maps: bool,
}

/// A training image ready to stand beside a generated picture.
#[derive(Clone, Debug)]
pub struct Partner {
    /// The generated picture.
    pub generation: GenerationKey,
    /// Variant that drew it; `None` for the checkpoint as it is.
    pub variant: Option<Arc<str>>,
    /// Gallery index of the training image.
    pub gallery: u32,
    /// It, stretched to the generated picture's size.
    pub training: Arc<RgbImage>,
    /// The generated picture and the training image at the metric's 512².
    pub compared: [Arc<RgbImage>; 2],
    /// The local map, where it was asked for.
    pub similarity: Option<Arc<GrayImage>>,
}

/// What is left of a request, one image at a time.
#[derive(Default)]
pub struct Waiting {
    request: PartnersRequest,
    done: usize,
    /// The generated picture, as it is and at 512².
    generated: Option<[Arc<RgbImage>; 2]>,
}

impl Waiting {
    /// Nothing of it is done.
    pub fn new(request: PartnersRequest) -> Self {
        Self {
            request,
            ..Self::default()
        }
    }

    /// Whether all is done.
    pub fn is_empty(&self) -> bool {
        self.done >= self.request.gallery.len()
    }

    /// The next one. `None` when it cannot be read: choosing it tells why.
    pub fn next(&mut self, shelf: &Shelf) -> Option<Partner> {
        let gallery = *self.request.gallery.get(self.done)?;
        self.done += 1;
        let request = &self.request;
        if self.generated.is_none() {
            let generation = shelf.generation(request.generation, request.variant.clone());
            let image = generation.filter(|g| !is_only_a_name(&g.image));
            let image = image.and_then(|g| decode_rgb(&g.image).ok());
            let fits = |i: &RgbImage| u64::from(i.width()) * u64::from(i.height()) <= MOST_PIXELS;
            let Some(image) = image.filter(fits).map(Arc::new) else {
                self.done = self.request.gallery.len();
                return None;
            };
            let small = sized(&image, (SIDE, SIDE));
            self.generated = Some([image, small]);
        }
        let [generated, small] = self.generated.as_ref()?;
        let outline = shelf.outline();
        let entry = outline.gallery.get(gallery as usize);
        let training = Arc::new(decode_rgb(&entry.filter(|e| !is_only_a_name(&e.path))?.path).ok()?);
        let compared = sized(&training, (SIDE, SIDE));
        let shown = match generated.dimensions() {
            (SIDE, SIDE) => compared.clone(),
            size => sized(&training, size),
        };
        Some(Partner {
            generation: request.generation,
            variant: request.variant.clone(),
            gallery,
            similarity: request.maps.then(|| Arc::new(local_map(generated, &training))),
            training: shown,
            compared: [small.clone(), compared],
        })
    }
}

fn sized(image: &Arc<RgbImage>, size: (u32, u32)) -> Arc<RgbImage> {
    if image.dimensions() == size {
        image.clone()
    } else {
        Arc::new(resize_lanczos_rgb(image, size.0, size.1))
    }
}
