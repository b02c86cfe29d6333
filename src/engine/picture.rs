//! A picture from disk with its matte.

use crate::{
    gallery::{decode_matte, decode_rgb},
    segmentation::Segmenter,
    study::GalleryImage,
};
use image::{GrayImage, RgbImage};

/// A picture and its matte: the ready-made one, else the segmenter's.
///
/// # Errors
/// A sentence: the file cannot be read, or the matte does not fit.
pub fn read_with_matte(
    entry: &GalleryImage,
    segmenter: Option<&Segmenter>,
) -> Result<(RgbImage, GrayImage), String> {
    let image = decode_rgb(&entry.path).map_err(|e| e.to_string())?;
    let matte = match (&entry.matte, segmenter) {
        (Some(path), _) => decode_matte(path).map_err(|e| e.to_string())?,
        (None, Some(segmenter)) => segmenter.segment(&image).map_err(|e| e.to_string())?.alpha,
        (None, None) => return Err("it has no matte and there is no segmenter".to_owned()),
    };
    if matte.dimensions() != image.dimensions() {
        let ((w, h), (mw, mh)) = (image.dimensions(), matte.dimensions());
        return Err(format!("its matte is {mw}×{mh}, the picture {w}×{h}"));
    }
    Ok((image, matte))
}
