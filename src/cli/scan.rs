//! `pentimento scan`: a whole study through the engine, into a run folder.

use super::{
    args::{Common, ScanArgs},
    plan::{self, Plan},
    watch::Watch,
};
use crate::{
    engine::{self, EngineHandle, GenerateJob, ImportJob, ImportPrompts, Job},
    store::{ImportNames, read_prompts, read_variant},
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
    let run_folder = if args.plan {
        scratch.path().join("plan")
    } else {
        out.clone()
    };
    let segmenter = args.segmenter.clone().or_else(engine::default_segmenter);
    let handle = super::start_engine(common, Some(run_folder), segmenter)?;
    let mut watch = Watch::new(common.quiet);

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
            steps: args.steps,
            guidance: args.guidance,
            width: args.size,
            height: args.size,
            scheduler: args.scheduler,
            rng: args.rng,
            at_once: args.at_once,
            weights: args.weights,
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
    if let Some(folder) = &args.masks_generated {
        let (masks, _) = handle.submit(Job::GeneratedMattes(Some(folder.clone())));
        watch.until_done(&handle, masks)?;
    }
    let (generate, _) = handle.submit(Job::Generate(job));
    watch.until_done(&handle, generate)?;

    if args.null.is_some() {
        let (calibrate, _) = handle.submit(Job::Calibrate);
        watch.until_done(&handle, calibrate)?;
    }
    if args.measures {
        repeats(&handle, &mut watch, args.alike_within)?;
    }
    watch.write_scores(&out, args.null.is_some(), args.measures)?;
    watch.write_skipped(&out)?;

    let judged = watch
        .judged
        .values()
        .filter(|g| wanted.contains(&g.key))
        .map(|g| &**g);
    let tallies = tally_by_group(judged, &prompts, &outline.thresholds);
    print_summary(&tallies, &outline, variant.as_deref(), &watch, &out, args)
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
    if args.measures {
        repeats(handle, &mut watch, args.alike_within)?;
    }
    watch.write_scores(&args.out, args.null.is_some(), args.measures)?;
    watch.write_skipped(&args.out)?;
    let outline = watch.outline.clone().unwrap_or_default();
    let judged = watch.judged.values().map(|g| &**g);
    let tallies = tally_by_group(judged, &outline.prompts, &outline.thresholds);
    print_summary(&tallies, &outline, None, &watch, &args.out, args)
}

/// Looks for pictures of a prompt that repeat each other, where a prompt has two.
fn repeats(handle: &EngineHandle, watch: &mut Watch, within: f32) -> Result<(), Problem> {
    let mut prompts: Vec<u32> = watch.judged.keys().map(|key| key.prompt).collect();
    prompts.sort_unstable();
    if prompts.windows(2).all(|two| two[0] != two[1]) {
        return Ok(());
    }
    let (job, _) = handle.submit(Job::Repeats(within));
    watch.until_done(handle, job)
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
    watch: &Watch,
    out: &Path,
    args: &ScanArgs,
) -> Result<(), Problem> {
    let null = watch.null.as_deref();
    if args.json {
        let mut summary = serde_json::json!({
            "run": out,
            "study": outline.name,
            "variant": variant.map(Variant::id),
            "arithmetic": outline.arithmetic,
            "thresholds": outline.thresholds,
            "groups": tallies,
        });
        if let (Some(null), Some(rate)) = (null, args.null) {
            summary["null"] = super::null::json(null, rate);
        }
        if args.measures {
            summary["measures"] = watch.measures();
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
    if let (Some(null), Some(rate)) = (null, args.null) {
        super::null::print(null, rate);
    }
    Ok(())
}
