//! Listing a gallery's folder and the folders below it, within bounds.

use super::{natural, scan::is_image_name};
use crate::study::Skipped;
use std::{
    collections::{HashSet, VecDeque},
    fs, io,
    path::{Path, PathBuf},
};

/// Levels of sub-folders that are looked into.
pub const MAX_DEPTH: usize = 8;
/// Folders that are looked into.
pub const MAX_FOLDERS: usize = 20_000;
/// Sub-folders of a gallery that hold parts of its pictures, as the reference lays them out.
const PARTS: [&str; 6] = ["foreground", "background", "mask", "masks", "matte", "mattes"];

/// What lies in a folder.
#[derive(Default)]
pub(super) struct Listing {
    /// Paths of image files, in natural order of their paths.
    pub images: Vec<PathBuf>,
    /// Paths of text files.
    pub texts: HashSet<PathBuf>,
    /// Names of sub-folders of the folder itself.
    pub folders: Vec<String>,
    /// Names of other files, for the message when there is no image.
    pub others: Vec<String>,
    /// Entries that could not be looked at.
    pub unreadable: Vec<Skipped>,
    /// Sub-folders that were not looked into, with the reason.
    pub passed_over: Vec<Skipped>,
}

/// Lists one folder. Hidden files are passed over; links are followed, since galleries are often folders of links into
/// a larger collection.
pub(super) fn list(folder: &Path) -> io::Result<Listing> {
    let mut found = Listing::default();
    read(folder, &mut found)?;
    sort(&mut found, folder);
    Ok(found)
}

/// Lists a folder and those below it, [`MAX_DEPTH`] levels and [`MAX_FOLDERS`] folders at most, each once however often
/// it is linked. Not `except`, and not the folders that hold foregrounds, backgrounds or mattes.
pub(super) fn list_tree(root: &Path, except: Option<&Path>) -> io::Result<Listing> {
    walk(root, except, &PARTS)
}

/// As [`list_tree`], whatever the folders are called: for mattes.
pub(super) fn list_all(root: &Path) -> io::Result<Listing> {
    walk(root, None, &[])
}

fn walk(root: &Path, except: Option<&Path>, parts: &[&str]) -> io::Result<Listing> {
    let mut found = Listing::default();
    let mut waiting: VecDeque<(PathBuf, usize)> = VecDeque::new();
    let mut seen: HashSet<PathBuf> = HashSet::new();
    seen.extend(root.canonicalize());
    seen.extend(except.and_then(|e| e.canonicalize().ok()));
    waiting.extend(read(root, &mut found)?.into_iter().map(|folder| (folder, 1)));
    let mut folders = 1;
    while let Some((folder, depth)) = waiting.pop_front() {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if parts.iter().any(|part| name.eq_ignore_ascii_case(part)) {
            let reason = "holds parts of pictures by its name, not training images";
            found.passed_over.push(Skipped::new(folder, reason));
            continue;
        }
        if depth > MAX_DEPTH || folders >= MAX_FOLDERS {
            let reason = format!("lies deeper than {MAX_DEPTH} levels, or after {MAX_FOLDERS} folders");
            found.passed_over.push(Skipped::new(folder, reason));
            continue;
        }
        // A loop of links ends here.
        if !folder.canonicalize().is_ok_and(|real| seen.insert(real)) {
            continue;
        }
        folders += 1;
        let top = std::mem::take(&mut found.folders);
        match read(&folder, &mut found) {
            Ok(below) => waiting.extend(below.into_iter().map(|f| (f, depth + 1))),
            Err(e) => found.unreadable.push(Skipped::new(folder, e.to_string())),
        }
        found.folders = top;
    }
    sort(&mut found, root);
    Ok(found)
}

/// Adds what lies in one folder; gives its sub-folders.
fn read(folder: &Path, found: &mut Listing) -> io::Result<Vec<PathBuf>> {
    let mut below = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                found.unreadable.push(Skipped::new(folder, e.to_string()));
                continue;
            }
        };
        let name = entry.file_name();
        let shown = name.to_string_lossy().into_owned();
        if shown.starts_with('.') {
            continue;
        }
        let path = entry.path();
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_symlink() => fs::metadata(&path).map(|target| target.file_type()),
            kind => kind,
        };
        match kind {
            Err(e) => found.unreadable.push(Skipped::new(path, e.to_string())),
            Ok(kind) if kind.is_dir() => {
                found.folders.push(shown);
                below.push(path);
            }
            Ok(kind) if kind.is_file() && is_image_name(Path::new(&name)) => found.images.push(path),
            Ok(kind) if kind.is_file() => {
                if shown.to_ascii_lowercase().ends_with(".txt") {
                    found.texts.insert(path);
                }
                found.others.push(shown);
            }
            // Pipes, sockets and devices.
            Ok(_) => {}
        }
    }
    below.sort();
    Ok(below)
}

fn sort(found: &mut Listing, root: &Path) {
    found
        .images
        .sort_by_cached_key(|path| NaturalPath(relative(path, root)));
    found.folders.sort();
    found.others.sort();
}

/// A path below `root` in text, `/` between its parts.
pub(super) fn relative(path: &Path, root: &Path) -> String {
    let parts = path.strip_prefix(root).unwrap_or(path).components();
    let parts: Vec<_> = parts.map(|c| c.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

#[derive(PartialEq, Eq)]
struct NaturalPath(String);

impl Ord for NaturalPath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        natural::compare(&self.0, &other.0)
    }
}

impl PartialOrd for NaturalPath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
