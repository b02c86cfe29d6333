//! JPEG as Pillow writes and reads it: libjpeg's integer transform, quality 75, 4:2:0, standard tables.
//!
//! The `mozjpeg` crate builds its C library (a libjpeg-turbo) with nothing but a C compiler; with the
//! additions of MozJPEG switched off, its files are byte for byte those of Pillow 12
//! (`tests/similarity_parity.rs`).

use super::SimilarityError;
use image::RgbImage;
use mozjpeg::{ColorSpace, Compress, Decompress};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Quality of Pillow's `save` without options.
const QUALITY: f32 = 75.0;

/// A picture as the JPEG file that Pillow's `save("….jpg")` writes.
///
/// # Errors
/// When the picture has no pixels or a side above 65 500.
pub fn encode_jpeg(image: &RgbImage) -> Result<Vec<u8>, SimilarityError> {
    let (width, height) = image.dimensions();
    if width == 0 || height == 0 {
        return Err(SimilarityError::Empty(width, height));
    }
    guarded(|| {
        let mut file = Compress::new(ColorSpace::JCS_RGB);
        file.set_size(width as usize, height as usize);
        file.set_fastest_defaults(); // no trellis, no progressive scans: plain libjpeg
        file.set_optimize_coding(false);
        file.set_quality(QUALITY);
        let mut started = file.start_compress(Vec::new())?;
        started.write_scanlines(image.as_raw())?;
        started.finish()
    })
}

/// Decodes a JPEG file to RGB with libjpeg's arithmetic, as Pillow's `open(…).convert("RGB")`.
///
/// # Errors
/// When it is not a JPEG file, is damaged, has more than `max_pixels` pixels, or is not grey or YCbCr.
pub fn decode_jpeg(file: &[u8], max_pixels: u64) -> Result<RgbImage, SimilarityError> {
    let (size, pixels) = guarded(|| {
        let file = Decompress::new_mem(file)?;
        let size = (file.width(), file.height());
        if size.0 as u64 * size.1 as u64 > max_pixels {
            let reason = format!("{}×{} pixels are too many", size.0, size.1);
            return Err(io::Error::other(reason));
        }
        let mut rows = file.rgb()?;
        let pixels: Vec<u8> = rows.read_scanlines()?;
        rows.finish()?;
        Ok((size, pixels))
    })?;
    // Sides of a JPEG file have 16 bits.
    RgbImage::from_raw(size.0 as u32, size.1 as u32, pixels)
        .ok_or_else(|| SimilarityError::Jpeg("the file ends early".to_owned()))
}

/// Through JPEG and back.
pub(super) fn through_jpeg(image: &RgbImage) -> Result<RgbImage, SimilarityError> {
    decode_jpeg(&encode_jpeg(image)?, u64::MAX)
}

/// libjpeg reports trouble by unwinding; here it becomes an error.
fn guarded<T>(work: impl FnOnce() -> io::Result<T>) -> Result<T, SimilarityError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(SimilarityError::Jpeg(error.to_string())),
        Err(message) => Err(SimilarityError::Jpeg(
            message
                .downcast::<String>()
                .map_or_else(|_| "the library gave up".to_owned(), |text| *text),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_and_oversized_files_are_errors() {
        let picture = RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * 6) as u8, (y * 8) as u8, 90]));
        let file = encode_jpeg(&picture).unwrap();
        assert_eq!(decode_jpeg(&file, 1200).unwrap().dimensions(), (40, 30));
        assert!(decode_jpeg(&file, 1199).is_err());
        assert!(decode_jpeg(&file[..20], 1200).is_err());
        assert!(decode_jpeg(b"no picture", 1200).is_err());
        assert!(decode_jpeg(&[], 1200).is_err());
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0xff;
            decode_jpeg(&damaged, 1 << 16).ok();
        }
        assert!(encode_jpeg(&RgbImage::new(0, 3)).is_err());
    }
}
