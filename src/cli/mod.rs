//! The commands without a window. Results go to standard output, progress and logs to standard error;
//! exit code 0 fine, 1 failed, 2 wrong arguments.

mod args;
mod bootstrap_args;
mod compare;
mod compare_clusters;
mod console;
mod detect;
mod doctor;
mod doctor_weights;
mod export;
mod fetch;
mod generate;
mod images;
mod init;
mod locate;
mod manual;
mod merge;
mod null;
mod picture;
mod plan;
mod reference_layout;
mod report;
mod sampling_args;
mod scan;
mod score;
mod score_reference;
mod segment;
mod signals;
mod snapshot;
mod watch;

use crate::{
    engine::{self, EngineHandle, EngineOptions},
    study::Problem,
};
pub use args::{Cli, Command};
use std::{path::PathBuf, process::ExitCode, sync::Arc};

/// Runs one command to its end.
pub fn run(command: Command, common: &args::Common) -> ExitCode {
    let result = match command {
        Command::Generate(args) => generate::run(&args, common),
        Command::Segment(args) => segment::run(&args, common),
        Command::Score(args) => score::run(&args, common),
        Command::Scan(args) => scan::run(&args, common),
        Command::Locate(args) => locate::run(&args, common),
        Command::Compare(args) => compare::run(&args, common),
        Command::Detect(args) => detect::run(&args, common),
        Command::Merge(args) => merge::run(&args, common),
        Command::Report(args) => report::run(&args, common),
        Command::Picture(args) => picture::run(&args),
        Command::Snapshot(args) => snapshot::run(&args, common),
        Command::Export(args) => export::run(&args, common),
        Command::Doctor(args) => doctor::run(&args, common),
        Command::Fetch(args) => fetch::run(&args, common),
        Command::Init(args) => init::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::pages(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            tell(&problem);
            ExitCode::FAILURE
        }
    }
}

fn tell(problem: &Problem) {
    eprintln!("pentimento: {problem}");
}

/// A problem from an error that says the rest.
fn failed(headline: &str, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(headline, "").detail(error.to_string())
}

/// An engine on its own thread, for commands that work on a study.
///
/// # Errors
/// When the thread cannot be started.
fn start_engine(
    common: &args::Common,
    run_folder: Option<PathBuf>,
    default_segmenter: Option<PathBuf>,
) -> Result<EngineHandle, Problem> {
    let (handle, side) = EngineHandle::pair();
    let options = EngineOptions {
        threads: common.threads,
        run_folder,
        default_segmenter,
        device: common.device,
    };
    engine::start(side, options, Arc::new(|| {})).map_err(|e| failed("The engine cannot be started", &e))?;
    Ok(handle)
}
