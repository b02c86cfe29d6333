//! The prompts: search, class filter, one row each with its seeds as marks, and a field for one's own.

use super::seen::Seen;
use crate::{
    app::{
        action::{Action, Pick},
        command::Command,
        context::Cx,
        controls::{self, line},
        help, marks,
        theme::{self, UNIT},
    },
    study::{Prompt, Verdict},
};
use egui::{
    Button, Color32, CornerRadius, Rect, RichText, ScrollArea, Sense, TextEdit, Ui, WidgetInfo, pos2, vec2,
};
use egui_tiles::UiResponse;

const ROW: f32 = 44.0;

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let state = cx.state;
    let visible = state.visible_prompts();
    let all = state.study.prompts().len();
    let mut note = if visible.len() == all {
        all.to_string()
    } else {
        format!("{} of {all}", visible.len())
    };
    if state.selection.prompts.len() > 1 {
        note = format!("{} chosen · {note}", state.selection.prompts.len());
    }
    let header = controls::header(ui, cx, "Prompts", &note);
    if state.study.outline().is_none() && all == 0 {
        let advice = "Open a study, or a list of prompts (CSV, JSONL, or one per line).";
        controls::empty(ui, cx, "No prompts yet", advice, open_buttons);
        return controls::moved(&header);
    }
    search(ui, cx);
    ui.add_space(UNIT * 0.5);
    chips(ui, cx);
    ui.add_space(UNIT * 0.5);
    let footer = 8.0 * UNIT + ui.spacing().item_spacing.y;
    let height = (ui.available_height() - footer).max(ROW);
    ui.allocate_ui(vec2(ui.available_width(), height), |ui| {
        if visible.is_empty() {
            nothing_visible(ui, cx, all);
        } else {
            ui.spacing_mut().item_spacing.y = 0.0;
            let mut area = ScrollArea::vertical().auto_shrink([false, false]);
            if let Some(offset) = offset_to_current(ui, cx, visible) {
                area = area.vertical_scroll_offset(offset);
            }
            let output = area.show_rows(ui, ROW, visible.len(), |ui, rows| {
                for &at in &visible[rows] {
                    cx.rows += 1;
                    row(ui, cx, &state.study.prompts()[at]);
                }
            });
            Seen::keep(ui, SEEN, state.selection.prompt, &output, 1);
        }
    });
    own_prompt(ui, cx);
    controls::moved(&header)
}

/// Name of what the list showed in the last frame.
const SEEN: &str = "prompts seen";

/// Where to scroll when another prompt was chosen by key or elsewhere and its row is out of view.
fn offset_to_current(ui: &Ui, cx: &Cx<'_>, visible: &[usize]) -> Option<f32> {
    let prompt = cx.state.selection.prompt?;
    let seen = Seen::before(ui, SEEN, prompt)?;
    let row = visible.binary_search(&cx.state.study.place(prompt)?).ok()?;
    seen.scroll_to_edge(row as f32 * ROW, ROW)
}

/// Buttons of every place that asks to open something.
pub fn open_buttons(ui: &mut Ui, cx: &mut Cx<'_>) {
    if controls::main_button(ui, cx.theme, true, "Open folder…").clicked() {
        cx.command(Command::OpenFolder);
    }
    if ui.button("Open by path…").clicked() {
        cx.command(Command::OpenPath);
    }
}

fn search(ui: &mut Ui, cx: &mut Cx<'_>) {
    let mut text = cx.state.search.clone();
    let field = TextEdit::singleline(&mut text)
        .hint_text("Search prompts")
        .desired_width(f32::INFINITY)
        .margin(egui::Margin::symmetric(8, 5));
    let response = ui.add(field);
    response.widget_info(|| WidgetInfo::labeled(egui::Role::SearchInput, true, "Search prompts"));
    if response.changed() {
        cx.ask(Action::Search(text));
    }
}

fn chips(ui: &mut Ui, cx: &mut Cx<'_>) {
    let gap = 1.5 * UNIT;
    let width = ((ui.available_width() - 3.0 * gap) / 4.0).floor();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        for verdict in Verdict::ALL {
            let (rect, response) = ui.allocate_exact_size(vec2(width, 6.5 * UNIT), Sense::click());
            let on = cx.state.wanted.contains(&verdict);
            let count = cx.tally.count(verdict);
            let name = format!("{} {count}", verdict.letters());
            response.widget_info(|| WidgetInfo::selected(egui::Role::CheckBox, true, on, &name));
            let theme = cx.theme;
            let fill = match (on, response.hovered()) {
                (true, _) => theme.verdict(Some(verdict)).gamma_multiply(0.28),
                (false, true) => theme.hovered,
                (false, false) => theme.raised,
            };
            ui.painter()
                .rect_filled(rect, CornerRadius::same(theme::RADIUS), fill);
            let galley = ui
                .painter()
                .layout_no_wrap(count.to_string(), controls::small(), theme.text);
            let left = rect.center().x - (galley.size().x + 14.0) * 0.5;
            marks::mark(
                ui.painter(),
                theme,
                pos2(left + 4.0, rect.center().y),
                4.5,
                Some(verdict),
            );
            ui.painter().galley(
                pos2(left + 14.0, rect.center().y - galley.size().y * 0.5),
                galley,
                theme.text,
            );
            let tip = format!("{}\nKey: {}", help::verdict(verdict), verdict as usize + 1);
            if response.on_hover_text(tip).clicked() {
                cx.ask(Action::ToggleClass(verdict));
            }
        }
    });
}

fn nothing_visible(ui: &mut Ui, cx: &mut Cx<'_>, all: usize) {
    if all == 0 {
        controls::empty(
            ui,
            cx,
            "No prompts yet",
            "Write one below, or open a list.",
            |ui, cx| {
                if ui.button("Open file…").clicked() {
                    cx.command(Command::OpenFile);
                }
            },
        );
    } else {
        controls::empty(ui, cx, "No prompt matches", "", |ui, cx| {
            if ui.button("Show all").clicked() {
                cx.ask(Action::Search(String::new()));
                cx.command(Command::ClearFilter);
            }
        });
    }
}

fn row(ui: &mut Ui, cx: &mut Cx<'_>, prompt: &Prompt) {
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let selection = &cx.state.selection;
    let current = selection.prompt == Some(prompt.index);
    let chosen = selection.prompts.contains(&prompt.index);
    response.widget_info(|| WidgetInfo::selected(egui::Role::ListItem, true, chosen, &prompt.text));
    let theme = cx.theme;
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    let fill = match (current, chosen, response.hovered()) {
        (true, ..) => theme.chosen,
        (_, true, _) => theme.chosen.gamma_multiply(0.6),
        (.., true) => theme.raised,
        _ => Color32::TRANSPARENT,
    };
    let plate = rect.shrink2(vec2(0.0, 1.0));
    painter.rect_filled(plate, CornerRadius::same(theme::RADIUS), fill);
    if chosen && selection.prompts.len() > 1 {
        let edge = Rect::from_min_size(
            plate.left_top() + vec2(0.0, 6.0),
            vec2(2.0, plate.height() - 12.0),
        );
        painter.rect_filled(edge, CornerRadius::same(1), theme.accent);
    }
    let left = rect.left() + 2.0 * UNIT;
    let room = rect.width() - 4.0 * UNIT;
    let color = if current || chosen {
        theme.text
    } else {
        theme.text.gamma_multiply(0.88)
    };
    line(
        &painter,
        pos2(left, rect.top() + 14.0),
        &prompt.text,
        controls::body(),
        color,
        room,
    );
    seeds(
        &painter,
        cx,
        prompt.index,
        pos2(left + 4.0, rect.top() + 31.0),
        room,
    );
    if response.clicked() {
        let modifiers = ui.input(|i| i.modifiers);
        let pick = match (modifiers.command, modifiers.shift) {
            (true, _) => Pick::Toggle,
            (_, true) => Pick::Range,
            _ => Pick::Only,
        };
        cx.ask(Action::PickPrompt(prompt.index, pick));
    }
    let tip = match &prompt.group {
        Some(group) => format!("{}\nplanned as {group}", prompt.text),
        None => prompt.text.clone(),
    };
    response.on_hover_text(tip);
}

/// The seeds as marks; those that do not fit are counted.
fn seeds(painter: &egui::Painter, cx: &Cx<'_>, prompt: u32, at: egui::Pos2, room: f32) {
    const STEP: f32 = 13.0;
    let (theme, thresholds) = (cx.theme, &cx.state.thresholds);
    let fit = ((room - 28.0) / STEP).floor().max(1.0) as usize;
    let mut x = at.x;
    let study = &cx.state.study;
    let first = study.columns(study.first());
    // With B, seeds of either; else only those that fit are looked at, of perhaps many thousands.
    let (seeds, count) = match &cx.state.compare.second {
        Some(_) => {
            let mut seeds = cx.state.seeds_of(prompt);
            seeds.retain(|&seed| {
                let key = crate::study::GenerationKey { prompt, seed };
                study.generation(key).is_some() || cx.state.second(key).is_some()
            });
            let count = seeds.len();
            seeds.truncate(fit);
            (seeds, count)
        }
        None => (
            study.seeds_of(study.first(), prompt).take(fit).collect(),
            first.of_prompt(prompt),
        ),
    };
    for seed in seeds {
        let key = crate::study::GenerationKey { prompt, seed };
        if let Some(generation) = study.generation(key).or_else(|| cx.state.second(key)) {
            let verdict = generation.verdict(thresholds);
            marks::mark(painter, theme, pos2(x, at.y), 4.5, verdict);
            if generation.edit.is_some() {
                // A ring says that a person drew the region.
                painter.circle_stroke(pos2(x, at.y), 6.0, egui::Stroke::new(1.0, theme.text));
            }
            if cx.state.selection.key() == Some(generation.key) {
                let under = Rect::from_center_size(pos2(x, at.y + 8.0), vec2(7.0, 1.5));
                painter.rect_filled(under, CornerRadius::same(1), theme.accent);
            }
            x += STEP;
        }
    }
    let mut forming = false;
    for step in cx.state.study.forming_of(prompt) {
        forming = true;
        let share = step.step as f32 / step.steps.max(1) as f32;
        progress_ring(painter, pos2(x, at.y), 4.5, share, theme.accent, theme.line);
        x += STEP;
    }
    if count > fit {
        line(
            painter,
            pos2(x, at.y),
            &format!("+{}", count - fit),
            controls::small(),
            theme.faint,
            28.0,
        );
    } else if count == 0 && !forming {
        line(
            painter,
            pos2(at.x - 4.0, at.y),
            "not drawn yet",
            controls::small(),
            theme.faint,
            room,
        );
    }
}

/// A ring that closes as a picture forms.
pub fn progress_ring(
    painter: &egui::Painter,
    center: egui::Pos2,
    radius: f32,
    share: f32,
    color: Color32,
    ground: Color32,
) {
    painter.circle_stroke(center, radius - 0.7, egui::Stroke::new(1.4, ground));
    let points: Vec<_> = (0..=24)
        .map(|i| {
            let angle = (i as f32 / 24.0 * share.clamp(0.0, 1.0) - 0.25) * std::f32::consts::TAU;
            center + (radius - 0.7) * vec2(angle.cos(), angle.sin())
        })
        .collect();
    painter.line(points, egui::Stroke::new(1.6, color));
}

fn own_prompt(ui: &mut Ui, cx: &mut Cx<'_>) {
    ui.add_space(0.5 * UNIT);
    ui.horizontal(|ui| {
        const ADD: f32 = 48.0;
        let mut text = cx.state.draft.clone();
        let field = TextEdit::singleline(&mut text)
            .hint_text("Write your own prompt")
            .desired_width(ui.available_width() - ADD - 2.0 * UNIT)
            .margin(egui::Margin::symmetric(8, 5));
        let response = ui.add(field);
        response.widget_info(|| WidgetInfo::labeled(egui::Role::TextInput, true, "Own prompt"));
        if response.changed() {
            cx.ask(Action::Draft(text.clone()));
        }
        let enter = response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
        let can_add = !text.trim().is_empty();
        let add = Button::new(RichText::new("Add")).min_size(vec2(ADD, 6.5 * UNIT));
        let add = ui.add_enabled(can_add, add);
        add.widget_info(|| WidgetInfo::labeled(egui::Role::Button, can_add, "Add prompt"));
        if can_add && (add.clicked() || enter) {
            cx.ask(Action::AddPrompt);
        }
    });
}
