//! What the Field stands on: axes, quadrants, threshold lines, histograms. Paints; decides nothing.

use super::field_points::BINS;
use crate::{
    app::{context::Cx, controls, theme::UNIT},
    study::{RegionScores, Thresholds, Verdict},
};
use egui::{Align2, Color32, CornerRadius, Pos2, Rect, Shape, Stroke, Ui, pos2, vec2};

/// Room for the histograms above and right of the plot.
pub const HISTOGRAM: f32 = 24.0;
/// Room inside the plot above and right of score 1: a mark there shows whole.
pub const EDGE: f32 = 7.0;
/// Room for pictures that lack a region, left of and below the axes.
pub const GUTTER: f32 = 12.0;
const LEFT: f32 = 38.0;

/// What a drag has hold of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grab {
    /// The foreground's line.
    Foreground,
    /// The background's line.
    Background,
    /// Their crossing.
    Both,
}

/// From scores to the screen.
#[derive(Clone, Copy)]
pub struct Axes {
    /// The plot, gutter included.
    pub plot: Rect,
    /// Score at the lower left end of both axes.
    pub low: f32,
}

impl Axes {
    /// Place of a background score.
    pub fn x(&self, value: f32) -> f32 {
        self.x_beyond(self.within(value))
    }

    /// Place of a foreground score.
    pub fn y(&self, value: f32) -> f32 {
        self.y_beyond(self.within(value))
    }

    fn within(&self, value: f32) -> f32 {
        value.clamp(self.low, 1.0)
    }

    /// Place of a background score that may lie past the axis' ends.
    pub fn x_beyond(&self, value: f32) -> f32 {
        let from = self.plot.left() + GUTTER;
        from + (value - self.low) / (1.0 - self.low) * (self.plot.right() - EDGE - from)
    }

    /// Place of a foreground score that may lie past the axis' ends.
    pub fn y_beyond(&self, value: f32) -> f32 {
        let from = self.plot.bottom() - GUTTER;
        from + (value - self.low) / (1.0 - self.low) * (self.plot.top() + EDGE - from)
    }

    /// The scores (background, foreground) at a place, which may lie past the axes' ends.
    pub fn scores_at(&self, at: Pos2) -> [f32; 2] {
        let across = (at.x - self.plot.left() - GUTTER) / (self.plot.width() - GUTTER - EDGE);
        let up = (self.plot.bottom() - GUTTER - at.y) / (self.plot.height() - GUTTER - EDGE);
        [across, up].map(|share| self.low + share * (1.0 - self.low))
    }

    /// Place of a pair of scores; in the gutter where a region is missing.
    pub fn place(&self, scores: &RegionScores) -> Pos2 {
        self.place_of([scores.foreground, scores.background].map(|s| s.unwrap_or(f32::NAN)))
    }

    /// As [`Axes::place`], with NaN for a missing region.
    pub fn place_of(&self, [foreground, background]: [f32; 2]) -> Pos2 {
        let x = if background.is_nan() {
            self.plot.left() + GUTTER * 0.4
        } else {
            self.x(background)
        };
        let y = if foreground.is_nan() {
            self.plot.bottom() - GUTTER * 0.4
        } else {
            self.y(foreground)
        };
        pos2(x, y)
    }

    /// The thresholds that would cross at a place.
    pub fn thresholds_at(&self, at: Pos2) -> Thresholds {
        // Hundredths, as the thresholds are written everywhere.
        let [background, foreground] = self
            .scores_at(at)
            .map(|v| (v.clamp(self.low, 1.0).max(0.0) * 100.0).round() / 100.0);
        Thresholds {
            foreground,
            background,
        }
    }
}

/// The quadrants by their corner of the plot.
const QUADRANTS: [(Verdict, Align2); 4] = [
    (Verdict::Verbatim, Align2::RIGHT_TOP),
    (Verdict::ForegroundOnly, Align2::LEFT_TOP),
    (Verdict::BackgroundOnly, Align2::RIGHT_BOTTOM),
    (Verdict::NotMemorized, Align2::LEFT_BOTTOM),
];

/// Name and number of each quadrant in its corner, below the marks: no mark may hide.
pub fn quadrant_names(ui: &Ui, cx: &Cx<'_>, plot: Rect) {
    let painter = ui.painter();
    for (verdict, corner) in QUADRANTS {
        let words = format!("{} {}", verdict.letters(), cx.tally.count(verdict));
        let color = cx.theme.verdict(Some(verdict));
        let galley = painter.layout_no_wrap(words, controls::small(), color);
        let at = corner.pos_in_rect(&plot.shrink(4.0));
        let plate = corner.anchor_size(at, galley.size() + vec2(8.0, 2.0));
        painter.rect_filled(plate, CornerRadius::same(4), cx.theme.float);
        painter.galley(plate.center() - galley.size() * 0.5, galley, color);
    }
}

/// Quadrants, their names and counts, axes.
pub fn ground(ui: &Ui, cx: &Cx<'_>, axes: &Axes, corner: Pos2) {
    let theme = cx.theme;
    let plot = axes.plot;
    let painter = ui.painter();
    painter.rect_filled(
        plot,
        CornerRadius::same(4),
        theme.stage.gamma_multiply(if theme.dark { 1.0 } else { 0.45 }),
    );
    for (verdict, at) in QUADRANTS {
        let rect = Rect::from_two_pos(at.pos_in_rect(&plot), corner);
        let color = theme.verdict(Some(verdict));
        if verdict != Verdict::NotMemorized {
            painter.rect_filled(rect, 0, color.gamma_multiply(0.07));
        }
    }
    let across = painter.layout_no_wrap("background".to_owned(), controls::small(), theme.weak);
    let across_at = pos2(plot.right() - across.size().x, plot.bottom() + 3.0);
    let steps = ((1.0 - axes.low) * 10.0).round() as usize;
    for i in 0..=steps {
        let value = axes.low + 0.1 * i as f32;
        if steps > 6 && i % 2 != steps % 2 {
            continue;
        }
        let text = format!("{value:.1}");
        let (ink, font) = (theme.faint, controls::small());
        // The axis' name stands where its last numbers would.
        let number = painter.layout_no_wrap(text.clone(), font.clone(), ink);
        let at = pos2(axes.x(value) - number.size().x * 0.5, plot.bottom() + 3.0);
        if at.x + number.size().x + UNIT < across_at.x {
            painter.galley(at, number, ink);
        }
        let at = pos2(plot.left() - 4.0, axes.y(value));
        painter.text(at, Align2::RIGHT_CENTER, &text, font, ink);
    }
    let name = painter.layout_no_wrap("foreground".to_owned(), controls::small(), theme.weak);
    let at = pos2(plot.left() - LEFT, plot.center().y + name.size().x * 0.5);
    painter.add(egui::epaint::TextShape::new(at, name, theme.weak).with_angle(-std::f32::consts::FRAC_PI_2));
    painter.galley(across_at, across, theme.weak);
}

/// The two thresholds, their crossing, and the number of the one that is held.
pub fn lines(ui: &Ui, cx: &Cx<'_>, axes: &Axes, corner: Pos2, grab: Option<Grab>, pointer: Option<Pos2>) {
    let theme = cx.theme;
    let plot = axes.plot;
    let painter = ui.painter();
    let ink = |active: bool| if active { theme.accent } else { theme.text };
    let horizontal = matches!(grab, Some(Grab::Foreground | Grab::Both));
    let vertical = matches!(grab, Some(Grab::Background | Grab::Both));
    let dashed = |from: Pos2, to: Pos2, active: bool| {
        painter.extend(Shape::dashed_line(
            &[from, to],
            Stroke::new(1.0, ink(active)),
            4.0,
            3.0,
        ));
    };
    dashed(
        pos2(plot.left(), corner.y),
        pos2(plot.right(), corner.y),
        horizontal,
    );
    dashed(
        pos2(corner.x, plot.top()),
        pos2(corner.x, plot.bottom()),
        vertical,
    );
    let both = grab == Some(Grab::Both);
    painter.circle(
        corner,
        if both { 6.5 } else { 5.5 },
        theme.pane,
        Stroke::new(1.6, ink(both)),
    );
    // The number beside the line it belongs to, while it is pointed at or moved.
    if pointer.is_some() || grab.is_some() {
        let thresholds = cx.state.thresholds;
        let plate = |at: Pos2, anchor: Align2, value: f32| {
            controls::caption(painter, at, anchor, &format!("{value:.2}"), 80.0);
        };
        if horizontal {
            plate(
                pos2(plot.right() - 4.0, corner.y),
                Align2::RIGHT_CENTER,
                thresholds.foreground,
            );
        }
        if vertical {
            plate(
                pos2(corner.x, plot.bottom() - 2.0),
                Align2::CENTER_BOTTOM,
                thresholds.background,
            );
        }
    }
}

/// How the scores are spread along each axis.
pub fn histograms(ui: &Ui, cx: &Cx<'_>, axes: &Axes) {
    let (across, up) = (&cx.field.across, &cx.field.up);
    let theme = cx.theme;
    let plot = axes.plot;
    let painter = ui.painter();
    let middle = |i: usize| axes.low + (1.0 - axes.low) * (i as f32 + 0.5) / BINS as f32;
    let edge = |i: usize| axes.low + (1.0 - axes.low) * i as f32 / BINS as f32;
    let color = |copied: bool, ink: Color32| {
        if copied {
            ink.gamma_multiply(0.8)
        } else {
            theme.faint.gamma_multiply(0.55)
        }
    };
    let most = across.iter().copied().max().unwrap_or(0).max(1) as f32;
    for (i, &count) in across.iter().enumerate().filter(|(_, c)| **c > 0) {
        let height = (HISTOGRAM - 8.0) * count as f32 / most;
        let bottom = plot.top() - 4.0;
        let rect = Rect::from_min_max(
            pos2(axes.x(edge(i)), bottom - height),
            pos2(axes.x(edge(i + 1)) - 1.0, bottom),
        );
        painter.rect_filled(
            rect,
            1.0,
            color(middle(i) >= cx.state.thresholds.background, theme.background()),
        );
    }
    let most = up.iter().copied().max().unwrap_or(0).max(1) as f32;
    for (i, &count) in up.iter().enumerate().filter(|(_, c)| **c > 0) {
        let width = (HISTOGRAM - 8.0) * count as f32 / most;
        let left = plot.right() + 4.0;
        let rect = Rect::from_min_max(
            pos2(left, axes.y(edge(i + 1)) + 0.5),
            pos2(left + width, axes.y(edge(i)) - 0.5),
        );
        painter.rect_filled(
            rect,
            1.0,
            color(middle(i) >= cx.state.thresholds.foreground, theme.foreground()),
        );
    }
}
