//! The null of the demo gallery equals that of the demo's own Python scorer (fixture of `tools/fixtures/null.py`).

use super::common::demo;
use pentimento::{
    engine::read_with_matte,
    gallery,
    similarity::IndexBuilder,
    study::{Arithmetic, Region},
};
use rayon::prelude::*;

/// Pillow's JPEG decoder and ours may differ by one level of 255 here and there, and the regions are rounded to bytes
/// here and not there: together well under half a level on average.
const TOLERANCE: f32 = 2e-3;

#[test]
fn unique_pictures_of_the_demo_gallery_have_the_nearest_others_that_python_finds() {
    let expected: Vec<(String, String, f32, f32)> =
        serde_json::from_str(include_str!("../fixtures/null/demo.json")).unwrap();
    let scanned = gallery::scan(&demo().join("gallery"), None, Some(&demo().join("mattes"))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo");
    let mut builder =
        IndexBuilder::create(&file, "demo", Arithmetic::Corrected, scanned.images.len()).unwrap();
    for some in scanned.images.chunks(32) {
        let rows: Vec<_> = some
            .par_iter()
            .map(|entry| {
                let (image, matte) = read_with_matte(entry, None).unwrap();
                builder.prepare(&image, &matte).unwrap()
            })
            .collect();
        rows.into_iter().for_each(|row| builder.push(row).unwrap());
    }
    let index = builder.finish().unwrap();
    let names: Vec<String> = scanned
        .images
        .iter()
        .map(pentimento::study::GalleryImage::name)
        .collect();
    let mut worst = 0.0_f32;
    for (name, other, foreground, background) in &expected {
        let row = names.iter().position(|n| n == name).unwrap();
        let found = index.nearest_other(row, &|_| false, &|| false).unwrap().unwrap();
        assert_eq!(&names[found.gallery as usize], other, "{name}");
        for (region, value) in [(Region::Foreground, foreground), (Region::Background, background)] {
            worst = worst.max((found.scores.of(region).unwrap() - value).abs());
        }
    }
    println!("{} pictures, largest difference {worst}", expected.len());
    assert!(worst < TOLERANCE, "{worst}");
}
