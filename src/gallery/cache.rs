//! Fingerprints of files, and the folder where everything computed from them is kept.
//!
//! Hashing a large gallery reads all of it; the hashes of unchanged files (same path, size and time of
//! modification, and on Unix the same file number and time of change, which no program can set back) are therefore remembered in the cache folder, which can be deleted at any time.

use crate::study::{GalleryImage, Problem, gallery_names};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    env,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Names the cache folder, instead of the user's.
const VARIABLE: &str = "PENTIMENTO_CACHE";
const FILE: &str = "content-hashes-2.tsv";
/// A file changed so recently may change again without a change of its time: its hash is not remembered.
const SETTLED: Duration = Duration::from_secs(3);
/// Longest line of the remembered hashes that is read.
const MAX_LINE: u64 = 1 << 16;
/// Written in place of the hash of a file that cannot be read.
const UNREADABLE: &str = "unreadable";

/// The folder for caches, made if need be: `PENTIMENTO_CACHE`, else `pentimento` in the user's cache folder.
///
/// # Errors
/// A problem when there is no such folder or it cannot be made.
pub fn cache_dir() -> Result<PathBuf, Problem> {
    let folder = match env::var_os(VARIABLE).filter(|v| !v.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => directories::ProjectDirs::from("", "", "pentimento")
            .map(|dirs| dirs.cache_dir().to_owned())
            .ok_or_else(|| {
                Problem::new(
                    "No folder for caches was found",
                    format!("Name one in the environment variable {VARIABLE}."),
                )
            })?,
    };
    fs::create_dir_all(&folder).map_err(|e| {
        Problem::io("The cache folder cannot be made", &folder, &e)
            .detail(format!("another one can be named in {VARIABLE}"))
    })?;
    Ok(folder)
}

/// Fingerprint of a gallery: SHA-256, in hexadecimal, over the names, sizes and contents of its images and
/// of their mattes, in order. Captions are not part of it: no score depends on them. An image that cannot
/// be read counts as such, so that one bad file does not stop a gallery.
///
/// # Errors
/// The first error, when there are images and none of them can be read.
pub fn fingerprint(images: &[GalleryImage]) -> io::Result<String> {
    let files: Vec<&Path> = images
        .iter()
        .flat_map(|image| [Some(image.path.as_path()), image.matte.as_deref()])
        .flatten()
        .collect();
    let mut hashes = hash_all(&files).into_iter();
    let mut digest = Sha256::new();
    let mut first_error = None;
    let mut readable = images.is_empty();
    for (image, below) in images.iter().zip(gallery_names(images)) {
        for (role, path) in [("image", Some(&image.path)), ("matte", image.matte.as_ref())] {
            let Some(path) = path else { continue };
            let name = match role {
                "image" => below.clone(),
                _ => path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            };
            let (size, hash) = match hashes.next() {
                Some(Ok(found)) => {
                    readable = true;
                    (found.size, found.hash)
                }
                Some(Err(e)) => {
                    first_error.get_or_insert(e);
                    (0, UNREADABLE.to_owned())
                }
                None => (0, UNREADABLE.to_owned()),
            };
            digest.update(format!("{role}\0{}\0{name}\0{size}\0{hash}\n", name.len()));
        }
    }
    match first_error {
        Some(e) if !readable => Err(e),
        _ => Ok(hex::encode(digest.finalize())),
    }
}

/// SHA-256 of a file's content, in hexadecimal; remembered while its size and time stay the same.
///
/// # Errors
/// When the file cannot be read; the message names it.
pub fn content_hash(file: &Path) -> io::Result<String> {
    hash_all(&[file])
        .pop()
        .unwrap_or_else(|| Err(io::Error::other("nothing was hashed")))
        .map(|found| found.hash)
}

/// SHA-256 of the content of each file, in hexadecimal, in order; remembered as by [`content_hash`]. A file that cannot
/// be read gives `unreadable`.
pub fn content_hashes(files: &[&Path]) -> Vec<String> {
    let hashes = hash_all(files).into_iter();
    hashes
        .map(|found| found.map_or_else(|_| UNREADABLE.to_owned(), |f| f.hash))
        .collect()
}

/// Fingerprint of a folder and its sub-folders: SHA-256 over relative names, sizes and contents, in order
/// of the names. Hidden files are passed over. For the weights of a checkpoint or a segmenter.
///
/// # Errors
/// When a folder or file cannot be read, or there are more than 10 000 files.
pub fn folder_hash(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    collect(folder, 0, &mut files)?;
    files.sort();
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let mut digest = Sha256::new();
    for (path, found) in files.iter().zip(hash_all(&paths)) {
        let found = found?;
        let name = path.strip_prefix(folder).unwrap_or(path).components();
        let name: Vec<_> = name.map(|c| c.as_os_str().to_string_lossy()).collect();
        digest.update(format!("{}\0{}\0{}\n", name.join("/"), found.size, found.hash));
    }
    Ok(hex::encode(digest.finalize()))
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    // Loops of links end here.
    if depth > 8 || files.len() > 10_000 {
        return Err(io::Error::other(format!(
            "{}: too many files or folders to be a model",
            folder.display()
        )));
    }
    for entry in fs::read_dir(folder).map_err(|e| named(folder, &e))? {
        let entry = entry.map_err(|e| named(folder, &e))?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        let about = fs::metadata(&path).map_err(|e| named(&path, &e))?;
        if about.is_dir() {
            collect(&path, depth + 1, files)?;
        } else if about.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Hashed {
    size: u64,
    /// Nanoseconds since 1970.
    modified: u128,
    /// What else tells one state of a file from another, see [`stamp`].
    stamp: u128,
    hash: String,
}

/// Number and time of change of a file in one number. The time of modification can be set back, as copying tools do
/// that keep times; these cannot, so that a file whose content was exchanged is seen to be another.
#[cfg(unix)]
fn stamp(about: &fs::Metadata) -> u128 {
    use std::os::unix::fs::MetadataExt;
    let time = (about.ctime() as u64 as u128) << 32 | u128::from(about.ctime_nsec() as u32);
    time.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (u128::from(about.ino()) << 64 | u128::from(about.dev()))
}

/// Elsewhere the time of creation has to do.
#[cfg(not(unix))]
fn stamp(about: &fs::Metadata) -> u128 {
    let created = about.created().ok();
    created
        .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |d| d.as_nanos())
}

/// Hashes files on all threads of the current rayon pool, in order, through the remembered hashes.
fn hash_all(files: &[&Path]) -> Vec<io::Result<Hashed>> {
    // Without a cache folder everything is hashed anew.
    let store = cache_dir().ok().map(|folder| folder.join(FILE));
    let known = store.as_deref().map(load).unwrap_or_default();
    let now = SystemTime::now();
    let results: Vec<io::Result<(PathBuf, Hashed, bool)>> = files
        .par_iter()
        .map(|path| {
            let key = fs::canonicalize(path).map_err(|e| named(path, &e))?;
            let about = fs::metadata(&key).map_err(|e| named(path, &e))?;
            if !about.is_file() {
                return Err(named(path, &io::Error::other("not a regular file")));
            }
            let time = about.modified().unwrap_or(now);
            let modified = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
            if let Some(old) = known.get(&key)
                && old.size == about.len()
                && old.modified == modified
                && old.stamp == stamp(&about)
            {
                return Ok((key, old.clone(), false));
            }
            let (size, hash) = hash_file(&key).map_err(|e| named(path, &e))?;
            let settled = now.duration_since(time).is_ok_and(|age| age > SETTLED);
            // A size that differs from the one looked up first means the file is being written.
            let keep = settled && size == about.len();
            let stamp = stamp(&about);
            let hashed = Hashed {
                size,
                modified,
                stamp,
                hash,
            };
            Ok((key, hashed, keep))
        })
        .collect();
    if let Some(store) = store
        && results.iter().any(|r| matches!(r, Ok((_, _, true))))
    {
        let fresh = results.iter().flatten().filter(|(_, _, keep)| *keep);
        if let Err(e) = save(&store, known, fresh.map(|(path, hashed, _)| (path, hashed))) {
            log::warn!("{}: content hashes could not be remembered: {e}", store.display());
        }
    }
    results
        .into_iter()
        .map(|r| r.map(|(_, hashed, _)| hashed))
        .collect()
}

fn hash_file(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((size, hex::encode(digest.finalize()))),
            Ok(n) => {
                digest.update(&buffer[..n]);
                size += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Reads the remembered hashes; lines that are not as written here are passed over.
fn load(store: &Path) -> HashMap<PathBuf, Hashed> {
    let mut known = HashMap::new();
    let Ok(file) = File::open(store) else { return known };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return known,
            Ok(_) => {}
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            continue;
        };
        let mut cells = text.trim_end_matches('\n').splitn(5, '\t');
        if let (Some(hash), Some(Ok(size)), Some(Ok(modified)), Some(Ok(stamp)), Some(path)) = (
            cells
                .next()
                .filter(|h| h.len() == 64 && h.bytes().all(|b| b.is_ascii_hexdigit())),
            cells.next().map(str::parse),
            cells.next().map(str::parse),
            cells.next().map(str::parse),
            cells.next(),
        ) {
            let hash = hash.to_owned();
            known.insert(
                PathBuf::from(path),
                Hashed {
                    size,
                    modified,
                    stamp,
                    hash,
                },
            );
        }
    }
}

fn save<'a>(
    store: &Path,
    mut known: HashMap<PathBuf, Hashed>,
    fresh: impl Iterator<Item = (&'a PathBuf, &'a Hashed)>,
) -> io::Result<()> {
    known.extend(fresh.map(|(path, hashed)| (path.clone(), hashed.clone())));
    let folder = store.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    {
        let mut out = io::BufWriter::new(&mut file);
        for (path, h) in &known {
            // Names with line breaks, or that are not UTF-8, are hashed anew each time.
            if let Some(path) = path.to_str().filter(|p| !p.contains('\n')) {
                writeln!(out, "{}\t{}\t{}\t{}\t{path}", h.hash, h.size, h.modified, h.stamp)?;
            }
        }
        out.flush()?;
    }
    file.persist(store).map(drop).map_err(|e| e.error)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
