//! `pentimento scan`: a whole study through the engine, into a run folder.

use super::{
    args::{Common, ScanArgs},
    console::Console,
};
use crate::{
    engine::{self, EngineHandle, EngineOptions, Event, GenerateJob, Job, JobId},
    store::{read_prompts, read_variant},
    study::{
        Generation, GenerationKey, Problem, SamplingChoice, StudyOutline, Tally, Variant, Verdict,
        tally_by_group,
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
        default_segmenter: engine::default_segmenter(),
        device: common.device,
    };
    engine::start(side, options, Arc::new(|| {}))
        .map_err(|e| super::failed("The engine cannot be started", &e))?;
    let mut watch = Watch {
        console: Console::new(common.quiet),
        outline: None,
        judged: BTreeMap::new(),
    };

    let (open, _) = handle.submit(Job::Open(args.study.clone()));
    watch.until_done(&handle, open)?;
    let outline = watch.outline.clone().ok_or_else(|| {
        Problem::new("The study did not open", "Name a folder with a study.toml.").at(&args.study)
    })?;
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
            weights: args.weights,
            ..SamplingChoice::default()
        }
        .over(&outline.sampling),
        variant: variant.clone(),
        redraw: false,
    };
    let (generate, _) = handle.submit(Job::Generate(job));
    watch.until_done(&handle, generate)?;

    let judged = watch
        .judged
        .values()
        .filter(|g| wanted.contains(&g.key))
        .map(|g| &**g);
    let tallies = tally_by_group(judged, &prompts, &outline.thresholds);
    print_summary(&tallies, &outline, variant.as_deref(), args)
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
}

impl Watch {
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
    args: &ScanArgs,
) -> Result<(), Problem> {
    if args.json {
        let summary = serde_json::json!({
            "run": args.out,
            "study": outline.name,
            "variant": variant.map(Variant::id),
            "arithmetic": outline.arithmetic,
            "thresholds": outline.thresholds,
            "groups": tallies,
        });
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
    Ok(())
}
