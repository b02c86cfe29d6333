//! Hashes that name what a matte depends on.

use super::SegmentationError;
use sha2::{Digest, Sha256};
use std::{fs::File, io::Read, path::Path};

/// SHA-256 over a file and the settings it is used with, in hexadecimal.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn hash_file(path: &Path, settings: &str) -> Result<String, SegmentationError> {
    let io = |source| SegmentationError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(io)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    hasher.update(settings);
    Ok(hex::encode(hasher.finalize()))
}
