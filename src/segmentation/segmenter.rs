//! A network with its settings: opened from a folder, asked for mattes.

use super::{Architecture, Matte, Scale, SegmentationError, SegmenterConfig, u2net::U2Net, weights::Weights};
use crate::similarity::{resize_lanczos_gray, resize_lanczos_rgb};
use candle_core::{Device, Tensor};
use image::{GrayImage, RgbImage};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Weights files looked for in a folder, in this order.
const NAMES: [&str; 6] = [
    "model.safetensors",
    "model.pth",
    "u2netp.safetensors",
    "u2netp.pth",
    "u2net.safetensors",
    "u2net.pth",
];
/// A settings file is a few lines.
const MOST_CONFIG_BYTES: u64 = 1 << 20;

/// Finds the foreground of pictures. `Send` and `Sync`; works in the caller's rayon pool.
pub struct Segmenter {
    network: U2Net,
    config: SegmenterConfig,
    hash: String,
}

impl Segmenter {
    /// Opens a folder with `model.safetensors` or `model.pth` and `config.json`, or a weights file.
    /// Without a `config.json` the weights must be U²-Net's or U²-Net-P's, told apart by their shapes,
    /// and the authors' settings apply.
    ///
    /// # Errors
    /// When there are no weights, the file is unreadable, the architecture is unknown, a setting is out
    /// of range, or tensors are missing, misshapen or not finite (named).
    pub fn open(path: &Path) -> Result<Self, SegmentationError> {
        let (file, settings) = if path.is_dir() {
            let file = NAMES
                .iter()
                .map(|name| path.join(name))
                .find(|p| p.is_file())
                .ok_or_else(|| SegmentationError::NoWeights(path.to_owned()))?;
            (file, Some(path.join("config.json")))
        } else {
            // A settings file beside a weights file is its own only under the folder's names.
            let own = path.file_stem().is_some_and(|s| s == "model");
            (path.to_owned(), own.then(|| path.with_file_name("config.json")))
        };
        let mut weights = Weights::read(&file)?;
        let config = match settings.filter(|p| p.is_file()) {
            Some(settings) => read_config(&settings)?,
            None => SegmenterConfig::authors(
                recognise(&weights).ok_or_else(|| SegmentationError::NoWeights(path.to_owned()))?,
            ),
        };
        let network = U2Net::load(&mut weights, config.architecture)?;
        weights.finish(config.architecture.name())?;
        let hash = hash(&file, &config)?;
        Ok(Self {
            network,
            config,
            hash,
        })
    }

    /// Segments a picture of any size, which is stretched to the network's square and its matte back
    /// (Lanczos both ways).
    ///
    /// # Errors
    /// When the picture has no pixels or the network fails.
    pub fn segment(&self, image: &RgbImage) -> Result<Matte, SegmentationError> {
        let map = self.probabilities(image)?;
        let (least, most) = map.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &v| {
            (a.min(v), b.max(v))
        });
        let bytes = match self.config.scale {
            Scale::Byte => map.iter().map(|p| (p * 255.0).round() as u8).collect(),
            // A constant map has nothing to stretch: no foreground.
            Scale::ImageMax if most <= least => vec![0; map.len()],
            // Truncated, as rembg's conversion to bytes.
            Scale::ImageMax => map
                .iter()
                .map(|p| ((p - least) / (most - least) * 255.0) as u8)
                .collect(),
        };
        let size = self.config.size;
        let small = GrayImage::from_raw(size, size, bytes).unwrap_or_default();
        Ok(Matte {
            alpha: resize_lanczos_gray(&small, image.width(), image.height()),
            confidence: most.clamp(0.0, 1.0),
        })
    }

    /// The network's probabilities, `size`² row by row, before any stretching.
    ///
    /// # Errors
    /// As [`Self::segment`].
    pub fn probabilities(&self, image: &RgbImage) -> Result<Vec<f32>, SegmentationError> {
        if image.width() == 0 || image.height() == 0 {
            return Err(SegmentationError::Empty);
        }
        let SegmenterConfig {
            size,
            mean,
            std,
            scale,
            ..
        } = self.config;
        let small = resize_lanczos_rgb(image, size, size);
        let most = match scale {
            Scale::Byte => 255.0,
            Scale::ImageMax => f32::from(small.as_raw().iter().copied().max().unwrap_or(0)).max(1e-6),
        };
        let mut input = Vec::with_capacity(small.as_raw().len());
        for channel in 0..3 {
            let (mean, std) = (mean[channel], std[channel]);
            input.extend(
                small
                    .pixels()
                    .map(|p| (f32::from(p[channel]) / most - mean) / std),
            );
        }
        let size = size as usize;
        let input = Tensor::from_vec(input, (1, 3, size, size), &Device::Cpu)?;
        Ok(self.network.forward(&input)?.flatten_all()?.to_vec1()?)
    }

    /// The settings it runs with.
    pub fn config(&self) -> &SegmenterConfig {
        &self.config
    }

    /// A line for people: `u2netp, 128², sigmoid as is`.
    pub fn describe(&self) -> String {
        let SegmenterConfig {
            architecture,
            size,
            scale,
            ..
        } = &self.config;
        let scale = match scale {
            Scale::Byte => "probabilities as they are",
            Scale::ImageMax => "stretched as rembg does",
        };
        format!("{}, {size}×{size}, {scale}", architecture.name())
    }

    /// SHA-256 over the weights file and the settings, in hexadecimal: names everything a matte depends
    /// on besides its picture.
    pub fn weights_hash(&self) -> &str {
        &self.hash
    }
}

fn read_config(path: &Path) -> Result<SegmenterConfig, SegmentationError> {
    let io = |source| SegmentationError::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > MOST_CONFIG_BYTES {
        let most = MOST_CONFIG_BYTES;
        return Err(SegmentationError::TooLarge {
            path: path.to_owned(),
            bytes,
            most,
        });
    }
    SegmenterConfig::parse(&std::fs::read_to_string(path).map_err(io)?, path)
}

/// Tells the authors' two networks apart by the width of their first small U.
fn recognise(weights: &Weights) -> Option<Architecture> {
    match weights.shape("stage1.rebnconv1.conv_s1.weight")? {
        [32, 64, 3, 3] => Some(Architecture::U2Net),
        [16, 64, 3, 3] => Some(Architecture::U2NetP),
        _ => None,
    }
}

fn hash(file: &Path, config: &SegmenterConfig) -> Result<String, SegmentationError> {
    let io = |source| SegmentationError::Io {
        path: PathBuf::from(file),
        source,
    };
    let mut file = File::open(file).map_err(io)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    hasher.update(format!("{config:?}"));
    Ok(hex::encode(hasher.finalize()))
}
