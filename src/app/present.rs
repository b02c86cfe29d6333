//! The full-screen stage for a talk: the picture, its prompt and its class in large type. Keys only.

use super::{
    context::Cx,
    controls, marks,
    panels::picture_on_stage,
    theme::{self, UNIT},
};
use egui::{Align2, FontId, Rect, Ui, pos2, vec2};

const FOOT: f32 = 104.0;

/// Draws the stage into the whole window.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let area = ui.max_rect();
    ui.painter().rect_filled(area, 0, cx.theme.stage);
    let stage = Rect::from_min_max(area.min, area.max - vec2(0.0, FOOT));
    picture_on_stage(ui, cx, stage);
    let foot = Rect::from_min_max(pos2(area.left(), stage.bottom()), area.max).shrink2(vec2(8.0, 3.0) * UNIT);
    let state = cx.state;
    let theme = cx.theme;
    let painter = ui.painter();
    let mut left = foot.left();
    if let Some(generation) = state.current() {
        let verdict = generation.verdict(&state.thresholds);
        let center = pos2(left + 20.0, foot.center().y);
        marks::mark(painter, theme, center, 17.0, verdict);
        if let Some(verdict) = verdict {
            let letters = painter.text(
                pos2(center.x + 32.0, center.y),
                Align2::LEFT_CENTER,
                verdict.letters(),
                FontId::proportional(2.0 * theme::LARGE),
                theme.verdict(Some(verdict)),
            );
            left = letters.right() + 6.0 * UNIT;
        } else {
            left = center.x + 40.0;
        }
    }
    let prompt = state.selection.prompt.and_then(|p| state.study.prompt(p));
    let text = prompt.map_or("", |p| p.text.as_str());
    let room = foot.right() - left;
    let large = FontId::proportional(theme::LARGE);
    controls::line(
        painter,
        pos2(left, foot.center().y - 16.0),
        text,
        large,
        theme.text,
        room,
    );
    let mut words = state
        .selection
        .seed
        .map_or_else(String::new, |s| format!("seed {s}"));
    if let Some(scores) = state.current().and_then(|g| g.scores()) {
        words += &format!(
            "   foreground {}   background {}",
            controls::score(scores.foreground),
            controls::score(scores.background)
        );
    }
    if let Some(verdict) = state.current().and_then(|g| g.verdict(&state.thresholds)) {
        words += &format!("   {}", verdict.meaning());
    }
    if let Some(mark) = state.current().and_then(|g| g.edit_mark()) {
        words += &format!("   {mark}");
    }
    let second = FontId::proportional(theme::HEADING + 2.0);
    controls::line(
        painter,
        pos2(left, foot.center().y + 20.0),
        &words,
        second,
        theme.weak,
        room,
    );
}
