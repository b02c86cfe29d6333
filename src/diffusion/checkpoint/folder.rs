//! A checkpoint folder in diffusers layout: which of its files are there, under which of their names.

use crate::diffusion::{
    CheckpointError,
    config::{Keys, read_json},
    weights::WeightFile,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The files of a checkpoint folder.
pub struct Files {
    /// Configurations of UNet, VAE, text encoder and schedule.
    pub configs: [PathBuf; 4],
    /// Weight files of UNet, VAE and text encoder.
    pub weights: [Vec<PathBuf>; 3],
    /// The tokenizer's folder.
    pub tokenizer: PathBuf,
    /// Class of the scheduler that the pipeline draws with; `None` when the index names none.
    pub scheduler: Option<String>,
}

/// Finds the files of a folder.
///
/// # Errors
/// All missing files at once; pickle-only weights; a pipeline that does not draw pictures from text alone.
pub fn find(root: &Path) -> Result<Files, CheckpointError> {
    let mut gaps = Gaps::new(root);
    let index = gaps.file("model_index.json");
    let unet = gaps.file("unet/config.json");
    let unet_weights = gaps.weights("unet", "diffusion_pytorch_model")?;
    let vae = gaps.file("vae/config.json");
    let vae_weights = gaps.weights("vae", "diffusion_pytorch_model")?;
    let text = gaps.file("text_encoder/config.json");
    let text_weights = gaps.weights("text_encoder", "model")?;
    let schedule = gaps.file("scheduler/scheduler_config.json");
    let tokenizer = gaps.tokenizer();
    gaps.finish()?;
    let scheduler = check_index(&index)?;
    Ok(Files {
        configs: [unet, vae, text, schedule],
        weights: [unet_weights, vae_weights, text_weights],
        tokenizer,
        scheduler,
    })
}

/// Whether a folder has a tokenizer that can be read.
pub fn has_tokenizer(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    has("tokenizer.json") || has("vocab.json") && has("merges.txt")
}

/// The only file in a folder that holds a whole checkpoint in the original layout; `None` when the folder is one in
/// diffusers layout, or has no such file.
///
/// # Errors
/// Several such files.
pub fn only_single_file(root: &Path) -> Result<Option<PathBuf>, CheckpointError> {
    // Configurations without weights may lie beside a single file.
    let in_parts = |e: &std::fs::DirEntry| {
        let name = e.file_name().to_string_lossy().to_ascii_lowercase();
        name.ends_with(".safetensors") || name.ends_with(".bin") || name.ends_with(".index.json")
    };
    let unet = root.join("unet").read_dir().into_iter().flatten().flatten();
    if root.join("model_index.json").exists() || unet.take(10_000).any(|e| in_parts(&e)) {
        return Ok(None);
    }
    let entries = root.read_dir().into_iter().flatten().flatten().take(10_000);
    let mut found: Vec<PathBuf> = entries
        .map(|e| e.path())
        .filter(|p| {
            p.extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("safetensors"))
                && p.is_file()
        })
        .filter(|p| {
            let file = WeightFile::open(p);
            file.is_ok_and(|f| {
                f.tensors()
                    .keys()
                    .any(|name| name.starts_with("model.diffusion_model."))
            })
        })
        .collect();
    found.sort();
    if found.len() > 1 {
        let names = found.iter().filter_map(|p| p.file_name());
        return Err(CheckpointError::SeveralFiles {
            root: root.to_owned(),
            files: names.map(|n| n.to_string_lossy().into_owned()).collect(),
        });
    }
    Ok(found.pop())
}

/// The pipeline must be plain text to image. Gives the class of its scheduler.
fn check_index(path: &Path) -> Result<Option<String>, CheckpointError> {
    let mut keys = Keys::read(path)?;
    // Modules such as the safety checker take no part in drawing.
    keys.name(
        "_class_name",
        "StableDiffusionPipeline",
        &["StableDiffusionPipeline"],
    )?;
    // A pair of library and class; both null when the pipeline was saved without.
    let class = keys
        .get("scheduler")
        .and_then(|pair| Some(pair.get(1)?.as_str()?.to_owned()));
    if class.as_ref().is_some_and(|class| class.starts_with("Flow")) {
        return Err(keys.refuse("scheduler", "flow-matching models are not supported"));
    }
    Ok(class)
}

/// Collects what is missing, so that a person hears of all of it at once.
struct Gaps<'a> {
    root: &'a Path,
    missing: Vec<String>,
    pickles: Vec<String>,
}

impl<'a> Gaps<'a> {
    fn new(root: &'a Path) -> Self {
        Self {
            root,
            missing: Vec::new(),
            pickles: Vec::new(),
        }
    }

    fn file(&mut self, name: &str) -> PathBuf {
        let path = self.root.join(name);
        if !path.is_file() {
            self.missing.push(name.to_owned());
        }
        path
    }

    /// Weight files of one part: the plain name, a variant of it (`.fp16.`), or shards named by an index file.
    fn weights(&mut self, part: &str, stem: &str) -> Result<Vec<PathBuf>, CheckpointError> {
        let folder = self.root.join(part);
        let mut names: Vec<String> = match folder.read_dir() {
            Ok(entries) => entries
                .flatten()
                // Links that lead nowhere and pipes are no weights.
                .filter(|e| e.path().is_file())
                .filter_map(|e| e.file_name().into_string().ok())
                .take(10_000)
                .collect(),
            Err(_) => Vec::new(),
        };
        names.sort();
        let plain = format!("{stem}.safetensors");
        if names.contains(&plain) {
            return Ok(vec![folder.join(plain)]);
        }
        // The exponential averages are what to draw with, so `non_ema` is the last choice.
        names.sort_by_key(|n| n.contains("non_ema"));
        let index = names
            .iter()
            .find(|n| n.starts_with(stem) && n.contains(".safetensors.index.") && n.ends_with(".json"));
        if let Some(index) = index {
            return self.shards(part, &folder.join(index));
        }
        // Shards of an index that is not there are no whole weights.
        let whole = |n: &&String| {
            n.starts_with(&format!("{stem}.")) && n.ends_with(".safetensors") && !n.contains("-of-")
        };
        if let Some(variant) = names.iter().find(whole) {
            return Ok(vec![folder.join(variant)]);
        }
        if names.iter().any(|n| n.starts_with(stem) && n.contains("-of-")) {
            self.missing.push(format!("{part}/{plain}.index.json"));
            return Ok(Vec::new());
        }
        let pickle = |n: &&String| n.ends_with(".bin") || n.ends_with(".ckpt") || n.ends_with(".pt");
        match names.iter().find(pickle) {
            Some(name) => self.pickles.push(format!("{part}/{name}")),
            None => self.missing.push(format!("{part}/{plain}")),
        }
        Ok(Vec::new())
    }

    fn shards(&mut self, part: &str, index: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
        let bad = |message: &str| CheckpointError::Json {
            path: index.to_owned(),
            message: message.to_owned(),
        };
        let value = read_json(index, 32 << 20)?;
        let map = value.get("weight_map").and_then(|m| m.as_object());
        let map = map.ok_or_else(|| bad("it has no object “weight_map”"))?;
        let mut files = BTreeSet::new();
        for name in map.values() {
            let name = name
                .as_str()
                .ok_or_else(|| bad("“weight_map” must map names to file names"))?;
            if name.contains(['/', '\\']) || !name.ends_with(".safetensors") {
                return Err(bad("“weight_map” may name only .safetensors files beside it"));
            }
            files.insert(name.to_owned());
        }
        Ok(files
            .iter()
            .map(|name| self.file(&format!("{part}/{name}")))
            .collect())
    }

    fn tokenizer(&mut self) -> PathBuf {
        let folder = self.root.join("tokenizer");
        if !has_tokenizer(&folder) {
            self.missing
                .push("tokenizer/tokenizer.json (or vocab.json and merges.txt)".to_owned());
        }
        folder
    }

    fn finish(self) -> Result<(), CheckpointError> {
        let Self {
            root,
            missing,
            pickles,
        } = self;
        if !missing.is_empty() {
            Err(CheckpointError::Missing {
                root: root.to_owned(),
                missing,
            })
        } else if !pickles.is_empty() {
            Err(CheckpointError::PickleOnly {
                root: root.to_owned(),
                files: pickles,
            })
        } else {
            Ok(())
        }
    }
}
