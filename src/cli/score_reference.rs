//! `pentimento score --arithmetic reference` on folders laid out as the reference expects them.

use super::{
    args::{Common, ScoreArgs},
    console::Console,
    images,
    reference_layout::{GallerySegments, generated_names, generated_segments, prepare_generated},
};
use crate::{
    engine::{Eta, compute_pool, read_with_matte},
    memorization::reference_best,
    segmentation::Segmenter,
    similarity::Prepared,
    store::{ScoreRow, write_scores},
    study::{GalleryImage, Problem},
};
use std::path::Path;

/// Writes the reference's table from the segments on disk. A generated picture without segments is
/// segmented, its segments compared as if they had been saved as JPEG before.
pub fn run(args: &ScoreArgs, common: &Common, segments: &GallerySegments) -> Result<(), Problem> {
    let names = generated_names(&args.generated)?;
    let pool = compute_pool(common.threads).map_err(|e| super::failed("Threads cannot be started", &e))?;
    let scratch = tempfile::tempdir().map_err(|e| super::failed("No temporary folder can be made", &e))?;
    let mut console = Console::new(common.quiet);
    let count = segments.len();
    let mut eta = Eta::new(count as f64);
    let (index, originals) = segments
        .index(&scratch.path().join("gallery"), &pool, &mut |done| {
            console.progress("Preparing the gallery", done, count, eta.left(done as f64));
        })
        .map_err(|e| super::failed("The gallery cannot be prepared", &e))?;
    console.progress("Preparing the gallery", count, count, None);
    console.end();

    let mut segmenter = None;
    let mut eta = Eta::new(names.len() as f64);
    let (mut rows, mut scored) = (Vec::new(), 0);
    for (done, name) in names.iter().enumerate() {
        console.progress("Scoring", done, names.len(), eta.left(done as f64));
        let query = match generated_segments(&args.generated, name) {
            Some(paths) => pool.install(|| prepare_generated(&paths)),
            None => segment(&args.generated.join(name), args, &mut segmenter, &pool),
        };
        let query = match query {
            Ok(query) => query,
            Err(problem) => {
                eprintln!("pentimento: skipped {name}: {problem}");
                continue;
            }
        };
        let original = |i: u32| originals[i as usize].clone();
        let (k, never) = (usize::from(args.top_k), || false);
        let found = pool.install(|| reference_best(&index, &query, k, &|i| original(i), &never));
        let found = found.ok_or_else(|| images::unreadable(&index))?;
        scored += 1;
        rows.extend(
            found
                .into_iter()
                .map(|m| ScoreRow::new(original(m.gallery), name.as_str(), m.scores)),
        );
    }
    console.progress("Scoring", names.len(), names.len(), None);
    console.end();
    write_scores(&args.out, &rows)?;
    println!(
        "{scored} pictures against {} training images, from the reference's segments: {}",
        originals.len(),
        args.out.display()
    );
    Ok(())
}

fn segment(
    path: &Path,
    args: &ScoreArgs,
    segmenter: &mut Option<Segmenter>,
    pool: &rayon::ThreadPool,
) -> Result<Prepared, Problem> {
    let segmenter = match segmenter {
        Some(segmenter) => segmenter,
        none => none.insert(images::segmenter(args.segmenter.as_deref(), args.arithmetic)?),
    };
    let entry = GalleryImage {
        path: path.to_owned(),
        matte: None,
        caption: None,
    };
    let failed = |e: &dyn std::fmt::Display| super::failed("It cannot be compared", e).at(path);
    pool.install(|| {
        let (image, matte) = read_with_matte(&entry, Some(segmenter)).map_err(|e| failed(&e))?;
        Prepared::query(&image, &matte, args.arithmetic).map_err(|e| failed(&e))
    })
}
