//! Reports: reads the runs, gathers what is said of them and writes the files.

use super::{
    CancelToken, Event, JobId, JobKind, ReportJob, places::user_data, prepare::clusters, session::Session,
    teller::Teller, worker::Outcome,
};
use crate::{
    render::OverlayParams,
    report::{self, Overlaid, Report, Sources},
    store::{Run, write_whole},
    study::Problem,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
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
        let path = match &job.out {
            Some(path) => path.clone(),
            None => {
                let run = runs[0].folder();
                let name = run.file_name().unwrap_or(run.as_os_str()).to_string_lossy();
                report_folder(self.outline.root.as_deref())?.join(format!("{name}.html"))
            }
        };
        let beside = |ending: &str| job.tables.then(|| path.with_extension(ending));
        if job.tables {
            for run in &runs {
                let name = run.folder().file_name().unwrap_or(run.folder().as_os_str());
                let table = path.with_file_name(format!("{}.csv", name.to_string_lossy()));
                report::write_csv(&table, run)?;
                self.teller.tell(Event::Written(table));
            }
        }
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
        if let Some(path) = job.json.clone().or_else(|| beside("json")) {
            report::write_json(&path, &report)?;
            self.teller.tell(Event::Written(path));
        }
        if let Some(path) = job.parquet.clone().or_else(|| beside("parquet")) {
            report::write_parquet(&path, &report)?;
            self.teller.tell(Event::Written(path));
        }
        let page = self
            .pool
            .install(|| report::page(&report, &sources, job.pictures, &stop));
        let Some(page) = page else {
            return Ok(Outcome::Stopped);
        };
        progress.at(2.0);
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
}

/// `reports` in the study's folder, or in the user's data folder; made if need be.
fn report_folder(study: Option<&Path>) -> Result<PathBuf, Problem> {
    let mut refused = None;
    let places = [study.map(Path::to_owned), user_data()];
    for place in places.into_iter().flatten() {
        let folder = place.join("reports");
        match fs::create_dir_all(&folder) {
            Ok(()) => return Ok(folder),
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

/// The Reveal on the Stage, to be written as an animation beside the study's reports.
#[derive(Clone, Debug)]
pub struct RevealRequest {
    /// Name of the file, with `.gif` or `.webp`.
    pub name: String,
    /// What is drawn.
    pub pair: Overlaid,
    /// How it is drawn.
    pub settings: OverlayParams,
}

/// Writes it on a thread of its own and tells where it is.
pub(super) fn write_reveal(request: RevealRequest, study: Option<PathBuf>, teller: &Teller) {
    let voice = teller.clone();
    let work = move || {
        let written = report_folder(study.as_deref()).and_then(|folder| {
            let path = folder.join(&request.name);
            report::write_animation(&path, &request.pair, request.settings)?;
            Ok(path)
        });
        voice.tell(match written {
            Ok(path) => Event::Written(path),
            Err(problem) => Event::Notice(problem),
        });
    };
    if let Err(error) = thread::Builder::new().name("reveal".into()).spawn(work) {
        let problem = Problem::new(
            "The animation is not written",
            "Close other programs and try again.",
        );
        teller.tell(Event::Notice(problem.detail(error.to_string())));
    }
}
