//! The folder in which a search keeps what it has done so far.

use super::LocateJob;
use crate::{
    mitigation::Progress,
    store::write_whole,
    study::{BaseCheckpoint, Problem},
};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Largest file that is read: the norms of a thousand steps of SD 1.5's feed-forwards.
const MAX_BYTES: u64 = 1 << 30;

/// A folder beside the variant, named after everything that decides the result: another search has another folder.
pub(super) struct Kept {
    folder: PathBuf,
    made: bool,
}

impl Kept {
    /// The folder of a job, `OUT.<hash>.progress`; nothing is made yet.
    pub fn of(job: &LocateJob, base: &BaseCheckpoint) -> Option<Self> {
        let beside = job.progress.as_deref()?;
        let mut digest = Sha256::new();
        let LocateJob {
            prompts,
            method,
            sampling,
            stack: _,
            name: _,
            progress: _,
            write: _,
        } = job;
        let program = env!("CARGO_PKG_VERSION");
        digest.update(format!(
            "{program}\n{:?}\n{prompts:?}\n{method:?}\n{sampling:?}",
            base.hash
        ));
        let hash = hex::encode(digest.finalize());
        let folder = beside.with_extension(format!("{}.progress", &hash[..12]));
        Some(Self {
            made: folder.is_dir(),
            folder,
        })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was kept of a part; what cannot be used counts as nothing.
    pub fn load(&self, unit: &str) -> Option<Progress> {
        let file = self.file(unit);
        let about = std::fs::metadata(&file).ok()?;
        if !about.is_file() || about.len() > MAX_BYTES {
            return None;
        }
        Progress::read(&std::fs::read(file).ok()?)
    }

    /// Keeps a part, in place of what was kept of it: whole or not at all.
    pub fn save(&mut self, unit: &str, progress: &Progress) -> Result<(), Problem> {
        let file = self.file(unit);
        if !self.made {
            std::fs::create_dir_all(&self.folder)
                .map_err(|e| Problem::io("The progress cannot be kept", &self.folder, &e))?;
            self.made = true;
        }
        let bytes = progress.bytes().map_err(|reason| {
            Problem::new("The progress cannot be kept", "Please report this.").detail(reason)
        })?;
        write_whole(&file, &bytes)
    }

    fn file(&self, unit: &str) -> PathBuf {
        self.folder.join(format!("{unit}.safetensors"))
    }
}
