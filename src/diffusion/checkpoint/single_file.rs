//! A checkpoint in one file with the names of the original code.

use super::{Checkpoint, Naming, folder::has_tokenizer, memory};
use crate::diffusion::{CheckpointError, ldm, weights::WeightFile};
use std::path::Path;

/// Opens a `.safetensors` file; its tokenizer is in the folder `tokenizer` beside it.
///
/// # Errors
/// Pickle files; files that hold something else or not everything; a missing tokenizer.
pub fn open(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if ["ckpt", "bin", "pt", "pth"]
        .iter()
        .any(|e| ending.eq_ignore_ascii_case(e))
    {
        return Err(CheckpointError::PickleFile {
            path: path.to_owned(),
        });
    }
    if !ending.eq_ignore_ascii_case("safetensors") {
        return Err(CheckpointError::NotAFolder {
            path: path.to_owned(),
        });
    }
    let file = WeightFile::open(path)?;
    let ldm::Inferred {
        unet,
        vae,
        text,
        schedule,
        names,
        notes,
        settings_files,
    } = ldm::infer(path, file.tensors())?;
    let tokenizer = path.parent().unwrap_or(Path::new("")).join("tokenizer");
    if !has_tokenizer(&tokenizer) {
        return Err(CheckpointError::NoTokenizer {
            path: path.to_owned(),
            folder: tokenizer,
            family: if names.open_clip_layers.is_some() {
                "2"
            } else {
                "1"
            },
        });
    }
    let files = || vec![path.to_owned()];
    Checkpoint {
        root: path.to_owned(),
        unet,
        vae,
        text,
        schedule,
        unet_files: files(),
        vae_files: files(),
        text_files: files(),
        tokenizer,
        settings_files,
        parameters: [0; 3],
        notes,
        overrides: Vec::new(),
        naming: Naming::Ldm(names),
        sizes: memory::Sizes::default(),
    }
    .checked()
}
