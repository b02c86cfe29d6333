//! Which pictures are on the Stage, and the shader's parameters for them.

use super::{
    state::{OverlaySettings, State},
    theme::Theme,
};
use crate::{
    engine::{PairView, StepPreview},
    render::{Mode, OverlayParams, Pictures, Ramp, flags},
    study::{Generation, GenerationKey, LatentMap, SignalMaps},
};
use egui::{Rect, Vec2, vec2};
use std::sync::Arc;

/// What the Stage shows.
#[derive(Clone, Debug)]
pub enum OnStage {
    /// Nothing to show.
    Nothing,
    /// A picture that forms.
    Forming(StepPreview),
    /// The small copy, while the full pair is on its way.
    Small(Arc<Generation>),
    /// The pair.
    Pair(Arc<PairView>),
}

/// Tells two contents apart, so that pictures are uploaded once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// Nothing to show.
    Nothing,
    /// A step of a picture.
    Forming(GenerationKey, usize),
    /// A small copy, by its address: the window holds it as long as it is shown.
    Small(usize),
    /// A pair, by the addresses of its parts: the window holds them as long as they are shown. Its region may change.
    Pair([usize; 4]),
}

impl OnStage {
    /// What the state asks for.
    pub fn of(state: &State) -> Self {
        if let Some(step) = state.selection.key().and_then(|key| state.study.forming(key)) {
            return Self::Forming(step.clone());
        }
        let Some(current) = state.current() else {
            return Self::Nothing;
        };
        match &state.pair {
            Some(pair) if shows(pair, current) => Self::Pair(pair.clone()),
            // It is read from disk in a moment.
            _ if current.thumbnail.is_empty() => Self::Nothing,
            _ => Self::Small(current.clone()),
        }
    }

    /// B's picture, for the right one of two canvases.
    pub fn second(state: &State) -> Self {
        let Some(second) = state.selection.key().and_then(|k| state.second(k)) else {
            return Self::Nothing;
        };
        match &state.compare.pair {
            Some(pair) if shows(pair, second) => Self::Pair(pair.clone()),
            _ if second.thumbnail.is_empty() => Self::Nothing,
            _ => Self::Small(second.clone()),
        }
    }

    /// Tells it apart.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Nothing => Fingerprint::Nothing,
            Self::Forming(step) => Fingerprint::Forming(step.key, step.step),
            Self::Small(generation) => Fingerprint::Small(Arc::as_ptr(generation) as usize),
            Self::Pair(pair) => Fingerprint::Pair([
                Arc::as_ptr(&pair.generated) as usize,
                address(&pair.training),
                address(&pair.similarity),
                address(&pair.signals),
            ]),
        }
    }

    /// What is uploaded.
    pub fn pictures(&self) -> Pictures {
        match self {
            Self::Nothing => Pictures::default(),
            Self::Forming(step) => Pictures {
                generated: Some(step.preview.clone()),
                ..Pictures::default()
            },
            Self::Small(generation) => Pictures {
                generated: Some(generation.thumbnail.clone()),
                ..Pictures::default()
            },
            Self::Pair(pair) => Pictures {
                generated: Some(pair.generated.clone()),
                training: pair.training.clone(),
                similarity: pair.similarity.clone(),
                compared: pair.compared.clone(),
                matte: pair.matte.clone(),
                change: layer(pair, |maps| &maps.difference),
                ending: layer(pair, |maps| &maps.ending),
            },
        }
    }

    /// The bits of [`Pictures::flags`], without making the pictures.
    fn flags(&self) -> u32 {
        let bit = |there: bool, flag: u32| if there { flag } else { 0 };
        match self {
            Self::Nothing => 0,
            Self::Forming(_) | Self::Small(_) => flags::HAS_GENERATED,
            Self::Pair(pair) => {
                let signals = pair.signals.as_ref();
                flags::HAS_GENERATED
                    | bit(pair.training.is_some(), flags::HAS_TRAINING)
                    | bit(
                        pair.similarity.is_some() || pair.compared.is_some(),
                        flags::HAS_MAPS,
                    )
                    | bit(signals.is_some_and(|s| s.difference.is_some()), flags::HAS_CHANGE)
                    | bit(signals.is_some_and(|s| s.ending.is_some()), flags::HAS_ENDING)
            }
        }
    }

    /// Size of the shown picture in its own pixels, at least 1 × 1.
    pub fn size(&self) -> Vec2 {
        let of = |(w, h): (u32, u32), scale: f32| vec2(w.max(1) as f32, h.max(1) as f32) * scale;
        match self {
            Self::Nothing => vec2(1.0, 1.0),
            Self::Forming(step) => of(step.preview.dimensions(), 8.0),
            Self::Small(generation) => of(generation.thumbnail.dimensions(), 1.0),
            Self::Pair(pair) => of(pair.generated.dimensions(), 1.0),
        }
    }

    /// The pair, once it is there.
    pub fn pair(&self) -> Option<&Arc<PairView>> {
        match self {
            Self::Pair(pair) => Some(pair),
            _ => None,
        }
    }

    /// Whether it is a small picture that should look soft.
    pub fn is_soft(&self) -> bool {
        matches!(self, Self::Forming(_) | Self::Small(_))
    }
}

/// A map over the latents, a pixel each: the shader stretches it over the picture.
fn layer(pair: &PairView, map: impl Fn(&SignalMaps) -> &Option<LatentMap>) -> Option<Arc<image::GrayImage>> {
    let map = map(pair.signals.as_ref()?).as_ref()?;
    Some(Arc::new(map.picture(map.width as u32, map.height as u32)))
}

fn address<T>(part: &Option<Arc<T>>) -> usize {
    part.as_ref().map_or(0, |p| Arc::as_ptr(p) as usize)
}

/// Whether a pair is of this picture, not of another variant's.
fn shows(pair: &PairView, generation: &Generation) -> bool {
    pair.request.generation == generation.key && pair.request.variant == generation.variant
}

/// Where and how the picture is drawn, in points.
#[derive(Clone, Copy, Debug)]
pub struct Placement {
    /// The canvas.
    pub canvas: Rect,
    /// The picture, possibly reaching past the canvas.
    pub picture: Rect,
    /// Points per picture pixel.
    pub scale: f32,
}

impl Placement {
    /// Fits a picture of `size` into the canvas, seen through the state's camera.
    pub fn new(state: &State, canvas: Rect, size: Vec2, margin: f32) -> Self {
        let room = (canvas.size() - Vec2::splat(2.0 * margin)).max(Vec2::splat(8.0));
        let scale = (room / size).min_elem() * state.camera.zoom;
        Self {
            canvas,
            picture: Rect::from_center_size(canvas.center() + state.camera.offset, size * scale),
            scale,
        }
    }
}

/// Unit vector across the split line, towards the training side.
pub fn split_normal(overlay: &OverlaySettings) -> Vec2 {
    Vec2::angled(overlay.split_angle.to_radians())
}

/// So narrow a ramp between two pixels that none is seen.
const HARD: f32 = 1e6;

/// The uniform block for one frame. `original` shows the picture without any overlay; `time` (seconds)
/// drives the blinking.
pub fn params(
    state: &State,
    theme: &Theme,
    shown: &OnStage,
    placement: &Placement,
    pixels_per_point: f32,
    original: bool,
    time: f64,
) -> OverlayParams {
    let overlay = &state.overlay;
    let mut bits = shown.flags();
    let paired = shown.pair().is_some_and(|p| p.training.is_some());
    let editing = state.is_editing() && shown.pair().is_some() && !original;
    if editing {
        bits |= flags::EDITING;
    } else if overlay.split && paired && !original {
        bits |= flags::SPLIT;
    }
    if shown.is_soft() {
        bits |= flags::FORMING;
    }
    let mode = match overlay.mode {
        _ if original => Mode::Plain,
        // Without a partner there is nothing to compare; the picture itself is better than a board.
        Mode::Difference | Mode::Blink | Mode::Reveal if !paired => Mode::Plain,
        mode => mode,
    };
    let zoom = placement.scale * pixels_per_point;
    let normal = split_normal(overlay);
    OverlayParams {
        viewport: (placement.canvas.size() * pixels_per_point).into(),
        image: shown.size().into(),
        pan: ((placement.picture.min - placement.canvas.min) * pixels_per_point).into(),
        zoom,
        // Smooth up to six screen pixels each, then ever harder edges for reading single pixels.
        crisp: if overlay.nearest {
            HARD
        } else {
            1.0 + (zoom - 6.0).max(0.0)
        },
        foreground_opacity: overlay.foreground,
        background_opacity: overlay.background,
        threshold: overlay.threshold,
        softness: overlay.softness,
        mode: mode as u32,
        flags: bits,
        foreground_ramp: overlay.foreground_ramp as u32,
        background_ramp: overlay.background_ramp as u32,
        split_normal: normal.into(),
        split: overlay.split_at,
        reveal: overlay.reveal,
        gain: overlay.gain,
        blink: if (time * f64::from(overlay.blink_hz)).fract() < 0.5 {
            0.0
        } else {
            1.0
        },
        line_width: 2.0 * pixels_per_point,
        highlight: state.highlight as u32,
        change: if original { 0.0 } else { overlay.change },
        ending: if original { 0.0 } else { overlay.ending },
        layer_ramp: Ramp::Cividis as u32,
        dim: 0.4,
        backdrop: Theme::shader(theme.stage),
        foreground_line: Theme::shader(theme.foreground()),
        background_line: Theme::shader(theme.background()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_say_what_the_pictures_hold_and_parts_tell_pairs_apart() {
        let image = Arc::new(image::RgbImage::new(16, 8));
        let map = LatentMap {
            width: 2,
            height: 1,
            values: vec![0.1, 0.4],
        };
        let bare = PairView {
            request: Default::default(),
            generated: image.clone(),
            training: None,
            matte: None,
            similarity: None,
            compared: None,
            signals: None,
        };
        let maps = |ending: bool, difference: bool| {
            Some(Arc::new(SignalMaps {
                ending: ending.then(|| map.clone()),
                difference: difference.then(|| map.clone()),
            }))
        };
        let pairs = [
            bare.clone(),
            PairView {
                training: Some(image.clone()),
                ..bare.clone()
            },
            PairView {
                training: Some(image.clone()),
                similarity: Some(Arc::default()),
                signals: maps(true, false),
                ..bare.clone()
            },
            PairView {
                compared: Some([image.clone(), image]),
                signals: maps(false, true),
                ..bare.clone()
            },
            PairView {
                signals: maps(true, true),
                ..bare
            },
        ];
        let shown = pairs.map(|pair| OnStage::Pair(Arc::new(pair)));
        let mut prints = Vec::new();
        for one in &shown {
            let pictures = one.pictures();
            assert_eq!(one.flags(), pictures.flags());
            if let Some(ending) = pictures.ending {
                assert_eq!(ending.as_raw(), &[64, 255]);
            }
            // The same picture beside another training image is uploaded again.
            assert!(!prints.contains(&one.fingerprint()));
            prints.push(one.fingerprint());
        }
    }
}
