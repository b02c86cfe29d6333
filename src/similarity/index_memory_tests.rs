//! What a picture of a large gallery takes of memory: measured in processes of their own.

use super::*;
use image::{Luma, Rgb};
use std::process::Command;

/// Beyond the first 13 000 pictures nothing is kept ready.
const SIZES: [usize; 2] = [15_000, 45_000];
/// Set for the measuring process: the number of pictures.
const MEASURED: &str = "PENTIMENTO_TEST_MEASURED_PICTURES";
/// 100 000 pictures then take 100 MB besides what the ready levels may (none at that size); the goal is 8 GB.
const MOST_BYTES_A_PICTURE: usize = 1024;

fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let peak = text.lines().find(|l| l.starts_with("VmHWM:"))?;
    Some(peak.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1024)
}

/// Opens a gallery of `MEASURED` pictures and searches it; the coarse scales of all but one are holes of the file.
#[test]
fn measuring_process() {
    let Some(count) = std::env::var(MEASURED).ok().and_then(|n| n.parse().ok()) else {
        return;
    };
    let image = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 4) as u8, (y * 4) as u8, (x * y) as u8]));
    let matte = GrayImage::from_fn(64, 64, |x, _| Luma([255 * u8::from(x < 30)]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut builder = IndexBuilder::create(&path, "key", Arithmetic::Corrected, count).unwrap();
    builder.add(&image, &matte).unwrap();
    for _ in 1..count {
        builder.0.push_like(0, None).unwrap();
    }
    let index = builder.finish().unwrap();
    let query = Prepared::query(&image, &matte, Arithmetic::Corrected).unwrap();
    let found = index.search(&query, 5, &|| false).unwrap();
    assert_eq!((index.len(), found[0].gallery), (count, 0));
    println!("resident {}", resident().unwrap());
}

/// More than a quarter of an hour (every picture is alike, so that none is left out early): `cargo test --release --lib memory_tests -- --ignored`.
#[test]
#[ignore = "takes more than a quarter of an hour"]
fn a_picture_of_a_large_gallery_takes_next_to_no_memory() {
    if resident().is_none() {
        eprintln!("skipped: the system does not tell the memory of a process");
        return;
    }
    let [small, large] = SIZES.map(|count| {
        let run = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "similarity::index::memory_tests::measuring_process",
                "--nocapture",
            ])
            .env(MEASURED, count.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        let bytes = said
            .lines()
            .find_map(|l| l.strip_prefix("resident ")?.parse::<usize>().ok());
        bytes.unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&run.stderr)))
    });
    let each = large.saturating_sub(small) / (SIZES[1] - SIZES[0]);
    println!(
        "{} MB and {} MB: {each} bytes a picture",
        small >> 20,
        large >> 20
    );
    assert!(each <= MOST_BYTES_A_PICTURE, "{each} bytes a picture");
    assert!(large < 512 << 20, "{} MB for {} pictures", large >> 20, SIZES[1]);
}
