//! The gallery, opened for searching: in a small gallery the coarse scales lie ready in memory; all else
//! is read from the file and formed when a comparison needs it.

use super::{
    Prepared, Row, SimilarityError,
    cache::{Buffers, Store, Writer},
    composition::{self, FOREGROUND},
    kernel::Scratch,
    level::Level,
    prepared::with_scratch,
    pyramid::{SCALES, SIDE, side_at, unit_at},
    ssim::Metric,
};
use crate::study::Arithmetic;
use image::{GrayImage, RgbImage, RgbaImage};
use rayon::prelude::*;
use std::{cell::RefCell, path::Path, sync::OnceLock};

/// Memory for ready levels of all pictures together: the coarsest scale first, those that fit for all.
/// Enough for three scales of 500 pictures. Larger galleries take nothing but a hundred bytes a picture:
/// what a search reads of them again and again, 62 to 73 KB a picture, stays in the system's file cache.
const READY_BYTES: usize = 768 << 20;
/// The finest scale that may be ready.
const FINEST_READY: usize = 2;

/// The searchable gallery. Shared freely between threads; parallel work runs in the caller's rayon pool.
pub struct Index {
    pub(super) store: Store,
    pub(super) metric: Metric,
    /// By scale; `[2 · picture + region]`. Empty where memory did not suffice.
    ready: [Vec<Option<Level>>; SCALES],
    /// Why the file could no longer be read.
    failure: OnceLock<SimilarityError>,
}

impl Index {
    /// Opens an index file; `None` when there is none, or it was made for other pictures (`key`),
    /// another arithmetic or another version, or is damaged. Build it anew then.
    pub fn open(cache_file: &Path, key: &str, arithmetic: Arithmetic) -> Option<Self> {
        Store::open(cache_file, key, arithmetic).map(Self::new)
    }

    fn new(store: Store) -> Self {
        let mut index = Self {
            metric: Metric::of(store.arithmetic),
            store,
            ready: Default::default(),
            failure: OnceLock::new(),
        };
        let mut left = READY_BYTES;
        for scale in (FINEST_READY..SCALES).rev() {
            let each = index.level(0, FOREGROUND, scale).map_or(0, |l| l.bytes());
            let all = each.saturating_mul(2 * index.len());
            if all > left {
                break;
            }
            left -= all;
            index.ready[scale] = (0..2 * index.len())
                .into_par_iter()
                .map(|i| index.level(i / 2, i % 2, scale))
                .collect();
        }
        index
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.store.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The arithmetic of its scores.
    pub fn arithmetic(&self) -> Arithmetic {
        self.store.arithmetic
    }

    /// Mean of a picture's matte, in `[0, 1]`; `None` past the end.
    pub fn coverage(&self, i: usize) -> Option<f32> {
        self.store.coverages.get(i).copied()
    }

    /// Bytes of the index file.
    pub fn file_bytes(&self) -> u64 {
        self.store.file_bytes()
    }

    /// Why searches end without a result although nobody cancelled them: the file was shortened, damaged
    /// or lost since it was opened. Build the index anew then.
    pub fn failure(&self) -> Option<&SimilarityError> {
        self.failure.get()
    }

    /// Whether work should end.
    pub(super) fn stopped(&self, cancelled: &(dyn Fn() -> bool + Sync)) -> bool {
        self.failure.get().is_some() || cancelled()
    }

    fn keep_failure<T>(&self, result: Result<T, SimilarityError>) -> Option<T> {
        result.map_err(|error| self.failure.set(error).ok()).ok()
    }

    /// Picture `i` as a query of its own gallery; `None` when the file cannot be read.
    pub(super) fn prepared(&self, i: usize) -> Option<Prepared> {
        let store = &self.store;
        let mut buffers = Buffers::default();
        let bytes = self.keep_failure(store.bytes(i, &mut buffers))?;
        Some(Prepared::from_stored(
            store.arithmetic,
            store.extents[i],
            store.coverages[i],
            bytes,
        ))
    }

    fn padded(&self, scale: usize) -> bool {
        scale == SCALES - 1 && !self.metric.crop_last
    }

    /// Computes a level from the file; `None` past the end, when the picture lacks the region, or when
    /// the file cannot be read.
    fn level(&self, i: usize, region: usize, scale: usize) -> Option<Level> {
        if i >= self.len() || !self.store.extents[i].regions()[region] {
            return None;
        }
        let mut level = Level::default();
        with_viewer(|v, s| self.fill(i, region, scale, &mut v.buffers, &mut level, s))?;
        Some(level)
    }

    fn fill(
        &self,
        i: usize,
        region: usize,
        scale: usize,
        buffers: &mut Buffers,
        level: &mut Level,
        scratch: &mut Scratch,
    ) -> Option<()> {
        let sums = self.keep_failure(self.store.sums(i, region, scale, buffers))?;
        level.fill(sums, side_at(scale), unit_at(scale), self.padded(scale), scratch);
        Some(())
    }

    /// The level of picture `i`: the one in memory, or formed in `viewer`. `None` when the file cannot
    /// be read (see [`failure`](Self::failure)).
    pub(super) fn view<'a>(
        &'a self,
        i: usize,
        region: usize,
        scale: usize,
        viewer: &'a mut Viewer,
        scratch: &mut Scratch,
    ) -> Option<&'a Level> {
        if let Some(Some(level)) = self.ready[scale].get(2 * i + region) {
            return Some(level);
        }
        let Viewer {
            levels,
            planes,
            buffers,
        } = viewer;
        let level = &mut levels[scale];
        if scale > 0 {
            self.fill(i, region, scale, buffers, level, scratch)?;
        } else {
            let bytes = self.keep_failure(self.store.bytes(i, buffers))?;
            composition::region(self.store.arithmetic, bytes, region, planes);
            level.fill(planes, SIDE, unit_at(0), false, scratch);
        }
        Some(level)
    }
}

/// Where one thread forms the levels that are not in memory; about 25 MB once used.
#[derive(Default)]
pub(super) struct Viewer {
    levels: [Level; SCALES],
    planes: Vec<u8>,
    buffers: Buffers,
}

thread_local! {
    static VIEWER: RefCell<Viewer> = RefCell::default();
}

/// Runs `work` with this thread's viewer.
pub(super) fn with_viewer<R>(work: impl FnOnce(&mut Viewer, &mut Scratch) -> R) -> R {
    VIEWER.with(|v| with_scratch(|s| work(&mut v.borrow_mut(), s)))
}

#[cfg(test)]
#[path = "index_memory_tests.rs"]
mod memory_tests;

/// Builds an [`Index`], picture by picture, into its cache file.
///
/// ```no_run
/// # use pentimento::{similarity::IndexBuilder, study::Arithmetic};
/// # fn f(pictures: Vec<(image::RgbImage, image::GrayImage)>) -> Result<(), Box<dyn std::error::Error>> {
/// let mut builder = IndexBuilder::create("gallery.idx".as_ref(), "key", Arithmetic::Corrected, pictures.len())?;
/// for (image, matte) in &pictures {
///     builder.add(image, matte)?;
/// }
/// let index = builder.finish()?;
/// # Ok(()) }
/// ```
pub struct IndexBuilder(Writer);

impl IndexBuilder {
    /// Starts a file for up to `count` pictures. `key` names everything the rows depend on: hashes of
    /// the pictures, of the segmenter, their order; an index opens only with the same key.
    ///
    /// # Errors
    /// When the folder cannot be written, the disk is full, or `count` is beyond addressing.
    pub fn create(
        cache_file: &Path,
        key: &str,
        arithmetic: Arithmetic,
        count: usize,
    ) -> Result<Self, SimilarityError> {
        Writer::create(cache_file, key, arithmetic, count).map(Self)
    }

    /// Prepares a row; the costly part, which several threads can do at once.
    ///
    /// # Errors
    /// When the matte has another size than the picture, or the picture is empty.
    pub fn prepare(&self, image: &RgbImage, matte: &GrayImage) -> Result<Row, SimilarityError> {
        let cut = composition::cut(image, matte, self.0.arithmetic())?;
        Row::new(&cut, composition::coverage(matte))
    }

    /// As [`prepare`](Self::prepare), from segments that exist as pictures: the reference's
    /// `foreground/{i}.png` and `background/{i}.png`. For an RGBA arithmetic.
    ///
    /// # Errors
    /// When a segment has no pixels, or the background is not opaque.
    pub fn prepare_segments(
        &self,
        foreground: &RgbaImage,
        background: &RgbaImage,
    ) -> Result<Row, SimilarityError> {
        for segment in [foreground, background] {
            if segment.as_raw().is_empty() {
                return Err(SimilarityError::Empty(segment.width(), segment.height()));
            }
        }
        if background.pixels().any(|p| p[3] != 255) {
            return Err(SimilarityError::TransparentBackground);
        }
        let opaque = RgbImage::from_fn(background.width(), background.height(), |x, y| {
            let [r, g, b, _] = background.get_pixel(x, y).0;
            image::Rgb([r, g, b])
        });
        let cut = composition::cut_segments(foreground, &opaque, self.0.arithmetic());
        let alpha: u64 = foreground.pixels().map(|p| u64::from(p[3])).sum();
        let pixels = f64::from(foreground.width()) * f64::from(foreground.height());
        Row::new(&cut, (alpha as f64 / (255.0 * pixels)) as f32)
    }

    /// Appends a prepared row; rows are numbered in the order of arrival.
    ///
    /// # Errors
    /// When the file cannot be written, is full, or the row has another arithmetic.
    pub fn push(&mut self, row: Row) -> Result<(), SimilarityError> {
        self.0.push(&row)
    }

    /// [`prepare`](Self::prepare) and [`push`](Self::push).
    ///
    /// # Errors
    /// As those two.
    pub fn add(&mut self, image: &RgbImage, matte: &GrayImage) -> Result<(), SimilarityError> {
        let row = self.prepare(image, matte)?;
        self.push(row)
    }

    /// Appends a stand-in for measuring what large galleries cost without their disk: variant `v` of `row`'s coarse
    /// scales, 61 KB, with the finer scales of row `of`. Not for results: the scales do not belong together.
    ///
    /// # Errors
    /// When the file cannot be written or is full, or there is no row `of`.
    pub fn push_stand_in(&mut self, of: usize, row: &Row, v: usize) -> Result<(), SimilarityError> {
        self.0.push_like(of, Some(&row.varied(v)))
    }

    /// Completes the file, gives it its name and opens it. Fewer rows than promised are fine.
    ///
    /// # Errors
    /// When the file cannot be completed or does not read back.
    pub fn finish(self) -> Result<Index, SimilarityError> {
        self.0.finish().map(Index::new)
    }
}
