//! From a folder to the list of its training images.

use super::{captions, natural};
use crate::study::{GalleryImage, Problem};
use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

/// Names an image file may end in.
const EXTENSIONS: [&str; 10] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "tif", "tiff",
];

/// What was found in a gallery folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScannedGallery {
    /// The images, in natural order of their file names (`2.jpg` before `10.jpg`).
    pub images: Vec<GalleryImage>,
    /// What is worth telling: unusable caption lines, missing mattes, unreadable entries.
    pub notices: Vec<Problem>,
}

/// Whether a file name ends like an image's. What the file really contains is told when it is decoded.
pub fn is_image_name(name: &Path) -> bool {
    name.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

/// Lists the images of a folder (not of its sub-folders; hidden files and other files are passed over) and
/// gives each its caption and matte.
///
/// Captions come from `captions` (CSV or JSON lines), else from `metadata.jsonl`, `metadata.csv`,
/// `captions.jsonl` or `captions.csv` in the folder; for images these do not mention, from `NAME.txt` beside
/// the image. Mattes come from `mattes/NAME.png` (any image format; same name up to the extension).
///
/// # Errors
/// A problem when the folder cannot be listed or holds no image. Unusable captions or mattes are notices.
pub fn scan(
    folder: &Path,
    captions: Option<&Path>,
    mattes: Option<&Path>,
) -> Result<ScannedGallery, Problem> {
    let listed = list(folder).map_err(|e| Problem::io("The gallery folder cannot be read", folder, &e))?;
    if listed.images.is_empty() {
        return Err(no_images(folder, &listed));
    }
    let mut notices = Vec::new();
    if let Some(reason) = &listed.unreadable {
        notices.push(
            Problem::new(
                "Some entries of the gallery folder could not be read",
                "Check the disk and the permissions.",
            )
            .at(folder)
            .detail(reason.clone()),
        );
    }

    let table = match captions.map(Path::to_path_buf).or_else(|| captions::find(folder)) {
        Some(path) => {
            let (table, mut told) = captions::read(&path);
            notices.append(&mut told);
            if table.len() > 0 && !listed.images.iter().any(|image| table.get(image).is_some()) {
                notices.push(
                    Problem::new(
                        "The caption file names none of the gallery's images",
                        "Check that it belongs to this gallery.",
                    )
                    .at(path),
                );
            }
            table
        }
        None => captions::Captions::default(),
    };

    let mattes_by_stem = match mattes {
        Some(folder) => match list(folder) {
            Ok(found) => by_stem(found.images),
            Err(e) => {
                notices.push(
                    Problem::io("The folder of mattes cannot be read", folder, &e)
                        .detail("the segmenter finds the foregrounds instead"),
                );
                HashMap::new()
            }
        },
        None => HashMap::new(),
    };

    let images: Vec<GalleryImage> = listed
        .images
        .into_iter()
        .map(|path| {
            let matte = path
                .file_stem()
                .and_then(|stem| mattes_by_stem.get(stem))
                .cloned();
            let caption = table.get(&path).map(str::to_owned).or_else(|| {
                let beside = path.with_extension("txt");
                let there = beside.file_name().is_some_and(|name| listed.texts.contains(name));
                there.then(|| captions::sidecar(&beside)).flatten()
            });
            GalleryImage { path, matte, caption }
        })
        .collect();

    if let (Some(folder), false) = (mattes, mattes_by_stem.is_empty()) {
        let without: Vec<_> = images
            .iter()
            .filter(|i| i.matte.is_none())
            .map(GalleryImage::name)
            .collect();
        if let Some(first) = without.first() {
            notices.push(
                Problem::new(
                    format!(
                        "{} of {} gallery images have no matte",
                        without.len(),
                        images.len()
                    ),
                    "The segmenter finds their foregrounds instead.",
                )
                .at(folder)
                .detail(format!("the first is {first}")),
            );
        }
    }
    Ok(ScannedGallery { images, notices })
}

/// Lists the images of a folder of generated pictures: without captions, not those of its sub-folders.
///
/// # Errors
/// As [`scan`].
pub fn scan_flat(folder: &Path, mattes: Option<&Path>) -> Result<ScannedGallery, Problem> {
    scan(folder, None, mattes)
}

#[derive(Default)]
struct Listing {
    /// Paths of image files, in natural order.
    images: Vec<PathBuf>,
    /// Names of text files.
    texts: HashSet<OsString>,
    /// Names of sub-folders and of other files, for the message when there is no image.
    folders: Vec<String>,
    others: Vec<String>,
    unreadable: Option<String>,
}

fn list(folder: &Path) -> io::Result<Listing> {
    let mut found = Listing::default();
    for entry in fs::read_dir(folder)? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                found.unreadable.get_or_insert(e.to_string());
                continue;
            }
        };
        let name = entry.file_name();
        let shown = name.to_string_lossy().into_owned();
        if shown.starts_with('.') {
            continue;
        }
        // Links are followed: galleries are often folders of links into a larger collection.
        let kind = match entry.file_type() {
            Ok(kind) if kind.is_symlink() => match fs::metadata(entry.path()) {
                Ok(target) => target.file_type(),
                Err(e) => {
                    found.unreadable.get_or_insert(format!("{shown}: {e}"));
                    continue;
                }
            },
            Ok(kind) => kind,
            Err(e) => {
                found.unreadable.get_or_insert(format!("{shown}: {e}"));
                continue;
            }
        };
        if kind.is_dir() {
            found.folders.push(shown);
        } else if kind.is_file() && is_image_name(Path::new(&name)) {
            found.images.push(entry.path());
        } else if kind.is_file() {
            if shown.to_ascii_lowercase().ends_with(".txt") {
                found.texts.insert(name);
            }
            found.others.push(shown);
        }
    }
    found
        .images
        .sort_by_cached_key(|path| NaturalName(file_name(path)));
    found.folders.sort();
    found.others.sort();
    Ok(found)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[derive(PartialEq, Eq)]
struct NaturalName(String);

impl Ord for NaturalName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        natural::compare(&self.0, &other.0)
    }
}

impl PartialOrd for NaturalName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// PNG wins where several files share a stem, since it is lossless.
fn by_stem(paths: Vec<PathBuf>) -> HashMap<OsString, PathBuf> {
    let mut found: HashMap<OsString, PathBuf> = HashMap::with_capacity(paths.len());
    for path in paths {
        let Some(stem) = path.file_stem().map(OsStr::to_owned) else {
            continue;
        };
        let is_png = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
        if is_png || !found.contains_key(&stem) {
            found.insert(stem, path);
        }
    }
    found
}

fn no_images(folder: &Path, listed: &Listing) -> Problem {
    let some = |names: &[String]| {
        let shown = names
            .iter()
            .take(5)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        let more = names.len().saturating_sub(5);
        if more > 0 {
            format!("{shown} and {more} more")
        } else {
            shown
        }
    };
    let advice = if listed.folders.is_empty() {
        "Choose a folder that holds PNG, JPEG, WebP, GIF, BMP or TIFF files."
    } else {
        "Choose one of its sub-folders, or a folder that holds PNG, JPEG, WebP, GIF, BMP or TIFF files."
    };
    let mut problem = Problem::new("There is no image in this folder", advice).at(folder);
    if listed.folders.is_empty() && listed.others.is_empty() {
        problem = problem.detail("the folder is empty");
    }
    if !listed.folders.is_empty() {
        problem = problem.detail(format!("sub-folders: {}", some(&listed.folders)));
    }
    if !listed.others.is_empty() {
        problem = problem.detail(format!("other files: {}", some(&listed.others)));
    }
    problem
}
