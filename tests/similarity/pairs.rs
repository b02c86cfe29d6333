//! Twelve pairs of odd and small sizes and with degenerate regions against torchmetrics, and JPEG files
//! against Pillow (tools/fixtures/similarity_pairs.py).

use image::{GrayImage, RgbImage};
use pentimento::{
    similarity::{PairTerms, Prepared, compare, compare_terms, decode_jpeg, encode_jpeg, measure_pair},
    study::Arithmetic,
};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

type Side = (RgbImage, GrayImage);

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/similarity-pairs")
        .join(name);
    std::fs::read(path).unwrap()
}

fn pairs() -> Vec<[Side; 2]> {
    let bytes = fixture("pairs.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let side = |i: usize, side: &str| -> Side {
        let image = tensors.tensor(&format!("{i}.{side}.image")).unwrap();
        let matte = tensors.tensor(&format!("{i}.{side}.matte")).unwrap();
        let (height, width) = (image.shape()[0] as u32, image.shape()[1] as u32);
        (
            RgbImage::from_raw(width, height, image.data().to_vec()).unwrap(),
            GrayImage::from_raw(width, height, matte.data().to_vec()).unwrap(),
        )
    };
    let all: Vec<_> = (0..tensors.len() / 4)
        .map(|i| [side(i, "a"), side(i, "b")])
        .collect();
    assert_eq!(all.len(), 12);
    all
}

#[derive(Deserialize)]
struct Row {
    terms: [f64; 5],
    score: f64,
}

#[derive(Deserialize)]
struct Table {
    /// Whether both mattes cover 3 to 97 %.
    whole: Vec<bool>,
    corrected: Vec<Row>,
    torchmetrics: Vec<Row>,
    reference: Vec<Row>,
    measures: Vec<Measures>,
}

#[derive(Deserialize)]
struct Measures {
    ssim: f64,
    masked_ssim: Option<f64>,
    tiled_l2: f64,
}

#[test]
fn other_measures_equal_torchmetrics_and_numpy() {
    let table: Table = serde_json::from_slice(&fixture("scores.json")).unwrap();
    assert_eq!(table.measures.len(), 12);
    for (i, ([a, b], want)) in pairs().iter().zip(table.measures).enumerate() {
        let found = measure_pair((&a.0, &a.1), (&b.0, &b.1)).unwrap();
        let off = |found: f32, want: f64| (f64::from(found) - want).abs();
        // torchmetrics in f32 without centring: on the flat white of pair 11 it is 3e-5 from its own float64.
        assert!(off(found.ssim, want.ssim) < 5e-5, "pair {i}: {found:?}");
        assert!(off(found.tiled_l2, want.tiled_l2) < 1e-6, "pair {i}: {found:?}");
        assert_eq!(found.masked_ssim.is_some(), want.masked_ssim.is_some());
        if let (Some(found), Some(want)) = (found.masked_ssim, want.masked_ssim) {
            assert!(off(found, want) < 5e-5, "pair {i}: {found} instead of {want}");
        }
    }
}

/// torchmetrics runs in f32 without centring: terms of flat areas differ by more than scores do.
const TERM: f64 = 1e-4;
const SCORE: f64 = 1e-5;

fn check(rows: &[Row], pairs: &[&[Side; 2]], arithmetic: Arithmetic) {
    assert_eq!(rows.len(), 2 * pairs.len());
    for (p, (pair, rows)) in pairs.iter().zip(rows.chunks_exact(2)).enumerate() {
        let [a, b] = pair
            .each_ref()
            .map(|(i, m)| Prepared::new(i, m, arithmetic).unwrap());
        let query = Prepared::query(&pair[1].0, &pair[1].1, arithmetic).unwrap();
        let scores = compare(&a, &b);
        assert_eq!(scores, compare(&a, &query));
        let PairTerms {
            foreground,
            background,
        } = compare_terms(&a, &b);
        let ours = [(foreground, scores.foreground), (background, scores.background)];
        for (row, (terms, score)) in rows.iter().zip(ours) {
            for (t, want) in terms.unwrap().into_iter().zip(row.terms) {
                let off = (f64::from(t) - want).abs();
                assert!(off < TERM, "{arithmetic}, pair {p}: a term is off by {off}");
            }
            let off = (f64::from(score.unwrap()) - row.score).abs();
            assert!(off < SCORE, "{arithmetic}, pair {p}: off by {off}");
        }
    }
}

#[test]
fn twelve_pairs_equal_torchmetrics_in_all_arithmetics() {
    let pairs = pairs();
    let table: Table = serde_json::from_slice(&fixture("scores.json")).unwrap();
    let all: Vec<&[Side; 2]> = pairs.iter().collect();
    check(&table.torchmetrics, &all, Arithmetic::Torchmetrics);
    check(&table.reference, &all, Arithmetic::Reference);
    let whole: Vec<&[Side; 2]> = pairs
        .iter()
        .zip(&table.whole)
        .filter_map(|(p, &whole)| whole.then_some(p))
        .collect();
    assert!(whole.len() >= 7);
    check(&table.corrected, &whole, Arithmetic::Corrected);
}

#[derive(Deserialize)]
struct Jpeg {
    file: String,
    pixels: String,
}

#[test]
fn jpeg_files_and_their_pixels_are_pillows_byte_for_byte() {
    let want: Vec<Jpeg> = serde_json::from_slice(&fixture("jpeg.json")).unwrap();
    assert_eq!(want.len(), 12);
    for (pair, want) in pairs().iter().zip(want) {
        let file = encode_jpeg(&pair[1].0).unwrap();
        assert_eq!(hex::encode(Sha256::digest(&file)), want.file);
        let pixels = decode_jpeg(&file, 1 << 20).unwrap();
        assert_eq!(hex::encode(Sha256::digest(pixels.as_raw())), want.pixels);
    }
}
