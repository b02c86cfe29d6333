//! Measures similarity and segmentation on this machine, without a harness:
//!
//! ```text
//! cargo bench --bench similarity -- GALLERY_DIR MASK_DIR [PICTURES] [SEGMENTER]
//! ```
//! Wall milliseconds, minimum and median over repetitions. The partner that times torchmetrics on the
//! same pictures is `tools/fixtures/similarity_speed.py`.

use image::{GrayImage, RgbImage};
use pentimento::{
    segmentation::Segmenter,
    similarity::{Index, IndexBuilder, Prepared, compare, local_map},
    study::Arithmetic,
};
use std::{error::Error, path::PathBuf, time::Instant};

fn time<T>(name: &str, repeats: usize, mut work: impl FnMut(usize) -> T) -> f64 {
    let mut all: Vec<f64> = (0..repeats)
        .map(|i| {
            let start = Instant::now();
            std::hint::black_box(work(i));
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    all.sort_by(f64::total_cmp);
    println!("{name}: {:.2} ms (median {:.2})", all[0], all[repeats / 2]);
    all[0]
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [gallery, masks, rest @ ..] = arguments.as_slice() else {
        println!("usage: similarity GALLERY_DIR MASK_DIR [PICTURES] [SEGMENTER]");
        return Ok(());
    };
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
