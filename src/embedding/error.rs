//! What can go wrong between a weights file and a vector.

use crate::weights_file::WeightsFileError;
use std::path::PathBuf;

/// Trouble with an embedder.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddingError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The path is none of the known embedders.
    #[error(
        "{} is no embedder: give SSCD's sscd_*.torchvision.pt or the same as .safetensors, or a folder with \
         config.json and model.safetensors of DINOv2 or CLIP", .0.display()
    )]
    Unknown(PathBuf),
    /// `config.json` is not what it should be.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The key and what is wrong with it, or line and column.
        message: String,
    },
    /// The weights file cannot be read, or does not fit.
    #[error(transparent)]
    File(#[from] WeightsFileError),
    /// The picture has no pixels.
    #[error("a picture without pixels has no embedding")]
    Empty,
    /// The vector that came out cannot be normalised.
    #[error("the embedding of this picture is not finite, or zero")]
    Degenerate,
    /// Text could not be cut into tokens.
    #[error("the text cannot be tokenized: {0}")]
    Tokens(String),
    /// The shortlist's index failed.
    #[error("the shortlist failed: {0}")]
    Shortlist(String),
    /// The network failed while running.
    #[error("the embedder failed: {0}")]
    Run(#[from] candle_core::Error),
}
