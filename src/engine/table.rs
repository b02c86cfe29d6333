//! A score table of the reference, opened as a run that is only read: scores, classes and prompts without pictures;
//! with them where they lie beside the table, and with training images where the gallery is open.

use super::{CancelToken, Event, JobId, JobKind, session::Session, worker::Outcome};
use crate::{
    store::{self, ImportNames, ScoreRow},
    study::{
        Arithmetic, GalleryImage, Generation, GenerationKey, Match, Problem, RegionScores, Skipped,
        StudyOutline,
    },
};
use std::{collections::HashMap, path::Path, sync::Arc};

impl Session {
    /// Opens a score table; the gallery of the open study is kept where it has the table's training images.
    pub(super) fn open_table(
        &mut self,
        id: JobId,
        cancel: &CancelToken,
        path: &Path,
    ) -> Result<Outcome, Problem> {
        let (rows, mut notices) = store::read_scores(path)?;
        let mut names: Vec<String> = Vec::new();
        let mut of_name: HashMap<&str, Vec<&ScoreRow>> = HashMap::new();
        for row in &rows {
            of_name
                .entry(&row.generated)
                .or_insert_with(|| {
                    names.push(row.generated.clone());
                    Vec::new()
                })
                .push(row);
        }
        if names.is_empty() {
            return Err(Problem::new(
                "There is no score in this table",
                "Open the scores.csv of a finished comparison.",
            )
            .at(path));
        }
        if rows
            .iter()
            .any(|r| r.average.is_some() && r.scores.average().is_none())
        {
            notices.push(
                Problem::new(
                    "The table has no scores per region",
                    "The average stands for both regions, as in the reference's comparison without segments; classes \
                     are then VM or NM.",
                )
                .at(path),
            );
        }
        let reader = ImportNames::FbMem.resolve()?.0;
        let mut plan = reader.plan(&names, &self.outline.prompts);
        if plan.pictures.is_empty() {
            plan = ImportNames::OnePerFile.resolve()?.0.plan(&names, &[]);
        }
        // Bare names are those of a table that was open before.
        let has_file = |image: &&GalleryImage| image.path.parent().is_some_and(|f| !f.as_os_str().is_empty());
        let open: Vec<GalleryImage> = self.outline.gallery.iter().filter(has_file).cloned().collect();
        let (gallery, places) = gallery_of(&rows, &open, path, &mut notices);
        let mut seeds: Vec<u64> = plan.pictures.iter().map(|p| p.key.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        seeds.truncate(64);
        let folder = path.parent().unwrap_or(Path::new(""));
        let shown = path
            .strip_prefix(folder.parent().unwrap_or(folder))
            .unwrap_or(path);
        let outline = StudyOutline {
            name: format!("Scores: {}", shown.display()),
            gallery,
            prompts: plan.prompts,
            seeds,
            arithmetic: Arithmetic::Reference,
            gallery_root: self.outline.gallery_root.clone(),
            ..StudyOutline::default()
        };
        self.close();
        self.table = Some(path.to_owned());
        self.outline = Arc::new(outline);
        self.shelf.open(self.outline.clone());
        self.teller.tell(Event::Opened(self.outline.clone()));
        notices.push(
            Problem::new(
                "The scores are taken to be those of the reference's arithmetic",
                "A score table does not say. Thresholds of another arithmetic mean something else.",
            )
            .at(path),
        );
        notices.into_iter().for_each(|n| self.notice(n));
        self.teller.tell(Event::GalleryReady);

        let mut progress = self.teller.progress(id, JobKind::Open, plan.pictures.len());
        let mut without = 0;
        for (done, picture) in plan.pictures.iter().enumerate() {
            if cancel.is_cancelled() {
                return Ok(Outcome::Stopped);
            }
            progress.at(done as f64);
            let name = &names[picture.file];
            // A name with folders in it could lead anywhere.
            let plain = Path::new(name).file_name().unwrap_or_default();
            let beside = folder.join(plain);
            // Looked for, not read: it is decoded once it is in view.
            let there = beside.is_file();
            without += usize::from(!there);
            let image = if there { beside } else { plain.into() };
            self.tell_judged(generation(
                picture.key,
                &picture.prompt,
                image,
                &of_name[name.as_str()],
                &places,
            ));
        }
        progress.at(plan.pictures.len() as f64);
        if without > 0 {
            self.notice(
                Problem::new(
                    format!("{without} of {} generated pictures are not there", plan.pictures.len()),
                    "Their scores show all the same. Put the table into the folder of the pictures to see them too.",
                )
                .at(folder),
            );
        }
        let skipped = plan.skipped.into_iter();
        let skipped = skipped
            .map(|(file, reason)| Skipped::new(&names[file], reason))
            .collect();
        self.skip("pictures of the table are", skipped);
        Ok(Outcome::Done)
    }
}

fn generation(
    key: GenerationKey,
    prompt: &str,
    image: std::path::PathBuf,
    rows: &[&ScoreRow],
    places: &HashMap<&str, u32>,
) -> Generation {
    let mut matches: Vec<Match> = rows
        .iter()
        .filter_map(|row| {
            let whole = RegionScores {
                foreground: row.average,
                background: row.average,
            };
            let scores = if row.scores.average().is_some() {
                row.scores
            } else {
                whole
            };
            Some(Match {
                gallery: *places.get(row.original.as_str())?,
                scores,
            })
        })
        .collect();
    let average = |m: &Match| m.scores.average().unwrap_or(f32::NEG_INFINITY);
    // Ties as the reference's heap: by background, then foreground.
    matches.sort_by(|a, b| {
        average(b).total_cmp(&average(a)).then(
            b.scores
                .background
                .partial_cmp(&a.scores.background)
                .unwrap_or(std::cmp::Ordering::Equal),
        )
    });
    Generation {
        key,
        prompt: prompt.to_owned(),
        image,
        matte: None,
        confidence: None,
        matches,
        measures: Default::default(),
        noise_norm: Vec::new(),
        signals: None,
        seconds: 0.0,
        thumbnail: Arc::default(),
        variant: None,
        cluster: None,
        edit: None,
    }
}

/// The training images that the table names: those of the open gallery by name without ending (the reference writes
/// `17.png` for `17.jpg`), bare names for the others. With the place of each name.
fn gallery_of<'a>(
    rows: &'a [ScoreRow],
    open: &[GalleryImage],
    path: &Path,
    notices: &mut Vec<Problem>,
) -> (Vec<GalleryImage>, HashMap<&'a str, u32>) {
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let mut by_stem: HashMap<String, Option<u32>> = HashMap::new();
    for (image, at) in open.iter().zip(0_u32..) {
        // Two images of one stem cannot be told apart.
        by_stem
            .entry(stem(&image.name()))
            .and_modify(|place| *place = None)
            .or_insert(Some(at));
    }
    let mut gallery = open.to_vec();
    let mut places: HashMap<&str, u32> = HashMap::new();
    let mut missing = 0_usize;
    for row in rows {
        if places.contains_key(row.original.as_str()) {
            continue;
        }
        let known = by_stem.get(&stem(&row.original)).copied().flatten();
        let place = known.unwrap_or_else(|| {
            missing += 1;
            gallery.push(GalleryImage {
                // A bare name: the file is not known.
                path: Path::new(&row.original).file_name().unwrap_or_default().into(),
                matte: None,
                caption: None,
            });
            gallery.len() as u32 - 1
        });
        places.insert(&row.original, place);
    }
    if places.len() == missing {
        // Nothing of the open gallery is in the table.
        let names: Vec<GalleryImage> = gallery.drain(..).skip(open.len()).collect();
        let shift = open.len() as u32;
        places.values_mut().for_each(|place| *place -= shift);
        gallery = names;
    } else if missing > 0 {
        notices.push(
            Problem::new(
                format!("{missing} training images of the table are not in the open gallery"),
                "Only their names are shown.",
            )
            .at(path),
        );
    }
    (gallery, places)
}
