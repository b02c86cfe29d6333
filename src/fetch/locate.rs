//! Where weights lie on this machine: the program's own folder, and those where other programs keep theirs.

use super::catalog::{Model, model};
use std::path::{Path, PathBuf};

/// Snapshots of one repository in the Hugging Face cache that are looked at.
const SNAPSHOTS: usize = 50;

/// The folders that are looked into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The program's own folder: what is fetched goes to `OWN/NAME/`.
    pub own: Option<PathBuf>,
    /// rembg's folder.
    pub rembg: Option<PathBuf>,
    /// The Hugging Face cache.
    pub hub: Option<PathBuf>,
    /// Checkpoints of torch.hub.
    pub torch: Option<PathBuf>,
}

/// Weights that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What to open: a file, or a folder with several.
    pub path: PathBuf,
    /// Whose folder it is in, for people.
    pub place: &'static str,
}

impl Places {
    /// Those of this user. `data` is the program's data folder. The others are where their programs look:
    /// `U2NET_HOME` or `~/.u2net` (rembg); `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME/hub`,
    /// `XDG_CACHE_HOME/huggingface/hub` or `~/.cache/huggingface/hub` (huggingface_hub); `TORCH_HOME` or
    /// `~/.cache/torch` (torch.hub).
    pub fn of_user(data: Option<PathBuf>) -> Self {
        let home = directories::BaseDirs::new().map(|d| d.home_dir().to_owned());
        Self::from(data, home, |name| std::env::var_os(name).map(PathBuf::from))
    }

    /// The same from a home folder and variables.
    pub fn from(
        data: Option<PathBuf>,
        home: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<PathBuf>,
    ) -> Self {
        let variable = |name: &str| variable(name).filter(|p| !p.as_os_str().is_empty());
        let cache = variable("XDG_CACHE_HOME").or_else(|| home.as_ref().map(|h| h.join(".cache")));
        let in_cache = |part: &str| cache.as_ref().map(|c| c.join(part));
        Self {
            own: data.map(|d| d.join("weights")),
            rembg: variable("U2NET_HOME").or_else(|| home.as_ref().map(|h| h.join(".u2net"))),
            hub: variable("HF_HUB_CACHE")
                .or_else(|| variable("HUGGINGFACE_HUB_CACHE"))
                .or_else(|| variable("HF_HOME").map(|h| h.join("hub")))
                .or_else(|| in_cache("huggingface/hub")),
            torch: variable("TORCH_HOME")
                .or_else(|| in_cache("torch"))
                .map(|t| t.join("hub/checkpoints")),
        }
    }

    /// Weights of a model, in the program's own folder first. A file of another size than the published one is not it;
    /// contents are not read.
    pub fn find(&self, model: &Model) -> Option<Found> {
        let own = self.own.iter().map(|own| (own.join(model.name), "fetched"));
        let rembg = self.rembg.iter().map(|f| (f.clone(), "rembg's folder"));
        let torch = self.torch.iter().map(|f| (f.clone(), "torch's cache"));
        let snapshots = self.snapshots(model).into_iter();
        own.chain(snapshots.map(|f| (f, "the Hugging Face cache")))
            // Names like `config.json` mean nothing in a folder shared by many models.
            .chain(rembg.chain(torch).filter(|_| model.files.len() == 1))
            .find(|(folder, _)| model.files.iter().all(|f| fits(&folder.join(f.name), f.bytes)))
            .map(|(folder, place)| Found {
                path: match model.files {
                    [file] => folder.join(file.name),
                    _ => folder,
                },
                place,
            })
    }

    fn snapshots(&self, model: &Model) -> Vec<PathBuf> {
        let (Some(hub), Some(repository)) = (&self.hub, model.hub) else {
            return Vec::new();
        };
        let entries = std::fs::read_dir(hub.join(repository).join("snapshots"));
        let mut found: Vec<_> = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .take(SNAPSHOTS)
            .collect();
        found.sort();
        found
    }

    /// What a path from a study or the command line means: itself where it exists or is no name of known weights, else
    /// these weights wherever they lie.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        match model(name) {
            Some(model) if !path.exists() => self.find(model).map_or(path.to_owned(), |f| f.path),
            _ => path.to_owned(),
        }
    }
}

/// Whether there is a file of this size (of any but 0 when it is not known).
pub fn fits(path: &Path, bytes: Option<u64>) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() > 0 && bytes.is_none_or(|b| b == m.len()))
}
