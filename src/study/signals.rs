//! Signs of memorization that show without the training image, as they are kept with a picture.

use image::{GrayImage, Luma};
use std::path::PathBuf;

/// What was seen while a picture formed, besides its noise norm. Parts that need guidance, attention at full
/// resolution or the prompt's own embedding can be absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    /// Mean of the bright-ending map: attention to the end token at the last step, in `[0, 1]` (Chen et al., ICLR 2025).
    pub ending: Option<f32>,
    /// `‖(ε_c − ε_∅)∘m‖₂ / mean(m)` at each step, where m is the bright-ending map: the noise norm where the ending is
    /// bright. Empty without guidance or without the map.
    pub localised: Vec<f32>,
    /// Ren et al.'s `D` (ECCV 2024): entropy of the attention over the last fifth of the steps, and how it grew at the
    /// end and padding tokens.
    pub entropy_late: Option<f32>,
    /// Ren et al.'s `E`: entropy of the fourth cross-attention at the first step.
    pub entropy_first: Option<f32>,
    /// File with the maps.
    pub maps: Option<PathBuf>,
}

impl Signals {
    /// `LD`: the mean of [`localised`](Self::localised) over the steps.
    pub fn localised_mean(&self) -> Option<f32> {
        let steps = self.localised.len();
        (steps > 0).then(|| self.localised.iter().sum::<f32>() / steps as f32)
    }
}

/// Maps over the latents' pixels that were seen while a picture formed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignalMaps {
    /// Bright ending: attention to the end token at the last step, mean over heads and layers, in `[0, 1]`.
    pub ending: Option<LatentMap>,
    /// Score difference: `(ε_c − ε_∅)²` at the last step, summed over channels.
    pub difference: Option<LatentMap>,
}

impl SignalMaps {
    /// Whether there is no map.
    pub fn is_empty(&self) -> bool {
        self.ending.is_none() && self.difference.is_none()
    }
}

/// Numbers over the latents' pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LatentMap {
    /// Width in latents.
    pub width: usize,
    /// Height in latents.
    pub height: usize,
    /// Row-major.
    pub values: Vec<f32>,
}

impl LatentMap {
    /// Mean of the values; `None` of an empty map.
    pub fn mean(&self) -> Option<f32> {
        let sum: f64 = self.values.iter().map(|v| f64::from(*v)).sum();
        (!self.values.is_empty()).then(|| (sum / self.values.len() as f64) as f32)
    }

    /// The value under a pixel of a picture of `size`, between latents as [`picture`](Self::picture) has it.
    pub fn at(&self, (x, y): (u32, u32), (width, height): (u32, u32)) -> Option<f32> {
        let whole = !self.values.is_empty() && self.values.len() == self.width * self.height;
        if !whole || x >= width || y >= height {
            return None;
        }
        let (left, right, u) = place(x, width, self.width);
        let (above, below, v) = place(y, height, self.height);
        let at = |x: usize, y: usize| self.values[y * self.width + x];
        let row = |y| at(left, y) + u * (at(right, y) - at(left, y));
        Some(row(above) + v * (row(below) - row(above)))
    }

    /// The map as a picture of another size: its largest value white, 0 and below black, linear between latents whose
    /// centres lie as pixels' do (`align_corners=False`).
    pub fn picture(&self, width: u32, height: u32) -> GrayImage {
        let most = self.values.iter().copied().fold(0.0, f32::max);
        if !(most > 0.0 && most.is_finite()) || self.values.len() != self.width * self.height {
            return GrayImage::new(width, height);
        }
        let (across, down) = (places(width, self.width), places(height, self.height));
        let at = |x: usize, y: usize| self.values[y * self.width + x];
        GrayImage::from_fn(width, height, |x, y| {
            let ((left, right, u), (above, below, v)) = (across[x as usize], down[y as usize]);
            let row = |y| at(left, y) + u * (at(right, y) - at(left, y));
            let value = row(above) + v * (row(below) - row(above));
            Luma([(255.0 * (value / most).clamp(0.0, 1.0)).round() as u8])
        })
    }
}

/// For each of `to` pixels, its two neighbours of `from` and the share of the second.
fn places(to: u32, from: usize) -> Vec<(usize, usize, f32)> {
    (0..to).map(|i| place(i, to, from)).collect()
}

/// The two neighbours of one pixel.
fn place(i: u32, to: u32, from: usize) -> (usize, usize, f32) {
    let at = ((i as f32 + 0.5) * (from as f32 / to as f32) - 0.5).clamp(0.0, (from - 1) as f32);
    let first = at.floor() as usize;
    (first, (first + 1).min(from - 1), at - first as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_stretched_between_the_centres_of_its_latents() {
        let map = LatentMap {
            width: 2,
            height: 1,
            values: vec![0.0, 2.0],
        };
        let picture = map.picture(8, 2);
        let row: Vec<u8> = (0..8).map(|x| picture.get_pixel(x, 1)[0]).collect();
        // torch.nn.functional.interpolate([0, 1], 8, mode="linear"): 0 0 1/8 3/8 5/8 7/8 1 1.
        assert_eq!(row, [0, 0, 32, 96, 159, 223, 255, 255]);
        assert_eq!(map.mean(), Some(1.0));
        // A single value is not scaled to the brightest.
        assert_eq!(map.at((3, 1), (8, 2)), Some(0.75));
        assert_eq!(map.at((8, 1), (8, 2)), None);
        assert_eq!(LatentMap::default().at((0, 0), (1, 1)), None);
    }

    #[test]
    fn nothing_bright_gives_a_black_picture() {
        for values in [vec![0.0; 4], vec![-1.0; 4], vec![f32::INFINITY; 4], vec![1.0; 3]] {
            let map = LatentMap {
                width: 2,
                height: 2,
                values,
            };
            assert!(map.picture(3, 3).pixels().all(|p| p[0] == 0));
        }
        assert_eq!(LatentMap::default().mean(), None);
        assert_eq!(LatentMap::default().picture(2, 2).dimensions(), (2, 2));
    }
}
