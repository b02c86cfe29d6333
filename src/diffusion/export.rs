//! Writing a checkpoint with the edits of a variant in its weights, in diffusers layout.

use super::{
    Checkpoint, CheckpointError, DiffusionError,
    weight_edit::{Change, change_bytes, resolve},
    weights::{TensorInfo, WeightFile},
};
use crate::study::{Edit, Variant};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// What to do with files that no edit touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Untouched {
    /// Copy them.
    #[default]
    Copy,
    /// Link them to the original (hard links); where the file system cannot, copy them.
    Link,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Names of the UNet's weights that differ from the original.
    pub weights: Vec<String>,
    /// Weight files that were left behind, relative to the checkpoint, because they hold the UNet unedited in another
    /// form.
    pub left_out: Vec<PathBuf>,
}

/// Why nothing was written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The variant does not fit, or has nothing that weights can carry.
    #[error(transparent)]
    Variant(#[from] DiffusionError),
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The place to write to will not do.
    #[error("{}: {message}", path.display())]
    Place {
        /// The folder.
        path: PathBuf,
        /// Why not.
        message: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

const DEEPEST: usize = 8;
const MOST_FILES: usize = 10_000;
const WEIGHT_ENDINGS: [&str; 8] = ["safetensors", "bin", "ckpt", "pt", "pth", "msgpack", "onnx", "h5"];

/// Writes the checkpoint with all edits that hold at every step and change weights; edits of other kinds are passed
/// over (see [`Edit::is_in_weights`]). Tensors keep their element types, files their names and headers; only the values
/// of touched weights differ. The folder `out` appears whole or not at all.
///
/// A factor is rounded to the file's element type here, and is not in [`Pipeline::with_variant`](super::Pipeline): for
/// factors other than 0 and powers of two, pictures of an f16 checkpoint can differ by that rounding.
///
/// # Errors
/// A checkpoint in a single file; edits that do not fit; `out` inside the checkpoint or not empty; failures of the file system.
pub fn export(
    checkpoint: &Checkpoint,
    variant: &Variant,
    out: &Path,
    untouched: Untouched,
) -> Result<Exported, ExportError> {
    if checkpoint.root.is_file() {
        return Err(ExportError::Place {
            path: checkpoint.root.clone(),
            message: "it is a single file; variants are exported from checkpoint folders, so convert it with diffusers \
                      (from_single_file, save_pretrained) first"
                .to_owned(),
        });
    }
    variant.validate().map_err(DiffusionError::Variant)?;
    let lasting: Vec<Edit> = variant
        .edits
        .iter()
        .filter(|e| e.is_in_weights())
        .cloned()
        .collect();
    let places = places(checkpoint)?;
    let shape = |name: &str| places.get(name).map(|p| p.info.shape.clone());
    let changes = resolve(&lasting, &checkpoint.unet, &shape)?;
    let mut of_file: BTreeMap<&Path, BTreeMap<&str, Vec<&Change>>> = BTreeMap::new();
    for change in &changes {
        if let Some(place) = places.get(&change.weight) {
            let file = of_file.entry(&place.file).or_default();
            file.entry(&change.weight).or_default().push(&change.change);
        }
    }

    let out = std::path::absolute(out).map_err(|e| io_error(out, e))?;
    let folder = check_place(&checkpoint.root, &out)?;
    let (files, left_out) = files(checkpoint)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pentimento-").suffix(".part");
    #[cfg(unix)]
    {
        // Readable for the colleagues the folder is shared with, as far as the umask allows.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    let temporary = builder.tempdir_in(&folder).map_err(|e| io_error(&folder, e))?;
    for file in &files {
        let (from, to) = (checkpoint.root.join(file), temporary.path().join(file));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(|e| io_error(parent, e))?;
        }
        let touched = of_file.get(from.as_path());
        if untouched == Untouched::Copy || touched.is_some() || !link(&from, &to) {
            copy(&from, &to).map_err(|e| io_error(&from, e))?;
        }
        for (weight, changes) in touched.into_iter().flatten() {
            if let Some(place) = places.get(*weight) {
                rewrite(&to, place, changes)?;
            }
        }
    }
    // What was written is what will be opened.
    Checkpoint::open(temporary.path())?;
    // An empty folder may be there already.
    if out.is_dir() {
        fs::remove_dir(&out).map_err(|e| io_error(&out, e))?;
    }
    fs::rename(temporary.path(), &out).map_err(|e| io_error(&out, e))?;
    Ok(Exported {
        weights: of_file
            .values()
            .flat_map(|f| f.keys().map(|name| (*name).to_owned()))
            .collect(),
        left_out,
    })
}

/// Where a weight lies.
struct Place {
    file: PathBuf,
    /// First byte in the file.
    at: u64,
    info: TensorInfo,
}

fn places(checkpoint: &Checkpoint) -> Result<BTreeMap<String, Place>, CheckpointError> {
    let mut places = BTreeMap::new();
    for path in &checkpoint.unet_files {
        let file = WeightFile::open(path)?;
        for (name, info) in file.tensors() {
            let place = Place {
                file: path.clone(),
                at: file.data_start() + info.data_offsets.0,
                info: info.clone(),
            };
            places.insert(name.clone(), place);
        }
    }
    Ok(places)
}

/// The folder that will hold `out`, made if need be.
fn check_place(root: &Path, out: &Path) -> Result<PathBuf, ExportError> {
    let refuse = |message: &str| {
        Err(ExportError::Place {
            path: out.to_owned(),
            message: message.to_owned(),
        })
    };
    let Some(folder) = out.parent() else {
        return refuse("it is no folder that can be made");
    };
    fs::create_dir_all(folder).map_err(|e| io_error(folder, e))?;
    let real = |p: &Path| p.canonicalize().map_err(|e| io_error(p, e));
    if real(folder)?.starts_with(real(root)?) {
        return refuse("it lies inside the checkpoint; choose another place");
    }
    match fs::read_dir(out) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return refuse("it is not empty; choose a new or an empty folder");
            }
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(io_error(out, e)),
    }
    Ok(folder.to_owned())
}

/// The files to write and those left out, relative to the checkpoint.
fn files(checkpoint: &Checkpoint) -> Result<(Vec<PathBuf>, Vec<PathBuf>), ExportError> {
    let mut found = Vec::new();
    collect(&checkpoint.root, Path::new(""), 0, &mut found)?;
    let used: BTreeSet<&Path> = checkpoint.unet_files.iter().map(PathBuf::as_path).collect();
    // Other weights of the UNet, and single-file checkpoints at the root, would bring the unedited weights back.
    let stale = |file: &PathBuf| {
        let text = file.to_string_lossy().to_ascii_lowercase();
        let holds_weights = WEIGHT_ENDINGS.iter().any(|ending| {
            text.ends_with(&format!(".{ending}")) || text.contains(&format!(".{ending}.index"))
        });
        let of_unet = file.starts_with("unet") || file.components().count() == 1;
        let index_in_use = text.ends_with(".safetensors.index.json") && used.len() > 1;
        of_unet && holds_weights && !used.contains(checkpoint.root.join(file).as_path()) && !index_in_use
    };
    let (left_out, files) = found.into_iter().partition(stale);
    Ok((files, left_out))
}

fn collect(root: &Path, below: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), ExportError> {
    let folder = root.join(below);
    if depth > DEEPEST || found.len() > MOST_FILES {
        return Err(ExportError::Place {
            path: folder,
            message: "there are too many files or folders for a checkpoint".to_owned(),
        });
    }
    let mut entries = fs::read_dir(&folder)
        .and_then(|entries| entries.collect::<io::Result<Vec<_>>>())
        .map_err(|e| io_error(&folder, e))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        let about = fs::metadata(entry.path()).map_err(|e| io_error(&entry.path(), e))?;
        if about.is_dir() {
            collect(root, &below.join(name), depth + 1, found)?;
        } else if about.is_file() {
            found.push(below.join(name));
        }
    }
    Ok(())
}

fn link(from: &Path, to: &Path) -> bool {
    // A symbolic link, as in the Hugging Face cache, is followed: the content is linked.
    from.canonicalize()
        .and_then(|from| fs::hard_link(from, to))
        .is_ok()
}

/// Copies content only: a read-only original must not give a file that cannot be edited.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = fs::File::open(from)?;
    let mut target = fs::File::create(to)?;
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}

/// Changes one weight in a copied file, where it lies.
fn rewrite(path: &Path, place: &Place, changes: &[&Change]) -> Result<(), ExportError> {
    let (begin, end) = place.info.data_offsets;
    let failed = |e| io_error(path, e);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(failed)?;
    // `WeightFile::open` has checked that these bytes exist and fit the shape.
    let mut bytes = vec![0u8; (end - begin) as usize];
    file.seek(SeekFrom::Start(place.at))
        .and_then(|_| file.read_exact(&mut bytes))
        .map_err(failed)?;
    let outputs = place.info.shape.first().copied().unwrap_or(1);
    change_bytes(&mut bytes, &place.info.dtype, outputs, changes).map_err(DiffusionError::Variant)?;
    file.seek(SeekFrom::Start(place.at))
        .and_then(|_| file.write_all(&bytes))
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

fn io_error(path: &Path, source: io::Error) -> ExportError {
    ExportError::Io {
        path: path.to_owned(),
        source,
    }
}
