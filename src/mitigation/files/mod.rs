//! Files of other programs: PyTorch's `.pt` and NumPy's `.npz`, read within bounds; no pickle code is ever executed.

mod npz;
mod pickle;
mod torch_file;

pub use npz::{read_arrays, write_arrays};
pub use torch_file::{read_tensor_lists, write_tensor_lists};

use crate::study::Problem;
use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

/// Most bytes of one part of an archive.
const MOST_BYTES: u64 = 64 << 20;
/// Most parts of an archive.
const MOST_PARTS: usize = 4096;

type Archive = zip::ZipArchive<BufReader<File>>;

fn open_archive(path: &Path) -> Result<Archive, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    if !file.metadata().map_err(|e| e.to_string())?.is_file() {
        return Err("this is not a regular file".to_owned());
    }
    let archive =
        zip::ZipArchive::new(BufReader::new(file)).map_err(|e| format!("it is no zip archive: {e}"))?;
    if archive.len() > MOST_PARTS {
        return Err(format!(
            "the archive has {} parts; at most {MOST_PARTS} are read",
            archive.len()
        ));
    }
    Ok(archive)
}

/// Names of all parts.
fn names(archive: &Archive) -> Result<Vec<String>, String> {
    let name = |name: zip::result::ZipResult<_>| -> Result<String, String> {
        let name: std::borrow::Cow<'_, str> = name.map_err(|e| format!("the name of a part: {e}"))?;
        Ok(name.into_owned())
    };
    archive.file_names().map(name).collect()
}

/// A part of an archive, whole; what it says of its size is not trusted.
fn part(archive: &mut Archive, name: &str) -> Result<Vec<u8>, String> {
    let entry = archive.by_name(name).map_err(|e| format!("{name}: {e}"))?;
    let mut bytes = Vec::new();
    entry
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("{name}: {e}"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("{name} has more than {MOST_BYTES} bytes"));
    }
    Ok(bytes)
}

/// Writes an archive of stored (uncompressed) parts under a temporary name and renames it.
fn write_archive(path: &Path, parts: &[(String, Vec<u8>)]) -> Result<(), Problem> {
    let write = |file: &mut File| -> io::Result<()> {
        let mut zip = zip::ZipWriter::new(file);
        let options: zip::write::FileOptions<'_, '_, ()> =
            zip::write::FileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in parts {
            zip.start_file(name.as_str(), options)?;
            zip.write_all(bytes)?;
        }
        zip.finish()?;
        Ok(())
    };
    write_whole(path, write)
}

/// Writes a file under a temporary name in its folder and renames it.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<(), Problem> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let attempt = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        write(file.as_file_mut())?;
        #[cfg(unix)]
        {
            // A temporary file is its owner's alone; this one is to be read by those the folder is shared with.
            use std::os::unix::fs::PermissionsExt;
            file.as_file()
                .set_permissions(std::fs::Permissions::from_mode(0o644))?;
        }
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    attempt().map_err(|e| Problem::io("The file cannot be written", path, &e))
}
