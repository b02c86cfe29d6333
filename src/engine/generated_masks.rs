//! Foregrounds of generated pictures from masks in a folder, in place of the segmenter's.
//!
//! A mask is named like the picture it belongs to, as the run stores it: `img_0000_00.png` (or `.jpg` …) for
//! `images/img_0000_00.png`. Pictures of a variant, which have the same names in a run of their own, have theirs in a
//! subfolder with the variant's name. A mask counts like a region drawn by hand: the segmenter's verdict stays beside it.

use super::{CancelToken, Event, JobId, JobKind, RegionRequest, regions, session::Session, worker::Outcome};
use crate::{
    gallery::{decode_matte, mask_named},
    study::{Generation, Problem},
};
use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Instant,
};

/// What is written about a region from a mask.
pub const MASK_FILE: &str = "mask file";
/// Pictures that one message names at most.
const EXAMPLES: usize = 5;

/// What became of the masks of a job's pictures.
#[derive(Debug, Default)]
pub(super) struct MaskTally {
    /// Pictures looked at.
    all: usize,
    /// Those without a mask, as their masks would be named.
    missing: Vec<PathBuf>,
    /// Those whose region a person drew, which stays.
    by_hand: usize,
}

impl Session {
    /// Takes the foregrounds of generated pictures from a folder, or from the segmenter again; see
    /// [`super::Job::GeneratedMattes`].
    pub(super) fn take_generated_mattes(
        &mut self,
        id: JobId,
        cancel: &CancelToken,
        folder: Option<PathBuf>,
    ) -> Result<Outcome, Problem> {
        if self.gallery.is_none() || self.table.is_some() {
            let problem = Problem::new(
                "There are no training images that pictures with masks could be compared with",
                "Open a study or a folder of training images first, then choose the masks again.",
            );
            return Err(match folder {
                Some(folder) => problem.at(folder),
                None => problem,
            });
        }
        let pictures = self.shelf.all();
        if let Some(folder) = &folder {
            std::fs::read_dir(folder)
                .map_err(|e| Problem::io("The folder of masks cannot be read", folder, &e))?;
            if let Some(first) = pictures.first()
                && !pictures.iter().any(|g| mask_of(folder, g).is_some())
            {
                return Err(Problem::new(
                    "None of the masks has the name of a generated picture",
                    "A mask is named like the picture in the run's folder, for a variant in a subfolder of its name.",
                )
                .at(folder)
                .detail(format!("the first picture is {}", place_of(first).display())));
            }
        }
        self.set_generated_mattes(folder);
        self.give_masks(id, cancel, &pictures)
    }

    /// Remembers where masks of generated pictures come from, and tells it.
    pub(super) fn set_generated_mattes(&mut self, folder: Option<PathBuf>) {
        let mut outline = (*self.outline).clone();
        outline.generated_mattes.clone_from(&folder);
        self.outline = Arc::new(outline);
        self.teller.tell(Event::GeneratedMattes(folder));
    }

    /// Gives the pictures that are shown of a variant (`None`: of the checkpoint as it is) what the study's folder of
    /// masks holds for them.
    pub(super) fn give_masks_to(
        &self,
        id: JobId,
        cancel: &CancelToken,
        variant: Option<&str>,
    ) -> Result<Outcome, Problem> {
        if self.outline.generated_mattes.is_none() || self.gallery.is_none() {
            return Ok(Outcome::Done);
        }
        let mut pictures = self.shelf.all();
        pictures.retain(|g| g.variant.as_deref() == variant);
        self.give_masks(id, cancel, &pictures)
    }

    fn give_masks(
        &self,
        id: JobId,
        cancel: &CancelToken,
        pictures: &[Arc<Generation>],
    ) -> Result<Outcome, Problem> {
        let mut progress = self.teller.progress(id, JobKind::Masks, pictures.len());
        let mut tally = MaskTally::default();
        for (done, generation) in pictures.iter().enumerate() {
            progress.at(done as f64);
            if cancel.is_cancelled() {
                return Ok(Outcome::Stopped);
            }
            self.give_mask(generation, &mut tally);
        }
        progress.at(pictures.len() as f64);
        self.tell_masks(&tally);
        Ok(Outcome::Done)
    }

    /// Tells which pictures of a job got no mask.
    pub(super) fn tell_masks(&self, tally: &MaskTally) {
        let Some(folder) = &self.outline.generated_mattes else {
            return;
        };
        self.tell_missing(folder, &tally.missing, tally.all);
        if tally.by_hand > 0 {
            self.notice(
                Problem::new(
                    format!("{} pictures keep the regions drawn by hand", tally.by_hand),
                    "Where the mask should count, use Reset region on the Stage and choose the folder again.",
                )
                .at(folder),
            );
        }
    }

    fn tell_missing(&self, folder: &Path, missing: &[PathBuf], all: usize) {
        if missing.is_empty() {
            return;
        }
        let next = match self.segmenter {
            Some(_) => "The segmenter's foregrounds count for them.",
            None => "They have no scores: add their masks and choose the folder again, or open a segmenter.",
        };
        let headline = format!("{} of {all} generated pictures have no mask", missing.len());
        let mut problem = Problem::new(headline, next).at(folder);
        for name in missing.iter().take(EXAMPLES) {
            problem = problem.detail(format!("{} is missing", name.display()));
        }
        if missing.len() > EXAMPLES {
            problem = problem.detail(format!("and {} more", missing.len() - EXAMPLES));
        }
        self.notice(problem);
    }

    /// Makes the mask of a picture its region; what cannot be used is told and left out.
    pub(super) fn give_mask(&self, generation: &Arc<Generation>, tally: &mut MaskTally) {
        tally.all += 1;
        let edit = generation.edit.as_ref();
        let masked = edit.is_some_and(|e| e.tools == [MASK_FILE]);
        let matte = match &self.outline.generated_mattes {
            None if masked => None,
            None => return,
            Some(_) if edit.is_some() && !masked => {
                tally.by_hand += 1;
                return;
            }
            Some(folder) => {
                let Some(file) = mask_of(folder, generation) else {
                    tally.missing.push(place_of(generation));
                    return;
                };
                let matte = match decode_matte(&file) {
                    Ok(matte) => matte,
                    Err(error) => {
                        let next = "The picture keeps the region it had. Replace the file and choose the folder again.";
                        let problem = Problem::new("A mask cannot be used", next).at(file);
                        return self.notice(problem.detail(error.to_string()));
                    }
                };
                let kept = generation.matte.as_ref().filter(|_| masked);
                if kept.is_some_and(|kept| decode_matte(kept).is_ok_and(|kept| kept == matte)) {
                    return;
                }
                Some(Arc::new(matte))
            }
        };
        let request = RegionRequest {
            generation: generation.clone(),
            matte,
            tools: vec![MASK_FILE.to_owned()],
            since: Instant::now(),
        };
        match regions::answer(&request, &self.shelf, &self.pool, &self.teller) {
            Ok(judged) => {
                let judged = Arc::new(judged);
                self.shelf.put(judged.clone());
                self.teller.tell(Event::Rescored(judged, request.since));
            }
            Err(problem) => self.notice(problem),
        }
    }
}

/// The file name of a picture's mask, below the folder of masks.
fn place_of(generation: &Generation) -> PathBuf {
    let name = generation.image.file_name().unwrap_or_default();
    match &generation.variant {
        None => PathBuf::from(name),
        Some(variant) => Path::new(&**variant).join(name),
    }
}

/// The mask of a picture in a folder, if there is one.
fn mask_of(folder: &Path, generation: &Generation) -> Option<PathBuf> {
    let place = place_of(generation);
    // A variant's name is anybody's text: it must not lead out of the folder.
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    let within = place.components().count() <= 2 && place.components().all(plain);
    within.then(|| mask_named(&folder.join(place)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::GenerationKey;

    #[test]
    fn masks_are_named_like_the_stored_picture_and_never_lie_outside() {
        let folder = tempfile::tempdir().unwrap();
        let masks = folder.path().join("masks");
        std::fs::create_dir_all(masks.join("pruned")).unwrap();
        for name in [
            "img_0000_00.jpg",
            "img_0000_01.jpg",
            "img_0000_01.png",
            "pruned/img_0000_00.png",
        ] {
            std::fs::write(masks.join(name), b"x").unwrap();
        }
        std::fs::write(folder.path().join("img_0000_00.png"), b"x").unwrap();
        let named = |name: &str, variant: Option<&str>| {
            let generation = Generation {
                key: GenerationKey { prompt: 0, seed: 0 },
                image: Path::new("run/images").join(name),
                variant: variant.map(Into::into),
                ..Generation::default()
            };
            let found = mask_of(&masks, &generation)?;
            Some(found.strip_prefix(&masks).unwrap().to_string_lossy().into_owned())
        };
        assert_eq!(named("img_0000_00.png", None).as_deref(), Some("img_0000_00.jpg"));
        assert_eq!(named("img_0000_01.png", None).as_deref(), Some("img_0000_01.png"));
        assert_eq!(named("img_0000_02.png", None), None);
        let of_variant = named("img_0000_00.png", Some("pruned"));
        assert_eq!(of_variant.as_deref(), Some("pruned/img_0000_00.png"));
        for outside in ["..", "a/../..", "/"] {
            assert_eq!(named("img_0000_00.png", Some(outside)), None, "{outside}");
        }
    }
}
