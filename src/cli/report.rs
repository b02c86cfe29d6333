//! `pentimento report`: one HTML file that says what runs found, and tables.

use super::{
    args::{Common, ReportArgs},
    watch::Watch,
};
use crate::{
    engine::{self, Job, ReportJob},
    report::PageOptions,
    study::{Problem, Thresholds},
};

/// Opens the first run (or the study named for it) and writes the files.
pub fn run(args: &ReportArgs, common: &Common) -> Result<(), Problem> {
    let handle = super::start_engine(common, None, engine::default_segmenter())?;
    let mut watch = Watch::new(common.quiet);
    let first = args.study.as_ref().unwrap_or(&args.runs[0]);
    let (open, _) = handle.submit(Job::Open(first.clone()));
    watch.until_done(&handle, open)?;
    let own = watch.outline.as_ref().map(|o| o.thresholds).unwrap_or_default();
    let (job, _) = handle.submit(Job::Report(ReportJob {
        runs: args.runs.clone(),
        out: Some(args.out.clone()),
        thresholds: Some(Thresholds {
            foreground: args.foreground.unwrap_or(own.foreground),
            background: args.background.unwrap_or(own.background),
        }),
        pictures: PageOptions {
            per_prompt: args.per_prompt,
            most: args.most,
            ..PageOptions::default()
        },
        csv: args.csv.clone(),
        json: args.json.clone(),
        parquet: args.parquet.clone(),
        tables: false,
    }));
    watch.until_done(&handle, job)?;
    for path in &watch.written {
        println!("{}", path.display());
    }
    Ok(())
}
