//! How much memory a gradient through the UNet needs: every layer's results are kept until it is computed.

use super::memory::{MemoryEstimate, MemoryNeeds};
use crate::study::Sampling;

/// Tensors of a layer's size that candle's operations leave behind, by layer.
mod left {
    /// Group normalisation: difference from the mean, its square, quotient, product, sum.
    pub const GROUP_NORM: u64 = 5;
    /// SiLU.
    pub const SILU: u64 = 1;
    /// Layer normalisation, as group normalisation.
    pub const LAYER_NORM: u64 = 5;
    /// A product with weights, and its bias.
    pub const WITH_BIAS: u64 = 2;
    /// Attention's scores, difference from the largest, exponential, quotient; for each head `[queries, keys]`.
    pub const SOFTMAX: u64 = 4;
    /// Of the queries: projection, scaled, split; and back: mixed, transposed, out, bias, residual.
    pub const QUERIES: u64 = 8;
    /// Of the keys and values: projections, split; the keys transposed.
    pub const KEYS: u64 = 5;
    /// Of a feed-forward of inner width 4: projection to twice that and bias, both halves, GELU, product; out, bias,
    /// residual.
    pub const FEED_FORWARD: u64 = 8 + 8 + 4 * 4 + 3;
    /// Around transformer blocks: tokens, in, bias; out, bias, planes, residual.
    pub const AROUND: u64 = 7;
}

/// Values while the gradient passes back through one layer, beside what is kept: gradients of its results, of its
/// inputs, and unfolded patches of a 3×3 convolution.
const BACKWARD: u64 = 24;

/// Adds up what a pass leaves behind.
struct Walk {
    /// Values kept, per picture.
    kept: u64,
    /// The largest layer's part of them.
    largest: u64,
    tokens: u64,
}

impl Walk {
    fn add(&mut self, values: u64, moment: u64) {
        self.kept = self.kept.saturating_add(values);
        self.largest = self.largest.max(moment);
    }

    fn resnet(&mut self, pixels: u64, inputs: u64, outputs: u64) {
        let shortcut = if inputs == outputs { 0 } else { left::WITH_BIAS };
        let norm = left::GROUP_NORM + left::SILU;
        // The first convolution adds the time's shift, the second the residual.
        let channels = inputs * norm + outputs * (norm + 2 * (left::WITH_BIAS + 1) + shortcut);
        self.add(
            pixels.saturating_mul(channels),
            pixels.saturating_mul(BACKWARD * inputs.max(outputs)),
        );
    }

    fn transformer(&mut self, pixels: u64, channels: u64, heads: u64, depth: u64) {
        let matrix = |keys: u64| heads.saturating_mul(pixels).saturating_mul(keys);
        let (own, text) = (matrix(pixels), matrix(self.tokens));
        let plain = 3 * left::LAYER_NORM + 2 * left::QUERIES + left::KEYS + left::FEED_FORWARD;
        let block = pixels
            .saturating_mul(channels * plain)
            .saturating_add(own.saturating_add(text).saturating_mul(left::SOFTMAX))
            .saturating_add(self.tokens * channels * left::KEYS);
        let around = pixels.saturating_mul(channels * (left::GROUP_NORM + left::AROUND));
        let moment = pixels
            .saturating_mul(BACKWARD * channels)
            .max(own.saturating_mul(3));
        self.add(block.saturating_mul(depth).saturating_add(around), moment);
    }
}

impl MemoryNeeds {
    /// Memory for a gradient of the first step with respect to the prompt's embedding, over `pictures` at once: what
    /// [`mitigation::prompt`](crate::mitigation::prompt) needs. Nothing is computed twice to save memory.
    pub fn gradient(&self, sampling: &Sampling, pictures: usize) -> MemoryEstimate {
        let usual = self.estimate(sampling, pictures);
        let c = &self.unet;
        let factor = self.vae.factor() as u64;
        let (mut height, mut width) = (
            u64::from(sampling.height).div_ceil(factor),
            u64::from(sampling.width).div_ceil(factor),
        );
        let mut walk = Walk {
            kept: 0,
            largest: 0,
            tokens: 77,
        };
        let channels: Vec<u64> = c.block_out_channels.iter().map(|&n| n as u64).collect();
        let levels = c.levels();
        let attention = |level: usize| (c.heads[level] as u64, c.transformer_layers[level] as u64);
        let mut sizes = Vec::with_capacity(levels);
        let mut skips = vec![channels[0]];
        let mut inputs = channels[0];
        for (level, &outputs) in channels.iter().enumerate().take(levels) {
            let pixels = height.saturating_mul(width);
            sizes.push(pixels);
            for _ in 0..c.layers_per_block[level] {
                walk.resnet(pixels, inputs, outputs);
                if c.down_attention[level] {
                    let (heads, depth) = attention(level);
                    walk.transformer(pixels, outputs, heads, depth);
                }
                inputs = outputs;
                skips.push(outputs);
            }
            if level + 1 < levels {
                (height, width) = (height.div_ceil(2), width.div_ceil(2));
                walk.add(
                    height
                        .saturating_mul(width)
                        .saturating_mul(outputs * left::WITH_BIAS),
                    0,
                );
                skips.push(outputs);
            }
        }
        let (lowest, last) = (sizes[levels - 1], channels[levels - 1]);
        let (heads, depth) = attention(levels - 1);
        walk.resnet(lowest, last, last);
        walk.transformer(lowest, last, heads, depth);
        walk.resnet(lowest, last, last);
        let mut above = last;
        for (index, level) in (0..levels).rev().enumerate() {
            let (pixels, outputs) = (sizes[level], channels[level]);
            for _ in 0..=c.layers_per_block[level] {
                let joined = above + skips.pop().unwrap_or(0);
                // The join itself.
                walk.add(pixels.saturating_mul(joined), 0);
                walk.resnet(pixels, joined, outputs);
                if c.up_attention[index] {
                    let (heads, depth) = attention(level);
                    walk.transformer(pixels, outputs, heads, depth);
                }
                above = outputs;
            }
            if level > 0 {
                walk.add(
                    sizes[level - 1].saturating_mul(outputs * (1 + left::WITH_BIAS)),
                    0,
                );
            }
        }
        let values = walk
            .kept
            .saturating_add(walk.largest)
            .saturating_mul(pictures.max(1) as u64);
        // Half-precision weights are widened for the gradient, and stay until it is there.
        let widened = if self.stays_as_stored(sampling.weights) {
            self.parameters.saturating_mul(4)
        } else {
            0
        };
        MemoryEstimate {
            denoising: values
                .saturating_mul(4)
                .saturating_add(widened)
                .saturating_add(super::memory::SCRATCH),
            decoding: 0,
            ..usual
        }
    }
}
