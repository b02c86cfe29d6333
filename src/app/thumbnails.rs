//! Small pictures for the panels: what is there, and what is in view and missing.

use super::atlas::Atlas;
pub use super::atlas::Thumbnail;
use crate::{
    engine::Small,
    study::{Generation, GenerationKey},
};
use egui::{ColorImage, Context, Rect, TextureHandle, TextureOptions, pos2};
use image::RgbImage;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Bytes of small pictures on the graphics card: a thousand of them.
pub const BUDGET: usize = 64 << 20;
/// Pictures that change (previews) or are large, kept as textures of their own.
const LOOSE: usize = 16;

struct Loose {
    image: Arc<RgbImage>,
    texture: TextureHandle,
    used: u64,
}

/// The small pictures.
pub struct Thumbnails {
    atlas: Atlas<Small>,
    loose: HashMap<GenerationKey, Loose>,
    /// In view in this frame and not there.
    missing: Vec<Small>,
    /// The list that was sent last.
    sent: Vec<Small>,
    /// Those that cannot be had.
    absent: HashSet<Small>,
    frame: u64,
    /// Wishes sent so far.
    asked: u64,
}

impl Default for Thumbnails {
    fn default() -> Self {
        Self {
            atlas: Atlas::new(BUDGET),
            loose: HashMap::new(),
            missing: Vec::new(),
            sent: Vec::new(),
            absent: HashSet::new(),
            frame: 0,
            asked: 0,
        }
    }
}

/// What the small pictures cost, for whoever watches the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThumbnailFigures {
    /// Bytes on the graphics card, previews included.
    pub bytes: usize,
    /// Pictures there.
    pub held: usize,
    /// Pictures that made room so far.
    pub evicted: u64,
    /// Pictures put there so far.
    pub uploaded: u64,
    /// Pictures asked for so far.
    pub asked: u64,
    /// Asked for and awaited.
    pub awaited: usize,
}

impl Thumbnails {
    /// Forgets everything: another study was opened.
    pub fn clear(&mut self) {
        let (asked, frame) = (self.asked, self.frame);
        *self = Self {
            asked,
            frame,
            ..Self::default()
        };
    }

    /// What they cost.
    pub fn figures(&self) -> ThumbnailFigures {
        let loose = self.loose.values().map(|l| l.texture.size_vec2());
        ThumbnailFigures {
            bytes: self.atlas.bytes() + loose.map(|s| (s.x * s.y) as usize * 4).sum::<usize>(),
            held: self.atlas.len() + self.loose.len(),
            evicted: self.atlas.evicted,
            uploaded: self.atlas.uploaded,
            asked: self.asked,
            awaited: self
                .sent
                .iter()
                .filter(|s| !self.atlas.holds(s) && !self.absent.contains(s))
                .count(),
        }
    }

    /// A small picture; asked for when it is not there yet. Call it only for what is in view.
    fn small(&mut self, small: Small) -> Option<Thumbnail> {
        if let Some(there) = self.atlas.get(&small, self.frame) {
            return Some(there);
        }
        if !self.absent.contains(&small) && !self.missing.contains(&small) {
            self.missing.push(small);
        }
        None
    }

    /// Whether small pictures were asked for that have not arrived.
    pub fn are_missing(&self) -> bool {
        self.figures().awaited > 0
    }

    /// A training image.
    pub fn gallery(&mut self, index: u32) -> Option<Thumbnail> {
        self.small(Small::Gallery(index))
    }

    /// A training image in which what differs from another one glows; the image itself until that is made.
    pub fn difference(&mut self, shown: u32, from: u32) -> Option<Thumbnail> {
        let glowing = self.small(Small::Difference { shown, from });
        glowing.or_else(|| self.atlas.get(&Small::Gallery(shown), self.frame))
    }

    /// The small copy of a generated picture.
    pub fn generation(&mut self, ctx: &Context, generation: &Generation) -> Option<Thumbnail> {
        let name = Small::Generation(generation.key, generation.variant.clone());
        if generation.thumbnail.is_empty() {
            return self.small(name);
        }
        self.atlas.put(ctx, name, &generation.thumbnail, self.frame)
    }

    /// A picture that arrived; an empty one stands for one that cannot be had.
    pub fn insert(&mut self, ctx: &Context, small: Small, image: &Arc<RgbImage>) {
        if image.is_empty() {
            self.absent.insert(small);
        } else {
            self.atlas.put(ctx, small, image, self.frame);
        }
    }

    /// A picture that forms, or a large one.
    pub fn preview(&mut self, ctx: &Context, key: GenerationKey, image: &Arc<RgbImage>) -> Option<Thumbnail> {
        if image.width() == 0 || image.height() == 0 {
            return None;
        }
        let fresh = || {
            let size = [image.width() as usize, image.height() as usize];
            let pixels = ColorImage::from_rgb(size, image.as_raw());
            ctx.load_texture("preview", pixels, TextureOptions::LINEAR)
        };
        let frame = self.frame;
        let loose = self.loose.entry(key).or_insert_with(|| Loose {
            texture: fresh(),
            image: image.clone(),
            used: frame,
        });
        if !Arc::ptr_eq(&loose.image, image) {
            loose.texture = fresh();
            loose.image = image.clone();
        }
        loose.used = frame;
        Some(Thumbnail {
            texture: loose.texture.id(),
            size: loose.texture.size_vec2(),
            uv: Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)),
        })
    }

    /// Ends a frame. Gives the list to send in place of the former one, when that names something out of view or lacks
    /// something in view.
    pub fn end_frame(&mut self) -> Option<Vec<Small>> {
        if self.loose.len() > LOOSE {
            let frame = self.frame;
            self.loose.retain(|_, l| l.used == frame);
        }
        self.frame += 1;
        let missing = std::mem::take(&mut self.missing);
        let awaited = |s: &&Small| !self.atlas.holds(s) && !self.absent.contains(*s);
        let fresh = missing.iter().filter(|m| !self.sent.contains(m)).count();
        let void = self.sent.iter().filter(awaited).any(|s| !missing.contains(s));
        if fresh == 0 && !void {
            return None;
        }
        self.asked += fresh as u64;
        self.sent.clone_from(&missing);
        Some(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_view_is_asked_for_once_and_replaces_the_former() {
        let ctx = Context::default();
        let mut small = Thumbnails::default();
        assert!(small.gallery(7).is_none());
        assert!(small.gallery(7).is_none());
        assert_eq!(small.end_frame(), Some(vec![Small::Gallery(7)]));
        assert!(small.gallery(7).is_none());
        assert_eq!(small.end_frame(), None, "it is on its way");
        // Scrolled on: the former wish is void.
        assert!(small.gallery(8).is_none());
        assert_eq!(small.end_frame(), Some(vec![Small::Gallery(8)]));
        small.insert(&ctx, Small::Gallery(8), &Arc::new(RgbImage::new(2, 2)));
        assert!(small.gallery(8).is_some());
        assert_eq!(small.end_frame(), None);
        // One that cannot be had is not asked for again.
        assert!(small.gallery(9).is_none());
        assert_eq!(small.end_frame(), Some(vec![Small::Gallery(9)]));
        small.insert(&ctx, Small::Gallery(9), &Arc::default());
        assert!(small.gallery(9).is_none());
        assert_eq!(small.end_frame(), None);
        assert_eq!(small.figures().asked, 3);
        assert_eq!(small.figures().awaited, 0);
    }
}
