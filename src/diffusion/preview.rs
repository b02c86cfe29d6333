//! Rough pictures of latents without the decoder: a linear map from latent channels to RGB.

use super::{DiffusionError, Pipeline, TorchRng};
use candle_core::{DType, Device, Tensor};
use image::RgbImage;

/// Side and number of the latents that the map is fitted to.
const SIDE: usize = 16;
const PICTURES: usize = 3;
/// Keeps the fit defined when channels are unused.
const RIDGE: f64 = 1e-3;

/// An affine map from latent channels to red, green and blue.
#[derive(Clone, Debug)]
pub struct LatentPreview {
    /// For each colour: one weight per channel, then the constant.
    weights: [Vec<f64>; 3],
}

impl LatentPreview {
    /// Fits the map to a pipeline's decoder by least squares: smooth random latents are decoded, and every latent is
    /// paired with the mean colour of the pixels it stands for.
    ///
    /// # Errors
    /// Failures of the decoder.
    pub fn fit(pipeline: &Pipeline) -> Result<Self, DiffusionError> {
        let config = pipeline.vae().config();
        let channels = config.latent_channels;
        let factor = config.factor();
        let latents = patchwork(PICTURES, channels);
        let tensor = Tensor::from_slice(&latents, (PICTURES, channels, SIDE, SIDE), &pipeline.device)?;
        let pictures = pipeline.decode(&tensor)?.to_device(&Device::Cpu)?;
        let colours = pictures.avg_pool2d(factor)?.flatten_all()?.to_vec1::<f32>()?;

        let n = channels + 1;
        let area = SIDE * SIDE;
        let mut squares = vec![vec![0f64; n]; n];
        let mut products = [vec![0f64; n], vec![0f64; n], vec![0f64; n]];
        for picture in 0..PICTURES {
            for pixel in 0..area {
                let value = |c: usize| f64::from(latents[(picture * channels + c) * area + pixel]);
                let row: Vec<f64> = (0..channels).map(value).chain([1.0]).collect();
                for i in 0..n {
                    for j in 0..n {
                        squares[i][j] += row[i] * row[j];
                    }
                    for (colour, product) in products.iter_mut().enumerate() {
                        product[i] += row[i] * f64::from(colours[(picture * 3 + colour) * area + pixel]);
                    }
                }
            }
        }
        for (i, row) in squares.iter_mut().enumerate() {
            row[i] += RIDGE;
        }
        Ok(Self {
            weights: products.map(|product| solve(squares.clone(), product)),
        })
    }

    /// Pictures of latents `[n, channels, h, w]`, h × w pixels each.
    ///
    /// # Errors
    /// Another number of channels than the decoder has.
    pub fn apply(&self, latents: &Tensor) -> Result<Vec<RgbImage>, DiffusionError> {
        let (n, channels, h, w) = latents.dims4()?;
        if channels + 1 != self.weights[0].len() {
            return Err(DiffusionError::Request(format!(
                "latents with {channels} channels cannot be previewed; the checkpoint has {}",
                self.weights[0].len() - 1
            )));
        }
        let values = latents
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let area = h * w;
        let picture = |i: usize| {
            RgbImage::from_fn(w as u32, h as u32, |x, y| {
                let pixel = y as usize * w + x as usize;
                image::Rgb([0, 1, 2].map(|colour| {
                    let weights = &self.weights[colour];
                    let sum: f64 = (0..channels)
                        .map(|c| weights[c] * f64::from(values[(i * channels + c) * area + pixel]))
                        .sum();
                    (255.0 * (sum + weights[channels])).round().clamp(0.0, 255.0) as u8
                }))
            })
        };
        Ok((0..n).map(picture).collect())
    }
}

/// Latents that look a little like those of pictures: patches of 2 to 16 latents on a side, of unit variance.
fn patchwork(pictures: usize, channels: usize) -> Vec<f32> {
    let mut rng = TorchRng::new(0);
    let mut all = Vec::with_capacity(pictures * channels * SIDE * SIDE);
    for _ in 0..pictures * channels {
        let mut plane = vec![0f32; SIDE * SIDE];
        for size in [2, 4, 8, 16] {
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
    fn an_affine_map_is_applied_per_pixel() {
        let map = LatentPreview {
            weights: [vec![0.5, 0.0, 0.0], vec![0.0, 1.0, 0.25], vec![0.0, 0.0, 2.0]],
        };
        let latents = Tensor::new(&[[[[1f32, 0.0]], [[0.5f32, -9.0]]]], &Device::Cpu).unwrap();
        let pictures = map.apply(&latents).unwrap();
        assert_eq!(pictures[0].as_raw(), &[128, 191, 255, 0, 0, 255]);
        let three = Tensor::zeros((1, 3, 1, 1), DType::F32, &Device::Cpu).unwrap();
        assert!(map.apply(&three).is_err());
    }
}
