//! Following the engine from a command: progress and notices to standard error, results kept.

use super::console::Console;
use crate::{
    engine::{EngineHandle, Event, JobId},
    study::{Generation, GenerationKey, Problem, StudyOutline},
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// What was heard so far.
pub(super) struct Watch {
    console: Console,
    /// The study that was opened.
    pub outline: Option<Arc<StudyOutline>>,
    /// Pictures by key.
    pub judged: BTreeMap<GenerationKey, Arc<Generation>>,
    /// Files that were written.
    pub written: Vec<PathBuf>,
}

impl Watch {
    pub fn new(quiet: bool) -> Self {
        Self {
            console: Console::new(quiet),
            outline: None,
            judged: BTreeMap::new(),
            written: Vec::new(),
        }
    }

    /// Hears the engine until the job ends.
    pub fn until_done(&mut self, handle: &EngineHandle, job: JobId) -> Result<(), Problem> {
        loop {
            let event = handle.events().recv().map_err(|_| {
                Problem::new(
                    "The engine ended early",
                    "Everything finished so far is in the run folder.",
                )
            })?;
            match event {
                Event::Progress(_, p) => self.console.progress(p.kind.words(), p.done, p.total, p.left),
                Event::Opened(outline) => self.outline = Some(outline),
                Event::Judged(generation) => {
                    self.judged.insert(generation.key, generation);
                }
                Event::Written(path) => self.written.push(path),
                Event::Notice(problem) => {
                    self.console.end();
                    super::tell(&problem);
                }
                Event::Finished(id) if id == job => {
                    self.console.end();
                    return Ok(());
                }
                Event::Cancelled(id) if id == job => return Err(Problem::new("Stopped", "")),
                Event::Failed(id, problem) if id == job => {
                    self.console.end();
                    return Err(problem);
                }
                _ => {}
            }
        }
    }
}
