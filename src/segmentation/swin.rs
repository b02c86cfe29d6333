//! Swin Transformer (Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021) as
//! the backbone of BiRefNet: four maps at 1/4 to 1/32 of the picture. Widths, depths, heads and window are read from
//! the shapes of the weights; tensor names are those of the authors' checkpoints.

use super::{conv::floats, linear::Linear, stop::Stop};
use crate::{
    ops::{Onto, Target, View, multiply},
    weights_file::Weights,
};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

const EPSILON: f32 = 1e-5;
/// Sides of a patch of the picture.
const PATCH: usize = 4;
/// More blocks than any published Swin has in one stage.
const MOST_BLOCKS: usize = 64;
/// Added to scores between tokens that only the shift has made neighbours.
const APART: f32 = -100.0;

struct Norm {
    weight: Tensor,
    bias: Tensor,
}

impl Norm {
    fn load(w: &mut Weights, name: &str, width: usize) -> Result<Self> {
        Ok(Self {
            weight: w.take(&format!("{name}.weight"), &[width])?,
            bias: w.take(&format!("{name}.bias"), &[width])?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::layer_norm(&x.contiguous()?, &self.weight, &self.bias, EPSILON)
    }
}

/// Attention inside windows and a feed-forward layer, each added to its input.
struct Block {
    norm1: Norm,
    qkv: Linear,
    /// `[heads, side², side²]`, for tokens of a window row by row.
    positions: Tensor,
    proj: Linear,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
    window: Window,
}

/// How the map is cut into windows.
#[derive(Clone, Copy)]
struct Window {
    side: usize,
    /// By how much the windows are shifted right and down.
    shift: usize,
    heads: usize,
}

impl Block {
    fn load(w: &mut Weights, name: &str, width: usize, shifted: bool) -> Result<Self> {
        let (positions, side, heads) = positions(w, &format!("{name}.attn"))?;
        if heads == 0 || !width.is_multiple_of(heads) {
            w.note(format!("{name}: {heads} heads do not divide {width} channels"));
        }
        let hidden = w.dims::<2>(&format!("{name}.mlp.fc1.weight"))[0];
        Ok(Self {
            norm1: Norm::load(w, &format!("{name}.norm1"), width)?,
            qkv: Linear::load(w, &format!("{name}.attn.qkv"), (width, 3 * width), true)?,
            positions,
            proj: Linear::load(w, &format!("{name}.attn.proj"), (width, width), true)?,
            norm2: Norm::load(w, &format!("{name}.norm2"), width)?,
            fc1: Linear::load(w, &format!("{name}.mlp.fc1"), (width, hidden), true)?.with_gelu(),
            fc2: Linear::load(w, &format!("{name}.mlp.fc2"), (hidden, width), true)?,
            window: Window {
                side,
                shift: if shifted { side / 2 } else { 0 },
                heads,
            },
        })
    }

    /// Tokens `[h · w, width]`, row by row.
    fn forward(&self, x: &Tensor, map: (usize, usize)) -> Result<Tensor> {
        let qkv = self.qkv.forward(&self.norm1.forward(x)?)?;
        let op = Attention {
            window: self.window,
            map,
        };
        let mixed = qkv.apply_op3_no_bwd(&self.positions, self.qkv.bias(), &op)?;
        let x = (x + self.proj.forward(&mixed)?)?;
        let fed = self.fc2.forward(&self.fc1.forward(&self.norm2.forward(&x)?)?)?;
        x + fed
    }
}

/// The biases of a window's pairs of positions `[heads, side², side²]`, the window's side, and the heads: from the
/// table of relative positions, or from what an exporter made of it.
fn positions(w: &mut Weights, attention: &str) -> Result<(Tensor, usize, usize)> {
    let [table, dense, picked] =
        ["relative_position_bias_table", "added", "picked"].map(|part| format!("{attention}.{part}"));
    if w.shape(&table).is_none()
        && let Some(&[pairs, heads]) = w.shape(&picked)
        && pairs.isqrt().isqrt().pow(4) == pairs
    {
        let (n, side) = (pairs.isqrt(), pairs.isqrt().isqrt());
        let bias = w.take(&picked, &[pairs, heads])?.t()?.contiguous()?;
        return Ok((bias.reshape((heads, n, n))?, side, heads));
    }
    if w.shape(&table).is_none()
        && let Some(&[.., heads, n, _]) = w.shape(&dense)
    {
        let side = n.isqrt();
        let shape = w.shape(&dense).unwrap_or_default().to_vec();
        let bias = w.take(&dense, &shape)?;
        if shape.iter().product::<usize>() != heads * side.pow(4) {
            w.note(format!("{dense} is {shape:?}, which is no window's"));
            return Ok((Tensor::zeros((1, 1, 1), bias.dtype(), bias.device())?, 1, 1));
        }
        return Ok((bias.reshape((heads, n, n))?, side, heads));
    }
    let [places, heads] = w.dims(&table);
    let reach = places.isqrt();
    if reach * reach != places || reach.is_multiple_of(2) {
        w.note(format!(
            "{table} has {places} rows, which is not the square of an odd number"
        ));
        return Ok((
            Tensor::zeros((1, 1, 1), candle_core::DType::F32, &candle_core::Device::Cpu)?,
            1,
            1,
        ));
    }
    let side = reach.div_ceil(2);
    let n = side * side;
    let mut index = Vec::with_capacity(n * n);
    for a in 0..n {
        for b in 0..n {
            let (down, right) = (a / side + side - 1 - b / side, a % side + side - 1 - b % side);
            index.push((down * reach + right) as u32);
        }
    }
    let table = w.take(&table, &[places, heads])?;
    let index = Tensor::from_vec(index, n * n, table.device())?;
    let bias = table
        .index_select(&index, 0)?
        .t()?
        .contiguous()?
        .reshape((heads, n, n))?;
    Ok((bias, side, heads))
}

/// Attention inside windows. The map is padded below and to the right to whole windows; padding takes part with the
/// values that zeros give it, the bias of `qkv`.
struct Attention {
    window: Window,
    map: (usize, usize),
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "segmentation-window-attention"
    }

    fn cpu_fwd(
        &self,
        qkv: &CpuStorage,
        qkv_layout: &Layout,
        positions: &CpuStorage,
        positions_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((height, width), Window { side, heads, .. }) = (self.map, self.window);
        let (tokens, triple) = qkv_layout.shape().dims2()?;
        let n = side * side;
        if tokens != height * width
            || positions_layout.shape().dims() != [heads, n, n]
            || bias_layout.shape().elem_count() != triple
            || triple % (3 * heads) != 0
        {
            bail!("window attention of mismatched shapes");
        }
        let (qkv, positions) = (floats(qkv, qkv_layout)?, floats(positions, positions_layout)?);
        let bias = floats(bias, bias_layout)?;
        let across = width.div_ceil(side);
        let windows: Vec<Vec<f32>> = (0..height.div_ceil(side) * across)
            .into_par_iter()
            .map(|i| self.one(qkv, positions, bias, (i / across, i % across)))
            .collect();
        let channels = triple / 3;
        let mut out = vec![0f32; tokens * channels];
        for (i, window) in windows.iter().enumerate() {
            for (k, row) in window.chunks_exact(channels).enumerate() {
                if let (Some(token), _) = self.token((i / across, i % across), k) {
                    out[token * channels..][..channels].copy_from_slice(row);
                }
            }
        }
        Ok((CpuStorage::F32(out), (tokens, channels).into()))
    }
}

impl Attention {
    /// The token at place `k` of a window, `None` for padding; and the part of the map it was in before the shift.
    fn token(&self, (down, right): (usize, usize), k: usize) -> (Option<usize>, usize) {
        let ((height, width), Window { side, shift, .. }) = (self.map, self.window);
        let place = |at: usize, size: usize| {
            let padded = size.next_multiple_of(side);
            let part = match at {
                _ if shift == 0 || at < padded - side => 0,
                _ if at < padded - shift => 1,
                _ => 2,
            };
            ((at + shift) % padded, part)
        };
        let (row, upper) = place(down * side + k / side, height);
        let (column, left) = place(right * side + k % side, width);
        let token = (row < height && column < width).then_some(row * width + column);
        (token, 3 * upper + left)
    }

    /// One window: `[side², channels]`.
    fn one(&self, qkv: &[f32], positions: &[f32], bias: &[f32], window: (usize, usize)) -> Vec<f32> {
        let (Window { side, shift, heads }, triple) = (self.window, bias.len());
        let (n, channels) = (side * side, triple / 3);
        let width = channels / heads;
        let mut rows = Vec::with_capacity(n * triple);
        let mut parts = Vec::with_capacity(n);
        for k in 0..n {
            let (token, part) = self.token(window, k);
            rows.extend_from_slice(token.map_or(bias, |t| &qkv[t * triple..][..triple]));
            parts.push(part);
        }
        let scale = 1.0 / (width as f32).sqrt();
        let mut out = vec![0f32; n * channels];
        let mut scores = vec![0f32; n * n];
        for head in 0..heads {
            let start = head * width;
            let q = View::rows(&rows[start..], triple);
            let k = View::columns(&rows[channels + start..], triple);
            let v = View::rows(&rows[2 * channels + start..], triple);
            let target = Target::new(&mut scores);
            multiply((n, n, width), target, n, Onto::Replace, q, k, false);
            for (a, (row, position)) in scores
                .chunks_exact_mut(n)
                .zip(positions[head * n * n..].chunks_exact(n))
                .enumerate()
            {
                for (b, (score, position)) in row.iter_mut().zip(position).enumerate() {
                    *score = *score * scale + position;
                    if shift > 0 && parts[a] != parts[b] {
                        *score += APART;
                    }
                }
                softmax(row);
            }
            let (target, scores) = (Target::new(&mut out[start..]), View::rows(&scores, n));
            multiply((n, width, n), target, channels, Onto::Replace, scores, v, false);
        }
        out
    }
}

fn softmax(row: &mut [f32]) {
    let most = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let mut sum = 0.0;
    for v in row.iter_mut() {
        *v = (*v - most).exp();
        sum += *v;
    }
    row.iter_mut().for_each(|v| *v /= sum);
}

/// Joins 2×2 tokens into one of twice the width.
struct Merging {
    norm: Norm,
    reduction: Linear,
}

impl Merging {
    /// Tokens `[h · w, c]` to `[⌈h/2⌉ · ⌈w/2⌉, 2c]`.
    fn forward(&self, x: &Tensor, (height, width): (usize, usize)) -> Result<Tensor> {
        let (_, channels) = x.dims2()?;
        let x = x
            .reshape((height, width, channels))?
            .pad_with_zeros(0, 0, height % 2)?
            .pad_with_zeros(1, 0, width % 2)?;
        let (rows, columns) = (height.div_ceil(2), width.div_ceil(2));
        // Of the four: upper left, lower left, upper right, lower right.
        let x = x
            .reshape((rows, 2, columns, 2, channels))?
            .permute((0, 2, 3, 1, 4))?
            .contiguous()?
            .reshape((rows * columns, 4 * channels))?;
        self.reduction.forward(&self.norm.forward(&x)?)
    }
}

struct Stage {
    blocks: Vec<Block>,
    /// Of the map that is given out.
    norm: Norm,
    merging: Option<Merging>,
}

/// The backbone.
pub(super) struct Swin {
    /// Patch embedding: weight, bias, norm.
    patch: (Tensor, Tensor, Norm),
    stages: Vec<Stage>,
    /// Channels of the maps.
    widths: Vec<usize>,
}

impl Swin {
    /// Takes the tensors below `name`; missing ones are noted in `w`.
    pub fn load(w: &mut Weights, name: &str) -> Result<Self> {
        let projection = format!("{name}.patch_embed.proj");
        let first = w.dims::<4>(&format!("{projection}.weight"))[0];
        let patch = (
            w.take(&format!("{projection}.weight"), &[first, 3, PATCH, PATCH])?,
            w.take(&format!("{projection}.bias"), &[first])?
                .reshape((1, first, 1, 1))?,
            Norm::load(w, &format!("{name}.patch_embed.norm"), first)?,
        );
        let widths: Vec<usize> = (0..4).map(|k| first << k).collect();
        let mut stages = Vec::with_capacity(4);
        for (k, &width) in widths.iter().enumerate() {
            let layer = format!("{name}.layers.{k}");
            let mut blocks = Vec::new();
            for b in 0..MOST_BLOCKS {
                let block = format!("{layer}.blocks.{b}");
                if b > 1 && w.shape(&format!("{block}.norm1.weight")).is_none() {
                    break;
                }
                blocks.push(Block::load(w, &block, width, b % 2 == 1)?);
            }
            let down = format!("{layer}.downsample");
            stages.push(Stage {
                blocks,
                norm: Norm::load(w, &format!("{name}.norm{k}"), width)?,
                merging: match k {
                    3 => None,
                    _ => Some(Merging {
                        norm: Norm::load(w, &format!("{down}.norm"), 4 * width)?,
                        reduction: Linear::load(
                            w,
                            &format!("{down}.reduction"),
                            (4 * width, 2 * width),
                            false,
                        )?,
                    }),
                },
            });
        }
        Ok(Self {
            patch,
            stages,
            widths,
        })
    }

    /// Channels of the four maps.
    pub fn widths(&self) -> &[usize] {
        &self.widths
    }

    /// Normalised `[1, 3, h, w]`, sides multiples of 4, to four maps `[1, c, h/4…h/32, w/4…w/32]`, rounded up.
    pub fn forward(&self, x: &Tensor, stop: Stop<'_>) -> Result<Vec<Tensor>> {
        let (weight, bias, norm) = &self.patch;
        let x = x.conv2d(weight, 0, PATCH, 1, 1)?.broadcast_add(bias)?;
        let (_, _, mut height, mut width) = x.dims4()?;
        let mut x = norm.forward(&x.flatten_from(2)?.squeeze(0)?.t()?)?;
        let mut maps = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            for block in &stage.blocks {
                stop.check()?;
                x = block.forward(&x, (height, width))?;
            }
            let map = stage.norm.forward(&x)?.t()?.contiguous()?;
            maps.push(map.reshape((1, (), height, width))?);
            if let Some(merging) = &stage.merging {
                x = merging.forward(&x, (height, width))?;
                (height, width) = (height.div_ceil(2), width.div_ceil(2));
            }
        }
        Ok(maps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_weights::{Listing, distance, fixture, pseudo};

    fn backbone() -> Swin {
        let mut weights = Weights::of(Listing::read("birefnet_parts").weights());
        let swin = Swin::load(&mut weights, "bb").unwrap();
        weights.finish("Swin").unwrap();
        swin
    }

    /// Against PyTorch; 11×13 tokens in shifted windows of 4×4, so that there is padding, and parts that the shift
    /// brings together.
    #[test]
    fn shifted_windows_and_merging_equal_pytorch() {
        let (swin, stored) = (backbone(), fixture("birefnet_parts"));
        let tokens = pseudo("block.x", &[11 * 13, 8], 4.0);
        let stage = &swin.stages[0];
        let off = distance(
            &stage.blocks[1].forward(&tokens, (11, 13)).unwrap(),
            &stored["block_shifted"],
        );
        assert!(off < 1e-4, "block off by {off}");
        let merged = stage
            .merging
            .as_ref()
            .unwrap()
            .forward(&tokens, (11, 13))
            .unwrap();
        let off = distance(&merged, &stored["merging"]);
        assert!(off < 1e-4, "merging off by {off}");
    }

    #[test]
    fn all_maps_equal_pytorch() {
        let stored = fixture("birefnet_parts");
        let x = pseudo("swin.x", &[1, 3, 44, 52], 4.0);
        let maps = backbone().forward(&x, Stop(&|| false)).unwrap();
        for (k, map) in maps.iter().enumerate() {
            let off = distance(map, &stored[&format!("swin{k}")]);
            // Outputs of layer norms, of a few units; eight blocks in single precision.
            assert!(off < 2e-4, "map {k} off by {off}");
        }
    }

    #[test]
    fn it_stops_between_blocks() {
        let x = pseudo("swin.x", &[1, 3, 44, 52], 4.0);
        let error = backbone().forward(&x, Stop(&|| true)).unwrap_err();
        assert!(error.to_string().contains("stopped"));
    }
}
