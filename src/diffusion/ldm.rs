//! Checkpoints in one `.safetensors` file with the names of the original code (CompVis/stable-diffusion,
//! Stability-AI/stablediffusion; “LDM”): renamed to diffusers' names while they are loaded. What their configuration
//! files would say is taken from the shapes of the tensors, from a `.yaml` beside the file, and from configuration
//! files in diffusers layout beside it.

mod names;
mod settings;
mod shapes;

pub(super) use names::Names;
pub(super) use shapes::{Inferred, infer};

/// What the names of all tensors of the denoising network begin with.
pub(super) const UNET: &str = "model.diffusion_model.";
/// … of the autoencoder.
const VAE: &str = "first_stage_model.";
/// … of the text encoder of SD 1, in transformers' names.
const CLIP: &str = "cond_stage_model.transformer.";
/// … of the text encoder of SD 2, in OpenCLIP's names.
const OPEN_CLIP: &str = "cond_stage_model.model.";
