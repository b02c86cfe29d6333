//! The Stage: the picture, large, with live overlays.

use super::{inspector, prompts::open_buttons, region_tools, stage_canvas, stage_tools};
use crate::{
    app::{
        command::Command,
        context::Cx,
        controls,
        on_stage::OnStage,
        theme::{self, UNIT},
    },
    render::Mode,
};
use egui::{CornerRadius, Layout, Rect, Sense, Ui, WidgetInfo, vec2};
use egui_tiles::UiResponse;

pub use stage_canvas::canvas;

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let header = title_and_modes(ui, cx);
    if cx.state.compare.second.is_some() {
        ui.horizontal_wrapped(|ui| sides(ui, cx));
    }
    let rect = ui.available_rect_before_wrap();
    picture_on_stage(ui, cx, rect);
    header
}

/// The picture with everything that floats on it, or what to do while there is none.
pub fn picture_on_stage(ui: &mut Ui, cx: &mut Cx<'_>, rect: Rect) {
    let shown = OnStage::of(cx.state);
    if matches!(shown, OnStage::Nothing) && cx.state.current().is_none() {
        ui.painter()
            .rect_filled(rect, CornerRadius::same(theme::RADIUS), cx.theme.stage);
        ui.scope_builder(egui::UiBuilder::new().max_rect(rect.shrink(4.0 * UNIT)), |ui| {
            nothing(ui, cx)
        });
        return;
    }
    if cx.state.beside() {
        let middle = rect.center().x;
        let (left, right) = (rect.with_max_x(middle - 2.0), rect.with_min_x(middle + 2.0));
        canvas(ui, cx, left, &shown);
        stage_canvas::second_canvas(ui, cx, right, &OnStage::second(cx.state));
        return;
    }
    canvas(ui, cx, rect, &shown);
}

fn title_and_modes(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let state = cx.state;
    let theme = cx.theme;
    let has_picture = state.current().is_some() || state.watching();
    let title = state
        .selection
        .prompt
        .and_then(|p| state.study.prompt(p))
        .map_or("Stage", |p| p.text.as_str());
    let seed = state
        .selection
        .seed
        .map(|s| format!("seed {s}"))
        .unwrap_or_default();
    let seed = match state.current().and_then(|g| g.variant.clone()) {
        Some(variant) if !state.watching() => format!("{seed} · {variant}"),
        _ => seed,
    };
    const MODES: f32 = 452.0;
    let width = ui.available_width();
    let narrow = width < MODES + 160.0;
    let title_width = if narrow { width } else { width - MODES - 2.0 * UNIT };
    let title_ui = |ui: &mut Ui| {
        let size = vec2(title_width, theme::HEADER_HEIGHT);
        let (rect, response) = ui.allocate_exact_size(size, Sense::drag());
        response
            .widget_info(|| WidgetInfo::labeled(egui::Role::Heading, true, format!("Stage: {title} {seed}")));
        let painter = ui.painter();
        let seed = painter.layout_no_wrap(seed.clone(), controls::small(), theme.weak);
        let room = rect.width() - seed.size().x - 2.0 * UNIT;
        let shown = controls::line(
            painter,
            rect.left_center(),
            title,
            controls::body(),
            theme.text,
            room,
        );
        let at = egui::pos2(shown.right() + 2.0 * UNIT, rect.center().y - seed.size().y * 0.5);
        painter.galley(at, seed, theme.weak);
        response.on_hover_text(title)
    };
    let modes = |ui: &mut Ui, cx: &mut Cx<'_>| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.spacing_mut().button_padding.x = 8.0;
        let button = |ui: &mut Ui, cx: &mut Cx<'_>, command: Command, on: bool| {
            let (name, tip) = command.words();
            let key = command.key_text().unwrap_or_default();
            let response = controls::toggle_enabled(ui, cx.theme, has_picture, on, name);
            if response.on_hover_text(format!("{tip} ({key})")).clicked() {
                cx.command(command);
            }
        };
        // Laid out from the right, so that they end where the picture ends.
        let rightmost_first = ui.layout().prefer_right_to_left();
        let mut buttons: Vec<(Command, bool)> = Mode::ALL
            .into_iter()
            .map(|mode| (Command::Show(mode), cx.state.overlay.mode == mode))
            .collect();
        buttons.push((Command::ToggleSplit, cx.state.overlay.split));
        if rightmost_first {
            buttons.reverse();
        }
        for (command, on) in buttons {
            button(ui, cx, command, has_picture && on);
        }
    };
    let header = if narrow {
        let header = title_ui(ui);
        ui.horizontal_wrapped(|ui| modes(ui, cx));
        header
    } else {
        ui.horizontal(|ui| {
            let header = title_ui(ui);
            ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| modes(ui, cx));
            header
        })
        .inner
    };
    controls::moved(&header)
}

/// What of A and B is shown.
fn sides(ui: &mut Ui, cx: &mut Cx<'_>) {
    let there = cx
        .state
        .selection
        .key()
        .is_some_and(|k| cx.state.second(k).is_some());
    let compare = &cx.state.compare;
    let buttons = [
        (Command::ShowVariant, compare.show_second),
        (Command::AgainstVariant, compare.against_second),
        (Command::SideBySide, compare.side_by_side),
    ];
    for (command, on) in buttons {
        let (name, tip) = command.words();
        let key = command.key_text().unwrap_or_default();
        let response = controls::toggle_enabled(ui, cx.theme, there, on && there, name);
        if response.on_hover_text(format!("{tip} ({key})")).clicked() {
            cx.command(command);
        }
    }
    if !there {
        let words = "B has no picture of this prompt and seed yet";
        ui.label(egui::RichText::new(words).small().color(cx.theme.weak));
        if ui.button(Command::RunSameSeeds.words().0).clicked() {
            cx.command(Command::RunSameSeeds);
        }
    }
}

fn nothing(ui: &mut Ui, cx: &mut Cx<'_>) {
    let state = cx.state;
    let Some(outline) = state.study.outline() else {
        let opening = state.jobs.iter().any(|j| !j.draws);
        let (title, advice) = if opening {
            ("Opening…", "Reading the study.")
        } else {
            (
                "See what a model remembers",
                "Open or drop a study, a Stable Diffusion checkpoint, or a folder of training images.",
            )
        };
        return controls::empty(ui, cx, title, advice, open_buttons);
    };
    if state.is_running() {
        let advice = "Its pictures show here while they form.";
        return controls::empty(ui, cx, "Waiting for its turn", advice, |_, _| {});
    }
    if outline.model.is_none() {
        let advice = "Open a checkpoint folder in diffusers layout to draw pictures.";
        return controls::empty(ui, cx, "This study has no checkpoint", advice, open_buttons);
    }
    let seeds = crate::study::parse_seeds(&state.seeds).map_or(0, |s| s.len());
    let advice = match (state.selection.prompt, seeds) {
        (None, _) => "Choose a prompt on the left, or write your own.".to_owned(),
        (_, 1) => "Run draws this prompt once and looks for its training images.".to_owned(),
        (_, n) => format!("Run draws this prompt with {n} seeds and looks for their training images."),
    };
    controls::empty(ui, cx, "Nothing drawn yet", &advice, |ui, cx| {
        if cx.state.selection.prompt.is_some()
            && controls::main_button(ui, cx.theme, true, "Run this prompt").clicked()
        {
            cx.command(Command::Run);
        }
        if ui.button("Run all prompts").clicked() {
            cx.command(Command::RunAll);
        }
    });
}

/// Panels that float on the canvas.
pub(super) fn floats(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    shown: &OnStage,
    placement: &crate::app::on_stage::Placement,
    pointer: Option<egui::Pos2>,
) {
    if shown.pair().is_some() && !cx.state.open.present {
        let signals = shown.pair().and_then(|pair| pair.signals.clone());
        stage_tools::controls(ui, cx, placement.canvas, signals.as_deref());
        let card = region_tools::card(ui, cx, placement.canvas);
        if let Some(pointer) = pointer.filter(|_| cx.state.open.inspector) {
            inspector::ui(ui, cx, shown, placement, (pointer, card));
        }
    }
}
