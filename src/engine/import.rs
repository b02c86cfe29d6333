//! Importing: finished pictures from elsewhere are segmented and compared like those drawn here, without any model,
//! and kept as a run of their own.

use super::{
    CancelToken, Event, ImportJob, ImportPrompts, JobId, JobKind, Survey, prepare::LINKS, session::Session,
    small::THUMBNAIL_SIDE, worker::Outcome,
};
use crate::{
    gallery::{self, MAX_FILE_BYTES, decode_matte, decode_rgb, thumbnail},
    memorization::{ClusterLimits, Judge, JudgeError, TOP_K, cluster},
    similarity::Prepared,
    store::{self, PlannedPicture, Run},
    study::{GalleryImage, Generation, GenerationKey, Match, Measures, Problem, Skipped, StudyOutline},
};
use sha2::{Digest, Sha256};
use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Files whose names one message gives as examples.
const EXAMPLES: usize = 5;

impl Session {
    /// Looks at a folder of generated pictures; see [`super::Job::Survey`].
    pub fn survey(&self, folder: &Path) -> Result<Outcome, Problem> {
        let scanned = gallery::scan_flat(folder, None)?;
        scanned.notices.into_iter().for_each(|n| self.notice(n));
        self.teller.tell(Event::Surveyed(Arc::new(Survey {
            folder: folder.to_owned(),
            files: scanned.images.iter().map(GalleryImage::name).collect(),
            gallery: self.outline.gallery.len(),
            prompts: self.outline.prompts.clone(),
        })));
        Ok(Outcome::Done)
    }

    /// Segments and compares a folder of generated pictures; see [`super::Job::Import`].
    pub fn import(&mut self, id: JobId, cancel: &CancelToken, job: &ImportJob) -> Result<Outcome, Problem> {
        if self.outline.gallery.is_empty() || self.table.is_some() {
            return Err(Problem::new(
                "There is no gallery to compare the pictures with",
                "Open the folder of training images (or a study that has one) first, then import again.",
            )
            .at(&job.folder));
        }
        let scanned = gallery::scan_flat(&job.folder, job.mattes.as_deref())?;
        let files: Vec<String> = scanned.images.iter().map(GalleryImage::name).collect();
        let (reader, mut notices) = job.names.resolve()?;
        notices.extend(scanned.notices);
        let listed = match &job.prompts {
            ImportPrompts::OfStudy => self.outline.prompts.clone(),
            ImportPrompts::Unknown => Vec::new(),
            ImportPrompts::List(file) => {
                let (prompts, bad_lines) = store::read_prompts(file)?;
                notices.extend(bad_lines);
                prompts
            }
        };
        let plan = reader.plan(&files, &listed);
        if plan.pictures.is_empty() {
            let mut problem = Problem::new(
                format!(
                    "None of the {} pictures says which prompt it belongs to",
                    files.len()
                ),
                "Choose another way to read the names: a pattern, one prompt per file, or a table.",
            )
            .at(&job.folder);
            for (file, reason) in plan.skipped.iter().take(EXAMPLES) {
                problem = problem.detail(format!("{}: {reason}", files[*file]));
            }
            return Err(problem);
        }
        if self.gallery.is_none() && self.prepare_gallery(id, cancel)? == Outcome::Stopped {
            return Ok(Outcome::Stopped);
        }
        let lacks_matte = plan
            .pictures
            .iter()
            .any(|p| scanned.images[p.file].matte.is_none());
        if self.gallery.is_none() || (lacks_matte && self.segmenter.is_none()) {
            return Err(Problem::new(
                "Without mattes and without a segmenter the pictures cannot be compared",
                "Open a segmenter's folder or weights file, then import again.",
            )
            .at(&job.folder));
        }

        // What an earlier import left out is told anew; what the gallery lacks stays.
        let of_gallery: HashSet<&PathBuf> = self.outline.gallery.iter().map(|g| &g.path).collect();
        self.skipped.retain(|s| of_gallery.contains(&s.path));
        // Named by where the pictures lie, not by what they are: a folder that grows goes on with its run.
        let folder = job.folder.canonicalize().unwrap_or_else(|_| job.folder.clone());
        let source = format!("{} · {}", folder.display(), job.names.words());
        let root = self.outline.root.clone();
        self.begin_import(&job.folder, plan.prompts, &plan.pictures);
        notices.into_iter().for_each(|n| self.notice(n));
        let mut run = self.run_for_import(source, root)?;
        self.show(run.folder());
        run.notices().iter().for_each(|n| self.notice(n.clone()));
        let skipped = plan.skipped.into_iter();
        let mut skipped: Vec<Skipped> = skipped
            .map(|(file, reason)| Skipped::new(&scanned.images[file].path, reason))
            .collect();

        let mut held = self.held_by(&run);
        let mut progress = self.teller.progress(id, JobKind::Import, plan.pictures.len());
        let mut outcome = Outcome::Done;
        for (done, picture) in plan.pictures.iter().enumerate() {
            progress.at(done as f64);
            if cancel.is_cancelled() {
                outcome = Outcome::Stopped;
                break;
            }
            let entry = &scanned.images[picture.file];
            match self.import_picture(entry, picture, &mut run, &mut held, cancel) {
                Ok(()) => {}
                Err(Trouble::Stopped) => {
                    outcome = Outcome::Stopped;
                    break;
                }
                Err(Trouble::File(reason)) => skipped.push(Skipped::new(&entry.path, reason)),
                Err(Trouble::Run(problem)) => return Err(problem),
            }
        }
        progress.at(plan.pictures.len() as f64);
        store::write_skipped(run.folder(), &skipped)?;
        self.skip("generated pictures are", skipped);
        Ok(outcome)
    }

    /// The open study becomes one without a model whose pictures are the imported ones; gallery, segmenter, arithmetic
    /// and thresholds stay.
    fn begin_import(
        &mut self,
        folder: &Path,
        prompts: Vec<crate::study::Prompt>,
        pictures: &[PlannedPicture],
    ) {
        let mut seeds: Vec<u64> = pictures.iter().map(|p| p.key.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds.truncate(64);
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
        self.outline = Arc::new(StudyOutline {
            name: format!("Imported: {name}"),
            root: None,
            model: None,
            suggested: None,
            generated_mattes: None,
            variants: Vec::new(),
            prompts,
            seeds,
            ..StudyOutline::clone(&self.outline)
        });
        self.watch = None;
        self.beside.clear();
        self.shown.clear();
        self.checkpoint = None;
        self.pipeline = None;
        self.edited = None;
        self.hashes.model.clear();
        self.shelf.open(self.outline.clone());
        self.teller.tell(Event::Opened(self.outline.clone()));
        if !self.skipped.is_empty() {
            self.teller.tell(Event::Skipped(Arc::new(self.skipped.clone())));
        }
        self.teller.tell(Event::GalleryReady);
        self.tell_kept_null();
        // Where the groups are not found yet, the thread that looks for them tells them later.
        if let Some(gallery) = &self.gallery
            && let Some(links) =
                super::prepare::read_links(&gallery.file.with_extension(LINKS), ClusterLimits::default())
        {
            let hashes = self.gallery_hashes();
            let clusters = cluster(hashes.len(), &links, ClusterLimits::default(), &hashes);
            self.teller.tell(Event::Clusters(Arc::new(clusters)));
        }
    }

    fn import_picture(
        &self,
        entry: &GalleryImage,
        picture: &PlannedPicture,
        run: &mut Run,
        held: &mut HashMap<GenerationKey, Generation>,
        cancel: &CancelToken,
    ) -> Result<(), Trouble> {
        let bytes = read(&entry.path).map_err(|e| Trouble::File(e.to_string()))?;
        let hash = hex::encode(Sha256::digest(&bytes));
        let known = run
            .record(&picture.key)
            .is_some_and(|r| r.sha256 == hash && r.prompt == picture.prompt && !r.matches.is_empty());
        if known && let Some(generation) = held.remove(&picture.key) {
            self.tell_judged(generation);
            return Ok(());
        }
        // Decoded before it is kept: what cannot be read leaves nothing behind.
        let image = decode_rgb(&entry.path).map_err(|e| Trouble::File(e.to_string()))?;
        let Some(gallery) = &self.gallery else {
            return Err(Trouble::File("there is no gallery".to_owned()));
        };
        let arithmetic = self.outline.arithmetic;
        let stop = || cancel.is_cancelled();
        let judged = match &entry.matte {
            Some(path) => {
                let matte = decode_matte(path).map_err(|e| Trouble::File(format!("its matte: {e}")))?;
                if matte.dimensions() != image.dimensions() {
                    let ((w, h), (mw, mh)) = (image.dimensions(), matte.dimensions());
                    return Err(Trouble::File(format!(
                        "its matte is {mw}×{mh}, the picture {w}×{h}"
                    )));
                }
                let matches = self.pool.install(|| {
                    let query = Prepared::query(&image, &matte, arithmetic)?;
                    gallery
                        .index
                        .search(&query, TOP_K, &stop)
                        .ok_or_else(|| JudgeError::of_search(&gallery.index))
                });
                matches.map(|matches| (matte, None, matches))
            }
            None => {
                let Some(segmenter) = &self.segmenter else {
                    return Err(Trouble::File(
                        "it has no matte and there is no segmenter".to_owned(),
                    ));
                };
                let judge = Judge {
                    segmenter,
                    index: Some(&*gallery.index),
                    arithmetic,
                };
                let judged = self.pool.install(|| judge.judge(&image, &stop));
                judged.map(|j| (j.matte, Some(j.confidence), j.matches))
            }
        };
        let (matte, confidence, matches) = judged.map_err(|e| match e {
            JudgeError::Stopped => Trouble::Stopped,
            other => Trouble::File(other.to_string()),
        })?;
        let matches = matches
            .into_iter()
            .filter_map(|m| {
                Some(Match {
                    gallery: *gallery.rows.get(m.gallery as usize)?,
                    ..m
                })
            })
            .collect();
        let written = run
            .write_copy(&picture.key, &entry.name(), &bytes)
            .map_err(Trouble::Run)?;
        let alpha = matte;
        let matte = run.write_matte(&picture.key, &alpha).map_err(Trouble::Run)?;
        let mut generation = Generation {
            key: picture.key,
            prompt: picture.prompt.clone(),
            image: written.path.clone(),
            matte: Some(matte.path.clone()),
            confidence,
            matches,
            measures: Measures::default(),
            noise_norm: Vec::new(),
            signals: None,
            seconds: 0.0,
            thumbnail: Arc::new(thumbnail(&image, THUMBNAIL_SIDE)),
            variant: None,
            cluster: None,
            edit: None,
        };
        generation.measures = self.measures_of(&image, &alpha, &generation);
        let record = self.record(&generation, &written, Some(&matte));
        run.replace(record, 0.0).map_err(Trouble::Run)?;
        self.tell_judged(generation);
        Ok(())
    }
}

/// Why a picture was not imported.
enum Trouble {
    /// Stopped as asked.
    Stopped,
    /// The file cannot be used; the others can.
    File(String),
    /// The run cannot be written.
    Run(Problem),
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let about = std::fs::metadata(path)?;
    if !about.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!(
            "the file has more than {} MB",
            MAX_FILE_BYTES >> 20
        )));
    }
    Ok(bytes)
}

/// The folder of an import's run below these places.
pub(super) fn import_folders(places: [Option<PathBuf>; 2], id: &str) -> Vec<PathBuf> {
    places
        .into_iter()
        .flatten()
        .map(|place| place.join("runs").join(id))
        .collect()
}
