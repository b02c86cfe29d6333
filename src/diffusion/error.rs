//! What can be wrong with a checkpoint, and what can go wrong while drawing.

use std::{fmt, io, path::PathBuf};
use thiserror::Error;

/// Names listed in one message before the rest is only counted.
const LISTED: usize = 12;

/// Why a folder cannot be used as a checkpoint. Every message names the file, and the key or tensor in it.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The path does not exist, or is neither a folder nor a weights file.
    #[error("{} is not a folder and not a .safetensors file", path.display())]
    NotAFolder {
        /// The path given.
        path: PathBuf,
    },
    /// Files that every checkpoint has are not there.
    #[error("{} is not a complete diffusers checkpoint; missing: {}", root.display(), List(missing))]
    Missing {
        /// The checkpoint's folder.
        root: PathBuf,
        /// Everything that is missing, in the folder's own names.
        missing: Vec<String>,
    },
    /// Weights are there, but only as pickle files.
    #[error(
        "{} holds pickle weights only ({}); pickle can run code and is never read. Convert them once with diffusers: \
         StableDiffusionPipeline.from_pretrained(DIR).save_pretrained(OUT, safe_serialization=True)",
        root.display(),
        List(files)
    )]
    PickleOnly {
        /// The checkpoint's folder.
        root: PathBuf,
        /// The pickle files found.
        files: Vec<String>,
    },
    /// A single file in pickle format.
    #[error(
        "{} is a pickle file; pickle can run code and is never read. Convert it once with diffusers: \
         StableDiffusionPipeline.from_single_file(FILE).save_pretrained(OUT, safe_serialization=True)",
        path.display()
    )]
    PickleFile {
        /// The file.
        path: PathBuf,
    },
    /// A single file that is not a complete checkpoint of Stable Diffusion.
    #[error("{}: {message}", path.display())]
    SingleFile {
        /// The file.
        path: PathBuf,
        /// What it lacks.
        message: String,
    },
    /// A folder with more than one checkpoint in a single file.
    #[error(
        "{} holds several checkpoints in single files ({}); name the one to use",
        root.display(),
        List(files)
    )]
    SeveralFiles {
        /// The folder.
        root: PathBuf,
        /// Their names.
        files: Vec<String>,
    },
    /// A single file without a tokenizer beside it.
    #[error(
        "{} is a checkpoint in a single file, which holds no tokenizer. Put vocab.json and merges.txt (or \
         tokenizer.json) of its model into {}; the folder tokenizer/ of any Stable Diffusion {family} checkpoint in \
         diffusers layout has them",
        path.display(),
        folder.display()
    )]
    NoTokenizer {
        /// The checkpoint's file.
        path: PathBuf,
        /// Where the tokenizer's files must be.
        folder: PathBuf,
        /// Stable Diffusion 1 or 2.
        family: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is larger than its kind ever is.
    #[error("{} is {bytes} bytes; a file of this kind has at most {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// A JSON file is not JSON, or not of the expected form.
    #[error("{}: {message}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column where known.
        message: String,
    },
    /// A configuration value has the wrong type or range, or asks for something this program does not do.
    #[error("{}: {key} is {value}; {expected}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Its value, as JSON.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// Two parts of the checkpoint do not fit together.
    #[error("{}: {message}", root.display())]
    Mismatch {
        /// The checkpoint's folder.
        root: PathBuf,
        /// Which values, of which files.
        message: String,
    },
    /// A safetensors file is damaged.
    #[error("{} is damaged: {message}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The tensors are not those that the configuration implies.
    #[error("{}: the tensors do not fit the configuration:{}", path.display(), Lines(problems))]
    Tensors {
        /// The weight file (the first one, when there are several).
        path: PathBuf,
        /// One line each: missing, wrong shape, wrong type, unexpected.
        problems: Vec<String>,
    },
    /// A tensor holds NaN or an infinity.
    #[error("{}: not all numbers are finite:{}", path.display(), Lines(tensors))]
    NotFinite {
        /// The weight file.
        path: PathBuf,
        /// One line for each tensor: name, how many, position of the first.
        tensors: Vec<String>,
    },
    /// The tokenizer's files cannot be used.
    #[error("{}: {message}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

/// Why no picture came out.
#[derive(Debug, Error)]
pub enum DiffusionError {
    /// The observer asked to stop. No fault.
    #[error("stopped")]
    Stopped,
    /// The request is out of range, or does not fit the checkpoint.
    #[error("{0}")]
    Request(String),
    /// A variant is not valid, or does not fit the checkpoint; names the edit.
    #[error("the variant does not fit this checkpoint: {0}")]
    Variant(String),
    /// The checkpoint cannot be loaded.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model produced NaN or infinities.
    #[error("the model produced numbers that are not finite {0}; its weights may be damaged, or need f32")]
    NotFinite(String),
    /// The tensor library refused an operation.
    #[error("tensor arithmetic failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().take(LISTED).enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { ", " })?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.0.iter().take(LISTED) {
            write!(f, "\n  {line}")?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_and_counted() {
        let missing: Vec<String> = (0..20).map(|i| format!("file{i}")).collect();
        let text = CheckpointError::Missing {
            root: "dir".into(),
            missing,
        }
        .to_string();
        assert!(text.contains("file11 and 8 more"), "{text}");
        assert!(!text.contains("file12"));
    }
}
