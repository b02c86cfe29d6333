//! Resizing of 8-bit pictures, byte for byte as Pillow ≤ 12 does it (METHODS §2.1, §2.2; Pillow
//! `src/libImaging/Resample.c`): 22-bit fixed-point weights, the horizontal pass first and rounded to
//! bytes, then the vertical one.

use image::{GrayImage, RgbImage, RgbaImage};

/// Fraction bits of a weight: 32 − 8 (byte) − 2 (sign and overshoot).
const BITS: u32 = 22;
const HALF: i32 = 1 << (BITS - 1);

/// Interpolation kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Triangle of radius 1, widened when shrinking.
    Bilinear,
    /// Cubic with a = −0.5, radius 2.
    Bicubic,
    /// Sinc windowed by sinc, radius 3.
    Lanczos,
}

impl Filter {
    fn radius(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => cubic(x.abs()),
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

/// Keys' kernel with a = −0.5, of a distance `x ≥ 0`.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// For every output index: first input index and the fixed-point weights from there on.
fn taps(from: usize, to: usize, filter: Filter) -> Vec<(usize, Vec<i32>)> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let support = filter.radius() * stretch;
    (0..to)
        .map(|o| {
            let centre = (o as f64 + 0.5) * scale;
            // Truncation toward zero, then clamped: as C's `(int)`.
            let first = ((centre - support + 0.5) as i64).max(0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let mut weights: Vec<f64> = (first..end)
                .map(|j| filter.weight((j as f64 - centre + 0.5) * (1.0 / stretch)))
                .collect();
            let sum: f64 = weights.iter().sum();
            if sum != 0.0 {
                weights.iter_mut().for_each(|w| *w /= sum);
            }
            let fixed = weights
                .iter()
                .map(|w| (w * f64::from(1u32 << BITS) + 0.5f64.copysign(*w)) as i32)
                .collect();
            (first, fixed)
        })
        .collect()
}

fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

fn horizontal<const C: usize>(source: &[u8], width: usize, to: usize, filter: Filter) -> Vec<u8> {
    let taps = taps(width, to, filter);
    let mut out = vec![0; source.len() / (width * C) * to * C];
    for (row, into) in source.chunks_exact(width * C).zip(out.chunks_exact_mut(to * C)) {
        for ((first, weights), pixel) in taps.iter().zip(into.chunks_exact_mut(C)) {
            let mut sum = [HALF; C];
            for (weight, texel) in weights.iter().zip(row[first * C..].chunks_exact(C)) {
                for (s, &t) in sum.iter_mut().zip(texel) {
                    *s += i32::from(t) * weight;
                }
            }
            for (p, s) in pixel.iter_mut().zip(sum) {
                *p = byte(s);
            }
        }
    }
    out
}

fn vertical(source: &[u8], row: usize, height: usize, to: usize, filter: Filter) -> Vec<u8> {
    let mut out = vec![0; row * to];
    let mut sum = vec![0i32; row];
    for ((first, weights), into) in taps(height, to, filter).iter().zip(out.chunks_exact_mut(row)) {
        sum.fill(HALF);
        for (weight, line) in weights.iter().zip(source[first * row..].chunks_exact(row)) {
            for (s, &v) in sum.iter_mut().zip(line) {
                *s += i32::from(v) * weight;
            }
        }
        for (b, &s) in into.iter_mut().zip(&sum) {
            *b = byte(s);
        }
    }
    out
}

/// Resizes interleaved bytes of `C` channels; an axis of unchanged length is not touched.
fn resize<const C: usize>(source: &[u8], from: (u32, u32), to: (u32, u32), filter: Filter) -> Vec<u8> {
    let (w, h) = (from.0 as usize, from.1 as usize);
    let (tw, th) = (to.0 as usize, to.1 as usize);
    if w == 0 || h == 0 || tw == 0 || th == 0 {
        return vec![0; tw * th * C];
    }
    let wide = if w == tw {
        None
    } else {
        Some(horizontal::<C>(source, w, tw, filter))
    };
    let wide = wide.as_deref().unwrap_or(source);
    if h == th {
        wide.to_vec()
    } else {
        vertical(wide, tw * C, h, th, filter)
    }
}

/// Resizes an RGB picture to `width`×`height`; an empty picture gives black.
pub fn resize_rgb(image: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    let data = resize::<3>(image.as_raw(), image.dimensions(), (width, height), filter);
    RgbImage::from_raw(width, height, data).unwrap_or_default()
}

/// Resizes a grey picture to `width`×`height`; an empty picture gives black.
pub fn resize_gray(image: &GrayImage, width: u32, height: u32, filter: Filter) -> GrayImage {
    let data = resize::<1>(image.as_raw(), image.dimensions(), (width, height), filter);
    GrayImage::from_raw(width, height, data).unwrap_or_default()
}

/// Resizes an RGBA picture as Pillow does: colours are multiplied by alpha before and divided by it
/// after, so that fully transparent pixels become `(0, 0, 0, 0)`. A picture that already has the size
/// is returned as it is, hidden colours included.
pub fn resize_rgba(image: &RgbaImage, width: u32, height: u32, filter: Filter) -> RgbaImage {
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    let mut premultiplied = image.as_raw().clone();
    for [r, g, b, a] in premultiplied.as_chunks_mut::<4>().0 {
        for c in [r, g, b] {
            *c = scale_byte(*c, *a);
        }
    }
    let mut data = resize::<4>(&premultiplied, image.dimensions(), (width, height), filter);
    for [r, g, b, a] in data.as_chunks_mut::<4>().0 {
        if *a != 0 && *a != 255 {
            for c in [r, g, b] {
                *c = (255 * u32::from(*c) / u32::from(*a)).min(255) as u8;
            }
        }
    }
    RgbaImage::from_raw(width, height, data).unwrap_or_default()
}

/// [`resize_rgb`] with the Lanczos filter.
pub fn resize_lanczos_rgb(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    resize_rgb(image, width, height, Filter::Lanczos)
}

/// [`resize_gray`] with the Lanczos filter.
pub fn resize_lanczos_gray(image: &GrayImage, width: u32, height: u32) -> GrayImage {
    resize_gray(image, width, height, Filter::Lanczos)
}

/// `value · alpha / 255`, rounded to nearest, without a division (Pillow's `MULDIV255`).
pub(super) fn scale_byte(value: u8, alpha: u8) -> u8 {
    divide_255(u32::from(value) * u32::from(alpha))
}

/// `t / 255` rounded to nearest, for `t` up to 255².
pub(super) fn divide_255(t: u32) -> u8 {
    let t = t + 128;
    ((t + (t >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_size_is_a_copy_and_keeps_hidden_colours() {
        let hidden = RgbaImage::from_pixel(4, 3, image::Rgba([200, 100, 50, 0]));
        assert_eq!(resize_rgba(&hidden, 4, 3, Filter::Lanczos), hidden);
        let other = resize_rgba(&hidden, 8, 3, Filter::Lanczos);
        assert!(other.pixels().all(|p| p.0 == [0; 4]));
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let flat = RgbImage::from_pixel(37, 53, image::Rgb([9, 128, 255]));
        for filter in [Filter::Lanczos, Filter::Bilinear] {
            let out = resize_rgb(&flat, 64, 20, filter);
            assert!(out.pixels().all(|p| p.0 == [9, 128, 255]));
        }
    }

    #[test]
    fn bytes_scale_to_nearest() {
        for value in 0..=255u8 {
            for alpha in 0..=255u8 {
                let exact = f64::from(value) * f64::from(alpha) / 255.0;
                assert_eq!(scale_byte(value, alpha), exact.round() as u8);
            }
        }
    }
}
