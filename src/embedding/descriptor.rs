//! A plain descriptor that needs no weights: where which colours are, and which way the edges run. Good enough to lay
//! out a gallery and to find near copies; it knows nothing of objects and never enters a verdict.

use super::{EmbeddingError, vectors::unit};
use crate::similarity::{Filter, resize_rgb};
use image::RgbImage;

const SIDE: usize = 64;
const COLOUR_CELLS: usize = 8;
const EDGE_CELLS: usize = 4;
const DIRECTIONS: usize = 8;
const COLOURS: usize = 3 * COLOUR_CELLS * COLOUR_CELLS;
const EDGES: usize = DIRECTIONS * EDGE_CELLS * EDGE_CELLS;
/// Values of the descriptor: 8×8 mean colours, 4×4 histograms of 8 edge directions, one constant.
pub const DESCRIPTOR_DIM: usize = COLOURS + EDGES + 1;
/// Keeps the vector of an even grey picture from vanishing.
const CONSTANT: f32 = 0.05;

/// The unit vector of a picture.
///
/// # Errors
/// For a picture without pixels.
pub fn descriptor(image: &RgbImage) -> Result<Vec<f32>, EmbeddingError> {
    if image.width() == 0 || image.height() == 0 {
        return Err(EmbeddingError::Empty);
    }
    let small = resize_rgb(image, SIDE as u32, SIDE as u32, Filter::Bilinear);
    let pixel = |x: usize, y: usize| {
        small
            .get_pixel(x as u32, y as u32)
            .0
            .map(|v| f32::from(v) / 255.0)
    };
    let mut colours = vec![0.0_f32; COLOURS];
    let mut luma = vec![0.0_f32; SIDE * SIDE];
    let per_cell = SIDE / COLOUR_CELLS;
    for y in 0..SIDE {
        for x in 0..SIDE {
            let [r, g, b] = pixel(x, y);
            let light = 0.299 * r + 0.587 * g + 0.114 * b;
            luma[y * SIDE + x] = light;
            let cell = y / per_cell * COLOUR_CELLS + x / per_cell;
            // Lightness and two opponent colours, around a middle grey.
            for (k, v) in [light - 0.5, r - g, 0.5 * (r + g) - b].into_iter().enumerate() {
                colours[3 * cell + k] += v / (per_cell * per_cell) as f32;
            }
        }
    }
    let mut edges = vec![0.0_f32; EDGES];
    let per_cell = SIDE / EDGE_CELLS;
    for y in 1..SIDE - 1 {
        for x in 1..SIDE - 1 {
            let dx = luma[y * SIDE + x + 1] - luma[y * SIDE + x - 1];
            let dy = luma[(y + 1) * SIDE + x] - luma[(y - 1) * SIDE + x];
            // Direction without sign, shared between the two nearest bins.
            let turn = dy.atan2(dx).rem_euclid(std::f32::consts::PI) / std::f32::consts::PI;
            let at = turn * DIRECTIONS as f32;
            let (first, share) = (at.floor(), at - at.floor());
            let cell = y / per_cell * EDGE_CELLS + x / per_cell;
            for (bin, weight) in [(first as usize, 1.0 - share), (first as usize + 1, share)] {
                edges[DIRECTIONS * cell + bin % DIRECTIONS] += weight * dx.hypot(dy);
            }
        }
    }
    // Square roots, so that a few strong edges do not drown the rest.
    edges.iter_mut().for_each(|e| *e = e.sqrt());
    let share = |part: Vec<f32>| unit(part).unwrap_or_default();
    let mut all = share(colours);
    all.resize(COLOURS, 0.0);
    all.extend(share(edges));
    all.resize(COLOURS + EDGES, 0.0);
    all.push(CONSTANT);
    unit(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedding::vectors::dot;
    use image::Rgb;

    fn picture(shift: f32, hue: f32) -> RgbImage {
        RgbImage::from_fn(80, 60, |x, y| {
            let (u, v) = (x as f32 / 80.0, y as f32 / 60.0);
            let wave = ((u * 9.0 + shift).sin() * (v * 7.0 - shift).cos() + 1.0) / 2.0;
            Rgb([
                (wave * 200.0) as u8,
                (hue * 220.0) as u8,
                ((1.0 - wave * hue) * 255.0) as u8,
            ])
        })
    }

    #[test]
    fn copies_are_nearer_than_others_and_nothing_breaks_it() {
        let one = descriptor(&picture(0.0, 0.3)).unwrap();
        assert_eq!(one.len(), DESCRIPTOR_DIM);
        let copy = resize_rgb(&picture(0.0, 0.3), 160, 150, Filter::Lanczos);
        let near = dot(&one, &descriptor(&copy).unwrap());
        let far = dot(&one, &descriptor(&picture(1.6, 0.9)).unwrap());
        assert!(near > 0.98 && far < 0.9, "{near} {far}");
        let grey = descriptor(&RgbImage::from_pixel(5, 5, Rgb([128; 3]))).unwrap();
        assert!((dot(&grey, &grey) - 1.0).abs() < 1e-6);
        assert!(descriptor(&RgbImage::new(0, 4)).is_err());
    }
}
