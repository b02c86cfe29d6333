//! A family of near-duplicates in the gallery must not move the suggested thresholds.

use super::*;
use crate::{
    memorization::{ClusterLimits, cluster},
    similarity::IndexBuilder,
    study::Arithmetic,
};
use image::{GrayImage, Luma, Rgb, RgbImage};

const SIDE: u32 = 96;
const RATE: f64 = 0.1;

/// Smooth random colours: a lattice of values every 16 pixels, linear between them.
fn texture(seed: u32, x: u32, y: u32) -> [f32; 3] {
    let value = |i: u32, j: u32, c: u32| {
        let mut v =
            (seed * 7919 + i * 104_729 + j * 1_299_709 + c * 15_485_863 + 1).wrapping_mul(2_654_435_761);
        v ^= v >> 15;
        v = v.wrapping_mul(2_246_822_519);
        ((v ^ (v >> 13)) >> 8) as f32 / 65_536.0
    };
    let (i, j) = (x / 16, y / 16);
    let (s, t) = ((x % 16) as f32 / 16.0, (y % 16) as f32 / 16.0);
    [0, 1, 2].map(|c| {
        let top = value(i, j, c) * (1.0 - s) + value(i + 1, j, c) * s;
        let bottom = value(i, j + 1, c) * (1.0 - s) + value(i + 1, j + 1, c) * s;
        top * (1.0 - t) + bottom * t
    })
}

/// Object and background by number, darkened a little.
fn scene(object: u32, background: u32, tone: f32) -> (RgbImage, GrayImage) {
    let (cx, cy) = (30 + object * 13 % 36, 30 + object * 29 % 36);
    let inside = |x: u32, y: u32| x.abs_diff(cx).pow(2) + y.abs_diff(cy).pow(2) < (16 + object % 9).pow(2);
    let image = RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let seed = if inside(x, y) { object } else { 1000 + background };
        Rgb(texture(seed, x, y).map(|v| (v * tone).clamp(0.0, 255.0) as u8))
    });
    (
        image,
        GrayImage::from_fn(SIDE, SIDE, |x, y| Luma([255 * u8::from(inside(x, y))])),
    )
}

/// Suggested thresholds of a gallery, and the best score of any pair of it.
fn suggested(pictures: &[(RgbImage, GrayImage)]) -> (Null, [f32; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut builder = IndexBuilder::create(&path, "key", Arithmetic::Corrected, pictures.len()).unwrap();
    for (image, matte) in pictures {
        builder.add(image, matte).unwrap();
    }
    let index = builder.finish().unwrap();
    let limits = ClusterLimits::default();
    let links = index
        .links(limits.foreground, limits.background, &|| false, &|_, _| {})
        .unwrap();
    let rows: Vec<u32> = (0..pictures.len() as u32).collect();
    let groups = groups_of_rows(&cluster(pictures.len(), &links, limits, &[]), &rows);
    let nearest = measure(&index, &groups, Vec::new(), &|_| None, &|| false, &mut |_| {}).unwrap();
    let null = Null::new(&nearest);
    let thresholds = Region::ALL.map(|region| null.threshold(region, RATE).unwrap());
    (null, thresholds)
}

#[test]
fn a_planted_family_does_not_move_the_suggested_thresholds() {
    let plain: Vec<_> = (0..40).map(|i| scene(i, i, 1.0)).collect();
    let (null, alone) = suggested(&plain);
    assert_eq!(null.scores().len(), 40);

    let mut planted = plain.clone();
    // Six exact or darkened copies of one picture, and six objects before one background: a template.
    planted.extend((0..6).map(|i| scene(7, 7, 1.0 - 0.01 * i as f32)));
    planted.extend((0..6).map(|i| scene(60 + i, 90, 1.0)));
    let (with, moved) = suggested(&planted);
    for (region, (a, b)) in Region::ALL.into_iter().zip(alone.into_iter().zip(moved)) {
        assert!((a - b).abs() < 0.05, "{}: {a} became {b}", region.name());
        // Counted as strangers, the family would be the top tenth of the null: no threshold below its scores.
        let highest = with
            .scores()
            .iter()
            .filter_map(|s| s.of(region))
            .fold(0.0, f32::max);
        assert!(highest < KIN.of(region).unwrap(), "{}: {highest}", region.name());
        assert!(b < 0.9, "{}: {b}", region.name());
    }
}
