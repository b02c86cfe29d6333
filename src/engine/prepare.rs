//! Getting the gallery ready: mattes, pyramids, groups; each kept in the cache, so that a gallery is
//! worked through once.

use super::{
    CancelToken, Event, JobId, JobKind,
    picture::read_with_matte,
    pool::compute_pool,
    session::{PreparedGallery, Session},
    worker::Outcome,
};
use crate::{
    gallery::{self, cache_dir},
    memorization::{ClusterLimits, cluster},
    similarity::{Index, IndexBuilder},
    study::{Cluster, Link, Problem},
};
use rayon::{ThreadPool, prelude::*};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fs, io, path::Path, sync::Arc, thread};

/// Images read ahead at once.
const CHUNK: usize = 16;

/// Files that one card names at most.
const MOST_NAMED: usize = 20;

/// Kept beside the pyramids: which gallery image each row is.
#[derive(Serialize, Deserialize)]
struct Rows {
    rows: Vec<u32>,
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
                "Pictures are drawn but not compared. Open a U²-Net folder or weights file.",
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
        let (index, rows) = match cached.filter(|(index, rows)| index.len() == rows.len()) {
            Some((index, rows)) => {
                self.tell_left_out(&rows);
                (index, rows)
            }
            None => match self.build_index(id, cancel, &file, &key)? {
                Some((index, rows)) => {
                    let text = serde_json::to_vec(&Rows { rows: rows.clone() }).unwrap_or_default();
                    fs::write(&rows_file, text).map_err(|e| cache_problem(&rows_file, &e))?;
                    (index, rows)
                }
                None => return Ok(Outcome::Stopped),
            },
        };
        self.gallery = Some(PreparedGallery {
            index: Arc::new(index),
            rows: Arc::new(rows),
            links_file: file.with_extension("links.json"),
        });
        self.teller.tell(Event::GalleryReady);
        self.group_gallery();
        Ok(Outcome::Done)
    }

    fn build_index(
        &self,
        id: JobId,
        cancel: &CancelToken,
        file: &Path,
        key: &str,
    ) -> Result<Option<(Index, Vec<u32>)>, Problem> {
        let entries = &self.outline.gallery;
        let mut builder = IndexBuilder::create(file, key, self.outline.arithmetic, entries.len())
            .map_err(|e| cache_problem(file, &e))?;
        let mut rows = Vec::with_capacity(entries.len());
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
                    Err(reason) => self.notice(
                        Problem::new("A training image is left out", "Everything else goes on.")
                            .at(&entries[index].path)
                            .detail(reason),
                    ),
                }
            }
        }
        progress.at(entries.len() as f64);
        let index = builder.finish().map_err(|e| cache_problem(file, &e))?;
        Ok(Some((index, rows)))
    }

    /// A gallery from the cache still lacks what could not be read when it was prepared.
    fn tell_left_out(&self, rows: &[u32]) {
        let kept: std::collections::HashSet<u32> = rows.iter().copied().collect();
        let entries = self.outline.gallery.iter().enumerate();
        let left_out: Vec<_> = entries
            .filter(|(i, _)| !kept.contains(&(*i as u32)))
            .map(|(_, g)| g)
            .collect();
        if left_out.is_empty() {
            return;
        }
        let mut problem = Problem::new(
            format!(
                "{} training images are left out: they cannot be read",
                left_out.len()
            ),
            "Everything else goes on.",
        );
        for entry in left_out.iter().take(MOST_NAMED) {
            problem = problem.detail(entry.path.display().to_string());
        }
        if left_out.len() > MOST_NAMED {
            problem = problem.detail(format!("and {} more", left_out.len() - MOST_NAMED));
        }
        self.notice(problem);
    }

    /// Groups the gallery on a thread of its own, beside whatever comes next.
    fn group_gallery(&self) {
        let Some(gallery) = self.gallery.clone() else {
            return;
        };
        let (cancel, teller) = (self.grouping.clone(), self.teller.clone());
        let count = self.outline.gallery.len();
        let work = move || {
            let Ok(pool) = compute_pool(1) else { return };
            let stop = || cancel.is_cancelled();
            if let Some(clusters) = clusters(&gallery, count, &pool, &stop)
                && !cancel.is_cancelled()
            {
                teller.tell(Event::Clusters(Arc::new(clusters)));
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
    count: usize,
    pool: &ThreadPool,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<Cluster>> {
    let limits = ClusterLimits::default();
    let PreparedGallery {
        index,
        rows,
        links_file,
    } = gallery;
    let links = match read_links(links_file, limits) {
        Some(links) => links,
        None => {
            let found =
                pool.install(|| index.links(limits.foreground, limits.background, stop, &|_, _| {}))?;
            let links = found.into_iter().map(|l| Link {
                a: rows[l.a as usize],
                b: rows[l.b as usize],
                ..l
            });
            let kept = KeptLinks {
                limits,
                links: links.collect(),
            };
            if let Ok(text) = serde_json::to_vec(&kept) {
                fs::write(links_file, text).ok(); // a cache that cannot be written costs time, no more
            }
            kept.links
        }
    };
    Some(cluster(count, &links, limits))
}

#[derive(Serialize, Deserialize)]
struct KeptLinks {
    limits: ClusterLimits,
    links: Vec<Link>,
}

fn read_links(file: &Path, limits: ClusterLimits) -> Option<Vec<Link>> {
    let kept: KeptLinks = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    (kept.limits == limits).then_some(kept.links)
}

fn read_rows(file: &Path) -> Option<Vec<u32>> {
    serde_json::from_slice::<Rows>(&fs::read(file).ok()?)
        .ok()
        .map(|r| r.rows)
}

fn cache_problem(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        "The gallery cannot be kept in the cache",
        "Free some disk space, or set PENTIMENTO_CACHE.",
    )
    .at(path)
    .detail(error.to_string())
}
