//! Other measures of a pair, for comparison with other work: never part of a verdict.
//!
//! All take the whole pictures, stretched to 512² (Lanczos), with range 1.

use super::{
    kernel::{Constants, Isa, add_full_map},
    level::Level,
    prepared::with_scratch,
    pyramid::{AREA, SIDE, unit_at},
    resample::{Filter, resize_gray, resize_rgb},
    ssim::pair_of,
};
use crate::study::PairMeasures;
use image::{GrayImage, RgbImage};

/// Tiles per side of [`PairMeasures::tiled_l2`].
const TILES: usize = 4;

/// Measures a pair; each picture with its matte (255 = foreground; stretched like the picture). `None`
/// when a picture or matte has no pixels.
pub fn measure_pair(a: (&RgbImage, &GrayImage), b: (&RgbImage, &GrayImage)) -> Option<PairMeasures> {
    let sized = |(image, matte): (&RgbImage, &GrayImage)| {
        let empty = image.as_raw().is_empty() || matte.as_raw().is_empty();
        let side = SIDE as u32;
        (!empty).then(|| {
            let image = resize_rgb(image, side, side, Filter::Lanczos);
            (image, resize_gray(matte, side, side, Filter::Lanczos))
        })
    };
    let ((a, matte_a), (b, matte_b)) = (sized(a)?, sized(b)?);
    let map = ssim_map(&a, &b);
    let ssim = map.iter().map(|&v| f64::from(v)).sum::<f64>() / AREA as f64;
    let (mut weighted, mut weight) = (0f64, 0f64);
    for ((&v, p), q) in map.iter().zip(matte_a.as_raw()).zip(matte_b.as_raw()) {
        let w = f64::from(*p.max(q));
        weighted += w * f64::from(v);
        weight += w;
    }
    Some(PairMeasures {
        ssim: ssim as f32,
        masked_ssim: (weight > 0.0).then(|| (weighted / weight) as f32),
        tiled_l2: tiled_l2(&a, &b),
    })
}

/// Mean over the colours of the local values, 512².
fn ssim_map(a: &RgbImage, b: &RgbImage) -> Vec<f32> {
    with_scratch(|scratch| {
        let [x, y] = [a, b].map(|image| {
            let pixels = image.as_raw().as_chunks::<3>().0;
            let planes: Vec<u8> = (0..3).flat_map(|c| pixels.iter().map(move |p| p[c])).collect();
            let mut level = Level::default();
            level.fill(&planes, SIDE, unit_at(0), true, scratch);
            level
        });
        let constants = Constants { c1: 1e-4, c2: 9e-4 };
        let mut map = vec![0.0; x.grid.output_len()];
        for plane in 0..3 {
            let pair = pair_of(&x, &y, plane);
            add_full_map(Isa::detect(), &x.grid, &pair, constants, &mut map, scratch);
        }
        let rows = map.chunks_exact(x.grid.output_stride);
        rows.flat_map(|row| row[..x.grid.output].iter().map(|v| v / 3.0))
            .collect()
    })
}

/// A picture as the tiled distance sees it: 512², to be compared with many others. 786 kB.
#[derive(Clone, Debug)]
pub struct Tiled(RgbImage);

impl Tiled {
    /// Stretches a picture; `None` when it has no pixels.
    pub fn new(image: &RgbImage) -> Option<Self> {
        let side = SIDE as u32;
        (!image.as_raw().is_empty()).then(|| Self(resize_rgb(image, side, side, Filter::Lanczos)))
    }

    /// Tiled L2 (Carlini et al. 2023), in `[0, 1]`.
    pub fn distance(&self, other: &Self) -> f32 {
        tiled_l2(&self.0, &other.0)
    }

    /// Whether the distance is at most `most`: looks no further than the first row of tiles that is too far.
    pub fn within(&self, other: &Self, most: f32) -> bool {
        bands(&self.0, &other.0).all(|band| root(band) <= most)
    }
}

fn tiled_l2(a: &RgbImage, b: &RgbImage) -> f32 {
    root(bands(a, b).max().unwrap_or(0))
}

/// Side of a tile.
const TILE: usize = SIDE / TILES;

/// Root mean square of a tile with this sum of squares, in units of the full range.
fn root(sum: u64) -> f32 {
    ((sum as f64 / (3 * TILE * TILE) as f64).sqrt() / 255.0) as f32
}

/// The largest sum of squared differences of a tile, row of tiles by row of tiles.
fn bands<'a>(a: &'a RgbImage, b: &'a RgbImage) -> impl Iterator<Item = u64> + 'a {
    let band = 3 * SIDE * TILE;
    let both = a.as_raw().chunks_exact(band).zip(b.as_raw().chunks_exact(band));
    both.map(|(a, b)| {
        let mut sums = [0u64; TILES];
        for (a, b) in a.chunks_exact(3 * SIDE).zip(b.chunks_exact(3 * SIDE)) {
            let parts = a.chunks_exact(3 * TILE).zip(b.chunks_exact(3 * TILE));
            for (sum, (a, b)) in sums.iter_mut().zip(parts) {
                // 384 squares of bytes fit 32 bits.
                let squares = a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2));
                *sum += u64::from(squares.sum::<u32>());
            }
        }
        sums.into_iter().max().unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_pictures_and_one_differing_tile() {
        let a = RgbImage::from_fn(512, 512, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8]));
        let matte = GrayImage::from_fn(512, 512, |x, _| image::Luma([255 * u8::from(x < 256)]));
        let found = measure_pair((&a, &matte), (&a, &matte)).unwrap();
        assert!((found.ssim - 1.0).abs() < 1e-6 && found.tiled_l2 == 0.0);
        let mut b = a.clone();
        for y in 128..256 {
            for x in 384..512 {
                let p = b.get_pixel_mut(x, y);
                p.0 = p.0.map(|v| if v > 127 { v - 51 } else { v + 51 });
            }
        }
        let found = measure_pair((&a, &matte), (&b, &matte)).unwrap();
        assert!((found.tiled_l2 - 0.2).abs() < 1e-6, "{}", found.tiled_l2);
        let [one, other] = [&a, &b].map(|image| Tiled::new(image).unwrap());
        assert_eq!(one.distance(&other), found.tiled_l2);
        assert!(one.within(&other, found.tiled_l2) && !one.within(&other, 0.19) && one.within(&one, 0.0));
        assert!(Tiled::new(&RgbImage::new(0, 0)).is_none());
        // The difference is outside of both mattes.
        assert!(found.ssim < 0.999, "{}", found.ssim);
        assert!(found.masked_ssim.unwrap() > 0.999_99, "{:?}", found.masked_ssim);
        let empty = GrayImage::new(512, 512);
        assert!(
            measure_pair((&a, &empty), (&b, &empty))
                .unwrap()
                .masked_ssim
                .is_none()
        );
        assert!(measure_pair((&a, &empty), (&RgbImage::new(0, 0), &empty)).is_none());
    }
}
