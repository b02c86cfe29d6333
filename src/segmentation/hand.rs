//! A matte changed by hand: strokes of a round brush and areas inside a drawn line. Coordinates are picture pixels,
//! `(0, 0)` at the upper left corner of the first one, so that its centre lies at `(0.5, 0.5)`.

use image::GrayImage;

/// A round brush.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Brush {
    /// Radius in picture pixels, above 0.
    pub radius: f32,
    /// Whether coverage falls off over the outer half of the radius; else within a pixel.
    pub soft: bool,
    /// Takes away instead of adding.
    pub erase: bool,
}

impl Brush {
    /// Share of a pixel covered whose centre is `distance` pixels from the stroke, in `[0, 1]`.
    fn coverage(&self, distance: f32) -> f32 {
        if self.soft {
            let t = ((self.radius - distance) / (0.5 * self.radius).max(1.0)).clamp(0.0, 1.0);
            t * t * (3.0 - 2.0 * t)
        } else {
            (self.radius - distance + 0.5).clamp(0.0, 1.0)
        }
    }
}

/// Paints a straight stroke from `from` to `to`, both ends round. Painting a place twice changes it no further, so
/// that the parts of one long stroke join without seams. Ends that are not finite paint nothing.
pub fn stroke(matte: &mut GrayImage, from: [f32; 2], to: [f32; 2], brush: Brush) {
    if !from
        .into_iter()
        .chain(to)
        .chain([brush.radius])
        .all(f32::is_finite)
        || brush.radius <= 0.0
    {
        return;
    }
    let (width, height) = matte.dimensions();
    let reach = brush.radius + 1.0;
    let span = |a: f32, b: f32, side: u32| {
        let low = (a.min(b) - reach).floor().clamp(0.0, side as f32) as u32;
        let high = (a.max(b) + reach).ceil().clamp(0.0, side as f32) as u32;
        low..high
    };
    let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
    let length2 = dx * dx + dy * dy;
    for y in span(from[1], to[1], height) {
        for x in span(from[0], to[0], width) {
            let (px, py) = (x as f32 + 0.5 - from[0], y as f32 + 0.5 - from[1]);
            let along = if length2 > 0.0 {
                ((px * dx + py * dy) / length2).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let away = (px - along * dx).hypot(py - along * dy);
            put(matte, x, y, brush.coverage(away), brush.erase);
        }
    }
}

/// Adds (or takes away) what lies inside a closed line, by the even-odd rule. Fewer than three points enclose nothing.
pub fn lasso(matte: &mut GrayImage, points: &[[f32; 2]], erase: bool) {
    /// Lines that a row of pixels is looked at along; along each, coverage is exact.
    const LINES: u32 = 4;
    if points.len() < 3 || !points.iter().flatten().all(|c| c.is_finite()) {
        return;
    }
    let (width, height) = matte.dimensions();
    let low = points.iter().map(|p| p[1]).fold(f32::INFINITY, f32::min);
    let high = points.iter().map(|p| p[1]).fold(f32::NEG_INFINITY, f32::max);
    let rows = low.floor().clamp(0.0, height as f32) as u32..high.ceil().clamp(0.0, height as f32) as u32;
    let mut covered = vec![0.0_f32; width as usize];
    let mut crossings = Vec::new();
    for y in rows {
        covered.fill(0.0);
        for line in 0..LINES {
            let at = y as f32 + (line as f32 + 0.5) / LINES as f32;
            crossings.clear();
            for (i, b) in points.iter().enumerate() {
                let a = points[(i + points.len() - 1) % points.len()];
                if (a[1] <= at) != (b[1] <= at) {
                    crossings.push(a[0] + (at - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
                }
            }
            crossings.sort_by(f32::total_cmp);
            for pair in crossings.chunks_exact(2) {
                let (left, right) = (pair[0].max(0.0), pair[1].min(width as f32));
                let mut x = left.floor() as usize;
                while (x as f32) < right && x < covered.len() {
                    let inside = right.min(x as f32 + 1.0) - left.max(x as f32);
                    covered[x] += inside.max(0.0) / LINES as f32;
                    x += 1;
                }
            }
        }
        for (x, &share) in (0..width).zip(&covered) {
            put(matte, x, y, share.min(1.0), erase);
        }
    }
}

fn put(matte: &mut GrayImage, x: u32, y: u32, coverage: f32, erase: bool) {
    if coverage <= 0.0 {
        return;
    }
    let value = &mut matte.get_pixel_mut(x, y).0[0];
    let painted = (coverage * 255.0).round() as u8;
    *value = if erase {
        (*value).min(255 - painted)
    } else {
        (*value).max(painted)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    const HARD: Brush = Brush {
        radius: 6.0,
        soft: false,
        erase: false,
    };

    fn area(matte: &GrayImage) -> f32 {
        matte.as_raw().iter().map(|&v| f32::from(v) / 255.0).sum()
    }

    #[test]
    fn a_stroke_covers_a_capsule_and_erasing_takes_it_back() {
        let mut matte = GrayImage::new(64, 48);
        stroke(&mut matte, [16.0, 20.0], [40.0, 28.0], HARD);
        let length = 24.0_f32.hypot(8.0);
        let expected = std::f32::consts::PI * 36.0 + 12.0 * length;
        assert!(
            (area(&matte) - expected).abs() < 0.02 * expected,
            "{} {expected}",
            area(&matte)
        );
        // A stroke in two halves is the same stroke.
        let mut halves = GrayImage::new(64, 48);
        stroke(&mut halves, [16.0, 20.0], [28.0, 24.0], HARD);
        stroke(&mut halves, [28.0, 24.0], [40.0, 28.0], HARD);
        let apart = matte.as_raw().iter().zip(halves.as_raw());
        assert!(apart.map(|(a, b)| a.abs_diff(*b)).max().unwrap() <= 1);
        let wider = Brush {
            radius: 8.0,
            erase: true,
            ..HARD
        };
        stroke(&mut matte, [16.0, 20.0], [40.0, 28.0], wider);
        assert_eq!(area(&matte), 0.0);
    }

    #[test]
    fn a_soft_brush_has_values_between() {
        let mut matte = GrayImage::new(40, 40);
        let soft = Brush { soft: true, ..HARD };
        stroke(&mut matte, [20.0, 20.0], [20.0, 20.0], soft);
        assert_eq!(matte.get_pixel(20, 20).0[0], 255);
        assert!((1..=254).contains(&matte.get_pixel(24, 20).0[0]));
        assert_eq!(matte.get_pixel(27, 20).0[0], 0);
    }

    #[test]
    fn a_lasso_covers_what_lies_inside() {
        let mut matte = GrayImage::new(40, 40);
        let triangle = [[4.0, 4.0], [34.0, 10.0], [12.0, 37.0]];
        lasso(&mut matte, &triangle, false);
        let expected = 0.5 * (30.0 * 33.0 - 6.0 * 8.0);
        assert!(
            (area(&matte) - expected).abs() < 2.0,
            "{} {expected}",
            area(&matte)
        );
        lasso(&mut matte, &triangle, true);
        // Pixels on the line itself keep what the line does not cover, at most half of what was painted.
        assert!(matte.pixels().all(|p| p.0[0] <= 128));
        assert_eq!(matte.get_pixel(16, 16).0[0], 0);
    }

    #[test]
    fn nothing_outside_and_nothing_odd_is_painted() {
        let mut matte = GrayImage::new(8, 8);
        stroke(&mut matte, [-50.0, -50.0], [-40.0, 90.0], HARD);
        stroke(&mut matte, [f32::NAN, 1.0], [2.0, 2.0], HARD);
        lasso(&mut matte, &[[0.0, 0.0], [5.0, 5.0]], false);
        lasso(&mut matte, &[[0.0, f32::INFINITY], [5.0, 5.0], [1.0, 1.0]], false);
        lasso(&mut matte, &[[-9e9, -9e9], [9e9, -9e9], [9e9, -8.9e9]], false);
        assert_eq!(area(&matte), 0.0);
        lasso(
            &mut matte,
            &[[-9e3, -9e3], [9e3, -9e3], [9e3, 9e3], [-9e3, 9e3]],
            false,
        );
        assert_eq!(area(&matte), 64.0);
    }
}
