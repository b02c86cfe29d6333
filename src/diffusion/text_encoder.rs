//! CLIP's text tower, `CLIPTextModel`.

use super::{
    Activation, CheckpointError, TextConfig, WeightMap,
    layers::{Compute, LayerNorm, Linear, on_slices},
    weights::Scope,
};
use crate::ops;
use candle_core::{D, DType, Result, Tensor};

/// The text encoder with its weights.
pub struct TextEncoder {
    config: TextConfig,
    /// As stored, perhaps in half precision; only the rows that are used are widened.
    tokens: Tensor,
    positions: Tensor,
    dtype: DType,
    layers: Vec<EncoderLayer>,
    final_norm: LayerNorm,
}

struct EncoderLayer {
    norm1: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl TextEncoder {
    /// Builds the encoder.
    ///
    /// # Errors
    /// All tensors that are missing, of the wrong shape, or superfluous.
    pub fn new(config: &TextConfig, weights: &WeightMap) -> std::result::Result<Self, CheckpointError> {
        weights.build(|scope| Self::assemble(config, scope))
    }

    fn assemble(config: &TextConfig, scope: &Scope<'_>) -> Result<Self> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let layer = |i: usize| {
            let scope = scope.at(format!("encoder.layers.{i}"));
            let norm = |name: &str| LayerNorm::new(&scope.at(name), width, config.layer_norm_eps);
            let square = |name: &str| Linear::new(&scope.at(name), width, width);
            Ok(EncoderLayer {
                norm1: norm("layer_norm1"),
                q: square("self_attn.q_proj")?,
                k: square("self_attn.k_proj")?,
                v: square("self_attn.v_proj")?,
                out: square("self_attn.out_proj")?,
                norm2: norm("layer_norm2"),
                fc1: Linear::new(&scope.at("mlp.fc1"), width, inner)?,
                fc2: Linear::new(&scope.at("mlp.fc2"), inner, width)?,
            })
        };
        let embeddings = scope.at("embeddings");
        Ok(Self {
            tokens: embeddings.stored("token_embedding.weight", &[config.vocab_size, width]),
            dtype: scope.compute_dtype(),
            positions: embeddings.get(
                "position_embedding.weight",
                &[config.max_position_embeddings, width],
            ),
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_>>()?,
            final_norm: LayerNorm::new(&scope.at("final_layer_norm"), width, config.layer_norm_eps),
            config: config.clone(),
        })
    }

    /// Last hidden state after the final normalisation, `[n, tokens, width]`, for ids `[n, tokens]` (u32).
    ///
    /// # Errors
    /// Ids beyond the vocabulary, more tokens than positions.
    pub fn forward(&self, ids: &Tensor, compute: Compute) -> Result<Tensor> {
        self.forward_embedded(&self.embed(ids)?, compute)
    }

    /// Token embeddings without positions, `[n, tokens, width]`: the place where prompt optimisation starts.
    ///
    /// # Errors
    /// Ids beyond the vocabulary.
    pub fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let (n, tokens) = ids.dims2()?;
        self.tokens
            .index_select(&ids.flatten_all()?, 0)?
            .to_dtype(self.dtype)?
            .reshape((n, tokens, self.config.hidden_size))
    }

    /// As [`forward`](Self::forward), from token embeddings.
    ///
    /// # Errors
    /// More tokens than positions.
    pub fn forward_embedded(&self, embedded: &Tensor, compute: Compute) -> Result<Tensor> {
        let (_, tokens, _) = embedded.dims3()?;
        let mut x = embedded.broadcast_add(&self.positions.narrow(0, 0, tokens)?)?;
        // A token sees itself and what came before.
        let mask: Vec<f32> = (0..tokens * tokens)
            .map(|i| {
                if i % tokens > i / tokens {
                    f32::NEG_INFINITY
                } else {
                    0.0
                }
            })
            .collect();
        let mask = Tensor::from_vec(mask, (tokens, tokens), embedded.device())?;
        for layer in &self.layers {
            x = self.layer(layer, &x, &mask, compute)?;
        }
        self.final_norm.forward(&x, compute)
    }

    fn layer(&self, layer: &EncoderLayer, x: &Tensor, mask: &Tensor, compute: Compute) -> Result<Tensor> {
        let (n, tokens, width) = x.dims3()?;
        let heads = self.config.num_attention_heads;
        let split = |t: Tensor| {
            t.reshape((n, tokens, heads, width / heads))?
                .transpose(1, 2)?
                .contiguous()
        };
        let y = layer.norm1.forward(x, compute)?;
        let scale = 1.0 / ((width / heads) as f64).sqrt();
        let q = split((layer.q.forward(&y, compute)? * scale)?)?;
        let k = split(layer.k.forward(&y, compute)?)?;
        let v = split(layer.v.forward(&y, compute)?)?;
        let scores = q
            .matmul(&k.transpose(2, 3)?.contiguous()?)?
            .to_dtype(DType::F32)?
            .broadcast_add(mask)?;
        let weights = candle_nn::ops::softmax(&scores, D::Minus1)?.to_dtype(x.dtype())?;
        let mixed = weights
            .matmul(&v)?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((n, tokens, width))?;
        let x = layer.out.forward_with(&mixed, Some(x), compute)?;
        let y = layer.fc1.forward(&layer.norm2.forward(&x, compute)?, compute)?;
        let y = match self.config.activation {
            Activation::Gelu => y.gelu_erf()?,
            Activation::QuickGelu if compute.fast() => on_slices([&y], y.dims(), |[y]| {
                let mut out = y.to_vec();
                ops::quick_gelu(&mut out);
                out
            })?,
            Activation::QuickGelu => (&y * candle_nn::ops::sigmoid(&(&y * 1.702)?)?)?,
        };
        layer.fc2.forward_with(&y, Some(&x), compute)
    }

    /// The configuration the encoder was built from.
    pub fn config(&self) -> &TextConfig {
        &self.config
    }
}

/// Name of a text-encoder tensor without the `text_model.` that transformers before 5 wrote; `None` for what is not
/// part of the text tower.
pub(super) fn canonical(name: &str) -> Option<String> {
    let name = name.strip_prefix("text_model.").unwrap_or(name);
    let part = name.starts_with("embeddings.")
        || name.starts_with("encoder.")
        || name.starts_with("final_layer_norm.");
    (part && !name.ends_with("position_ids")).then(|| name.to_owned())
}
