//! What was told: a card per trouble. New ones float over the Stage; all of them stay in the Log.

use crate::app::{
    action::Action,
    command::Command,
    context::Cx,
    controls, marks,
    state::Notice,
    theme::{self, UNIT},
};
use egui::{Frame, Margin, RichText, ScrollArea, Sense, Ui, WidgetInfo, vec2};
use egui_tiles::UiResponse;

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let header = controls::header(ui, cx, "Log", "");
    let state = cx.state;
    super::figures::in_log(ui, cx);
    if state.notices.is_empty() && state.skipped.is_empty() {
        controls::empty(
            ui,
            cx,
            "Nothing to report",
            "Troubles and remarks are kept here.",
            |_, _| {},
        );
        return controls::moved(&header);
    }
    if !state.notices.is_empty() && ui.button("Dismiss all").clicked() {
        cx.command(Command::DismissNotices);
    }
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        skipped(ui, cx);
        for notice in state.notices.iter().rev() {
            card(ui, cx, notice, false);
        }
    });
    controls::moved(&header)
}

/// Every file that was left out, with its reason; folded at first when there are many.
fn skipped(ui: &mut Ui, cx: &Cx<'_>) {
    /// Lines that are laid out; the run's folder has all of them.
    const MOST: usize = 1000;
    let files = &cx.state.skipped;
    if files.is_empty() {
        return;
    }
    let title = format!("Skipped files ({})", files.len());
    egui::CollapsingHeader::new(title)
        .default_open(files.len() <= 12)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            for file in files.iter().take(MOST) {
                ui.horizontal_wrapped(|ui| {
                    let name = file
                        .path
                        .file_name()
                        .unwrap_or(file.path.as_os_str())
                        .to_string_lossy();
                    let label = ui.label(RichText::new(name).small().monospace().color(cx.theme.text));
                    label.on_hover_text(file.path.display().to_string());
                    ui.label(RichText::new(&file.reason).small().color(cx.theme.weak));
                });
            }
            if files.len() > MOST {
                let more = format!("and {} more", files.len() - MOST);
                ui.label(RichText::new(more).small().color(cx.theme.faint));
            }
        });
}

/// Cards of what was told lately, over the other panes; never in the way of a click elsewhere.
pub fn floating(ctx: &egui::Context, cx: &mut Cx<'_>) {
    const MOST: usize = 3;
    let state = cx.state;
    let lately: Vec<&Notice> = state.notices.iter().filter(|n| n.floating).collect();
    if lately.is_empty() {
        return;
    }
    egui::Area::new(egui::Id::unique("notices"))
        .anchor(egui::Align2::LEFT_BOTTOM, vec2(4.0, -4.0) * UNIT)
        .order(egui::Order::Foreground)
        .show(ctx, |ui| {
            ui.set_max_width(380.0);
            let hidden = lately.len().saturating_sub(MOST);
            if hidden > 0 {
                ui.label(
                    RichText::new(format!("{hidden} more in the Log"))
                        .small()
                        .color(cx.theme.weak),
                );
            }
            for notice in &lately[hidden..] {
                card(ui, cx, notice, true);
            }
        });
}

fn card(ui: &mut Ui, cx: &mut Cx<'_>, notice: &Notice, floats: bool) {
    let theme = cx.theme;
    let edge = if notice.failed { theme.danger } else { theme.accent };
    let mut frame = Frame::new()
        .fill(theme.raised)
        .corner_radius(theme::RADIUS)
        .inner_margin(Margin {
            left: 14,
            right: 10,
            top: 10,
            bottom: 10,
        });
    if floats {
        frame = frame.shadow(ui.visuals().popup_shadow);
    }
    let shown = frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        let problem = &notice.problem;
        ui.horizontal_top(|ui| {
            let width = ui.available_width() - 7.0 * UNIT;
            ui.vertical(|ui| {
                ui.set_width(width);
                ui.spacing_mut().item_spacing.y = UNIT;
                ui.label(RichText::new(&problem.headline).color(theme.text));
                if let Some(path) = &problem.path {
                    ui.label(
                        RichText::new(path.display().to_string())
                            .small()
                            .monospace()
                            .color(theme.weak),
                    );
                }
                for detail in problem.details.iter().take(6) {
                    ui.label(RichText::new(detail).small().color(theme.weak));
                }
                if problem.details.len() > 6 {
                    let more = format!("and {} more", problem.details.len() - 6);
                    ui.label(RichText::new(more).small().color(theme.faint));
                }
                if !problem.advice.is_empty() {
                    ui.label(RichText::new(&problem.advice).color(theme.text));
                }
            });
            let (rect, dismiss) = ui.allocate_exact_size(vec2(5.0, 5.0) * UNIT, Sense::click());
            let name = format!("Dismiss: {}", problem.headline);
            dismiss.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, &name));
            let ink = if dismiss.hovered() { theme.text } else { theme.weak };
            marks::cross(ui.painter(), rect.center(), 9.0, ink);
            if dismiss.clicked() {
                cx.ask(Action::Dismiss(notice.id));
            }
        });
    });
    let rect = shown.response.rect;
    let line = egui::Rect::from_min_size(rect.min + vec2(5.0, 10.0), vec2(2.5, rect.height() - 20.0));
    ui.painter().rect_filled(line, 1.0, edge);
}
