//! The result of segmenting, or a ready-made one from a file.

use super::SegmentationError;
use image::{GrayImage, ImageReader, Limits};
use std::path::Path;

/// Where a picture's foreground is.
#[derive(Clone, Debug)]
pub struct Matte {
    /// Of the picture's size; 255 = foreground, 0 = background.
    pub alpha: GrayImage,
    /// The largest probability before any stretching, in `[0, 1]`: below 0.5 there hardly is a
    /// foreground.
    pub confidence: f32,
}

impl Matte {
    /// A ready-made matte; its confidence is its largest value.
    pub fn new(alpha: GrayImage) -> Self {
        let most = alpha.as_raw().iter().copied().max().unwrap_or(0);
        Self {
            alpha,
            confidence: f32::from(most) / 255.0,
        }
    }

    /// Reads a matte from a picture file of any colour type (as grey), for a picture of `width`×`height`.
    ///
    /// # Errors
    /// When the file cannot be read or decoded, or has another size.
    pub fn open(path: &Path, width: u32, height: u32) -> Result<Self, SegmentationError> {
        let io = |source| SegmentationError::Io {
            path: path.to_owned(),
            source,
        };
        let decode = |e: image::ImageError| SegmentationError::MatteFile {
            path: path.to_owned(),
            message: e.to_string(),
        };
        let reader = || {
            ImageReader::open(path)
                .and_then(ImageReader::with_guessed_format)
                .map_err(io)
        };
        // The size first, so that a foreign picture is refused before it is decoded.
        let size = reader()?.into_dimensions().map_err(decode)?;
        if size != (width, height) {
            return Err(SegmentationError::MatteSize {
                path: path.to_owned(),
                matte: size,
                image: (width, height),
            });
        }
        let mut reader = reader()?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(width);
        limits.max_image_height = Some(height);
        reader.limits(limits);
        Ok(Self::new(reader.decode().map_err(decode)?.to_luma8()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_must_have_its_pictures_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        GrayImage::from_pixel(6, 4, image::Luma([200]))
            .save(&path)
            .unwrap();
        let matte = Matte::open(&path, 6, 4).unwrap();
        assert!((matte.confidence - 200.0 / 255.0).abs() < 1e-6 && matte.alpha.dimensions() == (6, 4));
        let message = Matte::open(&path, 4, 6).unwrap_err().to_string();
        assert!(message.contains("6×4") && message.contains("4×6") && message.contains("a.png"));
        std::fs::write(&path, b"not a picture").unwrap();
        assert!(Matte::open(&path, 6, 4).is_err());
        assert!(Matte::open(&folder.path().join("b.png"), 6, 4).is_err());
    }
}
