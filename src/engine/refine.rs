//! The region of a picture that a person points at.

use super::{CancelToken, Event, JobId, JobKind, RefineJob, Refined, session::Session, worker::Outcome};
use crate::{
    gallery::decode_rgb,
    memorization::{Judge, JudgeError},
    segmentation::{ClickSegmenter, Embedded},
    study::Problem,
};
use image::RgbImage;
use std::{path::PathBuf, sync::Arc};

/// SAM, and the picture it saw last.
pub(super) struct Clicker {
    path: PathBuf,
    segmenter: ClickSegmenter,
    seen: Option<(PathBuf, Arc<RgbImage>, Embedded)>,
}

impl Clicker {
    /// The network, for people.
    pub fn describe(&self) -> &'static str {
        self.segmenter.describe()
    }
}

impl Session {
    /// Answers clicks with a region; see [`super::Job::Refine`]. The first click on a picture takes as long as the
    /// picture's encoding, the following ones are quick.
    pub(super) fn refine(
        &mut self,
        id: JobId,
        cancel: &CancelToken,
        job: &RefineJob,
    ) -> Result<Outcome, Problem> {
        let mut progress = self.teller.progress(id, JobKind::Refine, 1);
        progress.at(0.0);
        let shown = self.shelf.generation(job.generation, job.variant.clone());
        let generation = shown.ok_or_else(|| {
            Problem::new("There is no such picture", "Draw it first.").detail(job.generation.to_string())
        })?;
        let mut clicker = self.take_clicker()?;
        let failed = |e: &dyn std::fmt::Display| {
            Problem::new(
                "The region cannot be found",
                "Point at another place, or check the weights of SAM.",
            )
            .detail(e.to_string())
        };
        if clicker
            .seen
            .as_ref()
            .is_none_or(|(path, ..)| *path != generation.image)
        {
            let image = decode_rgb(&generation.image).map_err(|e| failed(&e).at(&generation.image))?;
            let embedded = self.pool.install(|| clicker.segmenter.embed(&image));
            let embedded = embedded.map_err(|e| failed(&e))?;
            clicker.seen = Some((generation.image.clone(), Arc::new(image), embedded));
        }
        if cancel.is_cancelled() {
            self.clicker = Some(clicker);
            return Ok(Outcome::Stopped);
        }
        let Some((_, image, embedded)) = &clicker.seen else {
            return Ok(Outcome::Stopped);
        };
        let found = self
            .pool
            .install(|| clicker.segmenter.segment(embedded, &job.clicks));
        let found = found.map_err(|e| failed(&e))?;
        let mut matches = Vec::new();
        if let (Some(segmenter), Some(gallery)) = (&self.segmenter, &self.gallery) {
            let judge = Judge {
                segmenter,
                index: Some(&gallery.index),
                arithmetic: self.outline.arithmetic,
            };
            let stop = || cancel.is_cancelled();
            match self.pool.install(|| judge.compare(image, &found.alpha, &stop)) {
                Ok(best) => matches = best,
                Err(JudgeError::Stopped) => {
                    self.clicker = Some(clicker);
                    return Ok(Outcome::Stopped);
                }
                Err(error) => return Err(failed(&error)),
            }
            for m in &mut matches {
                m.gallery = gallery.rows[m.gallery as usize];
            }
        }
        self.teller.tell(Event::Refined(Arc::new(Refined {
            generation: job.generation,
            clicks: job.clicks.clone(),
            matte: Arc::new(found.alpha),
            confidence: found.confidence,
            matches,
        })));
        self.clicker = Some(clicker);
        progress.at(1.0);
        Ok(Outcome::Done)
    }

    /// The open clicker, or a new one.
    pub(super) fn take_clicker(&mut self) -> Result<Clicker, Problem> {
        let Some(path) = self.outline.click_segmenter.clone() else {
            return Err(Problem::new(
                "There is no model that answers clicks",
                "Open weights of SAM or MobileSAM (.pth, .pt or .safetensors).",
            ));
        };
        if let Some(clicker) = self.clicker.take().filter(|c| c.path == path) {
            return Ok(clicker);
        }
        let segmenter = ClickSegmenter::open(&path).map_err(|e| {
            Problem::new(
                "The weights of SAM cannot be used",
                "Open the authors' weights of SAM or MobileSAM.",
            )
            .at(&path)
            .detail(e.to_string())
        })?;
        Ok(Clicker {
            path,
            segmenter,
            seen: None,
        })
    }
}
