//! `pentimento generate`: pictures from a checkpoint, with all that diffusers would show of them.

use super::{
    args::{Common, GenerateArgs},
    console::Console,
    signals::{self, Both},
};
use crate::{
    diffusion::{Checkpoint, InitialNoise, LoadOptions, Observer, Pipeline, SampleRequest, Step, scheduler},
    engine::{Eta, compute_pool, made_for_another, model_hash},
    memorization::SignalWatch,
    store::{RunParameters, read_variant, write_picture},
    study::{GenerationKey, Problem, Sampling, SamplingChoice, Variant},
};
use candle_core::{Device, Tensor};
use std::{collections::HashMap, ops::ControlFlow, path::Path};

/// Draws every prompt with every seed and prints the files' paths.
pub fn run(args: &GenerateArgs, common: &Common) -> Result<(), Problem> {
    let checkpoint = Checkpoint::open(&args.model)
        .map_err(|e| super::failed("This checkpoint cannot be used", &e).at(&args.model))?;
    if !common.quiet {
        let notes = checkpoint.notes.iter().chain(&checkpoint.overrides);
        notes.for_each(|note| eprintln!("pentimento: {note}"));
    }
    let sampling = sampling(args, &checkpoint)?;
    sampling
        .validate()
        .map_err(|reason| super::failed("These settings cannot be used", &reason))?;
    let variant = args.variant.as_deref().map(read_variant).transpose()?;
    let noises = noises(args)?;
    if args.dump.is_some() && args.prompt.len() * noises.len() != 1 {
        return Err(Problem::new(
            "A dump holds one prompt and one seed",
            "Give one --prompt and one seed (with --batch for several pictures) or --noise.",
        ));
    }
    std::fs::create_dir_all(&args.out)
        .map_err(|e| super::failed("The folder cannot be made", &e).at(&args.out))?;
    let pool = compute_pool(common.threads).map_err(|e| super::failed("Threads cannot be started", &e))?;
    let options = LoadOptions {
        device: common.device.open()?,
        storage: args.weights,
        ..LoadOptions::default()
    };
    let mut pipeline = pool
        .install(|| Pipeline::load(&checkpoint, &options))
        .map_err(|e| super::failed("This checkpoint cannot be used", &e).at(&args.model))?;
    let model_hash = model_hash(&checkpoint)
        .map_err(|e| super::failed("The weights cannot be read", &e).at(&args.model))?;
    if let Some(variant) = &variant {
        pipeline = pool.install(|| pipeline.with_variant(variant)).map_err(|e| {
            let file = args.variant.as_deref().unwrap_or(&args.model);
            super::failed("This variant cannot be drawn with", &e).at(file)
        })?;
        if let Some(problem) = made_for_another(variant, &model_hash) {
            super::tell(&problem);
        }
    }
    let parameters = RunParameters {
        variant: variant.as_ref().map(Variant::id),
        program: RunParameters::this_program(),
        model: Some(model_hash),
        sampling: sampling.clone(),
        ..RunParameters::default()
    };

    let total = args.prompt.len() * noises.iter().map(|(seeds, _)| seeds.len()).sum::<usize>();
    let mut watch = Watch {
        console: Console::new(common.quiet),
        eta: Eta::new(total as f64),
        done: 0,
        total,
        together: 0,
        record: args.dump.is_some(),
        timesteps: Vec::new(),
        latents: Vec::new(),
    };
    for (index, prompt) in args.prompt.iter().enumerate() {
        let place = pool
            .install(|| pipeline.cluster_of(prompt))
            .map_err(|e| super::failed("The prompt cannot be encoded", &e))?;
        if let (Some(place), false) = (place, common.quiet) {
            eprintln!("pentimento: “{prompt}”: {}", place.words());
        }
        for (seeds, noise) in &noises {
            watch.together = seeds.len();
            let request = SampleRequest {
                prompt: prompt.clone(),
                sampling: sampling.clone(),
                noise: noise.clone(),
            };
            let mut eye = args
                .signals
                .then(|| {
                    let schedule =
                        scheduler(sampling.scheduler, pipeline.schedule(), sampling.steps as usize)
                            .map_err(|e| e.to_string())?;
                    SignalWatch::new(&pipeline, prompt, schedule.timesteps().len())
                })
                .transpose()
                .map_err(|e| super::failed("The signals cannot be gathered", &e))?;
            let mut both = Both {
                first: &mut watch,
                second: eye.as_mut(),
            };
            let sample = pool
                .install(|| pipeline.sample(&request, &mut both))
                .map_err(|e| super::failed("A picture could not be drawn", &e).detail(prompt.clone()))?;
            let first = seeds.first().copied().unwrap_or_default();
            let gathered = eye.map_or_else(|| Ok(Vec::new()), SignalWatch::finish);
            let gathered = gathered.map_err(|e| super::failed("The signals cannot be gathered", &e))?;
            for (i, image) in sample.images.iter().enumerate() {
                // Several pictures of one generator, or of given noise, are numbered on from its seed.
                let key = GenerationKey {
                    prompt: index as u32,
                    seed: seeds.get(i).copied().unwrap_or(first + i as u64),
                };
                let path = args.out.join(format!("{key}.png"));
                write_picture(&path, image, key, prompt, &parameters)?;
                println!("{}", path.display());
                if let Some(found) = gathered.get(i) {
                    signals::write(&path.with_extension("signals.safetensors"), found)?;
                }
            }
            if let Some(file) = &args.dump {
                dump(file, &pipeline, &request, &watch, &sample.decoded)?;
            }
            watch.done += seeds.len();
        }
    }
    watch.console.end();
    Ok(())
}

/// What was asked for, and what the checkpoint suggests for the rest.
fn sampling(args: &GenerateArgs, checkpoint: &Checkpoint) -> Result<Sampling, Problem> {
    if args.sampling.scheduler.is_none() && checkpoint.schedule.own().is_none() {
        return Err(Problem::new(
            "The checkpoint's own scheduler is not offered",
            "Name one with --scheduler: ddim, pndm, dpm++, euler or euler-a.",
        )
        .at(&args.model)
        .detail(format!("the checkpoint names {}", checkpoint.schedule.class)));
    }
    let choice = SamplingChoice {
        negative: Some(args.negative.clone()),
        at_once: Some(args.at_once),
        weights: Some(args.weights),
        ..args.sampling.choice(args.guidance)
    };
    Ok(choice.over(&checkpoint.default_sampling()))
}

/// The initial noises to draw from, each with its seeds.
fn noises(args: &GenerateArgs) -> Result<Vec<(Vec<u64>, InitialNoise)>, Problem> {
    if let Some(file) = &args.noise {
        let unusable =
            |reason: &dyn std::fmt::Display| super::failed("The noise cannot be read", reason).at(file);
        let tensors = candle_core::safetensors::load(file, &Device::Cpu).map_err(|e| unusable(&e))?;
        let noise = tensors
            .get("noise")
            .ok_or_else(|| unusable(&"it holds no tensor named noise"))?;
        return Ok(vec![(vec![0], InitialNoise::Given(noise.clone()))]);
    }
    let seeds = &args.seeds.0;
    Ok(match args.batch {
        Some(count) => {
            let count = count as usize;
            let noise = |&seed: &u64| (vec![seed], InitialNoise::Batch { seed, count });
            seeds.iter().map(noise).collect()
        }
        None => {
            let noise = |seeds: &[u64]| (seeds.to_vec(), InitialNoise::Seeds(seeds.to_vec()));
            seeds.chunks(args.at_once.max(1) as usize).map(noise).collect()
        }
    })
}

/// Everything `--dump` promises, all f32.
fn dump(
    file: &Path,
    pipeline: &Pipeline,
    request: &SampleRequest,
    watch: &Watch,
    decoded: &Tensor,
) -> Result<(), Problem> {
    let collect = || -> Result<HashMap<&'static str, Tensor>, Box<dyn std::error::Error>> {
        let noise = pipeline.initial_noise(request)?;
        let count = noise.dim(0)?;
        let pair = pipeline.text_embeddings(&request.prompt, Some(&request.sampling.negative))?;
        let halves = [pair.narrow(0, 0, 1)?, pair.narrow(0, 1, 1)?];
        let rows: Vec<&Tensor> = halves.iter().flat_map(|half| vec![half; count]).collect();
        Ok(HashMap::from([
            ("text_embeddings", Tensor::cat(&rows, 0)?),
            ("noise", noise),
            (
                "timesteps",
                Tensor::from_slice(&watch.timesteps, watch.timesteps.len(), &Device::Cpu)?,
            ),
            ("latents", Tensor::stack(&watch.latents, 0)?),
            ("image", decoded.clone()),
        ]))
    };
    let failed = |e: &dyn std::fmt::Display| super::failed("The dump cannot be written", e).at(file);
    let tensors = collect().map_err(|e| failed(&e))?;
    candle_core::safetensors::save(&tensors, file).map_err(|e| failed(&e))
}

struct Watch {
    console: Console,
    eta: Eta,
    done: usize,
    total: usize,
    /// Pictures that form now.
    together: usize,
    record: bool,
    timesteps: Vec<f32>,
    latents: Vec<Tensor>,
}

impl Observer for Watch {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        let done = self.done as f64 + (self.together * (step.index + 1)) as f64 / step.count as f64;
        let left = self.eta.left(done);
        self.console.progress("Drawing", done as usize, self.total, left);
        if self.record {
            self.timesteps.push(step.timestep as f32);
            self.latents.push(step.latents.clone());
        }
        ControlFlow::Continue(())
    }
}
