//! The gallery, opened for searching: coarse scales in memory as far as they fit, the rest formed from
//! the mapped file when a comparison needs it.

use super::{
    Prepared, Row, SimilarityError,
    cache::{FINEST_STORED, Store, Writer},
    composition::{self, BACKGROUND, FOREGROUND, region},
    kernel::Scratch,
    level::Level,
    prepared::with_scratch,
    pyramid::{AREA, SCALES, SIDE, halve, pyramid, side_at, unit_at},
    ssim::Metric,
};
use crate::study::Arithmetic;
use image::{GrayImage, RgbImage};
use rayon::prelude::*;
use std::{cell::RefCell, path::Path};

/// Memory for ready levels of all pictures together: the coarsest scale first, as many as fit.
const READY_BYTES: usize = 512 << 20;

/// The searchable gallery. Shared freely between threads; parallel work runs in the caller's rayon pool.
pub struct Index {
    pub(super) store: Store,
    pub(super) metric: Metric,
    /// By scale; `[2 · picture + region]`. Empty where memory did not suffice.
    ready: [Vec<Option<Level>>; SCALES],
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
        };
        let mut left = READY_BYTES;
        for scale in (FINEST_STORED..SCALES).rev() {
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

    /// Picture `i` as a query of its own gallery.
    pub(super) fn prepared(&self, i: usize) -> Prepared {
        let store = &self.store;
        Prepared::from_stored(
            store.arithmetic,
            store.extents[i],
            store.coverages[i],
            store.bytes(i),
        )
    }

    fn padded(&self, scale: usize) -> bool {
        scale == SCALES - 1 && !self.metric.crop_last
    }

    /// Computes a stored level; `None` past the end or when the picture lacks the region.
    fn level(&self, i: usize, region: usize, scale: usize) -> Option<Level> {
        if i >= self.len() || !self.store.extents[i].regions()[region] {
            return None;
        }
        let mut level = Level::default();
        with_scratch(|s| self.fill(i, region, scale, &mut level, s));
        Some(level)
    }

    fn fill(&self, i: usize, region: usize, scale: usize, level: &mut Level, scratch: &mut Scratch) {
        let sums = self.store.sums(i, region, scale);
        level.fill(sums, side_at(scale), unit_at(scale), self.padded(scale), scratch);
    }

    /// The level of picture `i`: the one in memory, or formed in `viewer`.
    pub(super) fn view<'a>(
        &'a self,
        i: usize,
        region: usize,
        scale: usize,
        viewer: &'a mut Viewer,
        scratch: &mut Scratch,
    ) -> &'a Level {
        if let Some(Some(level)) = self.ready[scale].get(2 * i + region) {
            return level;
        }
        let level = &mut viewer.levels[scale];
        if scale >= FINEST_STORED {
            self.fill(i, region, scale, level, scratch);
            return level;
        }
        if viewer.formed != Some((i, region)) {
            composition::region(
                self.store.arithmetic,
                self.store.bytes(i),
                region,
                &mut viewer.planes,
            );
            viewer.formed = Some((i, region));
        }
        if scale == 0 {
            level.fill(&viewer.planes, SIDE, unit_at(0), false, scratch);
        } else {
            halve(&viewer.planes, SIDE, &mut viewer.halved);
            level.fill(&viewer.halved, side_at(1), unit_at(1), false, scratch);
        }
        level
    }
}

/// Where one thread forms the levels that are not in memory; about 20 MB once used.
#[derive(Default)]
pub(super) struct Viewer {
    levels: [Level; SCALES],
    planes: Vec<u8>,
    halved: Vec<u16>,
    formed: Option<(usize, usize)>,
}

thread_local! {
    static VIEWER: RefCell<Viewer> = RefCell::default();
}

/// Runs `work` with this thread's viewer, emptied of what another index may have left.
pub(super) fn with_viewer<R>(work: impl FnOnce(&mut Viewer, &mut Scratch) -> R) -> R {
    VIEWER.with(|v| {
        let viewer = &mut *v.borrow_mut();
        viewer.formed = None;
        with_scratch(|s| work(viewer, s))
    })
}

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
        let arithmetic = self.0.arithmetic();
        let cut = composition::cut(image, matte, arithmetic)?;
        let mut sums: [Vec<u16>; SCALES - FINEST_STORED] = Default::default();
        let mut planes = Vec::with_capacity(4 * AREA);
        for r in [FOREGROUND, BACKGROUND] {
            region(arithmetic, &cut.planes, r, &mut planes);
            for (all, level) in sums.iter_mut().zip(&pyramid(&planes)[FINEST_STORED - 1..]) {
                all.extend_from_slice(level);
            }
        }
        Ok(Row {
            cut,
            coverage: composition::coverage(matte),
            sums,
        })
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

    /// Completes the file, gives it its name and opens it. Fewer rows than promised are fine.
    ///
    /// # Errors
    /// When the file cannot be completed or does not read back.
    pub fn finish(self) -> Result<Index, SimilarityError> {
        self.0.finish().map(Index::new)
    }
}
