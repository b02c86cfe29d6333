//! Folders of pictures, as the commands read them: a file that cannot be read is reported and skipped.

use crate::{
    gallery,
    segmentation::Segmenter,
    similarity::Index,
    study::{Arithmetic, GalleryImage, Problem},
};
use std::path::{Path, PathBuf};

/// The pictures of a folder (not of those below it), with ready-made mattes where `mattes` holds them.
pub fn list(folder: &Path, mattes: Option<&Path>) -> Result<Vec<GalleryImage>, Problem> {
    told(gallery::scan_flat(folder, mattes)?)
}

/// The training images of a folder and of those below it.
pub fn list_gallery(folder: &Path, mattes: Option<&Path>) -> Result<Vec<GalleryImage>, Problem> {
    told(gallery::scan(folder, None, mattes)?)
}

fn told(scanned: gallery::ScannedGallery) -> Result<Vec<GalleryImage>, Problem> {
    for notice in &scanned.notices {
        eprintln!("pentimento: {notice}");
    }
    Ok(scanned.images)
}

/// The segmenter named on the command line, or the one the demo study brings.
pub fn segmenter(named: Option<&Path>, arithmetic: Arithmetic) -> Result<Segmenter, Problem> {
    let path: PathBuf = match named {
        Some(path) => crate::engine::weight_places().resolve(path),
        None => crate::engine::default_segmenter().ok_or_else(|| {
            Problem::new(
                "No segmenter is at hand",
                "Name one with --segmenter: a folder or a weights file.",
            )
        })?,
    };
    Segmenter::open_for(&path, arithmetic).map_err(|error| {
        Problem::new(
            "The segmenter cannot be read",
            crate::engine::fetch_advice(&path).unwrap_or_else(|| {
                "Name weights of U²-Net, IS-Net or BiRefNet, or a folder with them; `pentimento fetch` lists some."
                    .into()
            }),
        )
        .at(path)
        .detail(error.to_string())
    })
}

/// Why a search that nobody cancelled has no result.
pub fn unreadable(index: &Index) -> Problem {
    let problem = Problem::new(
        "The prepared gallery cannot be read any more",
        "Run the command again.",
    );
    match index.failure() {
        Some(failure) => problem.detail(failure.to_string()),
        None => problem,
    }
}
