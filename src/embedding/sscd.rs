//! SSCD, a descriptor for image copy detection (Pizzi et al., CVPR 2022): ResNet-50, generalised-mean pooling, a
//! linear layer, unit length.

use super::{EmbeddingError, Preprocessing, resnet::ResNet, vectors::unit};
use crate::weights_file::Weights;
use candle_core::{Result, Tensor};
use candle_nn::{Linear, Module};
use image::RgbImage;
use std::path::Path;

/// GeM's exponent and the least value that goes into it, as the authors set them.
const POWER: f64 = 3.0;
const LEAST: f64 = 1e-6;

/// The network with its weights.
pub struct Sscd {
    body: ResNet,
    head: Linear,
    dim: usize,
    preprocessing: Preprocessing,
}

impl Sscd {
    /// Reads the authors' `sscd_*.torchvision.pt` (ResNet-50 or another bottleneck ResNet), or the same tensors as
    /// `.safetensors`. Names may carry the prefix `backbone.`.
    ///
    /// # Errors
    /// When the file cannot be read, is something else (TorchScript and Classy Vision files are), or tensors are
    /// missing, misshapen or not finite; the message names them.
    pub fn open(path: &Path, preprocessing: Preprocessing) -> std::result::Result<Self, EmbeddingError> {
        let mut weights = Weights::read(path, super::MOST_BYTES)?;
        weights.strip("module.");
        weights.strip("backbone.");
        let head = weights.shape("fc.weight").filter(|s| s.len() == 2 && s[0] > 0);
        let Some(dim) = head.map(|s| s[0]) else {
            return Err(EmbeddingError::Unknown(path.to_owned()));
        };
        let Some(body) = ResNet::load(&mut weights)? else {
            return Err(EmbeddingError::Unknown(path.to_owned()));
        };
        let head = Linear::new(
            weights.take("fc.weight", &[dim, body.channels])?,
            Some(weights.take("fc.bias", &[dim])?),
        );
        weights.finish("SSCD (torchvision)")?;
        Ok(Self {
            body,
            head,
            dim,
            preprocessing,
        })
    }

    /// Values of an embedding: 512 for the published ResNet-50 models.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// How pictures are brought to size.
    pub fn preprocessing(&self) -> Preprocessing {
        self.preprocessing
    }

    /// `[b, 3, h, w]` to `[b, dim]`, before scaling to length 1.
    ///
    /// # Errors
    /// When the input has another shape, or is smaller than the network can take.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.body.forward(input)?;
        let x = x.clamp(LEAST, f64::INFINITY)?.powf(POWER)?;
        let x = x.flatten_from(2)?.mean(2)?.powf(1.0 / POWER)?;
        self.head.forward(&x)
    }

    /// The unit vector of a picture.
    ///
    /// # Errors
    /// For a picture without pixels, or one whose embedding is not finite.
    pub fn embed(&self, image: &RgbImage) -> std::result::Result<Vec<f32>, EmbeddingError> {
        let input = self.preprocessing.apply(image)?;
        unit(self.forward(&input)?.flatten_all()?.to_vec1()?)
    }
}
