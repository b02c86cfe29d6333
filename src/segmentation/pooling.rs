//! The two operations that change a map's size.

use super::conv::floats;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Halves height and width by the maximum of 2×2 blocks, odd sides rounded up (`ceil_mode`).
pub(super) fn pool(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op1_no_bwd(&Pool);
    }
    let (_, _, height, width) = x.dims4()?;
    // A repeated edge does not change a maximum.
    let x = x
        .pad_with_same(2, 0, height % 2)?
        .pad_with_same(3, 0, width % 2)?;
    x.max_pool2d(2)
}

/// Bilinear resize to the height and width of `like`, pixel centres kept (`align_corners = false`).
pub(super) fn stretch_like(x: &Tensor, like: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = like.dims4()?;
    stretch(x, height, width)
}

/// Bilinear resize, pixel centres kept (`align_corners = false`).
pub(super) fn stretch(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    resize(x, height, width, false)
}

/// Bilinear resize, the centres of the corner pixels kept (`align_corners = true`).
pub(super) fn stretch_corners(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    resize(x, height, width, true)
}

fn resize(x: &Tensor, height: usize, width: usize, corners: bool) -> Result<Tensor> {
    let (_, _, from_height, from_width) = x.dims4()?;
    if (from_height, from_width) == (height, width) {
        return Ok(x.clone());
    }
    if x.device().is_cpu() {
        let op = Stretch {
            height,
            width,
            corners,
        };
        return x.contiguous()?.apply_op1_no_bwd(&op);
    }
    x.upsample_bilinear2d(height, width, corners)
}

struct Pool;

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "segmentation-max-pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, channels, height, width) = layout.shape().dims4()?;
        let (rows, columns) = (height.div_ceil(2), width.div_ceil(2));
        let x = floats(storage, layout)?;
        let mut out = vec![0f32; n * channels * rows * columns];
        out.par_chunks_mut((rows * columns).max(1))
            .zip(x.par_chunks_exact((height * width).max(1)))
            .for_each(|(out, plane)| {
                for (r, line) in out.chunks_exact_mut(columns).enumerate() {
                    let upper = &plane[2 * r * width..][..width];
                    let lower = &plane[(2 * r + 1).min(height - 1) * width..][..width];
                    for ((v, u), l) in line.iter_mut().zip(upper.chunks(2)).zip(lower.chunks(2)) {
                        *v = u.iter().chain(l).fold(f32::NEG_INFINITY, |a, &b| a.max(b));
                    }
                }
            });
        Ok((CpuStorage::F32(out), (n, channels, rows, columns).into()))
    }
}

struct Stretch {
    height: usize,
    width: usize,
    corners: bool,
}

impl CustomOp1 for Stretch {
    fn name(&self) -> &'static str {
        "segmentation-bilinear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, channels, height, width) = layout.shape().dims4()?;
        let x = floats(storage, layout)?;
        let across: Vec<_> = (0..self.width)
            .map(|i| neighbours(i, self.width, width, self.corners))
            .collect();
        let mut out = vec![0f32; n * channels * self.height * self.width];
        out.par_chunks_mut((self.height * self.width).max(1))
            .zip(x.par_chunks_exact((height * width).max(1)))
            .for_each(|(out, plane)| {
                let mut row = vec![0f32; width];
                for (r, line) in out.chunks_exact_mut(self.width).enumerate() {
                    let (upper, lower, t) = neighbours(r, self.height, height, self.corners);
                    let upper = &plane[upper * width..][..width];
                    let lower = &plane[lower * width..][..width];
                    for ((v, u), l) in row.iter_mut().zip(upper).zip(lower) {
                        *v = u + t * (l - u);
                    }
                    for (v, &(a, b, t)) in line.iter_mut().zip(&across) {
                        *v = row[a] + t * (row[b] - row[a]);
                    }
                }
            });
        Ok((
            CpuStorage::F32(out),
            (n, channels, self.height, self.width).into(),
        ))
    }
}

/// The two of `from` samples between which sample `i` of `to` lies, and how far along.
fn neighbours(i: usize, to: usize, from: usize, corners: bool) -> (usize, usize, f32) {
    let at = match corners {
        true if to == 1 => 0.0,
        true => i as f32 * ((from - 1) as f32 / (to - 1) as f32),
        false => ((i as f32 + 0.5) * (from as f32 / to as f32) - 0.5).max(0.0),
    };
    let first = (at as usize).min(from.saturating_sub(1));
    (first, (first + 1).min(from.saturating_sub(1)), at - first as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn odd_sides_round_up_and_centres_stay() {
        let x = Tensor::new(&[[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]], &Device::Cpu).unwrap();
        let x = x.reshape((1, 1, 3, 3)).unwrap();
        let halved = pool(&x).unwrap();
        assert_eq!(
            halved.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            [5., 6., 8., 9.]
        );
        let like = Tensor::zeros((1, 1, 4, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
        let wide = stretch_like(&halved, &like).unwrap().flatten_all().unwrap();
        let first: Vec<f32> = wide.to_vec1::<f32>().unwrap()[..4].to_vec();
        assert_eq!(first, [5., 5.25, 5.75, 6.]);
        let wide = stretch_corners(&halved, 2, 5).unwrap().flatten_all().unwrap();
        let first: Vec<f32> = wide.to_vec1::<f32>().unwrap()[..5].to_vec();
        assert_eq!(first, [5., 5.25, 5.5, 5.75, 6.]);
    }
}
