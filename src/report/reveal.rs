//! Pictures of a Reveal for slides: still, or the training image coming through and going again.

use super::{figure::Overlaid, webp::animated_webp};
use crate::{
    render::{Mode, OverlayParams},
    store::write_whole,
    study::Problem,
};
use image::{
    Delay, DynamicImage, Frame, ImageError, ImageFormat, RgbImage,
    codecs::gif::{GifEncoder, Repeat},
};
use rayon::prelude::*;
use std::{io::Cursor, path::Path, time::Duration};

/// Frames of one way; the animation goes there and back.
const FRAMES: usize = 12;
/// Time of a frame, and of the first and last one.
const FRAME: Duration = Duration::from_millis(60);
const REST: Duration = Duration::from_millis(900);

/// Writes the picture as the settings draw it; the ending of the name chooses PNG or WebP (lossless).
///
/// # Errors
/// A problem that names the file.
pub fn write_still(path: &Path, pair: &Overlaid, settings: OverlayParams) -> Result<(), Problem> {
    let format = match ending(path).as_deref() {
        Some("png") => ImageFormat::Png,
        Some("webp") => ImageFormat::WebP,
        _ => return Err(unknown_ending(path)),
    };
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(pair.draw(settings))
        .write_to(&mut bytes, format)
        .map_err(|e| cannot(path, &e))?;
    write_whole(path, &bytes.into_inner())
}

/// Whether a name asks for an animation of a Reveal drawn like this: always `.gif`, and `.webp` of the mode Reveal.
pub fn is_animated(path: &Path, mode: Mode) -> bool {
    match ending(path).as_deref() {
        Some("gif") => true,
        Some("webp") => mode == Mode::Reveal,
        _ => false,
    }
}

/// Writes the Reveal as an animation that repeats for ever; the ending of the name chooses GIF (256 colours) or WebP
/// (without loss).
///
/// # Errors
/// A problem that names the file, or says that there is no training image to reveal.
pub fn write_animation(path: &Path, pair: &Overlaid, settings: OverlayParams) -> Result<(), Problem> {
    if !pair.has_training() {
        return Err(Problem::new(
            "There is no training image to reveal",
            "Open the study of the run, with its gallery.",
        )
        .at(path));
    }
    let drawn: Vec<RgbImage> = (0..=FRAMES)
        .into_par_iter()
        .map(|i| {
            let t = i as f32 / FRAMES as f32;
            pair.draw(OverlayParams {
                mode: Mode::Reveal as u32,
                reveal: t * t * (3.0 - 2.0 * t),
                ..settings
            })
        })
        .collect();
    let there_and_back = (0..=FRAMES).chain((1..FRAMES).rev()).map(|i| {
        let rest = i == 0 || i == FRAMES;
        (&drawn[i], if rest { REST } else { FRAME })
    });
    let bytes = match ending(path).as_deref() {
        Some("gif") => animated_gif(there_and_back).map_err(|e| cannot(path, &e))?,
        Some("webp") => animated_webp(there_and_back).map_err(|e| cannot(path, &e))?,
        _ => return Err(unknown_ending(path)),
    };
    write_whole(path, &bytes)
}

fn animated_gif<'a>(
    frames: impl IntoIterator<Item = (&'a RgbImage, Duration)>,
) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    encoder.set_repeat(Repeat::Infinite)?;
    for (picture, time) in frames {
        let picture = DynamicImage::ImageRgb8(picture.clone()).into_rgba8();
        encoder.encode_frame(Frame::from_parts(
            picture,
            0,
            0,
            Delay::from_saturating_duration(time),
        ))?;
    }
    drop(encoder);
    Ok(bytes)
}

fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

fn unknown_ending(path: &Path) -> Problem {
    Problem::new(
        "The kind of picture is not known",
        "Let the name end in .png or .webp, or in .gif or .webp for an animation.",
    )
    .at(path)
}

fn cannot(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    Problem::new("The picture could not be written", "Try another place or format.")
        .at(path)
        .detail(error.to_string())
}
