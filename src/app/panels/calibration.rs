//! Calibration: scores by label beside the gallery's null, ROC curves, precision and recall of the thresholds as they
//! move, and thresholds to take over. Without labels it shows the null and all scores.

use super::calibration_plots::{histogram, roc};
use crate::{
    app::{action::Action, command::Command, context::Cx, controls, theme::UNIT},
    memorization::{RegionEvaluation, null::DEFAULT_RATE, roc::Roc},
    study::{Region, Thresholds},
};
use egui::{Grid, Id, Rect, RichText, ScrollArea, Ui, UiBuilder, pos2, vec2};
use egui_tiles::UiResponse;
use std::sync::Arc;

/// False-positive rate of the two readings of TPR.
const FPR: f64 = 0.01;
/// Width of the table of numbers.
const TABLE: f32 = 330.0;

/// What is drawn; made anew when pictures or labels change, never for a threshold.
#[derive(Clone)]
pub struct Evaluated {
    key: (u64, usize, usize),
    /// Foreground and background.
    pub regions: [RegionEvaluation; 2],
    /// All scores of each region, labelled or not.
    pub scores: [Vec<f32>; 2],
}

/// A few words beside the pane's title.
pub fn note(cx: &Cx<'_>) -> String {
    let labels = match &cx.state.labels {
        Some(labels) => format!("{} labels", labels.len()),
        None if has_planned(cx) => "classes of the prompt list as labels".to_owned(),
        None => "no labels".to_owned(),
    };
    match &cx.state.null {
        Some(null) => format!("{labels} · null of {} training images", null.scores().len()),
        None => labels,
    }
}

fn has_planned(cx: &Cx<'_>) -> bool {
    let study = &cx.state.study;
    study.prompts().iter().any(|p| study.planned(p.index).is_some())
}

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let header = controls::header(ui, cx, "Calibration", &note(cx));
    if cx.state.study.outline().is_none() {
        let advice = "Scores of labelled pictures, and what unrelated training images score, show here.";
        controls::empty(ui, cx, "No study open", advice, super::prompts::open_buttons);
        return controls::moved(&header);
    }
    super::detection::bar(ui, cx);
    if cx.state.signals.shown.on {
        super::detection::ui(ui, cx);
        return controls::moved(&header);
    }
    let evaluated = evaluated(ui, cx);
    let area = ui.available_rect_before_wrap();
    if area.width() < 120.0 || area.height() < 60.0 {
        return controls::moved(&header);
    }
    let table = if area.width() > 760.0 { TABLE } else { 0.0 };
    let plots = area.width() - table;
    let side = (area.height() - 34.0).min(plots * 0.36).max(40.0);
    let gap = 4.0 * UNIT;
    let wide = (plots - side - 12.0 * UNIT) * 0.5 - gap;
    let mut left = area.left() + 2.0 * UNIT;
    for region in Region::ALL {
        let rect = Rect::from_min_size(pos2(left, area.top()), vec2(wide.max(60.0), area.height()));
        histogram(ui, cx, rect, region, &evaluated);
        left = rect.right() + gap;
    }
    let rect = Rect::from_min_size(pos2(left + 5.0 * UNIT, area.top() + 14.0), vec2(side, side));
    roc(ui, cx, rect, &evaluated);
    if table > 0.0 {
        let rect = Rect::from_min_max(pos2(area.right() - table + gap, area.top()), area.max);
        ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| numbers(ui, cx, &evaluated));
    }
    controls::moved(&header)
}

fn evaluated(ui: &Ui, cx: &Cx<'_>) -> Arc<Evaluated> {
    let state = cx.state;
    let labels = state.labels.as_ref();
    let key = (
        state.study.version(),
        labels.map_or(0, |l| Arc::as_ptr(l).cast::<u8>() as usize),
        labels.map_or(0, |l| l.len()),
    );
    let place = Id::unique("evaluated labels");
    if let Some(known) = ui.data(|d| d.get_temp::<Arc<Evaluated>>(place))
        && known.key == key
    {
        return known;
    }
    let pictures: Vec<_> = state
        .study
        .generations()
        .filter_map(|g| Some((g.scores()?, state.label(g.key).unwrap_or_default())))
        .collect();
    let made = Arc::new(Evaluated {
        key,
        regions: Region::ALL.map(|r| RegionEvaluation::new(r, pictures.iter().copied())),
        scores: Region::ALL.map(|r| pictures.iter().filter_map(|(s, _)| s.of(r)).collect()),
    });
    ui.data_mut(|d| d.insert_temp(place, made.clone()));
    made
}

fn numbers(ui: &mut Ui, cx: &mut Cx<'_>, evaluated: &Evaluated) {
    buttons(ui, cx, evaluated);
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let weak = cx.theme.weak;
        let small = |text: String| RichText::new(text).small();
        ui.spacing_mut().interact_size.y = 3.5 * UNIT;
        Grid::new("calibration numbers")
            .num_columns(3)
            .spacing(vec2(3.0 * UNIT, 2.0))
            .show(ui, |ui| {
                ui.label("");
                ui.label(small("foreground".into()).color(cx.theme.foreground()));
                ui.label(small("background".into()).color(cx.theme.background()));
                ui.end_row();
                for (name, tip, values) in rows(cx, evaluated) {
                    let label = ui.label(small(name.to_owned()).color(weak));
                    label.on_hover_text(tip);
                    for value in values {
                        ui.label(small(value));
                    }
                    ui.end_row();
                }
            });
        for evaluation in &evaluated.regions {
            if let Err(reason) = &evaluation.corners {
                let words = format!("{}: no curve, {reason}", evaluation.region.name());
                ui.label(small(words).color(cx.theme.faint));
            }
        }
    });
}

type NumberRow = (&'static str, &'static str, [String; 2]);

fn rows(cx: &Cx<'_>, evaluated: &Evaluated) -> Vec<NumberRow> {
    let thresholds = cx.state.thresholds;
    let share = |v: Option<f64>| v.map_or("n/a".to_owned(), |v| format!("{v:.3}"));
    let each = |value: &dyn Fn(&RegionEvaluation) -> String| [0, 1].map(|i| value(&evaluated.regions[i]));
    let at = |e: &RegionEvaluation| e.confusion(thresholds.of(e.region));
    let of_roc = |e: &RegionEvaluation, value: &dyn Fn(&Roc) -> f64| {
        let of = |r: &Result<Roc, _>| r.as_ref().ok().map(value);
        (of(&e.corners), of(&e.all))
    };
    // The same number twice would only be noise.
    let both = |(corners, all): (Option<f64>, Option<f64>)| match (corners, all) {
        (Some(c), Some(a)) if (c - a).abs() > 5e-4 => format!("{c:.3} ({a:.3})"),
        (c, _) => share(c),
    };
    let null = cx.state.null.as_ref();
    let region_words = |value: &dyn Fn(Region) -> String| Region::ALL.map(value);
    vec![
        (
            "labelled: yes / no",
            "Pictures whose region is labelled memorized, and not memorized",
            each(&|e| {
                let (yes, no) = e.counts();
                format!("{yes} / {no}")
            }),
        ),
        (
            "AUC",
            "Area under the ROC curve; 0.5 is chance",
            each(&|e| share(e.corners.as_ref().ok().map(Roc::auc))),
        ),
        (
            "TPR at 1 % FPR, nearest",
            "FB-Mem: at the point whose false-positive rate is nearest to 1 %; of equally near ones the first, so that a \
             perfect separation without a point near 1 % gives 0. In brackets with all points of the curve, where it \
             differs from the curve without points on straight lines (scikit-learn's default)",
            each(&|e| both(of_roc(e, &|r| r.tpr_nearest_fpr(FPR)))),
        ),
        (
            "TPR at 1 % FPR, below",
            "Wen et al.: at the last point whose false-positive rate is strictly below 1 %. In brackets with all points",
            each(&|e| both(of_roc(e, &|r| r.tpr_below_fpr(FPR)))),
        ),
        (
            "best balanced accuracy",
            "Largest mean of TPR and 1 − FPR over the curve (Wen et al.)",
            each(&|e| share(of_roc(e, &Roc::best_accuracy).0)),
        ),
        (
            "threshold now",
            "As set by the lines in the Field",
            region_words(&|r| format!("{:.2}", thresholds.of(r))),
        ),
        (
            "  precision",
            "Share of the pictures called memorized that are",
            each(&|e| share(at(e).precision())),
        ),
        (
            "  recall (TPR)",
            "Share of the memorized pictures that are called so",
            each(&|e| share(at(e).recall())),
        ),
        (
            "  F1",
            "Harmonic mean of precision and recall",
            each(&|e| share(at(e).f1())),
        ),
        (
            "  false-positive rate",
            "Share of the pictures labelled not memorized that are called memorized",
            each(&|e| share(at(e).false_positive_rate())),
        ),
        (
            "  of the null",
            "Share of the gallery's unrelated pictures that reach the threshold",
            region_words(&|r| share(null.and_then(|n| n.false_alarms(r, thresholds.of(r))))),
        ),
        (
            "suggested by the null",
            "At most 1 % of the gallery's unrelated pictures reach it",
            region_words(&|r| match null.map(|n| n.threshold(r, DEFAULT_RATE)) {
                Some(Ok(t)) => format!("{t:.2}"),
                Some(Err(_)) => "n/a".to_owned(),
                None => "not measured".to_owned(),
            }),
        ),
        (
            "suggested by the labels",
            "The lowest that calls at most 1 % of the pictures labelled not memorized",
            each(&|e| {
                e.threshold_at_fpr(FPR)
                    .map_or("n/a".to_owned(), |t| format!("{t:.2}"))
            }),
        ),
    ]
}

fn buttons(ui: &mut Ui, cx: &mut Cx<'_>, evaluated: &Evaluated) {
    let now = cx.state.thresholds;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = UNIT;
        let reference = controls::toggle(ui, cx.theme, now == Thresholds::default(), "Reference 0.80");
        if reference.clicked() {
            cx.command(Command::ReferenceThresholds);
        }
        let suggested = cx.state.null.as_ref().map(|n| n.suggest(DEFAULT_RATE, now).0);
        let measuring = cx.state.jobs.iter().any(|j| j.calibrates);
        let name = if measuring { "Measuring…" } else { "Null at 1 %" };
        let null = controls::toggle(ui, cx.theme, suggested == Some(now), name);
        if null
            .on_hover_text(Command::SuggestedThresholds.words().1)
            .clicked()
        {
            cx.command(Command::SuggestedThresholds);
        }
        let [foreground, background] = [0, 1].map(|i| evaluated.regions[i].threshold_at_fpr(FPR));
        if foreground.is_some() || background.is_some() {
            let wanted = Thresholds {
                foreground: foreground.unwrap_or(now.foreground),
                background: background.unwrap_or(now.background),
            };
            let labels = controls::toggle(ui, cx.theme, wanted == now, "Labels at 1 %");
            if labels
                .on_hover_text("At most 1 % of the pictures labelled not memorized reach them")
                .clicked()
            {
                cx.ask(Action::SetThresholds(wanted, None));
            }
        }
    });
}
