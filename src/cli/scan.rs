//! `pentimento scan`: a whole study through the engine, into a run folder.

use super::{
    args::{Common, ScanArgs},
    plan::{self, Plan},
    watch::Watch,
};
use crate::{
    engine::{self, EngineHandle, EngineOptions, GenerateJob, Job},
    store::{read_prompts, read_variant},
    study::{GenerationKey, Problem, SamplingChoice, StudyOutline, Tally, Variant, Verdict, tally_by_group},
};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

/// Draws, segments and compares every prompt × seed that the run does not hold yet, then sums up.
pub fn run(args: &ScanArgs, common: &Common) -> Result<(), Problem> {
    let variant = args
        .variant
        .as_deref()
        .map(read_variant)
        .transpose()?
        .map(Arc::new);
    let out = match args.shard {
        Some(shard) => args.out.join(shard.folder()),
        None => args.out.clone(),
    };
    // A plan draws one picture, which nobody needs afterwards.
    let scratch = tempfile::tempdir().map_err(|e| super::failed("No temporary folder can be made", &e))?;
    let (handle, side) = EngineHandle::pair();
    let options = EngineOptions {
        threads: common.threads,
        run_folder: Some(if args.plan {
            scratch.path().join("plan")
        } else {
            out.clone()
        }),
        default_segmenter: engine::default_segmenter(),
        device: common.device,
    };
    engine::start(side, options, Arc::new(|| {}))
        .map_err(|e| super::failed("The engine cannot be started", &e))?;
    let mut watch = Watch::new(common.quiet);

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
            steps: args.steps,
            guidance: args.guidance,
            width: args.size,
            height: args.size,
            scheduler: args.scheduler,
            rng: args.rng,
            ..SamplingChoice::default()
        }
        .over(&outline.sampling),
        variant: variant.clone(),
        redraw: false,
        shard: args.shard,
    };
    let plan = Plan::of(&job, &out);
    if args.plan {
        return print_plan(&plan, &handle, &job, args);
    }
    if !common.quiet {
        eprintln!("{}", plan.words());
    }
    let (generate, _) = handle.submit(Job::Generate(job));
    watch.until_done(&handle, generate)?;

    let judged = watch
        .judged
        .values()
        .filter(|g| wanted.contains(&g.key))
        .map(|g| &**g);
    let tallies = tally_by_group(judged, &prompts, &outline.thresholds);
    print_summary(&tallies, &outline, variant.as_deref(), &out, args.json)
}

fn print_plan(plan: &Plan, handle: &EngineHandle, job: &GenerateJob, args: &ScanArgs) -> Result<(), Problem> {
    let each = plan::seconds_each(handle, job)?;
    let time = Duration::from_secs_f64(each * plan.open as f64);
    if args.json {
        let plan = serde_json::json!({
            "pictures": plan.open,
            "there": plan.there,
            "seconds_each": each,
            "seconds": time.as_secs_f64(),
            "bytes_at_most": plan.bytes,
        });
        println!("{plan:#}");
    } else {
        println!(
            "{}; about {each:.1} s a picture, {} in all on this machine",
            plan.words(),
            plan::long(time)
        );
    }
    Ok(())
}

fn prompts_from(file: &Path) -> Result<Vec<crate::study::Prompt>, Problem> {
    let (prompts, notices) = read_prompts(file)?;
    for notice in notices {
        super::tell(&notice);
    }
    Ok(prompts)
}

fn print_summary(
    tallies: &BTreeMap<String, Tally>,
    outline: &StudyOutline,
    variant: Option<&Variant>,
    out: &Path,
    json: bool,
) -> Result<(), Problem> {
    if json {
        let summary = serde_json::json!({
            "run": out,
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
        out.display()
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
