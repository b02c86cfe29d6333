//! Small pictures for lists: a few workers decode what is in view, newest wish first. What has been scrolled away is
//! dropped before it is begun.

use super::{Event, shelf::Shelf, teller::Teller, views::tell_once};
use crate::{
    gallery::{decode_rgb, thumbnail},
    study::{GenerationKey, StudyOutline},
};
use image::RgbImage;
use std::{
    collections::{HashSet, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Longest side of a small picture, in pixels.
pub const THUMBNAIL_SIDE: u32 = 128;

/// Threads that decode. More would only take turns with the window on small machines.
const WORKERS: usize = 2;

/// Names a small picture.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Small {
    /// A training image, by its gallery index.
    Gallery(u32),
    /// A generated picture of the original or of a variant.
    Generation(GenerationKey, Option<Arc<str>>),
    /// A training image in which what differs from another one glows; what they share is dark and grey.
    Difference {
        /// The image that is shown.
        shown: u32,
        /// The one it is compared with.
        from: u32,
    },
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Small>,
    /// Being decoded right now.
    busy: HashSet<Small>,
    /// Files that were told as broken.
    failed: HashSet<PathBuf>,
    closed: bool,
}

/// The wishes of the window, shared with the workers.
#[derive(Clone, Default)]
pub(super) struct Wanted(Arc<(Mutex<Queue>, Condvar)>);

impl Wanted {
    /// A panic elsewhere leaves plain data behind, so a poisoned lock is still good.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are in view now; all other wishes that were not begun are void.
    pub fn replace(&self, wishes: Vec<Small>) {
        let mut queue = self.queue();
        queue.waiting = wishes.into_iter().filter(|w| !queue.busy.contains(w)).collect();
        drop(queue);
        self.0.1.notify_all();
    }

    /// Ends the workers after what they are at.
    pub fn close(&self) {
        self.queue().closed = true;
        self.0.1.notify_all();
    }

    fn next(&self) -> Option<Small> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(next) = queue.waiting.pop_front() {
                queue.busy.insert(next.clone());
                return Some(next);
            }
            queue = self.0.1.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// When the operating system refuses to start threads.
    pub fn start(&self, shelf: &Shelf, teller: &Teller) -> io::Result<()> {
        for number in 0..WORKERS {
            let (wanted, shelf, teller) = (self.clone(), shelf.clone(), teller.clone());
            thread::Builder::new()
                .name(format!("small-{number}"))
                .spawn(move || {
                    super::pool::lower_priority();
                    while let Some(small) = wanted.next() {
                        let outline = shelf.outline();
                        let image = make(&small, &outline, &shelf, &teller, &wanted);
                        wanted.queue().busy.remove(&small);
                        // Of a study that was closed meanwhile, nobody wants it any more.
                        if Arc::ptr_eq(&outline, &shelf.outline()) {
                            teller.tell(Event::Thumbnail(small, Arc::new(image.unwrap_or_default())));
                        }
                    }
                })?;
        }
        Ok(())
    }
}

/// The picture; `None` where there is none to be had.
fn make(
    small: &Small,
    outline: &StudyOutline,
    shelf: &Shelf,
    teller: &Teller,
    wanted: &Wanted,
) -> Option<RgbImage> {
    let read = |path: &Path| {
        if is_only_a_name(path) {
            return None;
        }
        match decode_rgb(path) {
            Ok(image) => Some(image),
            Err(error) => {
                tell_once(path, &error, teller, &mut wanted.queue().failed);
                None
            }
        }
    };
    let gallery = |index: u32| read(&outline.gallery.get(index as usize)?.path);
    match small {
        Small::Gallery(index) => Some(thumbnail(&gallery(*index)?, THUMBNAIL_SIDE)),
        Small::Generation(key, variant) => {
            let generation = shelf.generation(*key, variant.clone())?;
            Some(thumbnail(&read(&generation.image)?, THUMBNAIL_SIDE))
        }
        Small::Difference { shown, from } => {
            let small = |index| Some(thumbnail(&gallery(index)?, THUMBNAIL_SIDE));
            Some(glowing(&small(*shown)?, &small(*from)?))
        }
    }
}

/// `shown` with what it shares with `from` dark and grey. Pictures of one template lie on each other, so that the same
/// place is compared; one of another shape is stretched.
pub fn glowing(shown: &RgbImage, from: &RgbImage) -> RgbImage {
    /// Differences (of 255) where the glow begins and where it is full: above what JPEG changes by itself.
    const FROM: f32 = 18.0;
    const FULL: f32 = 56.0;
    let (width, height) = shown.dimensions();
    if width == 0 || height == 0 || from.width() == 0 || from.height() == 0 {
        return shown.clone();
    }
    let place = |v: u32, of: u32, to: u32| (u64::from(v) * u64::from(to) / u64::from(of)) as u32;
    RgbImage::from_fn(width, height, |x, y| {
        let there = from.get_pixel(place(x, width, from.width()), place(y, height, from.height()));
        let here = shown.get_pixel(x, y);
        let most = (0..3).map(|k| here.0[k].abs_diff(there.0[k])).max().unwrap_or(0);
        let glow = ((f32::from(most) - FROM) / (FULL - FROM)).clamp(0.0, 1.0);
        let grey = here.0.iter().map(|&c| f32::from(c)).sum::<f32>() / 3.0 * 0.35;
        image::Rgb(
            here.0
                .map(|c| (grey + (f32::from(c) - grey) * glow).round() as u8),
        )
    })
}

/// Whether only the name of a picture is known, as in a score table whose pictures are elsewhere.
pub(super) fn is_only_a_name(path: &Path) -> bool {
    path.parent().is_none_or(|folder| folder.as_os_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scrolled_away_is_not_begun() {
        let wanted = Wanted::default();
        wanted.replace((0..100).map(Small::Gallery).collect());
        assert_eq!(wanted.next(), Some(Small::Gallery(0)));
        // Number 0 is being decoded and not begun again; all others are out of view.
        wanted.replace(vec![Small::Gallery(0), Small::Gallery(500)]);
        assert_eq!(wanted.next(), Some(Small::Gallery(500)));
        wanted.close();
        assert_eq!(wanted.next(), None);
    }

    #[test]
    fn only_what_differs_keeps_its_colour() {
        let mut a = RgbImage::from_pixel(8, 8, image::Rgb([200, 40, 40]));
        let b = a.clone();
        a.put_pixel(3, 3, image::Rgb([40, 200, 40]));
        let lit = glowing(&a, &b);
        assert_eq!(lit.get_pixel(3, 3).0, [40, 200, 40]);
        let [r, g, b] = lit.get_pixel(0, 0).0;
        assert!(r == g && g == b && r < 60, "{r} {g} {b}");
    }
}
