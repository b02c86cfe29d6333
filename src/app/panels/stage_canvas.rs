//! The canvas of the Stage: pan, zoom, the split handle, captions.

use super::{region_tools, stage::floats};
use crate::{
    app::{
        action::Action,
        context::Cx,
        controls::{self, caption},
        on_stage::{OnStage, Placement, params, split_normal},
        paint::{OverlayCallback, STAGE, STAGE_SECOND},
        region::Tool,
        theme::{self, UNIT},
    },
    render::Mode,
};
use eframe::egui_wgpu;
use egui::{
    Align2, Color32, CornerRadius, CursorIcon, Id, Key, PointerButton, Pos2, Rect, Response, Sense, Stroke,
    Ui, Vec2, WidgetInfo, pos2, vec2,
};
use std::time::Duration;

/// Draws the picture into `rect` and lets it be moved.
pub fn canvas(ui: &mut Ui, cx: &mut Cx<'_>, rect: Rect, shown: &OnStage) {
    let ppp = ui.pixels_per_point();
    // The paint callback's viewport is whole pixels: so is the canvas, or the picture would shift.
    let rect = Rect::from_min_max((rect.min * ppp).round() / ppp, (rect.max * ppp).round() / ppp);
    let response = ui.allocate_rect(rect, Sense::click_and_drag());
    let label = match shown {
        _ if cx.state.beside() => "Picture A".to_owned(),
        OnStage::Forming(step) => format!("Picture forming, step {} of {}", step.step, step.steps),
        _ => "Picture".to_owned(),
    };
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Image, true, &label));
    let placement = Placement::new(cx.state, rect, shown.size(), 2.0 * UNIT);
    let tool = region_tools::pointer(ui, cx, &response, &placement);
    move_camera(ui, cx, &response, &placement, tool);

    let original = !ui.ctx().egui_wants_keyboard_input() && ui.input(|i| i.key_down(Key::Space));
    let time = ui.input(|i| i.time);
    let params = params(cx.state, cx.theme, shown, &placement, ppp, original, time);
    if params.mode == Mode::Blink as u32 {
        let half = 0.5 / f64::from(cx.state.overlay.blink_hz.max(0.1));
        let left = half - time % half;
        ui.ctx()
            .request_repaint_after(Duration::from_secs_f64(left.max(0.004)));
    }
    let split = params.has(crate::render::flags::SPLIT);
    if cx.has_gpu {
        let callback = OverlayCallback { view: STAGE, params };
        ui.painter()
            .add(egui_wgpu::Callback::new_paint_callback(rect, callback));
    } else {
        without_gpu(ui, cx, shown, &placement);
    }
    let pointer = response.hover_pos().filter(|p| placement.picture.contains(*p));
    let inner = placement.picture.intersect(rect);
    let line =
        split.then(|| placement.picture.left() + cx.state.overlay.split_at * placement.picture.width());
    captions(ui, cx, shown, inner, line, original);
    if split {
        split_handle(ui, cx, &placement);
    }
    if let OnStage::Forming(step) = shown {
        let share = step.step as f32 / step.steps.max(1) as f32;
        let rail = Rect::from_min_size(pos2(inner.left(), inner.bottom() - 3.0), vec2(inner.width(), 3.0));
        controls::bar(ui.painter(), cx.theme, rail, share, cx.theme.accent);
    }
    if !cx.state.open.present && !matches!(shown, OnStage::Nothing) {
        scale_bar(ui, &placement);
    }
    region_tools::marks_over(ui, cx, &response, &placement);
    floats(ui, cx, shown, &placement, pointer);
}

/// The right one of two canvases: B's picture, through the same camera. The line and what floats are on the left
/// one.
pub fn second_canvas(ui: &mut Ui, cx: &mut Cx<'_>, rect: Rect, shown: &OnStage) {
    let ppp = ui.pixels_per_point();
    let rect = Rect::from_min_max((rect.min * ppp).round() / ppp, (rect.max * ppp).round() / ppp);
    let response = ui.allocate_rect(rect, Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Image, true, "Picture B"));
    let placement = Placement::new(cx.state, rect, shown.size(), 2.0 * UNIT);
    move_camera(ui, cx, &response, &placement, false);
    let original = !ui.ctx().egui_wants_keyboard_input() && ui.input(|i| i.key_down(Key::Space));
    let time = ui.input(|i| i.time);
    let params = params(cx.state, cx.theme, shown, &placement, ppp, original, time);
    if cx.has_gpu {
        let callback = OverlayCallback {
            view: STAGE_SECOND,
            params,
        };
        ui.painter()
            .add(egui_wgpu::Callback::new_paint_callback(rect, callback));
    } else {
        without_gpu(ui, cx, shown, &placement);
    }
    let inner = placement.picture.intersect(rect);
    let name = cx.state.compare.second.as_deref().unwrap_or_default();
    let at = inner.left_top() + vec2(2.0, 2.0) * UNIT;
    caption(
        ui.painter(),
        at,
        Align2::LEFT_TOP,
        &format!("B · {name}"),
        inner.width(),
    );
}

/// With a `tool` at hand the first button and the wheel are the tool's.
fn move_camera(ui: &Ui, cx: &mut Cx<'_>, response: &Response, placement: &Placement, tool: bool) {
    let mut camera = cx.state.camera;
    let other = |b| response.dragged_by(b);
    let moved = if tool {
        other(PointerButton::Middle) || other(PointerButton::Secondary)
    } else {
        response.dragged()
    };
    let brush = tool && cx.state.region.tool == Some(Tool::Brush);
    if moved {
        camera.offset += response.drag_delta();
        ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
    }
    if let Some(pointer) = response.hover_pos() {
        let (pinch, wheel) = ui.input(|i| (i.zoom_delta(), i.smooth_scroll_delta().y));
        let factor = if brush {
            pinch
        } else {
            pinch * (wheel / 220.0).exp()
        };
        if factor != 1.0 {
            camera.zoom_about(factor, pointer - placement.canvas.center());
        }
    }
    if response.double_clicked() && !tool {
        camera = crate::app::state::Camera::default();
    }
    if camera != cx.state.camera {
        cx.ask(Action::SetCamera(camera));
    }
}

/// No overlay pipeline: the picture itself.
fn without_gpu(ui: &Ui, cx: &mut Cx<'_>, shown: &OnStage, placement: &Placement) {
    let painter = ui.painter().with_clip_rect(placement.canvas);
    painter.rect_filled(
        placement.canvas,
        CornerRadius::same(theme::RADIUS),
        cx.theme.stage,
    );
    let picture = match shown {
        OnStage::Nothing => None,
        OnStage::Forming(step) => cx.thumbnails.preview(ui.ctx(), step.key, &step.preview),
        OnStage::Small(generation) => cx.thumbnails.generation(ui.ctx(), generation),
        OnStage::Pair(pair) => cx
            .thumbnails
            .preview(ui.ctx(), pair.request.generation, &pair.generated),
    };
    if let Some(picture) = picture {
        painter.image(picture.texture, placement.picture, picture.uv, Color32::WHITE);
    }
}

fn captions(ui: &Ui, cx: &Cx<'_>, shown: &OnStage, inner: Rect, line: Option<f32>, original: bool) {
    // Each caption stays on its side of an upright split line.
    let line = line.map_or(inner.right(), |x| x.clamp(inner.left(), inner.right()));
    let (near, far) = (line - inner.left(), inner.right() - line);
    if inner.height() < 60.0 {
        return;
    }
    let painter = ui.painter();
    let left = inner.left_top() + vec2(2.0, 2.0) * UNIT;
    match shown {
        OnStage::Nothing => {}
        OnStage::Forming(step) => {
            let words = format!("step {} / {}", step.step, step.steps);
            caption(painter, left, Align2::LEFT_TOP, &words, near);
        }
        OnStage::Small(_) => caption(painter, left, Align2::LEFT_TOP, "loading", near),
        OnStage::Pair(pair) => {
            let mode = if original {
                Mode::Plain
            } else {
                cx.state.overlay.mode
            };
            let whose = match (&cx.state.compare.second, &pair.request.variant) {
                (None, _) => "generated".to_owned(),
                (Some(b), Some(drawn)) if b == drawn => format!("B · {b}"),
                (_, drawn) => format!("A · {}", drawn.as_deref().unwrap_or(super::sides::ORIGINAL)),
            };
            let words = match mode {
                Mode::Plain => whose,
                mode => format!("{whose} · {}", mode.name().to_lowercase()),
            };
            let mark = cx.state.current().and_then(|g| g.edit_mark());
            let words = mark.map_or_else(|| words.clone(), |mark| format!("{words} · {mark}"));
            caption(painter, left, Align2::LEFT_TOP, &words, near);
            if let Some(other) = pair.request.against.as_ref().filter(|_| far > 0.0) {
                let letter = if *other == cx.state.compare.second {
                    "B"
                } else {
                    "A"
                };
                let name = other.as_deref().unwrap_or(super::sides::ORIGINAL);
                let right = inner.right_top() + vec2(-2.0, 2.0) * UNIT;
                caption(
                    painter,
                    right,
                    Align2::RIGHT_TOP,
                    &format!("{letter} · {name}"),
                    far,
                );
            }
            if let Some(gallery) = pair.request.gallery.filter(|_| far > 0.0) {
                let image = cx
                    .state
                    .study
                    .outline()
                    .and_then(|o| o.gallery.get(gallery as usize));
                let name = image.map_or_else(|| gallery.to_string(), |i| i.name());
                let right = inner.right_top() + vec2(-2.0, 2.0) * UNIT;
                caption(
                    painter,
                    right,
                    Align2::RIGHT_TOP,
                    &format!("training · {name}"),
                    far,
                );
            }
        }
    }
}

/// A round number of picture pixels, as long as it is drawn, at the lower edge.
fn scale_bar(ui: &Ui, placement: &Placement) {
    let canvas = placement.canvas;
    // Beside the overlay controls.
    if canvas.width() < 560.0 || canvas.height() < 160.0 {
        return;
    }
    let pixels = round_length(130.0 / placement.scale);
    let half = vec2(0.5 * pixels * placement.scale, 0.0);
    let middle = pos2(canvas.center().x, canvas.bottom() - 3.0 * UNIT);
    let (white, dark) = (Color32::WHITE, theme::Theme::dark().pane);
    let painter = ui.painter();
    let tick = vec2(0.0, UNIT);
    for (width, color) in [(3.5, dark.gamma_multiply(0.7)), (1.5, white)] {
        let stroke = Stroke::new(width, color);
        painter.line_segment([middle - half, middle + half], stroke);
        for end in [middle - half, middle + half] {
            painter.line_segment([end - tick, end + tick], stroke);
        }
    }
    let at = middle - vec2(0.0, 1.5 * UNIT);
    caption(painter, at, Align2::CENTER_BOTTOM, &format!("{pixels} px"), 120.0);
}

/// The largest of 1, 2, 5, 10, 20, 50 … that is not above `most`; 1 at least.
fn round_length(most: f32) -> f32 {
    let ten = 10_f32.powf(most.max(1.0).log10().floor());
    let fits = [5.0, 2.0, 1.0].into_iter().find(|n| n * ten <= most);
    fits.unwrap_or(1.0) * ten
}

/// The line between the two pictures, and the knob that moves it.
fn split_handle(ui: &mut Ui, cx: &mut Cx<'_>, placement: &Placement) {
    const KNOB: f32 = 11.0;
    let normal = split_normal(&cx.state.overlay);
    let picture = placement.picture;
    let extent = normal.x.abs() * picture.width() + normal.y.abs() * picture.height();
    let middle = picture.center() + normal * (cx.state.overlay.split_at - 0.5) * extent;
    let Some(ends) = line_in_rect(middle, normal.rot90(), picture.intersect(placement.canvas)) else {
        return;
    };
    let inside = placement.canvas.shrink(KNOB + 2.0);
    let knob = inside.clamp(ends[0] + (ends[1] - ends[0]) * 0.5);
    let upright = normal.x.abs() > 0.999;
    let zone = if upright {
        Rect::from_two_pos(ends[0], ends[1])
            .expand2(vec2(6.0, 0.0))
            .union(Rect::from_center_size(knob, Vec2::splat(2.0 * KNOB)))
    } else {
        Rect::from_center_size(knob, Vec2::splat(2.0 * KNOB + 6.0))
    };
    let response = ui.interact(zone, Id::unique("split handle"), Sense::drag());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Splitter, true, "Split handle"));
    if let Some(pointer) = response.interact_pointer_pos().filter(|_| response.dragged()) {
        let mut overlay = cx.state.overlay;
        overlay.split_at = ((pointer - picture.center()).dot(normal) / extent + 0.5).clamp(0.0, 1.0);
        if overlay != cx.state.overlay {
            cx.ask(Action::SetOverlay(overlay));
        }
    }
    let active = response.hovered() || response.dragged();
    if active {
        ui.ctx().set_cursor_icon(if upright {
            CursorIcon::ResizeHorizontal
        } else {
            CursorIcon::Grab
        });
    }
    let painter = ui.painter().with_clip_rect(placement.canvas);
    let (white, dark) = (Color32::WHITE, theme::Theme::dark().pane);
    painter.line_segment(ends, Stroke::new(3.0, dark.gamma_multiply(0.35)));
    painter.line_segment(ends, Stroke::new(1.5, white));
    painter.circle(
        knob,
        if active { KNOB + 1.0 } else { KNOB },
        white,
        Stroke::new(1.0, dark.gamma_multiply(0.4)),
    );
    for side in [-1.0, 1.0] {
        let tip = knob + normal * side * 6.5;
        let back = knob + normal * side * 2.5;
        let across = normal.rot90() * 3.2;
        painter.add(egui::Shape::convex_polygon(
            vec![tip, back + across, back - across],
            dark,
            Stroke::NONE,
        ));
    }
}

/// The part of a line inside a rectangle.
fn line_in_rect(through: Pos2, direction: Vec2, rect: Rect) -> Option<[Pos2; 2]> {
    let (mut low, mut high) = (f32::NEG_INFINITY, f32::INFINITY);
    for (origin, step, min, max) in [
        (through.x, direction.x, rect.min.x, rect.max.x),
        (through.y, direction.y, rect.min.y, rect.max.y),
    ] {
        if step.abs() < 1e-6 {
            if origin < min || origin > max {
                return None;
            }
            continue;
        }
        let (a, b) = ((min - origin) / step, (max - origin) / step);
        low = low.max(a.min(b));
        high = high.min(a.max(b));
    }
    (low < high).then(|| [through + direction * low, through + direction * high])
}

#[cfg(test)]
mod tests {
    use super::round_length;

    #[test]
    fn a_scale_has_a_round_length() {
        let cases = [
            (0.3, 1.0),
            (1.0, 1.0),
            (1.9, 1.0),
            (4.9, 2.0),
            (9.99, 5.0),
            (10.0, 10.0),
            (130.0, 100.0),
        ];
        for (most, length) in cases {
            assert_eq!(round_length(most), length, "{most}");
        }
    }
}
