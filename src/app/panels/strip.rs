//! All pictures of the prompt, side by side, each with its class and score.

use super::prompts::progress_ring;
use crate::app::{
    action::Action,
    context::Cx,
    controls::{self, score},
    theme::{self, UNIT},
};
use egui::{Align2, CornerRadius, ScrollArea, Sense, Ui, WidgetInfo, vec2};
use egui_tiles::UiResponse;

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let Some(prompt) = cx.state.selection.prompt else {
        let header = controls::header(ui, cx, "Seeds", "");
        return controls::moved(&header);
    };
    let drawn: Vec<_> = cx.state.study.of_prompt(prompt).cloned().collect();
    let forming: Vec<_> = cx.state.study.forming_of(prompt).cloned().collect();
    let note = match drawn.len() {
        0 => String::new(),
        1 => "1 picture".to_owned(),
        n => format!("{n} pictures · [ and ] step through them"),
    };
    let header = controls::header(ui, cx, "Seeds", &note);
    if drawn.is_empty() && forming.is_empty() {
        let text = if cx.state.is_running() {
            "Waiting for its turn."
        } else {
            "Run draws this prompt once per seed."
        };
        ui.label(egui::RichText::new(text).color(cx.theme.weak));
        return controls::moved(&header);
    }
    let side = ui.available_height().clamp(40.0, 128.0) - 4.0;
    ScrollArea::horizontal()
        .auto_shrink([false, false])
        .show(ui, |ui| {
            // Room for the frame of the chosen one.
            ui.add_space(2.0);
            ui.horizontal(|ui| {
                ui.add_space(2.0);
                ui.spacing_mut().item_spacing.x = 2.0 * UNIT;
                for generation in &drawn {
                    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
                    let chosen = cx.state.selection.seed == Some(generation.key.seed);
                    let verdict = generation.verdict(&cx.state.thresholds);
                    let scores = generation.scores();
                    let letters = verdict.map_or("not compared", |v| v.letters());
                    let name = format!("Seed {}, {letters}", generation.key.seed);
                    response.widget_info(|| WidgetInfo::selected(egui::Role::ListItem, true, chosen, &name));
                    if ui.is_rect_visible(rect) {
                        let picture = cx.thumbnails.generation(ui.ctx(), generation);
                        controls::thumbnail(ui.painter(), cx.theme, rect, picture, theme::RADIUS);
                        let text = scores
                            .and_then(|s| s.average())
                            .map_or("–".to_owned(), |a| format!("{a:.3}"));
                        controls::badge(ui.painter(), cx.theme, rect, verdict, &text);
                        if chosen {
                            controls::chosen_frame(ui.painter(), cx.theme, rect);
                        } else if response.hovered() {
                            let stroke = egui::Stroke::new(1.0, cx.theme.weak);
                            let radius = CornerRadius::same(theme::RADIUS);
                            ui.painter()
                                .rect_stroke(rect, radius, stroke, egui::StrokeKind::Outside);
                        }
                    }
                    if response.clicked() {
                        cx.ask(Action::PickGeneration(generation.key));
                    }
                    let tip = match scores {
                        Some(s) => format!(
                            "seed {}\nforeground {}\nbackground {}\naverage {}\n{:.1} s",
                            generation.key.seed,
                            score(s.foreground),
                            score(s.background),
                            score(s.average()),
                            generation.seconds,
                        ),
                        None => format!("seed {}, not compared yet", generation.key.seed),
                    };
                    let tip = match &generation.variant {
                        Some(variant) => format!("{tip}\ndrawn with {variant}"),
                        None => tip,
                    };
                    response.on_hover_text(tip);
                }
                for step in forming.iter().filter(|f| drawn.iter().all(|g| g.key != f.key)) {
                    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
                    let name = format!("Seed {}, forming", step.key.seed);
                    response.widget_info(|| WidgetInfo::labeled(egui::Role::ListItem, true, &name));
                    let picture = cx.thumbnails.preview(ui.ctx(), step.key, &step.preview);
                    controls::thumbnail(ui.painter(), cx.theme, rect, picture, theme::RADIUS);
                    let share = step.step as f32 / step.steps.max(1) as f32;
                    let veil = cx.theme.stage.gamma_multiply(0.45);
                    ui.painter()
                        .rect_filled(rect, CornerRadius::same(theme::RADIUS), veil);
                    progress_ring(
                        ui.painter(),
                        rect.center(),
                        14.0,
                        share,
                        cx.theme.accent,
                        cx.theme.line,
                    );
                    ui.painter().text(
                        rect.center(),
                        Align2::CENTER_CENTER,
                        step.step,
                        controls::small(),
                        cx.theme.text,
                    );
                    if cx.state.selection.seed == Some(step.key.seed) {
                        controls::chosen_frame(ui.painter(), cx.theme, rect);
                    }
                    if response.clicked() {
                        cx.ask(Action::PickGeneration(step.key));
                    }
                }
            });
        });
    controls::moved(&header)
}
