//! Where the Map looks, and which images are near a place. Kept in the window's memory, not in the study.

use crate::engine::GalleryMap;
use egui::{Id, Pos2, Rect, Response, Ui, Vec2, pos2, vec2};

const MOST_ZOOM: f32 = 200.0;

/// Zoom and shift.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// 1 fits the map.
    pub zoom: f32,
    /// Place of the map in the middle of the pane, in `[0, 1]²`.
    pub center: Vec2,
}

impl Default for View {
    fn default() -> Self {
        Self {
            zoom: 1.0,
            center: vec2(0.5, 0.5),
        }
    }
}

fn memory() -> Id {
    Id::unique("map view")
}

impl View {
    /// The view after this frame's dragging and scrolling on the map.
    pub fn moved(ui: &Ui, response: &Response, area: Rect) -> Self {
        let mut view: Self = ui.data(|d| d.get_temp(memory())).unwrap_or_default();
        let before = view;
        if response.double_clicked() {
            view = Self::default();
        }
        if response.dragged() {
            view.center -= response.drag_delta() / view.scale(area);
        }
        if let Some(pointer) = response.hover_pos() {
            let (scroll, pinch) = ui.input(|i| (i.smooth_scroll_delta().y, i.zoom_delta()));
            let factor = (scroll * 0.005).exp() * pinch;
            if factor != 1.0 {
                let zoom = (view.zoom * factor).clamp(0.5, MOST_ZOOM);
                // What is under the pointer stays there.
                let under = (pointer - area.center()) / view.scale(area);
                view.center += under * (1.0 - view.zoom / zoom);
                view.zoom = zoom;
            }
        }
        view.center = view.center.clamp(Vec2::ZERO, Vec2::splat(1.0));
        if view != before {
            ui.data_mut(|d| d.insert_temp(memory(), view));
        }
        view
    }

    /// Points per unit of the map.
    pub fn scale(&self, area: Rect) -> f32 {
        self.zoom * area.size().min_elem().max(1.0)
    }

    /// Where a place of the map is drawn.
    pub fn at(&self, area: Rect, place: [f32; 2]) -> Pos2 {
        let from = vec2(place[0], place[1]) - self.center;
        let at = area.center() + from * self.scale(area);
        pos2(at.x, at.y)
    }
}

/// The position in the map nearest to `pointer`, within `reach` points.
pub fn nearest(map: &GalleryMap, view: &View, area: Rect, pointer: Pos2, reach: f32) -> Option<usize> {
    let distance = |&place: &[f32; 2]| view.at(area, place).distance(pointer);
    let near = map.places.iter().enumerate().map(|(i, p)| (distance(p), i));
    let (best, at) = near.min_by(|a, b| a.0.total_cmp(&b.0))?;
    (best <= reach).then_some(at)
}
