//! The comparing thread: variants against the original, for the window.

use super::{Event, Likeness, teller::Teller};
use crate::{
    gallery::decode_rgb,
    memorization::comparison::{
        Bootstrap, ClipScores, Comparison, PictureDistance, PictureSummary, SketchDistance, Subject, compare,
    },
    study::{Generation, Thresholds},
};
use crossbeam_channel::Receiver;
use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

/// Runs to compare, as the window holds them.
#[derive(Clone, Debug)]
pub struct ComparisonRequest {
    /// Comes back with the answer.
    pub stamp: u64,
    /// Pictures of the original.
    pub a: Vec<Arc<Generation>>,
    /// Pictures of each variant.
    pub others: Vec<(Arc<str>, Vec<Arc<Generation>>)>,
    /// What counts as memorized.
    pub thresholds: Thresholds,
    /// Weights of the study's embedder.
    pub embedder: Option<PathBuf>,
}

/// Answer to a [`ComparisonRequest`].
#[derive(Clone, Debug)]
pub struct Compared {
    /// The request's.
    pub stamp: u64,
    /// Each variant against the original.
    pub comparisons: Vec<(Arc<str>, Comparison)>,
}

/// A picture's summary, and its CLIP scores.
type Seen = (Option<Arc<PictureSummary>>, Option<ClipScores>);

/// Embedders of the study, and what was seen with them. Pictures are read once each.
#[derive(Default)]
struct Known {
    weights: Option<PathBuf>,
    likeness: Likeness,
    plain: HashMap<PathBuf, Option<Arc<PictureSummary>>>,
    embedded: HashMap<(PathBuf, String), Seen>,
}

impl Known {
    /// Opens the study's embedder where it is another one. One that cannot be used is told when the study opens.
    fn take(&mut self, weights: Option<&PathBuf>) {
        if self.weights.as_ref() != weights {
            let clip = weights
                .filter(|w| Likeness::scores_prompts(w))
                .map(PathBuf::as_path);
            let open = |clip| Likeness::open(weights.map(PathBuf::as_path), clip).ok();
            self.likeness = open(clip).or_else(|| open(None)).unwrap_or_default();
            self.embedded.clear();
            self.weights = weights.cloned();
        }
    }

    fn plain(&mut self, generation: &Generation) -> Seen {
        let known = self.plain.entry(generation.image.clone());
        let picture = known.or_insert_with(|| {
            // One that cannot be read is left out here; the Stage tells why when it is looked at.
            let image = decode_rgb(&generation.image).ok()?;
            Some(Arc::new(PictureSummary::of(&image)))
        });
        (picture.clone(), None)
    }

    fn embedded(&mut self, generation: &Generation, prompts: &[String]) -> Seen {
        let key = (generation.image.clone(), generation.prompt.clone());
        if let Some(known) = self.embedded.get(&key) {
            return known.clone();
        }
        let seen = decode_rgb(&generation.image).ok().map_or((None, None), |image| {
            let mut summary = PictureSummary::of(&image);
            summary.embedding = self.likeness.embed(&image).ok().flatten().unwrap_or_default();
            let clip = self.likeness.clip(&image, &generation.prompt, prompts);
            (Some(Arc::new(summary)), clip.ok().flatten())
        });
        self.embedded.insert(key, seen.clone());
        seen
    }
}

/// Answers until the sender is dropped; of waiting requests only the newest. With an embedder there are two answers: one at
/// once without it, and one when it has seen all pictures, unless something newer is asked before.
pub(super) fn serve(requests: &Receiver<ComparisonRequest>, teller: &Teller) {
    let mut known = Known::default();
    while let Ok(request) = requests.recv() {
        let request = requests.try_iter().last().unwrap_or(request);
        let tell = |seen: &mut dyn FnMut(&Generation) -> Option<Seen>, distance: &dyn PictureDistance| {
            let mut subjects = |all: &[Arc<Generation>]| -> Option<Vec<Subject>> {
                let one = |g: &Arc<Generation>| {
                    let (picture, clip) = seen(g)?;
                    Some(Subject {
                        picture,
                        clip,
                        ..Subject::from(&**g)
                    })
                };
                all.iter().map(one).collect()
            };
            let a = subjects(&request.a)?;
            let mut comparisons = Vec::new();
            for (name, b) in &request.others {
                let b = subjects(b)?;
                let found = compare(&a, &b, request.thresholds, Bootstrap::default(), distance);
                comparisons.push((name.clone(), found));
            }
            teller.tell(Event::Compared(Arc::new(Compared {
                stamp: request.stamp,
                comparisons,
            })));
            Some(())
        };
        tell(&mut |g| Some(known.plain(g)), &SketchDistance);
        known.take(request.embedder.as_ref());
        if let Some(distance) = known.likeness.distance() {
            let prompts: BTreeSet<String> = request.a.iter().map(|g| g.prompt.clone()).collect();
            let prompts: Vec<String> = prompts.into_iter().collect();
            let mut look = |g: &Generation| requests.is_empty().then(|| known.embedded(g, &prompts));
            tell(&mut look, &distance);
        }
    }
}
