//! The Field: every picture as a mark at (background score, foreground score). The thresholds are lines
//! that can be dragged; everything in the window follows in the same frame.

use super::field_axes::{Axes, Grab, HISTOGRAM, ground, histograms, lines, quadrant_names};
use super::field_points::{ARROWS, DENSE};
use super::{compare::arrow, prompts::open_buttons};
use crate::{
    app::{
        action::Action,
        command::Command,
        context::Cx,
        controls::{self, score},
        help,
        lasso::Lasso,
        marks,
        theme::UNIT,
    },
    memorization::null::DEFAULT_RATE,
    study::{Region, Thresholds, Verdict},
};
use egui::{
    Align2, CursorIcon, DragValue, Id, Key, Painter, Pos2, Rect, RichText, Sense, Stroke, Ui, UiBuilder,
    Vec2, WidgetInfo, pos2, vec2,
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
        n if cx.field.with_arrow > ARROWS => {
            format!("{n} pictures · {ARROWS} of {} arrows", cx.field.with_arrow)
        }
        n => format!("{n} pictures · drag the lines, or draw around marks to choose them"),
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
    let derived = &state.derived;
    let lowest = cx.field.lowest(derived, &state.thresholds);
    let axes = Axes {
        plot,
        low: ((lowest - 0.02) * 10.0).floor().max(0.0) / 10.0,
    };
    let dense = derived.points.keys.len() > DENSE;
    if cx.field.refresh(state, &axes, cx.theme.dark) && dense {
        cx.field.color(ui.ctx(), state, cx.theme);
    }
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
    field_keys(ui, cx, &response, &axes, corner);
    ground(ui, cx, &axes, corner);
    let radius = if derived.points.keys.len() > 600 { 2.8 } else { 4.0 };
    let painter = ui.painter_at(plot.expand(2.0));
    if dense {
        cx.field.paint(&painter, plot);
        single(&painter, cx, &axes, radius);
    } else {
        every_mark(&painter, cx, &axes, radius);
    }
    edited(&painter, cx, &axes, radius);
    arrows(&painter, cx, &axes);
    quadrant_names(ui, cx, plot);
    histograms(ui, cx, &axes);
    lines(ui, cx, &axes, corner, grab, response.hover_pos());
    lasso(ui, cx, &response, &axes, grab);
    let painter = ui.painter_at(plot.expand(6.0));
    if let Some(current) = state.current().and_then(|g| g.scores()) {
        painter.circle_stroke(
            axes.place(&current),
            radius + 4.0,
            Stroke::new(1.5, cx.theme.accent),
        );
    }
    let nearest = response
        .hover_pos()
        .filter(|_| grab.is_none() && !response.dragged())
        .and_then(|at| cx.field.nearest(derived, &axes, at, 9.0));
    let hovered = nearest.and_then(|point| {
        let key = derived.points.keys[point];
        state.study.generation(key).or_else(|| state.second(key)).cloned()
    });
    if let Some(generation) = &hovered {
        let at = generation.scores().map_or(corner, |s| axes.place(&s));
        painter.circle_stroke(at, radius + 3.0, Stroke::new(1.0, cx.theme.text));
        if response.clicked() {
            cx.ask(Action::PickGeneration(generation.key));
        }
    } else if response.clicked() && grab.is_none() && state.lasso.is_some() {
        cx.ask(Action::Lasso(None));
    }
    if hovered.as_ref().map(|g| g.key) != state.hovered {
        cx.ask(Action::Hover(hovered.as_ref().map(|g| g.key)));
    }
    if response.has_focus() {
        let radius = egui::CornerRadius::same(4);
        let stroke = Stroke::new(1.5, cx.theme.accent);
        ui.painter()
            .rect_stroke(plot, radius, stroke, egui::StrokeKind::Outside);
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
                    let words = generation
                        .edit_mark()
                        .map_or(words.clone(), |m| format!("{words} · {m}"));
                    ui.label(RichText::new(words).small().color(theme.weak));
                });
            });
        });
    }
}

/// A mark for every picture.
fn every_mark(painter: &Painter, cx: &Cx<'_>, axes: &Axes, radius: f32) {
    let state = cx.state;
    let derived = &state.derived;
    for (point, key) in derived.points.keys.iter().enumerate() {
        let Some(verdict) = derived.class(point) else {
            continue;
        };
        let mut color = cx.theme.verdict(Some(verdict));
        if !derived.lets_through(state, point) {
            color = color.gamma_multiply(0.18);
        } else if Some(key.prompt) != state.selection.prompt {
            color = color.gamma_multiply(0.8);
        }
        let at = axes.place_of(derived.points.scores[point]);
        painter.add(marks::shape(at, radius, Some(verdict), color));
    }
}

/// A ring around every picture whose region a person drew.
fn edited(painter: &Painter, cx: &Cx<'_>, axes: &Axes, radius: f32) {
    const MOST: usize = 1000;
    for generation in cx.state.study.edited().take(MOST) {
        if let Some(scores) = generation.scores() {
            let stroke = Stroke::new(1.0, cx.theme.text);
            painter.circle_stroke(axes.place(&scores), radius + 2.5, stroke);
        }
    }
}

/// Marks for the pictures of the prompt looked at, above the density of all.
fn single(painter: &Painter, cx: &Cx<'_>, axes: &Axes, radius: f32) {
    const MOST: usize = 200;
    let Some(prompt) = cx.state.selection.prompt else {
        return;
    };
    for generation in cx.state.study.of_prompt(prompt).take(MOST) {
        if let Some(scores) = generation.scores() {
            let verdict = generation.verdict(&cx.state.thresholds);
            let at = axes.place(&scores);
            painter.add(marks::shape(at, radius + 1.0, None, cx.theme.pane));
            painter.circle_filled(at, radius + 1.2, cx.theme.pane);
            painter.add(marks::shape(at, radius, verdict, cx.theme.verdict(verdict)));
        }
    }
}

/// From A's place to B's, in the colour of where it arrives.
fn arrows(painter: &Painter, cx: &Cx<'_>, axes: &Axes) {
    let state = cx.state;
    let derived = &state.derived;
    let chosen = state.selection.key();
    for &point in &cx.field.arrows {
        let point = point as usize;
        let (from, to) = (derived.points.scores[point], derived.points.moved[point]);
        let verdict = crate::app::columns::class(to, &state.thresholds);
        let is_chosen = Some(derived.points.keys[point]) == chosen;
        let strength = match (is_chosen, cx.field.with_arrow > ARROWS) {
            (true, _) => 1.0,
            (false, true) => 0.45,
            (false, false) => 0.7,
        };
        let color = cx.theme.verdict(Some(verdict)).gamma_multiply(strength);
        arrow(painter, axes.place_of(from), axes.place_of(to), color);
    }
}

/// With the focus on the plot: arrows move the thresholds, Enter looks at the picture nearest to their crossing.
fn field_keys(ui: &Ui, cx: &mut Cx<'_>, response: &egui::Response, axes: &Axes, corner: Pos2) {
    if !response.has_focus() {
        return;
    }
    let own = egui::EventFilter {
        horizontal_arrows: true,
        vertical_arrows: true,
        ..Default::default()
    };
    ui.memory_mut(|m| m.set_focus_lock_filter(response.id, own));
    let (right, up, enter) = ui.input(|i| {
        let step = if i.modifiers.shift { 0.05 } else { 0.01 };
        let pressed = |key| i.num_presses(key) as f32 * step;
        (
            pressed(Key::ArrowRight) - pressed(Key::ArrowLeft),
            pressed(Key::ArrowUp) - pressed(Key::ArrowDown),
            i.key_pressed(Key::Enter),
        )
    });
    let now = cx.state.thresholds;
    let moved = |value: f32, by: f32| ((value + by).clamp(0.0, 1.0) * 100.0).round() / 100.0;
    let thresholds = Thresholds {
        foreground: if up == 0.0 {
            now.foreground
        } else {
            moved(now.foreground, up)
        },
        background: if right == 0.0 {
            now.background
        } else {
            moved(now.background, right)
        },
    };
    if thresholds != now {
        cx.ask(Action::SetThresholds(thresholds, None));
    }
    if enter && let Some(point) = cx.field.nearest(&cx.state.derived, axes, corner, 2000.0) {
        cx.ask(Action::PickGeneration(cx.state.derived.points.keys[point]));
    }
}

/// A free line around pictures: a drag that begins away from the thresholds.
fn lasso(ui: &mut Ui, cx: &mut Cx<'_>, response: &egui::Response, axes: &Axes, grab: Option<Grab>) {
    const MOST: usize = 2000;
    let memory = Id::unique("field lasso");
    let mut line: Vec<Pos2> = ui.data(|d| d.get_temp(memory)).unwrap_or_default();
    let theme = cx.theme;
    if response.drag_started() && grab.is_none() {
        line = ui.input(|i| i.pointer.press_origin()).into_iter().collect();
    }
    if !line.is_empty() {
        if let Some(at) = response.interact_pointer_pos()
            && line.last().is_none_or(|last| last.distance(at) > 3.0)
            && line.len() < MOST
        {
            line.push(at);
        }
        if response.drag_stopped() {
            let corners = line.iter().map(|&at| axes.scores_at(at)).collect();
            let missing = axes.scores_at(axes.place_of([f32::NAN; 2]));
            let chosen = Lasso::new(corners, &cx.state.derived.points, missing[0].max(missing[1]));
            let some = !chosen.keys.is_empty();
            cx.ask(Action::Lasso(some.then(|| Arc::new(chosen))));
            line.clear();
        } else if !response.dragged() {
            line.clear();
        }
        ui.painter()
            .add(egui::Shape::line(line.clone(), Stroke::new(1.5, theme.accent)));
        ui.data_mut(|d| d.insert_temp(memory, line));
    }
    let Some(lasso) = cx.state.lasso.clone() else {
        return;
    };
    let shown = lasso
        .line
        .iter()
        .map(|&[background, foreground]| pos2(axes.x_beyond(background), axes.y_beyond(foreground)));
    ui.painter_at(axes.plot.expand(6.0)).add(egui::Shape::closed_line(
        shown.collect(),
        Stroke::new(1.0, theme.accent),
    ));
    // A plate that says how many, and lets them go.
    let words = format!("{} chosen", lasso.keys.len());
    let galley = ui
        .painter()
        .layout_no_wrap(words.clone(), controls::small(), theme.text);
    let size = galley.size() + vec2(7.0 * UNIT, 1.5 * UNIT);
    let plate = Rect::from_min_size(axes.plot.center_top() - vec2(0.5 * size.x, -UNIT), size);
    let button = ui.interact(plate, Id::unique("field lasso plate"), Sense::click());
    let name = format!("{words}; let them go");
    button.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, &name));
    let fill = if button.hovered() {
        theme.hovered
    } else {
        theme.raised
    };
    ui.painter().rect_filled(plate, egui::CornerRadius::same(4), fill);
    ui.painter()
        .galley(plate.min + vec2(1.5 * UNIT, 0.75 * UNIT), galley, theme.text);
    marks::cross(
        ui.painter(),
        plate.right_center() - vec2(2.5 * UNIT, 0.0),
        7.0,
        theme.weak,
    );
    if button.clicked() {
        cx.ask(Action::Lasso(None));
    }
    button.on_hover_text("The list of prompts shows theirs only; Ctrl A chooses them. Esc lets them go.");
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
    let number = |ui: &mut Ui, name: &str, region: Region, value: &mut f32| {
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
            response.on_hover_text(help::threshold(region));
        });
    };
    number(
        ui,
        "Foreground from",
        Region::Foreground,
        &mut thresholds.foreground,
    );
    number(
        ui,
        "Background from",
        Region::Background,
        &mut thresholds.background,
    );
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
        response.on_hover_text(help::verdict(verdict));
    }
    if cx.tally.open > 0 {
        let words = format!("{} not compared yet", cx.tally.open);
        ui.label(RichText::new(words).small().color(theme.faint));
    }
}
