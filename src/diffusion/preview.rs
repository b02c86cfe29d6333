//! Rough pictures of latents without the decoder: a linear map from 3×3 latents to the colour in their middle.

use super::{DiffusionError, Pipeline, TorchRng};
use candle_core::{DType, Device, Tensor};
use image::RgbImage;

/// Side and number of the latents that the map is fitted to. On the demo's decoder they explain 0.78 of the variance
/// of real pictures, as much as a map fitted to real pictures does; single latents instead of 3×3 explain 0.69.
const SIDE: usize = 16;
const PICTURES: usize = 6;
/// Keeps the fit defined when channels are unused.
const RIDGE: f64 = 0.1;

/// An affine map from 3×3 neighbourhoods of latents to red, green and blue.
#[derive(Clone, Debug)]
pub struct LatentPreview {
    channels: usize,
    /// For each colour: a weight for every channel, row and column of the neighbourhood, then the constant.
    weights: [Vec<f64>; 3],
}

impl LatentPreview {
    /// Fits the map to a pipeline's decoder by least squares: random patchworks of latents are decoded, and every
    /// neighbourhood is paired with the mean colour of the pixels its middle stands for.
    ///
    /// # Errors
    /// Failures of the decoder.
    pub fn fit(pipeline: &Pipeline) -> Result<Self, DiffusionError> {
        let config = pipeline.vae().config();
        let channels = config.latent_channels;
        let latents = patchwork(PICTURES, channels);
        let tensor = Tensor::from_slice(&latents, (PICTURES, channels, SIDE, SIDE), &pipeline.device)?;
        let pictures = pipeline.decode(&tensor)?.to_device(&Device::Cpu)?;
        let colours = pictures
            .avg_pool2d(config.factor())?
            .flatten_all()?
            .to_vec1::<f32>()?;

        let n = 9 * channels + 1;
        let area = SIDE * SIDE;
        let mut squares = vec![vec![0f64; n]; n];
        let mut products = [vec![0f64; n], vec![0f64; n], vec![0f64; n]];
        let mut row = Vec::with_capacity(n);
        for (picture, latents) in latents.chunks(channels * area).enumerate() {
            for pixel in 0..area {
                neighbourhood(latents, (SIDE, SIDE), pixel, &mut row);
                for (line, &a) in squares.iter_mut().zip(&row) {
                    line.iter_mut().zip(&row).for_each(|(sum, &b)| *sum += a * b);
                }
                for (colour, product) in products.iter_mut().enumerate() {
                    let value = f64::from(colours[(picture * 3 + colour) * area + pixel]);
                    product
                        .iter_mut()
                        .zip(&row)
                        .for_each(|(sum, &a)| *sum += a * value);
                }
            }
        }
        for (i, line) in squares.iter_mut().enumerate() {
            line[i] += RIDGE;
        }
        Ok(Self {
            channels,
            weights: products.map(|product| solve(squares.clone(), product)),
        })
    }

    /// Pictures of latents `[n, channels, h, w]`, h × w pixels each.
    ///
    /// # Errors
    /// Another number of channels than the decoder has.
    pub fn apply(&self, latents: &Tensor) -> Result<Vec<RgbImage>, DiffusionError> {
        let (_, channels, h, w) = latents.dims4()?;
        if channels != self.channels {
            return Err(DiffusionError::Request(format!(
                "latents with {channels} channels cannot be previewed; the checkpoint has {}",
                self.channels
            )));
        }
        let values = latents
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let mut row = Vec::new();
        let mut picture = |latents: &[f32]| {
            RgbImage::from_fn(w as u32, h as u32, |x, y| {
                neighbourhood(latents, (h, w), y as usize * w + x as usize, &mut row);
                image::Rgb(self.weights.each_ref().map(|weights| {
                    let sum: f64 = weights.iter().zip(&row).map(|(w, v)| w * v).sum();
                    (255.0 * sum).round().clamp(0.0, 255.0) as u8
                }))
            })
        };
        Ok(values.chunks(channels * h * w).map(&mut picture).collect())
    }
}

/// The 3×3 latents around a pixel, channel by channel, and a 1; the border is repeated outwards.
fn neighbourhood(latents: &[f32], (h, w): (usize, usize), pixel: usize, row: &mut Vec<f64>) {
    let near = |at: usize, side: usize| [at.saturating_sub(1), at, (at + 1).min(side - 1)];
    let (ys, xs) = (near(pixel / w, h), near(pixel % w, w));
    row.clear();
    for plane in latents.chunks(h * w) {
        row.extend(
            ys.iter()
                .flat_map(|y| xs.iter().map(move |x| f64::from(plane[y * w + x]))),
        );
    }
    row.push(1.0);
}

/// Latents that look a little like those of pictures: patches of 1, 2, 4 and 16 latents on a side, of unit variance.
fn patchwork(pictures: usize, channels: usize) -> Vec<f32> {
    let mut rng = TorchRng::new(0);
    let mut all = Vec::with_capacity(pictures * channels * SIDE * SIDE);
    for _ in 0..pictures * channels {
        let mut plane = vec![0f32; SIDE * SIDE];
        for size in [1, 2, 4, 16] {
            let across = SIDE / size;
            let values = rng.randn(across * across);
            for (i, p) in plane.iter_mut().enumerate() {
                *p += 0.5 * values[i / SIDE / size * across + i % SIDE / size];
            }
        }
        all.extend(plane);
    }
    all
}

/// Solves a positive definite system by elimination with pivoting.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for column in 0..n {
        let pivot = (column..n)
            .max_by(|&i, &j| a[i][column].abs().total_cmp(&a[j][column].abs()))
            .unwrap_or(column);
        a.swap(column, pivot);
        b.swap(column, pivot);
        for row in column + 1..n {
            let factor = a[row][column] / a[column][column];
            let (above, below) = a.split_at_mut(row);
            for (x, y) in below[0].iter_mut().zip(&above[column]).skip(column) {
                *x -= factor * y;
            }
            b[row] -= factor * b[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|c| a[row][c] * b[c]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_systems_are_solved() {
        let a = vec![vec![0.0, 2.0, 1.0], vec![1.0, -2.0, -3.0], vec![-1.0, 1.0, 2.0]];
        let x = solve(a, vec![-8.0, 0.0, 3.0]);
        for (got, want) in x.iter().zip([-4.0, -5.0, 2.0]) {
            assert!((got - want).abs() < 1e-12, "{x:?}");
        }
    }

    #[test]
    fn an_affine_map_is_applied_to_every_neighbourhood() {
        // Red: the middle of channel 0. Green: the left neighbour in channel 0, and half of channel 1's middle. Blue: 1.
        let mut weights = [vec![0.0; 19], vec![0.0; 19], vec![0.0; 19]];
        weights[0][4] = 1.0;
        weights[1][3] = 1.0;
        weights[1][9 + 4] = 0.5;
        weights[2][18] = 1.0;
        let map = LatentPreview { channels: 2, weights };
        let latents = Tensor::new(&[[[[1f32, 0.0]], [[-2.0, 1.0]]]], &Device::Cpu).unwrap();
        let pictures = map.apply(&latents).unwrap();
        assert_eq!(pictures[0].as_raw(), &[255, 0, 255, 0, 255, 255]);
        let three = Tensor::zeros((1, 3, 1, 1), DType::F32, &Device::Cpu).unwrap();
        assert!(map.apply(&three).is_err());
    }
}
