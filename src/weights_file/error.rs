//! What can be wrong with a file of published weights.

use std::path::PathBuf;

/// Trouble with a file of published weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsFileError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is far larger than any known network of its kind.
    #[error("{} is {bytes} bytes long; weights of this kind have at most {most}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The longest accepted.
        most: u64,
    },
    /// The file cannot be understood.
    #[error("{} is not a readable weights file: {message}", path.display())]
    Malformed {
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
}
