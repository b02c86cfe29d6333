//! Copying the shown picture, overlay included, pixel for pixel.

use super::{
    on_stage::{OnStage, Placement, params},
    state::State,
    theme::Theme,
};
use crate::report::Overlaid;
use egui::{ColorImage, Context, Rect, pos2};
use std::thread;

/// Draws the picture on a thread of its own and hands it to the clipboard; nothing happens without a picture.
pub fn copy(ctx: &Context, state: &State, theme: &Theme) {
    let shown = OnStage::of(state);
    if shown.is_soft() {
        return;
    }
    let size = shown.size();
    let canvas = Rect::from_min_size(pos2(0.0, 0.0), size);
    let placement = Placement {
        canvas,
        picture: canvas,
        scale: 1.0,
    };
    let settings = params(state, theme, &shown, &placement, 1.0, false, 0.0);
    let Some(pair) = Overlaid::of(shown.pictures()) else {
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
