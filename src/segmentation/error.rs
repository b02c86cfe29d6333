//! What can go wrong between a segmenter's folder and a matte.

use crate::weights_file::WeightsFileError;
use std::path::PathBuf;

/// Trouble with a segmenter or a matte.
#[derive(Debug, thiserror::Error)]
pub enum SegmentationError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder holds no weights.
    #[error(
        "{} holds no segmenter: weights of U²-Net, U²-Net-P, IS-Net or BiRefNet are needed \
         (.safetensors, .pth or .onnx)", .0.display()
    )]
    NoWeights(PathBuf),
    /// The settings file is far larger than any.
    #[error("{} is {bytes} bytes long; settings have at most {most}", path.display())]
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
    /// The weights file cannot be read, or does not fit.
    #[error(transparent)]
    File(#[from] WeightsFileError),
    /// Stopped as asked.
    #[error("stopped")]
    Stopped,
    /// The picture has no pixels.
    #[error("a picture without pixels cannot be segmented")]
    Empty,
    /// A ready-made matte belongs to another picture.
    #[error(
        "{} is {}×{} pixels but its picture is {}×{}; a matte must have its picture's size",
        path.display(), matte.0, matte.1, image.0, image.1
    )]
    MatteSize {
        /// The matte's file.
        path: PathBuf,
        /// Its width and height.
        matte: (u32, u32),
        /// The picture's width and height.
        image: (u32, u32),
    },
    /// A matte file cannot be decoded.
    #[error("{} cannot be decoded: {message}", path.display())]
    MatteFile {
        /// The matte's file.
        path: PathBuf,
        /// What the decoder said.
        message: String,
    },
    /// The network failed while running.
    #[error("the segmenter failed: {0}")]
    Run(#[from] candle_core::Error),
}
