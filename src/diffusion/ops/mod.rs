//! Fast operations for the CPU, on plain f32 slices: what candle's own kernels leave to gain on Stable Diffusion.
//!
//! Layouts are row-major; pictures are `[batch, channels, height, width]` (“planes”), sequences are
//! `[batch, positions, channels]` (“tokens”). Every function takes `parallel`: true spreads the work over the current
//! rayon pool, false stays on the calling thread (used when whole pictures are already spread over threads).
//! Matrix products come from the `gemm` crate, which picks AVX2 or AVX-512 at run time.

mod attention;
mod conv;
#[cfg(target_arch = "x86_64")]
mod direct;
mod linear;
mod math;
mod matmul;
mod norm;

pub use attention::{Heads, attention};
pub use conv::{Conv, conv2d, upsample_nearest};
pub use linear::{geglu, linear, linear_from_planes, linear_to_planes, quick_gelu};
pub use norm::{GroupNormShape, group_norm, layer_norm};
