//! DINOv2's vision transformer (Oquab et al., 2023), as `transformers` has it. candle-transformers' own is fixed to one
//! picture size and a classifier's output; this one gives the class token, at the size the field's processor uses.

use super::{EmbeddingError, Preprocessing, vectors::unit};
use crate::weights_file::Weights;
use candle_core::{Device, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, LayerNorm, Linear, Module, ops::softmax_last_dim};
use image::RgbImage;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What `config.json` must say; the sizes are read off the tensors.
#[derive(Debug, Deserialize)]
struct Config {
    num_attention_heads: usize,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
    #[serde(default)]
    use_swiglu_ffn: bool,
    #[serde(default = "gelu")]
    hidden_act: String,
}

fn epsilon() -> f64 {
    1e-6
}

fn gelu() -> String {
    "gelu".into()
}

struct Layer {
    norms: [LayerNorm; 2],
    qkv: [Linear; 3],
    out: Linear,
    scales: [Tensor; 2],
    mlp: [Linear; 2],
}

/// The network with its weights.
pub struct Dinov2 {
    patches: Conv2d,
    class: Tensor,
    /// `[1, 1 + grid², width]`
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    heads: usize,
    width: usize,
    patch: usize,
}

impl Dinov2 {
    /// Reads a folder in the layout of `transformers`: `config.json` with `model_type` `dinov2`, and
    /// `model.safetensors`. The giant model (SwiGLU) is not known.
    ///
    /// # Errors
    /// When a file is missing or not as described; the message names file, key or tensor.
    pub fn open(folder: &Path) -> std::result::Result<Self, EmbeddingError> {
        let path = folder.join("config.json");
        let config: Config = super::clip_config::read_json(&path)?;
        let refuse = |message: String| EmbeddingError::Config {
            path: path.clone(),
            message,
        };
        if config.use_swiglu_ffn {
            return Err(refuse(
                "use_swiglu_ffn: the giant model is not known; use small, base or large".into(),
            ));
        }
        if config.hidden_act != "gelu" {
            return Err(refuse(format!(
                "hidden_act: {:?} instead of \"gelu\"",
                config.hidden_act
            )));
        }
        if !(config.layer_norm_eps > 0.0 && config.layer_norm_eps < 1.0) {
            return Err(refuse("layer_norm_eps: must be above 0 and below 1".into()));
        }
        let file: PathBuf = folder.join("model.safetensors");
        let mut weights = Weights::read(&file, super::MOST_BYTES)?;
        weights.strip("dinov2.");
        let unknown = || EmbeddingError::Unknown(folder.to_owned());
        let projection = "embeddings.patch_embeddings.projection.weight";
        let &[width, 3, patch, _] = weights.shape(projection).ok_or_else(unknown)? else {
            return Err(unknown());
        };
        let &[1, tokens, _] = weights
            .shape("embeddings.position_embeddings")
            .ok_or_else(unknown)?
        else {
            return Err(unknown());
        };
        let heads = config.num_attention_heads;
        if heads == 0 || width == 0 || !width.is_multiple_of(heads) {
            return Err(refuse(format!(
                "num_attention_heads: {heads} does not divide the width {width}"
            )));
        }
        let side = (tokens.saturating_sub(1)).isqrt();
        if side == 0 || side * side + 1 != tokens || !(1..=224).contains(&patch) {
            return Err(unknown());
        }
        let weights = &mut weights;
        let config_conv = Conv2dConfig {
            stride: patch,
            ..Conv2dConfig::default()
        };
        let patches = Conv2d::new(
            weights.take(projection, &[width, 3, patch, patch])?,
            Some(weights.take("embeddings.patch_embeddings.projection.bias", &[width])?),
            config_conv,
        );
        let eps = config.layer_norm_eps;
        let count = (0..)
            .take_while(|i| {
                weights
                    .shape(&format!("encoder.layer.{i}.norm1.weight"))
                    .is_some()
            })
            .count();
        let layers = (0..count).map(|i| Layer::load(weights, i, width, eps));
        let layers = layers.collect::<Result<Vec<_>>>()?;
        let network = Self {
            patches,
            class: weights.take("embeddings.cls_token", &[1, 1, width])?,
            positions: weights.take("embeddings.position_embeddings", &[1, tokens, width])?,
            layers,
            norm: norm(weights, "layernorm", width, eps)?,
            heads,
            width,
            patch,
        };
        weights.finish("DINOv2")?;
        Ok(network)
    }

    /// Values of an embedding: 384, 768 or 1024 for the published models.
    pub fn dim(&self) -> usize {
        self.width
    }

    /// `[b, 3, h, w]`, sides multiples of the patch, to the class token `[b, dim]` after the last normalisation.
    ///
    /// # Errors
    /// When the input has another shape.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let (b, _, h, w) = input.dims4()?;
        let patches = self.patches.forward(input)?.flatten_from(2)?.transpose(1, 2)?;
        let class = self.class.broadcast_as((b, 1, self.width))?;
        let positions = self.positions_for(h / self.patch, w / self.patch)?;
        let mut x =
            Tensor::cat(&[&class.contiguous()?, &patches.contiguous()?], 1)?.broadcast_add(&positions)?;
        for layer in &self.layers {
            x = layer.forward(&x, self.heads)?;
        }
        self.norm.forward(&x.narrow(1, 0, 1)?.squeeze(1)?)
    }

    /// The unit vector of a picture.
    ///
    /// # Errors
    /// For a picture without pixels, or one whose embedding is not finite.
    pub fn embed(&self, image: &RgbImage) -> std::result::Result<Vec<f32>, EmbeddingError> {
        let input = Preprocessing::DINOV2.apply(image)?;
        unit(self.forward(&input)?.flatten_all()?.to_vec1()?)
    }

    /// Position embeddings for a grid of `h` × `w` patches: the stored grid, resampled as PyTorch's bicubic
    /// `interpolate` does (a = −0.75, borders repeated, no widening when shrinking).
    fn positions_for(&self, h: usize, w: usize) -> Result<Tensor> {
        let side = (self.positions.dim(1)? - 1).isqrt();
        if (h, w) == (side, side) {
            return Ok(self.positions.clone());
        }
        let all: Vec<f32> = self.positions.flatten_all()?.to_vec1()?;
        let (class, grid) = all.split_at(self.width);
        let mut out = class.to_vec();
        let (rows, columns) = (cubic_taps(side, h), cubic_taps(side, w));
        for row in &rows {
            for column in &columns {
                for k in 0..self.width {
                    let mut sum = 0.0;
                    for (y, wy) in row {
                        let line: f32 = column
                            .iter()
                            .map(|(x, wx)| wx * grid[(y * side + x) * self.width + k])
                            .sum();
                        sum += wy * line;
                    }
                    out.push(sum);
                }
            }
        }
        Tensor::from_vec(out, (1, 1 + h * w, self.width), &Device::Cpu)
    }
}

fn cubic_taps(from: usize, to: usize) -> Vec<[(usize, f32); 4]> {
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|o| {
            let at = (o as f32 + 0.5) * scale - 0.5;
            let (first, t) = (at.floor(), at - at.floor());
            let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
            std::array::from_fn(|i| {
                let index = (first as isize - 1 + i as isize).clamp(0, from as isize - 1);
                (index as usize, weights[i])
            })
        })
        .collect()
}

fn norm(weights: &mut Weights, name: &str, width: usize, eps: f64) -> Result<LayerNorm> {
    let weight = weights.take(&format!("{name}.weight"), &[width])?;
    let bias = weights.take(&format!("{name}.bias"), &[width])?;
    Ok(LayerNorm::new(weight, bias, eps))
}

fn linear(weights: &mut Weights, name: &str, from: usize, to: usize) -> Result<Linear> {
    let weight = weights.take(&format!("{name}.weight"), &[to, from])?;
    let bias = weights.take(&format!("{name}.bias"), &[to])?;
    Ok(Linear::new(weight, Some(bias)))
}

impl Layer {
    fn load(weights: &mut Weights, index: usize, width: usize, eps: f64) -> Result<Self> {
        let name = |part: &str| format!("encoder.layer.{index}.{part}");
        // transformers renamed the projections in version 5.
        let new = weights.shape(&name("attention.q_proj.weight")).is_some();
        let [q, k, v, o] = if new {
            [
                "attention.q_proj",
                "attention.k_proj",
                "attention.v_proj",
                "attention.o_proj",
            ]
        } else {
            [
                "attention.attention.query",
                "attention.attention.key",
                "attention.attention.value",
                "attention.output.dense",
            ]
        };
        let hidden = weights.shape(&name("mlp.fc1.weight")).map_or(4 * width, |s| s[0]);
        Ok(Self {
            norms: [
                norm(weights, &name("norm1"), width, eps)?,
                norm(weights, &name("norm2"), width, eps)?,
            ],
            qkv: [
                linear(weights, &name(q), width, width)?,
                linear(weights, &name(k), width, width)?,
                linear(weights, &name(v), width, width)?,
            ],
            out: linear(weights, &name(o), width, width)?,
            scales: [
                weights.take(&name("layer_scale1.lambda1"), &[width])?,
                weights.take(&name("layer_scale2.lambda1"), &[width])?,
            ],
            mlp: [
                linear(weights, &name("mlp.fc1"), width, hidden)?,
                linear(weights, &name("mlp.fc2"), hidden, width)?,
            ],
        })
    }

    fn forward(&self, x: &Tensor, heads: usize) -> Result<Tensor> {
        let (b, n, width) = x.dims3()?;
        let y = self.norms[0].forward(x)?;
        let split = |linear: &Linear| -> Result<Tensor> {
            let t = linear.forward(&y)?.reshape((b, n, heads, width / heads))?;
            t.transpose(1, 2)?.contiguous()
        };
        let (q, k, v) = (split(&self.qkv[0])?, split(&self.qkv[1])?, split(&self.qkv[2])?);
        let scores = (q.matmul(&k.t()?.contiguous()?)? * ((width / heads) as f64).powf(-0.5))?;
        let y = softmax_last_dim(&scores)?.matmul(&v)?;
        let y = y.transpose(1, 2)?.reshape((b, n, width))?;
        let x = (x + self.out.forward(&y)?.broadcast_mul(&self.scales[0])?)?;
        let y = self.norms[1].forward(&x)?;
        let y = self.mlp[1].forward(&self.mlp[0].forward(&y)?.gelu_erf()?)?;
        x + y.broadcast_mul(&self.scales[1])?
    }
}
