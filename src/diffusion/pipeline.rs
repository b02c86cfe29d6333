//! A loaded checkpoint.

use super::{
    Checkpoint, ClipTokenizer, DiffusionError, Kernels, LatentPreview, ScheduleConfig, TextEncoder, UNet,
    VaeDecoder, WeightMap,
    checkpoint::Part,
    edits::Edits,
    layers::Compute,
    weights::{Holding, open_all},
};
use crate::study::WeightStorage;
use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// Where and how precisely to compute.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Device that holds the weights.
    pub device: Device,
    /// Element type of the arithmetic: f32, f16 or (not on the CPU) bf16.
    pub dtype: DType,
    /// How half-precision weights are held for f32 arithmetic on the CPU.
    pub storage: WeightStorage,
}

/// From this number of values in the UNet on, memory matters more than the time to widen weights.
const LARGE: u64 = 64_000_000;

/// Whether half-precision weights stay as they are, for a UNet of so many values.
pub(super) fn stay_as_stored(storage: WeightStorage, parameters: u64) -> bool {
    match storage {
        WeightStorage::Auto => parameters > LARGE,
        WeightStorage::AsStored => true,
        WeightStorage::Widened => false,
    }
}

impl Default for LoadOptions {
    /// f32 on the CPU.
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            dtype: DType::F32,
            storage: WeightStorage::Auto,
        }
    }
}

/// A checkpoint with its weights in memory. Cheap to clone: copies and [edited](Self::with_variant) pipelines share all
/// weights that are the same.
#[derive(Clone)]
pub struct Pipeline {
    pub(super) tokenizer: Arc<ClipTokenizer>,
    pub(super) text: Arc<TextEncoder>,
    pub(super) unet: Arc<UNet>,
    pub(super) vae: Arc<VaeDecoder>,
    pub(super) schedule: Arc<ScheduleConfig>,
    pub(super) edits: Arc<Edits>,
    unet_weights: WeightMap,
    preview: Arc<OnceLock<LatentPreview>>,
    pub(super) device: Device,
    pub(super) dtype: DType,
    kernels: Kernels,
    stop: Option<Arc<AtomicBool>>,
}

impl Pipeline {
    /// Reads all weights.
    ///
    /// # Errors
    /// Tensors that are missing, superfluous, of the wrong shape or type, or not finite; damaged files; element types
    /// that the device cannot compute with.
    pub fn load(checkpoint: &Checkpoint, options: &LoadOptions) -> Result<Self, DiffusionError> {
        let LoadOptions {
            device,
            dtype,
            storage,
        } = options;
        match dtype {
            DType::F32 | DType::F16 => {}
            DType::BF16 if !device.is_cpu() => {}
            other => {
                return Err(DiffusionError::Request(format!(
                    "{} is not supported on this device; choose f32 or f16",
                    other.as_str()
                )));
            }
        }
        let holding = Holding {
            device,
            dtype: *dtype,
            as_stored: device.is_cpu()
                && *dtype == DType::F32
                && stay_as_stored(*storage, checkpoint.parameters[0]),
        };
        let load = |part| {
            WeightMap::load(
                &open_all(checkpoint.files(part))?,
                holding,
                &checkpoint.place(part),
            )
        };
        let tokenizer =
            ClipTokenizer::with_padding(&checkpoint.tokenizer, &checkpoint.text, checkpoint.padding())?;
        let text = TextEncoder::new(&checkpoint.text, &load(Part::Text)?)?;
        let vae = VaeDecoder::new(&checkpoint.vae, &load(Part::Vae)?)?;
        let unet_weights = load(Part::UNet)?;
        let unet = UNet::new(&checkpoint.unet, &unet_weights)?;
        Ok(Self {
            tokenizer: Arc::new(tokenizer),
            text: Arc::new(text),
            unet: Arc::new(unet),
            vae: Arc::new(vae),
            schedule: Arc::new(checkpoint.schedule.clone()),
            edits: Arc::default(),
            unet_weights,
            preview: Arc::default(),
            device: device.clone(),
            dtype: *dtype,
            kernels: Kernels::best(device, *dtype),
            stop: None,
        })
    }

    /// The same pipeline, whose passes give up with [`DiffusionError::Stopped`] soon after another thread sets `stop`:
    /// within a layer's time. What was shown until then stays as it is; the pipeline can be used again.
    #[must_use]
    pub fn until(&self, stop: Arc<AtomicBool>) -> Self {
        Self {
            stop: Some(stop),
            ..self.clone()
        }
    }

    /// A failure for the caller: [`DiffusionError::Stopped`] when it comes from having been told to stop.
    pub(super) fn told<T>(&self, result: candle_core::Result<T>) -> Result<T, DiffusionError> {
        let stop = self.stop.as_ref();
        result.map_err(|error| match stop {
            Some(stop) if stop.load(Ordering::Relaxed) => DiffusionError::Stopped,
            _ => error.into(),
        })
    }

    /// The same pipeline with other kernels; [`Kernels::Plain`] can be differentiated. Asking for fast kernels where
    /// they do not exist changes nothing.
    #[must_use]
    pub fn with_kernels(&self, kernels: Kernels) -> Self {
        let fast = kernels == Kernels::Fast && Kernels::best(&self.device, self.dtype) == Kernels::Fast;
        Self {
            kernels: if fast { Kernels::Fast } else { Kernels::Plain },
            ..self.clone()
        }
    }

    /// A pipeline in which some tensors of the UNet are replaced, by their diffusers names; everything else is shared.
    ///
    /// # Errors
    /// Names the UNet does not have, and shapes that differ.
    pub fn with_unet_tensors(
        &self,
        changes: impl IntoIterator<Item = (String, Tensor)>,
    ) -> Result<Self, DiffusionError> {
        let weights = self.unet_weights.with(changes);
        let unet = UNet::new(self.unet.config(), &weights)?;
        Ok(Self {
            unet: Arc::new(unet),
            unet_weights: weights,
            edits: Arc::new(self.edits.for_other_weights()),
            ..self.clone()
        })
    }

    /// The UNet's weights, by their diffusers names.
    pub fn unet_weights(&self) -> &WeightMap {
        &self.unet_weights
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &ClipTokenizer {
        &self.tokenizer
    }

    /// The text encoder.
    pub fn text_encoder(&self) -> &TextEncoder {
        &self.text
    }

    /// The denoising network.
    pub fn unet(&self) -> &UNet {
        &self.unet
    }

    /// The picture decoder.
    pub fn vae(&self) -> &VaeDecoder {
        &self.vae
    }

    /// The noise schedule.
    pub fn schedule(&self) -> &ScheduleConfig {
        &self.schedule
    }

    /// How passes through the networks are computed.
    pub fn compute(&self) -> Compute<'_> {
        Compute {
            stop: self.stop.as_deref(),
            ..Compute::new(self.kernels)
        }
    }

    /// Text embeddings of prompts, `[n, tokens, d]`. Long prompts are cut as the tokenizer does.
    ///
    /// # Errors
    /// No prompt at all; failures of the tensor library.
    pub fn encode_prompts(&self, prompts: &[&str]) -> Result<Tensor, DiffusionError> {
        if prompts.is_empty() {
            return Err(DiffusionError::Request("there is no prompt to encode".to_owned()));
        }
        let mut ids = Vec::new();
        for prompt in prompts {
            ids.extend(self.tokenizer.encode(prompt).map_err(DiffusionError::Request)?);
        }
        let ids = Tensor::from_vec(ids, (prompts.len(), self.tokenizer.length()), &self.device)?;
        self.told(self.text.forward(&ids, self.compute()))
    }

    /// Raw prediction of the UNet (ε, v or x₀, as the checkpoint predicts) for `latents[n, c, h, w]` at a timestep,
    /// given `embeddings[n, tokens, d]`; f32.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn predict(
        &self,
        latents: &Tensor,
        timestep: f64,
        embeddings: &Tensor,
    ) -> Result<Tensor, DiffusionError> {
        let latents = latents.to_dtype(self.dtype)?;
        let output = self
            .unet
            .forward(&latents, timestep, embeddings, self.compute(), None);
        Ok(self.told(output)?.to_dtype(DType::F32)?)
    }

    /// Pictures from latents: `[n, 3, H, W]` in `[0, 1]`, f32.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor, DiffusionError> {
        let raw = self.vae.decode(&latents.to_dtype(self.dtype)?, self.compute());
        let raw = self.told(raw)?.to_dtype(DType::F32)?;
        Ok(raw.affine(0.5, 0.5)?.clamp(0f32, 1f32)?)
    }

    /// Rough pictures of latents `[n, c, h, w]`, one pixel per latent: a linear map fitted to this checkpoint's
    /// decoder at the first call. Best on [`Step::predicted_original`](super::Step::predicted_original).
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn preview(&self, latents: &Tensor) -> Result<Vec<RgbImage>, DiffusionError> {
        let map = match self.preview.get() {
            Some(map) => map,
            None => {
                let map = LatentPreview::fit(self)?;
                self.preview.get_or_init(|| map)
            }
        };
        map.apply(latents)
    }
}
