//! A checkpoint folder in diffusers layout: is everything there, and does it fit together?

use super::{
    CheckpointError, ScheduleConfig, TextConfig, UNetConfig, VaeConfig,
    config::{Keys, read_json},
    weights::WeightFile,
};
use crate::study::{Sampling, SchedulerKind};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// A checkpoint that was found complete. Weights are not read yet, but their files' headers are sound.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The folder.
    pub root: PathBuf,
    /// `unet/config.json`.
    pub unet: UNetConfig,
    /// `vae/config.json`.
    pub vae: VaeConfig,
    /// `text_encoder/config.json`.
    pub text: TextConfig,
    /// `scheduler/scheduler_config.json`.
    pub schedule: ScheduleConfig,
    /// Weight files of the UNet; several when sharded.
    pub unet_files: Vec<PathBuf>,
    /// Weight files of the VAE.
    pub vae_files: Vec<PathBuf>,
    /// Weight files of the text encoder.
    pub text_files: Vec<PathBuf>,
    /// Folder with the tokenizer's files.
    pub tokenizer: PathBuf,
    /// Number of values in UNet, VAE and text encoder files.
    pub parameters: [u64; 3],
}

impl Checkpoint {
    /// Opens a folder: reads its configuration files and the headers of its weight files.
    ///
    /// # Errors
    /// All missing files at once; pickle-only weights; the key, value or tensor that does not fit.
    pub fn open(root: &Path) -> Result<Self, CheckpointError> {
        if !root.is_dir() {
            return Err(CheckpointError::NotAFolder {
                path: root.to_owned(),
            });
        }
        let mut gaps = Gaps::new(root);
        let index = gaps.file("model_index.json");
        let unet_config = gaps.file("unet/config.json");
        let unet_files = gaps.weights("unet", "diffusion_pytorch_model")?;
        let vae_config = gaps.file("vae/config.json");
        let vae_files = gaps.weights("vae", "diffusion_pytorch_model")?;
        let text_config = gaps.file("text_encoder/config.json");
        let text_files = gaps.weights("text_encoder", "model")?;
        let scheduler = gaps.file("scheduler/scheduler_config.json");
        let tokenizer = gaps.tokenizer();
        gaps.finish()?;

        check_index(&index)?;
        let checkpoint = Self {
            unet: UNetConfig::read(&unet_config)?,
            vae: VaeConfig::read(&vae_config)?,
            text: TextConfig::read(&text_config)?,
            schedule: ScheduleConfig::read(&scheduler)?,
            parameters: [count(&unet_files)?, count(&vae_files)?, count(&text_files)?],
            root: root.to_owned(),
            unet_files,
            vae_files,
            text_files,
            tokenizer,
        };
        checkpoint.check_fit()?;
        Ok(checkpoint)
    }

    /// Width and height in pixels of the pictures the model was trained on.
    pub fn default_size(&self) -> (u32, u32) {
        let factor = self.vae.factor();
        let (height, width) = self.unet.sample_size;
        ((width * factor) as u32, (height * factor) as u32)
    }

    /// Sampling that the checkpoint suggests: its size and its own scheduler (DDIM when this program does not have it).
    /// No file of a checkpoint says steps or guidance.
    pub fn default_sampling(&self) -> Sampling {
        let (width, height) = self.default_size();
        let scheduler = self.schedule.own().unwrap_or(SchedulerKind::Ddim);
        Sampling {
            width,
            height,
            scheduler,
            ..Sampling::default()
        }
    }

    /// SHA-256 over names and contents of all weight files, as hex. Reads every byte.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn weights_hash(&self) -> io::Result<String> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0u8; 1 << 20];
        for path in self
            .unet_files
            .iter()
            .chain(&self.vae_files)
            .chain(&self.text_files)
        {
            let name = path.strip_prefix(&self.root).unwrap_or(path);
            let name = name.to_string_lossy().replace('\\', "/");
            let mut file = File::open(path)?;
            // Length before content: no two lists of files give the same stream.
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
            hash.update(file.metadata()?.len().to_le_bytes());
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    n => hash.update(&buffer[..n]),
                }
            }
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// One line for a person: sizes and schedule.
    pub fn summary(&self) -> String {
        let (width, height) = self.default_size();
        let channels: Vec<String> = self
            .unet
            .block_out_channels
            .iter()
            .map(usize::to_string)
            .collect();
        let millions = |n: u64| format!("{:.1} M", n as f64 / 1e6);
        format!(
            "{width}×{height} px · UNet {} ({}) · VAE ×{} ({}) · text {}×{} ({}) · {} {}",
            channels.join("-"),
            millions(self.parameters[0]),
            self.vae.factor(),
            millions(self.parameters[1]),
            self.text.num_hidden_layers,
            self.text.hidden_size,
            millions(self.parameters[2]),
            self.schedule.class,
            self.schedule.prediction,
        )
    }

    fn check_fit(&self) -> Result<(), CheckpointError> {
        let mismatch = |message: String| {
            Err(CheckpointError::Mismatch {
                root: self.root.clone(),
                message,
            })
        };
        if self.unet.in_channels != self.vae.latent_channels {
            return mismatch(format!(
                "unet/config.json in_channels is {}, but vae/config.json latent_channels is {}",
                self.unet.in_channels, self.vae.latent_channels
            ));
        }
        if self.unet.cross_attention_dim != self.text.hidden_size {
            return mismatch(format!(
                "unet/config.json cross_attention_dim is {}, but text_encoder/config.json hidden_size is {}",
                self.unet.cross_attention_dim, self.text.hidden_size
            ));
        }
        Ok(())
    }
}

/// The pipeline must be plain text to image.
fn check_index(path: &Path) -> Result<(), CheckpointError> {
    let mut keys = Keys::read(path)?;
    // Modules such as the safety checker take no part in drawing.
    keys.name(
        "_class_name",
        "StableDiffusionPipeline",
        &["StableDiffusionPipeline"],
    )?;
    Ok(())
}

fn count(files: &[PathBuf]) -> Result<u64, CheckpointError> {
    files
        .iter()
        .map(|path| Ok(WeightFile::open(path)?.parameters(|_| true)))
        .sum()
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
        let whole = |n: &&String| n.starts_with(&format!("{stem}.")) && n.ends_with(".safetensors");
        let index = names
            .iter()
            .find(|n| n.starts_with(stem) && n.ends_with(".safetensors.index.json"));
        if let Some(index) = index {
            return self.shards(part, &folder.join(index));
        }
        if let Some(variant) = names.iter().filter(whole).find(|n| !n.contains("non_ema")) {
            return Ok(vec![folder.join(variant)]);
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
        let has = |name: &str| folder.join(name).is_file();
        if !(has("tokenizer.json") || has("vocab.json") && has("merges.txt")) {
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
