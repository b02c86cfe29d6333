//! What went wrong, in words for a person.

use std::{fmt, path::PathBuf};

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
