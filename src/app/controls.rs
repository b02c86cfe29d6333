//! The house's few widgets: header, buttons, sliders, bars, thumbnails. All are named for AccessKit.

use super::{
    context::Cx,
    marks,
    theme::{self, Theme, UNIT},
    thumbnails::Thumbnail,
};
use crate::study::Verdict;
use egui::{
    Align, Align2, Color32, CornerRadius, FontId, Galley, Painter, Pos2, Rect, Response, Role, ScrollArea,
    Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};
use std::{ops::RangeInclusive, sync::Arc};

/// Small type.
pub fn small() -> FontId {
    FontId::proportional(theme::SMALL)
}

/// Body type.
pub fn body() -> FontId {
    FontId::proportional(theme::BODY)
}

/// One line of text, cut with an ellipsis at `width`.
pub fn elided(painter: &Painter, text: &str, font: FontId, color: Color32, width: f32) -> Arc<Galley> {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, color);
    job.wrap.max_width = width.max(0.0);
    job.wrap.max_rows = 1;
    job.wrap.break_anywhere = true;
    painter.layout_job(job)
}

/// At most so many letters of a text.
pub fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most - 1).collect();
    format!("{start}…")
}

/// Paints one elided line, its left end at `at`, centred on it vertically.
pub fn line(painter: &Painter, at: Pos2, text: &str, font: FontId, color: Color32, width: f32) -> Rect {
    let galley = elided(painter, text, font, color, width);
    let rect = Align2::LEFT_CENTER.anchor_size(at, galley.size());
    painter.galley(rect.min, galley, color);
    rect
}

/// The first line of a pane: title, and a note at the right. Dragging it moves the pane.
/// A pane on a tab has both there already.
pub fn header(ui: &mut Ui, cx: &Cx<'_>, title: &str, note: &str) -> Response {
    if cx.tabbed {
        return ui.interact(Rect::NOTHING, ui.scope_id().with("no header"), Sense::hover());
    }
    let theme = cx.theme;
    let size = vec2(ui.available_width(), theme::HEADER_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Heading, true, title));
    let title = line(
        ui.painter(),
        rect.left_center() - vec2(0.0, UNIT * 0.5),
        title,
        body(),
        theme.text,
        size.x,
    );
    let room = rect.right() - title.right() - 2.0 * UNIT;
    if room > 8.0 * UNIT && !note.is_empty() {
        let galley = elided(ui.painter(), note, small(), theme.weak, room);
        let at = pos2(
            rect.right() - galley.size().x,
            title.center().y - galley.size().y * 0.5,
        );
        ui.painter().galley(at, galley, theme.weak);
    }
    if response.hovered() {
        ui.ctx().set_cursor_icon(egui::CursorIcon::Grab);
    }
    response
}

/// What a dragged header means to the layout.
pub fn moved(header: &Response) -> egui_tiles::UiResponse {
    if header.drag_started() {
        egui_tiles::UiResponse::DragStarted
    } else {
        egui_tiles::UiResponse::None
    }
}

/// A button that can be on.
pub fn toggle(ui: &mut Ui, theme: &Theme, on: bool, name: &str) -> Response {
    toggle_enabled(ui, theme, true, on, name)
}

/// A button that can be on, and can be out of use. It never breaks its name into lines.
pub fn toggle_enabled(ui: &mut Ui, theme: &Theme, enabled: bool, on: bool, name: &str) -> Response {
    let text = egui::RichText::new(name).color(if on { theme.on_strong } else { theme.weak });
    let button = egui::Button::new(text)
        .fill(if on { theme.strong } else { Color32::TRANSPARENT })
        .wrap_mode(egui::TextWrapMode::Extend)
        .min_size(vec2(0.0, 6.0 * UNIT));
    let response = ui.add_enabled(enabled, button);
    response.widget_info(|| WidgetInfo::selected(Role::Button, enabled, on, name));
    response
}

/// A list in a dialog: as tall as what it holds, at most `most` points. Without a least height a list asks for no more
/// than the dialog was tall in the frame before, and grows frame by frame: buttons move away under the pointer.
pub fn dialog_list(most: f32) -> ScrollArea {
    ScrollArea::vertical().max_height(most).min_scrolled_height(most)
}

/// The main action of a place.
pub fn main_button(ui: &mut Ui, theme: &Theme, enabled: bool, name: &str) -> Response {
    let text = egui::RichText::new(name).color(if enabled { theme.on_strong } else { theme.weak });
    let button = egui::Button::new(text)
        .fill(if enabled { theme.strong } else { theme.raised })
        .min_size(vec2(0.0, 7.0 * UNIT));
    ui.add_enabled(enabled, button)
}

/// Width of the name before a slider.
pub const NAME: f32 = 64.0;

/// A named slider on one line with its number; true when it was moved.
pub fn slider(
    ui: &mut Ui,
    theme: &Theme,
    name: &str,
    value: &mut f32,
    range: RangeInclusive<f32>,
    decimals: usize,
) -> bool {
    told_slider(ui, theme, (name, ""), value, range, decimals)
}

/// The same with words about what it does, shown when the pointer rests on it.
pub fn told_slider(
    ui: &mut Ui,
    theme: &Theme,
    (name, tip): (&str, &str),
    value: &mut f32,
    range: RangeInclusive<f32>,
    decimals: usize,
) -> bool {
    const NUMBER: f32 = 28.0;
    ui.spacing_mut().interact_size.y = 5.0 * UNIT;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = UNIT;
        let (rect, label) = ui.allocate_exact_size(vec2(NAME, 5.0 * UNIT), Sense::hover());
        line(ui.painter(), rect.left_center(), name, small(), theme.weak, NAME);
        ui.spacing_mut().slider_width = (ui.available_width() - NUMBER - UNIT).max(32.0);
        // The knob's size follows the height.
        ui.spacing_mut().interact_size.y = 3.5 * UNIT;
        let response = ui.add(egui::Slider::new(value, range).show_value(false));
        let shown = f64::from(*value);
        response.widget_info(|| WidgetInfo::slider(true, shown, name));
        let (rect, _) = ui.allocate_exact_size(vec2(NUMBER, 5.0 * UNIT), Sense::hover());
        ui.painter().text(
            rect.right_center(),
            Align2::RIGHT_CENTER,
            format!("{shown:.decimals$}"),
            small(),
            theme.text,
        );
        let changed = response.changed();
        if !tip.is_empty() {
            label.on_hover_text(tip);
            response.on_hover_text(tip);
        }
        changed
    })
    .inner
}

/// A horizontal bar for a share in `[0, 1]`.
pub fn bar(painter: &Painter, theme: &Theme, rect: Rect, share: f32, color: Color32) {
    let radius = CornerRadius::same(2);
    painter.rect_filled(rect, radius, theme.hovered);
    let mut filled = rect;
    filled.set_width(rect.width() * share.clamp(0.0, 1.0));
    painter.rect_filled(filled, radius, color);
}

/// Paints a thumbnail into a square, cut to fill it; a plain plate while it is missing.
pub fn thumbnail(painter: &Painter, theme: &Theme, rect: Rect, picture: Option<Thumbnail>, radius: u8) {
    let radius = CornerRadius::same(radius);
    let Some(Thumbnail { texture, size, uv }) = picture else {
        painter.rect_filled(rect, radius, theme.hovered);
        return;
    };
    // Cut the longer side, so that every thumbnail fills its square.
    let shape = size / size.min_elem();
    let spare = (vec2(1.0, 1.0) - vec2(1.0, 1.0) / shape) * 0.5;
    let uv = uv.shrink2(spare * uv.size());
    painter.add(egui::epaint::RectShape::filled(rect, radius, Color32::WHITE).with_texture(texture, uv));
}

/// A frame around the chosen one of several pictures.
pub fn chosen_frame(painter: &Painter, theme: &Theme, rect: Rect) {
    painter.rect_stroke(
        rect,
        CornerRadius::same(theme::RADIUS),
        Stroke::new(1.5, theme.accent),
        StrokeKind::Outside,
    );
}

/// A dark plate with a class mark and a few letters, on the lower left of a picture.
pub fn badge(painter: &Painter, theme: &Theme, picture: Rect, verdict: Option<Verdict>, text: &str) {
    // On pictures the plate is dark in both appearances.
    let dark = Theme::dark();
    let galley = painter.layout_no_wrap(text.to_owned(), small(), dark.text);
    let size = vec2(galley.size().x + 4.5 * UNIT, 4.5 * UNIT);
    let rect = Rect::from_min_size(pos2(picture.left() + 3.0, picture.bottom() - size.y - 3.0), size);
    painter.rect_filled(rect, CornerRadius::same(4), dark.float);
    let color = if theme.dark {
        theme.verdict(verdict)
    } else {
        dark.verdict(verdict)
    };
    marks::mark_in(painter, rect.left_center() + vec2(8.5, 0.0), 4.0, verdict, color);
    painter.galley(
        pos2(rect.left() + 3.75 * UNIT, rect.center().y - galley.size().y * 0.5),
        galley,
        dark.text,
    );
}

/// A caption on the Stage.
pub fn caption(painter: &Painter, at: Pos2, anchor: Align2, text: &str, width: f32) {
    // Room for a few letters, or nothing.
    if width < 14.0 * UNIT {
        return;
    }
    let dark = Theme::dark();
    let galley = elided(painter, text, small(), dark.text, width - 7.0 * UNIT);
    let rect = anchor.anchor_size(at, galley.size() + vec2(4.0, 2.0) * UNIT);
    painter.rect_filled(rect, CornerRadius::same(4), dark.float);
    painter.galley(rect.min + vec2(2.0, 1.0) * UNIT, galley, dark.text);
}

/// An empty place: what is missing, what to do, and the buttons for it.
pub fn empty(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    title: &str,
    advice: &str,
    buttons: impl FnOnce(&mut Ui, &mut Cx<'_>),
) {
    // In a pane lower than this the buttons matter more than the advice.
    const LOW: f32 = 132.0;
    let theme = cx.theme;
    let width = ui.available_width().min(420.0);
    let height = ui.available_height();
    let space = (height * 0.5 - 56.0).max(2.0 * UNIT);
    let centered = |ui: &mut Ui| {
        ui.add_space(space);
        ui.set_max_width(width);
        ui.label(egui::RichText::new(title).size(theme::HEADING).color(theme.text));
        if !advice.is_empty() && height >= LOW {
            ui.label(egui::RichText::new(advice).color(theme.weak));
        }
        ui.add_space(2.0 * UNIT);
        buttons(ui, cx);
    };
    // A pane can be lower still.
    ScrollArea::vertical()
        .id_salt(title)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            ui.with_layout(egui::Layout::top_down(Align::Center), centered)
        });
}

/// A score with three decimals, or n/a when its region does not exist.
pub fn score(value: Option<f32>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |v| format!("{v:.3}"))
}

/// Seconds as people say them: `0:41`, `12:05`, `1:02:00`.
pub fn clock(seconds: u64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 {
        format!("{h}:{m:02}:{s:02}")
    } else {
        format!("{m}:{s:02}")
    }
}

/// Seeds as a person would write them: `0..6, 9`.
pub fn seed_text(seeds: &[u64]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = seeds;
    while let Some(&first) = rest.first() {
        let run = rest
            .iter()
            .zip(first..)
            .take_while(|(seed, expected)| **seed == *expected)
            .count();
        parts.push(match run {
            1 => first.to_string(),
            n => format!("{first}..{}", first + n as u64),
        });
        rest = &rest[run..];
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::parse_seeds;

    #[test]
    fn seeds_are_written_as_they_are_read() {
        for seeds in [vec![0, 1, 2, 3], vec![7], vec![0, 1, 5, 9, 10]] {
            assert_eq!(parse_seeds(&seed_text(&seeds)), Ok(seeds));
        }
        assert_eq!(seed_text(&[0, 1, 2, 9]), "0..3, 9");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        assert_eq!(clock(41), "0:41");
        assert_eq!(clock(3720), "1:02:00");
    }
}
