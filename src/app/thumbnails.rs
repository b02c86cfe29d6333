//! Small pictures as egui textures: a bounded cache, and the list of those still to be asked for.

use crate::study::{Generation, GenerationKey};
use egui::{ColorImage, Context, TextureHandle, TextureId, TextureOptions, Vec2};
use image::RgbImage;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Names a small picture.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Gallery(u32),
    /// A picture of the original or of a variant.
    Generation(GenerationKey, Option<Arc<str>>),
    Preview(GenerationKey),
}

struct Entry {
    image: Arc<RgbImage>,
    texture: TextureHandle,
    used: u64,
}

/// A small picture ready to be painted.
#[derive(Clone, Copy, Debug)]
pub struct Thumbnail {
    /// For [`egui::Painter::image`].
    pub texture: TextureId,
    /// Size in its own pixels.
    pub size: Vec2,
}

/// The cache.
#[derive(Default)]
pub struct Thumbnails {
    entries: HashMap<Key, Entry>,
    asked: HashSet<u32>,
    requests: Vec<u32>,
    frame: u64,
}

impl Thumbnails {
    /// Most pictures kept; those of the current frame are never dropped.
    pub const MOST: usize = 600;

    /// Forgets everything: another study was opened.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// A training image; asked for when it is not there yet.
    pub fn gallery(&mut self, index: u32) -> Option<Thumbnail> {
        let frame = self.frame;
        if let Some(entry) = self.entries.get_mut(&Key::Gallery(index)) {
            entry.used = frame;
            return Some(entry.thumbnail());
        }
        if self.asked.insert(index) {
            self.requests.push(index);
        }
        None
    }

    /// Whether training images were asked for that have not arrived.
    pub fn are_missing(&self) -> bool {
        self.asked
            .iter()
            .any(|&i| !self.entries.contains_key(&Key::Gallery(i)))
    }

    /// A training image that arrived.
    pub fn insert_gallery(&mut self, ctx: &Context, index: u32, image: Arc<RgbImage>) {
        self.put(ctx, Key::Gallery(index), image);
    }

    /// The small copy of a generated picture.
    pub fn generation(&mut self, ctx: &Context, generation: &Generation) -> Option<Thumbnail> {
        let key = Key::Generation(generation.key, generation.variant.clone());
        self.put(ctx, key, generation.thumbnail.clone())
    }

    /// A picture that forms.
    pub fn preview(&mut self, ctx: &Context, key: GenerationKey, image: &Arc<RgbImage>) -> Option<Thumbnail> {
        self.put(ctx, Key::Preview(key), image.clone())
    }

    fn put(&mut self, ctx: &Context, key: Key, image: Arc<RgbImage>) -> Option<Thumbnail> {
        if image.width() == 0 || image.height() == 0 {
            return None;
        }
        let frame = self.frame;
        let name = format!("{key:?}");
        let fresh = || {
            let size = [image.width() as usize, image.height() as usize];
            ctx.load_texture(
                name.clone(),
                ColorImage::from_rgb(size, image.as_raw()),
                TextureOptions::LINEAR,
            )
        };
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            texture: fresh(),
            image: image.clone(),
            used: frame,
        });
        if !Arc::ptr_eq(&entry.image, &image) {
            entry.texture = fresh();
            entry.image = image;
        }
        entry.used = frame;
        Some(entry.thumbnail())
    }

    /// Ends a frame: drops what was not looked at for longest, gives the training images to ask for.
    pub fn end_frame(&mut self) -> Vec<u32> {
        if self.entries.len() > Self::MOST {
            let mut ages: Vec<(u64, Key)> = self
                .entries
                .iter()
                .filter(|(_, e)| e.used < self.frame)
                .map(|(k, e)| (e.used, k.clone()))
                .collect();
            ages.sort_by_key(|(used, _)| *used);
            // A quarter at once, so that this does not happen every frame.
            let surplus = self.entries.len() - Self::MOST * 3 / 4;
            for (_, key) in ages.into_iter().take(surplus) {
                self.entries.remove(&key);
                if let Key::Gallery(index) = key {
                    self.asked.remove(&index);
                }
            }
        }
        self.frame += 1;
        std::mem::take(&mut self.requests)
    }
}

impl Entry {
    fn thumbnail(&self) -> Thumbnail {
        Thumbnail {
            texture: self.texture.id(),
            size: self.texture.size_vec2(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_stays_bounded_and_asks_once() {
        let ctx = Context::default();
        let mut cache = Thumbnails::default();
        assert!(cache.gallery(7).is_none());
        assert!(cache.gallery(7).is_none());
        assert_eq!(cache.end_frame(), vec![7]);
        let image = Arc::new(RgbImage::new(2, 2));
        for index in 0..2 * Thumbnails::MOST as u32 {
            cache.insert_gallery(&ctx, index, image.clone());
            cache.end_frame();
        }
        assert!(cache.entries.len() <= Thumbnails::MOST + 1);
        // One that was dropped is asked for again.
        assert!(cache.gallery(0).is_none());
        assert_eq!(cache.end_frame(), vec![0]);
    }
}
