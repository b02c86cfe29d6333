//! Measures similarity and segmentation on this machine, without a harness:
//!
//! ```text
//! cargo bench --bench similarity -- GALLERY_DIR MASK_DIR [PICTURES] [SEGMENTER]
//! cargo bench --bench similarity -- GALLERY_DIR MASK_DIR grow 500 5000 50000
//! ```
//! Wall milliseconds, minimum and median over repetitions, and on Linux the processor time of all threads
//! per repetition, which a busy machine disturbs less. `grow` makes galleries of those sizes by mirroring,
//! shifting and toning the pictures, and tells what a search costs in each. Beyond 2000 pictures the finer scales are shared
//! by stand-ins, so that 50 000 pictures take 3.2 GB of disk and a minute in place of 35 GB and half an hour. The partner that times torchmetrics on the
//! same pictures is `tools/fixtures/similarity_speed.py`.

use image::{GrayImage, RgbImage};
use pentimento::{
    segmentation::Segmenter,
    similarity::{Index, IndexBuilder, Prepared, Row, compare, local_map},
    study::Arithmetic,
};
use rayon::prelude::*;
use std::{
    error::Error,
    path::{Path, PathBuf},
    time::Instant,
};

/// Processor milliseconds of all threads of this process so far; 0 where the system does not tell.
fn processor_ms() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let nanoseconds = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e6
}

fn time<T>(name: &str, repeats: usize, mut work: impl FnMut(usize) -> T) -> f64 {
    let before = processor_ms();
    let mut all: Vec<f64> = (0..repeats)
        .map(|i| {
            let start = Instant::now();
            std::hint::black_box(work(i));
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    all.sort_by(f64::total_cmp);
    let processor = (processor_ms() - before) / repeats as f64;
    println!(
        "{name}: {:.2} ms (median {:.2}; processor {processor:.2})",
        all[0],
        all[repeats / 2]
    );
    all[0]
}

/// Kilobytes of memory this process holds.
fn resident_kb() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|l| l.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Variant `v` of a picture: mirrored, shifted, toned.
fn varied(image: &RgbImage, matte: &GrayImage, v: usize) -> (RgbImage, GrayImage) {
    let (width, height) = image.dimensions();
    let shift = |i: u32, n: u32, by: usize| (i as usize + by * 7) % n as usize;
    let at = |x: u32, y: u32| {
        let x = shift(x, width, v / 2 % 13) as u32;
        let y = shift(y, height, v / 26 % 11) as u32;
        (if v % 2 == 1 { width - 1 - x } else { x }, y)
    };
    let tone = |c: u8, k: usize| {
        let gain = 0.7 + 0.06 * ((v * (k + 3)) % 10) as f32;
        (f32::from(c) * gain) as u8
    };
    let toned = RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = at(x, y);
        let [r, g, b] = image.get_pixel(x, y).0;
        image::Rgb([tone(r, 0), tone(g, 1), tone(b, 2)])
    });
    let moved = GrayImage::from_fn(width, height, |x, y| {
        let (x, y) = at(x, y);
        *matte.get_pixel(x, y)
    });
    (toned, moved)
}

/// Pictures of which everything is made.
const WHOLE: usize = 2000;
/// Pictures whose coarse scales are varied for the rest.
const STOOD_IN_FOR: usize = 500;

fn grow(gallery: &Path, masks: &Path, sizes: &[String]) -> Result<(), Box<dyn Error>> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(gallery)?
        .filter_map(|e| Some(e.ok()?.path()))
        .collect();
    names.sort();
    let read = |p: &PathBuf| {
        let matte = masks.join(p.file_stem()?).with_extension("png");
        Some((
            image::open(p).ok()?.to_rgb8(),
            image::open(matte).ok()?.to_luma8(),
        ))
    };
    let mut pictures: Vec<_> = names.iter().filter_map(read).collect();
    let queries: Vec<_> = (0..4).map(|i| pictures.remove(i * pictures.len() / 4)).collect();
    let arithmetic = Arithmetic::Corrected;
    let prepared: Vec<Prepared> = queries
        .iter()
        .map(|(i, m)| Prepared::query(i, m, arithmetic))
        .collect::<Result<_, _>>()?;
    let folder = tempfile::tempdir()?;
    for size in sizes {
        let size: usize = size.parse()?;
        let start = Instant::now();
        let path = folder.path().join("index");
        let mut builder = IndexBuilder::create(&path, "bench", arithmetic, size)?;
        let whole = size.min(WHOLE);
        let mut kept: Vec<Row> = Vec::new();
        for first in (0..whole).step_by(64) {
            let rows: Vec<_> = (first..(first + 64).min(whole))
                .into_par_iter()
                .map(|i| {
                    let (image, matte) = &pictures[i % pictures.len()];
                    let (image, matte) = varied(image, matte, i / pictures.len());
                    builder.prepare(&image, &matte)
                })
                .collect::<Result<_, _>>()?;
            for row in rows {
                if size > whole && kept.len() < STOOD_IN_FOR {
                    kept.push(row.clone());
                }
                builder.push(row)?;
            }
        }
        for i in whole..size {
            let of = i % kept.len().max(1);
            builder.push_stand_in(of, &kept[of], i / kept.len())?;
        }
        let built = start.elapsed().as_secs_f64();
        drop(builder.finish()?);
        let before = resident_kb().unwrap_or(0);
        let index = Index::open(&path, "bench", arithmetic).ok_or("does not open")?;
        println!("— {size} pictures, built in {built:.0} s");
        println!(
            "file: {:.0} KB a picture; memory of the index: {:.1} KB a picture",
            index.file_bytes() as f64 / 1024.0 / size as f64,
            resident_kb().unwrap_or(0).saturating_sub(before) as f64 / size as f64
        );
        let repeats = if size > 10_000 { 2 } else { 4 };
        time("search, top 5", repeats, |i| {
            index.search(&prepared[i % 4], 5, &|| false)
        });
        let batch: Vec<&Prepared> = prepared.iter().collect();
        time("search for 4 at once, top 5", 1, |_| {
            index.search_batch(&batch, 5, &|| false)
        });
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [gallery, masks, rest @ ..] = arguments.as_slice() else {
        println!("usage: similarity GALLERY_DIR MASK_DIR [PICTURES] [SEGMENTER]");
        return Ok(());
    };
    if let [mode, sizes @ ..] = rest
        && mode == "grow"
    {
        return grow(gallery.as_ref(), masks.as_ref(), sizes);
    }
    let count: usize = rest.first().map_or(Ok(500), |n| n.parse())?;
    let mut names: Vec<PathBuf> = std::fs::read_dir(gallery)?
        .filter_map(|e| Some(e.ok()?.path()))
        .collect();
    names.sort();
    // Spread over the gallery, so that every group takes part.
    let step = (names.len() / (count + 8)).max(1);
    let pictures: Vec<(RgbImage, GrayImage)> = names
        .iter()
        .step_by(step)
        .filter_map(|p| {
            let matte = PathBuf::from(masks).join(p.file_stem()?).with_extension("png");
            Some((
                image::open(p).ok()?.to_rgb8(),
                image::open(matte).ok()?.to_luma8(),
            ))
        })
        .take(count + 8)
        .collect();
    let (queries, pictures) = pictures.split_at(8.min(pictures.len() / 2));
    if queries.len() < 8 {
        return Err(format!(
            "{gallery} and {masks} have only {} pictures in common",
            2 * queries.len()
        )
        .into());
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("index");
    for arithmetic in Arithmetic::ALL {
        println!(
            "— {arithmetic}, {} pictures, {} threads",
            pictures.len(),
            rayon::current_num_threads()
        );
        let start = Instant::now();
        let mut builder = IndexBuilder::create(&path, "bench", arithmetic, pictures.len())?;
        for (image, matte) in pictures {
            builder.add(image, matte)?;
        }
        drop(builder.finish()?);
        println!(
            "build: {:.1} ms a picture",
            start.elapsed().as_secs_f64() * 1e3 / pictures.len() as f64
        );
        time("open", 3, |_| {
            Index::open(&path, "bench", arithmetic).map(|i| i.len())
        });
        let index = Index::open(&path, "bench", arithmetic).ok_or("does not open")?;
        time("prepare", 5, |i| {
            Prepared::new(&queries[i].0, &queries[i].1, arithmetic).map(|p| p.coverage())
        });
        let prepared: Vec<Prepared> = queries
            .iter()
            .map(|(i, m)| Prepared::new(i, m, arithmetic))
            .collect::<Result<_, _>>()?;
        let pair = time("pair, both regions", 20, |i| {
            compare(&prepared[i % 8], &prepared[(i + 1) % 8])
        });
        println!("  one region: {:.2} ms", pair / 2.0);
        let search = time("search, top 5", 16, |i| {
            index.search(&prepared[i % 8], 5, &|| false)
        });
        println!("  = {:.0} pairs in full", search / pair);
        let batch: Vec<&Prepared> = prepared.iter().collect();
        time("search for 8 at once, top 5", 4, |_| {
            index.search_batch(&batch, 5, &|| false)
        });
        println!(
            "file: {:.0} KB a picture",
            index.file_bytes() as f64 / 1024.0 / pictures.len() as f64
        );
        if arithmetic == Arithmetic::Corrected {
            let start = Instant::now();
            let links = index.links(0.8, 0.8, &|| false, &|_, _| {}).ok_or("cancelled")?;
            println!("links: {} in {:.1} s", links.len(), start.elapsed().as_secs_f64());
        }
    }
    time("local map", 10, |i| local_map(&queries[i % 8].0, &pictures[i].0));
    if let Some(folder) = rest.get(1) {
        let segmenter = Segmenter::open(folder.as_ref())?;
        println!("— {}", segmenter.describe());
        time("segment", 10, |i| {
            segmenter.segment(&queries[i % 8].0).map(|m| m.confidence)
        });
        let mut union = 0.0;
        for (image, mask) in queries {
            let matte = segmenter.segment(image)?.alpha;
            let on = |g: &GrayImage, x, y| g.get_pixel(x, y)[0] >= 128;
            let (mut both, mut any) = (0, 0);
            for (x, y, _) in mask.enumerate_pixels() {
                both += u32::from(on(&matte, x, y) && on(mask, x, y));
                any += u32::from(on(&matte, x, y) || on(mask, x, y));
            }
            union += f64::from(both) / f64::from(any.max(1));
        }
        println!(
            "overlap with the given mattes: {:.3}",
            union / queries.len() as f64
        );
    }
    Ok(())
}
