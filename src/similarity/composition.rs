//! Splits a picture by its matte into the foreground and the background picture that are compared.
//!
//! *corrected* (METHODS §3.6): picture and matte `m` are resized to 512² (Lanczos), then
//! foreground = `I·m` over black and background = `I·(255 − m) + 255·m`, over white, both divided by
//! 255 and rounded to bytes. *torchmetrics* and *reference* (METHODS §3.3–3.5) take FB-Mem's own
//! inputs: the training side is cut at the picture's size and resized as RGBA, the generated side goes
//! through JPEG (quality 75) and has alpha 1.

use super::{
    SimilarityError,
    jpeg::through_jpeg,
    pyramid::{AREA, SIDE},
    resample::{Filter, divide_255, resize_gray, resize_rgb, resize_rgba, scale_byte},
};
use crate::study::Arithmetic;
use image::{GrayImage, Rgb, RgbImage, Rgba, RgbaImage};

/// Above this mean of the matte (of 1) there is no background; below `1 −` this, no foreground.
const WHOLE: f32 = 0.97;
/// Share of near-white or near-black pixels above which the reference replaces a segment.
const DEGENERATE: f64 = 0.97;

/// Which regions a picture has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    Both,
    /// All foreground: its matte counts as 255 everywhere.
    ForegroundOnly,
    /// All background: its matte counts as 0 everywhere.
    BackgroundOnly,
}

impl Extent {
    fn of_coverage(coverage: f32) -> Self {
        if coverage > WHOLE {
            Self::ForegroundOnly
        } else if coverage < 1.0 - WHOLE {
            Self::BackgroundOnly
        } else {
            Self::Both
        }
    }

    /// Has foreground, has background.
    pub fn regions(self) -> [bool; 2] {
        [self != Self::BackgroundOnly, self != Self::ForegroundOnly]
    }

    /// As stored.
    pub fn code(self) -> u32 {
        match self {
            Self::Both => 0,
            Self::ForegroundOnly => 1,
            Self::BackgroundOnly => 2,
        }
    }

    /// From what was stored.
    pub fn from_code(code: u32) -> Option<Self> {
        [Self::Both, Self::ForegroundOnly, Self::BackgroundOnly]
            .into_iter()
            .find(|e| e.code() == code)
    }
}

/// Index of a region in pairs: foreground, background.
pub(super) const FOREGROUND: usize = 0;
/// See [`FOREGROUND`].
pub(super) const BACKGROUND: usize = 1;

/// A picture cut into regions, as bytes: what the index stores at full resolution.
///
/// `corrected` keeps red, green, blue and matte (4 planes) and forms a region when it is asked for;
/// the RGBA arithmetics keep the foreground's four planes and the background's three.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub arithmetic: Arithmetic,
    pub extent: Extent,
    pub planes: Vec<u8>,
}

/// Planes kept per picture.
pub(super) fn planes_kept(arithmetic: Arithmetic) -> usize {
    match arithmetic {
        Arithmetic::Corrected => 4,
        Arithmetic::Torchmetrics | Arithmetic::Reference => 7,
    }
}

/// Planes of a region as compared on the training side.
pub(super) fn region_planes(arithmetic: Arithmetic, region: usize) -> usize {
    match arithmetic {
        Arithmetic::Torchmetrics | Arithmetic::Reference if region == FOREGROUND => 4,
        _ => 3,
    }
}

/// Forms one region of a stored cut: planes of 512² bytes, one below the other.
pub(super) fn region(arithmetic: Arithmetic, stored: &[u8], region: usize, out: &mut Vec<u8>) {
    out.clear();
    match (arithmetic, region) {
        (Arithmetic::Corrected, FOREGROUND) => {
            let (colours, matte) = stored.split_at(3 * AREA);
            for plane in colours.chunks_exact(AREA) {
                out.extend(plane.iter().zip(matte).map(|(&v, &m)| {
                    let t = u16::from(v) * u16::from(m) + 128;
                    ((t + (t >> 8)) >> 8) as u8
                }));
            }
        }
        (Arithmetic::Corrected, _) => {
            let (colours, matte) = stored.split_at(3 * AREA);
            for plane in colours.chunks_exact(AREA) {
                out.extend(plane.iter().zip(matte).map(|(&v, &m)| {
                    // v·(255 − m) + 255·m, at most 255², in 16 bits.
                    let t = u16::from(v) * u16::from(255 - m) + 255 * u16::from(m) + 128;
                    ((t + (t >> 8)) >> 8) as u8
                }));
            }
        }
        (_, FOREGROUND) => out.extend_from_slice(&stored[..4 * AREA]),
        (_, _) => out.extend_from_slice(&stored[4 * AREA..7 * AREA]),
    }
}

/// Mean of the matte, in `[0, 1]`.
pub(super) fn coverage(matte: &GrayImage) -> f32 {
    let sum: u64 = matte.as_raw().iter().map(|&v| u64::from(v)).sum();
    (sum as f64 / (255.0 * matte.as_raw().len().max(1) as f64)) as f32
}

/// Checks that picture and matte belong together.
pub(super) fn check(image: &RgbImage, matte: &GrayImage) -> Result<(), SimilarityError> {
    let (width, height) = image.dimensions();
    if width == 0 || height == 0 {
        return Err(SimilarityError::Empty(width, height));
    }
    if matte.dimensions() != image.dimensions() {
        return Err(SimilarityError::MatteSize {
            matte: matte.dimensions(),
            image: image.dimensions(),
        });
    }
    Ok(())
}

const FULL: u32 = SIDE as u32;

/// The training side of a picture; for `corrected` also the generated side.
pub(super) fn cut(
    image: &RgbImage,
    matte: &GrayImage,
    arithmetic: Arithmetic,
) -> Result<Cut, SimilarityError> {
    check(image, matte)?;
    if arithmetic == Arithmetic::Corrected {
        let extent = Extent::of_coverage(coverage(matte));
        let mut planes = Vec::with_capacity(4 * AREA);
        append(&mut planes, &resize_rgb(image, FULL, FULL, Filter::Lanczos));
        match extent {
            Extent::Both => {
                planes.extend_from_slice(resize_gray(matte, FULL, FULL, Filter::Lanczos).as_raw())
            }
            Extent::ForegroundOnly => planes.resize(4 * AREA, 255),
            Extent::BackgroundOnly => planes.resize(4 * AREA, 0),
        }
        return Ok(Cut {
            arithmetic,
            extent,
            planes,
        });
    }
    // The pre-pass of `archive/check_mem.py`: a segment without content becomes the whole picture.
    let (mut foreground, mut background) = naive_cutout(image, matte);
    let whole = || {
        RgbaImage::from_fn(image.width(), image.height(), |x, y| {
            opaque(image.get_pixel(x, y))
        })
    };
    if share(foreground.pixels().map(|p| [p[0], p[1], p[2]]), near_black) > DEGENERATE {
        foreground = whole();
    }
    if share(background.pixels().map(|p| p.0), near_white) > DEGENERATE {
        background.clone_from(image);
    }
    Ok(cut_segments(&foreground, &background, arithmetic))
}

/// The training side from segments that exist as pictures (`foreground/{i}.png`, `background/{i}.png`),
/// under an RGBA arithmetic.
pub(super) fn cut_segments(foreground: &RgbaImage, background: &RgbImage, arithmetic: Arithmetic) -> Cut {
    let foreground = resize_rgba(foreground, FULL, FULL, Filter::Lanczos);
    let mut planes = Vec::with_capacity(7 * AREA);
    for channel in 0..4 {
        planes.extend(foreground.pixels().map(|p| p[channel]));
    }
    append(&mut planes, &resize_rgb(background, FULL, FULL, Filter::Lanczos));
    Cut {
        arithmetic,
        extent: Extent::Both,
        planes,
    }
}

/// The generated side under the RGBA arithmetics: three planes per region (alpha is 1), after a round
/// trip through JPEG, as if the reference's segment files had been there already (METHODS §3.4).
pub(super) fn generated_regions(
    image: &RgbImage,
    matte: &GrayImage,
) -> Result<[Vec<u8>; 2], SimilarityError> {
    check(image, matte)?;
    let (foreground, background) = naive_cutout(image, matte);
    let colours = RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [r, g, b, _] = foreground.get_pixel(x, y).0;
        Rgb([r, g, b])
    });
    Ok(segment_regions([
        through_jpeg(&colours)?,
        through_jpeg(&background)?,
    ]))
}

/// The generated side from its two segments as read from their JPEG files: a segment without content
/// is replaced by the other one (METHODS §3.5). The reference cannot compare pictures of another size
/// than 512²; here they are resized.
pub(super) fn segment_regions(mut pair: [RgbImage; 2]) -> [Vec<u8>; 2] {
    if share(pair[BACKGROUND].pixels().map(|p| p.0), near_white) > DEGENERATE {
        pair[BACKGROUND] = pair[FOREGROUND].clone();
    } else if share(pair[FOREGROUND].pixels().map(|p| p.0), near_black) > DEGENERATE {
        pair[FOREGROUND] = pair[BACKGROUND].clone();
    }
    pair.map(|picture| {
        let mut planes = Vec::with_capacity(3 * AREA);
        append(&mut planes, &resize_rgb(&picture, FULL, FULL, Filter::Lanczos));
        planes
    })
}

/// rembg's naive cutout: colours times matte with the matte as alpha; and the background, where the
/// matte itself is pasted through the matte (white where it is 255, grey at soft edges).
fn naive_cutout(image: &RgbImage, matte: &GrayImage) -> (RgbaImage, RgbImage) {
    let foreground = RgbaImage::from_fn(image.width(), image.height(), |x, y| {
        let (Rgb([r, g, b]), m) = (*image.get_pixel(x, y), matte.get_pixel(x, y)[0]);
        Rgba([scale_byte(r, m), scale_byte(g, m), scale_byte(b, m), m])
    });
    let background = RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let m = u32::from(matte.get_pixel(x, y)[0]);
        Rgb(image
            .get_pixel(x, y)
            .0
            .map(|v| divide_255(m * m + u32::from(v) * (255 - m))))
    });
    (foreground, background)
}

fn opaque(pixel: &Rgb<u8>) -> Rgba<u8> {
    let [r, g, b] = pixel.0;
    Rgba([r, g, b, 255])
}

/// Pillow's conversion to `L` (METHODS §2.3).
fn grey([r, g, b]: [u8; 3]) -> u8 {
    ((19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + 32_768) >> 16) as u8
}

fn near_white(grey: u8) -> bool {
    grey >= 248
}

fn near_black(grey: u8) -> bool {
    grey <= 7
}

fn share(pixels: impl ExactSizeIterator<Item = [u8; 3]>, test: fn(u8) -> bool) -> f64 {
    let count = pixels.len().max(1) as f64;
    pixels.filter(|&p| test(grey(p))).count() as f64 / count
}

/// Appends the planes of an interleaved picture.
fn append(planes: &mut Vec<u8>, image: &RgbImage) {
    let pixels = image.as_raw().as_chunks::<3>().0;
    for channel in 0..3 {
        planes.extend(pixels.iter().map(|p| p[channel]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naive_cutout_has_the_bytes_of_the_reference() {
        let mattes = [1u8, 64, 127, 128, 200, 254];
        let image = RgbImage::from_pixel(6, 1, Rgb([200; 3]));
        let matte = GrayImage::from_raw(6, 1, mattes.to_vec()).unwrap();
        let (foreground, background) = naive_cutout(&image, &matte);
        let reds: Vec<u8> = foreground.pixels().map(|p| p[0]).collect();
        assert_eq!(reds, [1, 50, 100, 100, 157, 199]);
        assert!(foreground.pixels().zip(mattes).all(|(p, m)| p[3] == m));
        let reds: Vec<u8> = background.pixels().map(|p| p[0]).collect();
        assert_eq!(reds, [199, 166, 164, 164, 200, 254]);
    }

    #[test]
    fn corrected_regions_round_to_the_nearest_byte() {
        let mut stored = vec![0u8; 4 * AREA];
        for i in 0..65_536 {
            stored[i] = (i % 256) as u8;
            stored[3 * AREA + i] = (i / 256) as u8;
        }
        let mut out = Vec::new();
        for r in [FOREGROUND, BACKGROUND] {
            region(Arithmetic::Corrected, &stored, r, &mut out);
            assert_eq!(out.len(), 3 * AREA);
            for (i, &found) in out.iter().enumerate().take(65_536) {
                let (v, a) = ((i % 256) as f64, (i / 256) as f64 / 255.0);
                let want = if r == FOREGROUND {
                    v * a
                } else {
                    v * (1.0 - a) + 255.0 * a
                };
                assert_eq!(found, want.round() as u8, "{v} under {a}");
            }
        }
    }

    #[test]
    fn nearly_full_and_nearly_empty_mattes_have_one_region() {
        let matte = |v| GrayImage::from_pixel(8, 8, image::Luma([v]));
        let image = RgbImage::from_pixel(8, 8, Rgb([9; 3]));
        let extent = |v| cut(&image, &matte(v), Arithmetic::Corrected).unwrap().extent;
        assert_eq!(extent(255), Extent::ForegroundOnly);
        assert_eq!(extent(248), Extent::ForegroundOnly);
        assert_eq!(extent(247), Extent::Both);
        assert_eq!(extent(8), Extent::Both);
        assert_eq!(extent(7), Extent::BackgroundOnly);
    }

    #[test]
    fn near_white_and_near_black_are_the_references() {
        assert!(near_white(grey([248; 3])) && !near_white(grey([247; 3])));
        assert!(near_black(grey([7; 3])) && !near_black(grey([8; 3])));
        assert_eq!(
            [grey([255, 0, 0]), grey([0, 255, 0]), grey([0, 0, 255])],
            [76, 150, 29]
        );
    }

    #[test]
    fn a_foreign_matte_is_refused() {
        let image = RgbImage::new(8, 8);
        let error = cut(&image, &GrayImage::new(8, 9), Arithmetic::Corrected).unwrap_err();
        assert!(error.to_string().contains("8×9"));
        assert!(cut(&RgbImage::new(0, 0), &GrayImage::new(0, 0), Arithmetic::Corrected).is_err());
    }
}
