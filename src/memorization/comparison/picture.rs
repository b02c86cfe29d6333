//! Simple numbers of one picture, and a small grey copy of it: enough to notice pictures that are ruined.

use image::RgbImage;

/// Side of [`PictureSummary::sketch`].
pub const SKETCH_SIDE: usize = 64;

/// What is kept of a picture for comparing runs.
#[derive(Clone, Debug, PartialEq)]
pub struct PictureSummary {
    /// Mean luma, `[0, 1]`.
    pub brightness: f32,
    /// Standard deviation of the luma, `[0, 0.5]`. Near 0: a flat picture.
    pub contrast: f32,
    /// Mean length of the luma's gradient (differences to the next pixel right and below), `[0, √2]`. Low:
    /// blurred; very high: noise.
    pub sharpness: f32,
    /// Mean difference of the largest and the smallest colour value, `[0, 1]`.
    pub saturation: f32,
    /// Share of the gradient that single pixels make: mean `|2v − v_left − v_right|` (and vertically) over the
    /// mean `|v − v_left|`, `[0, 2]`. About 0.5 to 1 for pictures, 1.7 for white noise.
    pub grain: f32,
    /// Luma averaged down to [`SKETCH_SIDE`]², row by row, `[0, 1]`.
    pub sketch: Vec<f32>,
    /// Unit vector of an embedder, if there is one; empty otherwise.
    pub embedding: Vec<f32>,
}

impl PictureSummary {
    /// Summarises a picture; one without pixels counts as black.
    pub fn of(image: &RgbImage) -> Self {
        let (w, h) = (image.width() as usize, image.height() as usize);
        // Rec. 601, as JPEG and Pillow's “L”.
        let luma: Vec<f32> = image
            .pixels()
            .map(|p| (0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2])) / 255.0)
            .collect();
        let n = luma.len().max(1) as f64;
        let mean = luma.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = luma.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        let saturation = image
            .pixels()
            .map(|p| f64::from(p.0.iter().max().unwrap_or(&0) - p.0.iter().min().unwrap_or(&0)) / 255.0)
            .sum::<f64>()
            / n;
        let at = |x: usize, y: usize| luma[y * w + x];
        let (mut length, mut slopes, mut bends) = (0.0, 0.0, 0.0);
        let mut inner = 0usize;
        for y in 1..h.saturating_sub(1) {
            for x in 1..w.saturating_sub(1) {
                let v = at(x, y);
                let (right, below) = (at(x + 1, y) - v, at(x, y + 1) - v);
                let (left, above) = (v - at(x - 1, y), v - at(x, y - 1));
                length += f64::from(right.hypot(below));
                slopes += f64::from(right.abs() + below.abs());
                bends += f64::from((right - left).abs() + (below - above).abs());
                inner += 1;
            }
        }
        Self {
            brightness: mean as f32,
            contrast: variance.sqrt() as f32,
            sharpness: (length / inner.max(1) as f64) as f32,
            saturation: saturation as f32,
            grain: if slopes > 0.0 {
                (bends / slopes) as f32
            } else {
                0.0
            },
            sketch: sketch(&luma, w, h),
            embedding: Vec::new(),
        }
    }
}

/// Mean over the pixels whose centre falls into each cell; of a smaller picture the nearest pixel.
fn sketch(luma: &[f32], w: usize, h: usize) -> Vec<f32> {
    let span = |i: usize, len: usize| {
        let from = i * len / SKETCH_SIDE;
        from..((i + 1) * len / SKETCH_SIDE).max(from + 1).min(len)
    };
    let mut out = Vec::with_capacity(SKETCH_SIDE * SKETCH_SIDE);
    for y in 0..SKETCH_SIDE {
        for x in 0..SKETCH_SIDE {
            let (mut sum, mut count) = (0.0, 0);
            for row in span(y, h) {
                for v in &luma[row * w..][span(x, w)] {
                    sum += v;
                    count += 1;
                }
            }
            out.push(sum / count.max(1) as f32);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn a_flat_picture_has_no_contrast_and_a_chessboard_has_all() {
        let grey = PictureSummary::of(&RgbImage::from_pixel(64, 64, Rgb([51, 51, 51])));
        assert!((grey.brightness - 0.2).abs() < 1e-5 && grey.contrast < 1e-5 && grey.sharpness < 1e-5);
        assert_eq!((grey.saturation, grey.grain), (0.0, 0.0));
        assert!(grey.sketch.iter().all(|v| (v - 0.2).abs() < 1e-5));
        let board = RgbImage::from_fn(64, 64, |x, y| Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3]));
        let board = PictureSummary::of(&board);
        assert!((board.contrast - 0.5).abs() < 1e-5);
        // Both differences are 1 everywhere: length √2, and every bend is twice the slope.
        assert!((board.sharpness - 2f32.sqrt()).abs() < 1e-5 && (board.grain - 2.0).abs() < 1e-5);
        let red = PictureSummary::of(&RgbImage::from_pixel(3, 5, Rgb([255, 0, 0])));
        assert!((red.brightness - 0.299).abs() < 1e-5 && (red.saturation - 1.0).abs() < 1e-6);
    }

    #[test]
    fn cells_of_the_sketch_are_means() {
        let image = RgbImage::from_fn(128, 128, |x, _| Rgb([if x % 2 == 0 { 0 } else { 255 }; 3]));
        let summary = PictureSummary::of(&image);
        assert!(summary.sketch.iter().all(|v| (v - 0.5).abs() < 1e-5));
        assert_eq!(PictureSummary::of(&RgbImage::new(0, 0)).contrast, 0.0);
        assert_eq!(
            PictureSummary::of(&RgbImage::new(1, 1)).sketch.len(),
            SKETCH_SIDE * SKETCH_SIDE
        );
    }
}
