//! Which pictures of a prompt repeat each other.

use super::{CancelToken, Event, JobId, JobKind, session::Session, worker::Outcome};
use crate::{
    gallery::decode_rgb,
    memorization::{Alike, MOST_ALIKE, alike},
    similarity::Tiled,
    study::{Generation, Problem},
};
use rayon::{ThreadPool, prelude::*};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// Variant and prompt.
type Subject = (Option<Arc<str>>, u32);

/// Groups of pictures that repeat each other, per prompt and variant with two pictures or more.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Repeats {
    /// Largest tiled distance of pictures that count as alike.
    pub within: f32,
    /// By variant and prompt.
    pub prompts: Vec<Alike>,
}

impl Repeats {
    /// That of a picture's prompt.
    pub fn of(&self, generation: &Generation) -> Option<&Alike> {
        let mut prompts = self.prompts.iter();
        prompts.find(|a| a.prompt == generation.key.prompt && a.variant == generation.variant)
    }
}

/// The largest group of pictures (by place in `files`) that repeat each other. Files that cannot be read are left out
/// and given back with the reason. `None` when stopped.
pub fn repeating(
    files: &[PathBuf],
    within: f32,
    pool: &ThreadPool,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Repeating> {
    pool.install(|| {
        let read: Vec<Option<Result<Tiled, String>>> = files
            .par_iter()
            .map(|file| {
                let read = || {
                    let image = decode_rgb(file).map_err(|e| e.to_string())?;
                    Tiled::new(&image).ok_or_else(|| "it has no pixels".to_owned())
                };
                (!stop()).then(read)
            })
            .collect();
        let (mut places, mut pictures, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        for (place, read) in read.into_iter().enumerate() {
            match read? {
                Ok(picture) => {
                    places.push(place);
                    pictures.push(picture);
                }
                Err(reason) => unread.push((place, reason)),
            }
        }
        let found = alike(&pictures, within, stop)?;
        Some(Repeating {
            members: found.members.iter().map(|&m| places[m]).collect(),
            samples: pictures.len(),
            certain: found.certain,
            unread,
        })
    })
}

/// What [`repeating`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeating {
    /// Places of the group's files, ascending.
    pub members: Vec<usize>,
    /// Files that were read.
    pub samples: usize,
    /// Whether there is certainly no larger group.
    pub certain: bool,
    /// Places of files that could not be read, and why.
    pub unread: Vec<(usize, String)>,
}

impl Session {
    /// Looks for pictures that repeat each other; see [`super::Job::Repeats`].
    pub(super) fn repeats(&self, id: JobId, cancel: &CancelToken, within: f32) -> Result<Outcome, Problem> {
        let mut prompts: BTreeMap<Subject, Vec<Arc<Generation>>> = BTreeMap::new();
        for generation in self.shelf.all() {
            let key = (generation.variant.clone(), generation.key.prompt);
            prompts.entry(key).or_default().push(generation);
        }
        prompts.retain(|_, pictures| pictures.len() > 1);
        if prompts.is_empty() {
            return Err(Problem::new(
                "No prompt has two pictures to compare with each other",
                "Draw more seeds of a prompt, then look again.",
            ));
        }
        let mut progress = self.teller.progress(id, JobKind::Repeats, prompts.len());
        let mut found = Repeats {
            within,
            prompts: Vec::new(),
        };
        let (mut unread, mut cut) = (Vec::new(), 0);
        for (done, ((variant, prompt), mut pictures)) in prompts.into_iter().enumerate() {
            progress.at(done as f64);
            cut += pictures.len().saturating_sub(MOST_ALIKE);
            pictures.truncate(MOST_ALIKE);
            let files: Vec<PathBuf> = pictures.iter().map(|g| g.image.clone()).collect();
            let Some(group) = repeating(&files, within, &self.pool, &|| cancel.is_cancelled()) else {
                return Ok(Outcome::Stopped);
            };
            unread.extend(
                group
                    .unread
                    .iter()
                    .map(|(place, why)| format!("{}: {why}", files[*place].display())),
            );
            found.prompts.push(Alike {
                prompt,
                variant,
                seeds: group.members.iter().map(|&m| pictures[m].key.seed).collect(),
                samples: group.samples,
                certain: group.certain,
            });
        }
        if !unread.is_empty() {
            let headline = format!("{} pictures could not be compared with each other", unread.len());
            let mut problem = Problem::new(
                headline,
                "Groups of repeating pictures were found among the others.",
            );
            problem.details = unread.into_iter().take(20).collect();
            self.notice(problem);
        }
        if cut > 0 {
            let headline =
                format!("Of each prompt the first {MOST_ALIKE} pictures were compared with each other");
            self.notice(
                Problem::new(headline, "Larger groups may exist.").detail(format!("{cut} were left out")),
            );
        }
        self.teller.tell(Event::Repeats(Arc::new(found)));
        Ok(Outcome::Done)
    }
}
