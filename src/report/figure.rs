//! The pictures of a report: a generated picture, its heat map and its training image, small and self-contained.

use crate::{
    gallery::{decode_matte, decode_rgb, thumbnail},
    render::{OverlayParams, Pictures, flags, render_reference},
    similarity::{local_map, resize_lanczos_rgb},
    study::GalleryImage,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use image::{ImageEncoder, RgbImage, codecs::jpeg::JpegEncoder};
use std::{path::Path, sync::Arc};

/// Quality of the pictures in the document.
const QUALITY: u8 = 88;

/// Pictures of one pair, ready for an `img` element.
pub(super) struct Figure {
    /// The generated picture.
    pub generated: String,
    /// Its heat map over the best training image; `None` without matte or training image.
    pub heat: Option<String>,
    /// The training image, stretched to the generated picture's size as the metric stretches it.
    pub training: Option<String>,
}

/// A pair with everything the overlay needs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Overlaid {
    pictures: Pictures,
    size: (u32, u32),
}

/// Reads a pair: the generated picture and its matte, and the training image if it is at hand.
///
/// # Errors
/// A sentence when the generated picture cannot be read. A matte or training image that cannot be read is left out.
pub fn overlaid(
    image: &Path,
    matte: Option<&Path>,
    training: Option<&GalleryImage>,
) -> Result<Overlaid, String> {
    let generated = decode_rgb(image).map_err(|e| e.to_string())?;
    let size = generated.dimensions();
    let matte = matte.and_then(|m| decode_matte(m).ok());
    let training = training.and_then(|t| decode_rgb(&t.path).ok());
    let similarity = training.as_ref().map(|t| Arc::new(local_map(&generated, t)));
    let training = training.map(|t| Arc::new(resize_lanczos_rgb(&t, size.0, size.1)));
    Ok(Overlaid {
        pictures: Pictures {
            generated: Some(Arc::new(generated)),
            training,
            similarity,
            compared: None,
            matte: matte.filter(|m| m.dimensions() == size).map(Arc::new),
            ..Pictures::default()
        },
        size,
    })
}

impl Overlaid {
    /// A pair as the Stage holds it.
    pub fn of(pictures: Pictures) -> Option<Self> {
        let size = pictures.generated.as_ref()?.dimensions();
        Some(Self { pictures, size })
    }

    /// Makes the similarity that only the graphics card has made so far.
    pub fn with_similarity(mut self) -> Self {
        let pictures = &mut self.pictures;
        if let (None, Some(generated), Some([_, training])) =
            (&pictures.similarity, &pictures.generated, &pictures.compared)
        {
            pictures.similarity = Some(Arc::new(local_map(generated, training)));
        }
        self
    }

    /// Whether there is a training image to reveal.
    pub fn has_training(&self) -> bool {
        self.pictures.training.is_some()
    }

    /// The picture drawn with these settings, pixel for pixel; size, place and what is there are filled in.
    pub fn draw(&self, settings: OverlayParams) -> RgbImage {
        let (width, height) = self.size;
        let size = [width.max(1) as f32, height.max(1) as f32];
        let flag = self.pictures.flags() | (settings.flags & flags::SPLIT);
        let view = OverlayParams {
            viewport: size,
            image: size,
            pan: [0.0; 2],
            zoom: 1.0,
            crisp: 1.0,
            flags: flag,
            ..settings
        };
        render_reference(&self.pictures, &view, width.max(1), height.max(1))
    }

    fn has_maps(&self) -> bool {
        self.pictures.similarity.is_some() && self.pictures.matte.is_some()
    }

    /// The three pictures of the document, at most `side` pixels long.
    pub(super) fn figure(&self, side: u32) -> Figure {
        let small = |image: &RgbImage| data_uri(&thumbnail(image, side));
        let empty = RgbImage::new(1, 1);
        Figure {
            generated: small(self.pictures.generated.as_deref().unwrap_or(&empty)),
            heat: self
                .has_maps()
                .then(|| small(&self.draw(OverlayParams::default()))),
            training: self.pictures.training.as_deref().map(small),
        }
    }
}

/// A picture as a `data:` address.
fn data_uri(image: &RgbImage) -> String {
    let mut bytes = Vec::new();
    let written = JpegEncoder::new_with_quality(&mut bytes, QUALITY).write_image(
        image,
        image.width(),
        image.height(),
        image::ExtendedColorType::Rgb8,
    );
    // Writing into memory fails for no picture that was decoded.
    if let Err(e) = written {
        log::warn!("a picture of the report is left out: {e}");
    }
    format!("data:image/jpeg;base64,{}", BASE64_STANDARD.encode(bytes))
}
