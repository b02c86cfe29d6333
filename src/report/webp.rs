//! Animated WebP. The crates at hand write still WebP only; an animation is the same losslessly coded pictures in a
//! container of a few fields (RFC 9649, section 2.7).

use image::{ExtendedColorType, ImageEncoder as _, ImageError, RgbImage, codecs::webp::WebPEncoder};
use std::time::Duration;

/// Largest side the container can hold.
const MOST_SIDE: u32 = 1 << 14;
/// `VP8X`: the file is an animation.
const ANIMATION: u8 = 0b10;
/// `ANMF`: the frame replaces what was there.
const NO_BLENDING: u8 = 0b10;

/// Frames of one size as an animation that repeats for ever. Without loss; the same frames give the same bytes.
///
/// # Errors
/// A sentence: no frames, frames of different sizes, a side above 16384, or more bytes than the container counts.
pub fn animated_webp<'a>(
    frames: impl IntoIterator<Item = (&'a RgbImage, Duration)>,
) -> Result<Vec<u8>, String> {
    let mut size = None;
    let mut body = Vec::new();
    for (picture, time) in frames {
        let this = picture.dimensions();
        if *size.get_or_insert(this) != this {
            return Err("the frames differ in size".to_owned());
        }
        let still = still(picture).map_err(|e| e.to_string())?;
        let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX).min(0xFF_FFFF);
        let mut frame = Vec::with_capacity(still.len() + 16);
        for field in [0, 0, this.0 - 1, this.1 - 1, milliseconds] {
            frame.extend(three(field));
        }
        frame.push(NO_BLENDING);
        frame.extend(still);
        chunk(&mut body, b"ANMF", &frame)?;
    }
    let (width, height) = size.ok_or("there are no frames")?;
    let mut canvas = vec![ANIMATION, 0, 0, 0];
    canvas.extend(three(width - 1));
    canvas.extend(three(height - 1));
    let mut content = b"WEBP".to_vec();
    chunk(&mut content, b"VP8X", &canvas)?;
    // A transparent background, and 0 for endless repeats.
    chunk(&mut content, b"ANIM", &[0; 6])?;
    content.extend(body);
    let mut file = Vec::new();
    chunk(&mut file, b"RIFF", &content)?;
    Ok(file)
}

/// The chunk of a still picture: what follows the twelve bytes that name the file.
fn still(picture: &RgbImage) -> Result<Vec<u8>, ImageError> {
    let (width, height) = picture.dimensions();
    if width == 0 || height == 0 || width > MOST_SIDE || height > MOST_SIDE {
        let kind = image::error::ParameterErrorKind::DimensionMismatch;
        return Err(ImageError::Parameter(image::error::ParameterError::from_kind(
            kind,
        )));
    }
    let mut bytes = Vec::new();
    WebPEncoder::new_lossless(&mut bytes).write_image(picture, width, height, ExtendedColorType::Rgb8)?;
    Ok(bytes.split_off(12))
}

fn three(value: u32) -> [u8; 3] {
    let [a, b, c, _] = value.to_le_bytes();
    [a, b, c]
}

/// Appends a chunk; an odd one is filled up by a zero that is not counted.
fn chunk(out: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) -> Result<(), String> {
    let length = u32::try_from(content.len()).map_err(|_| "more than 4 GB".to_owned())?;
    out.extend(name);
    out.extend(length.to_le_bytes());
    out.extend(content);
    if content.len() % 2 == 1 {
        out.push(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{AnimationDecoder as _, Rgb, codecs::webp::WebPDecoder};
    use std::io::Cursor;

    #[test]
    fn what_is_written_is_read_back() {
        let picture = |k: u8| RgbImage::from_fn(31, 17, |x, y| Rgb([x as u8 * 8, y as u8 * 9 + k, k * 50]));
        let pictures = [picture(0), picture(1), picture(4)];
        let times = [900, 60, 70].map(Duration::from_millis);
        let bytes = animated_webp(pictures.iter().zip(times)).unwrap();
        assert_eq!(
            bytes,
            animated_webp(pictures.iter().zip(times)).unwrap(),
            "the same again"
        );
        let decoder = WebPDecoder::new(Cursor::new(&bytes)).unwrap();
        assert!(decoder.has_animation());
        let frames = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(frames.len(), 3);
        for ((frame, picture), time) in frames.iter().zip(&pictures).zip(times) {
            assert_eq!(Duration::from(frame.delay()), time);
            let rgb = image::DynamicImage::ImageRgba8(frame.buffer().clone()).into_rgb8();
            assert!(rgb == *picture, "a frame came back changed");
        }
    }

    #[test]
    fn what_cannot_be_an_animation_is_refused() {
        let time = Duration::from_millis(50);
        let (a, b) = (RgbImage::new(4, 4), RgbImage::new(4, 5));
        assert!(animated_webp([]).is_err());
        assert!(
            animated_webp([(&a, time), (&b, time)])
                .unwrap_err()
                .contains("size")
        );
        assert!(animated_webp([(&RgbImage::new(0, 0), time)]).is_err());
    }
}
