//! Schedulers and random generators against diffusers and torch, by the fixtures of `tools/fixtures/schedulers.py`.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers are not seen as tests"
)]

mod common;

use candle_core::{Device, Tensor};
use common::tensors::{tensors as tensors_of, values};
use pentimento::{
    diffusion::{
        Checkpoint, DiffusionError, InitialNoise, LoadOptions, NoiseSource, Observer, Pipeline,
        SampleRequest, ScheduleConfig, Silent, Step, TorchRng, scheduler,
    },
    study::{RngKind, Sampling, SchedulerKind},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

fn fixtures(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(part)
}

fn tensors(name: &str) -> HashMap<String, Tensor> {
    tensors_of(&fixtures("schedulers").join(name))
}

/// Largest difference, and largest value of the second.
fn compare(a: &Tensor, b: &Tensor) -> (f32, f32) {
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (values(a), values(b));
    let off = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    (off, b.iter().copied().map(f32::abs).fold(0.0, f32::max))
}

fn config(file: &str) -> ScheduleConfig {
    read(file).unwrap()
}

fn read(file: &str) -> Result<ScheduleConfig, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scheduler_config.json");
    fs::write(&path, file).unwrap();
    ScheduleConfig::read(&path).map_err(|e| e.to_string())
}

/// A case of `steps.json`; the file as it was written, for JSON has no infinity.
fn cases() -> Vec<(String, Value)> {
    let text = fs::read_to_string(fixtures("schedulers").join("steps.json")).unwrap();
    let lines = text.trim().trim_start_matches('[').trim_end_matches(']').lines();
    lines
        .map(|line| {
            let line = line.trim_end_matches(',');
            let from = line.find("\"file\": ").unwrap() + 8;
            let to = line.find(", \"steps\"").unwrap();
            let rest = format!("{}null{}", &line[..from], &line[to..]);
            (line[from..to].to_owned(), serde_json::from_str(&rest).unwrap())
        })
        .collect()
}

#[test]
fn every_scheduler_steps_like_diffusers() {
    let traces = tensors("steps.safetensors");
    let (mut worst, mut steps) = (0f32, 0);
    for (index, (file, case)) in cases().into_iter().enumerate() {
        let label = format!(
            "case {index}: {} of {file}, {} steps",
            case["scheduler"], case["steps"]
        );
        let kind: SchedulerKind = serde_json::from_value(case["scheduler"].clone()).unwrap();
        let mut schedule = scheduler(kind, &config(&file), case["steps"].as_u64().unwrap() as usize).unwrap();
        let want: Vec<f64> = serde_json::from_value(case["timesteps"].clone()).unwrap();
        let timesteps = schedule.timesteps().to_vec();
        assert_eq!(timesteps.len(), want.len(), "{label}");
        for (got, want) in timesteps.iter().zip(&want) {
            // Whole timesteps are equal; those between whole ones come from a logarithm in f32.
            let tolerance = if want.fract() == 0.0 { 0.0 } else { 1e-3 };
            assert!((got - want).abs() <= tolerance, "{label}: {got}, not {want}");
        }
        let sigma = case["initial_sigma"].as_f64().unwrap();
        let off = (schedule.initial_sigma() / sigma - 1.0).abs();
        assert!(
            off < 1e-6,
            "{label}: initial sigma {} not {sigma}",
            schedule.initial_sigma()
        );

        let start = Tensor::new(&[-2f32, -2.0 / 3.0, 2.0 / 3.0, 2.0], &Device::Cpu).unwrap();
        let mut x = (start.reshape((1, 1, 2, 2)).unwrap() * sigma).unwrap();
        let mut source =
            NoiseSource::per_picture(RngKind::TorchCpu, &[3], [1, 2, 2], candle_core::DType::F32);
        let trace = &traces[&index.to_string()];
        for (i, &t) in want.iter().enumerate() {
            let seen = schedule.model_input(&x, i).unwrap();
            let output = ((seen * 3.0).unwrap() + t / 1000.0).unwrap().sin().unwrap();
            let mut fresh = || source.draw(&Device::Cpu);
            let got = schedule.step(&output, i, &x, &mut fresh).unwrap().latents;
            let want = trace.get(i).unwrap().reshape((1, 1, 2, 2)).unwrap();
            let (off, most) = compare(&got, &want);
            // 1e-4 relative: scalars are computed in f32 on both sides, with last places that differ.
            assert!(
                off <= 1e-4 * most.max(1.0),
                "{label}, step {i}: off by {off} of {most}"
            );
            worst = worst.max(off / most.max(1.0));
            steps += 1;
            // Each step is judged alone, but for what the scheduler remembers.
            x = want;
        }
    }
    println!("{steps} steps, at most {worst:e} off");
    assert!(steps > 5000);
}

#[test]
fn half_precision_noise_is_that_of_torch() {
    let cases = tensors("noise.safetensors");
    let mut names: Vec<&String> = cases.keys().collect();
    names.sort();
    let mut sequence = TorchRng::new(9);
    for name in names {
        let parts: Vec<&str> = name.split('.').collect();
        let length: usize = parts[2].parse().unwrap();
        let want = values(&cases[name]);
        let got = match parts[0] {
            "sequence" => sequence.randn_half(length),
            _ => TorchRng::new(parts[1].parse().unwrap()).randn_half(length),
        };
        // Normals agree to 2.5e-7 before rounding: a rare tie may round the other way, by one last place.
        let place = if parts[0] == "bf16" {
            2f32.powi(-8)
        } else {
            2f32.powi(-11)
        };
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let half = want.abs().max(2f32.powi(-10)) * place + 1e-6;
            assert!(
                (got - want).abs() <= half,
                "{name}, element {i}: {got}, not {want}"
            );
        }
        assert_eq!(got.len(), length);
    }
}

fn pipeline(name: &str) -> Pipeline {
    let checkpoint = Checkpoint::open(&fixtures("diffusion").join(name)).unwrap();
    Pipeline::load(&checkpoint, &LoadOptions::default()).unwrap()
}

#[derive(Default)]
struct Trace {
    latents: Vec<Tensor>,
    timesteps: Vec<f64>,
    norms: Vec<Vec<f32>>,
}

impl Observer for Trace {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        assert_eq!(step.index, self.latents.len());
        // What the network predicted together must fit the latents it was given.
        assert_eq!(step.predicted_original.dims(), step.latents.dims());
        self.latents.push(step.latents.get(0).unwrap());
        self.timesteps.push(step.timestep);
        self.norms.push(step.noise_norms().unwrap().unwrap());
        ControlFlow::Continue(())
    }
}

fn request(info: &Value) -> SampleRequest {
    let seeds: Vec<u64> = serde_json::from_value(info["seeds"].clone()).unwrap();
    SampleRequest {
        prompt: info["prompt"].as_str().unwrap().to_owned(),
        sampling: Sampling {
            steps: info["steps"].as_u64().unwrap() as u32,
            guidance: info["guidance"].as_f64().unwrap() as f32,
            width: 64,
            height: 64,
            scheduler: serde_json::from_value(info["scheduler"].clone()).unwrap(),
            negative: info["negative"].as_str().unwrap().to_owned(),
            ..Sampling::default()
        },
        noise: if info["batch"].as_bool().unwrap() {
            InitialNoise::Batch {
                seed: seeds[0],
                count: 2,
            }
        } else {
            InitialNoise::Seeds(seeds)
        },
    }
}

#[test]
fn pictures_form_as_in_diffusers_with_every_scheduler() {
    let infos: Vec<Value> =
        serde_json::from_str(&fs::read_to_string(fixtures("schedulers").join("pictures.json")).unwrap())
            .unwrap();
    let reference = tensors("pictures.safetensors");
    let mut pipelines = HashMap::new();
    for (index, info) in infos.iter().enumerate() {
        let name = info["checkpoint"].as_str().unwrap();
        let pipeline = pipelines.entry(name).or_insert_with(|| pipeline(name));
        let label = format!("{name} {} batch {}", info["scheduler"], info["batch"]);
        let mut trace = Trace::default();
        let sample = pipeline.sample(&request(info), &mut trace).unwrap();
        let timesteps: Vec<f64> = serde_json::from_value(info["timesteps"].clone()).unwrap();
        assert_eq!(trace.timesteps, timesteps, "{label}");
        let want = &reference[&format!("{index}.trace")];
        let offs: Vec<f32> = (0..timesteps.len())
            .map(|i| {
                let (off, most) = compare(&trace.latents[i], &want.get(i).unwrap());
                off / most.max(1.0)
            })
            .collect();
        assert!(
            offs.iter().all(|&off| off <= 1e-3),
            "{label}: latents are off, step by step: {offs:?}"
        );
        let (off, most) = compare(&sample.latents, &reference[&format!("{index}.latents")]);
        assert!(
            off <= 1e-3 * most.max(1.0),
            "{label}: final latents are off by {off}"
        );
        if let Some(image) = reference.get(&format!("{index}.image")) {
            let (off, _) = compare(&sample.decoded.narrow(0, 0, 1).unwrap(), image);
            assert!(off <= 1e-3, "{label}: the picture is off by {off}");
        }
        assert!(
            trace
                .norms
                .iter()
                .all(|n| n.len() == 2 && n[0] > 0.0 && n[0].is_finite())
        );
        println!("{label}: {:e}", offs.iter().copied().fold(0.0, f32::max));
    }
    assert_eq!(infos.len(), 12);
}

#[test]
fn the_predicted_original_and_noise_make_up_the_latents() {
    struct Check(Vec<Tensor>);
    impl Observer for Check {
        fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
            self.0.push(step.predicted_original.clone());
            ControlFlow::Continue(())
        }
    }
    // Whatever the schedule, the last prediction of the original is near the picture itself.
    let pipeline = pipeline("sd1");
    for kind in SchedulerKind::ALL {
        let request = SampleRequest {
            prompt: "a photo".into(),
            sampling: Sampling {
                steps: 20,
                width: 64,
                height: 64,
                scheduler: kind,
                ..Sampling::default()
            },
            noise: InitialNoise::Seeds(vec![1]),
        };
        let mut check = Check(Vec::new());
        let sample = pipeline.sample(&request, &mut check).unwrap();
        let (off, most) = compare(check.0.last().unwrap(), &sample.latents);
        assert!(off < 0.15 * most, "{kind}: {off} of {most}");
    }
}

#[test]
fn pictures_of_an_ancestral_scheduler_do_not_depend_on_their_neighbours() {
    let pipeline = pipeline("sd1");
    let request = |seeds: Vec<u64>, rng| SampleRequest {
        prompt: "a photo".into(),
        sampling: Sampling {
            steps: 6,
            width: 64,
            height: 64,
            scheduler: SchedulerKind::EulerAncestral,
            rng,
            ..Sampling::default()
        },
        noise: InitialNoise::Seeds(seeds),
    };
    for rng in RngKind::ALL {
        let both = pipeline.sample(&request(vec![3, 4], rng), &mut Silent).unwrap();
        let alone = pipeline.sample(&request(vec![4], rng), &mut Silent).unwrap();
        let (off, _) = compare(&alone.decoded, &both.decoded.narrow(0, 1, 1).unwrap());
        assert!(off < 1e-4, "{rng}: off by {off}");
    }
    let noise = Tensor::zeros((1, 4, 8, 8), candle_core::DType::F32, &Device::Cpu).unwrap();
    let given = SampleRequest {
        noise: InitialNoise::Given(noise),
        ..request(vec![], RngKind::TorchCpu)
    };
    let error = pipeline.sample(&given, &mut Silent).unwrap_err();
    assert!(matches!(error, DiffusionError::Request(text) if text.contains("euler-a")));
}

#[test]
fn settings_are_honoured_or_refused_by_key_and_value() {
    let with = |key: &str, value: Value| {
        let mut file =
            json!({"_class_name": "DPMSolverMultistepScheduler", "beta_schedule": "scaled_linear"});
        file[key] = value;
        read(&file.to_string())
    };
    let refused = |key: &str, value: Value, kinds: &[SchedulerKind]| {
        let config = with(key, value.clone()).unwrap();
        for kind in SchedulerKind::ALL {
            match scheduler(kind, &config, 10) {
                Ok(_) => assert!(!kinds.contains(&kind), "{kind} accepts {key} {value}"),
                Err(error) => {
                    let error = error.to_string();
                    assert!(kinds.contains(&kind), "{error}");
                    assert!(
                        error.contains(key) && error.contains(&value.to_string()),
                        "{error}"
                    );
                }
            }
        }
    };
    use SchedulerKind::{DpmPlusPlus, Euler, EulerAncestral, Pndm};
    refused("algorithm_type", json!("sde-dpmsolver++"), &[DpmPlusPlus]);
    refused("solver_order", json!(3), &[DpmPlusPlus]);
    refused("use_lu_lambdas", json!(true), &[DpmPlusPlus]);
    refused("use_flow_sigmas", json!(true), &[DpmPlusPlus]);
    refused("use_exponential_sigmas", json!(true), &[DpmPlusPlus, Euler]);
    refused("use_beta_sigmas", json!(true), &[DpmPlusPlus, Euler]);
    refused("prediction_type", json!("sample"), &[Pndm, EulerAncestral]);
    refused("variance_type", json!("learned"), &[DpmPlusPlus]);
    refused("variance_type", Value::Null, &[]);
    for (key, value) in [
        ("thresholding", json!(true)),
        ("solver_type", json!("runge")),
        ("solver_order", json!(4)),
        ("timestep_spacing", json!("cosine")),
        ("final_sigmas_type", json!("half")),
        ("interpolation_type", json!("cubic")),
        ("prediction_type", json!("flow_prediction")),
        ("beta_schedule", json!("exp")),
        ("skip_prk_steps", json!("yes")),
        ("lambda_min_clipped", json!("low")),
        ("sigma_max", json!(-1)),
        ("_class_name", json!("FlowMatchEulerDiscreteScheduler")),
        ("a_key_of_the_future", json!(3)),
    ] {
        let error = with(key, value.clone()).unwrap_err();
        assert!(
            error.contains(key) && error.contains(&value.to_string()),
            "{key}: {error}"
        );
    }
    let continuous = json!({"timestep_type": "continuous", "prediction_type": "v_prediction"}).to_string();
    assert!(scheduler(Euler, &config(&continuous), 10).is_err());
    assert!(scheduler(EulerAncestral, &config(&continuous), 10).is_ok());
}

#[test]
fn the_class_decides_the_default_scheduler() {
    for (class, own) in [
        ("PNDMScheduler", Some(SchedulerKind::Pndm)),
        ("DDIMScheduler", Some(SchedulerKind::Ddim)),
        ("DPMSolverMultistepScheduler", Some(SchedulerKind::DpmPlusPlus)),
        ("EulerDiscreteScheduler", Some(SchedulerKind::Euler)),
        (
            "EulerAncestralDiscreteScheduler",
            Some(SchedulerKind::EulerAncestral),
        ),
        ("LMSDiscreteScheduler", None),
    ] {
        assert_eq!(config(&json!({ "_class_name": class }).to_string()).own(), own);
    }
}
