//! The pixel inspector: what lies under the pointer, enlarged, with its numbers.

use crate::{
    app::{
        context::Cx,
        controls::{self, score},
        on_stage::{OnStage, Placement},
        theme::{self, UNIT},
    },
    engine::PairView,
    study::{Generation, LatentMap},
};
use egui::{
    Align2, Color32, CornerRadius, Frame, Mesh, Pos2, Rect, Stroke, StrokeKind, Ui, Vec2, pos2, vec2,
};
use image::RgbImage;

/// Pixels across the enlarged part; odd, so that one is in the middle.
const ACROSS: i32 = 11;
/// Width and height of an enlarged pixel.
const CELL: f32 = 8.0;
/// Height of a row.
const ROW: f32 = 4.25 * UNIT;
/// Where values begin.
const VALUES: f32 = 64.0;

/// One line of the inspector.
#[derive(Clone, Debug, PartialEq)]
struct Fact {
    name: &'static str,
    value: String,
    swatch: Option<[u8; 3]>,
}

/// What is known of a pixel.
fn facts(pair: &PairView, generation: Option<&Generation>, (x, y): (u32, u32)) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut add = |name, value, swatch| facts.push(Fact { name, value, swatch });
    let color = |[r, g, b]: [u8; 3]| format!("{r:3} {g:3} {b:3}");
    let pictures = [
        ("generated", Some(&pair.generated)),
        ("partner", pair.training.as_ref()),
    ];
    for (name, picture) in pictures {
        if let Some(pixel) = picture.and_then(|p| p.get_pixel_checked(x, y)) {
            add(name, color(pixel.0), Some(pixel.0));
        }
    }
    if let Some(alike) = pair.similarity.as_ref().and_then(|s| s.get_pixel_checked(x, y)) {
        add("similarity", format!("{:.2}", f32::from(alike[0]) / 255.0), None);
    }
    if let Some(matte) = pair.matte.as_ref().and_then(|m| m.get_pixel_checked(x, y)) {
        let inside = matte[0] >= 128;
        let name = if inside { "foreground" } else { "background" };
        // A soft edge belongs to both by its share.
        let share = match matte[0] {
            0 | 255 => String::new(),
            v => format!(" {:.0} %", f32::from(if inside { v } else { 255 - v }) / 2.55),
        };
        add("region", format!("{name}{share}"), None);
        // The score of the region that the pixel belongs to; of the training image on the Stage where that is known.
        let shown = generation
            .filter(|_| pair.request.against.is_none())
            .and_then(|g| g.matches.iter().find(|m| Some(m.gallery) == pair.request.gallery));
        if let Some(found) = shown {
            let (letter, value) = if inside {
                ("F", found.scores.foreground)
            } else {
                ("B", found.scores.background)
            };
            add("score", format!("{letter} {}", score(value)), None);
        }
    }
    let size = pair.generated.dimensions();
    let maps = pair.signals.as_deref();
    let signals = [
        ("ending", maps.and_then(|s| s.ending.as_ref())),
        ("score diff.", maps.and_then(|s| s.difference.as_ref())),
    ];
    for (name, map) in signals {
        if let Some((value, share)) = map.and_then(|m| of_brightest(m, (x, y), size)) {
            add(name, format!("{value:.4}, {share:.0} % of most"), None);
        }
    }
    facts
}

/// A map's value under a pixel, and its share of the largest in percent.
fn of_brightest(map: &LatentMap, at: (u32, u32), size: (u32, u32)) -> Option<(f32, f32)> {
    let value = map.at(at, size).filter(|v| v.is_finite())?;
    let most = map.values.iter().copied().fold(0.0, f32::max);
    (most > 0.0).then(|| (value, 100.0 * value / most))
}

/// Draws the inspector for the pixel under the pointer: at the lower right, or at the left while the pointer is there.
/// What is at `beside` stays free: then without the enlarged pixels, or not at all.
pub fn ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    shown: &OnStage,
    placement: &Placement,
    (pointer, beside): (Pos2, Option<Rect>),
) {
    let Some(pair) = shown.pair() else { return };
    let at = (pointer - placement.picture.min) / placement.scale;
    let (x, y) = (at.x.max(0.0) as u32, at.y.max(0.0) as u32);
    if pair.generated.get_pixel_checked(x, y).is_none() {
        return;
    }
    let current = cx.state.current().map(|g| &**g);
    let mut rows = vec![Fact {
        name: "pixel",
        value: format!(
            "{x}, {y}   {:.0} %",
            placement.scale * ui.pixels_per_point() * 100.0
        ),
        swatch: None,
    }];
    rows.extend(facts(pair, current, (x, y)));

    let width = 2.0 * CELL * ACROSS as f32 + 7.0 * UNIT;
    let height = |lens: f32| rows.len() as f32 * ROW + lens + 5.0 * UNIT;
    let below = beside.map_or(f32::INFINITY, |card| {
        placement.canvas.bottom() - card.bottom() - 3.0 * UNIT
    });
    let lens = match CELL * ACROSS as f32 {
        lens if height(lens) <= below => lens,
        _ if height(0.0) <= below => 0.0,
        _ => return,
    };
    let size = vec2(width, height(lens));
    let canvas = placement.canvas;
    if size.x + 250.0 > canvas.width() || size.y + 16.0 * UNIT > canvas.height() {
        return;
    }
    let margin = vec2(2.0, 2.0) * UNIT;
    let mut rect = Rect::from_min_size(canvas.right_bottom() - size - margin, size);
    if rect.expand(2.0 * UNIT).contains(pointer) {
        rect = Rect::from_min_size(canvas.left_top() + margin + vec2(0.0, 8.0 * UNIT), size);
    }
    let theme = cx.theme;
    let painter = ui.painter();
    painter.add(
        Frame::new()
            .fill(theme.float)
            .corner_radius(theme::RADIUS + 2)
            .paint(rect),
    );
    let mut corner = rect.min + vec2(2.5, 2.0) * UNIT;
    for picture in [Some(&pair.generated), pair.training.as_ref()]
        .into_iter()
        .flatten()
        .filter(|_| lens > 0.0)
    {
        magnified(ui, picture, (x, y), corner);
        corner.x += lens + 2.0 * UNIT;
    }
    for (i, row) in rows.iter().enumerate() {
        let y = rect.top() + lens + 3.5 * UNIT + (i as f32 + 0.5) * ROW;
        let left = rect.left() + 2.5 * UNIT;
        let text = |x: f32, words: &str, ink: Color32| {
            painter.text(pos2(x, y), Align2::LEFT_CENTER, words, controls::small(), ink);
        };
        text(left, row.name, theme.weak);
        text(left + VALUES, &row.value, theme.text);
        if let Some([r, g, b]) = row.swatch {
            let plate = Rect::from_center_size(pos2(rect.right() - 4.0 * UNIT, y), vec2(14.0, 10.0));
            painter.rect_filled(plate, CornerRadius::same(2), Color32::from_rgb(r, g, b));
        }
    }
}

/// The pixels around one, each a square; nothing where the picture ends.
fn magnified(ui: &Ui, picture: &RgbImage, (x, y): (u32, u32), corner: Pos2) {
    let mut mesh = Mesh::default();
    for row in 0..ACROSS {
        for column in 0..ACROSS {
            let (px, py) = (
                i64::from(x) + i64::from(column - ACROSS / 2),
                i64::from(y) + i64::from(row - ACROSS / 2),
            );
            let (Ok(px), Ok(py)) = (u32::try_from(px), u32::try_from(py)) else {
                continue;
            };
            if let Some(&image::Rgb([r, g, b])) = picture.get_pixel_checked(px, py) {
                let cell =
                    Rect::from_min_size(corner + vec2(column as f32, row as f32) * CELL, Vec2::splat(CELL));
                mesh.add_colored_rect(cell, Color32::from_rgb(r, g, b));
            }
        }
    }
    let painter = ui.painter();
    painter.add(egui::Shape::mesh(mesh));
    let middle = Rect::from_min_size(
        corner + Vec2::splat((ACROSS / 2) as f32 * CELL),
        Vec2::splat(CELL),
    );
    painter.rect_stroke(middle, 0, Stroke::new(2.0, Color32::BLACK), StrokeKind::Outside);
    painter.rect_stroke(middle, 0, Stroke::new(1.0, Color32::WHITE), StrokeKind::Outside);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::PairRequest,
        study::{GenerationKey, Match, RegionScores, SignalMaps},
    };
    use image::{GrayImage, Luma, Rgb};
    use std::sync::Arc;

    #[test]
    fn a_pixel_has_its_colours_region_score_and_recorded_values() {
        let pair = PairView {
            request: PairRequest {
                gallery: Some(7),
                ..PairRequest::default()
            },
            generated: Arc::new(RgbImage::from_pixel(8, 2, Rgb([1, 20, 255]))),
            training: Some(Arc::new(RgbImage::from_pixel(8, 2, Rgb([9, 9, 9])))),
            matte: Some(Arc::new(GrayImage::from_fn(8, 2, |x, _| {
                Luma([[0, 51, 204, 255][x as usize / 2]])
            }))),
            similarity: Some(Arc::new(GrayImage::from_pixel(8, 2, Luma([128])))),
            compared: None,
            signals: Some(Arc::new(SignalMaps {
                ending: Some(LatentMap {
                    width: 2,
                    height: 1,
                    values: vec![0.01, 0.02],
                }),
                difference: None,
            })),
        };
        let scores = RegionScores {
            foreground: Some(0.9124),
            background: None,
        };
        let generation = Generation {
            key: GenerationKey { prompt: 0, seed: 0 },
            prompt: String::new(),
            image: "none".into(),
            matte: None,
            confidence: None,
            matches: vec![Match { gallery: 7, scores }],
            noise_norm: Vec::new(),
            seconds: 0.0,
            thumbnail: Arc::default(),
            variant: None,
            measures: Default::default(),
            signals: None,
            cluster: None,
            edit: None,
        };
        let told = |x| -> Vec<String> {
            let facts = facts(&pair, Some(&generation), (x, 1));
            facts.iter().map(|f| format!("{} {}", f.name, f.value)).collect()
        };
        let common = ["generated   1  20 255", "partner   9   9   9", "similarity 0.50"];
        assert_eq!(told(7)[..3], common);
        assert_eq!(
            told(7)[3..],
            [
                "region foreground",
                "score F 0.912",
                "ending 0.0200, 100 % of most"
            ]
        );
        assert_eq!(told(5)[3..5], ["region foreground 80 %", "score F 0.912"]);
        assert_eq!(told(2)[3..5], ["region background 80 %", "score B n/a"]);
        assert_eq!(told(0)[5], "ending 0.0100, 50 % of most");
    }
}
