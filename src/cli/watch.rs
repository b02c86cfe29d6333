//! Following the engine from a command: progress and notices to standard error, results kept.

use super::console::Console;
use crate::{
    engine::{EngineHandle, Event, JobId, Repeats},
    memorization::null::Null,
    store::{SKIPPED_FILE, ScoreColumn, ScoreRow, write_scores_with, write_scores_with_null, write_skipped},
    study::{
        Generation, GenerationKey, Measures, PairMeasures, Problem, Skipped, StudyOutline, gallery_names,
    },
};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Column with the size of the largest group of repeating pictures that a picture belongs to.
pub(super) const ALIKE: &str = "Alike pictures of the prompt";

/// What was heard so far.
pub(super) struct Watch {
    console: Console,
    /// The study that was opened.
    pub outline: Option<Arc<StudyOutline>>,
    /// Pictures by key.
    pub judged: BTreeMap<GenerationKey, Arc<Generation>>,
    /// Files that were written.
    pub written: Vec<PathBuf>,
    /// The gallery's null, once it was measured.
    pub null: Option<Arc<Null>>,
    /// Pictures that repeat each other, once that was looked for.
    pub repeats: Option<Arc<Repeats>>,
    /// Files that were left out.
    pub skipped: Arc<Vec<Skipped>>,
}

impl Watch {
    pub fn new(quiet: bool) -> Self {
        Self {
            console: Console::new(quiet),
            outline: None,
            judged: BTreeMap::new(),
            written: Vec::new(),
            null: None,
            repeats: None,
            skipped: Arc::default(),
        }
    }

    /// `scores.csv` in the run's folder: all pictures of the run, in the reference's columns. Percentiles of the null
    /// are there only when asked for, so that a run's table does not depend on what the cache holds; other measures, too,
    /// in the row of a picture's best training image.
    pub fn write_scores(&self, run: &Path, with_null: bool, with_measures: bool) -> Result<(), Problem> {
        let Some(outline) = &self.outline else {
            return Ok(());
        };
        let names = gallery_names(&outline.gallery);
        let name = |index: u32| names.get(index as usize).map(String::as_str);
        let rows: Vec<ScoreRow> = self
            .judged
            .values()
            .flat_map(|g| {
                let generated = g
                    .image
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                g.matches
                    .iter()
                    .filter_map(move |m| Some(ScoreRow::new(name(m.gallery)?, generated.as_str(), m.scores)))
            })
            .collect();
        let path = run.join("scores.csv");
        let best: HashMap<(&str, String), &Measures> = self
            .judged
            .values()
            .filter_map(|g| {
                let picture = g.image.file_name()?.to_string_lossy().into_owned();
                Some(((name(g.matches.first()?.gallery)?, picture), &g.measures))
            })
            .collect();
        let of = |row: &ScoreRow| best.get(&(row.original.as_str(), row.generated.clone())).copied();
        let pixels = [0, 1, 2].map(|i| move |row: &ScoreRow| of(row)?.pair?.named()[i].1);
        let cosine = |row: &ScoreRow| of(row)?.embedding.as_ref().map(|e| e.cosine);
        let by = best.values().find_map(|m| m.embedding.as_ref());
        let by = by.map(|e| format!("{} cosine", e.by));
        let groups = self.groups();
        let alike = |row: &ScoreRow| groups.get(&row.generated).map(|&n| n as f32);
        let repeated = self.repeats.as_ref().map(|_| ScoreColumn {
            name: ALIKE,
            value: &alike,
        });
        let columns: Vec<ScoreColumn<'_>> = PairMeasures::NAMES
            .into_iter()
            .zip(&pixels)
            .map(|(name, value)| ScoreColumn { name, value })
            .chain(repeated)
            .chain(by.iter().map(|name| ScoreColumn { name, value: &cosine }))
            .filter(|_| with_measures)
            .collect();
        match self.null.as_deref().filter(|_| with_null) {
            Some(null) => {
                write_scores_with_null(&path, &rows, &|s| super::null::percentiles(null, s), &columns)
            }
            None => write_scores_with(&path, &rows, &columns),
        }
    }

    /// Size of the group of repeating pictures that each picture belongs to, by file name.
    fn groups(&self) -> HashMap<String, usize> {
        let judged = self.judged.values().filter_map(|g| {
            let found = self.repeats.as_ref()?.of(g)?;
            let member = found.seeds.len() > 1 && found.seeds.contains(&g.key.seed);
            let name = g.image.file_name()?.to_string_lossy().into_owned();
            member.then_some((name, found.seeds.len()))
        });
        judged.collect()
    }

    /// Other measures by picture, as JSON.
    pub fn measures(&self) -> serde_json::Value {
        let each = self.judged.iter().map(|(key, g)| {
            let Measures { pair, embedding } = &g.measures;
            (
                key.to_string(),
                serde_json::json!({ "pixels": pair, "embedding": embedding }),
            )
        });
        serde_json::Value::Object(each.collect())
    }

    /// Files that were left out: `skipped.csv` in the run's folder, and their number once more at the end.
    pub fn write_skipped(&self, run: &Path) -> Result<(), Problem> {
        write_skipped(run, &self.skipped)?;
        if !self.skipped.is_empty() {
            let list = run.join(SKIPPED_FILE);
            eprintln!(
                "pentimento: files left out: {}, see {}",
                self.skipped.len(),
                list.display()
            );
        }
        Ok(())
    }

    /// Hears the engine until the job ends.
    pub fn until_done(&mut self, handle: &EngineHandle, job: JobId) -> Result<(), Problem> {
        let Self {
            console,
            outline,
            judged,
            written,
            null,
            repeats,
            skipped,
        } = self;
        let early = "Everything finished so far is in the run folder.";
        follow(console, handle, job, early, |event, console| match event {
            Event::Opened(opened) => *outline = Some(opened),
            Event::Judged(generation) | Event::Rescored(generation, _) => {
                judged.insert(generation.key, generation);
            }
            Event::Written(path) => written.push(path),
            Event::Repeats(found) => *repeats = Some(found),
            Event::Null(measured) => *null = Some(measured),
            Event::Skipped(files) => *skipped = files,
            Event::Approximate(how) => {
                console.end();
                eprintln!("pentimento: {how}");
            }
            _ => {}
        })
    }
}

/// Hears the engine until a job ends: progress and notices to standard error, everything else to `keep`. `early` is the
/// advice for an engine that ended before the job did.
pub(super) fn follow(
    console: &mut Console,
    handle: &EngineHandle,
    job: JobId,
    early: &str,
    mut keep: impl FnMut(Event, &mut Console),
) -> Result<(), Problem> {
    loop {
        let event = handle
            .events()
            .recv()
            .map_err(|_| Problem::new("The engine ended early", early))?;
        match event {
            Event::Progress(_, p) => console.progress(p.kind.words(), p.done, p.total, p.left),
            Event::Notice(problem) => {
                console.end();
                super::tell(&problem);
            }
            Event::Finished(id) if id == job => {
                console.end();
                return Ok(());
            }
            Event::Cancelled(id) if id == job => return Err(Problem::new("Stopped", "")),
            Event::Failed(id, problem) if id == job => {
                console.end();
                return Err(problem);
            }
            other => keep(other, console),
        }
    }
}
