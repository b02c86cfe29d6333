//! The Map's dots, when there are too many to draw each: a picture of them, made anew when the view or the groups
//! change; and the classes of what was drawn from each image.

use super::map_view::View;
use crate::{
    app::{derived::Derived, state::State, theme::Theme},
    engine::GalleryMap,
    study::Verdict,
};
use egui::{Color32, ColorImage, Context, Painter, Pos2, Rect, TextureHandle, TextureOptions, pos2};
use std::{collections::HashMap, sync::Arc};

#[derive(Clone, Copy, Debug, PartialEq)]
struct Look {
    inks: u64,
    view: View,
    clip: Rect,
}

/// The dots. Kept between frames.
#[derive(Default)]
pub struct MapDots {
    /// Class of the most copied picture whose best match an image is; without those that copied nothing.
    pub hits: HashMap<u32, Verdict>,
    hits_of: Option<u64>,
    inks: Vec<Color32>,
    inks_of: Option<(usize, usize, bool)>,
    inks_stamp: u64,
    look: Option<Look>,
    texture: Option<TextureHandle>,
}

impl MapDots {
    /// Brings [`MapDots::hits`] up to date.
    pub fn find_hits(&mut self, derived: &Derived) {
        if self.hits_of == Some(derived.classes_stamp) {
            return;
        }
        self.hits_of = Some(derived.classes_stamp);
        self.hits.clear();
        let points = &derived.points;
        for (point, &best) in points.best.iter().enumerate().take(points.alone) {
            if let Some(verdict) = derived.class(point)
                && verdict != Verdict::NotMemorized
            {
                let known = self.hits.entry(best).or_insert(verdict);
                *known = verdict.min(*known);
            }
        }
    }

    /// Colour of every dot, by its group.
    fn ink(&mut self, state: &State, theme: &Theme, map: &Arc<GalleryMap>) {
        let of = (Arc::as_ptr(map) as usize, state.study.clusters_mark(), theme.dark);
        if self.inks_of == Some(of) {
            return;
        }
        self.inks_of = Some(of);
        self.inks_stamp += 1;
        self.inks.clear();
        self.inks
            .extend(map.gallery.iter().map(|&gallery| color(state, theme, gallery)));
    }

    /// Paints all dots of the map as one picture.
    pub fn paint(
        &mut self,
        ctx: &Context,
        painter: &Painter,
        (state, theme): (&State, &Theme),
        map: &Arc<GalleryMap>,
        (view, area, clip): (&View, Rect, Rect),
    ) {
        self.ink(state, theme, map);
        let look = Look {
            inks: self.inks_stamp,
            view: *view,
            clip,
        };
        if self.look != Some(look) || self.texture.is_none() {
            let (width, height) = (clip.width().ceil() as usize, clip.height().ceil() as usize);
            let mut image = ColorImage::filled([width, height], Color32::TRANSPARENT);
            for (&place, &ink) in map.places.iter().zip(&self.inks) {
                let at = view.at(area, place) - clip.min;
                // A dot is two pixels wide.
                for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
                    let (x, y) = (at.x + dx, at.y + dy);
                    if x >= 0.0 && y >= 0.0 && (x as usize) < width && (y as usize) < height {
                        image.pixels[y as usize * width + x as usize] = ink;
                    }
                }
            }
            match &mut self.texture {
                Some(texture) => texture.set(image, TextureOptions::NEAREST),
                None => self.texture = Some(ctx.load_texture("map", image, TextureOptions::NEAREST)),
            }
            self.look = Some(look);
        }
        if let Some(texture) = &self.texture {
            let whole = Rect::from_min_max(Pos2::ZERO, pos2(1.0, 1.0));
            let rect = Rect::from_min_size(clip.min, texture.size_vec2());
            painter.image(texture.id(), rect, whole, Color32::WHITE);
        }
    }
}

/// Colour of an image by its group.
pub fn color(state: &State, theme: &Theme, gallery: u32) -> Color32 {
    match state.study.cluster_of(gallery) {
        Some(cluster) => theme.group(cluster.id),
        None => theme.faint,
    }
}
