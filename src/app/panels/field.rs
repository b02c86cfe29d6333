//! The Field: every picture as a mark at (background score, foreground score). The thresholds are lines
//! that can be dragged; everything in the window follows in the same frame.

use super::field_axes::{Axes, Grab, HISTOGRAM, ground, histograms, lines, quadrant_names};
use super::{compare::arrow, prompts::open_buttons};
use crate::{
    app::{
        action::Action,
        command::Command,
        context::Cx,
        controls::{self, score},
        marks,
        theme::UNIT,
    },
    memorization::null::DEFAULT_RATE,
    study::{Generation, RegionScores, Thresholds, Verdict},
};
use egui::{
    Align2, CursorIcon, DragValue, Id, Pos2, Rect, RichText, Sense, Stroke, Ui, UiBuilder, Vec2, WidgetInfo,
    pos2, vec2,
};
use egui_tiles::UiResponse;
use std::sync::Arc;

const LEFT: f32 = 38.0;
const BELOW: f32 = 20.0;
const SIDE: f32 = 176.0;

/// A few words beside the pane's title.
pub fn note(cx: &Cx<'_>) -> String {
    match cx.tally.total() {
        0 => String::new(),
        1 => "1 picture".to_owned(),
        n => format!("{n} pictures · drag the lines or their crossing"),
    }
}

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let judged = cx.tally.total();
    let header = controls::header(ui, cx, "Field", &note(cx));
    if judged == 0 && cx.state.study.outline().is_none() {
        let advice = "Open a study and run it: every compared picture becomes a mark here.";
        controls::empty(ui, cx, "No pictures yet", advice, open_buttons);
        return controls::moved(&header);
    }
    let area = ui.available_rect_before_wrap();
    let wide = area.width() > 480.0;
    let side = if wide { SIDE } else { 0.0 };
    let plot = Rect::from_min_max(
        area.min + vec2(LEFT, HISTOGRAM),
        area.max - vec2(side + HISTOGRAM + 3.0 * UNIT, BELOW),
    );
    if plot.width() < 60.0 || plot.height() < 40.0 {
        return controls::moved(&header);
    }
    plot_ui(ui, cx, plot);
    if wide {
        let rect = Rect::from_min_max(pos2(area.right() - side, area.top()), area.max);
        ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| legend(ui, cx));
    }
    controls::moved(&header)
}

fn plot_ui(ui: &mut Ui, cx: &mut Cx<'_>, plot: Rect) {
    let state = cx.state;
    let points: Vec<(Arc<Generation>, RegionScores)> = state
        .marks()
        .filter_map(|g| Some((g.clone(), g.scores()?)))
        .collect();
    let moved: Vec<Option<(Arc<Generation>, RegionScores)>> = points
        .iter()
        .map(|(g, _)| {
            let b = state.second(g.key).filter(|b| b.variant != g.variant)?;
            Some((b.clone(), b.scores()?))
        })
        .collect();
    let lowest = points
        .iter()
        .chain(moved.iter().flatten())
        .flat_map(|(_, s)| [s.foreground, s.background])
        .flatten()
        .chain([state.thresholds.foreground, state.thresholds.background])
        .fold(0.6_f32, f32::min);
    let axes = Axes {
        plot,
        low: ((lowest - 0.02) * 10.0).floor().max(0.0) / 10.0,
    };
    let response = ui.allocate_rect(plot, Sense::click_and_drag());
    response.widget_info(|| {
        WidgetInfo::labeled(
            egui::Role::Canvas,
            true,
            "Field: background score across, foreground score up",
        )
    });
    let corner = pos2(
        axes.x(state.thresholds.background),
        axes.y(state.thresholds.foreground),
    );
    let grab = drag_thresholds(ui, cx, &response, &axes, corner);
    ground(ui, cx, &axes, corner);
    quadrant_names(ui, cx, plot);
    let wanted = state.wanted();
    let radius = if points.len() > 600 { 2.8 } else { 4.0 };
    let painter = ui.painter_at(plot.expand(6.0));
    let mut nearest: Option<(f32, usize)> = None;
    for (i, (generation, scores)) in points.iter().enumerate() {
        let at = axes.place(scores);
        let verdict = generation.verdict(&state.thresholds);
        let mut color = cx.theme.verdict(verdict);
        if (!wanted.is_empty() && !verdict.is_some_and(|v| wanted.contains(&v)))
            || !state.in_cell(generation.key)
        {
            color = color.gamma_multiply(0.18);
        } else if Some(generation.key.prompt) != state.selection.prompt {
            color = color.gamma_multiply(0.8);
        }
        painter.add(marks::shape(at, radius, verdict, color));
        if let Some((b, scores)) = &moved[i] {
            // In the colour of where it arrives.
            let color = if state.in_cell(generation.key) {
                cx.theme.verdict(b.verdict(&state.thresholds))
            } else {
                cx.theme.faint.gamma_multiply(0.3)
            };
            let chosen = Some(generation.key) == state.selection.key();
            let color = color.gamma_multiply(if chosen { 1.0 } else { 0.7 });
            arrow(&painter, at, axes.place(scores), color);
        }
        if let Some(pointer) = response.hover_pos() {
            let distance = at.distance(pointer);
            if distance < 9.0 && nearest.is_none_or(|(d, _)| distance < d) {
                nearest = Some((distance, i));
            }
        }
    }
    histograms(ui, cx, &axes, &points);
    lines(ui, cx, &axes, corner, grab, response.hover_pos());
    if let Some(current) = state.current().and_then(|g| g.scores()) {
        painter.circle_stroke(
            axes.place(&current),
            radius + 4.0,
            Stroke::new(1.5, cx.theme.accent),
        );
    }
    let hovered = nearest
        .filter(|_| grab.is_none())
        .map(|(_, i)| points[i].0.clone());
    if let Some(generation) = &hovered {
        let at = generation.scores().map_or(corner, |s| axes.place(&s));
        painter.circle_stroke(at, radius + 3.0, Stroke::new(1.0, cx.theme.text));
        if response.clicked() {
            cx.ask(Action::PickGeneration(generation.key));
        }
    }
    if hovered.as_ref().map(|g| g.key) != state.hovered {
        cx.ask(Action::Hover(hovered.as_ref().map(|g| g.key)));
    }
    if let Some(generation) = hovered {
        let picture = cx.thumbnails.generation(ui.ctx(), &generation);
        let theme = cx.theme;
        response.on_hover_ui_at_pointer(|ui| {
            ui.set_max_width(220.0);
            ui.horizontal(|ui| {
                let (rect, _) = ui.allocate_exact_size(Vec2::splat(64.0), Sense::hover());
                controls::thumbnail(ui.painter(), theme, rect, picture, 4);
                ui.vertical(|ui| {
                    ui.label(&generation.prompt);
                    let scores = generation.scores().unwrap_or_default();
                    let words = format!(
                        "seed {} · F {} · B {}",
                        generation.key.seed,
                        score(scores.foreground),
                        score(scores.background)
                    );
                    ui.label(RichText::new(words).small().color(theme.weak));
                });
            });
        });
    }
}

/// Which part of the thresholds is near a place.
fn grab_at(at: Pos2, corner: Pos2, plot: Rect) -> Option<Grab> {
    if !plot.expand(4.0).contains(at) {
        None
    } else if at.distance(corner) < 11.0 {
        Some(Grab::Both)
    } else if (at.y - corner.y).abs() < 4.0 {
        Some(Grab::Foreground)
    } else if (at.x - corner.x).abs() < 4.0 {
        Some(Grab::Background)
    } else {
        None
    }
}

fn drag_thresholds(
    ui: &Ui,
    cx: &mut Cx<'_>,
    response: &egui::Response,
    axes: &Axes,
    corner: Pos2,
) -> Option<Grab> {
    let memory = Id::unique("field grab");
    if response.drag_started() {
        let from = ui.input(|i| i.pointer.press_origin());
        let grab = from.and_then(|from| grab_at(from, corner, axes.plot));
        ui.data_mut(|d| d.insert_temp(memory, grab));
    }
    let hover = response.hover_pos().and_then(|at| grab_at(at, corner, axes.plot));
    if response.double_clicked() && hover == Some(Grab::Both) {
        cx.command(Command::ResetThresholds);
        return hover;
    }
    let held = if response.dragged() {
        ui.data(|d| d.get_temp::<Option<Grab>>(memory)).flatten()
    } else {
        None
    };
    if let (Some(grab), Some(pointer)) = (held, response.interact_pointer_pos()) {
        let to = axes.thresholds_at(pointer);
        let mut thresholds = cx.state.thresholds;
        if grab != Grab::Background {
            thresholds.foreground = to.foreground;
        }
        if grab != Grab::Foreground {
            thresholds.background = to.background;
        }
        if thresholds != cx.state.thresholds {
            cx.ask(Action::SetThresholds(thresholds, gesture(ui)));
        }
    }
    let grab = held.or(hover);
    if let Some(grab) = grab {
        ui.ctx().set_cursor_icon(match grab {
            Grab::Both => CursorIcon::Move,
            Grab::Foreground => CursorIcon::ResizeVertical,
            Grab::Background => CursorIcon::ResizeHorizontal,
        });
    }
    grab
}

/// A number that all frames of one drag share.
fn gesture(ui: &Ui) -> Option<u64> {
    ui.input(|i| i.pointer.press_start_time()).map(f64::to_bits)
}

/// Ready-made thresholds: the reference's, and those the gallery's null suggests.
fn presets(ui: &mut Ui, cx: &mut Cx<'_>) {
    let now = cx.state.thresholds;
    let suggested = cx
        .state
        .null
        .as_ref()
        .map(|null| null.suggest(DEFAULT_RATE, now).0);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = UNIT;
        let on = now == Thresholds::default();
        let reference = controls::toggle(ui, cx.theme, on, "Ref. 0.80");
        if reference
            .on_hover_text(Command::ReferenceThresholds.words().1)
            .clicked()
        {
            cx.command(Command::ReferenceThresholds);
        }
        let measuring = cx.state.jobs.iter().any(|j| j.calibrates);
        let name = if measuring { "Measuring…" } else { "Suggest 1 %" };
        let response = controls::toggle(ui, cx.theme, suggested == Some(now), name);
        let tip = match suggested {
            Some(t) => format!(
                "F {:.2}, B {:.2}: {}",
                t.foreground,
                t.background,
                Command::SuggestedThresholds.words().1
            ),
            None => format!(
                "{}. Measured first, once.",
                Command::SuggestedThresholds.words().1
            ),
        };
        if response.on_hover_text(tip).clicked() {
            cx.command(Command::SuggestedThresholds);
        }
    });
}

/// Thresholds as numbers, and what the marks mean.
fn legend(ui: &mut Ui, cx: &mut Cx<'_>) {
    let theme = cx.theme;
    ui.spacing_mut().item_spacing.y = 0.5 * UNIT;
    let mut thresholds = cx.state.thresholds;
    let number = |ui: &mut Ui, name: &str, value: &mut f32| {
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(108.0, 5.5 * UNIT), Sense::hover());
            controls::line(
                ui.painter(),
                rect.left_center(),
                name,
                controls::small(),
                theme.weak,
                rect.width(),
            );
            let field = DragValue::new(value)
                .range(0.0..=1.0)
                .speed(0.002)
                .fixed_decimals(2);
            let response = ui.add_sized(vec2(56.0, 5.5 * UNIT), field);
            response.widget_info(|| WidgetInfo::labeled(egui::Role::SpinButton, true, name));
        });
    };
    number(ui, "Foreground from", &mut thresholds.foreground);
    number(ui, "Background from", &mut thresholds.background);
    if thresholds != cx.state.thresholds {
        let gesture = gesture(ui);
        cx.ask(Action::SetThresholds(thresholds, gesture));
    }
    presets(ui, cx);
    let total = cx.tally.total().max(1) as f32;
    for verdict in Verdict::ALL {
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 5.0 * UNIT), Sense::hover());
        if rect.bottom() > ui.max_rect().bottom() {
            break;
        }
        let count = cx.tally.count(verdict);
        let words = format!("{} {count}: {}", verdict.letters(), verdict.meaning());
        response.widget_info(|| WidgetInfo::labeled(egui::Role::Label, true, &words));
        let painter = ui.painter();
        marks::mark(
            painter,
            theme,
            pos2(rect.left() + 5.0, rect.center().y),
            4.5,
            Some(verdict),
        );
        let short = match verdict {
            Verdict::Verbatim => "both copied",
            Verdict::ForegroundOnly => "foreground only",
            Verdict::BackgroundOnly => "background only",
            Verdict::NotMemorized => "neither",
        };
        controls::line(
            painter,
            rect.left_center() + vec2(4.0 * UNIT, 0.0),
            short,
            controls::small(),
            theme.weak,
            100.0,
        );
        let percent = format!("{:.0} %", count as f32 / total * 100.0);
        painter.text(
            rect.right_center() - vec2(2.0, 0.0),
            Align2::RIGHT_CENTER,
            percent,
            controls::small(),
            theme.text,
        );
        response.on_hover_text(verdict.meaning());
    }
    if cx.tally.open > 0 {
        let words = format!("{} not compared yet", cx.tally.open);
        ui.label(RichText::new(words).small().color(theme.faint));
    }
}
