//! The diffusion room against diffusers, by the fixtures of `tools/fixtures/diffusion.py`, and against bad input.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers are not seen as tests"
)]

mod common;

use candle_core::{DType, Device, Tensor, Var};
use common::tensors::{distance, json_file, largest, tensors};
use pentimento::{
    diffusion::{
        Checkpoint, ClipTokenizer, Compute, DiffusionError, InitialNoise, Kernels, LoadOptions, Observer,
        Pipeline, ProbeSet, SampleRequest, ScheduleConfig, Silent, Site, Step, Tap, TextConfig, TorchRng,
        scheduler,
    },
    study::{Sampling, SchedulerKind},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

const CHECKPOINTS: [&str; 3] = ["sd1", "sd2", "groups16"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diffusion")
}

fn load(name: &str) -> (Pipeline, HashMap<String, Tensor>, Value) {
    let root = fixtures().join(name);
    let checkpoint = Checkpoint::open(&root).unwrap();
    let pipeline = Pipeline::load(&checkpoint, &LoadOptions::default()).unwrap();
    (
        pipeline,
        tensors(&root.join("reference.safetensors")),
        json_file(&root.join("reference.json")),
    )
}

#[track_caller]
fn close(what: &str, got: &Tensor, want: &Tensor, tolerance: f32) {
    let off = distance(got, want);
    assert!(
        off <= tolerance,
        "{what}: off by {off:e}, more than {tolerance:e} (values up to {})",
        largest(want)
    );
}

fn plain() -> Compute<'static> {
    Compute::new(Kernels::Plain)
}

#[test]
fn noise_is_that_of_torch() {
    let mut sequence = TorchRng::new(9);
    let cases = tensors(&fixtures().join("noise.safetensors"));
    let mut names: Vec<&String> = cases.keys().collect();
    names.sort();
    for name in names {
        let parts: Vec<&str> = name.split('.').collect();
        let got = match parts[..] {
            // One generator drawn from several times, short and long calls mixed.
            ["sequence", _, length] => sequence.randn(length.parse().unwrap()),
            [seed, length] => TorchRng::new(seed.parse().unwrap()).randn(length.parse().unwrap()),
            _ => panic!("{name}"),
        };
        let got = Tensor::from_slice(&got, got.len(), &Device::Cpu).unwrap();
        close(name, &got, &cases[name], 5e-7);
    }
}

#[test]
fn schedules_step_like_diffusers() {
    let cases = json_file(&fixtures().join("schedules.json"));
    let traces = tensors(&fixtures().join("schedules.safetensors"));
    let folder = tempfile::tempdir().unwrap();
    for (index, case) in cases.as_array().unwrap().iter().enumerate() {
        let path = folder.path().join("scheduler_config.json");
        fs::write(&path, case["config"].to_string()).unwrap();
        let config = ScheduleConfig::read(&path).unwrap();
        let steps = case["steps"].as_u64().unwrap() as usize;
        let mut ddim = scheduler(SchedulerKind::Ddim, &config, steps).unwrap();
        let timesteps: Vec<f64> = serde_json::from_value(case["timesteps"].clone()).unwrap();
        assert_eq!(ddim.timesteps(), timesteps, "case {index}: {case}");
        let trace = &traces[&index.to_string()];
        let mut x = Tensor::new(&[-2f32, -2.0 / 3.0, 2.0 / 3.0, 2.0], &Device::Cpu).unwrap();
        for (i, &t) in timesteps.iter().enumerate() {
            let output = ((&x * 3.0).unwrap() + t / 1000.0).unwrap().sin().unwrap();
            let mut fresh = || x.zeros_like();
            x = ddim.step(&output, i, &x, &mut fresh).unwrap().latents;
            let want = trace.get(i).unwrap();
            let tolerance = 2e-5 * largest(&want).max(1.0);
            close(&format!("case {index}, step {i} of {case}"), &x, &want, tolerance);
            // Each step is judged alone.
            x = want;
        }
    }
}

#[test]
fn prompts_become_the_same_tokens() {
    for name in CHECKPOINTS {
        let (pipeline, _, info) = load(name);
        for pair in info["ids"].as_array().unwrap() {
            let prompt = pair[0].as_str().unwrap();
            let want: Vec<u32> = serde_json::from_value(pair[1].clone()).unwrap();
            assert_eq!(
                pipeline.tokenizer().encode(prompt).unwrap(),
                want,
                "{name}: “{prompt}”"
            );
        }
    }
}

#[test]
fn single_passes_match_diffusers_with_both_kernels() {
    for name in CHECKPOINTS {
        let (fast, reference, info) = load(name);
        for (kernels, pipeline) in [
            ("fast", fast.clone()),
            ("plain", fast.with_kernels(Kernels::Plain)),
        ] {
            let prompts: Vec<&str> = [2, 7, 13]
                .iter()
                .map(|&i| info["ids"][i][0].as_str().unwrap())
                .collect();
            let embedding = pipeline.encode_prompts(&prompts).unwrap();
            let label = |what: &str| format!("{name} {kernels} {what}");
            close(&label("embedding"), &embedding, &reference["embedding"], 1e-4);
            let context = reference["embedding"].narrow(0, 0, 2).unwrap();
            for t in [1, 481, 981] {
                let at = f64::from(t);
                let got = pipeline.predict(&reference["latents"], at, &context).unwrap();
                close(
                    &label(&format!("unet at {t}")),
                    &got,
                    &reference[&format!("unet.{t}")],
                    1e-4,
                );
            }
            let one = context.narrow(0, 0, 1).unwrap();
            let got = pipeline.predict(&reference["odd.latents"], 301.0, &one).unwrap();
            close(&label("unet on odd sizes"), &got, &reference["odd.unet"], 1e-4);
            let got = pipeline
                .vae()
                .decode(&reference["latents"], pipeline.compute())
                .unwrap();
            close(&label("vae, batch of two"), &got, &reference["decoded"], 1e-4);
        }
    }
}

/// Keeps latents and norms of every step.
#[derive(Default)]
struct Trace {
    latents: Vec<Tensor>,
    norms: Vec<Option<Vec<f32>>>,
    timesteps: Vec<f64>,
}

impl Observer for Trace {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        assert_eq!(step.index, self.latents.len());
        self.latents.push(step.latents.clone());
        self.norms.push(step.noise_norms().unwrap());
        self.timesteps.push(step.timestep);
        ControlFlow::Continue(())
    }
}

fn request(info: &Value) -> SampleRequest {
    let t = &info["trajectory"];
    SampleRequest {
        prompt: t["prompt"].as_str().unwrap().to_owned(),
        sampling: Sampling {
            steps: t["steps"].as_u64().unwrap() as u32,
            guidance: t["guidance"].as_f64().unwrap() as f32,
            width: 64,
            height: 64,
            negative: t["negative"].as_str().unwrap().to_owned(),
            ..Sampling::default()
        },
        noise: InitialNoise::Seeds(serde_json::from_value(t["seeds"].clone()).unwrap()),
    }
}

#[test]
fn pictures_form_as_in_diffusers() {
    for name in CHECKPOINTS {
        let (fast, reference, info) = load(name);
        let request = request(&info);
        for pipeline in [fast.clone(), fast.with_kernels(Kernels::Plain)] {
            let mut trace = Trace::default();
            let sample = pipeline.sample(&request, &mut trace).unwrap();
            let timesteps: Vec<f64> =
                serde_json::from_value(info["trajectory"]["timesteps"].clone()).unwrap();
            assert_eq!(trace.timesteps, timesteps);
            let offs: Vec<f32> = (0..timesteps.len())
                .map(|i| distance(&trace.latents[i], &reference["trajectory"].get(i).unwrap()))
                .collect();
            assert!(
                offs.iter().all(|&off| off <= 1e-3),
                "{name}: latents are off, step by step: {offs:?}"
            );
            close(
                &format!("{name}: pictures"),
                &sample.decoded,
                &reference["image"],
                1e-3,
            );
            assert!(
                trace
                    .norms
                    .iter()
                    .all(|n| n.as_ref().is_some_and(|n| n.len() == 2 && n[0] > 0.0))
            );
        }
        let unguided = SampleRequest {
            sampling: Sampling {
                guidance: 1.0,
                ..request.sampling.clone()
            },
            noise: InitialNoise::Batch { seed: 5, count: 2 },
            ..request
        };
        let mut trace = Trace::default();
        let sample = fast.sample(&unguided, &mut trace).unwrap();
        close(
            &format!("{name}: without guidance"),
            &sample.latents,
            &reference["unguided"],
            1e-3,
        );
        assert!(trace.norms.iter().all(Option::is_none));
    }
}

#[test]
fn a_picture_does_not_depend_on_its_neighbours_or_on_threads() {
    let (pipeline, _, info) = load("sd1");
    let together = request(&info);
    let both = pipeline.sample(&together, &mut Silent).unwrap();
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let alone = SampleRequest {
            noise: InitialNoise::Seeds(vec![4]),
            ..together.clone()
        };
        let one = pool.install(|| pipeline.sample(&alone, &mut Silent)).unwrap();
        close(
            "second picture alone",
            &one.decoded,
            &both.decoded.narrow(0, 1, 1).unwrap(),
            1e-4,
        );
        let again = pool.install(|| pipeline.sample(&alone, &mut Silent)).unwrap();
        assert_eq!(
            one.images[0].as_raw(),
            again.images[0].as_raw(),
            "not reproducible on {threads} threads"
        );
    }
}

#[test]
fn given_noise_is_used_as_it_is() {
    let (pipeline, _, info) = load("sd1");
    let by_seed = request(&info);
    let noise = pipeline.initial_noise(&by_seed).unwrap();
    let given = SampleRequest {
        noise: InitialNoise::Given(noise),
        ..by_seed.clone()
    };
    let a = pipeline.sample(&by_seed, &mut Silent).unwrap();
    let b = pipeline.sample(&given, &mut Silent).unwrap();
    assert_eq!(a.images[0].as_raw(), b.images[0].as_raw());
}

/// Keeps everything it is shown.
struct Curious {
    set: ProbeSet,
    seen: BTreeMap<String, Tensor>,
    calls: usize,
}

impl Curious {
    fn new(set: ProbeSet) -> Self {
        Self {
            set,
            seen: BTreeMap::new(),
            calls: 0,
        }
    }

    fn keep(&mut self, name: String, tensor: &Tensor) {
        self.calls += 1;
        self.seen.insert(name, tensor.clone());
    }
}

impl Observer for Curious {
    fn step(&mut self, _: &Step<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    fn probe(&self) -> ProbeSet {
        self.set.clone()
    }
    fn attention(&mut self, site: &Site<'_>, probabilities: &Tensor) {
        assert_eq!(probabilities.dim(2).unwrap(), site.height * site.width);
        self.keep(format!("attention.{}.attn2", site.layer), probabilities);
    }
    fn value(&mut self, site: &Site<'_>, values: &Tensor) {
        self.keep(format!("value.{}.attn2.to_v", site.layer), values);
    }
    fn feed_forward(&mut self, site: &Site<'_>, inputs: &Tensor) {
        self.keep(format!("feed_forward.{}.ff.net.2", site.layer), inputs);
    }
}

#[test]
fn probes_see_what_hooks_in_diffusers_see() {
    let (fast, reference, _) = load("sd1");
    let context = reference["embedding"].narrow(0, 0, 2).unwrap();
    let expected: Vec<&String> = reference
        .keys()
        .filter(|k| {
            ["attention.", "value.", "feed_forward."]
                .iter()
                .any(|p| k.starts_with(p))
        })
        .collect();
    assert_eq!(expected.len(), 12);
    for compute in [fast.compute(), plain()] {
        let mut curious = Curious::new(ProbeSet::all());
        let tap = Tap::new(&mut curious, 0, 481.0, false);
        let output = fast
            .unet()
            .forward(&reference["latents"], 481.0, &context, compute, tap)
            .unwrap();
        close("output while probed", &output, &reference["unet.481"], 1e-4);
        assert_eq!(curious.seen.len(), expected.len());
        for name in &expected {
            close(name, &curious.seen[*name], &reference[*name], 1e-4);
        }
    }
}

#[test]
fn probes_come_when_asked_for_and_change_nothing() {
    let (pipeline, _, info) = load("sd1");
    let request = request(&info);
    let silent = pipeline.sample(&request, &mut Silent).unwrap();
    let mut curious = Curious::new(ProbeSet {
        feed_forward: false,
        steps: 9..10,
        ..ProbeSet::all()
    });
    let watched = pipeline.sample(&request, &mut curious).unwrap();
    close("pictures while watched", &watched.decoded, &silent.decoded, 1e-4);
    // Four transformer blocks, two views of each, in the last of ten steps only.
    assert_eq!(curious.calls, 8);
    assert!(
        curious.seen.values().all(|t| t.dim(0).unwrap() == 4),
        "both halves of two pictures"
    );
}

#[test]
fn the_observer_can_stop() {
    struct Stop(usize);
    impl Observer for Stop {
        fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
            self.0 += 1;
            if step.index == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
    }
    let (pipeline, _, info) = load("sd1");
    let mut stop = Stop(0);
    let result = pipeline.sample(&request(&info), &mut stop);
    assert!(matches!(result, Err(DiffusionError::Stopped)));
    assert_eq!(stop.0, 3);
}

#[test]
fn the_plain_path_can_be_differentiated() {
    for name in CHECKPOINTS {
        let (pipeline, reference, info) = load(name);
        let text = Var::from_tensor(&reference["embedding"].narrow(0, 0, 1).unwrap()).unwrap();
        let empty = reference["embedding"].narrow(0, 1, 1).unwrap();
        let x = reference["latents"].narrow(0, 0, 1).unwrap();
        let run = |context: &Tensor| {
            pipeline
                .unet()
                .forward(&x, 901.0, context, plain(), None)
                .unwrap()
        };
        let norm = (run(&text) - run(&empty))
            .unwrap()
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap()
            .sqrt()
            .unwrap();
        let want = info["gradient_norm"].as_f64().unwrap() as f32;
        assert!(
            (norm.to_scalar::<f32>().unwrap() / want - 1.0).abs() < 1e-4,
            "{name}: norm"
        );
        let gradients = norm.backward().unwrap();
        let gradient = gradients.get(&text).unwrap();
        let tolerance = 1e-3 * largest(&reference["gradient"]);
        close(
            &format!("{name}: gradient"),
            gradient,
            &reference["gradient"],
            tolerance,
        );
    }
}

#[test]
fn edited_weights_change_the_picture_and_leave_the_original_alone() {
    let (pipeline, reference, _) = load("sd1");
    let context = reference["embedding"].narrow(0, 0, 2).unwrap();
    let name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight".to_owned();
    let zero = pipeline.unet_weights().get(&name).unwrap().zeros_like().unwrap();
    let edited = pipeline.with_unet_tensors([(name.clone(), zero)]).unwrap();
    let run = |p: &Pipeline| p.predict(&reference["latents"], 481.0, &context).unwrap();
    assert!(distance(&run(&edited), &reference["unet.481"]) > 1e-3);
    close(
        "original after the edit",
        &run(&pipeline),
        &reference["unet.481"],
        1e-4,
    );
    let wrong = Tensor::zeros((3, 3), DType::F32, &Device::Cpu).unwrap();
    let error = pipeline
        .with_unet_tensors([(name.clone(), wrong)])
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains(&name) && error.contains("[3, 3]"), "{error}");
}

#[test]
fn half_precision_draws_nearly_the_same() {
    let root = fixtures().join("sd1");
    let checkpoint = Checkpoint::open(&root).unwrap();
    let options = LoadOptions {
        dtype: DType::F16,
        ..LoadOptions::default()
    };
    let half = Pipeline::load(&checkpoint, &options).unwrap();
    let reference = tensors(&root.join("reference.safetensors"));
    let context = reference["embedding"]
        .narrow(0, 0, 2)
        .unwrap()
        .to_dtype(DType::F16)
        .unwrap();
    let got = half.predict(&reference["latents"], 481.0, &context).unwrap();
    close("f16", &got, &reference["unet.481"], 0.02);
    let refused = Pipeline::load(
        &checkpoint,
        &LoadOptions {
            dtype: DType::BF16,
            ..options
        },
    );
    assert!(refused.err().unwrap().to_string().contains("bf16"));
}

#[test]
fn previews_have_one_pixel_per_latent_and_follow_the_decoder() {
    let (pipeline, _, info) = load("sd1");
    let sample = pipeline.sample(&request(&info), &mut Silent).unwrap();
    let previews = pipeline.preview(&sample.latents).unwrap();
    assert_eq!((previews.len(), previews[0].dimensions()), (2, (8, 8)));

    // Against the decoder on patches: better than one grey picture, although a random decoder is far from linear.
    let coarse =
        Tensor::from_vec(TorchRng::new(77).randn(4 * 4 * 4 * 4), (4, 4, 4, 4), &Device::Cpu).unwrap();
    let latents = coarse.upsample_nearest2d(16, 16).unwrap();
    let decoded = pipeline.decode(&latents).unwrap().avg_pool2d(8).unwrap();
    let previews = pipeline.preview(&latents).unwrap();
    let (mut error, mut spread) = (0f64, 0f64);
    let mean = f64::from(decoded.mean_all().unwrap().to_scalar::<f32>().unwrap());
    for (picture, preview) in previews.iter().enumerate() {
        let truth = decoded
            .get(picture)
            .unwrap()
            .permute((1, 2, 0))
            .unwrap()
            .flatten_all()
            .unwrap();
        for (truth, &byte) in truth.to_vec1::<f32>().unwrap().iter().zip(preview.as_raw()) {
            error += (f64::from(*truth) - f64::from(byte) / 255.0).powi(2);
            spread += (f64::from(*truth) - mean).powi(2);
        }
    }
    assert!(
        error < 0.7 * spread,
        "previews leave {:.2} of the variance unexplained",
        error / spread
    );
}

#[test]
fn requests_out_of_range_are_refused_in_words() {
    let (pipeline, _, info) = load("sd1");
    let good = request(&info);
    let refused = |r: SampleRequest| pipeline.sample(&r, &mut Silent).unwrap_err().to_string();
    let with = |noise| SampleRequest {
        noise,
        ..good.clone()
    };
    assert!(refused(with(InitialNoise::Seeds(vec![]))).contains("0 pictures"));
    assert!(refused(with(InitialNoise::Batch { seed: 1, count: 9999 })).contains("9999"));
    let wrong = Tensor::zeros((1, 4, 8, 9), DType::F32, &Device::Cpu).unwrap();
    assert!(refused(with(InitialNoise::Given(wrong))).contains("[1, 4, 8, 9]"));
    let nan = Tensor::full(f32::NAN, (1, 4, 8, 8), &Device::Cpu).unwrap();
    assert!(refused(with(InitialNoise::Given(nan))).contains("not finite"));
    let sampling = Sampling {
        steps: 1000,
        ..good.sampling.clone()
    };
    assert!(
        refused(SampleRequest {
            sampling,
            ..good.clone()
        })
        .contains("steps_offset")
    );
    let sampling = Sampling {
        width: 60,
        ..good.sampling.clone()
    };
    assert!(
        refused(SampleRequest {
            sampling,
            ..good.clone()
        })
        .contains("width")
    );
}

// Bad checkpoints.

/// A private copy of a fixture checkpoint.
fn copy(name: &str) -> tempfile::TempDir {
    fn all(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                all(&entry.path(), &target)
            } else {
                drop(fs::copy(entry.path(), target))
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    all(&fixtures().join(name), folder.path());
    folder
}

fn open_error(root: &Path) -> String {
    match Checkpoint::open(root) {
        Err(e) => e.to_string(),
        Ok(checkpoint) => match Pipeline::load(&checkpoint, &LoadOptions::default()) {
            Err(e) => e.to_string(),
            Ok(_) => panic!("this checkpoint must not load"),
        },
    }
}

#[track_caller]
fn mentions(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "“{part}” is not in: {text}");
    }
}

fn set(path: &Path, key: &str, value: Value) {
    let mut config = json_file(path);
    config[key] = value;
    fs::write(path, config.to_string()).unwrap();
}

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

#[test]
fn every_missing_file_is_named_at_once() {
    let folder = copy("sd1");
    let root = folder.path();
    for name in [
        "model_index.json",
        UNET,
        "vae/config.json",
        "tokenizer/merges.txt",
    ] {
        fs::remove_file(root.join(name)).unwrap();
    }
    mentions(
        &open_error(root),
        &["model_index.json", UNET, "vae/config.json", "merges.txt"],
    );
    mentions(&open_error(&root.join("nowhere")), &["is not a folder"]);
}

#[test]
fn pickle_weights_are_not_read_but_explained() {
    let folder = copy("sd1");
    let root = folder.path();
    fs::rename(root.join(UNET), root.join("unet/diffusion_pytorch_model.bin")).unwrap();
    mentions(
        &open_error(root),
        &[
            "unet/diffusion_pytorch_model.bin",
            "pickle",
            "safe_serialization=True",
        ],
    );
}

#[test]
fn settings_that_cannot_be_honoured_are_refused_by_key_and_value() {
    for (file, key, value, part) in [
        (
            "unet/config.json",
            "class_embed_type",
            json!("timestep"),
            "only null",
        ),
        (
            "unet/config.json",
            "resnet_time_scale_shift",
            json!("scale_shift"),
            "\"default\"",
        ),
        (
            "unet/config.json",
            "block_out_channels",
            json!("many"),
            "whole numbers",
        ),
        ("unet/config.json", "block_out_channels", json!([16, 0]), "[16,0]"),
        (
            "unet/config.json",
            "block_out_channels",
            json!([16, 99_999_999]),
            "99999999",
        ),
        (
            "unet/config.json",
            "norm_num_groups",
            json!(7),
            "multiple of norm_num_groups (7)",
        ),
        ("unet/config.json", "attention_head_dim", json!([4, 5]), "5 heads"),
        ("unet/config.json", "attention_head_dim", json!(-4), "-4"),
        (
            "unet/config.json",
            "down_block_types",
            json!(["SimpleCrossAttnDownBlock2D", "DownBlock2D"]),
            "Simple",
        ),
        ("unet/config.json", "in_channels", json!(9), "inpainting"),
        ("unet/config.json", "brand_new_setting", json!(3), "does not know"),
        ("vae/config.json", "act_fn", json!("relu"), "silu"),
        ("vae/config.json", "scaling_factor", json!("big"), "number"),
        (
            "text_encoder/config.json",
            "hidden_act",
            json!("gelu_new"),
            "quick_gelu",
        ),
        (
            "text_encoder/config.json",
            "num_attention_heads",
            json!(5),
            "multiple",
        ),
        (
            "scheduler/scheduler_config.json",
            "beta_schedule",
            json!("exotic"),
            "scaled_linear",
        ),
        (
            "scheduler/scheduler_config.json",
            "num_train_timesteps",
            json!(1e12),
            "whole number",
        ),
        (
            "scheduler/scheduler_config.json",
            "thresholding",
            json!(true),
            "only false",
        ),
        (
            "model_index.json",
            "_class_name",
            json!("StableDiffusionXLPipeline"),
            "StableDiffusionPipeline",
        ),
    ] {
        let folder = copy("sd1");
        set(&folder.path().join(file), key, value);
        mentions(
            &open_error(folder.path()),
            &[Path::new(file).file_name().unwrap().to_str().unwrap(), key, part],
        );
    }
}

#[test]
fn json_of_the_wrong_form_is_refused_by_file() {
    for (file, content, part) in [
        ("unet/config.json", "[1, 2]", "expected an object"),
        ("vae/config.json", "{\"act_fn\": ", "line 1"),
        ("text_encoder/config.json", "", "not valid JSON"),
        ("tokenizer/vocab.json", "{\"a\": \"b\"}", "vocabulary lacks"),
        ("tokenizer/vocab.json", "[]", "vocabulary lacks"),
        ("tokenizer/merges.txt", "#version: 0.2\na b c\n", "line 2"),
        ("tokenizer/merges.txt", "#version: 0.2\nqq zz\n", "tokenizer"),
        (
            "tokenizer/tokenizer_config.json",
            "{\"pad_token\": \"<nowhere>\"}",
            "<nowhere>",
        ),
    ] {
        let folder = copy("sd1");
        fs::write(folder.path().join(file), content).unwrap();
        let name = if file.ends_with("config.json") && file.starts_with("tokenizer") {
            "vocab.json"
        } else {
            file
        };
        let name = if part == "tokenizer" { "vocab.json" } else { name };
        mentions(
            &open_error(folder.path()),
            &[Path::new(name).file_name().unwrap().to_str().unwrap(), part],
        );
    }
}

#[test]
fn damaged_weight_files_are_refused_without_reading_on() {
    let good = fs::read(fixtures().join("sd1").join(UNET)).unwrap();
    let huge = [&u64::MAX.to_le_bytes()[..], &good[8..]].concat();
    let long = [&(1u64 << 23).to_le_bytes()[..], &good[8..]].concat();
    let header = u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let with_header =
        |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &[0; 64]].concat();
    let wrong_size = with_header(r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,8]}}"#);
    let overflow =
        with_header(r#"{"a":{"dtype":"F32","shape":[18446744073709551615,8],"data_offsets":[0,8]}}"#);
    let beyond = with_header(r#"{"a":{"dtype":"F32","shape":[400],"data_offsets":[0,1600]}}"#);
    let backwards = with_header(r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[32,16]}}"#);
    let no_entry = with_header(r#"{"a":7}"#);
    for (bytes, part) in [
        (Vec::new(), "no header"),
        (good[..good.len() - 1000].to_vec(), "cut off"),
        (good[..header / 2].to_vec(), "the file has only"),
        (huge, "its header claims"),
        (long, "the file has only"),
        (wrong_size, "a is [4] of F32 but has 8 bytes"),
        (overflow, "but has 8 bytes"),
        (beyond, "cut off"),
        (backwards, "cut off"),
        (no_entry, "entry for a"),
        (b"PK\x03\x04 not weights at all".to_vec(), "header"),
    ] {
        let folder = copy("sd1");
        fs::write(folder.path().join(UNET), bytes).unwrap();
        mentions(
            &open_error(folder.path()),
            &["diffusion_pytorch_model.safetensors", part],
        );
    }
}

#[test]
fn weights_that_do_not_fit_the_configuration_are_listed() {
    let folder = copy("sd1");
    let path = folder.path().join(UNET);
    let mut weights = tensors(&path);
    weights.remove("conv_in.bias").unwrap();
    let moved = weights.remove("conv_out.bias").unwrap();
    weights.insert("lora.up.weight".into(), moved);
    weights.insert(
        "conv_out.weight".into(),
        Tensor::zeros((4, 16, 1, 1), DType::F32, &Device::Cpu).unwrap(),
    );
    candle_core::safetensors::save(&weights, &path).unwrap();
    mentions(
        &open_error(folder.path()),
        &[
            "missing conv_in.bias [16]",
            "missing conv_out.bias [4]",
            "conv_out.weight is [4, 16, 1, 1], expected [4, 16, 3, 3]",
            "unexpected lora.up.weight [4]",
        ],
    );

    let folder = copy("sd1");
    set(
        &folder.path().join("unet/config.json"),
        "layers_per_block",
        json!(2),
    );
    mentions(
        &open_error(folder.path()),
        &["missing down_blocks.0.resnets.1.norm1.weight", "more"],
    );

    let folder = copy("sd1");
    set(
        &folder.path().join("unet/config.json"),
        "cross_attention_dim",
        json!(64),
    );
    mentions(
        &open_error(folder.path()),
        &["cross_attention_dim is 64", "hidden_size is 32"],
    );
}

#[test]
fn numbers_that_are_not_finite_and_types_that_are_not_read_are_found() {
    let folder = copy("sd1");
    let path = folder.path().join(UNET);
    let mut weights = tensors(&path);
    let mut bias = vec![0f32; 16];
    bias[5] = f32::NAN;
    bias[9] = f32::INFINITY;
    weights.insert("conv_in.bias".into(), Tensor::new(bias, &Device::Cpu).unwrap());
    candle_core::safetensors::save(&weights, &path).unwrap();
    mentions(
        &open_error(folder.path()),
        &["conv_in.bias: 2 of 16 values, the first at 5"],
    );

    weights.insert(
        "conv_in.bias".into(),
        Tensor::zeros(16, DType::I64, &Device::Cpu).unwrap(),
    );
    candle_core::safetensors::save(&weights, &path).unwrap();
    mentions(&open_error(folder.path()), &["conv_in.bias is of type I64"]);
}

#[test]
fn shard_lists_cannot_lead_outside_the_folder() {
    let folder = copy("sd2");
    let index = folder
        .path()
        .join("unet/diffusion_pytorch_model.safetensors.index.json");
    for (content, part) in [
        (
            json!({"weight_map": {"a": "../../secret.safetensors"}}),
            "beside it",
        ),
        (json!({"weight_map": {"a": 7}}), "file names"),
        (json!({"weights": {}}), "weight_map"),
        (
            json!({"weight_map": {"a": "absent.safetensors"}}),
            "unet/absent.safetensors",
        ),
    ] {
        fs::write(&index, content.to_string()).unwrap();
        mentions(&open_error(folder.path()), &[part]);
    }
}

#[test]
fn a_vocabulary_larger_than_the_text_encoder_is_refused() {
    let root = fixtures().join("sd1");
    let text = TextConfig {
        vocab_size: 100,
        ..TextConfig::read(&root.join("text_encoder/config.json")).unwrap()
    };
    let error = ClipTokenizer::open(&root.join("tokenizer"), &text)
        .err()
        .unwrap()
        .to_string();
    mentions(&error, &["vocab.json", "knows only 100 tokens"]);
}

#[test]
fn checkpoints_say_what_they_are() {
    let checkpoint = Checkpoint::open(&fixtures().join("sd2")).unwrap();
    assert_eq!(checkpoint.default_size(), (64, 64));
    mentions(
        &checkpoint.summary(),
        &["64×64", "16-32", "v-prediction", "DDIMScheduler"],
    );
    // Its scheduler's file was written by PNDM, but the index names DDIM.
    let mixed = Checkpoint::open(&fixtures().join("sd1")).unwrap();
    mentions(&mixed.summary(), &["DDIMScheduler"]);
    mentions(
        &mixed.overrides.join("\n"),
        &["PNDMScheduler", "model_index.json"],
    );
}
