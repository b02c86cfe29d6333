//! The comparing thread: variants against the original, for the window. Pictures are read once each.

use super::{Event, teller::Teller};
use crate::{
    gallery::decode_rgb,
    memorization::comparison::{Bootstrap, Comparison, PictureSummary, SketchDistance, Subject, compare},
    study::{Generation, Thresholds},
};
use crossbeam_channel::Receiver;
use std::{collections::HashMap, path::PathBuf, sync::Arc};

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
}

/// Answer to a [`ComparisonRequest`].
#[derive(Clone, Debug)]
pub struct Compared {
    /// The request's.
    pub stamp: u64,
    /// Each variant against the original.
    pub comparisons: Vec<(Arc<str>, Comparison)>,
}

/// Answers until the sender is dropped; of waiting requests only the newest.
pub(super) fn serve(requests: &Receiver<ComparisonRequest>, teller: &Teller) {
    let mut summaries = HashMap::<PathBuf, Option<Arc<PictureSummary>>>::new();
    while let Ok(request) = requests.recv() {
        let request = requests.try_iter().last().unwrap_or(request);
        let mut subject = |generation: &Arc<Generation>| {
            let known = summaries.entry(generation.image.clone());
            let picture = known.or_insert_with(|| {
                // One that cannot be read is left out here; the Stage tells why when it is looked at.
                let image = decode_rgb(&generation.image).ok()?;
                Some(Arc::new(PictureSummary::of(&image)))
            });
            Subject {
                picture: picture.clone(),
                ..Subject::from(&**generation)
            }
        };
        let a: Vec<Subject> = request.a.iter().map(&mut subject).collect();
        let comparisons = request
            .others
            .iter()
            .map(|(name, b)| {
                let b: Vec<Subject> = b.iter().map(&mut subject).collect();
                let bootstrap = Bootstrap::default();
                (
                    name.clone(),
                    compare(&a, &b, request.thresholds, bootstrap, &SketchDistance),
                )
            })
            .collect();
        teller.tell(Event::Compared(Arc::new(Compared {
            stamp: request.stamp,
            comparisons,
        })));
    }
}
