//! `pentimento locate`: what remembers, as a variant that switches it off.

mod args;
mod grouping;

use super::{args::Common, console::Console, watch::follow};
use crate::{
    diffusion::{Checkpoint, InitialNoise, LoadOptions, Pipeline},
    engine::{
        self, EngineHandle, Event, Findings, Grouping, Job, JobId, LocateJob, Method, NemoJob,
        StatisticsSource, compute_pool,
    },
    mitigation::{
        cluster_neurons,
        neurons::{
            ActivationStatistics, Calibration, Convention, NemoSettings, NoiseSettings, ValueLayers,
            read_results,
        },
        prompt::PromptSettings,
        pruning::PruningSettings,
    },
    store::{read_clusters, read_prompts, read_variant, write_variant},
    study::{Problem, Prompt, StudyOutline, Variant},
};
pub use args::LocateArgs;
use args::{MethodName, TransitionChoice};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Searches, writes the variants and prints what was found.
pub fn run(args: &LocateArgs, common: &Common) -> Result<(), Problem> {
    let (prompts, clusters) = prompts(args)?;
    let mut stack = Vec::new();
    for file in &args.stack {
        stack.extend(read_variant(file)?.edits);
    }
    let name = args.name.clone().unwrap_or_else(|| stem(&args.out));
    if let Some(npz) = &args.nemo.npz {
        return from_npz(args, common, npz, &name, stack);
    }
    let grouping = if args.method == Some(MethodName::NemoCluster) {
        Some(grouping::grouping(args, clusters)?)
    } else {
        None
    };
    if let Some(grouping) = grouping.as_ref().filter(|_| prompts.is_empty()) {
        return grouping::ask(args, common, grouping);
    }
    let handle = super::start_engine(common, None, None)?;
    let mut watch = Watch {
        console: Console::new(common.quiet),
        outline: None,
        found: None,
    };
    let (open, _) = handle.submit(Job::Open(args.model.clone()));
    watch.until_done(&handle, open)?;
    let outline = watch.outline.clone().unwrap_or_default();
    let job = LocateJob {
        method: method(args, grouping)?,
        sampling: args.sampling.choice(args.guidance).over(&outline.sampling),
        prompts: prompts.clone(),
        name,
        stack,
        progress: Some(args.out.clone()),
        write: false,
    };
    if let (Some(pictures), false) = (job.gradient_pictures(), common.quiet) {
        let checkpoint = Checkpoint::open(&args.model)
            .map_err(|e| super::failed("This checkpoint cannot be used", &e).at(&args.model))?;
        let needed = checkpoint.memory_needs().gradient(&job.sampling, pictures);
        eprintln!(
            "pentimento: a gradient over {pictures} pictures at once needs about {} of memory",
            needed.peak_words()
        );
    }
    let (locate, _) = handle.submit(Job::Locate(Box::new(job)));
    watch.until_done(&handle, locate)?;
    let found = watch.found.take().unwrap_or_default();
    write(args, &found)?;
    if let Some(folder) = found.progress.as_ref().filter(|f| f.is_dir()) {
        std::fs::remove_dir_all(folder)
            .map_err(|e| Problem::io("The search is done; its progress cannot be removed", folder, &e))?;
    }
    match &found.grouped {
        Some(grouped) => grouping::tell(args, grouped, &prompts),
        None => Ok(()),
    }
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(|| "variant".to_owned(), |s| s.to_string_lossy().into_owned())
}

/// The prompts asked for, and their clusters where the list names them.
type Chosen = (Vec<Prompt>, Option<Vec<Option<u32>>>);

fn prompts(args: &LocateArgs) -> Result<Chosen, Problem> {
    let mut listed = match &args.prompts {
        Some(file) => list(file)?,
        None => Vec::new(),
    };
    let clusters = match &args.prompts {
        Some(file)
            if args.method == Some(MethodName::NemoCluster)
                && args.nemo.npz.is_none()
                && args.nemo.k_means.is_none()
                && args.nemo.clusters.is_none() =>
        {
            Some(read_clusters(file)?)
        }
        _ => None,
    };
    if !args.group.is_empty() {
        listed.retain(|p| p.group.as_ref().is_some_and(|g| args.group.contains(g)));
    }
    listed.truncate(args.limit.unwrap_or(usize::MAX));
    let first = listed.iter().map(|p| p.index + 1).max().unwrap_or(0);
    listed.extend(args.prompt.iter().zip(first..).map(|(text, index)| Prompt {
        index,
        text: text.clone(),
        group: None,
    }));
    let works_alone = args.nemo.npz.is_some()
        || args.nemo.clusters.is_some() && !args.nemo.ask.is_empty()
        || matches!(args.method, None | Some(MethodName::Guidance)) && !needs_prompts(args);
    if listed.is_empty() && !works_alone {
        return Err(Problem::new(
            "There is no prompt to search for",
            "Name a list with --prompts, or a prompt with --prompt; --group must be one of the list's.",
        ));
    }
    let clusters = clusters.map(|clusters| {
        let of = |p: &Prompt| clusters.get(&p.index).copied();
        listed.iter().map(of).collect::<Vec<_>>()
    });
    if clusters.as_ref().is_some_and(|c| c.iter().all(Option::is_none)) {
        return Err(Problem::new(
            "None of the prompts has a cluster",
            "The list needs a column cluster with a whole number for every prompt.",
        ));
    }
    Ok((listed, clusters))
}

/// Whether the guidance schedule is to be measured.
fn needs_prompts(args: &LocateArgs) -> bool {
    args.method == Some(MethodName::Guidance) && args.transition == TransitionChoice::Measured
}

fn list(file: &Path) -> Result<Vec<Prompt>, Problem> {
    let (prompts, notices) = read_prompts(file)?;
    notices.iter().for_each(super::tell);
    Ok(prompts)
}

fn texts(file: &Path) -> Result<Vec<String>, Problem> {
    Ok(list(file)?.into_iter().map(|p| p.text).collect())
}

fn method(args: &LocateArgs, grouping: Option<Grouping>) -> Result<Method, Problem> {
    Ok(match args.method {
        None if args.stack.is_empty() => {
            return Err(Problem::new(
                "There is nothing to do",
                "Choose a --method, or name variant files with --stack.",
            ));
        }
        None => Method::Nothing,
        Some(MethodName::Nemo) => Method::Nemo(Box::new(nemo(args, None)?)),
        Some(MethodName::NemoCluster) => Method::Nemo(Box::new(nemo(args, grouping)?)),
        Some(MethodName::Wanda) => Method::Wanda {
            settings: PruningSettings {
                seed: args.seed.unwrap_or(0),
                skill_ratio: args.wanda.skill_ratio,
                steps: args.wanda.timesteps,
                select_ratio: args.wanda.select_ratio,
                ..PruningSettings::default()
            },
            base: args
                .wanda
                .base
                .as_deref()
                .map(texts)
                .transpose()?
                .unwrap_or_default(),
        },
        Some(MethodName::Prompt) => match args.embedding.insert {
            Some(choice) => Method::Insert {
                what: choice.what,
                count: choice.count,
                seed: args.seed.unwrap_or(0),
            },
            None => Method::Prompt {
                settings: PromptSettings {
                    noise: match args.embedding.batch {
                        Some(count) => InitialNoise::Batch {
                            seed: args.seed.unwrap_or(0),
                            count: count as usize,
                        },
                        None => InitialNoise::Seeds(args.seeds.0.clone()),
                    },
                    learning_rate: args.embedding.learning_rate,
                    weight_decay: args.embedding.weight_decay,
                    iterations: args.embedding.iterations,
                    target: args.embedding.target,
                    ..PromptSettings::default()
                },
                tokens: args.embedding.tokens,
            },
        },
        Some(MethodName::Guidance) => Method::Guidance {
            before: args.before,
            transition: match args.transition {
                TransitionChoice::At(transition) => Some(transition),
                TransitionChoice::Measured => None,
            },
            seeds: args.seeds.0.clone(),
        },
    })
}

fn nemo(args: &LocateArgs, clusters: Option<Grouping>) -> Result<NemoJob, Problem> {
    let given = &args.nemo;
    let noise = NoiseSettings {
        samples: given.samples,
        seed: args.seed.unwrap_or(1),
        steps: args.sampling.steps as usize,
        guidance: given.noise_guidance,
        convention: if given.swapped {
            Convention::Reference
        } else {
            Convention::Corrected
        },
        ..NoiseSettings::default()
    };
    let usual = NemoSettings::default();
    let threshold = |own: Option<f64>, usual: f64| own.or(given.threshold).unwrap_or(usual);
    let settings = NemoSettings {
        noise,
        factor: given.factor,
        pairwise: threshold(given.pairwise, usual.pairwise),
        initial: threshold(given.initial, usual.initial),
        refinement: threshold(given.refinement, usual.refinement),
        theta: (!given.no_theta).then_some(given.theta),
        theta_step: given.theta_step,
        theta_min: given.theta_min,
        top: (!given.no_top_k).then_some(given.top_k),
        relative: given.relative,
    };
    let known = match &given.results {
        Some(file) => {
            let (rows, notice) = read_results(file)?;
            notice.iter().for_each(super::tell);
            rows
        }
        None => Vec::new(),
    };
    let statistics = match (&given.statistics, &given.statistics_from) {
        (Some(file), None) => StatisticsSource::Given(Arc::new(ActivationStatistics::read(file)?)),
        (None, Some(prompts)) => StatisticsSource::Measure(texts(prompts)?),
        (None, None) if !known.is_empty() => StatisticsSource::Given(Arc::default()),
        _ => {
            return Err(Problem::new(
                "NeMo needs to know how strongly neurons usually answer",
                "Measure it with --statistics-from PROMPTS (some hundreds that nobody memorized), or read it with \
                 --statistics FILE; one of them.",
            ));
        }
    };
    let calibrate = match &given.calibrate {
        Some(file) => {
            let mut how = noise;
            if given.calibrate_as_reference {
                let reference = Calibration::reference_settings();
                (how.guidance, how.convention) = (reference.guidance, reference.convention);
            }
            Some((texts(file)?, how))
        }
        None => None,
    };
    Ok(NemoJob {
        settings,
        statistics,
        calibrate,
        known,
        clusters,
        initial: given.unrefined,
        journal: Some(args.out.with_extension("neurons.csv")),
    })
}

/// A file beside the variant, named after it.
fn file_beside(args: &LocateArgs, ending: &str) -> PathBuf {
    args.out.with_file_name(format!("{}-{ending}", stem(&args.out)))
}

fn write(args: &LocateArgs, found: &Findings) -> Result<(), Problem> {
    found.lines.iter().for_each(|line| println!("{line}"));
    if let (Some(file), Some(statistics)) = (&args.nemo.save_statistics, &found.statistics) {
        statistics.write(file)?;
    }
    for variant in &found.variants {
        write_variant(&args.out, variant)?;
        println!("{}: {}", args.out.display(), variant.note);
        for edit in &variant.edits {
            println!("  {}", edit.words());
        }
    }
    if args.nemo.export_npz {
        for (cluster, neurons) in &found.neurons {
            let file = match cluster {
                Some(cluster) => file_beside(args, &format!("cluster-{cluster}.npz")),
                None => args.out.with_extension("npz"),
            };
            cluster_neurons::write_npz(&file, neurons)?;
        }
    }
    Ok(())
}

/// A pipeline without the engine, for what is no job.
fn pipeline(args: &LocateArgs, common: &Common) -> Result<(Checkpoint, Pipeline), Problem> {
    let failed =
        |e: &dyn std::fmt::Display| super::failed("This checkpoint cannot be used", e).at(&args.model);
    let checkpoint = Checkpoint::open(&args.model).map_err(|e| failed(&e))?;
    let options = LoadOptions {
        device: common.device.open()?,
        ..LoadOptions::default()
    };
    let pool = compute_pool(common.threads).map_err(|e| super::failed("Threads cannot be started", &e))?;
    let pipeline = pool
        .install(|| Pipeline::load(&checkpoint, &options))
        .map_err(|e| failed(&e))?;
    Ok((checkpoint, pipeline))
}

fn from_npz(
    args: &LocateArgs,
    common: &Common,
    npz: &Path,
    name: &str,
    stack: Vec<crate::study::Edit>,
) -> Result<(), Problem> {
    let (checkpoint, pipeline) = pipeline(args, common)?;
    let layers = ValueLayers::of(&pipeline).map_err(|e| super::failed("The layers cannot be read", &e))?;
    let neurons = cluster_neurons::read_npz(npz, &layers)?;
    let mut edits = stack;
    edits.extend(layers.edits(&neurons, args.nemo.factor));
    let hash = engine::model_hash(&checkpoint)
        .map_err(|e| super::failed("The weights cannot be read", &e).at(&args.model))?;
    let variant = Variant {
        name: name.to_owned(),
        note: format!(
            "neurons of {}",
            npz.file_name().unwrap_or_default().to_string_lossy()
        ),
        base: crate::study::BaseCheckpoint {
            name: stem(&args.model),
            hash: Some(hash),
        },
        edits,
    };
    let found = Findings {
        variants: vec![variant],
        neurons: vec![(None, neurons)],
        ..Findings::default()
    };
    write(args, &found)
}

struct Watch {
    console: Console,
    outline: Option<Arc<StudyOutline>>,
    found: Option<Arc<Findings>>,
}

impl Watch {
    fn until_done(&mut self, handle: &EngineHandle, job: JobId) -> Result<(), Problem> {
        let Self {
            console,
            outline,
            found,
        } = self;
        let early = "Run the command again: it goes on where it was.";
        follow(console, handle, job, early, |event, _| match event {
            Event::Opened(opened) => *outline = Some(opened),
            Event::Located(_, findings) => *found = Some(findings),
            _ => {}
        })
    }
}
