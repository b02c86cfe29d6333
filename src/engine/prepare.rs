//! Getting the gallery ready: mattes, pyramids, groups; each kept in the cache, so that a gallery is
//! worked through once.

use super::{
    CancelToken, Event, JobId, JobKind,
    picture::read_with_matte,
    pool::compute_pool,
    regions::Comparer,
    session::{PreparedGallery, Session},
    worker::Outcome,
};
use crate::{
    gallery::{self, cache_dir},
    memorization::{ClusterLimits, cluster, region_clusters},
    similarity::{Index, IndexBuilder},
    study::{Cluster, GalleryImage, Link, Problem, Skipped, gallery_names},
};
use rayon::{ThreadPool, prelude::*};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fs, io, path::Path, sync::Arc, thread};

/// Images read ahead at once.
const CHUNK: usize = 16;

/// Extension of the links kept beside the pyramids.
pub(super) const LINKS: &str = "links.json";

/// Kept beside the pyramids: which gallery image each row is.
#[derive(Serialize, Deserialize)]
struct Rows {
    rows: Vec<u32>,
    /// Gallery index and reason of each image that has no row.
    #[serde(default)]
    left_out: Vec<(u32, String)>,
}

impl Session {
    /// Hash of the gallery's pictures and ready-made mattes.
    pub(super) fn hash_gallery(&self) -> io::Result<String> {
        if self.outline.gallery.is_empty() || self.outline.gallery_root.is_none() {
            return Ok(String::new());
        }
        gallery::fingerprint(&self.outline.gallery)
    }

    /// Opens the prepared gallery from the cache, or prepares it.
    pub(super) fn prepare_gallery(&mut self, id: JobId, cancel: &CancelToken) -> Result<Outcome, Problem> {
        // Without a folder the gallery is a list of names that a run brought.
        if self.outline.gallery.is_empty() || self.outline.gallery_root.is_none() {
            return Ok(Outcome::Done);
        }
        let lacks_matte = self.outline.gallery.iter().any(|g| g.matte.is_none());
        if lacks_matte && self.segmenter.is_none() {
            self.notice(Problem::new(
                "The gallery has no mattes and the study no segmenter",
                "Pictures are drawn but not compared. Open weights of U²-Net, IS-Net or BiRefNet.",
            ));
            return Ok(Outcome::Done);
        }
        let mut hasher = Sha256::new();
        hasher.update(&self.hashes.gallery);
        if lacks_matte {
            hasher.update(&self.hashes.segmenter);
        }
        let key = hex::encode(hasher.finalize());
        let arithmetic = self.outline.arithmetic;
        let folder = cache_dir()?.join("galleries");
        fs::create_dir_all(&folder).map_err(|e| cache_problem(&folder, &e))?;
        let file = folder.join(format!("{}-{arithmetic}.pyramids", &key[..24]));
        let rows_file = file.with_extension("rows.json");

        let cached = Index::open(&file, &key, arithmetic).zip(read_rows(&rows_file));
        let (index, Rows { rows, left_out }) =
            match cached.filter(|(index, kept)| index.len() == kept.rows.len()) {
                Some(found) => found,
                None => match self.build_index(id, cancel, &file, &key)? {
                    Some((index, rows)) => {
                        let text = serde_json::to_vec(&rows).unwrap_or_default();
                        fs::write(&rows_file, text).map_err(|e| cache_problem(&rows_file, &e))?;
                        (index, rows)
                    }
                    None => return Ok(Outcome::Stopped),
                },
            };
        self.tell_left_out(&rows, left_out);
        self.gallery = Some(PreparedGallery {
            index: Arc::new(index),
            rows: Arc::new(rows),
            names: Arc::new(gallery_names(&self.outline.gallery)),
            file: file.clone(),
        });
        if self.prepare_shortlist(id, cancel)? == Outcome::Stopped {
            return Ok(Outcome::Stopped);
        }
        let approximate = self.approximate.clone();
        let gallery = self.gallery.clone();
        self.shelf
            .set_comparer(gallery.map(|gallery| Comparer { gallery, approximate }));
        self.teller.tell(Event::GalleryReady);
        self.tell_kept_null();
        self.group_gallery();
        Ok(Outcome::Done)
    }

    fn build_index(
        &self,
        id: JobId,
        cancel: &CancelToken,
        file: &Path,
        key: &str,
    ) -> Result<Option<(Index, Rows)>, Problem> {
        if self.segment_gallery(id, cancel) == Outcome::Stopped {
            return Ok(None);
        }
        let entries = &self.outline.gallery;
        let mut builder = IndexBuilder::create(file, key, self.outline.arithmetic, entries.len())
            .map_err(|e| cache_problem(file, &e))?;
        let mut rows = Vec::with_capacity(entries.len());
        let mut left_out = Vec::new();
        let mut progress = self.teller.progress(id, JobKind::PrepareGallery, entries.len());
        let segmenter = self.segmenter.as_ref();
        for (chunk, some) in entries.chunks(CHUNK).enumerate() {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            progress.at((chunk * CHUNK) as f64);
            let prepared: Vec<_> = self.pool.install(|| {
                some.par_iter()
                    .map(|entry| {
                        let (image, matte) = read_with_matte(entry, segmenter)?;
                        builder.prepare(&image, &matte).map_err(|e| e.to_string())
                    })
                    .collect()
            });
            for (i, row) in prepared.into_iter().enumerate() {
                let index = chunk * CHUNK + i;
                match row {
                    Ok(row) => {
                        builder.push(row).map_err(|e| cache_problem(file, &e))?;
                        rows.push(index as u32);
                    }
                    Err(reason) => left_out.push((index as u32, reason)),
                }
            }
        }
        progress.at(entries.len() as f64);
        let index = builder.finish().map_err(|e| cache_problem(file, &e))?;
        Ok(Some((index, Rows { rows, left_out })))
    }

    /// Tells which images have no row; also of a gallery from the cache, which still lacks them.
    fn tell_left_out(&mut self, rows: &[u32], left_out: Vec<(u32, String)>) {
        let kept: std::collections::HashSet<u32> = rows.iter().copied().collect();
        let mut reasons: std::collections::HashMap<u32, String> = left_out.into_iter().collect();
        let entries = self.outline.gallery.iter().zip(0_u32..);
        let files: Vec<Skipped> = entries
            .filter(|(_, i)| !kept.contains(i))
            .map(|(entry, i)| {
                let reason = reasons
                    .remove(&i)
                    .unwrap_or_else(|| "it cannot be read".to_owned());
                Skipped::new(&entry.path, reason)
            })
            .collect();
        self.skip("training images are", files);
    }

    /// Groups the gallery on a thread of its own, beside whatever comes next.
    fn group_gallery(&self) {
        let Some(gallery) = self.gallery.clone() else {
            return;
        };
        let (cancel, teller) = (self.grouping.clone(), self.teller.clone());
        let count = self.outline.gallery.len();
        let outline = self.outline.clone();
        let work = move || {
            let Ok(pool) = compute_pool(1) else { return };
            let stop = || cancel.is_cancelled();
            let Some(links) = links_of(&gallery, &pool, &stop) else {
                return;
            };
            let hashes = hashes_of(&outline.gallery);
            if !cancel.is_cancelled() {
                let limits = ClusterLimits::default();
                let regions = region_clusters(count, &links, limits, &hashes);
                teller.tell(Event::RegionClusters(Arc::new(regions)));
                teller.tell(Event::Clusters(Arc::new(cluster(count, &links, limits, &hashes))));
            }
        };
        if let Err(error) = thread::Builder::new().name("grouping".into()).spawn(work) {
            log::warn!("the gallery is not grouped: {error}");
        }
    }
}

/// The groups of a gallery, from its links in the cache or computed now; `None` when stopped.
pub(super) fn clusters(
    gallery: &PreparedGallery,
    images: &[GalleryImage],
    pool: &ThreadPool,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<Cluster>> {
    let links = links_of(gallery, pool, stop)?;
    let hashes = hashes_of(images);
    Some(cluster(images.len(), &links, ClusterLimits::default(), &hashes))
}

/// The links of a gallery, from the cache or computed now; `None` when stopped.
fn links_of(
    gallery: &PreparedGallery,
    pool: &ThreadPool,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<Link>> {
    let limits = ClusterLimits::default();
    let file = gallery.file.with_extension(LINKS);
    if let Some(links) = read_links(&file, limits) {
        return Some(links);
    }
    let links = pool.install(|| find_links(&gallery.index, &gallery.rows, limits, stop, &|_, _| {}))?;
    Some(keep_links(&file, limits, links))
}

fn hashes_of(images: &[GalleryImage]) -> Vec<String> {
    let paths: Vec<&Path> = images.iter().map(|g| g.path.as_path()).collect();
    gallery::content_hashes(&paths)
}

/// The links of a gallery by gallery index; `None` when cancelled.
pub(super) fn find_links(
    index: &Index,
    rows: &[u32],
    limits: ClusterLimits,
    cancelled: &(dyn Fn() -> bool + Sync),
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Option<Vec<Link>> {
    let links = index.links(limits.foreground, limits.background, cancelled, progress)?;
    Some(
        links
            .into_iter()
            .map(|l| Link {
                a: rows[l.a as usize],
                b: rows[l.b as usize],
                ..l
            })
            .collect(),
    )
}

pub(super) fn keep_links(file: &Path, limits: ClusterLimits, links: Vec<Link>) -> Vec<Link> {
    let kept = KeptLinks { limits, links };
    if let Ok(text) = serde_json::to_vec(&kept) {
        fs::write(file, text).ok(); // a cache that cannot be written costs time, no more
    }
    kept.links
}

#[derive(Serialize, Deserialize)]
struct KeptLinks {
    limits: ClusterLimits,
    links: Vec<Link>,
}

pub(super) fn read_links(file: &Path, limits: ClusterLimits) -> Option<Vec<Link>> {
    let kept: KeptLinks = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    (kept.limits == limits).then_some(kept.links)
}

fn read_rows(file: &Path) -> Option<Rows> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

fn cache_problem(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        "The gallery cannot be kept in the cache",
        "Free some disk space, or set PENTIMENTO_CACHE.",
    )
    .at(path)
    .detail(error.to_string())
}
