//! Text to image on our own instrumented Stable Diffusion (1.x and 2.x; folders in diffusers layout, or single files).
//!
//! [`Checkpoint::open`] checks a checkpoint without reading its weights, [`Pipeline::load`] reads them, and
//! [`Pipeline::sample`] draws pictures while an [`Observer`] looks on: at every step it sees the latents and both
//! noise predictions, and on request the cross-attention maps, value activations and feed-forward inputs of every
//! layer. Arithmetic follows diffusers closely enough that the same seed gives the same picture.
//!
//! Two sets of kernels exist, tested against each other: [`Kernels::Plain`] is candle's own operations and can be
//! differentiated; [`Kernels::Fast`] is [`ops`](crate::ops), CPU and f32 only
//! (weights may be held in half precision and are widened where they are used). Heavy loops run in the current rayon pool.

mod attention;
mod blocks;
mod checkpoint;
mod config;
mod edits;
mod error;
mod export;
mod guidance;
mod layers;
mod ldm;
mod noise;
mod pipeline;
mod preview;
pub mod probe;
mod sampler;
mod schedule;
mod text_encoder;
mod tokenizer;
mod unet;
mod vae;
mod weight_edit;
mod weights;

pub use crate::study::WeightStorage;
pub use checkpoint::{Bytes, Checkpoint, MemoryEstimate, MemoryNeeds};
pub use config::{Activation, Refusal, ScheduleConfig, TextConfig, UNetConfig, VaeConfig};
pub use error::{CheckpointError, DiffusionError};
pub use export::{ExportError, Exported, Untouched, export};
pub use layers::{Compute, Kernels};
pub use noise::{NoiseSource, TorchCudaRng, TorchRng};
pub use pipeline::{LoadOptions, Pipeline};
pub use preview::LatentPreview;
pub use probe::{LayerSet, Observer, ProbeSet, Silent, Site, Step, Tap};
pub use sampler::{InitialNoise, Sample, SampleRequest};
pub use schedule::{
    BetaSchedule, Ddim, DpmSolver, Euler, FinalSigma, Pndm, Prediction, Scheduler, SolverKind, Spacing,
    Stepped, scheduler,
};
pub use text_encoder::TextEncoder;
pub use tokenizer::ClipTokenizer;
pub use unet::UNet;
pub use vae::VaeDecoder;
pub use weights::{Scope, WeightMap};
