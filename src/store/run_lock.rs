//! Who may write a run, and what may stand in its folder.

use crate::study::Problem;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
};

/// Name of the file that a writing process keeps locked.
pub(super) const LOCK: &str = "run.lock";

/// A pipe or a device in place of a file would block, or never end.
pub(super) fn not_a_device(path: &Path) -> Result<(), Problem> {
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        return Err(Problem::new(
            "The run cannot be opened",
            "Move it away; a run consists of plain files.",
        )
        .at(path)
        .detail("it is not a regular file"));
    }
    Ok(())
}

/// Takes the run's lock. On a file system without locks the run goes on with a notice.
pub(super) fn lock(folder: &Path) -> Result<(File, Option<Problem>), Problem> {
    let path = folder.join(LOCK);
    let failed = |e: &io::Error| Problem::io("The run cannot be opened for writing", &path, e);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| failed(&e))?;
    match file.try_lock() {
        Ok(()) => Ok((file, None)),
        Err(TryLockError::WouldBlock) => Err(Problem::new(
            "Another process is writing this run",
            "Wait until it is done or stop it; the run can be watched in the meantime.",
        )
        .at(folder)),
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {
            let notice = Problem::new(
                "The disk of this run knows no locks",
                "Take care that no other process writes the run.",
            )
            .at(folder);
            Ok((file, Some(notice)))
        }
        Err(TryLockError::Error(e)) => Err(failed(&e)),
    }
}
