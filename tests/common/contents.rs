//! What a run's folder holds.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What differs between equal runs: how long things took, and who held the run.
const OF_THE_MOMENT: [&str; 2] = ["timings.jsonl", "run.lock"];

/// Every file of a run but those of the moment, by its name below the folder.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !OF_THE_MOMENT.contains(&name.to_str().unwrap()) {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}
