//! The generators of the pictures that are drawn together.

use super::{TorchCudaRng, TorchRng};
use crate::study::RngKind;
use candle_core::{DType, Device, Result, Tensor};
use half::{bf16, f16};

/// A generator of one kind.
#[derive(Clone)]
enum Generator {
    Cpu(TorchRng),
    Cuda(TorchCudaRng),
}

impl Generator {
    fn new(kind: RngKind, seed: u64) -> Self {
        match kind {
            RngKind::TorchCpu => Self::Cpu(TorchRng::new(seed)),
            RngKind::TorchCuda => Self::Cuda(TorchCudaRng::new(seed)),
        }
    }

    /// `count` normals as `torch.randn` draws them in an element type, as f32.
    fn randn(&mut self, count: usize, dtype: DType) -> Vec<f32> {
        let mut values = match (self, dtype) {
            (Self::Cpu(rng), DType::F16 | DType::BF16) => rng.randn_half(count),
            (Self::Cpu(rng), _) => rng.randn(count),
            (Self::Cuda(rng), _) => rng.randn(count),
        };
        match dtype {
            DType::F16 => values.iter_mut().for_each(|v| *v = f16::from_f32(*v).to_f32()),
            DType::BF16 => values.iter_mut().for_each(|v| *v = bf16::from_f32(*v).to_f32()),
            _ => {}
        }
        values
    }
}

/// Draws noise for a batch of pictures, call after call: diffusers' `randn_tensor`, with one generator for each
/// picture or one for all.
#[derive(Clone)]
pub struct NoiseSource {
    generators: Vec<Generator>,
    shape: [usize; 4],
    dtype: DType,
}

impl NoiseSource {
    /// A generator for each picture, from its own seed. `shape` is that of one picture, `[channels, height, width]`;
    /// `dtype` is the element type that torch would be asked for (f32, f16 or bf16).
    pub fn per_picture(kind: RngKind, seeds: &[u64], shape: [usize; 3], dtype: DType) -> Self {
        let [c, h, w] = shape;
        Self {
            generators: seeds.iter().map(|&seed| Generator::new(kind, seed)).collect(),
            shape: [1, c, h, w],
            dtype,
        }
    }

    /// One generator for `count` pictures in a row.
    pub fn shared(kind: RngKind, seed: u64, count: usize, shape: [usize; 3], dtype: DType) -> Self {
        let [c, h, w] = shape;
        Self {
            generators: vec![Generator::new(kind, seed)],
            shape: [count, c, h, w],
            dtype,
        }
    }

    /// The next noise of all pictures, `[n, channels, height, width]`, f32.
    ///
    /// # Errors
    /// A device that cannot hold it.
    pub fn draw(&mut self, device: &Device) -> Result<Tensor> {
        let count = self.shape.iter().product();
        let dtype = self.dtype;
        let values: Vec<f32> = self
            .generators
            .iter_mut()
            .flat_map(|g| g.randn(count, dtype))
            .collect();
        let [n, c, h, w] = self.shape;
        Tensor::from_vec(values, (n * self.generators.len(), c, h, w), device)
    }
}
