//! Files that are there whole or not at all.

use crate::study::Problem;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

const PREFIX: &str = ".pentimento-";
const SUFFIX: &str = ".part";

/// Writes a file under a temporary name in the same folder, forces it to disk and renames it. After a crash
/// either the former file is there or the new one; a temporary file left behind is removed by
/// [`remove_leftovers`].
///
/// # Errors
/// As the operating system reports; the target is then unchanged.
pub(super) fn write(target: &Path, content: &[u8]) -> io::Result<()> {
    write_with(target, |file| file.write_all(content))
}

/// Writes a file outside a run as a whole, or not at all: a report, a table, a picture.
///
/// # Errors
/// A problem that names the file.
pub fn write_whole(target: &Path, content: &[u8]) -> Result<(), Problem> {
    write(target, content).map_err(|e| Problem::io("The file could not be written", target, &e))
}

/// As [`write`], with the content written by a closure.
pub(super) fn write_with(target: &Path, content: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        // Readable for the colleagues the folder is shared with, as far as the umask allows.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut temporary = builder.tempfile_in(folder)?;
    content(temporary.as_file_mut())?;
    temporary.as_file().sync_all()?;
    // Through the C library's rename, which the fault tests can interrupt; tempfile calls the kernel directly.
    let mut path = temporary.into_temp_path();
    fs::rename(&path, target)?;
    path.disable_cleanup(true);
    sync_folder(folder);
    Ok(())
}

/// Forces the names in a folder to disk, where the system can.
pub(super) fn sync_folder(folder: &Path) {
    // Not all file systems can; the file's content is safe in any case.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().ok();
    }
}

/// Removes temporary files that a crash left in a folder. Only for a folder nobody else writes to.
pub(super) fn remove_leftovers(folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
            removed += 1;
        }
    }
    Ok(removed)
}
