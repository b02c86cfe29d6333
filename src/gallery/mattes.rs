//! Mattes made before: in the cache folder, one PNG per picture and segmenter, so that a picture is segmented once
//! ever, whatever else about its study changes. The key of a picture is the hash of its pixels.

use super::{cache_dir, decode_matte};
use crate::study::Problem;
use image::{GrayImage, RgbImage};
use sha2::{Digest, Sha256};
use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

/// The mattes of one segmenter. Files may vanish at any time; a matte is then made again.
#[derive(Clone, Debug)]
pub struct MatteCache {
    folder: PathBuf,
}

/// Names a picture by what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureKey(String);

impl MatteCache {
    /// The mattes of the segmenter with this hash (of its weights and settings).
    ///
    /// # Errors
    /// When there is no cache folder and none can be made.
    pub fn open(segmenter: &str) -> Result<Self, Problem> {
        let name: String = segmenter
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(24)
            .collect();
        Ok(Self {
            folder: cache_dir()?.join("mattes").join(name),
        })
    }

    /// The key of a picture.
    pub fn key(image: &RgbImage) -> PictureKey {
        let mut hasher = Sha256::new();
        hasher.update(image.width().to_le_bytes());
        hasher.update(image.height().to_le_bytes());
        hasher.update(image.as_raw());
        PictureKey(hex::encode(hasher.finalize()))
    }

    /// Whether there is a matte of this picture.
    pub fn has(&self, key: &PictureKey) -> bool {
        self.file(key).is_file()
    }

    /// The matte of this picture, if there is a whole one of its size.
    pub fn get(&self, key: &PictureKey, image: &RgbImage) -> Option<GrayImage> {
        let file = self.file(key);
        if !file.is_file() {
            return None;
        }
        let matte = decode_matte(&file).ok()?;
        (matte.dimensions() == image.dimensions()).then_some(matte)
    }

    /// Keeps a matte, with `text` about how it was made.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(
        &self,
        key: &PictureKey,
        matte: &GrayImage,
        text: &[(&'static str, String)],
    ) -> io::Result<()> {
        let file = self.file(key);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        write_matte(&file, matte, text)
    }

    /// Two letters of the key are a folder of their own: a folder of a million files is slow.
    fn file(&self, PictureKey(key): &PictureKey) -> PathBuf {
        self.folder.join(&key[..2]).join(&key[2..]).with_extension("png")
    }
}

/// Writes a matte as 8-bit grey PNG with text chunks, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_matte(file: &Path, matte: &GrayImage, text: &[(&'static str, String)]) -> io::Result<()> {
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    // A matte is no secret; by default temporary files are their owner's only.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut part = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    let mut encoder = png::Encoder::new(io::BufWriter::new(&mut part), matte.width(), matte.height());
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    for (keyword, value) in text {
        encoder.add_itxt_chunk((*keyword).to_owned(), value.clone())?;
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(matte)?;
    writer.finish()?;
    part.flush()?;
    part.persist(file).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Luma, Rgb};

    #[test]
    fn a_matte_comes_back_for_the_same_pixels_only() {
        let folder = tempfile::tempdir().unwrap();
        let cache = MatteCache {
            folder: folder.path().join("mattes/abc"),
        };
        let image = RgbImage::from_fn(5, 3, |x, y| Rgb([x as u8, y as u8, 7]));
        let matte = GrayImage::from_fn(5, 3, |x, _| Luma([x as u8 * 50]));
        let key = MatteCache::key(&image);
        assert!(!cache.has(&key) && cache.get(&key, &image).is_none());
        cache.put(&key, &matte, &[("network", "u2netp".into())]).unwrap();
        assert!(cache.has(&key));
        assert_eq!(cache.get(&key, &image), Some(matte.clone()));
        // Other pixels, and the same pixels in another shape.
        let mut other = image.clone();
        other.put_pixel(4, 2, Rgb([0, 0, 0]));
        assert_ne!(MatteCache::key(&other), key);
        let turned = RgbImage::from_raw(3, 5, image.as_raw().clone()).unwrap();
        assert_ne!(MatteCache::key(&turned), key);
        // A damaged file is as good as none.
        fs::write(cache.file(&key), b"torn").unwrap();
        assert!(cache.get(&key, &image).is_none());
        cache.put(&key, &matte, &[]).unwrap();
        assert_eq!(cache.get(&key, &image), Some(matte));
    }
}
