//! The plots of the Calibration view: paints histograms, the null's curve, ROC; lets a threshold be dragged.

use super::{calibration::Evaluated, roc_frame::RocFrame};
use crate::{
    app::{action::Action, context::Cx, controls},
    memorization::roc::Roc,
    study::{Region, Thresholds},
};
use egui::{
    Align2, Color32, CornerRadius, CursorIcon, Id, Pos2, Rect, Sense, Shape, Stroke, Ui, WidgetInfo, pos2,
    vec2,
};

const BINS: usize = 40;
const ABOVE: f32 = 14.0;
const BELOW: f32 = 16.0;

fn ink(cx: &Cx<'_>, region: Region) -> Color32 {
    match region {
        Region::Foreground => cx.theme.foreground(),
        Region::Background => cx.theme.background(),
    }
}

/// Scores of one region by label, and the share of the null that reaches each score.
pub fn histogram(ui: &mut Ui, cx: &mut Cx<'_>, rect: Rect, region: Region, evaluated: &Evaluated) {
    let theme = cx.theme;
    let plot = Rect::from_min_max(rect.min + vec2(0.0, ABOVE), rect.max - vec2(0.0, BELOW));
    if plot.height() < 20.0 {
        return;
    }
    let evaluation = &evaluated.regions[region as usize];
    let null = cx.state.null.as_ref().map_or(&[][..], |n| n.of(region));
    let all = &evaluated.scores[region as usize];
    let lowest = all.iter().chain(null.first()).copied().fold(0.7_f32, f32::min);
    let low = ((lowest - 0.02) * 10.0).floor().max(0.0) / 10.0;
    let place = |v: f32| {
        let share = ((v - low) / (1.0 - low)).clamp(0.0, 1.0);
        egui::lerp(plot.left()..=plot.right(), share)
    };
    let response = ui.allocate_rect(plot, Sense::click_and_drag());
    response.widget_info(|| {
        let words = format!("Histogram of {} scores by label", region.name());
        WidgetInfo::labeled(egui::Role::Canvas, true, words)
    });
    drag(ui, cx, &response, region, low, plot);
    let painter = ui.painter_at(rect);
    let ground = theme.stage.gamma_multiply(if theme.dark { 1.0 } else { 0.45 });
    painter.rect_filled(plot, CornerRadius::same(3), ground);

    // Memorized, not memorized; without labels all scores in one colour.
    let mut bins = [[0_u32; BINS]; 2];
    let bin = |v: f32| (((v - low) / (1.0 - low) * BINS as f32) as usize).min(BINS - 1);
    let labelled = !evaluation.labelled.is_empty();
    if labelled {
        for &(score, memorized) in &evaluation.labelled {
            bins[usize::from(!memorized)][bin(score)] += 1;
        }
    } else {
        all.iter().for_each(|&score| bins[1][bin(score)] += 1);
    }
    let most = bins.iter().flatten().copied().max().unwrap_or(0).max(1) as f32;
    let colors = [
        ink(cx, region).gamma_multiply(0.85),
        theme.weak.gamma_multiply(0.6),
    ];
    let step = plot.width() / BINS as f32;
    for (kind, counts) in bins.iter().enumerate() {
        for (i, &count) in counts.iter().enumerate().filter(|(_, c)| **c > 0) {
            // Side by side, so that neither hides the other.
            let left = plot.left() + step * (i as f32 + if labelled { 0.5 * kind as f32 } else { 0.0 });
            let width = step * if labelled { 0.5 } else { 1.0 } - 0.6;
            let height = (plot.height() - 6.0) * count as f32 / most;
            let bar = Rect::from_min_max(
                pos2(left, plot.bottom() - height),
                pos2(left + width, plot.bottom()),
            );
            painter.rect_filled(bar, 0.5, colors[kind]);
        }
    }
    // From 1 at the top down to 0: the share of the null at or above each score.
    if !null.is_empty() {
        let up = |share: f32| egui::lerp(plot.bottom()..=plot.top() + 3.0, share);
        let mut line = vec![pos2(plot.left(), up(1.0))];
        let stride = null.len().div_ceil(400);
        for (i, &score) in null.iter().enumerate().step_by(stride) {
            line.push(pos2(place(score), up(1.0 - i as f32 / null.len() as f32)));
        }
        line.push(pos2(place(null[null.len() - 1]), up(0.0)));
        painter.add(Shape::line(line, Stroke::new(1.5, theme.accent)));
    }
    let threshold = cx.state.thresholds.of(region);
    let x = place(threshold);
    let strong = response.hovered() || response.dragged();
    let stroke = Stroke::new(1.0, if strong { theme.accent } else { theme.text });
    painter.extend(Shape::dashed_line(
        &[pos2(x, plot.top()), pos2(x, plot.bottom())],
        stroke,
        4.0,
        3.0,
    ));
    painter.text(
        pos2(
            x.clamp(plot.left() + 12.0, plot.right() - 12.0),
            plot.bottom() + 2.0,
        ),
        Align2::CENTER_TOP,
        format!("{threshold:.2}"),
        controls::small(),
        theme.text,
    );
    for (value, align) in [(low, Align2::LEFT_TOP), (1.0, Align2::RIGHT_TOP)] {
        if (x - place(value)).abs() > 36.0 {
            let at = pos2(place(value), plot.bottom() + 2.0);
            painter.text(at, align, format!("{value:.1}"), controls::small(), theme.faint);
        }
    }
    let title = pos2(plot.left(), rect.top());
    let name = painter.text(
        title,
        Align2::LEFT_TOP,
        region.name(),
        controls::small(),
        ink(cx, region),
    );
    let mut words = String::new();
    if labelled {
        let (yes, no) = evaluation.counts();
        words = format!("{yes} memorized, {no} not");
    } else if !all.is_empty() {
        words = format!("{} scores, no labels", all.len());
    }
    let room = plot.right() - name.right() - 66.0;
    let at = pos2(name.right() + 6.0, name.center().y);
    controls::line(&painter, at, &words, controls::small(), theme.weak, room);
    // Only where it does not run into the region's name.
    if !null.is_empty() && plot.right() - name.right() > 84.0 {
        let at = pos2(plot.right(), rect.top());
        painter.text(
            at,
            Align2::RIGHT_TOP,
            "null ≥ score",
            controls::small(),
            theme.accent,
        );
    }
    if let Some(pointer) = response.hover_pos().filter(|_| !response.dragged()) {
        let score = low + (1.0 - low) * ((pointer.x - plot.left()) / plot.width()).clamp(0.0, 1.0);
        let alarms = cx.state.null.as_ref().and_then(|n| n.false_alarms(region, score));
        let mut tip = format!("{score:.3}");
        if let Some(alarms) = alarms {
            tip += &format!(": {:.1} % of the null reach it", alarms * 100.0);
        }
        response.on_hover_text_at_pointer(tip);
    }
}

/// Moves the threshold of a region while its line is dragged.
fn drag(ui: &Ui, cx: &mut Cx<'_>, response: &egui::Response, region: Region, low: f32, plot: Rect) {
    if response.hovered() {
        ui.ctx().set_cursor_icon(CursorIcon::ResizeHorizontal);
    }
    let at: Option<Pos2> = if response.dragged() || response.clicked() {
        response.interact_pointer_pos()
    } else {
        None
    };
    let Some(at) = at else { return };
    let share = ((at.x - plot.left()) / plot.width()).clamp(0.0, 1.0);
    // Hundredths, as the thresholds are written everywhere.
    let value = ((low + share * (1.0 - low)) * 100.0).round() / 100.0;
    let now = cx.state.thresholds;
    let wanted = match region {
        Region::Foreground => Thresholds {
            foreground: value,
            ..now
        },
        Region::Background => Thresholds {
            background: value,
            ..now
        },
    };
    if wanted != now {
        let gesture = ui.input(|i| i.pointer.press_start_time()).map(f64::to_bits);
        cx.ask(Action::SetThresholds(wanted, gesture));
    }
}

/// ROC of both regions, with the point of the thresholds as they are.
pub fn roc(ui: &mut Ui, cx: &Cx<'_>, plot: Rect, evaluated: &Evaluated) {
    let theme = cx.theme;
    let response = ui.interact(plot, Id::unique("roc curves"), Sense::hover());
    let curves: Vec<(Region, &Roc)> = evaluated
        .regions
        .iter()
        .filter_map(|e| Some((e.region, e.corners.as_ref().ok()?)))
        .collect();
    response.widget_info(|| {
        let areas: Vec<String> = curves
            .iter()
            .map(|(r, c)| format!("{} {:.3}", r.name(), c.auc()))
            .collect();
        WidgetInfo::labeled(
            egui::Role::Canvas,
            true,
            format!("ROC curves, areas: {}", areas.join(", ")),
        )
    });
    let frame = RocFrame::new(ui, theme, plot);
    for (region, curve) in &curves {
        let line: Vec<Pos2> = curve.points.iter().map(|p| frame.place(p.fpr, p.tpr)).collect();
        frame
            .painter
            .add(Shape::line(line, Stroke::new(1.8, ink(cx, *region))));
        let now = evaluated.regions[*region as usize].confusion(cx.state.thresholds.of(*region));
        if let (Some(fpr), Some(tpr)) = (now.false_positive_rate(), now.recall()) {
            frame.painter.circle(
                frame.place(fpr, tpr),
                4.0,
                theme.pane,
                Stroke::new(1.8, ink(cx, *region)),
            );
        }
    }
    frame.captions("ROC");
    if curves.is_empty() {
        for (i, words) in ["needs labels", "of both kinds"].into_iter().enumerate() {
            let at = plot.center() + vec2(0.0, 14.0 * i as f32 - 7.0);
            let font = controls::small();
            frame
                .painter
                .text(at, Align2::CENTER_CENTER, words, font, theme.faint);
        }
    }
}
