//! Taking a finished picture that another program pushed: segmented, compared and kept like one drawn here.

use super::{
    CancelToken, Event, JobId, JobKind, TakeJob, session::Session, small::THUMBNAIL_SIDE, worker::Outcome,
};
use crate::{
    gallery::thumbnail,
    study::{Generation, Problem},
};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

impl Session {
    /// See [`super::Job::Take`].
    pub fn take(&mut self, id: JobId, cancel: &CancelToken, job: &TakeJob) -> Result<Outcome, Problem> {
        let mut progress = self.teller.progress(id, JobKind::Take, 1);
        progress.at(0.0);
        let mut run = match self.pushed.take() {
            Some(run) => run,
            None => {
                // A run for every time that pictures are listened for: other programs number prompts anew.
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let source = format!("pushed by another program since {} s", since.as_secs());
                self.run_for_import(source, self.outline.root.clone())?
            }
        };
        let key = job.key;
        if run.has(&key) {
            self.notice(
                Problem::new(
                    "A pushed picture is there already and was not taken",
                    "Push it with another seed.",
                )
                .detail(format!("seed {} of “{}”", key.seed, job.prompt)),
            );
            self.pushed = Some(run);
            return Ok(Outcome::Done);
        }
        let written = run.write_image(&key, &job.prompt, &job.image)?;
        let generation = Generation {
            key,
            prompt: job.prompt.clone(),
            image: written.path.clone(),
            matte: None,
            confidence: None,
            matches: Vec::new(),
            measures: Default::default(),
            noise_norm: job.noise_norm.clone(),
            signals: None,
            seconds: 0.0,
            thumbnail: Arc::new(thumbnail(&job.image, THUMBNAIL_SIDE)),
            variant: Some(job.name.clone()),
            cluster: None,
            edit: None,
        };
        let drawn = Arc::new(generation.clone());
        self.shelf.put(drawn.clone());
        self.teller.tell(Event::Drawn(drawn));
        let outcome = self.judge_and_record(generation, &job.image, &written, cancel, &mut run);
        self.pushed = Some(run);
        progress.at(1.0);
        outcome
    }
}
