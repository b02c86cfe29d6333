//! Attention, feed-forward and the transformer layers of the UNet, named as diffusers names them.

use super::{
    layers::{Compute, GroupNorm, LayerNorm, Linear, on_slices},
    probe::Tap,
    weights::Scope,
};
use crate::ops;
use candle_core::{D, DType, Result, Tensor};

/// Multi-head attention.
pub struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
}

impl Attention {
    /// Attention whose projections of queries, keys and values have no bias, as in the UNet.
    pub fn new(scope: &Scope<'_>, channels: usize, context: usize, heads: usize) -> Result<Self> {
        Ok(Self {
            to_q: Linear::without_bias(&scope.at("to_q"), channels, channels)?,
            to_k: Linear::without_bias(&scope.at("to_k"), context, channels)?,
            to_v: Linear::without_bias(&scope.at("to_v"), context, channels)?,
            to_out: Linear::new(&scope.at("to_out.0"), channels, channels)?,
            heads,
        })
    }

    /// Self-attention with biases and one head, as in the VAE.
    pub fn with_bias(scope: &Scope<'_>, channels: usize) -> Result<Self> {
        Ok(Self {
            to_q: Linear::new(&scope.at("to_q"), channels, channels)?,
            to_k: Linear::new(&scope.at("to_k"), channels, channels)?,
            to_v: Linear::new(&scope.at("to_v"), channels, channels)?,
            to_out: Linear::new(&scope.at("to_out.0"), channels, channels)?,
            heads: 1,
        })
    }

    /// Planes to planes, with the input added: the VAE's attention between its normalisation and the residual.
    pub fn planes(&self, x: &Tensor, residual: &Tensor, compute: Compute) -> Result<Tensor> {
        let q = self.to_q.planes_to_tokens(x, compute)?;
        let k = self.to_k.planes_to_tokens(x, compute)?;
        let v = self.to_v.planes_to_tokens(x, compute)?;
        self.to_out
            .tokens_to_planes(&attend(&q, &k, &v, self.heads, compute)?, residual, compute)
    }

    /// Queries from `x[n, positions, channels]`, keys and values from `context` (or `x` itself); `residual` is added.
    fn forward(
        &self,
        x: &Tensor,
        context: Option<&Tensor>,
        residual: &Tensor,
        compute: Compute,
        watch: &mut Watch<'_, '_>,
    ) -> Result<Tensor> {
        let source = context.unwrap_or(x);
        let q = self.to_q.forward(x, compute)?;
        let k = self.to_k.forward(source, compute)?;
        let v = self.to_v.forward(source, compute)?;
        if let (Some(_), Some(tap)) = (context, watch.tap.as_deref_mut()) {
            tap.value(watch.layer, watch.size, &v);
            if tap.wants_attention() {
                // Beside what is computed anyway, so that a picture is the same whether it is looked into or not.
                tap.attention(watch.layer, watch.size, &probabilities(&q, &k, self.heads)?);
            }
        }
        let mixed = attend(&q, &k, &v, self.heads, compute)?;
        self.to_out.forward_with(&mixed, Some(residual), compute)
    }
}

/// Where a transformer block is, and who is looking.
struct Watch<'t, 'o> {
    tap: Option<&'t mut Tap<'o>>,
    layer: &'t str,
    size: (usize, usize),
}

fn attend(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, compute: Compute) -> Result<Tensor> {
    compute.go_on()?;
    if !compute.fast() {
        return attend_openly(q, k, v, heads);
    }
    let (batch, queries, channels) = q.dims3()?;
    let shape = ops::Heads {
        batch,
        queries,
        keys: k.dim(1)?,
        heads,
        width: channels / heads,
    };
    on_slices([q, k, v], q.dims(), |[q, k, v]| {
        ops::attention(q, k, v, shape, compute.parallel)
    })
}

/// `[n, positions, channels]` to `[n, heads, positions, channels / heads]`.
fn split(t: &Tensor, heads: usize) -> Result<Tensor> {
    let (n, positions, channels) = t.dims3()?;
    t.reshape((n, positions, heads, channels / heads))?
        .transpose(1, 2)?
        .contiguous()
}

/// What attention weighs with, by candle's operations: `[n, heads, queries, keys]`.
fn probabilities(q: &Tensor, k: &Tensor, heads: usize) -> Result<Tensor> {
    let scale = 1.0 / ((q.dim(D::Minus1)? / heads) as f64).sqrt();
    let scores = split(&(q * scale)?, heads)?.matmul(&split(k, heads)?.transpose(2, 3)?.contiguous()?)?;
    candle_nn::ops::softmax(&scores.to_dtype(DType::F32)?, D::Minus1)?.to_dtype(q.dtype())
}

/// Attention by candle's operations, which can be differentiated.
fn attend_openly(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize) -> Result<Tensor> {
    probabilities(q, k, heads)?
        .matmul(&split(v, heads)?)?
        .transpose(1, 2)?
        .contiguous()?
        .reshape(q.dims())
}

/// `ff`: two linear layers around a gated GELU.
struct FeedForward {
    proj: Linear,
    out: Linear,
    inner: usize,
}

impl FeedForward {
    fn new(scope: &Scope<'_>, channels: usize) -> Result<Self> {
        let inner = 4 * channels;
        Ok(Self {
            proj: Linear::new(&scope.at("net.0.proj"), channels, 2 * inner)?,
            out: Linear::new(&scope.at("net.2"), inner, channels)?,
            inner,
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        residual: &Tensor,
        compute: Compute,
        watch: &mut Watch<'_, '_>,
    ) -> Result<Tensor> {
        let x = self.proj.forward(x, compute)?;
        let inner = if compute.fast() {
            let (n, positions, _) = x.dims3()?;
            let shape = [n, positions, self.inner];
            on_slices([&x], &shape, |[x]| ops::geglu(x, self.inner, compute.parallel))?
        } else {
            let value = x.narrow(D::Minus1, 0, self.inner)?;
            let gate = x.narrow(D::Minus1, self.inner, self.inner)?;
            (value.contiguous()? * gate.contiguous()?.gelu_erf()?)?
        };
        if let Some(tap) = watch.tap.as_deref_mut() {
            tap.feed_forward(watch.layer, watch.size, &inner);
        }
        self.out.forward_with(&inner, Some(residual), compute)
    }
}

/// `BasicTransformerBlock`: self-attention, cross-attention, feed-forward, each on a normalised residual stream.
struct TransformerBlock {
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    ff: FeedForward,
    path: String,
}

impl TransformerBlock {
    const EPSILON: f64 = 1e-5;

    fn new(scope: &Scope<'_>, channels: usize, context: usize, heads: usize) -> Result<Self> {
        let norm = |name: &str| LayerNorm::new(&scope.at(name), channels, Self::EPSILON);
        Ok(Self {
            norm1: norm("norm1"),
            attn1: Attention::new(&scope.at("attn1"), channels, channels, heads)?,
            norm2: norm("norm2"),
            attn2: Attention::new(&scope.at("attn2"), channels, context, heads)?,
            norm3: norm("norm3"),
            ff: FeedForward::new(&scope.at("ff"), channels)?,
            path: scope.path().to_owned(),
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        context: &Tensor,
        size: (usize, usize),
        compute: Compute,
        tap: &mut Option<Tap<'_>>,
    ) -> Result<Tensor> {
        let mut watch = Watch {
            tap: tap.as_mut(),
            layer: &self.path,
            size,
        };
        let x = self
            .attn1
            .forward(&self.norm1.forward(x, compute)?, None, x, compute, &mut watch)?;
        let y = self.norm2.forward(&x, compute)?;
        let x = self.attn2.forward(&y, Some(context), &x, compute, &mut watch)?;
        let x = self
            .ff
            .forward(&self.norm3.forward(&x, compute)?, &x, compute, &mut watch)?;
        if let Some(tap) = tap {
            tap.advance();
        }
        Ok(x)
    }
}

/// `Transformer2DModel`: transformer blocks over the pixels of a feature map.
pub struct SpatialTransformer {
    norm: GroupNorm,
    proj_in: Linear,
    blocks: Vec<TransformerBlock>,
    proj_out: Linear,
}

impl SpatialTransformer {
    const EPSILON: f64 = 1e-6;

    /// `context` is the width of the text embedding, `depth` the number of transformer blocks. Whether the
    /// projections are stored as linear layers or 1×1 convolutions makes no difference to what they compute.
    pub fn new(
        scope: &Scope<'_>,
        channels: usize,
        groups: usize,
        context: usize,
        heads: usize,
        depth: usize,
    ) -> Result<Self> {
        let block = |i| {
            let scope = scope.at(format!("transformer_blocks.{i}"));
            TransformerBlock::new(&scope, channels, context, heads)
        };
        Ok(Self {
            norm: GroupNorm::new(&scope.at("norm"), channels, groups, Self::EPSILON),
            proj_in: Linear::new(&scope.at("proj_in"), channels, channels)?,
            blocks: (0..depth).map(block).collect::<Result<_>>()?,
            proj_out: Linear::new(&scope.at("proj_out"), channels, channels)?,
        })
    }

    /// Planes to planes.
    pub fn forward(
        &self,
        x: &Tensor,
        context: &Tensor,
        compute: Compute,
        tap: &mut Option<Tap<'_>>,
    ) -> Result<Tensor> {
        let (_, _, h, w) = x.dims4()?;
        let normal = self.norm.forward(x, false, compute)?;
        let mut tokens = self.proj_in.planes_to_tokens(&normal, compute)?;
        for block in &self.blocks {
            tokens = block.forward(&tokens, context, (h, w), compute, tap)?;
        }
        self.proj_out.tokens_to_planes(&tokens, x, compute)
    }
}
