//! What can go wrong between a weights file and a vector.

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
    /// The weights file is far larger than any known embedder.
    #[error("{} is {bytes} bytes long; an embedder has at most {most}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The longest accepted.
        most: u64,
    },
    /// `config.json` is not what it should be.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The key and what is wrong with it, or line and column.
        message: String,
    },
    /// The weights file cannot be understood.
    #[error("{} is not a readable weights file: {message}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        message: String,
    },
    /// Tensors are missing or have other shapes than the architecture asks for.
    #[error("{} does not fit {architecture}: {}", path.display(), problems.join("; "))]
    Tensors {
        /// The file.
        path: PathBuf,
        /// Name of the architecture.
        architecture: &'static str,
        /// One line per tensor, the first few.
        problems: Vec<String>,
    },
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
