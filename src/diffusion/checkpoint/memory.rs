//! How much memory a checkpoint will need, told from headers and configurations before anything is loaded.

use super::Checkpoint;
use crate::{
    diffusion::{
        UNetConfig, VaeConfig,
        pipeline::stay_as_stored,
        weights::{Placement, WeightFile},
    },
    study::{Sampling, WeightStorage},
};
use candle_core::DType;
use std::{collections::BTreeMap, fmt};

/// Bytes of memory for a checkpoint on the CPU, in f32 arithmetic with fast kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Weights by the element type they are held in (`f16`, `bf16`, `f32`), largest first.
    pub weights: Vec<(&'static str, u64)>,
    /// The most that results of layers take at one moment, while denoising.
    pub denoising: u64,
    /// The same while a picture is decoded.
    pub decoding: u64,
}

impl MemoryEstimate {
    /// All weights.
    pub fn weight_bytes(&self) -> u64 {
        self.weights.iter().map(|(_, bytes)| bytes).sum()
    }

    /// The most that is in use at one moment.
    pub fn peak(&self) -> u64 {
        self.weight_bytes()
            .saturating_add(self.denoising.max(self.decoding))
    }
}

impl MemoryEstimate {
    /// The most that is in use at one moment, in words: `2.4 GiB`.
    pub fn peak_words(&self) -> String {
        Bytes(self.peak()).to_string()
    }
}

impl fmt::Display for MemoryEstimate {
    /// `2.4 GiB: weights 1.9 GiB (1.9 GiB f16), denoising 0.3 GiB, decoding 0.5 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self
            .weights
            .iter()
            .map(|(kind, bytes)| format!("{} {kind}", Bytes(*bytes)))
            .collect();
        write!(
            f,
            "{}: weights {} ({}), denoising {}, decoding {}",
            Bytes(self.peak()),
            Bytes(self.weight_bytes()),
            kinds.join(", "),
            Bytes(self.denoising),
            Bytes(self.decoding)
        )
    }
}

/// What the memory of a checkpoint depends on: small, and enough to tell it for any size of picture at once.
#[derive(Clone, Debug)]
pub struct MemoryNeeds {
    pub(super) unet: UNetConfig,
    pub(super) vae: VaeConfig,
    /// Number of values in the UNet.
    pub(super) parameters: u64,
    sizes: Sizes,
}

/// Unfolded patches, widened panels, and what the allocator keeps.
pub(super) const SCRATCH: u64 = 96 << 20;

/// Bytes, shown in MiB or GiB.
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        if bytes < 1024.0 * 1024.0 * 1024.0 * 0.1 {
            write!(f, "{:.1} MiB", bytes / (1u64 << 20) as f64)
        } else {
            write!(f, "{:.1} GiB", bytes / (1u64 << 30) as f64)
        }
    }
}

/// Values of UNet, VAE and text encoder by stored element type: matrices and vectors.
#[derive(Clone, Debug, Default)]
pub(super) struct Sizes(pub [BTreeMap<&'static str, [u64; 2]>; 3]);

fn is_half(kind: &str) -> bool {
    matches!(kind, "f16" | "bf16")
}

/// Counts the values of the tensors that are used.
pub(super) fn count(
    files: &[WeightFile],
    place: &dyn Fn(&str, &[usize]) -> Placement,
) -> BTreeMap<&'static str, [u64; 2]> {
    let mut sizes = BTreeMap::<_, [u64; 2]>::new();
    for (name, info) in files.iter().flat_map(WeightFile::tensors) {
        if place(name, &info.shape) == Placement::Skip {
            continue;
        }
        let kind = info.element().map_or("f32", |e| e.as_str());
        let slot = usize::from(info.shape.len() < 2);
        sizes.entry(kind).or_default()[slot] += info.count();
    }
    sizes
}

impl Checkpoint {
    /// What its memory depends on.
    pub fn memory_needs(&self) -> MemoryNeeds {
        MemoryNeeds {
            unet: self.unet.clone(),
            vae: self.vae.clone(),
            parameters: self.parameters[0],
            sizes: self.sizes.clone(),
        }
    }

    /// Memory for `batch` pictures of `width` × `height` pixels drawn at once with guidance, with weights held as
    /// [`WeightStorage::Auto`] does.
    pub fn memory_estimate(&self, width: u32, height: u32, batch: usize) -> MemoryEstimate {
        let sampling = Sampling {
            width,
            height,
            ..Sampling::default()
        };
        self.memory_needs().estimate(&sampling, batch)
    }
}

impl MemoryNeeds {
    /// The half-precision type that most matrices are stored in (`f16`, `bf16`); `None` when there are none.
    pub fn half_precision(&self) -> Option<&'static str> {
        let mut counts = BTreeMap::<&'static str, u64>::new();
        for (kind, [matrices, _]) in self.sizes.0.iter().flatten() {
            if is_half(kind) && *matrices > 0 {
                *counts.entry(kind).or_default() += matrices;
            }
        }
        counts.into_iter().max_by_key(|(_, n)| *n).map(|(kind, _)| kind)
    }

    /// Whether half-precision matrices stay in half precision.
    pub fn stays_as_stored(&self, storage: WeightStorage) -> bool {
        self.half_precision().is_some() && stay_as_stored(storage, self.parameters)
    }

    /// Memory for `batch` pictures drawn at once. Weights are exact; results of layers are those of the layers that
    /// need most.
    pub fn estimate(&self, sampling: &Sampling, batch: usize) -> MemoryEstimate {
        let as_stored = stay_as_stored(sampling.weights, self.parameters);
        let (width, height) = (sampling.width, sampling.height);
        // Guidance draws every picture twice.
        let passes = if sampling.guidance > 1.0 { 2 } else { 1 };
        let mut weights = BTreeMap::<&'static str, u64>::new();
        for part in &self.sizes.0 {
            for (&kind, &[matrices, vectors]) in part {
                let kept = as_stored && is_half(kind);
                let (held, size) = if kept { (kind, 2) } else { ("f32", 4) };
                *weights.entry(held).or_default() += matrices * size;
                *weights.entry(DType::F32.as_str()).or_default() += vectors * 4;
            }
        }
        let mut weights: Vec<_> = weights.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
        weights.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
        let factor = self.vae.factor() as u64;
        let latents = (
            u64::from(height).div_ceil(factor),
            u64::from(width).div_ceil(factor),
        );
        MemoryEstimate {
            weights,
            denoising: self.denoising_bytes(latents, passes * batch.max(1) as u64),
            decoding: self.decoding_bytes(latents),
        }
    }

    /// Results of layers while `n` latents go through the UNet.
    fn denoising_bytes(&self, (mut height, mut width): (u64, u64), n: u64) -> u64 {
        let config = &self.unet;
        let levels = config.levels();
        let mut skips = config.block_out_channels[0] as u64 * height * width;
        let mut largest = 0u64;
        for level in 0..levels {
            let pixels = height.saturating_mul(width);
            let channels = config.block_out_channels[level] as u64;
            let layers = config.layers_per_block[level] as u64;
            let below = level + 1 < levels;
            skips = skips.saturating_add(pixels.saturating_mul(channels * layers));
            if below {
                skips = skips.saturating_add(pixels.div_ceil(4).saturating_mul(channels));
            }
            // On the way up: what came in, its join with the skip connection and that normalised, the output.
            let widest = channels.max(config.block_out_channels[(level + 1).min(levels - 1)] as u64);
            let resnet = pixels.saturating_mul(widest + 2 * (widest + channels) + 2 * channels);
            // The stream, its normalised copy, the gated feed-forward's 8 + 4 widths.
            let transformer = pixels.saturating_mul(channels * (3 + 12));
            let attention = config.down_attention[level] || config.up_attention[levels - 1 - level];
            largest = largest.max(if attention {
                resnet.max(transformer)
            } else {
                resnet
            });
            height = height.div_ceil(2);
            width = width.div_ceil(2);
        }
        let values = skips.saturating_add(largest).saturating_mul(n);
        values.saturating_mul(4).saturating_add(SCRATCH)
    }

    /// Results of layers while one picture is decoded; pictures are decoded one after the other.
    fn decoding_bytes(&self, (mut height, mut width): (u64, u64)) -> u64 {
        let channels = &self.vae.block_out_channels;
        let mut largest = 0u64;
        for level in (0..channels.len()).rev() {
            let inputs = channels[(level + 1).min(channels.len() - 1)] as u64;
            let outputs = channels[level] as u64;
            let pixels = height.saturating_mul(width);
            // The first residual block of a level: its input beside the normalised input and the first convolution, or
            // beside the shortcut, what the second convolution reads and the output. Or upsampling: its input, the
            // larger copy, the result.
            let resnet = pixels.saturating_mul((2 * inputs + outputs).max(inputs + 3 * outputs));
            let upsample = pixels.saturating_mul(outputs + 8 * outputs);
            largest = largest.max(if level > 0 { resnet.max(upsample) } else { resnet });
            height = height.saturating_mul(2);
            width = width.saturating_mul(2);
        }
        largest.saturating_mul(4).saturating_add(SCRATCH)
    }
}
