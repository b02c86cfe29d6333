//! The Calibration pane's other side: how well signs of memorization tell memorized pictures from others, at which step.

use super::roc_frame::RocFrame;
use crate::{
    app::{action::Action, context::Cx, controls, detecting::SignalsShown, theme::UNIT},
    memorization::detection::{Contrast, Detection, Positive, Separation, Signal, SignalSeparation},
};
use egui::{
    Align2, Color32, CornerRadius, Grid, Id, Mesh, Pos2, Rect, RichText, ScrollArea, Sense, Shape, Stroke,
    Ui, UiBuilder, WidgetInfo, pos2, vec2,
};

/// Width of the table of numbers.
const TABLE: f32 = 400.0;

/// The line above both sides of the pane.
pub fn bar(ui: &mut Ui, cx: &mut Cx<'_>) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(UNIT, UNIT);
        switch(ui, cx);
        if cx.state.signals.shown.on {
            ui.add_space(3.0 * UNIT);
            choices(ui, cx);
        }
    });
}

/// *Scores* and *Signals*.
fn switch(ui: &mut Ui, cx: &mut Cx<'_>) {
    let shown = cx.state.signals.shown;
    for (name, on, tip) in [
        (
            "Scores",
            false,
            "How well scores of regions tell memorized pictures from others",
        ),
        (
            "Signals",
            true,
            "How well signs that need no training image tell them, at each step",
        ),
    ] {
        let response = controls::toggle(ui, cx.theme, shown.on == on, name).on_hover_text(tip);
        if response.clicked() {
            cx.ask(Action::SetSignals(SignalsShown { on, ..shown }));
        }
    }
}

/// Draws the pane's body.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let area = ui.available_rect_before_wrap();
    let result = cx.state.signals.result.clone();
    let shown = cx.state.signals.shown;
    let contrast = result.as_ref().and_then(|r| {
        r.detection
            .contrasts
            .iter()
            .find(|c| c.positive == shown.positive)
    });
    let (Some(result), Some(contrast)) = (&result, contrast) else {
        let words = if cx.state.study.is_empty() {
            "No pictures yet: run some prompts, memorized ones and others."
        } else {
            "Being judged…"
        };
        ui.painter().text(
            area.center(),
            Align2::CENTER_CENTER,
            words,
            controls::small(),
            cx.theme.weak,
        );
        return;
    };
    if area.height() < 60.0 || area.width() < 160.0 {
        return;
    }
    let table = if area.width() > 780.0 { TABLE } else { 0.0 };
    let plots = area.width() - table;
    let side = (area.height() - 34.0).min(plots * 0.36).max(40.0);
    let wide = plots - side - 18.0 * UNIT;
    let steps = Rect::from_min_size(
        pos2(area.left() + 7.0 * UNIT, area.top() + 14.0),
        vec2(wide.max(60.0), (area.height() - 34.0).max(30.0)),
    );
    areas(ui, cx, steps, &result.detection, contrast);
    let square = Rect::from_min_size(
        pos2(steps.right() + 9.0 * UNIT, area.top() + 14.0),
        vec2(side, side),
    );
    curves(ui, cx, square, contrast);
    if table > 0.0 {
        let rect = Rect::from_min_max(pos2(area.right() - table + 4.0 * UNIT, area.top()), area.max);
        ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
            numbers(ui, cx, &result.detection, contrast);
        });
    }
}

fn choices(ui: &mut Ui, cx: &mut Cx<'_>) {
    let shown = cx.state.signals.shown;
    for positive in Positive::ALL {
        let name = match positive {
            Positive::Any => "All",
            other => other.name(),
        };
        if controls::toggle(ui, cx.theme, shown.positive == positive, name).clicked() {
            cx.ask(Action::SetSignals(SignalsShown { positive, ..shown }));
        }
    }
    ui.add_space(4.0 * UNIT);
    let mean = controls::toggle(ui, cx.theme, shown.step.is_none(), "Mean of steps");
    let tip = "Curves and numbers of the mean over all steps; a click on the plot takes one step";
    if mean.on_hover_text(tip).clicked() {
        let step = if shown.step.is_none() { Some(0) } else { None };
        cx.ask(Action::SetSignals(SignalsShown { step, ..shown }));
    }
}

fn ink(cx: &Cx<'_>, signal: Signal) -> Color32 {
    match signal {
        Signal::NoiseNorm => cx.theme.accent,
        Signal::Localised => cx.theme.foreground(),
        Signal::Ending => cx.theme.background(),
        Signal::EntropyLate => cx.theme.text,
        Signal::EntropyFirst => cx.theme.weak,
    }
}

/// What is shown of a signal: its value at the step, the mean, or its only number.
fn chosen(signal: &SignalSeparation, step: Option<usize>) -> Option<&Separation> {
    match step {
        Some(step) if signal.signal.per_step() => signal.steps.get(step),
        _ => signal.mean.as_ref(),
    }
}

/// Area under the curve at each step, with its interval.
fn areas(ui: &mut Ui, cx: &mut Cx<'_>, plot: Rect, detection: &Detection, contrast: &Contrast) {
    let theme = cx.theme;
    let response = ui.interact(plot, Id::unique("areas by step"), Sense::click_and_drag());
    response.widget_info(|| {
        WidgetInfo::labeled(egui::Role::Canvas, true, "Area under the ROC curve at each step")
    });
    let painter = ui.painter_at(plot.expand2(vec2(30.0, 20.0)));
    let ground = theme.stage.gamma_multiply(if theme.dark { 1.0 } else { 0.45 });
    painter.rect_filled(plot, CornerRadius::same(3), ground);
    let last = detection.steps.saturating_sub(1).max(1) as f32;
    let place = |step: usize, area: f64| {
        pos2(
            egui::lerp(plot.left()..=plot.right(), step as f32 / last),
            egui::lerp(plot.bottom()..=plot.top(), area as f32),
        )
    };
    for (value, words) in [(0.0, "0"), (0.5, "0.5"), (1.0, "1")] {
        let at = place(0, value);
        if value == 0.5 {
            let stroke = Stroke::new(1.0, theme.faint.gamma_multiply(0.6));
            painter.extend(Shape::dashed_line(
                &[at, pos2(plot.right(), at.y)],
                stroke,
                3.0,
                4.0,
            ));
        }
        let at = pos2(plot.left() - 4.0, at.y);
        painter.text(at, Align2::RIGHT_CENTER, words, controls::small(), theme.faint);
    }
    let mut names = plot.right();
    for signal in contrast.signals.iter().filter(|s| !s.steps.is_empty()) {
        let color = ink(cx, signal.signal);
        let mut mesh = Mesh::default();
        for (i, s) in signal.steps.iter().enumerate() {
            let value = s.auc.value.unwrap_or(0.5);
            let [low, high] = s.auc.interval.unwrap_or([value, value]);
            mesh.colored_vertex(place(i, low), color.gamma_multiply(0.16));
            mesh.colored_vertex(place(i, high), color.gamma_multiply(0.16));
            if i > 0 {
                let v = 2 * i as u32;
                mesh.add_triangle(v - 2, v - 1, v);
                mesh.add_triangle(v - 1, v, v + 1);
            }
        }
        painter.add(Shape::mesh(mesh));
        let line: Vec<Pos2> = signal
            .steps
            .iter()
            .enumerate()
            .map(|(i, s)| place(i, s.auc.value.unwrap_or(0.5)))
            .collect();
        painter.add(Shape::line(line, Stroke::new(1.8, color)));
        let at = pos2(names, plot.top() - 14.0);
        let name = painter.text(
            at,
            Align2::RIGHT_TOP,
            signal.signal.name(),
            controls::small(),
            color,
        );
        names = name.left() - 2.0 * UNIT;
    }
    let title = pos2(plot.left(), plot.top() - 14.0);
    if names - plot.left() > 90.0 {
        painter.text(
            title,
            Align2::LEFT_TOP,
            "AUC by step",
            controls::small(),
            theme.weak,
        );
    }
    for (x, anchor, words) in [
        (plot.left(), Align2::LEFT_TOP, "step 1".to_owned()),
        (plot.right(), Align2::RIGHT_TOP, detection.steps.to_string()),
    ] {
        painter.text(
            pos2(x, plot.bottom() + 3.0),
            anchor,
            words,
            controls::small(),
            theme.faint,
        );
    }
    if detection.steps == 0 {
        let words = "No noise norms: pictures drawn with guidance have them";
        painter.text(
            plot.center(),
            Align2::CENTER_CENTER,
            words,
            controls::small(),
            theme.faint,
        );
        return;
    }
    let shown = cx.state.signals.shown;
    if let Some(step) = shown.step.filter(|s| *s < detection.steps) {
        let x = place(step, 0.0).x;
        painter.vline(x, plot.y_range(), Stroke::new(1.0, theme.text));
        let at = pos2(
            x.clamp(plot.left() + 30.0, plot.right() - 24.0),
            plot.bottom() + 3.0,
        );
        if step > 2 && step + 3 < detection.steps {
            painter.text(
                at,
                Align2::CENTER_TOP,
                (step + 1).to_string(),
                controls::small(),
                theme.text,
            );
        }
    }
    let at = response
        .interact_pointer_pos()
        .filter(|_| response.clicked() || response.dragged());
    if let Some(at) = at {
        let share = ((at.x - plot.left()) / plot.width()).clamp(0.0, 1.0);
        let step = Some((share * last).round() as usize).filter(|s| *s < detection.steps);
        if step.is_some() && step != shown.step {
            cx.ask(Action::SetSignals(SignalsShown { step, ..shown }));
        }
    }
}

/// ROC of every signal.
fn curves(ui: &mut Ui, cx: &Cx<'_>, plot: Rect, contrast: &Contrast) {
    let theme = cx.theme;
    let step = cx.state.signals.shown.step;
    let response = ui.interact(plot, Id::unique("roc of signals"), Sense::hover());
    response.widget_info(|| {
        let areas: Vec<String> = contrast
            .signals
            .iter()
            .filter_map(|s| Some(format!("{} {:.3}", s.signal.name(), chosen(s, step)?.auc.value?)))
            .collect();
        let words = format!("ROC curves of signals, areas: {}", areas.join(", "));
        WidgetInfo::labeled(egui::Role::Canvas, true, words)
    });
    let frame = RocFrame::new(ui, theme, plot);
    for signal in contrast.signals.iter().rev() {
        if let Some(separation) = chosen(signal, step) {
            let line: Vec<Pos2> = separation
                .roc
                .points
                .iter()
                .map(|p| frame.place(p.fpr, p.tpr))
                .collect();
            frame
                .painter
                .add(Shape::line(line, Stroke::new(1.6, ink(cx, signal.signal))));
        }
    }
    let words = step.map_or("ROC, mean of steps".to_owned(), |s| {
        format!("ROC at step {}", s + 1)
    });
    frame.captions(&words);
}

fn numbers(ui: &mut Ui, cx: &mut Cx<'_>, detection: &Detection, contrast: &Contrast) {
    let step = cx.state.signals.shown.step;
    let small = |text: String| RichText::new(text).small();
    let (weak, faint) = (cx.theme.weak, cx.theme.faint);
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        ui.spacing_mut().interact_size.y = 3.5 * UNIT;
        Grid::new("detection numbers")
            .num_columns(5)
            .spacing(vec2(2.5 * UNIT, 2.0))
            .show(ui, |ui| {
                for (name, tip) in [
                    ("", ""),
                    (
                        "AUC",
                        "Area under the ROC curve; 0.5 is chance, below it the signal is inverted",
                    ),
                    ("95 %", "Bootstrap over prompts"),
                    (
                        "TPR@1 %",
                        "TPR at 1 % FPR: FB-Mem (nearest point), Wen et al. (last point below)",
                    ),
                    (
                        "best",
                        "Step with the largest area, chosen on these very pictures",
                    ),
                ] {
                    let label = ui.label(small(name.to_owned()).color(weak));
                    if !tip.is_empty() {
                        label.on_hover_text(tip);
                    }
                }
                ui.end_row();
                for signal in &contrast.signals {
                    ui.label(small(signal.signal.name().to_owned()).color(ink(cx, signal.signal)));
                    match chosen(signal, step) {
                        Some(s) => {
                            let auc = s.auc.value.unwrap_or(0.5);
                            let inverted = if auc < 0.5 { " inv." } else { "" };
                            ui.label(small(format!("{auc:.3}{inverted}")));
                            let interval = s.auc.interval.map(|[l, h]| format!("{l:.2} … {h:.2}"));
                            ui.label(small(interval.unwrap_or("–".to_owned())));
                            ui.label(small(format!("{:.2}, {:.2}", s.tpr_nearest_fpr, s.tpr_below_fpr)));
                            ui.label(small(signal.best.map_or("–".to_owned(), |b| (b + 1).to_string())));
                        }
                        None => {
                            let reason = signal
                                .missing
                                .clone()
                                .unwrap_or_else(|| "no such step".to_owned());
                            ui.label(small("–".to_owned()).color(faint)).on_hover_text(reason);
                        }
                    }
                    ui.end_row();
                }
            });
        let first = contrast.signals.iter().find_map(|s| s.mean.as_ref());
        let words = match first {
            Some(s) => format!(
                "{} memorized and {} NM pictures, {} prompts, {} seeds, by {}",
                s.positives,
                s.negatives,
                s.auc.prompts,
                s.auc.seeds,
                if cx.state.judged_by_labels() {
                    "labels"
                } else {
                    "verdict"
                }
            ),
            None => contrast
                .signals
                .first()
                .and_then(|s| s.missing.clone())
                .unwrap_or_default(),
        };
        ui.label(small(words).color(faint));
        if let Some(band) = &detection.band {
            let words = format!(
                "Noise band: {} NM pictures, {} prompts, {} seeds",
                band.curves, band.prompts, band.seeds
            );
            ui.label(small(words).color(faint));
        }
    });
}
