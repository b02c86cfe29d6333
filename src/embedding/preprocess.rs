//! From a picture to a network's input, as the field's own pipelines do it: Pillow's resize on bytes, then floats.

use super::EmbeddingError;
use crate::similarity::{Filter, resize_rgb};
use candle_core::{Device, Tensor};
use image::{RgbImage, imageops};

const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
/// Longest side of a resized picture; a strip of 1 × 60 000 pixels must not become one of 288 × 17 million.
const LONGEST: u32 = 4096;

/// What size a picture is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The shorter side becomes this long, the other in proportion (rounded down, as torchvision does).
    Shorter(u32),
    /// Both sides become this long, whatever the proportions.
    Stretched(u32),
    /// The shorter side becomes the first length, then the middle square of the second is taken.
    Cropped(u32, u32),
}

/// How a picture becomes a network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocessing {
    /// Size.
    pub shape: Shape,
    /// Interpolation.
    pub filter: Filter,
    /// Subtracted per channel, of values in `[0, 1]`.
    pub mean: [f32; 3],
    /// Divided by per channel.
    pub std: [f32; 3],
}

impl Preprocessing {
    /// SSCD's evaluation: shorter side 288, bilinear.
    pub const SMALL_288: Self = Self::imagenet(Shape::Shorter(288), Filter::Bilinear);
    /// SSCD with a stretch to 320², as NeMo's metrics and FB-Mem's baseline use it.
    pub const SKEW_320: Self = Self::imagenet(Shape::Stretched(320), Filter::Bilinear);
    /// DINOv2's image processor: shorter side 256, bicubic, middle 224².
    pub const DINOV2: Self = Self::imagenet(Shape::Cropped(256, 224), Filter::Bicubic);

    const fn imagenet(shape: Shape, filter: Filter) -> Self {
        Self {
            shape,
            filter,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        }
    }

    /// CLIP's image processor for pictures of `side`².
    pub fn clip(side: u32) -> Self {
        Self {
            shape: Shape::Cropped(side, side),
            filter: Filter::Bicubic,
            mean: CLIP_MEAN,
            std: CLIP_STD,
        }
    }

    /// The input `[1, 3, h, w]`.
    ///
    /// # Errors
    /// For a picture without pixels.
    pub fn apply(&self, image: &RgbImage) -> Result<Tensor, EmbeddingError> {
        let (w, h) = image.dimensions();
        if w == 0 || h == 0 {
            return Err(EmbeddingError::Empty);
        }
        let shorter = |side: u32| {
            let long = |a: u32, b: u32| ((u64::from(side) * u64::from(a) / u64::from(b)) as u32).min(LONGEST);
            if w <= h {
                (side, long(h, w))
            } else {
                (long(w, h), side)
            }
        };
        let resized = match self.shape {
            Shape::Shorter(side) => {
                let (w, h) = shorter(side);
                resize_rgb(image, w, h, self.filter)
            }
            Shape::Stretched(side) => resize_rgb(image, side, side, self.filter),
            Shape::Cropped(side, crop) => {
                let (w, h) = shorter(side);
                let wide = resize_rgb(image, w, h, self.filter);
                imageops::crop_imm(&wide, (w - crop) / 2, (h - crop) / 2, crop, crop).to_image()
            }
        };
        let (w, h) = (resized.width() as usize, resized.height() as usize);
        let mut planes = vec![0.0_f32; 3 * w * h];
        for (i, pixel) in resized.pixels().enumerate() {
            for c in 0..3 {
                planes[c * w * h + i] = (f32::from(pixel.0[c]) / 255.0 - self.mean[c]) / self.std[c];
            }
        }
        Ok(Tensor::from_vec(planes, (1, 3, h, w), &Device::Cpu)?)
    }
}
