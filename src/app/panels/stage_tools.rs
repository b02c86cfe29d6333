//! What floats on the canvas: overlay controls and the pixel inspector.

use crate::{
    app::{
        action::Action,
        context::Cx,
        controls::{self, slider},
        marks,
        on_stage::{OnStage, Placement},
        state::OverlaySettings,
        theme::{self, Theme, UNIT},
    },
    render::{Mode, Ramp},
};
use egui::{
    Align2, Color32, ComboBox, CornerRadius, Frame, Pos2, Rect, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2,
};

/// The controls of the overlay, at the lower left.
pub fn controls(ui: &mut Ui, cx: &mut Cx<'_>, canvas: Rect) {
    const WIDTH: f32 = 172.0;
    if canvas.width() < WIDTH + 8.0 * UNIT || canvas.height() < 220.0 {
        return;
    }
    let mut overlay = cx.state.overlay;
    let open = cx.state.open.controls;
    let rows = if open { rows(&overlay) } else { 0 };
    let height = if open {
        rows as f32 * (5.0 + 0.5) * UNIT + 7.5 * UNIT
    } else {
        7.0 * UNIT
    };
    let width = if open { WIDTH } else { 84.0 };
    let rect = Rect::from_min_size(
        pos2(canvas.left() + 2.0 * UNIT, canvas.bottom() - height - 2.0 * UNIT),
        vec2(width, height),
    );
    // Takes clicks, so that a drag beside a slider does not move the picture below.
    ui.interact(
        rect,
        ui.scope_id().with("overlay controls"),
        Sense::click_and_drag(),
    );
    let theme = cx.theme;
    ui.painter()
        .rect_filled(rect, CornerRadius::same(theme::RADIUS + 2), theme.float);
    ui.scope_builder(
        UiBuilder::new().max_rect(rect.shrink2(vec2(2.0, 1.0) * UNIT)),
        |ui| {
            ui.spacing_mut().item_spacing.y = 0.5 * UNIT;
            let (line, fold) = ui.allocate_exact_size(vec2(ui.available_width(), 5.0 * UNIT), Sense::click());
            fold.widget_info(|| WidgetInfo::selected(egui::Role::Button, true, open, "Overlay controls"));
            let ink = if fold.hovered() { theme.text } else { theme.weak };
            controls::line(
                ui.painter(),
                line.left_center(),
                "Overlay",
                controls::small(),
                ink,
                line.width(),
            );
            marks::chevron(ui.painter(), line.right_center() - vec2(5.0, 0.0), open, ink);
            if fold.on_hover_text("Show or hide (C)").clicked() {
                cx.command(crate::app::command::Command::ToggleControls);
            }
            if open {
                sliders(ui, theme, &mut overlay);
            }
        },
    );
    if overlay != cx.state.overlay {
        cx.ask(Action::SetOverlay(overlay));
    }
}

fn rows(overlay: &OverlaySettings) -> usize {
    let own = match overlay.mode {
        Mode::Plain => 0,
        Mode::Heat => 6,
        Mode::Isolate | Mode::Outline => 4,
        Mode::Reveal => 5,
        Mode::Difference | Mode::Blink => 1,
    };
    own + if overlay.split { 2 } else { 0 }
}

fn sliders(ui: &mut Ui, theme: &Theme, overlay: &mut OverlaySettings) {
    let maps = matches!(
        overlay.mode,
        Mode::Heat | Mode::Isolate | Mode::Outline | Mode::Reveal
    );
    if maps {
        slider(ui, theme, "Foreground", &mut overlay.foreground, 0.0..=1.0, 2);
        slider(ui, theme, "Background", &mut overlay.background, 0.0..=1.0, 2);
        slider(ui, theme, "Threshold", &mut overlay.threshold, 0.0..=1.0, 2);
        slider(ui, theme, "Softness", &mut overlay.softness, 0.0..=1.0, 2);
    }
    match overlay.mode {
        Mode::Heat => {
            ramp_choice(
                ui,
                theme,
                "Foreground ramp",
                "Ramp F",
                &mut overlay.foreground_ramp,
            );
            ramp_choice(
                ui,
                theme,
                "Background ramp",
                "Ramp B",
                &mut overlay.background_ramp,
            );
        }
        Mode::Reveal => {
            slider(ui, theme, "Reveal", &mut overlay.reveal, 0.0..=1.0, 2);
        }
        Mode::Difference => {
            slider(ui, theme, "Gain", &mut overlay.gain, 1.0..=8.0, 1);
        }
        Mode::Blink => {
            slider(ui, theme, "Blinks / s", &mut overlay.blink_hz, 1.0..=5.0, 1);
        }
        Mode::Plain | Mode::Isolate | Mode::Outline => {}
    }
    if overlay.split {
        slider(ui, theme, "Split at", &mut overlay.split_at, 0.0..=1.0, 2);
        slider(
            ui,
            theme,
            "Split angle",
            &mut overlay.split_angle,
            -90.0..=90.0,
            0,
        );
    }
}

fn ramp_choice(ui: &mut Ui, theme: &Theme, name: &str, short: &str, ramp: &mut Ramp) {
    ui.spacing_mut().interact_size.y = 5.0 * UNIT;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = UNIT;
        let (rect, _) = ui.allocate_exact_size(vec2(controls::NAME, 5.0 * UNIT), Sense::hover());
        controls::line(
            ui.painter(),
            rect.left_center(),
            short,
            controls::small(),
            theme.weak,
            controls::NAME,
        );
        ui.spacing_mut().button_padding = vec2(1.0, 0.0) * UNIT;
        let shown = ComboBox::from_id_salt(name)
            .width(ui.available_width() - UNIT)
            .selected_text("")
            .show_ui(ui, |ui| {
                for choice in Ramp::STRENGTH {
                    ui.selectable_value(ramp, choice, choice.name());
                }
            });
        let mut swatch = shown.response.rect.shrink2(vec2(6.0, 6.0));
        swatch.max.x -= 14.0;
        ramp_swatch(ui.painter(), swatch, *ramp);
        let ramp = ramp.name();
        shown
            .response
            .widget_info(|| WidgetInfo::labeled(egui::Role::ComboBox, true, name));
        shown.response.on_hover_text(format!("{name}: {ramp}"));
    });
}

fn ramp_swatch(painter: &egui::Painter, rect: Rect, ramp: Ramp) {
    if rect.width() < 4.0 {
        return;
    }
    let colors = ramp.colors();
    let mut mesh = egui::Mesh::default();
    const STEPS: usize = 24;
    for i in 0..=STEPS {
        let [r, g, b] = colors[i * (Ramp::ENTRIES - 1) / STEPS];
        let x = rect.left() + rect.width() * i as f32 / STEPS as f32;
        let color = Color32::from_rgb(r, g, b);
        mesh.colored_vertex(pos2(x, rect.top()), color);
        mesh.colored_vertex(pos2(x, rect.bottom()), color);
        if i > 0 {
            let v = 2 * i as u32;
            mesh.add_triangle(v - 2, v - 1, v);
            mesh.add_triangle(v - 1, v, v + 1);
        }
    }
    painter.add(egui::Shape::mesh(mesh));
}

/// Numbers of the pixel under the pointer, at the lower right.
pub fn inspector(ui: &mut Ui, cx: &Cx<'_>, shown: &OnStage, placement: &Placement, pointer: Pos2) {
    let Some(pair) = shown.pair() else { return };
    let at = (pointer - placement.picture.min) / placement.scale;
    let (x, y) = (at.x.max(0.0) as u32, at.y.max(0.0) as u32);
    let Some(generated) = pair.generated.get_pixel_checked(x, y) else {
        return;
    };
    let ppp = ui.pixels_per_point();
    let mut rows: Vec<(&str, String, Option<Color32>)> = vec![(
        "pixel",
        format!("{x}, {y}   {:.0} %", placement.scale * ppp * 100.0),
        None,
    )];
    let color = |[r, g, b]: [u8; 3]| (format!("{r:3} {g:3} {b:3}"), Some(Color32::from_rgb(r, g, b)));
    let (text, swatch) = color(generated.0);
    rows.push(("generated", text, swatch));
    if let Some(training) = pair.training.as_ref().and_then(|t| t.get_pixel_checked(x, y)) {
        let (text, swatch) = color(training.0);
        rows.push(("training", text, swatch));
    }
    if let Some(similarity) = pair.similarity.as_ref().and_then(|s| s.get_pixel_checked(x, y)) {
        rows.push((
            "similarity",
            format!("{:.2}", f32::from(similarity.0[0]) / 255.0),
            None,
        ));
    }
    if let Some(matte) = pair.matte.as_ref().and_then(|m| m.get_pixel_checked(x, y)) {
        let region = if matte.0[0] >= 128 {
            "foreground"
        } else {
            "background"
        };
        rows.push(("region", region.to_owned(), None));
    }
    let size = vec2(178.0, rows.len() as f32 * 4.25 * UNIT + 3.0 * UNIT);
    let rect = Rect::from_min_size(
        placement.canvas.right_bottom() - size - vec2(2.0, 2.0) * UNIT,
        size,
    );
    if rect.contains(pointer) || size.x + 250.0 > placement.canvas.width() {
        return;
    }
    let theme = cx.theme;
    let painter = ui.painter();
    painter.add(
        Frame::new()
            .fill(theme.float)
            .corner_radius(theme::RADIUS + 2)
            .paint(rect),
    );
    for (i, (name, value, swatch)) in rows.iter().enumerate() {
        let y = rect.top() + 1.5 * UNIT + (i as f32 + 0.5) * 4.25 * UNIT;
        let left = rect.left() + 2.5 * UNIT;
        painter.text(
            pos2(left, y),
            Align2::LEFT_CENTER,
            name,
            controls::small(),
            theme.weak,
        );
        painter.text(
            pos2(left + 64.0, y),
            Align2::LEFT_CENTER,
            value,
            controls::small(),
            theme.text,
        );
        if let Some(color) = swatch {
            let plate = Rect::from_center_size(pos2(rect.right() - 4.0 * UNIT, y), vec2(14.0, 10.0));
            painter.rect_filled(plate, CornerRadius::same(2), *color);
        }
    }
}
