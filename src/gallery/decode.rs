//! Bounded decoding of image files that came from anywhere.

use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageError, ImageReader, Limits, RgbImage, RgbaImage, imageops,
    metadata::Orientation,
};
use std::{
    fs::File,
    io::{self, Cursor, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

/// Largest number of pixels that is decoded: 64 megapixels.
pub const MAX_PIXELS: u64 = 64 << 20;
/// Largest side that is decoded, in pixels.
pub const MAX_SIDE: u32 = 20_000;
/// Largest image file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;
/// Most memory a decoder may ask for: [`MAX_PIXELS`] of four 16-bit channels.
const MAX_ALLOC: u64 = MAX_PIXELS * 8;

/// Why an image could not be decoded. Every variant names the file.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A folder, a pipe, a device.
    #[error("{}: not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Empty file.
    #[error("{}: the file is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("{}: the file has {} MB; at most {} MB are read", path.display(), bytes >> 20, MAX_FILE_BYTES >> 20)]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The first bytes belong to no format we read.
    #[error("{}: not an image of a known format (PNG, JPEG, WebP, GIF, BMP, TIFF)", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// Width or height above [`MAX_SIDE`], or more pixels than [`MAX_PIXELS`], or none at all.
    #[error(
        "{}: declares {width} × {height} pixels; at most {MAX_SIDE} on a side and {} megapixels are decoded",
        path.display(), MAX_PIXELS >> 20
    )]
    PictureTooLarge {
        /// The file.
        path: PathBuf,
        /// Declared width.
        width: u32,
        /// Declared height.
        height: u32,
    },
    /// Damaged, or of a kind the decoder does not know.
    #[error("{}: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        reason: String,
    },
}

/// Decodes an image to 8-bit RGB. The format is told from the content, not from the name. EXIF orientation
/// is applied once; an animation gives its first frame; 16-bit samples are rounded to 8; grey is spread to
/// three channels; alpha is dropped without compositing, as Pillow's `convert("RGB")` does.
///
/// # Errors
/// [`DecodeError`], within the bounds [`MAX_FILE_BYTES`], [`MAX_SIDE`] and [`MAX_PIXELS`].
pub fn decode_rgb(path: &Path) -> Result<RgbImage, DecodeError> {
    decode(path).map(DynamicImage::into_rgb8)
}

/// As [`decode_rgb`], with alpha; 255 where the picture has none.
///
/// # Errors
/// As [`decode_rgb`].
pub fn decode_rgba(path: &Path) -> Result<RgbaImage, DecodeError> {
    decode(path).map(DynamicImage::into_rgba8)
}

/// Decodes a matte (255 = foreground). A picture with transparency carries its matte as alpha (the
/// reference's `foreground/{i}.png`); any other one as brightness (Pillow's `convert("L")` weights).
///
/// # Errors
/// As [`decode_rgb`].
pub fn decode_matte(path: &Path) -> Result<GrayImage, DecodeError> {
    let image = decode(path)?;
    if image.color().has_alpha() {
        let rgba = image.to_rgba8();
        if rgba.pixels().any(|p| p.0[3] != 255) {
            return Ok(GrayImage::from_fn(rgba.width(), rgba.height(), |x, y| {
                image::Luma([rgba.get_pixel(x, y).0[3]])
            }));
        }
    }
    if !image.color().has_color() {
        return Ok(image.into_luma8());
    }
    let rgb = image.into_rgb8();
    Ok(GrayImage::from_fn(rgb.width(), rgb.height(), |x, y| {
        let [r, g, b] = rgb.get_pixel(x, y).0.map(u32::from);
        // At most (2^16 · 255 + 2^15) >> 16 = 255: the weights sum to 2^16.
        image::Luma([((19595 * r + 38470 * g + 7471 * b + 32768) >> 16) as u8])
    }))
}

/// A copy that is at most `max_side` pixels on its longer side (at least 1); never enlarged.
pub fn thumbnail(image: &RgbImage, max_side: u32) -> RgbImage {
    let (width, height) = image.dimensions();
    let longest = width.max(height);
    let max_side = max_side.max(1);
    if longest <= max_side {
        return image.clone();
    }
    let scaled = |side: u32| {
        let exact = u64::from(side) * u64::from(max_side) + u64::from(longest) / 2;
        u32::try_from(exact / u64::from(longest))
            .unwrap_or(max_side)
            .max(1)
    };
    imageops::thumbnail(image, scaled(width), scaled(height))
}

/// As [`decode_rgb`], from bytes that are in memory; `name` stands for the file in messages.
///
/// # Errors
/// As [`decode_rgb`].
pub fn decode_rgb_bytes(name: &Path, bytes: &[u8]) -> Result<RgbImage, DecodeError> {
    guarded(name, bytes).map(DynamicImage::into_rgb8)
}

fn decode(path: &Path) -> Result<DynamicImage, DecodeError> {
    guarded(path, &read_image_file(path)?)
}

fn guarded(path: &Path, bytes: &[u8]) -> Result<DynamicImage, DecodeError> {
    // The decoders are other people's code fed with untrusted bytes: a panic in one of them must cost one
    // image, not the run. Everything it touched is dropped here.
    catch_unwind(AssertUnwindSafe(|| decode_bytes(path, bytes))).unwrap_or_else(|_| {
        Err(DecodeError::Broken {
            path: path.to_owned(),
            reason: "the decoder failed on it".to_owned(),
        })
    })
}

/// Reads an image file without decoding it.
///
/// # Errors
/// When it cannot be read, is no file, is empty, or larger than [`MAX_FILE_BYTES`].
pub fn read_image_file(path: &Path) -> Result<Vec<u8>, DecodeError> {
    let unreadable = |source| DecodeError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(DecodeError::NotAFile {
            path: path.to_owned(),
        });
    }
    let too_large = |bytes| DecodeError::FileTooLarge {
        path: path.to_owned(),
        bytes,
    };
    if about.len() > MAX_FILE_BYTES {
        return Err(too_large(about.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0));
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    if bytes.is_empty() {
        return Err(DecodeError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

fn decode_bytes(path: &Path, bytes: &[u8]) -> Result<DynamicImage, DecodeError> {
    let broken = |e: ImageError| DecodeError::Broken {
        path: path.to_owned(),
        reason: reason(&e),
    };
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|source| DecodeError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
    if reader.format().is_none() {
        return Err(DecodeError::UnknownFormat {
            path: path.to_owned(),
        });
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOC);
    // Sides are checked below, where the message can name them.
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MAX_PIXELS || width.max(height) > MAX_SIDE || decoder.total_bytes() > MAX_ALLOC
    {
        return Err(DecodeError::PictureTooLarge {
            path: path.to_owned(),
            width,
            height,
        });
    }
    // Broken EXIF data does not make a picture unreadable.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(broken)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn reason(error: &ImageError) -> String {
    match error {
        ImageError::Limits(_) => format!("needs more than {} MB of memory to decode", MAX_ALLOC >> 20),
        ImageError::Unsupported(e) => format!("a kind of image that is not supported ({e})"),
        ImageError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            "the file ends too early".to_owned()
        }
        other => format!("damaged ({other})"),
    }
}
