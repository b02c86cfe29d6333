//! SSCD, DINOv2 and CLIP on random weights against PyTorch and `transformers` (tools/fixtures/embedding.py).

use super::{Clip, ClipScore, Dinov2, Embedder, EmbeddingError, Preprocessing, Sscd, vectors::dot};
use image::{Rgb, RgbImage};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Expected {
    sscd: SscdCases,
    dinov2: Vec<Vec<f32>>,
    clip: ClipCases,
}

#[derive(Deserialize)]
struct SscdCases {
    small_288: Vec<Vec<f32>>,
    skew_320: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct ClipCases {
    images: Vec<Vec<f32>>,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    ids: Vec<u32>,
    unit: Vec<f32>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/embedding")
}

fn expected() -> Expected {
    serde_json::from_slice(&std::fs::read(folder().join("expected.json")).unwrap()).unwrap()
}

/// The pattern of the fixture script.
fn picture(width: u32, height: u32, phase: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([
            ((x * 5 + y * 3 + phase * 17) % 256) as u8,
            ((x * y / 7 + phase * 29) % 256) as u8,
            (((x / 9 + y / 5 + phase) % 2) * 200 + 20) as u8,
        ])
    })
}

fn pictures() -> [RgbImage; 2] {
    [picture(300, 211, 0), picture(97, 140, 1)]
}

/// Values of a unit vector; sums in another order cost a few f32 steps of the largest activation.
#[track_caller]
fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let worst = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < 2e-5, "{worst}");
}

#[test]
fn sscd_equals_pytorch_from_both_kinds_of_file() {
    let cases = expected().sscd;
    for file in ["sscd.safetensors", "sscd.pt"] {
        let small = Sscd::open(&folder().join(file), Preprocessing::SMALL_288).unwrap();
        let skew = Sscd::open(&folder().join(file), Preprocessing::SKEW_320).unwrap();
        for (i, picture) in pictures().iter().enumerate() {
            close(&small.embed(picture).unwrap(), &cases.small_288[i]);
            close(&skew.embed(picture).unwrap(), &cases.skew_320[i]);
        }
    }
}

#[test]
fn dinov2_equals_transformers() {
    let network = Dinov2::open(&folder().join("dinov2")).unwrap();
    for (picture, expected) in pictures().iter().zip(expected().dinov2) {
        close(&network.embed(picture).unwrap(), &expected);
    }
}

#[test]
fn clip_equals_transformers_for_pictures_and_texts() {
    let network = Clip::open(&folder().join("clip")).unwrap();
    let cases = expected().clip;
    for (picture, expected) in pictures().iter().zip(&cases.images) {
        close(&network.embed(picture).unwrap(), expected);
    }
    for text in &cases.texts {
        close(&network.embed_tokens(&text.ids).unwrap(), &text.unit);
    }
    // Too long a text keeps its end token.
    let long: Vec<u32> = std::iter::once(298).chain([7; 40]).chain([299]).collect();
    let cut: Vec<u32> = std::iter::once(298).chain([7; 10]).chain([299]).collect();
    close(
        &network.embed_tokens(&long).unwrap(),
        &network.embed_tokens(&cut).unwrap(),
    );
    assert!(network.embed_tokens(&[]).is_err() && network.embed_tokens(&[300]).is_err());
}

#[test]
fn the_clip_score_is_the_cosine_of_picture_and_text() {
    let score = ClipScore::open(&folder().join("clip")).unwrap();
    let [picture, _] = pictures();
    let cosine = score.score(&picture, "the red fox in the snow").unwrap();
    let text = score.clip().embed_tokens(&[298, 5, 2, 3, 4, 5, 6, 299]).unwrap();
    assert!((cosine - dot(&text, &score.clip().embed(&picture).unwrap())).abs() < 1e-6);
    assert!((-1.0..=1.0).contains(&cosine));
}

#[test]
fn the_kind_is_told_from_what_is_there() {
    let name = |part: &str| Embedder::open(&folder().join(part)).unwrap().name();
    assert_eq!(name("sscd.pt"), "SSCD small_288");
    assert_eq!(name("dinov2"), "DINOv2");
    assert_eq!(name("clip"), "CLIP");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let temp = tempfile::tempdir().unwrap();
    let copy = |from: &str, to: &str| std::fs::copy(folder().join(from), temp.path().join(to)).unwrap();
    // Another network's weights.
    copy("dinov2/model.safetensors", "other.safetensors");
    let open = |name: &str| Embedder::open(&temp.path().join(name)).err().unwrap().to_string();
    assert!(open("other.safetensors").contains("is no embedder"));
    // A folder without a known model.
    assert!(Embedder::open(temp.path()).is_err());
    std::fs::write(temp.path().join("config.json"), "{\"model_type\": \"bert\"}").unwrap();
    assert!(open("").contains("model_type: \"bert\""));
    // A truncated file, and one that is not there.
    let bytes = std::fs::read(folder().join("sscd.safetensors")).unwrap();
    std::fs::write(temp.path().join("cut.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(open("cut.safetensors").contains("cut.safetensors"));
    std::fs::write(temp.path().join("junk.pt"), b"PK nonsense").unwrap();
    assert!(open("junk.pt").contains("junk.pt"));
    assert!(matches!(
        Embedder::open(Path::new("/nowhere/x.pt")),
        Err(EmbeddingError::File(
            crate::weights_file::WeightsFileError::Io { .. }
        ))
    ));
    // A tensor of another shape, another missing: both are named.
    let mut tensors =
        candle_core::safetensors::load(folder().join("sscd.safetensors"), &candle_core::Device::Cpu).unwrap();
    tensors.remove("layer3.0.bn2.bias");
    let narrow = tensors["fc.bias"].narrow(0, 0, 3).unwrap().contiguous().unwrap();
    tensors.insert("fc.bias".into(), narrow);
    candle_core::safetensors::save(&tensors, temp.path().join("bad.safetensors")).unwrap();
    let told = open("bad.safetensors");
    assert!(
        told.contains("layer3.0.bn2.bias is missing") && told.contains("fc.bias is [3]"),
        "{told}"
    );
}
