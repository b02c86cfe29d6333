//! Joining the runs of several machines into one.

use super::{Record, Run, merge_tables, run_parameters::RUN_FILE};
use crate::study::{GenerationKey, Problem};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Folders looked at inside one that holds shards.
const MAX_SHARDS: usize = 100_000;

/// What a merge did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Runs that were read.
    pub runs: usize,
    /// Pictures taken over.
    pub added: usize,
    /// Pictures that were there already.
    pub there: usize,
}

/// The runs in the folders named: a run itself, or a folder with runs in it (as `scan --shard` lays them out).
///
/// # Errors
/// A problem that names a folder in which no run was found.
pub fn find_runs(folders: &[PathBuf]) -> Result<Vec<PathBuf>, Problem> {
    let mut found = Vec::new();
    for folder in folders {
        if folder.join(RUN_FILE).is_file() {
            found.push(folder.clone());
            continue;
        }
        let entries =
            fs::read_dir(folder).map_err(|e| Problem::io("This folder cannot be read", folder, &e))?;
        let mut inside: Vec<PathBuf> = entries
            .take(MAX_SHARDS)
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.join(RUN_FILE).is_file())
            .collect();
        if inside.is_empty() {
            return Err(Problem::new(
                "There is no run in this folder",
                "Name run folders, or a folder that holds them.",
            )
            .at(folder)
            .detail(format!("looked for: {RUN_FILE} in it and one level below")));
        }
        inside.sort();
        found.append(&mut inside);
    }
    Ok(found)
}

/// Joins runs with equal parameters into one, by prompt and seed: the run that one machine would have made.
/// Interrupted, it can be called again. `progress` hears how many pictures are done, and of how many.
///
/// # Errors
/// A problem when parameters differ (each is named), when two runs hold different pictures of one prompt and seed, or
/// when a file cannot be read or written.
pub fn merge(
    runs: &[PathBuf],
    out: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Merged, Problem> {
    let sources: Vec<Run> = runs.iter().map(|r| Run::open_read(r)).collect::<Result<_, _>>()?;
    let Some(first) = sources.first() else {
        return Err(Problem::new("There is nothing to join", "Name at least one run."));
    };
    for other in &sources[1..] {
        let differences = first.parameters().differences(other.parameters());
        if !differences.is_empty() {
            let mut problem = Problem::new(
                "These runs were made with different parameters",
                "Join only the parts of one scan; compare other runs with `pentimento report`.",
            )
            .at(other.folder());
            problem.details = differences;
            return Err(problem);
        }
    }
    let mut pictures: BTreeMap<GenerationKey, (&Run, &Record)> = BTreeMap::new();
    for run in &sources {
        for record in run.records() {
            match pictures.get(&record.key) {
                Some((_, known)) if !same(known, record) => return Err(conflict(run, record)),
                Some(_) => {}
                None => {
                    pictures.insert(record.key, (run, record));
                }
            }
        }
    }
    let mut joined = Run::open_or_create(out, first.parameters())?;
    let mut merged = Merged {
        runs: sources.len(),
        added: 0,
        there: 0,
    };
    for (done, (key, (run, record))) in pictures.iter().enumerate() {
        progress(done, pictures.len());
        match joined.record(key) {
            Some(there) if !same(there, record) => return Err(conflict(run, record)),
            Some(_) => merged.there += 1,
            None => {
                joined.adopt(run, record)?;
                merged.added += 1;
            }
        }
    }
    progress(pictures.len(), pictures.len());
    merge_tables::write_all_scores(&joined)?;
    merge_tables::join_skipped(&sources, out)?;
    Ok(merged)
}

/// Whether two records speak of the same picture.
fn same(a: &Record, b: &Record) -> bool {
    a.sha256.eq_ignore_ascii_case(&b.sha256) && a.prompt == b.prompt
}

fn conflict(run: &Run, record: &Record) -> Problem {
    Problem::new(
        "Two runs hold different pictures under one name",
        "They were drawn from different prompt lists, or on devices that compute differently. Join them into separate runs.",
    )
    .at(run.folder())
    .detail(format!("{}: “{}”", record.key, record.prompt))
}
