//! The commands without a window. Results go to standard output, progress and logs to standard error;
//! exit code 0 fine, 1 failed, 2 wrong arguments.

mod args;
mod compare;
mod console;
mod doctor;
mod export;
mod generate;
mod images;
mod locate;
mod null;
mod reference_layout;
mod scan;
mod score;
mod score_reference;
mod segment;
mod signals;

use crate::study::Problem;
pub use args::{Cli, Command};
use std::process::ExitCode;

/// Runs one command to its end.
pub fn run(command: Command, common: &args::Common) -> ExitCode {
    let result = match command {
        Command::Generate(args) => generate::run(&args, common),
        Command::Segment(args) => segment::run(&args, common),
        Command::Score(args) => score::run(&args, common),
        Command::Scan(args) => scan::run(&args, common),
        Command::Locate(args) => locate::run(&args, common),
        Command::Compare(args) => compare::run(&args, common),
        Command::Export(args) => export::run(&args, common),
        Command::Doctor(args) => doctor::run(&args, common),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            report(&problem);
            ExitCode::FAILURE
        }
    }
}

fn report(problem: &Problem) {
    eprintln!("pentimento: {problem}");
}

/// A problem from an error that says the rest.
fn failed(headline: &str, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(headline, "").detail(error.to_string())
}
