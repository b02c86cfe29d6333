//! Random numbers equal to PyTorch's, and whose turn it is to draw them.
//!
//! A picture's initial noise and the noise that an ancestral scheduler adds at every step come from the same
//! generator, as in diffusers.

mod source;
mod torch_cpu;
mod torch_cuda;

pub use source::NoiseSource;
pub use torch_cpu::TorchRng;
pub use torch_cuda::TorchCudaRng;
