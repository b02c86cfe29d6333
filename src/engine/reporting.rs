//! Reports: reads the runs, gathers what is said of them and writes the files.

use super::{
    CancelToken, Event, JobId, JobKind, ReportJob, places::user_data, prepare::clusters, session::Session,
    worker::Outcome,
};
use crate::{
    report::{self, Report, Sources},
    store::{Run, write_whole},
    study::Problem,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

impl Session {
    /// Writes a report; see [`super::Job::Report`].
    pub fn report(&mut self, id: JobId, cancel: &CancelToken, job: &ReportJob) -> Result<Outcome, Problem> {
        let folders = if job.runs.is_empty() {
            &self.shown
        } else {
            &job.runs
        };
        if folders.is_empty() {
            return Err(Problem::new(
                "There is nothing to report yet",
                "Run some prompts, or open a run, then write the report.",
            ));
        }
        let mut progress = self.teller.progress(id, JobKind::Report, 3);
        progress.at(0.0);
        let runs: Vec<Run> = folders
            .iter()
            .map(|f| Run::open_read(f))
            .collect::<Result<_, _>>()?;
        self.refuse_other_arithmetic(&runs)?;
        let stop = || cancel.is_cancelled();
        let grouped = match &self.gallery {
            Some(gallery) => clusters(gallery, &self.outline.gallery, &self.pool, &stop),
            None => Some(Vec::new()),
        };
        let Some(grouped) = grouped else {
            return Ok(Outcome::Stopped);
        };
        let sources = Sources {
            outline: self.outline.clone(),
            clusters: Arc::new(grouped),
            thresholds: job.thresholds.unwrap_or(self.outline.thresholds),
        };
        let report = Report::gather(&runs, &sources);
        progress.at(1.0);
        if let Some(path) = &job.csv {
            let [run] = &runs[..] else {
                return Err(Problem::new(
                    "A score table holds one run",
                    "Name one run, or write the tables one after the other.",
                ));
            };
            report::write_csv(path, run)?;
            self.teller.tell(Event::Written(path.clone()));
        }
        if let Some(path) = &job.json {
            report::write_json(path, &report)?;
            self.teller.tell(Event::Written(path.clone()));
        }
        if let Some(path) = &job.parquet {
            report::write_parquet(path, &report)?;
            self.teller.tell(Event::Written(path.clone()));
        }
        let page = self
            .pool
            .install(|| report::page(&report, &sources, job.pictures, &stop));
        let Some(page) = page else {
            return Ok(Outcome::Stopped);
        };
        progress.at(2.0);
        let path = match &job.out {
            Some(path) => path.clone(),
            None => self.place_for_report(runs[0].folder())?,
        };
        write_whole(&path, page.as_bytes())?;
        progress.at(3.0);
        self.teller.tell(Event::Written(path));
        Ok(Outcome::Done)
    }

    /// Scores of different arithmetics are never put side by side.
    fn refuse_other_arithmetic(&self, runs: &[Run]) -> Result<(), Problem> {
        let first = runs[0].parameters().arithmetic;
        match runs.iter().find(|r| r.parameters().arithmetic != first) {
            None => Ok(()),
            Some(other) => Err(Problem::new(
                "These runs were scored with different arithmetics",
                "Report them one by one; their scores cannot be compared.",
            )
            .at(other.folder())
            .detail(format!("{} and {first}", other.parameters().arithmetic))),
        }
    }

    /// `reports/RUN.html` in the study's folder, or in the user's data folder.
    fn place_for_report(&self, run: &Path) -> Result<PathBuf, Problem> {
        let name = run.file_name().unwrap_or(run.as_os_str()).to_string_lossy();
        let mut refused = None;
        for place in [self.outline.root.clone(), user_data()].into_iter().flatten() {
            let folder = place.join("reports");
            match fs::create_dir_all(&folder) {
                Ok(()) => return Ok(folder.join(format!("{name}.html"))),
                Err(error) => refused = Some((folder, error)),
            }
        }
        Err(match refused {
            Some((folder, error)) => Problem::io("There is no place for the report", &folder, &error),
            None => Problem::new(
                "There is no place for the report",
                "Set PENTIMENTO_DATA to a folder that can be written to.",
            ),
        })
    }
}
