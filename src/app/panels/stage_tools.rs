//! The overlay controls that float on the canvas.

use crate::{
    app::{
        action::Action,
        command::Command,
        context::Cx,
        controls::{self, told_slider},
        marks,
        state::OverlaySettings,
        theme::{self, Theme, UNIT},
    },
    render::{Mode, Ramp},
    study::SignalMaps,
};
use egui::{Color32, ComboBox, CornerRadius, Rect, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

/// The controls of the overlay, at the lower left.
pub fn controls(ui: &mut Ui, cx: &mut Cx<'_>, canvas: Rect, signals: Option<&SignalMaps>) {
    const WIDTH: f32 = 172.0;
    if canvas.width() < WIDTH + 8.0 * UNIT || canvas.height() < 220.0 {
        return;
    }
    let mut overlay = cx.state.overlay;
    let open = cx.state.open.controls;
    let rows = if open { rows(&overlay, signals) } else { 0 };
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
                layers(ui, theme, &mut overlay, signals);
            }
        },
    );
    if overlay != cx.state.overlay {
        cx.ask(Action::SetOverlay(overlay));
    }
}

fn rows(overlay: &OverlaySettings, signals: Option<&SignalMaps>) -> usize {
    let own = match overlay.mode {
        Mode::Plain => 0,
        Mode::Heat => 6,
        Mode::Isolate | Mode::Outline => 4,
        Mode::Reveal => 5,
        Mode::Difference | Mode::Blink => 1,
    };
    let layers = signals.map_or(0, |s| {
        usize::from(s.ending.is_some()) + usize::from(s.difference.is_some())
    });
    own + layers + if overlay.split { 2 } else { 0 }
}

fn sliders(ui: &mut Ui, theme: &Theme, overlay: &mut OverlaySettings) {
    let maps = matches!(
        overlay.mode,
        Mode::Heat | Mode::Isolate | Mode::Outline | Mode::Reveal
    );
    if maps {
        told_slider(
            ui,
            theme,
            ("Foreground", "How strongly the copied foreground is coloured"),
            &mut overlay.foreground,
            0.0..=1.0,
            2,
        );
        told_slider(
            ui,
            theme,
            ("Background", "How strongly the copied background is coloured"),
            &mut overlay.background,
            0.0..=1.0,
            2,
        );
        told_slider(
            ui,
            theme,
            (
                "Threshold",
                "Local similarity to the training image that counts as copied",
            ),
            &mut overlay.threshold,
            0.0..=1.0,
            2,
        );
        told_slider(
            ui,
            theme,
            ("Softness", "Width of the step around that similarity"),
            &mut overlay.softness,
            0.0..=1.0,
            2,
        );
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
            told_slider(
                ui,
                theme,
                (
                    "Reveal",
                    "How far the training image shows through where the match is strong",
                ),
                &mut overlay.reveal,
                0.0..=1.0,
                2,
            );
        }
        Mode::Difference => {
            told_slider(
                ui,
                theme,
                ("Gain", "Factor on the difference in brightness"),
                &mut overlay.gain,
                1.0..=8.0,
                1,
            );
        }
        Mode::Blink => {
            told_slider(
                ui,
                theme,
                ("Blinks / s", "How often the two pictures take turns"),
                &mut overlay.blink_hz,
                1.0..=5.0,
                1,
            );
        }
        Mode::Plain | Mode::Isolate | Mode::Outline => {}
    }
    if overlay.split {
        told_slider(
            ui,
            theme,
            (
                "Split at",
                "Where the line stands; it can be dragged on the picture too",
            ),
            &mut overlay.split_at,
            0.0..=1.0,
            2,
        );
        told_slider(
            ui,
            theme,
            ("Split angle", "Angle of the line in degrees; 0 is upright"),
            &mut overlay.split_angle,
            -90.0..=90.0,
            0,
        );
    }
}

/// The layers that were recorded with this picture.
fn layers(ui: &mut Ui, theme: &Theme, overlay: &mut OverlaySettings, signals: Option<&SignalMaps>) {
    let Some(signals) = signals else { return };
    let told = |command: Command| {
        let (_, tip) = command.words();
        let key = command.key_text().map_or(String::new(), |k| format!(" ({k})"));
        format!("{tip}{key}")
    };
    if signals.ending.is_some() {
        let tip = told(Command::ToggleEnding);
        told_slider(ui, theme, ("Ending", &tip), &mut overlay.ending, 0.0..=1.0, 2);
    }
    if signals.difference.is_some() {
        let tip = told(Command::ToggleChange);
        told_slider(
            ui,
            theme,
            ("Score diff.", &tip),
            &mut overlay.change,
            0.0..=1.0,
            2,
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
