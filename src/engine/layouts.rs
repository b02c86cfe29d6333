//! Layouts of the window, one a study, in the user's data folder: a study folder may be read-only or shared.

use super::places::user_data;
use crate::{store::write_whole, study::Problem};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

/// Largest layout that is read.
const MOST_BYTES: u64 = 256 * 1024;

fn file_of(data: &Path, root: &Path) -> PathBuf {
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    let mut name = hex::encode(Sha256::digest(root.as_os_str().as_encoded_bytes()));
    name.truncate(16);
    data.join("layouts").join(format!("{name}.json"))
}

/// What was kept for a study; `None` where nothing was, or it cannot be read.
pub(super) fn read(root: &Path) -> Option<String> {
    read_in(&user_data()?, root)
}

fn read_in(data: &Path, root: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(file_of(data, root)).ok()?;
    file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Keeps a layout for a study. One that cannot be kept is only logged: nothing of the study is lost.
pub(super) fn keep(root: &Path, text: &str) {
    let Some(data) = user_data() else { return };
    if let Err(error) = keep_in(&data, root, text) {
        log::warn!("{error}");
    }
}

fn keep_in(data: &Path, root: &Path, text: &str) -> Result<(), Problem> {
    let file = file_of(data, root);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|e| Problem::io("The layout cannot be kept", folder, &e))?;
    }
    write_whole(&file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_study_has_its_own() {
        let data = tempfile::tempdir().unwrap();
        let (a, b) = (Path::new("/studies/a"), Path::new("/studies/b"));
        assert_eq!(read_in(data.path(), a), None);
        keep_in(data.path(), a, "first").unwrap();
        keep_in(data.path(), b, "second").unwrap();
        keep_in(data.path(), a, "third").unwrap();
        assert_eq!(read_in(data.path(), a).as_deref(), Some("third"));
        assert_eq!(read_in(data.path(), b).as_deref(), Some("second"));
    }
}
