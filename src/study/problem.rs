//! What went wrong, in words for a person.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// A trouble worth telling: what happened, to which file, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What happened, as a headline: “This folder is not a checkpoint”.
    pub headline: String,
    /// The file or folder it happened to.
    pub path: Option<PathBuf>,
    /// Details, one per line.
    pub details: Vec<String>,
    /// What to do next.
    pub advice: String,
}

impl Problem {
    /// A problem with a headline and one piece of advice.
    pub fn new(headline: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            headline: headline.into(),
            path: None,
            details: Vec::new(),
            advice: advice.into(),
        }
    }

    /// A problem from a failed file operation: says in words what the operating system meant, and what
    /// to do about it. `headline` tells what was being done: “The picture could not be saved”.
    pub fn io(headline: impl Into<String>, path: &Path, error: &io::Error) -> Self {
        use io::ErrorKind as K;
        let (reason, advice) = match error.kind() {
            K::NotFound => (
                "it is not there",
                "Check the name; it may have been moved or deleted.",
            ),
            K::PermissionDenied => (
                "the system does not permit it",
                "Change the permissions, or choose a place that belongs to you.",
            ),
            K::ReadOnlyFilesystem => (
                "the disk is read-only",
                "Choose a folder on a disk that can be written to.",
            ),
            K::StorageFull | K::FileTooLarge => (
                "the disk is full",
                "Free some space, then start again: nothing that was finished is lost.",
            ),
            K::QuotaExceeded => (
                "your disk quota is used up",
                "Free some space, then start again: nothing that was finished is lost.",
            ),
            K::IsADirectory => ("it is a folder, not a file", "Name the file inside it."),
            K::NotADirectory => ("a part of its path is a file, not a folder", "Check the path."),
            K::InvalidFilename => (
                "the system does not accept this name",
                "Use a shorter, plainer name.",
            ),
            K::ResourceBusy => (
                "another program is using it",
                "Close the other program and try again.",
            ),
            K::TimedOut | K::StaleNetworkFileHandle | K::NetworkDown | K::HostUnreachable => (
                "the network folder does not answer",
                "Check the connection, then start again.",
            ),
            _ => (
                "the system reports an error",
                "Try again; if it stays, check the disk.",
            ),
        };
        Self::new(headline, advice)
            .at(path)
            .detail(format!("{reason} ({error})"))
    }

    /// Names the file or folder.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Adds a line of detail.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }
}

/// A file that was left out of something larger, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// The reason, without the path.
    pub reason: String,
}

impl Skipped {
    /// A file and a reason; a reason that begins with the path loses it.
    pub fn new(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        let (path, mut reason) = (path.into(), reason.into());
        let prefix = format!("{}: ", path.display());
        if let Some(rest) = reason.strip_prefix(&prefix) {
            reason = rest.to_owned();
        }
        Self { path, reason }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline)?;
        if let Some(path) = &self.path {
            write!(f, ": {}", path.display())?;
        }
        for line in &self.details {
            write!(f, "\n  {line}")?;
        }
        if !self.advice.is_empty() {
            write!(f, "\n{}", self.advice)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
