//! `pentimento merge`: one run from the parts that several machines made.

use super::{
    args::{Common, MergeArgs},
    console::Console,
};
use crate::{
    store::{find_runs, merge},
    study::Problem,
};

/// Joins the runs.
pub fn run(args: &MergeArgs, common: &Common) -> Result<(), Problem> {
    let runs = find_runs(&args.runs)?;
    let mut console = Console::new(common.quiet);
    let merged = merge(&runs, &args.out, &mut |done, total| {
        console.progress("Joining", done, total, None);
    })?;
    console.end();
    println!(
        "{} runs: {} pictures taken over, {} were there; {}",
        merged.runs,
        merged.added,
        merged.there,
        args.out.display()
    );
    Ok(())
}
