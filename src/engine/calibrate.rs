//! The null of the open gallery as a job: measured once per prepared gallery and arithmetic, kept in the cache
//! while it grows, so that a job that was stopped goes on where it was.

use super::{
    CancelToken, Event, JobId, JobKind,
    picture::read_with_matte,
    prepare::{LINKS, find_links, keep_links, read_links},
    session::{PreparedGallery, Session},
    worker::Outcome,
};
use crate::{
    gallery,
    memorization::{
        ClusterLimits, cluster,
        null::{KIN, MeasuredNull, Null, groups_of_rows, measure},
    },
    similarity::Prepared,
    study::{Arithmetic, Cluster, Problem},
};
use std::{
    fs,
    io::Write,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

const EXTENSION: &str = "null.json";
/// Rewriting what is done costs little; losing more than this would not.
const KEEP_EVERY: Duration = Duration::from_secs(5);

impl Session {
    /// Measures the null; see [`super::Job::Calibrate`].
    pub fn calibrate(&mut self, id: JobId, cancel: &CancelToken) -> Result<Outcome, Problem> {
        let Some(gallery) = &self.gallery else {
            return Err(Problem::new(
                "There is no prepared gallery to calibrate on",
                "Open a folder of training images, and a segmenter if they have no mattes.",
            ));
        };
        if self.tell_kept_null() {
            return Ok(Outcome::Done);
        }
        let Some(clusters) = self.groups(id, cancel, gallery) else {
            return Ok(Outcome::Stopped);
        };
        let groups = groups_of_rows(&clusters, &gallery.rows);
        let file = gallery.file.with_extension(EXTENSION);
        let key = self.null_key(gallery);
        let mut kept = read_kept(&file, &key, gallery.index.len()).unwrap_or(MeasuredNull {
            key,
            rows: gallery.index.len(),
            nearest: Vec::new(),
        });
        let mut progress = self.teller.progress(id, JobKind::Calibrate, kept.rows);
        progress.at(kept.nearest.len() as f64);
        let mut saved = Instant::now();
        let before = std::mem::take(&mut kept.nearest);
        let measured = self.pool.install(|| {
            measure(
                &gallery.index,
                &groups,
                before,
                &|row| self.as_generated(gallery, row),
                &|| cancel.is_cancelled(),
                &mut |nearest| {
                    progress.at(nearest.len() as f64);
                    if saved.elapsed() >= KEEP_EVERY {
                        kept.nearest = nearest.to_vec();
                        keep(&file, &kept);
                        saved = Instant::now();
                    }
                },
            )
        });
        let Some(nearest) = measured else {
            return Ok(Outcome::Stopped);
        };
        kept.nearest = nearest;
        keep(&file, &kept);
        self.teller.tell(Event::Null(Arc::new(Null::new(&kept.nearest))));
        Ok(Outcome::Done)
    }

    /// Tells the null if the cache holds all of it.
    pub(super) fn tell_kept_null(&self) -> bool {
        let Some(gallery) = &self.gallery else {
            return false;
        };
        let file = gallery.file.with_extension(EXTENSION);
        let kept = read_kept(&file, &self.null_key(gallery), gallery.index.len());
        let Some(kept) = kept.filter(MeasuredNull::is_complete) else {
            return false;
        };
        self.teller.tell(Event::Null(Arc::new(Null::new(&kept.nearest))));
        true
    }

    /// The file's name says gallery, mattes and arithmetic; here is what else a null depends on.
    fn null_key(&self, gallery: &PreparedGallery) -> String {
        let name = gallery.file.file_stem().unwrap_or_default().to_string_lossy();
        let limits = ClusterLimits::default();
        format!(
            "2 {name} links {} {} kin {KIN:?}",
            limits.foreground, limits.background
        )
    }

    /// The groups of the gallery: from the cache, else found now, instead of by the slow thread beside.
    fn groups(&self, id: JobId, cancel: &CancelToken, gallery: &PreparedGallery) -> Option<Vec<Cluster>> {
        let limits = ClusterLimits::default();
        let file = gallery.file.with_extension(LINKS);
        let links = match read_links(&file, limits) {
            Some(links) => links,
            None => {
                self.grouping.cancel();
                let line = Mutex::new(self.teller.progress(id, JobKind::Cluster, 100));
                let tell = |done: usize, all: usize| {
                    let mut line = line.lock().unwrap_or_else(PoisonError::into_inner);
                    line.at(100.0 * done as f64 / all.max(1) as f64);
                };
                let found = self.pool.install(|| {
                    let stop = || cancel.is_cancelled();
                    find_links(&gallery.index, &gallery.rows, limits, &stop, &tell)
                })?;
                keep_links(&file, limits, found)
            }
        };
        let hashes = self.gallery_hashes();
        let clusters = cluster(hashes.len(), &links, limits, &hashes);
        self.teller.tell(Event::Clusters(Arc::new(clusters.clone())));
        Some(clusters)
    }

    /// Content hashes of the gallery, for ids of groups.
    pub(super) fn gallery_hashes(&self) -> Vec<String> {
        let paths: Vec<&Path> = self.outline.gallery.iter().map(|g| &*g.path).collect();
        self.pool.install(|| gallery::content_hashes(&paths))
    }

    /// A gallery picture as if it had been generated. The stored side serves under `corrected`; the others treat
    /// generated pictures differently (JPEG, alpha 1). A file that is gone since falls back to the stored side.
    fn as_generated(&self, gallery: &PreparedGallery, row: usize) -> Option<Prepared> {
        let arithmetic = self.outline.arithmetic;
        if arithmetic == Arithmetic::Corrected {
            return None;
        }
        let entry = self.outline.gallery.get(*gallery.rows.get(row)? as usize)?;
        let (image, matte) = read_with_matte(entry, self.segmenter.as_ref()).ok()?;
        Prepared::query(&image, &matte, arithmetic).ok()
    }
}

fn read_kept(file: &Path, key: &str, rows: usize) -> Option<MeasuredNull> {
    let kept: MeasuredNull = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    kept.fits(key, rows).then_some(kept)
}

/// A cache that cannot be written costs time, no more.
fn keep(file: &Path, kept: &MeasuredNull) {
    let folder = file.parent().unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut temporary| {
        temporary.write_all(&serde_json::to_vec(kept).map_err(std::io::Error::other)?)?;
        temporary.persist(file).map(drop).map_err(|e| e.error)
    });
    if let Err(error) = written {
        log::warn!("{}: the null could not be kept: {error}", file.display());
    }
}
