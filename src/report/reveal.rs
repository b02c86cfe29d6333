//! Pictures of a Reveal for slides: still, or the training image coming through and going again.

use super::figure::Overlaid;
use crate::{
    render::{Mode, OverlayParams},
    store::write_whole,
    study::Problem,
};
use image::{
    Delay, DynamicImage, Frame, ImageFormat,
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

/// Writes the Reveal as an animated GIF that repeats for ever.
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
    let drawn: Vec<_> = (0..=FRAMES)
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
    let there_and_back = (0..=FRAMES).chain((1..FRAMES).rev());
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 10);
    encoder
        .set_repeat(Repeat::Infinite)
        .map_err(|e| cannot(path, &e))?;
    for i in there_and_back {
        let time = if i == 0 || i == FRAMES { REST } else { FRAME };
        let picture = DynamicImage::ImageRgb8(drawn[i].clone()).into_rgba8();
        let frame = Frame::from_parts(picture, 0, 0, Delay::from_saturating_duration(time));
        encoder.encode_frame(frame).map_err(|e| cannot(path, &e))?;
    }
    drop(encoder);
    write_whole(path, &bytes)
}

fn ending(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

fn unknown_ending(path: &Path) -> Problem {
    Problem::new(
        "The kind of picture is not known",
        "Let the name end in .png or .webp, or in .gif for an animation.",
    )
    .at(path)
}

fn cannot(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    Problem::new("The picture could not be written", "Try another place or format.")
        .at(path)
        .detail(error.to_string())
}
