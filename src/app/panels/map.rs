//! The Map: the gallery on a plane, near images beside each other. Rings mark what pictures were compared with.

use super::{
    map_dots::color,
    map_view::{View, nearest},
    prompts::open_buttons,
};
use crate::{
    app::{
        action::Action,
        context::Cx,
        controls::{self, score},
        marks,
        theme::UNIT,
    },
    engine::GalleryMap,
};
use egui::{Painter, Pos2, Rect, RichText, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo, vec2};
use egui_tiles::UiResponse;
use std::sync::Arc;

/// Gallery size up to which the map is made without being asked for.
const UNASKED: usize = 5000;
/// Images in view up to which their pictures are drawn, when they have room.
const PICTURES: usize = 160;
/// Dots up to which each is a disc; more are drawn as one picture.
const DISCS: usize = 4000;

/// A few words beside the pane's title.
pub fn note(cx: &Cx<'_>) -> String {
    let Some(map) = cx.state.study.map() else {
        return String::new();
    };
    format!(
        "{} training images by {} · not part of the verdict",
        map.gallery.len(),
        map.source
    )
}

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let header = controls::header(ui, cx, "Map", &note(cx));
    match cx.state.study.map().cloned() {
        Some(map) if !map.places.is_empty() => plane(ui, cx, &map),
        Some(_) => controls::empty(ui, cx, "No map", "No training image could be read.", |_, _| {}),
        None => nothing(ui, cx),
    }
    controls::moved(&header)
}

fn nothing(ui: &mut Ui, cx: &mut Cx<'_>) {
    let outline = cx.state.study.outline();
    let count = outline.map_or(0, |o| o.gallery.len());
    let network = outline.is_some_and(|o| o.embedder.is_some());
    let running = cx.state.jobs.iter().any(|j| j.maps);
    if count == 0 {
        let advice = "Open the folder of training images to see which ones are alike.";
        controls::empty(ui, cx, "No gallery to map", advice, open_buttons);
    } else if !cx.state.study.gallery_ready {
        let advice = format!("{count} training images are being prepared.");
        controls::empty(ui, cx, "No map yet", &advice, |_, _| {});
    } else if running {
        controls::empty(ui, cx, "The gallery is being laid out", "", |_, _| {});
    } else if !cx.state.map_asked && count <= UNASKED && !network {
        cx.ask(Action::LayOut);
    } else {
        let advice = format!("{count} training images, alike ones beside each other.");
        controls::empty(ui, cx, "No map yet", &advice, |ui, cx| {
            if ui.button("Lay out the gallery").clicked() {
                cx.ask(Action::LayOut);
            }
        });
    }
}

fn plane(ui: &mut Ui, cx: &mut Cx<'_>, map: &Arc<GalleryMap>) {
    let area = ui.available_rect_before_wrap();
    let response = ui.allocate_rect(area, Sense::click_and_drag());
    let label = format!("Map of {} training images", map.gallery.len());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Canvas, true, &label));
    let view = View::moved(ui, &response, area.shrink(4.0 * UNIT));
    let area = area.shrink(4.0 * UNIT);
    let clip = area.expand(4.0 * UNIT);
    let state = cx.state;
    cx.map.find_hits(&state.derived);
    let now: Vec<u32> = state
        .current()
        .map_or_else(Vec::new, |g| g.matches.iter().map(|m| m.gallery).collect());
    let spots: Vec<(Pos2, u32)> = map
        .places
        .iter()
        .zip(&map.gallery)
        .map(|(place, gallery)| (view.at(area, *place), *gallery))
        .filter(|(at, _)| clip.contains(*at))
        .collect();
    let side = picture_side(&spots, clip);
    let painter = ui.painter_at(clip);
    if side.is_none() && spots.len() > DISCS {
        cx.map
            .paint(ui.ctx(), &painter, (state, cx.theme), map, (&view, area, clip));
    } else {
        draw(&painter, cx, &spots, side);
    }
    mark_hits(&painter, cx, &spots, side);
    mark_current(ui, cx, &spots, side, &now, clip);

    let reach = side.map_or(9.0, |s| 0.6 * s);
    let under = response
        .hover_pos()
        .filter(|_| !response.dragged())
        .and_then(|pointer| nearest(map, &view, area, pointer, reach));
    let Some(at) = under else { return };
    let gallery = map.gallery[at];
    let place = view.at(area, map.places[at]);
    let painter = ui.painter_at(clip);
    painter.circle_stroke(
        place,
        side.map_or(7.0, |s| 0.72 * s),
        Stroke::new(1.0, cx.theme.text),
    );
    if response.clicked() {
        cx.ask(Action::PickTraining(gallery));
    }
    tooltip(cx, &response, gallery);
}

/// Side of the pictures when few enough images are in view to draw them.
fn picture_side(spots: &[(Pos2, u32)], area: Rect) -> Option<f32> {
    if spots.is_empty() || spots.len() > PICTURES {
        return None;
    }
    let room = (area.area() / spots.len() as f32).sqrt() * 0.55;
    (room >= 18.0).then_some(room.min(64.0))
}

fn draw(painter: &Painter, cx: &mut Cx<'_>, spots: &[(Pos2, u32)], side: Option<f32>) {
    let (state, theme) = (cx.state, cx.theme);
    for (at, gallery) in spots {
        let Some(side) = side else {
            painter.circle_filled(*at, 3.0, color(state, theme, *gallery));
            continue;
        };
        let rect = Rect::from_center_size(*at, Vec2::splat(side));
        let picture = cx.thumbnails.gallery(*gallery);
        controls::thumbnail(painter, theme, rect, picture, 3);
        let stroke = Stroke::new(1.5, color(state, theme, *gallery));
        painter.rect_stroke(rect, 3.0, stroke, StrokeKind::Outside);
    }
}

/// What pictures came from carries their class, by shape and colour, above its own dot. Of very many, the
/// first in view.
fn mark_hits(painter: &Painter, cx: &Cx<'_>, spots: &[(Pos2, u32)], side: Option<f32>) {
    /// Marks drawn at most.
    const MOST: usize = 2000;
    let hits = spots
        .iter()
        .filter_map(|(at, gallery)| Some((*at, *cx.map.hits.get(gallery)?)));
    let up = side.map_or(0.0, |s| 0.5 * s);
    for (at, verdict) in hits.take(MOST) {
        marks::mark(painter, cx.theme, at - vec2(0.0, up), 4.5, Some(verdict));
    }
}

/// Rings around the matches of the picture looked at; the chosen one's is stronger.
fn mark_current(ui: &Ui, cx: &Cx<'_>, spots: &[(Pos2, u32)], side: Option<f32>, now: &[u32], clip: Rect) {
    let painter = ui.painter_at(clip);
    let chosen = cx.state.chosen_training();
    for (at, gallery) in spots {
        let is_chosen = chosen == Some(*gallery);
        if is_chosen || now.contains(gallery) {
            let radius = side.map_or(7.0, |s| 0.72 * s);
            let width = if is_chosen { 2.5 } else { 1.2 };
            painter.circle_stroke(*at, radius, Stroke::new(width, cx.theme.accent));
        }
    }
}

fn tooltip(cx: &mut Cx<'_>, response: &egui::Response, gallery: u32) {
    let theme = cx.theme;
    let picture = cx.thumbnails.gallery(gallery);
    let study = &cx.state.study;
    let image = study.outline().and_then(|o| o.gallery.get(gallery as usize));
    let name = image.map_or_else(|| format!("image {gallery}"), |i| i.name());
    let caption = image.and_then(|i| i.caption.clone());
    let mut words = Vec::new();
    if let Some(c) = study.cluster_of(gallery) {
        words.push(format!("group of {}, {}", c.members.len(), c.kind.words()));
    }
    match study.copies_of(gallery) {
        1 => {}
        n => words.push(format!("{n} copies in the gallery")),
    }
    if let Some(verdict) = cx.map.hits.get(&gallery) {
        words.push(format!("pictures drawn from it: {}", verdict.meaning()));
    }
    let found = cx.state.current().and_then(|g| {
        let m = g.matches.iter().find(|m| m.gallery == gallery)?;
        Some(format!(
            "this picture: F {} · B {}",
            score(m.scores.foreground),
            score(m.scores.background)
        ))
    });
    words.extend(found);
    response.clone().on_hover_ui_at_pointer(|ui| {
        ui.set_max_width(260.0);
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(Vec2::splat(72.0), Sense::hover());
            controls::thumbnail(ui.painter(), theme, rect, picture, 4);
            ui.vertical(|ui| {
                ui.label(&name);
                if let Some(caption) = caption {
                    ui.label(RichText::new(format!("“{caption}”")).color(theme.weak));
                }
                for line in words {
                    ui.label(RichText::new(line).small().color(theme.weak));
                }
            });
        });
    });
}
