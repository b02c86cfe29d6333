//! The beginning of a file that is being fetched: kept beside the file to be, with what it is a beginning of.

use crate::study::Problem;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// What the beginning is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Origin {
    pub url: String,
    /// Entity tag or date, if the server gave one.
    pub validator: Option<String>,
}

/// A growing file `NAME.part`, held by one process.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    hash: Sha256,
    bytes: u64,
}

fn beside(target: &Path, ending: &str) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    target.with_file_name(name)
}

fn trouble(path: &Path) -> impl Fn(io::Error) -> Problem + '_ {
    |error| Problem::io("The weights could not be saved", path, &error)
}

impl Partial {
    /// Opens or makes the partial file of `target`, and reads what is there into the hash.
    pub fn open(target: &Path) -> Result<Self, Problem> {
        let path = beside(target, ".part");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(trouble(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Problem::new(
                    "Another process is fetching these weights",
                    "Wait until it is done, or stop it; what it has is kept.",
                )
                .at(path));
            }
            // Some network folders know no locks; two processes at once are then the person's care.
            Err(TryLockError::Error(error)) => log::warn!("{}: not locked: {error}", path.display()),
        }
        let mut partial = Self {
            path,
            file,
            hash: Sha256::new(),
            bytes: 0,
        };
        partial.rehash()?;
        Ok(partial)
    }

    fn rehash(&mut self) -> Result<(), Problem> {
        let mut work = || -> io::Result<()> {
            self.hash = Sha256::new();
            self.bytes = 0;
            self.file.seek(SeekFrom::Start(0))?;
            let mut piece = vec![0; 1 << 20];
            loop {
                let read = self.file.read(&mut piece)?;
                if read == 0 {
                    return Ok(());
                }
                self.hash.update(&piece[..read]);
                self.bytes += read as u64;
            }
        };
        work().map_err(trouble(&self.path))
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was noted of its origin.
    pub fn origin(&self) -> Origin {
        let text = fs::read_to_string(self.path.with_extension("part.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub fn note(&self, origin: &Origin) -> Result<(), Problem> {
        let path = self.path.with_extension("part.json");
        fs::write(&path, serde_json::json!(origin).to_string()).map_err(trouble(&path))
    }

    /// Begins anew.
    pub fn clear(&mut self) -> Result<(), Problem> {
        self.file.set_len(0).map_err(trouble(&self.path))?;
        self.rehash()
    }

    pub fn write(&mut self, piece: &[u8]) -> Result<(), Problem> {
        self.file.write_all(piece).map_err(trouble(&self.path))?;
        self.hash.update(piece);
        self.bytes += piece.len() as u64;
        Ok(())
    }

    /// SHA-256 of what is there.
    pub fn sha256(&self) -> String {
        hex::encode(self.hash.clone().finalize())
    }

    /// Puts the finished file in its place.
    pub fn finish(self, target: &Path) -> Result<(), Problem> {
        self.file.sync_all().map_err(trouble(&self.path))?;
        fs::rename(&self.path, target).map_err(trouble(target))?;
        fs::remove_file(self.path.with_extension("part.json")).ok();
        #[cfg(unix)]
        if let Some(folder) = target.parent().and_then(|f| File::open(f).ok()) {
            folder.sync_all().map_err(trouble(target))?;
        }
        Ok(())
    }

    /// Takes away what turned out to be something else.
    pub fn discard(self) {
        fs::remove_file(&self.path).ok();
        fs::remove_file(self.path.with_extension("part.json")).ok();
    }
}

/// SHA-256 of a file.
pub(super) fn hash_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&piece[..read]);
    }
}
