//! `pentimento scan`: a whole study through the engine, into a run folder.

use super::{
    args::{Common, ScanArgs},
    console::Console,
};
use crate::{
    engine::{self, EngineHandle, EngineOptions, Event, GenerateJob, ImportJob, ImportPrompts, Job, JobId},
    memorization::null::Null,
    store::{
        ImportNames, SKIPPED_FILE, ScoreRow, read_prompts, read_variant, write_scores,
        write_scores_with_null, write_skipped,
    },
    study::{
        Generation, GenerationKey, Problem, SamplingChoice, Skipped, StudyOutline, Tally, Variant, Verdict,
        gallery_names, tally_by_group,
    },
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Draws, segments and compares every prompt × seed that the run does not hold yet, then sums up.
pub fn run(args: &ScanArgs, common: &Common) -> Result<(), Problem> {
    let variant = args
        .variant
        .as_deref()
        .map(read_variant)
        .transpose()?
        .map(Arc::new);
    let (handle, side) = EngineHandle::pair();
    let options = EngineOptions {
        threads: common.threads,
        run_folder: Some(args.out.clone()),
        default_segmenter: args.segmenter.clone().or_else(engine::default_segmenter),
        device: common.device,
    };
    engine::start(side, options, Arc::new(|| {}))
        .map_err(|e| super::failed("The engine cannot be started", &e))?;
    let mut watch = Watch {
        console: Console::new(common.quiet),
        outline: None,
        judged: BTreeMap::new(),
        null: None,
        skipped: Arc::default(),
    };

    let (study, job) = match (&args.study, &args.gallery) {
        (Some(study), _) => (study, Job::Open(study.clone())),
        (None, Some(gallery)) => (gallery, Job::OpenGallery(gallery.clone())),
        (None, None) => {
            let advice = "Name a study that has a gallery, or a folder of training images with --gallery.";
            return Err(Problem::new(
                "There is nothing to compare the pictures with",
                advice,
            ));
        }
    };
    let (open, _) = handle.submit(job);
    watch.until_done(&handle, open)?;
    let outline = watch.outline.clone().ok_or_else(|| {
        Problem::new("The study did not open", "Name a folder with a study.toml.").at(study)
    })?;
    if let Some(folder) = &args.generated {
        return import(args, folder, &handle, watch);
    }
    let prompts = match &args.prompts {
        Some(file) => prompts_from(file)?,
        None => outline.prompts.clone(),
    };
    if prompts.is_empty() {
        return Err(Problem::new(
            "The study has no prompts",
            "Name a prompt file with --prompts.",
        ));
    }
    let seeds = args
        .seeds
        .as_ref()
        .map_or_else(|| outline.seeds.clone(), |s| s.0.clone());
    let wanted: std::collections::HashSet<GenerationKey> = prompts
        .iter()
        .flat_map(|p| {
            seeds.iter().map(|&seed| GenerationKey {
                prompt: p.index,
                seed,
            })
        })
        .collect();
    let job = GenerateJob {
        prompts: prompts.clone(),
        seeds,
        sampling: SamplingChoice {
            scheduler: args.scheduler,
            rng: args.rng,
            at_once: args.at_once,
            weights: args.weights,
            ..SamplingChoice::default()
        }
        .over(&outline.sampling),
        variant: variant.clone(),
        redraw: false,
    };
    let (generate, _) = handle.submit(Job::Generate(job));
    watch.until_done(&handle, generate)?;

    if args.null.is_some() {
        let (calibrate, _) = handle.submit(Job::Calibrate);
        watch.until_done(&handle, calibrate)?;
    }
    watch.write_scores(args)?;
    watch.write_skipped(args)?;

    let judged = watch
        .judged
        .values()
        .filter(|g| wanted.contains(&g.key))
        .map(|g| &**g);
    let tallies = tally_by_group(judged, &prompts, &outline.thresholds);
    print_summary(
        &tallies,
        &outline,
        variant.as_deref(),
        watch.null.as_deref(),
        args,
    )
}

/// Compares finished pictures instead of drawing any.
fn import(args: &ScanArgs, folder: &Path, handle: &EngineHandle, mut watch: Watch) -> Result<(), Problem> {
    let names = match (&args.pattern, args.one_per_file, &args.table) {
        (Some(pattern), ..) => ImportNames::Pattern(pattern.clone()),
        (None, true, _) => ImportNames::OnePerFile,
        (None, false, Some(table)) => ImportNames::Table(table.clone()),
        (None, false, None) => ImportNames::FbMem,
    };
    let job = ImportJob {
        folder: folder.to_owned(),
        names,
        prompts: match &args.prompts {
            Some(list) => ImportPrompts::List(list.clone()),
            None => ImportPrompts::OfStudy,
        },
        mattes: args.masks_generated.clone(),
    };
    watch.judged.clear();
    let (import, _) = handle.submit(Job::Import(job));
    watch.until_done(handle, import)?;
    if args.null.is_some() {
        let (calibrate, _) = handle.submit(Job::Calibrate);
        watch.until_done(handle, calibrate)?;
    }
    watch.write_scores(args)?;
    watch.write_skipped(args)?;
    let outline = watch.outline.clone().unwrap_or_default();
    let judged = watch.judged.values().map(|g| &**g);
    let tallies = tally_by_group(judged, &outline.prompts, &outline.thresholds);
    print_summary(&tallies, &outline, None, watch.null.as_deref(), args)
}

fn prompts_from(file: &Path) -> Result<Vec<crate::study::Prompt>, Problem> {
    let (prompts, notices) = read_prompts(file)?;
    for notice in notices {
        super::report(&notice);
    }
    Ok(prompts)
}

struct Watch {
    console: Console,
    outline: Option<Arc<StudyOutline>>,
    judged: BTreeMap<GenerationKey, Arc<Generation>>,
    null: Option<Arc<Null>>,
    skipped: Arc<Vec<Skipped>>,
}

impl Watch {
    /// `scores.csv` in the run's folder: all pictures of the run, in the reference's columns. Percentiles of the null
    /// are there only when asked for, so that a run's table does not depend on what the cache holds.
    fn write_scores(&self, args: &ScanArgs) -> Result<(), Problem> {
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
        let path = args.out.join("scores.csv");
        match self.null.as_deref().filter(|_| args.null.is_some()) {
            Some(null) => write_scores_with_null(&path, &rows, &|s| super::null::percentiles(null, s), &[]),
            None => write_scores(&path, &rows),
        }
    }

    /// Files that were left out: `skipped.csv` in the run's folder, and their number once more at the end.
    fn write_skipped(&self, args: &ScanArgs) -> Result<(), Problem> {
        write_skipped(&args.out, &self.skipped)?;
        if !self.skipped.is_empty() {
            let list = args.out.join(SKIPPED_FILE);
            eprintln!(
                "pentimento: files left out: {}, see {}",
                self.skipped.len(),
                list.display()
            );
        }
        Ok(())
    }

    fn until_done(&mut self, handle: &EngineHandle, job: JobId) -> Result<(), Problem> {
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
                Event::Null(null) => self.null = Some(null),
                Event::Skipped(skipped) => self.skipped = skipped,
                Event::Approximate(how) => {
                    self.console.end();
                    eprintln!("pentimento: {how}");
                }
                Event::Notice(problem) => {
                    self.console.end();
                    super::report(&problem);
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

fn print_summary(
    tallies: &BTreeMap<String, Tally>,
    outline: &StudyOutline,
    variant: Option<&Variant>,
    null: Option<&Null>,
    args: &ScanArgs,
) -> Result<(), Problem> {
    if args.json {
        let mut summary = serde_json::json!({
            "run": args.out,
            "study": outline.name,
            "variant": variant.map(Variant::id),
            "arithmetic": outline.arithmetic,
            "thresholds": outline.thresholds,
            "groups": tallies,
        });
        if let (Some(null), Some(rate)) = (null, args.null) {
            summary["null"] = super::null::json(null, rate);
        }
        println!("{summary:#}");
        return Ok(());
    }
    if let Some(variant) = variant {
        println!("variant: {}", variant.id());
    }
    println!(
        "{}: thresholds F {:.3}, B {:.3}, {} arithmetic; results in {}",
        outline.name,
        outline.thresholds.foreground,
        outline.thresholds.background,
        outline.arithmetic,
        args.out.display()
    );
    println!("{:<12} {:>6} {:>6} {:>6} {:>6}", "group", "VM", "FM", "BM", "NM");
    for (group, tally) in tallies {
        let name = if group.is_empty() { "all" } else { group };
        print!("{name:<12}");
        for verdict in Verdict::ALL {
            print!(" {:>6}", tally.count(verdict));
        }
        println!();
    }
    if let (Some(null), Some(rate)) = (null, args.null) {
        super::null::print(null, rate);
    }
    Ok(())
}
