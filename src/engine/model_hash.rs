//! What names a model in a run's parameters.

use crate::{
    diffusion::Checkpoint,
    gallery::{content_hash, folder_hash},
};
use sha2::{Digest, Sha256};
use std::{io, path::Path};

/// Fingerprint of a checkpoint: of all files of its folder; or of the single file, its tokenizer and the files beside
/// it that its settings come from.
///
/// # Errors
/// A file that cannot be read.
pub fn model_hash(checkpoint: &Checkpoint) -> io::Result<String> {
    let root = &checkpoint.root;
    if root.is_dir() {
        return folder_hash(root);
    }
    let beside = root.parent().unwrap_or(Path::new(""));
    let mut digest = Sha256::new();
    digest.update(format!(
        "{}\n{}\n",
        content_hash(root)?,
        folder_hash(&checkpoint.tokenizer)?
    ));
    for file in &checkpoint.settings_files {
        let name = file
            .strip_prefix(beside)
            .unwrap_or(file)
            .to_string_lossy()
            .replace('\\', "/");
        digest.update(format!("{name}\0{}\n", content_hash(file)?));
    }
    Ok(hex::encode(digest.finalize()))
}
