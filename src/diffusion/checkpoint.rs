//! A checkpoint on disk, a folder in diffusers layout or a single file: is everything there, and does it fit together?

mod folder;
mod gradient_memory;
mod memory;
mod single_file;

pub use memory::{Bytes, MemoryEstimate, MemoryNeeds};

use super::{
    CheckpointError, ScheduleConfig, TextConfig, TextEncoder, UNet, UNetConfig, VaeConfig, VaeDecoder,
    config::{corrected_side, read_json},
    ldm, text_encoder,
    tokenizer::END,
    vae,
    weights::{Placement, WeightMap, open_all},
};
use crate::study::{Sampling, SchedulerKind};
use std::path::{Path, PathBuf};

/// Bytes of a configuration file, at most.
const CONFIG_LIMIT: u64 = 4 << 20;

/// A checkpoint that was found complete. Weights are not read yet, but their files' headers are sound, and all tensors
/// that the configurations imply are there with the right shapes.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The folder, or the file that holds everything.
    pub root: PathBuf,
    /// The UNet's configuration.
    pub unet: UNetConfig,
    /// The autoencoder's.
    pub vae: VaeConfig,
    /// The text encoder's.
    pub text: TextConfig,
    /// The noise schedule's.
    pub schedule: ScheduleConfig,
    /// Weight files of the UNet; several when sharded.
    pub unet_files: Vec<PathBuf>,
    /// Weight files of the VAE.
    pub vae_files: Vec<PathBuf>,
    /// Weight files of the text encoder.
    pub text_files: Vec<PathBuf>,
    /// Folder with the tokenizer's files.
    pub tokenizer: PathBuf,
    /// Files that a single-file checkpoint's settings come from, besides itself; empty for a folder.
    pub settings_files: Vec<PathBuf>,
    /// Number of values that are used of UNet, VAE (its decoder) and text encoder.
    pub parameters: [u64; 3],
    /// What was assumed where the checkpoint does not say it, in sentences for a person.
    pub notes: Vec<String>,
    /// Values of its files that are overridden, as diffusers does, in sentences for a person.
    pub overrides: Vec<String>,
    naming: Naming,
    sizes: memory::Sizes,
}

/// A part of a checkpoint that has weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The denoising network.
    UNet,
    /// The picture decoder.
    Vae,
    /// The text encoder.
    Text,
}

/// Whose names the tensors have.
#[derive(Clone, Debug)]
enum Naming {
    Diffusers,
    Ldm(ldm::Names),
}

impl Naming {
    fn place(&self, part: Part, name: &str) -> Placement {
        let known = match self {
            Self::Ldm(names) => return names.place(part, name),
            Self::Diffusers => match part {
                Part::UNet => Some(name.to_owned()),
                Part::Vae => vae::canonical(name),
                Part::Text => text_encoder::canonical(name),
            },
        };
        known.map_or(Placement::Skip, Placement::Whole)
    }
}

impl Checkpoint {
    /// Opens a folder in diffusers layout, or a `.safetensors` file with the names of the original Stable Diffusion
    /// code and a folder `tokenizer` beside it, or a folder that holds only one such file. Reads configuration files and the headers of weight files.
    ///
    /// # Errors
    /// All missing files at once; pickle weights; the key, value or tensor that does not fit.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        if path.is_dir() {
            match folder::only_single_file(path)? {
                Some(file) => single_file::open(&file),
                None => Self::open_folder(path),
            }
        } else if path.is_file() {
            single_file::open(path)
        } else {
            Err(CheckpointError::NotAFolder {
                path: path.to_owned(),
            })
        }
    }

    fn open_folder(root: &Path) -> Result<Self, CheckpointError> {
        let files = folder::find(root)?;
        let [unet, vae, text, schedule] = &files.configs;
        let mut unet_config = UNetConfig::read(unet)?;
        let mut schedule_config = ScheduleConfig::read(schedule)?;
        let mut overrides =
            schedule_config.correct(files.scheduler.as_deref(), &read_json(schedule, CONFIG_LIMIT)?);
        if let Some((side, told)) = corrected_side(&read_json(unet, CONFIG_LIMIT)?) {
            unet_config.sample_size = (side, side);
            overrides.push(told);
        }
        let [unet_files, vae_files, text_files] = files.weights;
        Self {
            root: root.to_owned(),
            unet: unet_config,
            vae: VaeConfig::read(vae)?,
            text: TextConfig::read(text)?,
            schedule: schedule_config,
            unet_files,
            vae_files,
            text_files,
            tokenizer: files.tokenizer,
            settings_files: Vec::new(),
            parameters: [0; 3],
            notes: Vec::new(),
            overrides,
            naming: Naming::Diffusers,
            sizes: memory::Sizes::default(),
        }
        .checked()
    }

    /// Checks the parts against each other and every tensor's name, shape and type against the configurations.
    fn checked(mut self) -> Result<Self, CheckpointError> {
        self.check_fit()?;
        let outline = |part, files: &[PathBuf]| {
            let files = open_all(files)?;
            let sizes = memory::count(&files, &self.place(part));
            Ok((WeightMap::outline(&files, &self.place(part))?, sizes))
        };
        let (unet, unet_sizes) = outline(Part::UNet, &self.unet_files)?;
        let (vae, vae_sizes) = outline(Part::Vae, &self.vae_files)?;
        let (text, text_sizes) = outline(Part::Text, &self.text_files)?;
        UNet::new(&self.unet, &unet)?;
        VaeDecoder::new(&self.vae, &vae)?;
        TextEncoder::new(&self.text, &text)?;
        self.parameters = [&unet, &vae, &text].map(|map| map.parameters() as u64);
        self.sizes = memory::Sizes([unet_sizes, vae_sizes, text_sizes]);
        Ok(self)
    }

    /// What becomes of a stored tensor, by its name and shape, when a part is loaded.
    pub(super) fn place(&self, part: Part) -> impl Fn(&str, &[usize]) -> Placement {
        let naming = self.naming.clone();
        move |name, _| naming.place(part, name)
    }

    /// Files of a part.
    pub(super) fn files(&self, part: Part) -> &[PathBuf] {
        match part {
            Part::UNet => &self.unet_files,
            Part::Vae => &self.vae_files,
            Part::Text => &self.text_files,
        }
    }

    /// The token that prompts are filled up with when the tokenizer's files name none: SD 2 in the original layout
    /// fills up with token 0.
    pub(super) fn padding(&self) -> &'static str {
        match &self.naming {
            Naming::Ldm(names) if names.open_clip_layers.is_some() => "!",
            _ => END,
        }
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
