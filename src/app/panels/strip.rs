//! All pictures of the prompt, side by side, each with its class and score.

use super::{prompts::progress_ring, seen::Seen};
use crate::{
    app::{
        action::Action,
        command::Command,
        context::Cx,
        controls::{self, score},
        theme::{self, UNIT},
    },
    engine::StepPreview,
    study::{Generation, GenerationKey},
};
use egui::{Align2, CornerRadius, ScrollArea, Sense, Ui, WidgetInfo, vec2};
use egui_tiles::UiResponse;
use std::sync::Arc;

/// Draws the pane: one row of pictures, or A's over B's with each seed in one column.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let Some(prompt) = cx.state.selection.prompt else {
        let header = controls::header(ui, cx, "Seeds", "");
        let words = if cx.state.study.outline().is_none() {
            "All pictures of a prompt stand here, one for each seed. Open a study first."
        } else {
            "Choose a prompt: its pictures stand here, one for each seed."
        };
        ui.label(egui::RichText::new(words).color(cx.theme.weak));
        return controls::moved(&header);
    };
    let state = cx.state;
    let seeds = &state.derived.seeds;
    let forming: Vec<_> = cx.state.study.forming_of(prompt).cloned().collect();
    let two = cx.state.compare.second.is_some();
    let note = match (seeds.len(), two) {
        (0, _) => String::new(),
        (_, true) => "A above, B below · [ and ] step through them".to_owned(),
        (1, _) => "1 picture".to_owned(),
        (n, _) => format!("{n} pictures · [ and ] step through them"),
    };
    let header = controls::header(ui, cx, "Seeds", &note);
    if seeds.is_empty() && forming.is_empty() {
        let text = if cx.state.is_running() {
            "Waiting for its turn."
        } else {
            "Run draws this prompt once per seed."
        };
        ui.label(egui::RichText::new(text).color(cx.theme.weak));
        return controls::moved(&header);
    }
    let height = ui.available_height();
    let side = if two { (height - 14.0) * 0.5 } else { height - 4.0 };
    // Whole points: a hundred thousand columns stay where they belong.
    let side = side.clamp(36.0, 124.0).floor();
    // Whose picture it is that forms.
    let drawing = cx.state.jobs.iter().find(|j| j.draws && j.started);
    let second_forms = two && drawing.is_some_and(|j| j.variant == cx.state.compare.second);
    let stride = side + 2.0 * UNIT;
    let rows = if two { 2.0 * side + UNIT } else { side };
    let size = vec2(stride * seeds.len() as f32 + 4.0, rows + 4.0);
    let mut area = ScrollArea::both().auto_shrink([false, false]);
    if let Some(offset) = offset_to_current(ui, cx, seeds, stride) {
        area = area.horizontal_scroll_offset(offset);
    }
    let output = area.show_viewport(ui, |ui, viewport| {
        ui.set_min_size(size);
        let origin = ui.min_rect().min;
        // Only what is in view is laid out.
        let from = ((viewport.left() - 2.0) / stride).floor().max(0.0) as usize;
        let to = ((viewport.right() / stride).ceil().max(0.0) as usize).min(seeds.len());
        for (place, &seed) in seeds.iter().enumerate().take(to).skip(from) {
            cx.rows += 1;
            let at = origin + vec2(2.0 + stride * place as f32, 2.0);
            let rect = egui::Rect::from_min_size(at, vec2(side, rows));
            let builder = egui::UiBuilder::new().id_salt(("seed", seed)).max_rect(rect);
            ui.scope_builder(builder, |ui| {
                ui.spacing_mut().item_spacing = vec2(2.0 * UNIT, UNIT);
                let key = GenerationKey { prompt, seed };
                let first = state.study.generation(key).cloned();
                let second = state.second(key).cloned();
                let step = forming.iter().find(|f| f.key == key);
                let place = |ui: &mut Ui, cx: &mut Cx<'_>, drawn: Option<Arc<Generation>>, b: bool| match (
                    drawn,
                    step.filter(|_| b == second_forms),
                ) {
                    (Some(generation), _) => picture(ui, cx, &generation, side, b.then_some("B ")),
                    (None, Some(step)) => forming_picture(ui, cx, step, side),
                    (None, None) => gap(ui, cx, seed, side, b),
                };
                place(ui, cx, first, false);
                if two {
                    place(ui, cx, second, true);
                }
            });
        }
    });
    Seen::keep(ui, SEEN, state.selection.key(), &output, 0);
    controls::moved(&header)
}

/// Name of what the strip showed in the last frame.
const SEEN: &str = "seeds seen";

/// Where to scroll when another seed was chosen and its picture is out of view.
fn offset_to_current(ui: &Ui, cx: &Cx<'_>, seeds: &[u64], stride: f32) -> Option<f32> {
    let key = cx.state.selection.key()?;
    let seen = Seen::before(ui, SEEN, key)?;
    let place = seeds.binary_search(&key.seed).ok()?;
    seen.scroll_to_middle(place as f32 * stride, stride)
}

/// One picture with its class and score.
fn picture(ui: &mut Ui, cx: &mut Cx<'_>, generation: &Arc<Generation>, side: f32, before: Option<&str>) {
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::click());
    let second = before.is_some();
    let chosen = cx.state.selection.seed == Some(generation.key.seed)
        && cx
            .state
            .current()
            .is_some_and(|c| c.variant == generation.variant || cx.state.beside());
    let verdict = generation.verdict(&cx.state.thresholds);
    let scores = generation.scores();
    let letters = verdict.map_or("not compared", |v| v.letters());
    let marked = generation.edit_mark().map_or(String::new(), |m| format!(", {m}"));
    let name = format!(
        "{}Seed {}, {letters}{marked}",
        before.unwrap_or_default(),
        generation.key.seed
    );
    response.widget_info(|| WidgetInfo::selected(egui::Role::ListItem, true, chosen, &name));
    if ui.is_rect_visible(rect) {
        let picture = cx.thumbnails.generation(ui.ctx(), generation);
        controls::thumbnail(ui.painter(), cx.theme, rect, picture, theme::RADIUS);
        let text = scores
            .and_then(|s| s.average())
            .map_or("–".to_owned(), |a| format!("{a:.3}"));
        // On a small picture there is room for the mark alone.
        let text = match generation.edit_mark() {
            _ if side < 56.0 => String::new(),
            Some(mark) if side >= 100.0 => format!("{text} {mark}"),
            Some(_) => format!("{text} *"),
            None => text,
        };
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
        if cx.state.compare.show_second != second && cx.state.compare.second.is_some() {
            cx.command(Command::ShowVariant);
        }
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
    let tip = match generation.edit_mark() {
        Some(mark) => format!("{tip}\n{mark}"),
        None => tip,
    };
    let tip = match &generation.variant {
        Some(variant) => format!("{tip}\ndrawn with {variant}"),
        None => tip,
    };
    response.on_hover_text(tip);
}

/// A picture that forms, with how far it is.
fn forming_picture(ui: &mut Ui, cx: &mut Cx<'_>, step: &StepPreview, side: f32) {
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

/// The place of a picture that A or B lacks.
fn gap(ui: &mut Ui, cx: &Cx<'_>, seed: u64, side: f32, second: bool) {
    let (rect, response) = ui.allocate_exact_size(vec2(side, side), Sense::hover());
    let letter = if second { "B" } else { "A" };
    let name = format!("{letter} has no seed {seed}");
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Label, true, &name));
    ui.painter()
        .rect_filled(rect, CornerRadius::same(theme::RADIUS), cx.theme.raised);
    ui.painter().text(
        rect.center(),
        Align2::CENTER_CENTER,
        "–",
        controls::body(),
        cx.theme.faint,
    );
    response.on_hover_text(name);
}
