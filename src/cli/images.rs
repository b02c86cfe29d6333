//! Folders of pictures, as the commands read them: a file that cannot be read is reported and skipped.

use crate::{
    gallery,
    segmentation::Segmenter,
    similarity::Index,
    study::{GalleryImage, Problem},
};
use std::path::{Path, PathBuf};

/// The pictures of a folder, with ready-made mattes where `mattes` holds them.
pub fn list(folder: &Path, mattes: Option<&Path>) -> Result<Vec<GalleryImage>, Problem> {
    let scanned = gallery::scan(folder, None, mattes)?;
    for notice in &scanned.notices {
        eprintln!("pentimento: {notice}");
    }
    Ok(scanned.images)
}

/// The segmenter named on the command line, or the one the demo study brings.
pub fn segmenter(named: Option<&Path>) -> Result<Segmenter, Problem> {
    let path: PathBuf = match named {
        Some(path) => path.to_owned(),
        None => crate::engine::default_segmenter().ok_or_else(|| {
            Problem::new(
                "No segmenter is at hand",
                "Name one with --segmenter: a folder or a weights file.",
            )
        })?,
    };
    Segmenter::open(&path).map_err(|error| {
        Problem::new(
            "The segmenter cannot be read",
            "Name a U²-Net folder or weights file.",
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
