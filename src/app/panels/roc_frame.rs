//! What every ROC plot has: ground, diagonal of chance, axes.

use crate::app::{controls, theme::Theme};
use egui::{Align2, CornerRadius, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Ui, pos2, vec2};

/// A ROC plot before and after its curves.
pub struct RocFrame<'a> {
    /// Draws on the plot and on the captions around it.
    pub painter: Painter,
    theme: &'a Theme,
    plot: Rect,
}

impl<'a> RocFrame<'a> {
    /// Draws what lies below the curves.
    pub fn new(ui: &Ui, theme: &'a Theme, plot: Rect) -> Self {
        let painter = ui.painter_at(plot.expand2(vec2(30.0, 20.0)));
        let ground = theme.stage.gamma_multiply(if theme.dark { 1.0 } else { 0.45 });
        painter.rect_filled(plot, CornerRadius::same(3), ground);
        let line = Stroke::new(1.0, theme.line);
        painter.rect_stroke(plot, CornerRadius::same(3), line, StrokeKind::Inside);
        let frame = Self { painter, theme, plot };
        frame.painter.extend(Shape::dashed_line(
            &[frame.place(0.0, 0.0), frame.place(1.0, 1.0)],
            Stroke::new(1.0, theme.faint.gamma_multiply(0.6)),
            3.0,
            4.0,
        ));
        frame
    }

    /// Where a pair of rates, each in `[0, 1]`, lies on the screen.
    pub fn place(&self, fpr: f64, tpr: f64) -> Pos2 {
        pos2(
            egui::lerp(self.plot.left()..=self.plot.right(), fpr as f32),
            egui::lerp(self.plot.bottom()..=self.plot.top(), tpr as f32),
        )
    }

    /// Writes the title and the ends of the axes.
    pub fn captions(&self, title: &str) {
        let (plot, weak, faint) = (self.plot, self.theme.weak, self.theme.faint);
        let below = vec2(0.0, 2.0);
        for (at, anchor, words, color) in [
            (plot.left_top() - vec2(0.0, 14.0), Align2::LEFT_TOP, title, weak),
            (plot.left_bottom() + below, Align2::LEFT_TOP, "0", faint),
            (plot.right_bottom() + below, Align2::RIGHT_TOP, "FPR 1", faint),
            (plot.left_top() - vec2(4.0, 0.0), Align2::RIGHT_TOP, "TPR", faint),
        ] {
            self.painter.text(at, anchor, words, controls::small(), color);
        }
    }
}
