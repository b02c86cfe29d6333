//! `pentimento score`: generated pictures against a gallery, without a model.

use super::{
    args::{Common, ScoreArgs},
    console::Console,
    images,
};
use crate::{
    engine::{Eta, compute_pool, read_with_matte},
    segmentation::Segmenter,
    similarity::{IndexBuilder, Prepared},
    store::{ScoreRow, write_scores, write_scores_with_null},
    study::{Arithmetic, GalleryImage, Problem, gallery_names},
};
use image::{GrayImage, RgbImage};
use rayon::prelude::*;

/// Pictures held in memory at once.
const CHUNK: usize = 32;

/// Writes `scores.csv`; pictures that cannot be read are reported and skipped.
pub fn run(args: &ScoreArgs, common: &Common) -> Result<(), Problem> {
    let generated = images::list(&args.generated, args.masks_generated.as_deref())?;
    let gallery = images::list_gallery(&args.gallery, args.masks_gallery.as_deref())?;
    let lacks_matte = |list: &[GalleryImage]| list.iter().any(|g| g.matte.is_none());
    let segmenter = if lacks_matte(&generated) || lacks_matte(&gallery) {
        Some(images::segmenter(args.segmenter.as_deref())?)
    } else {
        None
    };
    let pool = compute_pool(common.threads).map_err(|e| super::failed("Threads cannot be started", &e))?;
    let scratch = tempfile::tempdir().map_err(|e| super::failed("No temporary folder can be made", &e))?;
    let mut console = Console::new(common.quiet);

    let mut builder = IndexBuilder::create(
        &scratch.path().join("gallery"),
        "score",
        args.arithmetic,
        gallery.len(),
    )
    .map_err(|e| super::failed("The gallery cannot be prepared", &e))?;
    let gallery_names = gallery_names(&gallery);
    let mut names = Vec::new();
    // Gallery index of each row.
    let mut kept = Vec::new();
    let mut eta = Eta::new(gallery.len() as f64);
    for (chunk, entries) in gallery.chunks(CHUNK).enumerate() {
        let done = chunk * CHUNK;
        console.progress(
            "Preparing the gallery",
            done,
            gallery.len(),
            eta.left(done as f64),
        );
        let pictures = read(entries, segmenter.as_ref(), &pool);
        for (i, (entry, picture)) in entries.iter().zip(pictures).enumerate() {
            let Some((image, matte)) = picture else { continue };
            pool.install(|| builder.add(&image, &matte))
                .map_err(|e| super::failed("A training image cannot be prepared", &e).at(&entry.path))?;
            names.push(gallery_names[done + i].as_str());
            kept.push(done + i);
        }
    }
    let index = builder
        .finish()
        .map_err(|e| super::failed("The gallery cannot be prepared", &e))?;
    console.progress("Preparing the gallery", gallery.len(), gallery.len(), None);
    console.end();

    let null = args.null.map(|_| {
        let generated = |row: usize| {
            let entry = gallery.get(*kept.get(row)?)?;
            let (image, matte) = read_with_matte(entry, segmenter.as_ref()).ok()?;
            Prepared::new(&image, &matte, args.arithmetic).ok()
        };
        super::null::of_gallery(&index, &generated, &pool, &mut console)
    });
    let mut rows = Vec::new();
    let mut eta = Eta::new(generated.len() as f64);
    let mut scored = 0;
    for (chunk, entries) in generated.chunks(CHUNK).enumerate() {
        for (i, picture) in read(entries, segmenter.as_ref(), &pool).into_iter().enumerate() {
            let done = chunk * CHUNK + i;
            console.progress("Scoring", done, generated.len(), eta.left(done as f64));
            let Some((image, matte)) = picture else { continue };
            let query = prepare(&image, &matte, args.arithmetic).map_err(|e| e.at(&entries[i].path))?;
            let matches = pool
                .install(|| index.search(&query, args.top_k as usize, &|| false))
                .unwrap_or_default();
            scored += 1;
            rows.extend(
                matches
                    .into_iter()
                    .map(|m| ScoreRow::new(names[m.gallery as usize], entries[i].name(), m.scores)),
            );
        }
    }
    console.progress("Scoring", generated.len(), generated.len(), None);
    console.end();
    match &null {
        Some(null) => write_scores_with_null(&args.out, &rows, &|s| super::null::percentiles(null, s))?,
        None => write_scores(&args.out, &rows)?,
    }
    println!(
        "{scored} pictures against {} training images: {}",
        names.len(),
        args.out.display()
    );
    if let (Some(null), Some(rate)) = (&null, args.null) {
        super::null::print(null, rate);
    }
    Ok(())
}

/// Decodes and segments a few pictures; one that cannot be read is reported and left out.
fn read(
    entries: &[GalleryImage],
    segmenter: Option<&Segmenter>,
    pool: &rayon::ThreadPool,
) -> Vec<Option<(RgbImage, GrayImage)>> {
    pool.install(|| {
        entries
            .par_iter()
            .map(|entry| {
                read_with_matte(entry, segmenter)
                    .inspect_err(|reason| eprintln!("pentimento: skipped {}: {reason}", entry.path.display()))
                    .ok()
            })
            .collect()
    })
}

fn prepare(image: &RgbImage, matte: &GrayImage, arithmetic: Arithmetic) -> Result<Prepared, Problem> {
    Prepared::new(image, matte, arithmetic)
        .map_err(|e| super::failed("A generated picture cannot be compared", &e))
}
