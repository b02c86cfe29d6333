//! Fast operations for the CPU, on plain f32 slices: what candle's own kernels leave to gain on Stable Diffusion and on
//! the segmenters. Both rooms take their convolutions and matrix products from here.
//!
//! Layouts are row-major; pictures are `[batch, channels, height, width]` (“planes”), sequences are
//! `[batch, positions, channels]` (“tokens”). Every function takes `parallel`: true spreads the work over the current
//! rayon pool, false stays on the calling thread (used when whole pictures are already spread over threads).
//! Activations are f32; weight matrices may be f16 or bf16 and are widened where they are used ([`Stored`]).
//! Matrix products come from the `gemm` crate, which picks AVX2 or AVX-512 at run time.

mod attention;
mod conv;
#[cfg(target_arch = "x86_64")]
mod direct;
mod linear;
mod math;
mod matmul;
mod norm;
mod panels;
mod widen;
mod winograd;

pub use attention::{Heads, attention};
pub use conv::{Conv, conv2d, upsample_nearest};
pub use linear::{geglu, linear, linear_from_planes, linear_to_planes, quick_gelu};
pub use matmul::{Onto, Target, View, multiply};
pub use norm::{GroupNormShape, group_norm, layer_norm};
pub use panels::Weights;
pub use widen::{Stored, widen_bf16, widen_f16};
