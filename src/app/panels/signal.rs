//! The live signal: how strongly the prompt pulls at each step, over the calm band of pictures that
//! nobody memorized. It leaves the band steps before the picture can be seen.

use crate::app::{context::Cx, controls, study_view::Band, theme::UNIT};
use egui::{Align2, Mesh, Pos2, Rect, Sense, Shape, Stroke, Ui, WidgetInfo, pos2, vec2};

const SAMPLES: usize = 50;

/// Draws the curve into the rest of the pane.
pub fn ui(ui: &mut Ui, cx: &Cx<'_>) {
    let Some(key) = cx.state.selection.key() else {
        return;
    };
    // Of the picture that is looked at, which may be B's.
    let (curve, steps) = match cx.state.current() {
        Some(shown) if cx.state.study.forming(key).is_none() => (&*shown.noise_norm, shown.noise_norm.len()),
        _ => cx.state.study.noise(key),
    };
    let (curve, steps) = (curve, steps.max(2));
    if ui.available_height() < 14.0 * UNIT {
        return;
    }
    let size = vec2(ui.available_width(), ui.available_height().min(150.0));
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let theme = cx.theme;
    let painter = ui.painter_at(rect.expand(1.0));
    let title = if curve.is_empty() {
        "Text-conditional noise: nothing measured yet"
    } else {
        "Text-conditional noise at each step"
    };
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Figure, true, title));
    painter.text(
        rect.left_top() + vec2(0.0, 2.0),
        Align2::LEFT_TOP,
        title,
        controls::small(),
        theme.weak,
    );
    if curve.is_empty() {
        return;
    }
    let plot = Rect::from_min_max(
        rect.left_top() + vec2(0.0, 5.5 * UNIT),
        rect.right_bottom() - vec2(0.0, 4.5 * UNIT),
    );
    let band = cx.state.study.band(key.prompt, &cx.state.thresholds, SAMPLES);
    let top = curve
        .iter()
        .chain(band.iter().flat_map(|b| &b.high))
        .copied()
        .filter(|v| v.is_finite())
        .fold(f32::MIN_POSITIVE, f32::max)
        * 1.06;
    let place = |at: f32, value: f32| {
        let share = (value / top).clamp(0.0, 1.0);
        pos2(
            plot.left() + at * plot.width(),
            plot.bottom() - share * plot.height(),
        )
    };
    painter.hline(plot.x_range(), plot.bottom(), Stroke::new(1.0, theme.line));
    if let Some(band) = &band {
        painter.add(band_shape(band, place, theme.hovered));
        let middle = band.low.len() * 2 / 3;
        let at = place(
            middle as f32 / (SAMPLES - 1) as f32,
            (band.low[middle] + band.high[middle]) * 0.5,
        );
        painter.text(
            at,
            Align2::CENTER_CENTER,
            "not memorized",
            controls::small(),
            theme.weak,
        );
    }
    let points: Vec<Pos2> = curve
        .iter()
        .enumerate()
        .filter(|(_, v)| v.is_finite())
        .map(|(i, v)| place(i as f32 / (steps - 1) as f32, *v))
        .collect();
    if let Some(&end) = points.last() {
        painter.add(Shape::line(points, Stroke::new(1.8, theme.accent)));
        if curve.len() < steps {
            painter.circle_filled(end, 3.0, theme.accent);
        }
    }
    let axis = |x: f32, anchor: Align2, text: String| {
        painter.text(
            pos2(x, plot.bottom() + 3.0),
            anchor,
            text,
            controls::small(),
            theme.faint,
        );
    };
    axis(plot.left(), Align2::LEFT_TOP, "step 1".to_owned());
    axis(plot.right(), Align2::RIGHT_TOP, steps.to_string());
    response.on_hover_text(
        "Distance between the noise predicted with and without the prompt, at every denoising step.\n\
         The band holds eight of ten pictures of the other prompts that copied nothing.",
    );
}

fn band_shape(band: &Band, place: impl Fn(f32, f32) -> Pos2, color: egui::Color32) -> Shape {
    let mut mesh = Mesh::default();
    let count = band.low.len();
    for (i, (low, high)) in band.low.iter().zip(&band.high).enumerate() {
        let at = i as f32 / (count - 1) as f32;
        mesh.colored_vertex(place(at, *low), color);
        mesh.colored_vertex(place(at, *high), color);
        if i > 0 {
            let v = 2 * i as u32;
            mesh.add_triangle(v - 2, v - 1, v);
            mesh.add_triangle(v - 1, v, v + 1);
        }
    }
    Shape::mesh(mesh)
}
