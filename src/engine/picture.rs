//! A picture from disk with its matte.

use crate::{
    gallery::{MatteCache, decode_matte, decode_rgb},
    segmentation::{SegmentationError, Segmenter},
    study::GalleryImage,
};
use image::{GrayImage, RgbImage};

/// A picture and its matte: the ready-made one, else the segmenter's, from the cache if it was made before.
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
        (None, Some(segmenter)) => {
            let matte = matte_of(segmenter, &image, &|| false);
            matte.map_err(|e| e.to_string())?
        }
        (None, None) => return Err("it has no matte and there is no segmenter".to_owned()),
    };
    if matte.dimensions() != image.dimensions() {
        let ((w, h), (mw, mh)) = (image.dimensions(), matte.dimensions());
        return Err(format!("its matte is {mw}×{mh}, the picture {w}×{h}"));
    }
    Ok((image, matte))
}

/// The segmenter's matte of a picture, from the cache if it was made before, else made and kept there. A cache that
/// cannot be written costs time, no more.
///
/// # Errors
/// What the segmenter says; [`SegmentationError::Stopped`] soon after `stop` says so.
pub fn matte_of(
    segmenter: &Segmenter,
    image: &RgbImage,
    stop: &dyn Fn() -> bool,
) -> Result<GrayImage, SegmentationError> {
    let cache = MatteCache::open(segmenter.weights_hash()).ok();
    let key = MatteCache::key(image);
    if let Some(matte) = cache.as_ref().and_then(|cache| cache.get(&key, image)) {
        return Ok(matte);
    }
    let matte = segmenter.segment_unless(image, stop)?;
    if let Some(Err(error)) = cache.map(|cache| cache.put(&key, &matte.alpha, &segmenter.provenance())) {
        log::warn!("a matte cannot be kept in the cache: {error}");
    }
    Ok(matte.alpha)
}
