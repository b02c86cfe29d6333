//! The Compare pane: did the mitigation work?

use super::sides::ORIGINAL;
use crate::{
    app::{action::Action, command::Command, context::Cx, controls, theme::UNIT},
    memorization::comparison::{Comparison, Estimate},
    study::{MitigationWeights, Verdict},
};
use egui::{Align2, CornerRadius, RichText, ScrollArea, Sense, Stroke, StrokeKind, Ui, WidgetInfo, vec2};
use egui_tiles::UiResponse;

const CELL: egui::Vec2 = vec2(46.0, 24.0);

/// A few words beside the pane's title.
pub fn note(cx: &Cx<'_>) -> String {
    let Some(second) = &cx.state.compare.second else {
        return String::new();
    };
    let n = cx.state.derived.transitions.total();
    let a = cx.state.study.first().as_deref().unwrap_or(ORIGINAL);
    format!("{n} pictures of {a} and {second}")
}

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let note = note(cx);
    let header = controls::header(ui, cx, "Compare", &note);
    let Some(second) = cx.state.compare.second.clone() else {
        let advice = if cx.state.variants.is_empty() {
            "Open a variant file (Ctrl Shift O): a checkpoint with edits that are meant to remove copies."
        } else {
            "Choose a variant at B in the bar."
        };
        controls::empty(ui, cx, "Nothing to compare with", advice, |ui, cx| {
            if let Some(variant) = cx.state.variants.first().cloned()
                && ui
                    .button(format!("Compare with {}", controls::shortened(&variant.name, 30)))
                    .clicked()
            {
                cx.ask(Action::SetVariant(Some(variant)));
            }
        });
        return controls::moved(&header);
    };
    if cx.state.derived.transitions.total() == 0 {
        let waiting = cx.state.jobs.iter().any(|j| j.variant.as_ref() == Some(&second));
        let (title, advice) = if waiting {
            (
                "The variant is being drawn",
                "Its first compared picture shows here.",
            )
        } else if cx.state.study.is_empty() {
            (
                "A has no pictures yet",
                "Run some prompts with B set to none, then come back.",
            )
        } else {
            (
                "B has no pictures yet",
                "Draw the same prompts and seeds with the variant.",
            )
        };
        controls::empty(ui, cx, title, advice, |ui, cx| {
            if !waiting && !cx.state.study.is_empty() {
                run_button(ui, cx);
            }
        });
        return controls::moved(&header);
    }
    ScrollArea::both().auto_shrink([false, false]).show(ui, |ui| {
        if let Some(reason) = cx.state.comparison().and_then(Comparison::ruined) {
            ui.label(RichText::new(format!("B looks ruined: {reason}")).color(cx.theme.danger));
        }
        if let Some(warning) = other_settings(cx) {
            ui.label(RichText::new(warning).small().color(cx.theme.danger));
        }
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = 6.0 * UNIT;
            ui.vertical(|ui| {
                matrix(ui, cx);
                ui.add_space(UNIT);
                ui.horizontal(|ui| run_button(ui, cx));
            });
            ui.vertical(|ui| scores(ui, cx));
            ui.vertical(|ui| scoreboard(ui, cx));
        });
    });
    controls::moved(&header)
}

fn run_button(ui: &mut Ui, cx: &mut Cx<'_>) {
    // The first few pictures tell as much about the time as all.
    const ENOUGH: usize = 256;
    let missing = cx.state.derived.points.lacking;
    let name = Command::RunSameSeeds.words().0;
    let waiting = cx.state.jobs.iter().filter(|j| j.draws).count();
    let response = controls::main_button(ui, cx.theme, missing > 0, name);
    let times = cx.state.study.generations().take(ENOUGH).map(|g| g.seconds);
    let (seconds, timed) = times.fold((0.0, 0), |(sum, n), s| (sum + s, n + 1));
    let each = seconds / timed.max(1) as f32;
    let tip = format!(
        "{missing} pictures that A has and B lacks; about {}",
        controls::clock((each * missing as f32) as u64)
    );
    if response.on_hover_text(&tip).clicked() {
        cx.command(Command::RunSameSeeds);
    }
    let words = match (waiting, missing) {
        (0, 0) => "B has all of A".to_owned(),
        (0, n) => format!("{n} missing"),
        (jobs, n) => format!("{n} missing, {jobs} runs in the queue"),
    };
    ui.label(RichText::new(words).small().color(cx.theme.weak));
}

/// A warning when A and B were drawn with different settings, as far as that is known.
fn other_settings(cx: &Cx<'_>) -> Option<String> {
    let known = &cx.state.compare.drawn_with;
    let a = known.get(cx.state.study.first())?;
    let b = known.get(&cx.state.compare.second)?;
    (a != b).then(|| {
        "A and B were drawn with different settings: what differs may not come from the variant.".to_owned()
    })
}

/// Classes of A in rows, of B in columns; a click filters.
fn matrix(ui: &mut Ui, cx: &mut Cx<'_>) {
    let theme = cx.theme;
    let matrix = cx.state.derived.transitions;
    let most = matrix.cells().map(|c| c.2).max().unwrap_or(0).max(1);
    ui.label(
        RichText::new("From A (rows) to B (columns)")
            .small()
            .color(theme.weak),
    );
    egui::Grid::new("transitions")
        .spacing(vec2(2.0, 2.0))
        .min_col_width(0.0)
        .show(ui, |ui| {
            ui.label("");
            for after in Verdict::ALL {
                let words = format!("{} {}", after.letters(), matrix.after(after));
                ui.label(RichText::new(words).small().color(theme.verdict(Some(after))));
            }
            ui.end_row();
            for before in Verdict::ALL {
                let words = format!("{} {}", before.letters(), matrix.before(before));
                ui.label(RichText::new(words).small().color(theme.verdict(Some(before))));
                for after in Verdict::ALL {
                    let count = matrix.count(before, after);
                    let cell = (before, after);
                    let chosen = cx.state.compare.cell == Some(cell);
                    let (rect, response) = ui.allocate_exact_size(CELL, Sense::click());
                    let name = format!("{} to {}: {count}", before.letters(), after.letters());
                    response.widget_info(|| WidgetInfo::selected(egui::Role::Button, true, chosen, &name));
                    let share = (count as f32 / most as f32).sqrt();
                    let fill = theme
                        .raised
                        .lerp_to_gamma(theme.verdict(Some(after)), 0.45 * share);
                    let painter = ui.painter();
                    painter.rect_filled(rect, CornerRadius::same(3), fill);
                    if chosen || response.hovered() {
                        let color = if chosen { theme.accent } else { theme.weak };
                        painter.rect_stroke(
                            rect,
                            CornerRadius::same(3),
                            Stroke::new(1.5, color),
                            StrokeKind::Inside,
                        );
                    }
                    let ink = if count == 0 { theme.faint } else { theme.text };
                    painter.text(rect.center(), Align2::CENTER_CENTER, count, controls::body(), ink);
                    if response
                        .on_hover_text(format!("{name}; click to see only these"))
                        .clicked()
                    {
                        cx.ask(Action::PickCell((!chosen).then_some(cell)));
                    }
                }
                ui.end_row();
            }
        });
    if cx.state.compare.cell.is_some() && ui.button("Show all transitions").clicked() {
        cx.ask(Action::PickCell(None));
    }
}

fn scores(ui: &mut Ui, cx: &Cx<'_>) {
    let theme = cx.theme;
    let matrix = cx.state.derived.transitions;
    let weak = |text: String| RichText::new(text).small().color(theme.weak);
    egui::Grid::new("comparison")
        .num_columns(4)
        .spacing(vec2(3.0, 0.5) * UNIT)
        .show(ui, |ui| {
            ui.label(weak("Mitigation score".into()));
            ui.label(weak("score".into()));
            ui.label(weak("at most".into()));
            ui.label("");
            ui.end_row();
            for (name, weights) in [
                ("as the reference", MitigationWeights::Reference),
                ("consistent", MitigationWeights::Potential),
            ] {
                let tip = match weights {
                    MitigationWeights::Reference => "Weights of FB-Mem's own script; BM to FM costs 0.5",
                    MitigationWeights::Potential => "Weights of one value per class; BM to FM costs 1",
                };
                ui.label(name).on_hover_text(tip);
                ui.label(format!("{:.1}", matrix.mitigation_score(weights)));
                ui.label(format!("{:.1}", matrix.attainable_score(weights)));
                ui.end_row();
            }
            let Some(c) = cx.state.comparison() else {
                ui.label(weak("Intervals are being computed.".into()));
                ui.end_row();
                return;
            };
            ui.label(weak("Measured".into()));
            ui.label(weak("value".into()));
            ui.label(weak(format!("{} % interval", c.bootstrap.percent)));
            ui.label(weak("over".into()));
            ui.end_row();
            let rows = [
                ("Mean score a picture", Some(&c.reference.mean)),
                ("Foreground score, B − A", Some(&c.foreground)),
                ("Background score, B − A", Some(&c.background)),
                ("FM that stays FM", Some(&c.persistence.foreground_only)),
                ("VM that becomes FM", Some(&c.persistence.verbatim_to_foreground)),
                ("Copied foreground that stays", Some(&c.persistence.foreground)),
                ("CLIP score, B − A", c.alignment.as_ref()),
                ("Ordinary pictures in A", c.quality.as_ref().map(|q| &q.a)),
                ("Ordinary pictures in B", c.quality.as_ref().map(|q| &q.b)),
                ("B's picture from A's", c.distance.as_ref()),
                ("Diversity of A", c.diversity.as_ref().map(|d| &d.a)),
                ("Diversity of B", c.diversity.as_ref().map(|d| &d.b)),
            ];
            for (name, estimate) in rows {
                ui.label(name);
                estimate_ui(ui, cx, estimate);
                ui.end_row();
            }
            if let (Some(a), Some(b)) = (c.seconds.a, c.seconds.b) {
                ui.label("Seconds a picture");
                ui.label(format!("{a:.1} to {b:.1}"));
                ui.end_row();
            }
        });
    if let Some(c) = cx.state.comparison() {
        let j = &c.joined;
        let parts = [
            (j.only_a.len(), "in A only"),
            (j.only_b.len(), "in B only"),
            (j.other_text.len(), "with another prompt"),
            (j.unclassed, "not compared with a gallery"),
        ];
        let words: Vec<String> = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, w)| format!("{n} {w}"))
            .collect();
        let unmatched = if words.is_empty() {
            "no picture is left out".to_owned()
        } else {
            format!("left out: {}", words.join(", "))
        };
        let keys: Vec<String> = j
            .only_a
            .iter()
            .chain(&j.only_b)
            .chain(&j.other_text)
            .take(24)
            .map(ToString::to_string)
            .collect();
        ui.label(weak(unmatched)).on_hover_text(keys.join("\n"));
    }
}

fn estimate_ui(ui: &mut Ui, cx: &Cx<'_>, estimate: Option<&Estimate>) {
    let small = |text: String| RichText::new(text).small().color(cx.theme.weak);
    let Some((e, value)) = estimate.and_then(|e| Some((e, e.value?))) else {
        ui.label("–");
        ui.label(small("not measured".into()));
        return;
    };
    ui.label(format!("{value:.3}"));
    match e.interval {
        Some([low, high]) => ui.label(format!("{low:.3} … {high:.3}")),
        None => ui
            .label("–")
            .on_hover_text("An interval needs two prompts or more"),
    };
    ui.label(small(over(e.pictures, e.prompts, e.seeds)));
}

/// Every variant that has results.
fn scoreboard(ui: &mut Ui, cx: &mut Cx<'_>) {
    let Some(result) = cx.state.compare.result.clone() else {
        return;
    };
    let theme = cx.theme;
    let weak = |text: &str| RichText::new(text).small().color(theme.weak);
    egui::Grid::new("scoreboard")
        .spacing(vec2(3.0, 1.0) * UNIT)
        .show(ui, |ui| {
            for head in [
                "Variant",
                "VM",
                "FM",
                "BM",
                "NM",
                "score",
                "score a picture",
                "ordinary",
                "diversity",
                "CLIP, B − A",
                "over",
                "touched",
                "s",
                "",
            ] {
                ui.label(weak(head));
            }
            ui.end_row();
            for (name, c) in &result.comparisons {
                let chosen = cx.state.compare.second.as_ref() == Some(name);
                let variant = cx.state.variants.iter().find(|v| *v.name == **name).cloned();
                let label = ui.selectable_label(chosen, controls::shortened(name, 24));
                if label.clicked() && variant.is_some() {
                    cx.ask(Action::SetVariant(variant.clone()));
                }
                for verdict in Verdict::ALL {
                    let words = format!(
                        "{} to {}",
                        c.transitions.before(verdict),
                        c.transitions.after(verdict)
                    );
                    ui.label(RichText::new(words).color(theme.verdict(Some(verdict))));
                }
                ui.label(format!(
                    "{:.1} / {:.1}",
                    c.reference.score, c.reference.attainable
                ))
                .on_hover_text("Mitigation score with the reference's weights, and the most it could be");
                let percent = c.bootstrap.percent;
                for (estimate, tip) in [
                    (Some(&c.reference.mean), "Mitigation score, mean a picture"),
                    (
                        c.quality.as_ref().map(|q| &q.b),
                        "Share of B's pictures that look as ordinary as A's",
                    ),
                    (
                        c.diversity.as_ref().map(|d| &d.b),
                        "Distance between seeds of one prompt in B",
                    ),
                    (c.alignment.as_ref(), "CLIP score of picture and prompt, B − A"),
                ] {
                    ui.label(estimate.map_or("–".to_owned(), in_short))
                        .on_hover_text(estimate.map_or("Not measured".to_owned(), |e| {
                            format!(
                                "{tip}; {percent} % interval by bootstrap over prompts\n{}",
                                over(e.pictures, e.prompts, e.seeds)
                            )
                        }));
                }
                let j = &c.joined;
                ui.label(
                    RichText::new(over(j.pictures, j.prompts, j.seeds))
                        .small()
                        .color(theme.weak),
                );
                ui.label(variant.map_or("–".to_owned(), |v| v.touched().to_string()));
                ui.label(c.seconds.b.map_or("–".to_owned(), |v| format!("{v:.2}")))
                    .on_hover_text("Median seconds a picture");
                match c.ruined() {
                    Some(reason) => ui
                        .label(RichText::new("ruined").color(theme.danger))
                        .on_hover_text(reason),
                    None => ui.label(""),
                };
                ui.end_row();
            }
        });
}

/// A number with its interval: “0.82 [0.71, 0.90]”.
fn in_short(e: &Estimate) -> String {
    match (e.value, e.interval) {
        (Some(value), Some([low, high])) => format!("{value:.2} [{low:.2}, {high:.2}]"),
        (Some(value), None) => format!("{value:.2}"),
        (None, _) => "–".to_owned(),
    }
}

fn over(pictures: usize, prompts: usize, seeds: usize) -> String {
    format!("{pictures} pictures, {prompts} prompts, {seeds} seeds")
}

/// Draws an arrow from A's mark to B's.
pub fn arrow(painter: &egui::Painter, from: egui::Pos2, to: egui::Pos2, color: egui::Color32) {
    let way = to - from;
    if way.length() < 3.0 {
        return;
    }
    let stroke = Stroke::new(1.2, color);
    let head = way.normalized() * 5.0;
    painter.line_segment([from, to], stroke);
    for side in [0.45_f32, -0.45] {
        let (sin, cos) = side.sin_cos();
        let wing = vec2(head.x * cos - head.y * sin, head.x * sin + head.y * cos);
        painter.line_segment([to, to - wing], stroke);
    }
}
