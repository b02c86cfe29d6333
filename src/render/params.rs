//! What the overlay shader reads, and the enums behind its numbers.

use serde::{Deserialize, Serialize};

/// How a pair of pictures is drawn. The discriminant is the shader's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u32)]
pub enum Mode {
    /// The generated picture alone.
    Plain = 0,
    /// Foreground and background similarity, each on its own colour ramp.
    #[default]
    Heat = 1,
    /// What is not copied goes grey and dark.
    Isolate = 2,
    /// A line around what is copied.
    Outline = 3,
    /// The training image shows through where the match is strong.
    Reveal = 4,
    /// Signed difference in lightness.
    Difference = 5,
    /// The two pictures in turn.
    Blink = 6,
}

impl Mode {
    /// All modes, in the order of the Stage's buttons.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::Heat,
        Self::Isolate,
        Self::Outline,
        Self::Reveal,
        Self::Difference,
        Self::Blink,
    ];

    /// Name for a button.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "Plain",
            Self::Heat => "Heat",
            Self::Isolate => "Isolate",
            Self::Outline => "Outline",
            Self::Reveal => "Reveal",
            Self::Difference => "Difference",
            Self::Blink => "Blink",
        }
    }
}

/// Which region stands out while the pointer rests on its score. The discriminant is the shader's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Highlight {
    /// Both alike.
    #[default]
    Both = 0,
    /// The foreground; the background is dimmed.
    Foreground = 1,
    /// The background; the foreground is dimmed.
    Background = 2,
}

/// Bits of [`OverlayParams::flags`].
pub mod flags {
    /// A generated picture is bound; without it a checkerboard stands in its place.
    pub const HAS_GENERATED: u32 = 1;
    /// A training image is bound.
    pub const HAS_TRAINING: u32 = 2;
    /// Similarity and matte are bound.
    pub const HAS_MAPS: u32 = 4;
    /// Past the split line the training image is drawn.
    pub const SPLIT: u32 = 8;
    /// The generated picture is a small preview: drawn soft, no overlay.
    pub const FORMING: u32 = 16;
    /// The region is being edited: it is outlined and the rest is dim.
    pub const EDITING: u32 = 32;
    /// A map of the score difference is bound.
    pub const HAS_CHANGE: u32 = 64;
    /// A bright-ending map is bound.
    pub const HAS_ENDING: u32 = 128;
}

/// The uniform block of `shaders/overlay.wgsl`, field by field.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct OverlayParams {
    /// Size of the viewport, physical pixels.
    pub viewport: [f32; 2],
    /// Size of the shown picture in its own pixels, at least 1.
    pub image: [f32; 2],
    /// From the viewport's top left corner to the picture's, physical pixels.
    pub pan: [f32; 2],
    /// Physical pixels per picture pixel, above 0.
    pub zoom: f32,
    /// 1 is smooth between pixels, `zoom` gives hard pixel edges.
    pub crisp: f32,
    /// Opacity of the foreground map, 0..=1.
    pub foreground_opacity: f32,
    /// Opacity of the background map, 0..=1.
    pub background_opacity: f32,
    /// Similarity that counts half, 0..=1.
    pub threshold: f32,
    /// Width of the smooth step around the threshold, 0..=1.
    pub softness: f32,
    /// A [`Mode`] as a number.
    pub mode: u32,
    /// Bits from [`flags`].
    pub flags: u32,
    /// A [`Ramp`](super::Ramp) as a number, for the foreground.
    pub foreground_ramp: u32,
    /// A [`Ramp`](super::Ramp) as a number, for the background.
    pub background_ramp: u32,
    /// Unit vector across the split line, towards the training side.
    pub split_normal: [f32; 2],
    /// Where the split line stands, 0..=1 of the picture's extent along `split_normal`.
    pub split: f32,
    /// How far the training image shows through in [`Mode::Reveal`], 0..=1.
    pub reveal: f32,
    /// Factor on the difference in [`Mode::Difference`].
    pub gain: f32,
    /// 0 shows the generated picture, 1 the training image, in [`Mode::Blink`].
    pub blink: f32,
    /// Width of the contour in [`Mode::Outline`], physical pixels.
    pub line_width: f32,
    /// A [`Highlight`] as a number.
    pub highlight: u32,
    /// Opacity of the score-difference layer, 0..=1.
    pub change: f32,
    /// Opacity of the bright-ending layer, 0..=1.
    pub ending: f32,
    /// A [`Ramp`](super::Ramp) as a number, for both layers.
    pub layer_ramp: u32,
    /// Brightness left outside the region while it is edited, 0..=1.
    pub dim: f32,
    /// Colour around the picture, RGBA in gamma space.
    pub backdrop: [f32; 4],
    /// Colour of the foreground's contour.
    pub foreground_line: [f32; 4],
    /// Colour of the background's contour.
    pub background_line: [f32; 4],
}

impl Default for OverlayParams {
    fn default() -> Self {
        Self {
            viewport: [1.0; 2],
            image: [1.0; 2],
            pan: [0.0; 2],
            zoom: 1.0,
            crisp: 1.0,
            foreground_opacity: 0.72,
            background_opacity: 0.6,
            threshold: 0.5,
            softness: 0.15,
            mode: Mode::Heat as u32,
            flags: 0,
            foreground_ramp: 0,
            background_ramp: 1,
            split_normal: [1.0, 0.0],
            split: 0.5,
            reveal: 1.0,
            gain: 2.0,
            blink: 0.0,
            line_width: 2.0,
            highlight: 0,
            change: 0.0,
            ending: 0.0,
            layer_ramp: 2,
            dim: 0.4,
            backdrop: [0.0, 0.0, 0.0, 1.0],
            foreground_line: [0.3, 0.6, 1.0, 1.0],
            background_line: [0.2, 0.8, 0.5, 1.0],
        }
    }
}

impl OverlayParams {
    /// Whether every bit of `flag` is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag == flag
    }
}
