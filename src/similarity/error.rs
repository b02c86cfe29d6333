//! What can go wrong when pictures are prepared and indexed.

use std::path::PathBuf;

/// Trouble with a picture or with the index file.
#[derive(Debug, thiserror::Error)]
pub enum SimilarityError {
    /// The matte belongs to another picture.
    #[error(
        "the matte is {}×{} pixels but its picture is {}×{}; they must have the same size",
        matte.0, matte.1, image.0, image.1
    )]
    MatteSize {
        /// Width and height of the matte.
        matte: (u32, u32),
        /// Width and height of the picture.
        image: (u32, u32),
    },
    /// A picture without pixels.
    #[error("the picture has no pixels ({0}×{1})")]
    Empty(u32, u32),
    /// A JPEG file could not be written or read.
    #[error("JPEG: {0}")]
    Jpeg(String),
    /// A picture could not be folded for the index file.
    #[error("the picture could not be packed for the cache: {0}")]
    Fold(String),
    /// A background picture with transparency.
    #[error("the background picture is transparent in places; the reference compares opaque ones")]
    TransparentBackground,
    /// More pictures were added than the builder was made for.
    #[error("the index was made for {0} pictures and cannot take another")]
    Full(usize),
    /// A row was prepared with another arithmetic than the index.
    #[error("a row prepared for “{row}” cannot go into an index of “{index}”")]
    Arithmetic {
        /// Arithmetic of the row.
        row: crate::study::Arithmetic,
        /// Arithmetic of the index.
        index: crate::study::Arithmetic,
    },
    /// The index would not fit into an address.
    #[error("an index of {0} pictures is too large for this machine")]
    TooLarge(usize),
    /// The index file could not be written or read.
    #[error("index file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was written does not read back.
    #[error("index file {} does not read back as written; delete it, it is made again", .0.display())]
    Unreadable(PathBuf),
}
