//! Resizing against Pillow, scores against torchmetrics (tools/fixtures/similarity.py).
#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

#[path = "similarity/pairs.rs"]
mod pairs;
#[path = "similarity/reference_folder.rs"]
mod reference_folder;

use image::{GrayImage, RgbImage, RgbaImage};
use pentimento::{
    similarity::{
        Filter, IndexBuilder, PairTerms, Prepared, compare, compare_terms, resize_gray, resize_rgb,
        resize_rgba,
    },
    study::Arithmetic,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{collections::HashMap, path::PathBuf};

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/similarity")
        .join(name);
    std::fs::read(path).unwrap()
}

fn lcg_bytes(mut state: u32, count: usize) -> Vec<u8> {
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[derive(Deserialize)]
struct Resize {
    seed: u32,
    channels: usize,
    filter: String,
    source: (u32, u32),
    target: (u32, u32),
    sha256: String,
}

#[test]
fn resizing_equals_pillow_byte_for_byte() {
    let cases: Vec<Resize> = serde_json::from_slice(&fixture("resize.json")).unwrap();
    assert_eq!(cases.len(), 30);
    for case in cases {
        let ((w, h), (tw, th)) = (case.source, case.target);
        let raw = lcg_bytes(case.seed, w as usize * h as usize * case.channels);
        let filter = if case.filter == "lanczos" {
            Filter::Lanczos
        } else {
            Filter::Bilinear
        };
        let out = match case.channels {
            1 => resize_gray(&GrayImage::from_raw(w, h, raw).unwrap(), tw, th, filter).into_raw(),
            3 => resize_rgb(&RgbImage::from_raw(w, h, raw).unwrap(), tw, th, filter).into_raw(),
            _ => resize_rgba(&RgbaImage::from_raw(w, h, raw).unwrap(), tw, th, filter).into_raw(),
        };
        let hash = hex::encode(Sha256::digest(&out));
        assert_eq!(
            hash, case.sha256,
            "{w}×{h}×{} to {tw}×{th}, {}",
            case.channels, case.filter
        );
    }
}

#[derive(Deserialize)]
struct Row {
    terms: [f64; 5],
    score: f64,
}

type Side = (RgbImage, GrayImage);

struct Fixture {
    pairs: Vec<[Side; 2]>,
    /// Foreground and background of every pair, in turn.
    rows: HashMap<String, Vec<Row>>,
}

fn load() -> Fixture {
    let bytes = fixture("pairs.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (images, mattes) = (
        tensors.tensor("images").unwrap(),
        tensors.tensor("mattes").unwrap(),
    );
    let side = images.shape()[2];
    let area = side * side;
    let size = side as u32;
    let sides: Vec<Side> = images
        .data()
        .chunks_exact(3 * area)
        .zip(mattes.data().chunks_exact(area))
        .map(|(i, m)| {
            (
                RgbImage::from_raw(size, size, i.to_vec()).unwrap(),
                GrayImage::from_raw(size, size, m.to_vec()).unwrap(),
            )
        })
        .collect();
    let pairs: Vec<[Side; 2]> = sides
        .chunks_exact(2)
        .map(|p| [p[0].clone(), p[1].clone()])
        .collect();
    assert!(pairs.len() >= 3);
    let rows = serde_json::from_slice(&fixture("scores.json")).unwrap();
    Fixture { pairs, rows }
}

/// Largest differences of terms and scores between ours and the table's.
fn differences(fixture: &Fixture, table: &str, arithmetic: Arithmetic) -> (f64, f64) {
    let rows = &fixture.rows[table];
    assert_eq!(rows.len(), 2 * fixture.pairs.len());
    let (mut terms_off, mut scores_off) = (0f64, 0f64);
    for (pair, rows) in fixture.pairs.iter().zip(rows.chunks_exact(2)) {
        let [a, b] = pair
            .each_ref()
            .map(|(i, m)| Prepared::new(i, m, arithmetic).unwrap());
        let PairTerms {
            foreground,
            background,
        } = compare_terms(&a, &b);
        let scores = compare(&a, &b);
        for (row, (terms, score)) in rows
            .iter()
            .zip([(foreground, scores.foreground), (background, scores.background)])
        {
            for (t, want) in terms.unwrap().into_iter().zip(row.terms) {
                terms_off = terms_off.max((f64::from(t) - want).abs());
            }
            scores_off = scores_off.max((f64::from(score.unwrap()) - row.score).abs());
        }
    }
    (terms_off, scores_off)
}

#[test]
fn corrected_scores_equal_torchmetrics_on_the_same_regions() {
    let fixture = load();
    let (terms, scores) = differences(&fixture, "corrected", Arithmetic::Corrected);
    assert!(
        terms < 5e-5 && scores < 2e-5,
        "terms off by {terms}, scores by {scores}"
    );
    let spread = fixture.rows["corrected"].iter().map(|r| r.score);
    assert!(spread.clone().fold(1.0, f64::min) < 0.6 && spread.fold(0.0, f64::max) > 0.9);
}

/// Both sides as training pictures: no JPEG is involved, so that the arithmetic itself must agree.
fn training_sides(table: &str, arithmetic: Arithmetic) {
    let fixture = load();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut builder = IndexBuilder::create(&path, "", arithmetic, 2 * fixture.pairs.len()).unwrap();
    for (image, matte) in fixture.pairs.iter().flatten() {
        builder.add(image, matte).unwrap();
    }
    let index = builder.finish().unwrap();
    for (p, rows) in fixture.rows[table].chunks_exact(2).enumerate() {
        let partner = 2 * p + 1;
        let found = index
            .nearest_other(2 * p, &|i| i != partner, &|| false)
            .unwrap()
            .unwrap();
        let scores = [found.scores.foreground, found.scores.background];
        for (score, row) in scores.into_iter().zip(rows) {
            let off = (f64::from(score.unwrap()) - row.score).abs();
            assert!(off < 2e-5, "{table}, pair {p}: off by {off}");
        }
    }
}

#[test]
fn rgba_arithmetic_equals_torchmetrics_1_9() {
    training_sides("torchmetrics_training", Arithmetic::Torchmetrics);
}

#[test]
fn reference_arithmetic_equals_torchmetrics_1_3_2() {
    training_sides("reference_training", Arithmetic::Reference);
}

#[test]
fn the_generated_side_goes_through_the_references_jpeg() {
    let fixture = load();
    for (table, arithmetic) in [
        ("torchmetrics", Arithmetic::Torchmetrics),
        ("reference", Arithmetic::Reference),
    ] {
        let (_, scores) = differences(&fixture, table, arithmetic);
        assert!(scores < 2e-5, "{table}: off by {scores}");
    }
}
