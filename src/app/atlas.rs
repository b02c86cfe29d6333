//! A few large textures that hold many small pictures, each in a cell of its own. What was not used for longest makes
//! room; the bytes on the graphics card stay within a budget.

use egui::{ColorImage, Context, Rect, TextureHandle, TextureId, TextureOptions, Vec2, pos2, vec2};
use image::RgbImage;
use std::{collections::HashMap, hash::Hash, sync::Arc};

/// Side of a cell in pixels: the longest side of a small picture.
pub const CELL: usize = crate::engine::THUMBNAIL_SIDE as usize;
/// Cells along a side of a page.
const ALONG: usize = 8;
/// Cells of a page.
const CELLS: usize = ALONG * ALONG;
/// Side of a page in pixels; every graphics card takes it.
const PAGE: usize = ALONG * CELL;
/// Bytes of a page.
pub const PAGE_BYTES: usize = PAGE * PAGE * 4;

/// A small picture ready to be painted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thumbnail {
    /// For [`egui::Painter::image`].
    pub texture: TextureId,
    /// Size in its own pixels.
    pub size: Vec2,
    /// Where it is in the texture.
    pub uv: Rect,
}

struct Entry {
    image: Arc<RgbImage>,
    cell: usize,
    used: u64,
}

/// The atlas of pictures named by `K`.
pub struct Atlas<K> {
    pages: Vec<TextureHandle>,
    entries: HashMap<K, Entry>,
    free: Vec<usize>,
    budget: usize,
    /// Pictures put onto the graphics card so far.
    pub uploaded: u64,
    /// Pictures that made room so far.
    pub evicted: u64,
}

impl<K: Clone + Eq + Hash> Atlas<K> {
    /// An empty atlas of at most `budget` bytes, at least one page.
    pub fn new(budget: usize) -> Self {
        Self {
            pages: Vec::new(),
            entries: HashMap::new(),
            free: Vec::new(),
            budget,
            uploaded: 0,
            evicted: 0,
        }
    }

    /// Bytes on the graphics card.
    pub fn bytes(&self) -> usize {
        self.pages.len() * PAGE_BYTES
    }

    /// Pictures held.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether a picture is held.
    pub fn holds(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    /// A picture, counted as used in `frame`.
    pub fn get(&mut self, key: &K, frame: u64) -> Option<Thumbnail> {
        let entry = self.entries.get_mut(key)?;
        entry.used = frame;
        let entry = &self.entries[key];
        Some(self.thumbnail(entry))
    }

    /// Puts a picture in, unless it is there already; one longer than a cell is shrunk. `None` when it is empty or
    /// everything in the atlas is in use in this frame.
    pub fn put(&mut self, ctx: &Context, key: K, image: &Arc<RgbImage>, frame: u64) -> Option<Thumbnail> {
        if let Some(entry) = self.entries.get(&key)
            && Arc::ptr_eq(&entry.image, image)
        {
            return self.get(&key, frame);
        }
        if image.width() == 0 || image.height() == 0 {
            return None;
        }
        let cell = match self.entries.remove(&key) {
            Some(entry) => entry.cell,
            None => self.room(ctx, frame)?,
        };
        let small = if image.width().max(image.height()) as usize > CELL {
            Arc::new(crate::app::atlas::shrunk(image))
        } else {
            image.clone()
        };
        let pixels = ColorImage::from_rgb([small.width() as usize, small.height() as usize], small.as_raw());
        let (page, at) = place(cell);
        self.pages[page].set_partial(at, pixels, TextureOptions::LINEAR);
        self.uploaded += 1;
        let entry = Entry {
            image: image.clone(),
            cell,
            used: frame,
        };
        self.entries.insert(key.clone(), entry);
        self.get(&key, frame)
    }

    /// An empty cell: a free one, one of a new page, or that of the picture not used for longest.
    fn room(&mut self, ctx: &Context, frame: u64) -> Option<usize> {
        if let Some(cell) = self.free.pop() {
            return Some(cell);
        }
        if self.pages.is_empty() || self.bytes() + PAGE_BYTES <= self.budget {
            let first = self.pages.len() * CELLS;
            let empty = ColorImage::filled([PAGE, PAGE], egui::Color32::TRANSPARENT);
            let name = format!("small pictures {}", self.pages.len());
            self.pages
                .push(ctx.load_texture(name, empty, TextureOptions::LINEAR));
            self.free.extend((first + 1..first + CELLS).rev());
            return Some(first);
        }
        let oldest = self
            .entries
            .iter()
            .filter(|(_, e)| e.used < frame)
            .min_by_key(|(_, e)| e.used)
            .map(|(k, _)| k.clone())?;
        self.evicted += 1;
        self.entries.remove(&oldest).map(|e| e.cell)
    }

    fn thumbnail(&self, entry: &Entry) -> Thumbnail {
        let (page, [x, y]) = place(entry.cell);
        let longest = entry.image.width().max(entry.image.height()) as f32;
        let scale = (CELL as f32 / longest).min(1.0);
        let size = vec2(entry.image.width() as f32, entry.image.height() as f32) * scale;
        let (min, size) = (vec2(x as f32, y as f32), size.round().max(vec2(1.0, 1.0)));
        // Half a pixel inside, so that no neighbour shines in; a single pixel has no inside.
        let inset = (size * 0.5 - vec2(0.01, 0.01)).min(vec2(0.5, 0.5));
        let (from, to) = (min + inset, min + size - inset);
        let page_side = PAGE as f32;
        Thumbnail {
            texture: self.pages[page].id(),
            size,
            uv: Rect::from_min_max(
                pos2(from.x / page_side, from.y / page_side),
                pos2(to.x / page_side, to.y / page_side),
            ),
        }
    }
}

/// Page of a cell, and where it begins there in pixels.
fn place(cell: usize) -> (usize, [usize; 2]) {
    let within = cell % CELLS;
    (cell / CELLS, [within % ALONG * CELL, within / ALONG * CELL])
}

/// A copy that fits into a cell, each pixel the nearest of the picture's: previews are soft anyway.
fn shrunk(image: &RgbImage) -> RgbImage {
    let longest = image.width().max(image.height()) as f32;
    let scale = CELL as f32 / longest;
    let side = |v: u32| ((v as f32 * scale).round() as u32).clamp(1, CELL as u32);
    let (width, height) = (side(image.width()), side(image.height()));
    let at = |v: u32, to: u32, of: u32| (u64::from(v) * u64::from(of) / u64::from(to)) as u32;
    RgbImage::from_fn(width, height, |x, y| {
        *image.get_pixel(at(x, width, image.width()), at(y, height, image.height()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32) -> Arc<RgbImage> {
        Arc::new(RgbImage::new(width, height))
    }

    #[test]
    fn the_oldest_make_room_and_the_budget_holds() {
        let ctx = Context::default();
        let mut atlas = Atlas::new(2 * PAGE_BYTES);
        for key in 0..3 * CELLS as u64 {
            assert!(atlas.put(&ctx, key, &picture(128, 64), key).is_some());
        }
        assert_eq!(atlas.bytes(), 2 * PAGE_BYTES);
        assert_eq!(atlas.len(), 2 * CELLS);
        assert_eq!(atlas.evicted, CELLS as u64);
        assert!(!atlas.holds(&0) && atlas.holds(&(3 * CELLS as u64 - 1)));
        // What is looked at in this frame is never taken away.
        let now = 1_000_000;
        for key in CELLS as u64..3 * CELLS as u64 {
            assert!(atlas.get(&key, now).is_some(), "{key}");
        }
        assert!(atlas.put(&ctx, 9999, &picture(8, 8), now).is_none());
        assert!(atlas.put(&ctx, 9999, &picture(8, 8), now + 1).is_some());
    }

    #[test]
    fn no_cell_is_given_twice_and_no_picture_reaches_into_another() {
        let ctx = Context::default();
        let mut atlas = Atlas::new(2 * PAGE_BYTES);
        let mut places: Vec<(TextureId, Rect)> = Vec::new();
        for key in 0..CELLS as u64 + 7 {
            let size = [(128, 128), (1, 1), (300, 20), (64, 128)][key as usize % 4];
            let shown = atlas.put(&ctx, key, &picture(size.0, size.1), 0).unwrap();
            assert!(shown.size.max_elem() <= CELL as f32);
            for (texture, uv) in &places {
                assert!(*texture != shown.texture || !uv.intersects(shown.uv), "{key}");
            }
            places.push((shown.texture, shown.uv));
        }
        // The same picture again takes no new place; another one under its name takes over the cell.
        let first = places[0].1.min;
        let again = atlas.put(&ctx, 0, &picture(128, 128), 1).unwrap();
        assert_eq!(again.uv.min, first);
    }
}
