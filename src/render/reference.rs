//! The overlay in plain Rust, pixel by pixel: what `shaders/overlay.wgsl` is tested against, and what
//! stands in where there is no graphics card. Same names in both files; change them together.

use super::{
    Highlight, Mode, OverlayParams, Pictures, Ramp, flags, ramp_table,
    texture::{grey, rgba},
};
use image::{Rgb, RgbImage};

type Vec3 = [f32; 3];
const DIMMED: f32 = 0.12;

/// Pictures unpacked as the shader sees them.
pub struct ReferenceImages {
    generated: Texture,
    training: Texture,
    similarity: Texture,
    matte: Texture,
    change: Texture,
    ending: Texture,
    ramps: Texture,
}

struct Texture {
    width: i32,
    height: i32,
    texels: Vec<[f32; 4]>,
}

impl Texture {
    fn new(channels: usize, (width, height, bytes): (u32, u32, Vec<u8>)) -> Self {
        let texels = bytes
            .chunks_exact(channels)
            .map(|t| std::array::from_fn(|i| t.get(i).map_or(0.0, |&b| f32::from(b) / 255.0)))
            .collect();
        Self {
            width: width as i32,
            height: height as i32,
            texels,
        }
    }

    fn texel(&self, x: i32, y: i32) -> [f32; 4] {
        let (x, y) = (x.clamp(0, self.width - 1), y.clamp(0, self.height - 1));
        self.texels[(y * self.width + x) as usize]
    }

    fn linear(&self, uv: [f32; 2], crisp: f32) -> [f32; 4] {
        let p = [uv[0] * self.width as f32 - 0.5, uv[1] * self.height as f32 - 0.5];
        let base = p.map(f32::floor);
        let t: [f32; 2] = std::array::from_fn(|i| ((p[i] - base[i] - 0.5) * crisp + 0.5).clamp(0.0, 1.0));
        let (x, y) = (base[0] as i32, base[1] as i32);
        let (a, b) = (self.texel(x, y), self.texel(x + 1, y));
        let (c, d) = (self.texel(x, y + 1), self.texel(x + 1, y + 1));
        std::array::from_fn(|i| {
            let top = a[i] + (b[i] - a[i]) * t[0];
            let bottom = c[i] + (d[i] - c[i]) * t[0];
            top + (bottom - top) * t[1]
        })
    }

    fn spline(&self, uv: [f32; 2]) -> [f32; 4] {
        let weights = |t: f32| {
            let s = 1.0 - t;
            [
                s * s * s / 6.0,
                (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0,
                (3.0 * s * s * s - 6.0 * s * s + 4.0) / 6.0,
                t * t * t / 6.0,
            ]
        };
        let p = [uv[0] * self.width as f32 - 0.5, uv[1] * self.height as f32 - 0.5];
        let base = p.map(f32::floor);
        let (wx, wy) = (weights(p[0] - base[0]), weights(p[1] - base[1]));
        let mut sum = [0.0; 4];
        for (j, wy) in wy.into_iter().enumerate() {
            for (i, wx) in wx.into_iter().enumerate() {
                let texel = self.texel(base[0] as i32 + i as i32 - 1, base[1] as i32 + j as i32 - 1);
                for (sum, value) in sum.iter_mut().zip(texel) {
                    *sum += value * (wx * wy);
                }
            }
        }
        sum
    }
}

impl ReferenceImages {
    /// Unpacks the pictures of a view.
    pub fn new(pictures: &Pictures) -> Self {
        Self {
            generated: Texture::new(4, rgba(pictures.generated.as_deref())),
            training: Texture::new(4, rgba(pictures.training.as_deref())),
            similarity: Texture::new(1, grey(pictures.similarity.as_deref(), 0)),
            matte: Texture::new(1, grey(pictures.matte.as_deref(), 255)),
            change: Texture::new(1, grey(pictures.change.as_deref(), 0)),
            ending: Texture::new(1, grey(pictures.ending.as_deref(), 0)),
            ramps: Texture::new(4, (Ramp::ENTRIES as u32, Ramp::ALL.len() as u32, ramp_table())),
        }
    }

    fn ramp(&self, row: u32, t: f32) -> Vec3 {
        if row >= self.ramps.height as u32 {
            return [1.0, 0.0, 1.0];
        }
        let last = (self.ramps.width - 1) as f32;
        let x = t.clamp(0.0, 1.0) * last;
        let left = x.floor();
        let right = (left + 1.0).min(last);
        let a = self.ramps.texel(left as i32, row as i32);
        let b = self.ramps.texel(right as i32, row as i32);
        std::array::from_fn(|i| a[i] + (b[i] - a[i]) * (x - left))
    }

    fn regions(&self, view: &OverlayParams, uv: [f32; 2]) -> [f32; 2] {
        if !view.has(flags::HAS_MAPS) {
            return [0.0; 2];
        }
        let similarity = self.similarity.linear(uv, view.crisp)[0];
        let matte = self.matte.linear(uv, view.crisp)[0];
        let half_width = view.softness.max(0.002) * 0.5;
        let t = ((similarity - view.threshold + half_width) / (2.0 * half_width)).clamp(0.0, 1.0);
        let copied = t * t * (3.0 - 2.0 * t);
        let mut pair = [copied * matte, copied * (1.0 - matte)];
        if view.highlight == Highlight::Foreground as u32 {
            pair[1] *= DIMMED;
        }
        if view.highlight == Highlight::Background as u32 {
            pair[0] *= DIMMED;
        }
        pair
    }

    fn heat(&self, view: &OverlayParams, base: Vec3, uv: [f32; 2]) -> Vec3 {
        let [f, b] = self.regions(view, uv);
        let (f, b) = (f * view.foreground_opacity, b * view.background_opacity);
        let similarity = self.similarity.linear(uv, view.crisp)[0];
        let ground = mix(base, [luma(base); 3], 0.6 * (f + b).min(1.0));
        let with_background = mix(ground, self.ramp(view.background_ramp, similarity), b);
        mix(with_background, self.ramp(view.foreground_ramp, similarity), f)
    }

    fn outline(&self, view: &OverlayParams, base: Vec3, uv: [f32; 2]) -> Vec3 {
        let step: [f32; 2] = std::array::from_fn(|i| 1.0 / (view.image[i] * view.zoom));
        let here = self.regions(view, uv);
        let at = |dx: f32, dy: f32| self.regions(view, [uv[0] + dx * step[0], uv[1] + dy * step[1]]);
        let (right, left, down, up) = (at(1.0, 0.0), at(-1.0, 0.0), at(0.0, 1.0), at(0.0, -1.0));
        let line = |i: usize, opacity: f32| {
            let (dx, dy) = (right[i] - left[i], down[i] - up[i]);
            let slope = (dx * dx + dy * dy).sqrt() * 0.5;
            contour(view, here[i], slope) * (opacity * 2.0).min(1.0)
        };
        let around = base.map(|c| c * (0.62 + 0.38 * shown(view, here).min(1.0)));
        let with_background = mix(
            around,
            rgb(view.background_line),
            line(1, view.background_opacity),
        );
        mix(
            with_background,
            rgb(view.foreground_line),
            line(0, view.foreground_opacity),
        )
    }

    fn training_at(&self, view: &OverlayParams, uv: [f32; 2], pixel: [f32; 2]) -> Vec3 {
        if view.has(flags::HAS_TRAINING) {
            rgb(self.training.linear(uv, view.crisp))
        } else {
            checker(view, pixel)
        }
    }

    fn compose(&self, view: &OverlayParams, uv: [f32; 2], pixel: [f32; 2]) -> Vec3 {
        if !view.has(flags::HAS_GENERATED) {
            return checker(view, pixel);
        }
        if view.has(flags::FORMING) {
            return rgb(self.generated.spline(uv));
        }
        let base = rgb(self.generated.linear(uv, view.crisp));
        let weight = || shown(view, self.regions(view, uv)).min(1.0);
        let Some(mode) = Mode::ALL.into_iter().find(|m| *m as u32 == view.mode) else {
            return [1.0, 0.0, 1.0];
        };
        match mode {
            Mode::Plain => base,
            Mode::Heat => self.heat(view, base, uv),
            Mode::Isolate => mix([luma(base) * 0.28; 3], base, weight()),
            Mode::Outline => self.outline(view, base, uv),
            Mode::Reveal => {
                let rest = mix(base, [luma(base) * 0.5; 3], 0.7 * view.reveal);
                mix(rest, self.training_at(view, uv, pixel), weight() * view.reveal)
            }
            Mode::Difference if !view.has(flags::HAS_TRAINING) => checker(view, pixel),
            Mode::Difference => {
                let signed = luma(base) - luma(rgb(self.training.linear(uv, view.crisp)));
                self.ramp(Ramp::Diverging as u32, 0.5 + 0.5 * view.gain * signed)
            }
            Mode::Blink => mix(base, self.training_at(view, uv, pixel), view.blink),
        }
    }

    /// The shader's colour at a place of the viewport, in physical pixels.
    pub fn color_at(&self, view: &OverlayParams, pixel: [f32; 2]) -> [f32; 3] {
        let at: [f32; 2] = std::array::from_fn(|i| (pixel[i] - view.pan[i]) / view.zoom);
        if (0..2).any(|i| at[i] < 0.0 || at[i] >= view.image[i]) {
            return rgb(view.backdrop);
        }
        let uv = [at[0] / view.image[0], at[1] / view.image[1]];
        if view.has(flags::SPLIT) {
            let [nx, ny] = view.split_normal;
            let extent = nx.abs() * view.image[0] + ny.abs() * view.image[1];
            let along = (at[0] - 0.5 * view.image[0]) * nx + (at[1] - 0.5 * view.image[1]) * ny;
            if along - (view.split - 0.5) * extent >= 0.0 {
                return self.training_at(view, uv, pixel);
            }
        }
        let color = self.compose(view, uv, pixel);
        if !view.has(flags::HAS_GENERATED) || view.has(flags::FORMING) {
            return color;
        }
        let color = self.layers(view, color, uv);
        if view.has(flags::EDITING) {
            return self.edited(view, color, uv);
        }
        color
    }

    fn layers(&self, view: &OverlayParams, base: Vec3, uv: [f32; 2]) -> Vec3 {
        let mut color = base;
        let layers = [
            (flags::HAS_CHANGE, &self.change, view.change),
            (flags::HAS_ENDING, &self.ending, view.ending),
        ];
        for (flag, map, opacity) in layers {
            if view.has(flag) {
                let value = map.linear(uv, view.crisp)[0];
                let over = self.ramp(view.layer_ramp, value);
                color = mix(color, over, opacity * (0.25 + 0.75 * value));
            }
        }
        color
    }

    fn edited(&self, view: &OverlayParams, base: Vec3, uv: [f32; 2]) -> Vec3 {
        let step: [f32; 2] = std::array::from_fn(|i| 1.0 / (view.image[i] * view.zoom));
        let at = |dx: f32, dy: f32| {
            let uv = [uv[0] + dx * step[0], uv[1] + dy * step[1]];
            self.matte.linear(uv, view.crisp)[0]
        };
        let here = at(0.0, 0.0);
        let (dx, dy) = (at(1.0, 0.0) - at(-1.0, 0.0), at(0.0, 1.0) - at(0.0, -1.0));
        let slope = (dx * dx + dy * dy).sqrt() * 0.5;
        let around = base.map(|c| c * (view.dim + (1.0 - view.dim) * here));
        mix(around, rgb(view.foreground_line), contour(view, here, slope))
    }
}

/// Coverage of the line where `value` crosses one half.
fn contour(view: &OverlayParams, value: f32, slope: f32) -> f32 {
    if slope < 0.002 {
        return 0.0;
    }
    1.0 - ((value - 0.5).abs() / slope - view.line_width * 0.5 + 0.5).clamp(0.0, 1.0)
}

/// Draws a whole view of `width` × `height` physical pixels.
pub fn render_reference(pictures: &Pictures, view: &OverlayParams, width: u32, height: u32) -> RgbImage {
    let images = ReferenceImages::new(pictures);
    RgbImage::from_fn(width, height, |x, y| {
        let color = images.color_at(view, [x as f32 + 0.5, y as f32 + 0.5]);
        Rgb(color.map(|c| (c.clamp(0.0, 1.0) * 255.0).round() as u8))
    })
}

fn rgb([r, g, b, _]: [f32; 4]) -> Vec3 {
    [r, g, b]
}

fn luma([r, g, b]: Vec3) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}

fn mix(a: Vec3, b: Vec3, t: f32) -> Vec3 {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t)
}

fn shown(view: &OverlayParams, [f, b]: [f32; 2]) -> f32 {
    f * (view.foreground_opacity * 2.0).min(1.0) + b * (view.background_opacity * 2.0).min(1.0)
}

fn checker(view: &OverlayParams, pixel: [f32; 2]) -> Vec3 {
    let [x, y] = pixel.map(|p| (p / 8.0).floor() as i32);
    let light = ((x + y) & 1) as f32;
    mix(rgb(view.backdrop), [0.5; 3], 0.08 + 0.08 * light)
}
