//! A network with its settings: opened from a folder, asked for mattes.

use super::{
    Architecture, Matte, Scale, SegmentationError, SegmenterConfig, hash::hash_file, network::Network,
    stop::Stop,
};
use crate::{
    similarity::{resize_lanczos_gray, resize_lanczos_rgb},
    study::Arithmetic,
    weights_file::Weights,
};
use candle_core::{Device, Tensor};
use image::{GrayImage, RgbImage};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Endings of weights files.
const ENDINGS: [&str; 3] = ["safetensors", "pth", "onnx"];
/// A settings file is a few lines.
const MOST_CONFIG_BYTES: u64 = 1 << 20;
/// Below this the network sees no foreground.
const SURE: f32 = 0.5;

/// Finds the foreground of pictures. `Send` and `Sync`; works in the caller's rayon pool.
pub struct Segmenter {
    network: Network,
    config: SegmenterConfig,
    hash: String,
}

impl Segmenter {
    /// [`Self::open_for`] the corrected arithmetic.
    ///
    /// # Errors
    /// As there.
    pub fn open(path: &Path) -> Result<Self, SegmentationError> {
        Self::open_for(path, Arithmetic::Corrected)
    }

    /// Opens a weights file, or a folder with one: the authors' `.safetensors` or `.pth`, or an `.onnx` file as rembg
    /// uses them. The network is recognised by the names and shapes of its tensors; the authors' size, mean and
    /// deviation apply, and the scaling of `arithmetic`, unless a `config.json` beside the weights (in a folder, or
    /// beside a file named `model`) says otherwise.
    ///
    /// # Errors
    /// When there are no weights, the file is unreadable, the network is unknown, a setting is out
    /// of range, or tensors are missing, misshapen or not finite (named).
    pub fn open_for(path: &Path, arithmetic: Arithmetic) -> Result<Self, SegmentationError> {
        let (file, settings) = if path.is_dir() {
            (weights_in(path)?, Some(path.join("config.json")))
        } else {
            // A settings file beside a weights file is its own only under the folder's names.
            let own = path.file_stem().is_some_and(|s| s == "model");
            (path.to_owned(), own.then(|| path.with_file_name("config.json")))
        };
        let mut weights = Weights::read(&file, super::MOST_BYTES)?;
        let found = Network::recognise(&weights);
        let config = match settings.filter(|p| p.is_file()) {
            Some(settings) => read_config(&settings, arithmetic)?,
            None => {
                let found = found.ok_or_else(|| SegmentationError::NoWeights(path.to_owned()))?;
                SegmenterConfig::authors(found, arithmetic)
            }
        };
        let network = Network::load(&mut weights, &config)?;
        weights.finish(config.architecture.title())?;
        let hash = hash_file(&file, &format!("{config:?}"))?;
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
        self.segment_unless(image, &|| false)
    }

    /// As [`Self::segment`], but gives up with [`SegmentationError::Stopped`] soon after `stop` says so; it is asked
    /// between the layers of the network.
    ///
    /// # Errors
    /// As [`Self::segment`].
    pub fn segment_unless(
        &self,
        image: &RgbImage,
        stop: &dyn Fn() -> bool,
    ) -> Result<Matte, SegmentationError> {
        let map = self.run(image, Stop(stop)).map_err(|error| match error {
            SegmentationError::Run(_) if stop() => SegmentationError::Stopped,
            error => error,
        })?;
        let (least, most) = map.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &v| {
            (a.min(v), b.max(v))
        });
        let bytes = match self.config.scale {
            Scale::Byte if most < SURE => vec![0; map.len()],
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
        self.run(image, Stop(&|| false))
    }

    fn run(&self, image: &RgbImage, stop: Stop<'_>) -> Result<Vec<f32>, SegmentationError> {
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
        Ok(self.network.forward(&input, stop)?.flatten_all()?.to_vec1()?)
    }

    /// The settings it runs with.
    pub fn config(&self) -> &SegmenterConfig {
        &self.config
    }

    /// A line for people: `U²-Net-P, 128×128, probabilities as they are`.
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
        format!("{}, {size}×{size}, {scale}", architecture.title())
    }

    /// How its mattes are made, for the files that hold them: keyword and value.
    pub fn provenance(&self) -> Vec<(&'static str, String)> {
        let SegmenterConfig {
            architecture,
            size,
            mean,
            std,
            scale,
            patches,
        } = &self.config;
        let mut text = vec![
            ("network", architecture.name().to_owned()),
            ("segmenter hash", self.hash.clone()),
            ("size", size.to_string()),
            ("scale", scale.name().to_owned()),
            ("mean", format!("{mean:?}")),
            ("std", format!("{std:?}")),
        ];
        if *architecture == Architecture::BiRefNet {
            text.push(("patches", patches.name().to_owned()));
        }
        text
    }

    /// SHA-256 over the weights file and the settings, in hexadecimal: names everything a matte depends
    /// on besides its picture.
    pub fn weights_hash(&self) -> &str {
        &self.hash
    }
}

/// The weights file of a folder: one named `model`, else the first by name.
fn weights_in(folder: &Path) -> Result<PathBuf, SegmentationError> {
    for ending in ENDINGS {
        let file = folder.join("model").with_extension(ending);
        if file.is_file() {
            return Ok(file);
        }
    }
    let entries = fs::read_dir(folder).map_err(|source| SegmentationError::Io {
        path: folder.to_owned(),
        source,
    })?;
    let is_weights = |path: &PathBuf| {
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        ENDINGS.iter().any(|e| ending == *e) && path.is_file()
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(is_weights)
        .min()
        .ok_or_else(|| SegmentationError::NoWeights(folder.to_owned()))
}

fn read_config(path: &Path, arithmetic: Arithmetic) -> Result<SegmenterConfig, SegmentationError> {
    let io = |source| SegmentationError::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = fs::metadata(path).map_err(io)?.len();
    if bytes > MOST_CONFIG_BYTES {
        let most = MOST_CONFIG_BYTES;
        return Err(SegmentationError::TooLarge {
            path: path.to_owned(),
            bytes,
            most,
        });
    }
    SegmenterConfig::parse(&fs::read_to_string(path).map_err(io)?, path, arithmetic)
}
