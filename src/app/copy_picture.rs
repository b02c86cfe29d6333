//! Handing the shown picture on, overlay included, pixel for pixel: to the clipboard, or as an animation.

use super::{
    on_stage::{OnStage, Placement, params},
    state::State,
    theme::Theme,
};
use crate::{engine::RevealRequest, render::OverlayParams, report::Overlaid};
use egui::{ColorImage, Context, Rect, pos2};
use std::thread;

/// The picture on the Stage and how it is drawn there; `None` while there is none, or only a small or forming one.
fn shown(state: &State, theme: &Theme) -> Option<(Overlaid, OverlayParams)> {
    let shown = OnStage::of(state);
    if shown.is_soft() {
        return None;
    }
    let size = shown.size();
    let canvas = Rect::from_min_size(pos2(0.0, 0.0), size);
    let placement = Placement {
        canvas,
        picture: canvas,
        scale: 1.0,
    };
    let settings = params(state, theme, &shown, &placement, 1.0, false, 0.0);
    Some((Overlaid::of(shown.pictures())?, settings))
}

/// What is to be written as an animation; `None` without a training image on the Stage.
pub fn reveal(state: &State, theme: &Theme, ending: &str) -> Option<RevealRequest> {
    let (pair, settings) = shown(state, theme).filter(|(pair, _)| pair.has_training())?;
    let name = state.selection.key()?;
    Some(RevealRequest {
        name: format!("{name}-reveal.{ending}"),
        pair,
        settings,
    })
}

/// Draws the picture on a thread of its own and hands it to the clipboard; nothing happens without a picture.
pub fn copy(ctx: &Context, state: &State, theme: &Theme) {
    let Some((pair, settings)) = shown(state, theme) else {
        return;
    };
    let ctx = ctx.clone();
    let work = move || {
        let picture = pair.with_similarity().draw(settings);
        let size = [picture.width() as usize, picture.height() as usize];
        ctx.copy_image(ColorImage::from_rgb(size, picture.as_raw()));
        ctx.request_repaint();
    };
    if let Err(error) = thread::Builder::new().name("copy".into()).spawn(work) {
        log::warn!("the picture is not copied: {error}");
    }
}
