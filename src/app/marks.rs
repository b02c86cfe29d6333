//! The four verdict marks, drawn rather than typed: a font may lack the shapes.

use super::theme::Theme;
use crate::study::Verdict;
use egui::{Color32, Painter, Pos2, Shape, Stroke, pos2, vec2};

/// Draws a class as its shape: disc, triangle, square, ring; a small dot when there is no class yet.
pub fn mark(painter: &Painter, theme: &Theme, center: Pos2, radius: f32, verdict: Option<Verdict>) {
    mark_in(painter, center, radius, verdict, theme.verdict(verdict));
}

/// The same in a colour of choice.
pub fn mark_in(painter: &Painter, center: Pos2, radius: f32, verdict: Option<Verdict>, color: Color32) {
    painter.add(shape(center, radius, verdict, color));
}

/// The mark as a shape, to be drawn in numbers.
pub fn shape(center: Pos2, radius: f32, verdict: Option<Verdict>, color: Color32) -> Shape {
    match verdict {
        Some(Verdict::Verbatim) => Shape::circle_filled(center, radius, color),
        Some(Verdict::ForegroundOnly) => {
            // Equal area reads as equal size: the triangle is a little taller than the disc.
            let (w, up, down) = (radius * 1.12, radius * 1.12, radius * 0.86);
            Shape::convex_polygon(
                vec![
                    pos2(center.x, center.y - up),
                    pos2(center.x + w, center.y + down),
                    pos2(center.x - w, center.y + down),
                ],
                color,
                Stroke::NONE,
            )
        }
        Some(Verdict::BackgroundOnly) => Shape::rect_filled(
            egui::Rect::from_center_size(center, vec2(1.76, 1.76) * radius),
            1.0,
            color,
        ),
        Some(Verdict::NotMemorized) => {
            let width = (radius * 0.36).max(1.1);
            Shape::circle_stroke(center, radius - width * 0.5, Stroke::new(width, color))
        }
        None => Shape::circle_filled(center, radius * 0.34, color),
    }
}

/// A cross, for dismissing.
pub fn cross(painter: &Painter, center: Pos2, size: f32, color: Color32) {
    let arm = size * 0.5;
    for dy in [1.0, -1.0] {
        let reach = vec2(arm, arm * dy);
        painter.line_segment([center - reach, center + reach], Stroke::new(1.4, color));
    }
}

/// A chevron: down when `open`, up otherwise.
pub fn chevron(painter: &egui::Painter, center: Pos2, open: bool, color: Color32) {
    let up = if open { 1.0 } else { -1.0 };
    let points = [vec2(-3.5, -1.8 * up), vec2(0.0, 1.8 * up), vec2(3.5, -1.8 * up)].map(|v| center + v);
    painter.line(points.to_vec(), Stroke::new(1.4, color));
}
