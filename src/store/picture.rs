//! Lossless PNG files that carry how they were made.

use super::{atomic, run_parameters::RunParameters};
use crate::study::{GenerationKey, Problem, RngKind, WeightStorage};
use image::RgbImage;
use png::{BitDepth, ColorType, Decoder, Encoder, Limits};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader},
    path::Path,
};

/// Most memory that reading the text of a PNG may take.
const MAX_TEXT_BYTES: usize = 8 << 20;

/// The text that a generated picture carries: keyword and value, in the order written.
pub(super) fn text(
    key: GenerationKey,
    prompt: &str,
    parameters: &RunParameters,
) -> Vec<(&'static str, String)> {
    let sampling = &parameters.sampling;
    let mut text = vec![
        ("Software", parameters.program.clone()),
        ("prompt", prompt.to_owned()),
        ("prompt index", key.prompt.to_string()),
        ("seed", key.seed.to_string()),
        ("steps", sampling.steps.to_string()),
        ("guidance", sampling.guidance.to_string()),
        ("scheduler", sampling.scheduler.to_string()),
        ("size", format!("{}x{}", sampling.width, sampling.height)),
    ];
    // Not written for the generator that there was before others: a picture drawn again keeps its bytes.
    if sampling.rng != RngKind::default() {
        text.push(("rng", sampling.rng.to_string()));
    }
    if sampling.weights != WeightStorage::default() {
        text.push(("weights", sampling.weights.to_string()));
    }
    if !sampling.negative.is_empty() {
        text.push(("negative prompt", sampling.negative.clone()));
    }
    if let Some(model) = &parameters.model {
        text.push(("model hash", model.clone()));
    }
    if let Some(variant) = &parameters.variant {
        text.push(("variant", variant.name.clone()));
        text.push(("variant hash", variant.hash.clone()));
    }
    text
}

/// Encodes 8-bit samples (`width × height × channels`, channels 1 or 3) as PNG. The bytes depend on nothing
/// but the arguments.
pub(super) fn encode(
    samples: &[u8],
    (width, height): (u32, u32),
    channels: u8,
    text: &[(&'static str, String)],
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(if channels == 1 {
        ColorType::Grayscale
    } else {
        ColorType::Rgb
    });
    encoder.set_depth(BitDepth::Eight);
    for (keyword, value) in text {
        // A zero byte would end the text; tEXt is Latin-1 only, and is what most viewers show.
        let value = value.replace('\0', "\u{FFFD}");
        if value.is_ascii() {
            encoder.add_text_chunk((*keyword).to_owned(), value)?;
        } else {
            encoder.add_itxt_chunk((*keyword).to_owned(), value)?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(samples)?;
    writer.finish()?;
    Ok(bytes)
}

/// Saves one picture outside a run, with the same text chunks.
///
/// # Errors
/// A problem that names the file when it cannot be written.
pub fn write_picture(
    path: &Path,
    image: &RgbImage,
    key: GenerationKey,
    prompt: &str,
    parameters: &RunParameters,
) -> Result<(), Problem> {
    let bytes = encode(image, image.dimensions(), 3, &text(key, prompt, parameters));
    bytes
        .and_then(|bytes| atomic::write(path, &bytes))
        .map_err(|e| Problem::io("A picture could not be saved", path, &e))
}

/// The text chunks before the pixels of a PNG, by keyword: prompt, seed, steps and so on for pictures of
/// this program. Decodes no pixels.
///
/// # Errors
/// A problem that names the file when it is not a readable PNG or its text needs more than 8 MB.
pub fn picture_text(path: &Path) -> Result<BTreeMap<String, String>, Problem> {
    let file = File::open(path).map_err(|e| Problem::io("This picture cannot be read", path, &e))?;
    let broken = |reason: String| {
        Problem::new("This is not a readable PNG picture", "Choose a PNG file.")
            .at(path)
            .detail(reason)
    };
    if !file.metadata().is_ok_and(|m| m.is_file()) {
        return Err(broken("not a regular file".to_owned()));
    }
    let limits = Limits {
        bytes: MAX_TEXT_BYTES,
    };
    let mut decoder = Decoder::new_with_limits(BufReader::new(file), limits);
    let info = decoder.read_header_info().map_err(|e| broken(e.to_string()))?;
    let (width, height) = info.size();
    if width == 0 || height == 0 {
        return Err(broken(format!("it declares {width} × {height} pixels")));
    }
    let reader = decoder.read_info().map_err(|e| broken(e.to_string()))?;
    let info = reader.info();
    let mut found = BTreeMap::new();
    for chunk in &info.uncompressed_latin1_text {
        found.insert(chunk.keyword.clone(), chunk.text.clone());
    }
    for chunk in &info.utf8_text {
        let mut chunk = chunk.clone();
        // Unpacked within the library's limit of 2 MB; asking for the text right away knows no limit.
        chunk.decompress_text().map_err(|e| broken(e.to_string()))?;
        let text = chunk.get_text().map_err(|e| broken(e.to_string()))?;
        found.insert(chunk.keyword, text);
    }
    Ok(found)
}
