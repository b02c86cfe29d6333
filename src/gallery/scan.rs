//! From a folder to the list of its training images.

use super::{
    captions,
    tree::{Listing, list, list_all, list_tree, relative},
};
use crate::study::{GalleryImage, Problem};
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

/// Entries that one notice names at most.
const MOST_NAMED: usize = 20;

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

/// Lists the images of a folder and of the folders below it (hidden files and other files are passed over; so are
/// sub-folders called foreground, background, mask(s) or matte(s), and what lies very deep) and gives each its caption
/// and matte.
///
/// Captions come from `captions` (CSV or JSON lines), else from `metadata.jsonl`, `metadata.csv`,
/// `captions.jsonl` or `captions.csv` in the folder; for images these do not mention, from `NAME.txt` beside
/// the image. Mattes come from `mattes/NAME.png` (any image format; same name up to the extension; `mattes/SUB/NAME.png`
/// first for an image in a sub-folder).
///
/// # Errors
/// A problem when the folder cannot be listed or holds no image. Unusable captions or mattes are notices.
pub fn scan(
    folder: &Path,
    captions: Option<&Path>,
    mattes: Option<&Path>,
) -> Result<ScannedGallery, Problem> {
    let listed = list_tree(folder, mattes).map_err(|e| unlisted(folder, &e))?;
    gather(folder, listed, captions, mattes)
}

/// Lists the images of a folder of generated pictures: without captions, not those of its sub-folders.
///
/// # Errors
/// As [`scan`].
pub fn scan_flat(folder: &Path, mattes: Option<&Path>) -> Result<ScannedGallery, Problem> {
    let listed = list(folder).map_err(|e| unlisted(folder, &e))?;
    gather(folder, listed, None, mattes)
}

fn unlisted(folder: &Path, error: &io::Error) -> Problem {
    Problem::io("The folder of images cannot be read", folder, error)
}

fn gather(
    folder: &Path,
    listed: Listing,
    captions: Option<&Path>,
    mattes: Option<&Path>,
) -> Result<ScannedGallery, Problem> {
    if listed.images.is_empty() {
        return Err(no_images(folder, &listed));
    }
    let mut notices = Vec::new();
    let lists = [
        (
            &listed.unreadable,
            "entries of the folder could not be read",
            "Check the disk and the permissions.",
        ),
        (
            &listed.passed_over,
            "sub-folders were not looked into",
            "Open them by themselves if they hold training images.",
        ),
    ];
    for (entries, what, advice) in lists {
        if !entries.is_empty() {
            let mut notice = Problem::new(format!("{} {what}", entries.len()), advice).at(folder);
            for entry in entries.iter().take(MOST_NAMED) {
                notice = notice.detail(format!("{}: {}", relative(&entry.path, folder), entry.reason));
            }
            if entries.len() > MOST_NAMED {
                notice = notice.detail(format!("and {} more", entries.len() - MOST_NAMED));
            }
            notices.push(notice);
        }
    }

    let table = match captions.map(Path::to_path_buf).or_else(|| captions::find(folder)) {
        Some(path) => {
            let (table, mut told) = captions::read(&path);
            notices.append(&mut told);
            let named = |image: &PathBuf| table.get(&relative(image, folder)).is_some();
            if table.len() > 0 && !listed.images.iter().any(named) {
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
        Some(folder) => match list_all(folder) {
            Ok(found) => by_stem(found.images, folder),
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

    let mut images: Vec<GalleryImage> = listed
        .images
        .into_iter()
        .map(|path| {
            let caption = table
                .get(&relative(&path, folder))
                .map(str::to_owned)
                .or_else(|| {
                    let beside = path.with_extension("txt");
                    let there = listed.texts.contains(&beside);
                    there.then(|| captions::sidecar(&beside)).flatten()
                });
            GalleryImage {
                path,
                matte: None,
                caption,
            }
        })
        .collect();
    give_mattes(&mut images, folder, &mattes_by_stem);
    if let (Some(folder), false) = (mattes, mattes_by_stem.is_empty()) {
        notices.extend(without_matte(&images, folder));
    }
    Ok(ScannedGallery { images, notices })
}

/// Gives every image of a gallery in `root` the matte of its name, or none.
fn give_mattes(images: &mut [GalleryImage], root: &Path, by_stem: &HashMap<PathBuf, PathBuf>) {
    let mut stems: HashMap<OsString, usize> = HashMap::new();
    for stem in images.iter().filter_map(|i| i.path.file_stem()) {
        *stems.entry(stem.to_owned()).or_default() += 1;
    }
    // An image in a sub-folder may have its matte without the sub-folder, as long as its name is the only one.
    let alone = |stem: &OsStr| stems.get(stem).is_some_and(|&n| n == 1);
    for image in images {
        let place = image
            .path
            .strip_prefix(root)
            .unwrap_or(&image.path)
            .with_extension("");
        let stem = image.path.file_stem().filter(|stem| alone(stem));
        let named = || by_stem.get(Path::new(stem?));
        image.matte = by_stem.get(&place).or_else(named).cloned();
    }
}

fn without_matte(images: &[GalleryImage], folder: &Path) -> Option<Problem> {
    let mut without = images.iter().filter(|i| i.matte.is_none());
    let first = without.next()?.name();
    Some(
        Problem::new(
            format!(
                "{} of {} gallery images have no matte",
                1 + without.count(),
                images.len()
            ),
            "The segmenter finds their foregrounds instead.",
        )
        .at(folder)
        .detail(format!("the first is {first}")),
    )
}

/// The mask of the picture of this path or name: a file of the same name with the ending of any picture format, PNG
/// before all others.
pub fn mask_named(path: &Path) -> Option<PathBuf> {
    let endings = EXTENSIONS
        .iter()
        .flat_map(|e| [(*e).to_owned(), e.to_uppercase()]);
    endings
        .map(|e| path.with_extension(e))
        .find(|file| file.is_file())
}

/// Gives the images of a gallery in `root` the mattes of another folder, in place of those they had. The notice, if
/// any, says which have none.
///
/// # Errors
/// A problem when the folder cannot be listed, or none of its pictures has the name of a training image; the images
/// then keep what they had.
pub fn take_mattes(
    images: &mut Vec<GalleryImage>,
    root: &Path,
    folder: &Path,
) -> Result<Option<Problem>, Problem> {
    let found =
        list_all(folder).map_err(|e| Problem::io("The folder of masks cannot be read", folder, &e))?;
    let mut given = images.clone();
    give_mattes(&mut given, root, &by_stem(found.images, folder));
    if given.iter().all(|i| i.matte.is_none()) {
        let mut problem = Problem::new(
            "None of the masks has the name of a training image",
            "A mask is named like its image, with the ending of any picture format: scene_0001.png for scene_0001.jpg.",
        );
        problem = problem.at(folder);
        return Err(match images.first() {
            Some(first) => problem.detail(format!("the first training image is {}", first.name())),
            None => problem,
        });
    }
    *images = given;
    Ok(without_matte(images, folder))
}

/// PNG wins where several files share a stem, since it is lossless.
fn by_stem(paths: Vec<PathBuf>, folder: &Path) -> HashMap<PathBuf, PathBuf> {
    let mut found: HashMap<PathBuf, PathBuf> = HashMap::with_capacity(paths.len());
    for path in paths {
        let stem = path.strip_prefix(folder).unwrap_or(&path).with_extension("");
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
