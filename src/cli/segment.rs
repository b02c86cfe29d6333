//! `pentimento segment`: the mattes of a folder of pictures.

use super::{
    args::{Common, SegmentArgs},
    console::Console,
    images,
};
use crate::{
    engine::{Eta, compute_pool},
    gallery::decode_rgb,
    study::Problem,
};
use std::path::PathBuf;

/// Writes one matte per picture; pictures that cannot be read are listed at the end.
pub fn run(args: &SegmentArgs, common: &Common) -> Result<(), Problem> {
    let pictures = images::list(&args.images, None)?;
    let segmenter = images::segmenter(args.segmenter.as_deref())?;
    let pool = compute_pool(common.threads).map_err(|e| super::failed("Threads cannot be started", &e))?;
    std::fs::create_dir_all(&args.out)
        .map_err(|e| super::failed("The folder cannot be made", &e).at(&args.out))?;
    let mut console = Console::new(common.quiet);
    let mut eta = Eta::new(pictures.len() as f64);
    let mut skipped: Vec<(PathBuf, String)> = Vec::new();
    for (done, picture) in pictures.iter().enumerate() {
        console.progress("Segmenting", done, pictures.len(), eta.left(done as f64));
        let matte = decode_rgb(&picture.path)
            .map_err(|e| e.to_string())
            .and_then(|image| {
                pool.install(|| segmenter.segment(&image))
                    .map_err(|e| e.to_string())
            });
        match matte {
            Ok(matte) => {
                let stem = picture.path.file_stem().unwrap_or_default();
                let file = args.out.join(stem).with_extension("png");
                matte
                    .alpha
                    .save(&file)
                    .map_err(|e| super::failed("A matte cannot be written", &e).at(file))?;
            }
            Err(reason) => skipped.push((picture.path.clone(), reason)),
        }
    }
    console.progress("Segmenting", pictures.len(), pictures.len(), None);
    console.end();
    for (path, reason) in &skipped {
        eprintln!("pentimento: skipped {}: {reason}", path.display());
    }
    println!(
        "{} mattes in {}",
        pictures.len() - skipped.len(),
        args.out.display()
    );
    Ok(())
}
