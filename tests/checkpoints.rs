//! How checkpoints are read: storage in half precision, single files, real configurations, and bad input.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and helpers are not seen as tests"
)]

mod common;
#[path = "checkpoints/corrections.rs"]
mod corrections;
#[path = "checkpoints/prompts.rs"]
mod prompts;
#[path = "checkpoints/stop.rs"]
mod stop;

use candle_core::{DType, Device, Tensor};
use common::tensors::{distance, json_file, tensors, values};
use pentimento::{
    diffusion::{
        Activation, Checkpoint, ClipTokenizer, InitialNoise, Kernels, LoadOptions, Observer, Pipeline,
        Prediction, SampleRequest, ScheduleConfig, Step, TextConfig, UNetConfig, Untouched, VaeConfig,
        WeightStorage, export,
    },
    study::{Edit, LayerRef, NeuronEdit, Sampling, Variant},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn root(name: &str) -> PathBuf {
    fixtures().join("diffusion").join(name)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (
            entry.as_ref().unwrap().path(),
            to.join(entry.unwrap().file_name()),
        );
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&root(name), folder.path());
    folder
}

fn load(path: &Path, storage: WeightStorage) -> Result<Pipeline, String> {
    let checkpoint = Checkpoint::open(path).map_err(|e| e.to_string())?;
    let options = LoadOptions {
        storage,
        ..LoadOptions::default()
    };
    Pipeline::load(&checkpoint, &options).map_err(|e| e.to_string())
}

#[track_caller]
fn refused(path: &Path, parts: &[&str]) {
    let start = Instant::now();
    let text = load(path, WeightStorage::Auto).err().expect("this must not load");
    for part in parts {
        assert!(text.contains(part), "“{part}” is not in: {text}");
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "refusing took too long"
    );
}

#[derive(Default)]
struct Trace(Vec<Tensor>);

impl Observer for Trace {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        self.0.push(step.latents.clone());
        ControlFlow::Continue(())
    }
}

/// The fixture's trajectory, drawn by a pipeline, against diffusers.
fn follows_diffusers(what: &str, pipeline: &Pipeline, name: &str) {
    let folder = root(name);
    let (info, reference) = (
        json_file(&folder.join("reference.json")),
        tensors(&folder.join("reference.safetensors")),
    );
    let t = &info["trajectory"];
    let request = SampleRequest {
        prompt: t["prompt"].as_str().unwrap().to_owned(),
        sampling: Sampling {
            steps: t["steps"].as_u64().unwrap() as u32,
            guidance: t["guidance"].as_f64().unwrap() as f32,
            width: t["width"].as_u64().unwrap_or(64) as u32,
            height: t["height"].as_u64().unwrap_or(64) as u32,
            negative: t["negative"].as_str().unwrap().to_owned(),
            ..Sampling::default()
        },
        noise: InitialNoise::Seeds(serde_json::from_value(t["seeds"].clone()).unwrap()),
    };
    let mut trace = Trace::default();
    let sample = pipeline.sample(&request, &mut trace).unwrap();
    let offs: Vec<f32> = trace
        .0
        .iter()
        .enumerate()
        .map(|(i, got)| distance(got, &reference["trajectory"].get(i).unwrap()))
        .collect();
    assert!(
        !offs.is_empty() && offs.iter().all(|&off| off <= 1e-3),
        "{what}: latents are off, step by step: {offs:?}"
    );
    assert!(
        distance(&sample.decoded, &reference["image"]) <= 1e-3,
        "{what}: picture"
    );
}

#[test]
fn more_shapes_draw_as_in_diffusers() {
    for name in ["deep", "bare", "mixed"] {
        let name = format!("../diffusion-shapes/{name}");
        for (storage, kernels) in [
            (WeightStorage::AsStored, Kernels::Fast),
            (WeightStorage::Widened, Kernels::Fast),
            (WeightStorage::Widened, Kernels::Plain),
        ] {
            let pipeline = load(&root(&name), storage).unwrap().with_kernels(kernels);
            follows_diffusers(&format!("{name} {storage:?} {kernels:?}"), &pipeline, &name);
        }
    }
}

// Storage.

#[test]
fn weights_held_as_stored_give_the_same_numbers_to_the_last_bit() {
    // groups16 has a text encoder in bf16, the rest is f16.
    for name in ["sd1", "sd2", "groups16"] {
        let stored = load(&root(name), WeightStorage::AsStored).unwrap();
        let wide = load(&root(name), WeightStorage::Widened).unwrap();
        assert!(
            stored.unet_weights().bytes() * 10 < wide.unet_weights().bytes() * 6,
            "{name}: {} of {} bytes",
            stored.unet_weights().bytes(),
            wide.unet_weights().bytes()
        );
        assert_eq!(
            stored.unet_weights().stored("conv_in.weight").unwrap().dtype(),
            DType::F16
        );
        assert_eq!(
            stored.unet_weights().get("conv_in.weight").unwrap().dtype(),
            DType::F32
        );
        let reference = tensors(&root(name).join("reference.safetensors"));
        for (threads, kernels) in [(1, Kernels::Fast), (2, Kernels::Fast), (2, Kernels::Plain)] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let [a, b] = [&stored, &wide].map(|pipeline| {
                let pipeline = pipeline.with_kernels(kernels);
                pool.install(|| {
                    let text = pipeline.encode_prompts(&["a photo of a red house", ""]).unwrap();
                    let unet = pipeline.predict(&reference["latents"], 481.0, &text).unwrap();
                    let odd = text.narrow(0, 0, 1).unwrap();
                    let odd = pipeline.predict(&reference["odd.latents"], 301.0, &odd).unwrap();
                    let picture = pipeline.decode(&reference["latents"]).unwrap();
                    [text, unet, odd, picture].map(|t| values(&t))
                })
            });
            assert!(a == b, "{name} with {kernels:?} kernels on {threads} threads");
        }
        follows_diffusers(name, &stored, name);
    }
}

#[test]
fn a_bf16_unet_is_widened_exactly() {
    let folder = copy("sd1");
    let path = folder.path().join("unet/diffusion_pytorch_model.safetensors");
    let brain: HashMap<_, _> = tensors(&path)
        .into_iter()
        .map(|(name, t)| (name, t.to_dtype(DType::BF16).unwrap()))
        .collect();
    candle_core::safetensors::save(&brain, &path).unwrap();
    let stored = load(folder.path(), WeightStorage::AsStored).unwrap();
    assert_eq!(
        stored.unet_weights().stored("conv_in.weight").unwrap().dtype(),
        DType::BF16
    );
    let wide: HashMap<_, _> = brain
        .into_iter()
        .map(|(name, t)| (name, t.to_dtype(DType::F32).unwrap()))
        .collect();
    candle_core::safetensors::save(&wide, &path).unwrap();
    let single = load(folder.path(), WeightStorage::Auto).unwrap();
    let reference = tensors(&root("sd1").join("reference.safetensors"));
    let context = reference["embedding"].narrow(0, 0, 2).unwrap();
    let run = |p: &Pipeline| values(&p.predict(&reference["latents"], 481.0, &context).unwrap());
    assert!(run(&stored) == run(&single));
}

#[test]
fn edits_of_weights_held_as_stored_may_be_in_single_precision() {
    let pipeline = load(&root("sd1"), WeightStorage::AsStored).unwrap();
    let wide = load(&root("sd1"), WeightStorage::Widened).unwrap();
    let name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_v.weight".to_owned();
    let edit = (pipeline.unet_weights().get(&name).unwrap() * 0.3).unwrap();
    let reference = tensors(&root("sd1").join("reference.safetensors"));
    let context = reference["embedding"].narrow(0, 0, 2).unwrap();
    let run = |p: &Pipeline| {
        let edited = p.with_unet_tensors([(name.clone(), edit.clone())]).unwrap();
        values(&edited.predict(&reference["latents"], 481.0, &context).unwrap())
    };
    assert!(run(&pipeline) == run(&wide));
}

#[test]
fn memory_is_told_from_headers() {
    let checkpoint = Checkpoint::open(&root("sd1")).unwrap();
    let wide = load(&root("sd1"), WeightStorage::Widened).unwrap();
    let estimate = checkpoint.memory_estimate(64, 64, 1);
    assert!(estimate.weight_bytes() > wide.unet_weights().bytes() as u64);
    assert_eq!(
        estimate.weight_bytes(),
        4 * checkpoint.parameters.iter().sum::<u64>()
    );
    let large = checkpoint.memory_estimate(512, 512, 4);
    assert!(large.denoising > estimate.denoising && large.decoding > estimate.decoding);
    assert!(large.peak() >= large.weight_bytes() + large.denoising);
    // No size overflows.
    assert!(
        checkpoint
            .memory_estimate(u32::MAX, u32::MAX, usize::MAX / 4)
            .peak()
            > large.peak()
    );
}

// Single files.

/// A fixture as a single file with the names of the original code, as an independent script made them.
fn single_file(name: &str, folder: &Path) -> PathBuf {
    let names = json_file(&fixtures().join("ldm/names.json"));
    let parts: HashMap<&str, HashMap<String, Tensor>> = ["unet", "vae", "text_encoder"]
        .map(|part| {
            let files = fs::read_dir(root(name).join(part))
                .unwrap()
                .map(|e| e.unwrap().path());
            let weights = files.filter(|p| p.extension().is_some_and(|e| e == "safetensors"));
            (part, weights.flat_map(|p| tensors(&p)).collect())
        })
        .into();
    let mut all: HashMap<String, Tensor> = names[name]
        .as_object()
        .unwrap()
        .iter()
        .map(|(original, from)| {
            let part = &parts[from[0].as_str().unwrap()];
            let stacked: Vec<&Tensor> = from[1]
                .as_array()
                .unwrap()
                .iter()
                .map(|n| &part[n.as_str().unwrap()])
                .collect();
            (original.clone(), Tensor::cat(&stacked, 0).unwrap())
        })
        .collect();
    // What such files hold besides, and what must not be used.
    let junk = |shape: &[usize]| Tensor::full(f32::NAN, shape, &Device::Cpu).unwrap();
    all.insert("betas".into(), junk(&[1000]));
    all.insert("model_ema.diffusion_modelconv_inweight".into(), junk(&[4]));
    all.insert(
        "first_stage_model.encoder.conv_in.weight".into(),
        junk(&[8, 3, 3, 3]),
    );
    if name == "sd2" {
        let text = "cond_stage_model.model";
        all.insert(format!("{text}.text_projection"), junk(&[32, 32]));
        all.insert(format!("{text}.logit_scale"), junk(&[]));
        all.insert(format!("{text}.transformer.resblocks.2.ln_1.weight"), junk(&[32]));
        all.insert(
            format!("{text}.transformer.resblocks.2.attn.in_proj_weight"),
            junk(&[96, 32]),
        );
    }
    let path = folder.join("model.safetensors");
    candle_core::safetensors::save(&all, &path).unwrap();
    path
}

/// Shapes this small follow other rules than those of the real models, so their configurations lie beside the file.
fn configurations_beside(name: &str, folder: &Path) {
    for file in [
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
    ] {
        let to = folder.join(file);
        fs::create_dir(to.parent().unwrap()).unwrap();
        fs::copy(root(name).join(file), to).unwrap();
    }
}

#[test]
fn single_files_draw_the_same_pictures() {
    for name in ["sd1", "sd2"] {
        let folder = tempfile::tempdir().unwrap();
        let path = single_file(name, folder.path());
        configurations_beside(name, folder.path());
        refused(
            &path,
            &["holds no tokenizer", "vocab.json", "merges.txt", "tokenizer"],
        );
        copy_folder(&root(name).join("tokenizer"), &folder.path().join("tokenizer"));
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert_eq!(checkpoint.settings_files.len(), 4);
        assert!(
            checkpoint.notes.iter().any(|n| n.contains("EMA")),
            "{:?}",
            checkpoint.notes
        );
        let folder_layout = Checkpoint::open(&root(name)).unwrap();
        assert_eq!(checkpoint.parameters, folder_layout.parameters);
        for storage in [WeightStorage::AsStored, WeightStorage::Widened] {
            follows_diffusers(
                &format!("{name} in one file"),
                &load(&path, storage).unwrap(),
                name,
            );
        }
    }
}

/// A weight file of zeros: a header, and a hole in place of the data.
fn hollow(path: &Path, shapes: &BTreeMap<String, Vec<usize>>) {
    let mut at = 0u64;
    let header: serde_json::Map<String, Value> = shapes
        .iter()
        .map(|(name, shape)| {
            let bytes = 2 * shape.iter().product::<usize>() as u64;
            let entry = json!({"dtype": "F16", "shape": shape, "data_offsets": [at, at + bytes]});
            at += bytes;
            (name.clone(), entry)
        })
        .collect();
    let header = Value::Object(header).to_string();
    fs::write(
        path,
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat(),
    )
    .unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(8 + header.len() as u64 + at).unwrap();
}

/// Names and shapes of a whole single-file checkpoint of the real models' architecture.
fn real_shapes(open_clip: bool) -> BTreeMap<String, Vec<usize>> {
    let mut all = BTreeMap::new();
    let mut put = |name: String, shape: &[usize]| drop(all.insert(name, shape.to_vec()));
    let context = if open_clip { 1024 } else { 768 };
    let both = |put: &mut dyn FnMut(String, &[usize]), name: String, weight: &[usize]| {
        put(format!("{name}.weight"), weight);
        put(format!("{name}.bias"), &weight[..1]);
    };
    let u = "model.diffusion_model";
    let resnet = |put: &mut dyn FnMut(String, &[usize]), name: &str, i: usize, o: usize| {
        both(put, format!("{name}.in_layers.0"), &[i]);
        both(put, format!("{name}.in_layers.2"), &[o, i, 3, 3]);
        both(put, format!("{name}.emb_layers.1"), &[o, 1280]);
        both(put, format!("{name}.out_layers.0"), &[o]);
        both(put, format!("{name}.out_layers.3"), &[o, o, 3, 3]);
        if i != o {
            both(put, format!("{name}.skip_connection"), &[o, i, 1, 1]);
        }
    };
    let attention = |put: &mut dyn FnMut(String, &[usize]), name: &str, c: usize| {
        let square: &[usize] = if open_clip { &[c, c] } else { &[c, c, 1, 1] };
        both(put, format!("{name}.norm"), &[c]);
        both(put, format!("{name}.proj_in"), square);
        both(put, format!("{name}.proj_out"), square);
        let t = format!("{name}.transformer_blocks.0");
        for n in 1..=3 {
            both(put, format!("{t}.norm{n}"), &[c]);
        }
        for (n, from) in [(1, c), (2, context)] {
            put(format!("{t}.attn{n}.to_q.weight"), &[c, c]);
            put(format!("{t}.attn{n}.to_k.weight"), &[c, from]);
            put(format!("{t}.attn{n}.to_v.weight"), &[c, from]);
            both(put, format!("{t}.attn{n}.to_out.0"), &[c, c]);
        }
        both(put, format!("{t}.ff.net.0.proj"), &[8 * c, c]);
        both(put, format!("{t}.ff.net.2"), &[c, 4 * c]);
    };
    both(&mut put, format!("{u}.time_embed.0"), &[1280, 320]);
    both(&mut put, format!("{u}.time_embed.2"), &[1280, 1280]);
    both(&mut put, format!("{u}.input_blocks.0.0"), &[320, 4, 3, 3]);
    let channels = [320, 640, 1280, 1280];
    let (mut skips, mut width, mut index) = (vec![320], 320, 1);
    for (level, &c) in channels.iter().enumerate() {
        for _ in 0..2 {
            resnet(&mut put, &format!("{u}.input_blocks.{index}.0"), width, c);
            if level < 3 {
                attention(&mut put, &format!("{u}.input_blocks.{index}.1"), c);
            }
            width = c;
            skips.push(c);
            index += 1;
        }
        if level < 3 {
            both(&mut put, format!("{u}.input_blocks.{index}.0.op"), &[c, c, 3, 3]);
            skips.push(c);
            index += 1;
        }
    }
    resnet(&mut put, &format!("{u}.middle_block.0"), 1280, 1280);
    attention(&mut put, &format!("{u}.middle_block.1"), 1280);
    resnet(&mut put, &format!("{u}.middle_block.2"), 1280, 1280);
    index = 0;
    for (level, &c) in channels.iter().enumerate().rev() {
        for layer in 0..3 {
            let name = format!("{u}.output_blocks.{index}");
            resnet(&mut put, &format!("{name}.0"), width + skips.pop().unwrap(), c);
            width = c;
            if level < 3 {
                attention(&mut put, &format!("{name}.1"), c);
            }
            if layer == 2 && level > 0 {
                let slot = if level < 3 { 2 } else { 1 };
                both(&mut put, format!("{name}.{slot}.conv"), &[c, c, 3, 3]);
            }
            index += 1;
        }
    }
    both(&mut put, format!("{u}.out.0"), &[320]);
    both(&mut put, format!("{u}.out.2"), &[4, 320, 3, 3]);

    let v = "first_stage_model";
    let block = |put: &mut dyn FnMut(String, &[usize]), name: &str, i: usize, o: usize| {
        both(put, format!("{name}.norm1"), &[i]);
        both(put, format!("{name}.conv1"), &[o, i, 3, 3]);
        both(put, format!("{name}.norm2"), &[o]);
        both(put, format!("{name}.conv2"), &[o, o, 3, 3]);
        if i != o {
            both(put, format!("{name}.nin_shortcut"), &[o, i, 1, 1]);
        }
    };
    both(&mut put, format!("{v}.post_quant_conv"), &[4, 4, 1, 1]);
    both(&mut put, format!("{v}.decoder.conv_in"), &[512, 4, 3, 3]);
    block(&mut put, &format!("{v}.decoder.mid.block_1"), 512, 512);
    block(&mut put, &format!("{v}.decoder.mid.block_2"), 512, 512);
    both(&mut put, format!("{v}.decoder.mid.attn_1.norm"), &[512]);
    for part in ["q", "k", "v", "proj_out"] {
        both(
            &mut put,
            format!("{v}.decoder.mid.attn_1.{part}"),
            &[512, 512, 1, 1],
        );
    }
    let mut width = 512;
    for (level, c) in [128, 256, 512, 512].into_iter().enumerate().rev() {
        for i in 0..3 {
            block(&mut put, &format!("{v}.decoder.up.{level}.block.{i}"), width, c);
            width = c;
        }
        if level > 0 {
            both(
                &mut put,
                format!("{v}.decoder.up.{level}.upsample.conv"),
                &[c, c, 3, 3],
            );
        }
    }
    both(&mut put, format!("{v}.decoder.norm_out"), &[128]);
    both(&mut put, format!("{v}.decoder.conv_out"), &[3, 128, 3, 3]);

    if open_clip {
        let t = "cond_stage_model.model";
        put(format!("{t}.token_embedding.weight"), &[49_408, 1024]);
        put(format!("{t}.positional_embedding"), &[77, 1024]);
        put(format!("{t}.text_projection"), &[1024, 1024]);
        put(format!("{t}.logit_scale"), &[]);
        both(&mut put, format!("{t}.ln_final"), &[1024]);
        for i in 0..24 {
            let layer = format!("{t}.transformer.resblocks.{i}");
            both(&mut put, format!("{layer}.ln_1"), &[1024]);
            both(&mut put, format!("{layer}.ln_2"), &[1024]);
            put(format!("{layer}.attn.in_proj_weight"), &[3072, 1024]);
            put(format!("{layer}.attn.in_proj_bias"), &[3072]);
            both(&mut put, format!("{layer}.attn.out_proj"), &[1024, 1024]);
            both(&mut put, format!("{layer}.mlp.c_fc"), &[4096, 1024]);
            both(&mut put, format!("{layer}.mlp.c_proj"), &[1024, 4096]);
        }
    } else {
        let t = "cond_stage_model.transformer.text_model";
        put(format!("{t}.embeddings.token_embedding.weight"), &[49_408, 768]);
        put(format!("{t}.embeddings.position_embedding.weight"), &[77, 768]);
        both(&mut put, format!("{t}.final_layer_norm"), &[768]);
        for i in 0..12 {
            let layer = format!("{t}.encoder.layers.{i}");
            both(&mut put, format!("{layer}.layer_norm1"), &[768]);
            both(&mut put, format!("{layer}.layer_norm2"), &[768]);
            for p in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                both(&mut put, format!("{layer}.self_attn.{p}"), &[768, 768]);
            }
            both(&mut put, format!("{layer}.mlp.fc1"), &[3072, 768]);
            both(&mut put, format!("{layer}.mlp.fc2"), &[768, 3072]);
        }
    }
    all
}

#[test]
fn settings_of_real_models_are_inferred_from_shapes() {
    for open_clip in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("real.safetensors");
        hollow(&path, &real_shapes(open_clip));
        copy_folder(&root("sd1").join("tokenizer"), &folder.path().join("tokenizer"));
        let checkpoint = Checkpoint::open(&path).unwrap();
        // Numbers of parameters as published: 860 M and 866 M; the decoder 49.49 M; CLIP 123 M, OpenCLIP 340 M.
        let millions = checkpoint.parameters.map(|n| (n as f64 / 1e6).round() as u64);
        let configs = real_configs();
        let (unet, vae, text, schedule) = &configs[if open_clip { "2.1" } else { "1.5" }];
        let read = |name: &str, value: &Value| {
            let path = folder.path().join(name);
            fs::write(&path, value.to_string()).unwrap();
            path
        };
        let unet = UNetConfig::read(&read("u.json", unet)).unwrap();
        let vae = VaeConfig::read(&read("v.json", vae)).unwrap();
        let text = TextConfig::read(&read("t.json", text)).unwrap();
        let schedule = ScheduleConfig::read(&read("s.json", schedule)).unwrap();
        assert_eq!(checkpoint.unet, unet);
        assert_eq!(checkpoint.vae, vae);
        assert_eq!(checkpoint.text, text);
        assert_eq!(checkpoint.schedule.betas, schedule.betas);
        assert_eq!(checkpoint.schedule.prediction, schedule.prediction);
        assert_eq!(checkpoint.schedule.steps_offset, schedule.steps_offset);
        assert_eq!(checkpoint.schedule.clip_sample, schedule.clip_sample);
        if open_clip {
            assert_eq!(millions, [866, 49, 340]);
            assert!(checkpoint.notes.iter().any(|n| n.contains("v-prediction at 768")));
            assert_eq!(checkpoint.default_size(), (768, 768));
            fs::write(
                folder.path().join("real.yaml"),
                "model:\n  params:\n    linear_end: 0.0120\n",
            )
            .unwrap();
            let base = Checkpoint::open(&path).unwrap();
            assert_eq!(
                (base.schedule.prediction, base.default_size()),
                (Prediction::Noise, (512, 512))
            );
        } else {
            assert_eq!(millions, [860, 49, 123]);
            // Weights in f16 and the vectors among them in f32.
            let estimate = checkpoint.memory_estimate(512, 512, 1);
            let f16 = 2 * checkpoint.parameters.iter().sum::<u64>();
            assert!((estimate.weight_bytes() as f64 / f16 as f64) < 1.01, "{estimate}");
            assert!((estimate.peak() as f64 / f16 as f64) < 2.0, "{estimate}");
        }
    }
}

// Configurations as published, by heart; keys that say nothing about drawing included.

type Configs = (Value, Value, Value, Value);

fn real_configs() -> HashMap<&'static str, Configs> {
    let unet1 = json!({
        "_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "act_fn": "silu",
        "attention_head_dim": 8, "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": false,
        "cross_attention_dim": 768,
        "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0, "in_channels": 4, "layers_per_block": 2,
        "mid_block_scale_factor": 1, "norm_eps": 1e-5, "norm_num_groups": 32, "out_channels": 4, "sample_size": 64,
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    });
    let with = |base: &Value, changes: Value| {
        let mut value = base.clone();
        for (k, v) in changes.as_object().unwrap() {
            value[k] = v.clone();
        }
        value
    };
    let unet2 = with(
        &unet1,
        json!({"attention_head_dim": [5, 10, 20, 20], "cross_attention_dim": 1024, "dual_cross_attention": false,
            "use_linear_projection": true, "_diffusers_version": "0.8.0"}),
    );
    let unet21 = with(
        &unet2,
        json!({"sample_size": 96, "only_cross_attention": false, "num_class_embeds": null, "upcast_attention": true,
            "resnet_time_scale_shift": "default", "class_embed_type": null, "mid_block_type": "UNetMidBlock2DCrossAttn"}),
    );
    let vae = json!({
        "_class_name": "AutoencoderKL", "_diffusers_version": "0.6.0", "act_fn": "silu",
        "block_out_channels": [128, 256, 512, 512], "down_block_types": vec!["DownEncoderBlock2D"; 4],
        "in_channels": 3, "latent_channels": 4, "layers_per_block": 2, "norm_num_groups": 32, "out_channels": 3,
        "sample_size": 512, "up_block_types": vec!["UpDecoderBlock2D"; 4],
    });
    let vae2 = with(&vae, json!({"sample_size": 768, "scaling_factor": 0.18215}));
    let text1 = json!({
        "_name_or_path": "openai/clip-vit-large-patch14", "architectures": ["CLIPTextModel"],
        "attention_dropout": 0.0, "bos_token_id": 0, "dropout": 0.0, "eos_token_id": 2, "hidden_act": "quick_gelu",
        "hidden_size": 768, "initializer_factor": 1.0, "initializer_range": 0.02, "intermediate_size": 3072,
        "layer_norm_eps": 1e-5, "max_position_embeddings": 77, "model_type": "clip_text_model",
        "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 1, "projection_dim": 768,
        "torch_dtype": "float32", "transformers_version": "4.22.0.dev0", "vocab_size": 49408,
    });
    let text2 = with(
        &text1,
        json!({"hidden_act": "gelu", "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16,
            "num_hidden_layers": 23, "projection_dim": 512}),
    );
    let pndm = json!({
        "_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", "beta_end": 0.012,
        "beta_schedule": "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000,
        "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null,
        "clip_sample": false,
    });
    let ddim2 = with(
        &pndm,
        json!({"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", "clip_sample": false}),
    );
    let base2 = with(&pndm, json!({"prediction_type": "epsilon"}));
    HashMap::from([
        ("1.1", (unet1.clone(), vae.clone(), text1.clone(), pndm.clone())),
        ("1.5", (unet1, vae.clone(), text1, pndm)),
        (
            "2.0-base",
            (unet2.clone(), vae.clone(), text2.clone(), base2.clone()),
        ),
        ("2.1-base", (unet2, vae, text2.clone(), base2)),
        ("2.1", (unet21, vae2, text2, ddim2)),
    ])
}

#[test]
fn configurations_of_real_models_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, (unet, vae, text, schedule)) in real_configs() {
        let write = |value: &Value| {
            let path = folder.path().join("config.json");
            fs::write(&path, value.to_string()).unwrap();
            path
        };
        let two = name.starts_with('2');
        let read = UNetConfig::read(&write(&unet)).unwrap();
        assert_eq!(read.heads, if two { [5, 10, 20, 20] } else { [8; 4] }, "{name}");
        assert_eq!(read.use_linear_projection, two);
        assert_eq!(read.cross_attention_dim, if two { 1024 } else { 768 });
        let read = VaeConfig::read(&write(&vae)).unwrap();
        assert_eq!((read.scaling_factor, read.factor()), (0.18215, 8));
        let read = TextConfig::read(&write(&text)).unwrap();
        assert_eq!(
            read.activation,
            if two {
                Activation::Gelu
            } else {
                Activation::QuickGelu
            }
        );
        assert_eq!(read.num_hidden_layers, if two { 23 } else { 12 });
        let read = ScheduleConfig::read(&write(&schedule)).unwrap();
        assert_eq!(
            (read.steps_offset, read.set_alpha_to_one, read.clip_sample),
            (1, Some(false), None)
        );
        assert_eq!(read.prediction == Prediction::Velocity, name == "2.1");
    }
}

#[test]
fn the_padding_token_is_the_one_transformers_takes() {
    // What transformers 5.23 makes of these files: `!` has id 0, the end token 546.
    let text = TextConfig::read(&root("sd1").join("text_encoder/config.json")).unwrap();
    let end = "<|endoftext|>";
    for (config, map, id) in [
        (json!({"pad_token": end}), Some(json!({"pad_token": "!"})), 0),
        (json!({}), Some(json!({"pad_token": "!"})), 0),
        (
            json!({"pad_token": end}),
            Some(json!({"pad_token": {"content": "!"}})),
            0,
        ),
        (
            json!({"pad_token": end, "added_tokens_decoder": {}}),
            Some(json!({"pad_token": "!"})),
            546,
        ),
        (json!({}), None, 546),
    ] {
        let folder = copy("sd1");
        let folder = folder.path().join("tokenizer");
        fs::write(folder.join("tokenizer_config.json"), config.to_string()).unwrap();
        if let Some(map) = &map {
            fs::write(folder.join("special_tokens_map.json"), map.to_string()).unwrap();
        }
        let ids = ClipTokenizer::open(&folder, &text)
            .unwrap()
            .encode("a house")
            .unwrap();
        assert_eq!(
            (ids[0], ids[3], ids[4], ids[15]),
            (545, 546, id, id),
            "{config} {map:?}"
        );
    }
}

// Bad input.

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

fn with_header(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &[0; 64]].concat()
}

#[test]
fn damaged_headers_are_refused() {
    let entry = |name: &str, begin: u64, end: u64| {
        format!(
            r#""{name}":{{"dtype":"F32","shape":[{}],"data_offsets":[{begin},{end}]}}"#,
            (end - begin) / 4
        )
    };
    let overlapping = format!("{{{},{}}}", entry("a", 0, 32), entry("b", 16, 48));
    let aliased = format!("{{{},{}}}", entry("a", 0, 64), entry("b", 0, 64));
    let twice = format!("{{{},{}}}", entry("a", 0, 16), entry("a", 16, 32));
    let huge = r#"{"a":{"dtype":"I64","shape":[1000000000,1000000000],"data_offsets":[0,8]}}"#.to_owned();
    let nested = format!("{{\"a\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    for (header, part) in [
        (overlapping, "the same place"),
        (aliased, "the same place"),
        (twice, "names a twice"),
        (huge, "but has 8 bytes"),
        (nested, "not valid"),
    ] {
        let folder = copy("sd1");
        fs::write(folder.path().join(UNET), with_header(&header)).unwrap();
        refused(folder.path(), &["diffusion_pytorch_model.safetensors", part]);
    }
    let folder = copy("sd1");
    let four_gigabytes = [&(4u64 << 30).to_le_bytes()[..], b"{}"].concat();
    fs::write(folder.path().join(UNET), four_gigabytes).unwrap();
    refused(folder.path(), &["its header claims 4294967296 bytes"]);
}

#[test]
fn tensors_out_of_order_are_fine() {
    let folder = copy("sd1");
    let path = folder.path().join(UNET);
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: BTreeMap<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let (mut data, mut turned) = (Vec::new(), BTreeMap::new());
    for (name, mut info) in header.into_iter().rev().filter(|(n, _)| n != "__metadata__") {
        let at = |i: usize| info["data_offsets"][i].as_u64().unwrap() as usize + 8 + length;
        let slice = &bytes[at(0)..at(1)];
        let begin = data.len();
        data.extend_from_slice(slice);
        info["data_offsets"] = json!([begin, data.len()]);
        turned.insert(name, info);
    }
    let header = serde_json::to_string(&turned).unwrap();
    let whole = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
    fs::write(&path, whole).unwrap();
    follows_diffusers(
        "turned around",
        &load(folder.path(), WeightStorage::AsStored).unwrap(),
        "sd1",
    );
}

#[test]
fn numbers_that_are_not_finite_are_named_in_half_precision_too() {
    for (dtype, infinity) in [(DType::F16, true), (DType::BF16, false), (DType::F64, true)] {
        let folder = copy("sd1");
        let path = folder.path().join(UNET);
        let mut weights = tensors(&path);
        let name = "conv_in.weight";
        let mut broken = values(&weights[name].to_dtype(DType::F32).unwrap());
        let count = broken.len();
        broken[100] = if infinity { f32::NEG_INFINITY } else { f32::NAN };
        broken[count - 1] = f32::NAN;
        let broken = Tensor::from_vec(broken, weights[name].dims(), &Device::Cpu).unwrap();
        weights.insert(name.into(), broken.to_dtype(dtype).unwrap());
        candle_core::safetensors::save(&weights, &path).unwrap();
        let line = format!("conv_in.weight: 2 of {count} values, the first at 100");
        for storage in [WeightStorage::AsStored, WeightStorage::Widened] {
            let error = load(folder.path(), storage).err().unwrap();
            assert!(error.contains(&line), "{error}");
        }
    }
}

#[test]
fn wrong_shapes_are_found_before_weights_are_read() {
    let folder = copy("sd1");
    let path = folder.path().join(UNET);
    let mut shapes: BTreeMap<String, Vec<usize>> = tensors(&path)
        .into_iter()
        .map(|(n, t)| (n, t.dims().to_vec()))
        .collect();
    // 200 GB of nothing.
    shapes.insert("conv_in.weight".into(), vec![100_000, 1_000_000]);
    hollow(&path, &shapes);
    refused(
        folder.path(),
        &["conv_in.weight is [100000, 1000000], expected [16, 4, 3, 3]"],
    );
}

#[test]
fn variants_and_shards_are_found() {
    for name in [
        "diffusion_pytorch_model.fp16.safetensors",
        "diffusion_pytorch_model.non_ema.safetensors",
    ] {
        let folder = copy("sd1");
        fs::rename(folder.path().join(UNET), folder.path().join("unet").join(name)).unwrap();
        Checkpoint::open(folder.path()).unwrap();
    }
    // Of two variants the averaged weights.
    let folder = copy("sd1");
    let unet = folder.path().join("unet");
    fs::rename(
        folder.path().join(UNET),
        unet.join("diffusion_pytorch_model.fp16.safetensors"),
    )
    .unwrap();
    fs::write(
        unet.join("diffusion_pytorch_model.fp16.non_ema.safetensors"),
        b"nothing",
    )
    .unwrap();
    Checkpoint::open(folder.path()).unwrap();
    // The name that diffusers gives an index of a variant today.
    let folder = copy("sd2");
    let unet = folder.path().join("unet");
    fs::rename(
        unet.join("diffusion_pytorch_model.safetensors.index.json"),
        unet.join("diffusion_pytorch_model.safetensors.index.fp16.json"),
    )
    .unwrap();
    Checkpoint::open(folder.path()).unwrap();
    fs::remove_file(unet.join("diffusion_pytorch_model.safetensors.index.fp16.json")).unwrap();
    refused(folder.path(), &["index.json"]);
    let folder = copy("sd2");
    let shard = "unet/diffusion_pytorch_model-00002-of-00002.safetensors";
    fs::remove_file(folder.path().join(shard)).unwrap();
    refused(folder.path(), &["missing", shard]);
}

#[test]
fn a_variant_of_a_single_file_is_not_exported() {
    let folder = tempfile::tempdir().unwrap();
    let path = single_file("sd1", folder.path());
    configurations_beside("sd1", folder.path());
    copy_folder(&root("sd1").join("tokenizer"), &folder.path().join("tokenizer"));
    let checkpoint = Checkpoint::open(&path).unwrap();
    let variant = Variant {
        name: "test".to_owned(),
        edits: vec![Edit::Neurons(NeuronEdit {
            layer: LayerRef::Index(0),
            neurons: vec![1],
            factor: 0.0,
            when: None,
        })],
        ..Variant::default()
    };
    let out = folder.path().join("out");
    let refused = export(&checkpoint, &variant, &out, Untouched::Copy).unwrap_err();
    let text = refused.to_string();
    for part in ["single file", "from_single_file", ".safetensors"] {
        assert!(text.contains(part), "“{part}” is not in: {text}");
    }
    assert!(!out.exists());
}

#[test]
fn single_files_of_other_kinds_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["model.ckpt", "pytorch_model.bin"] {
        fs::write(path(name), b"PK").unwrap();
        refused(
            &path(name),
            &[
                name,
                "pickle",
                "from_single_file(FILE).save_pretrained(OUT, safe_serialization=True)",
            ],
        );
    }
    fs::write(path("notes.txt"), b"text").unwrap();
    refused(&path("notes.txt"), &["not a .safetensors file"]);
    let shapes = BTreeMap::from([("lora.up".to_owned(), vec![2])]);
    hollow(&path("lora.safetensors"), &shapes);
    refused(
        &path("lora.safetensors"),
        &["no tensor's name begins with model.diffusion_model."],
    );
    let shapes = BTreeMap::from([("model.diffusion_model.out.2.weight".to_owned(), vec![2])]);
    hollow(&path("unet.safetensors"), &shapes);
    refused(&path("unet.safetensors"), &["no autoencoder", "no text encoder"]);
}

#[test]
fn absurd_settings_are_refused_fast() {
    for (file, key, value) in [
        ("unet/config.json", "norm_num_groups", json!(0)),
        (
            "unet/config.json",
            "block_out_channels",
            json!([1_000_000_000, 32]),
        ),
        ("unet/config.json", "layers_per_block", json!(1e308)),
        ("unet/config.json", "layers_per_block", json!(u64::MAX)),
        ("unet/config.json", "sample_size", json!([64, -1])),
        ("vae/config.json", "norm_num_groups", json!(0)),
        ("vae/config.json", "block_out_channels", json!([])),
        ("vae/config.json", "scaling_factor", json!(0)),
        ("vae/config.json", "shift_factor", json!(0.1)),
        ("text_encoder/config.json", "num_hidden_layers", json!(1_000_000)),
        ("text_encoder/config.json", "num_attention_heads", json!(0)),
        ("text_encoder/config.json", "vocab_size", json!(1u64 << 40)),
    ] {
        let folder = copy("sd1");
        let path = folder.path().join(file);
        let mut config = json_file(&path);
        config[key] = value;
        fs::write(&path, config.to_string()).unwrap();
        refused(folder.path(), &[key]);
    }
}

#[cfg(unix)]
#[test]
fn loops_of_links_end() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    symlink(folder.path().join("b"), folder.path().join("a")).unwrap();
    symlink(folder.path().join("a"), folder.path().join("b")).unwrap();
    refused(&folder.path().join("a"), &["is not a folder"]);
    let copied = copy("sd1");
    fs::remove_file(copied.path().join(UNET)).unwrap();
    symlink(copied.path().join(UNET), copied.path().join(UNET)).unwrap();
    refused(copied.path(), &["missing", UNET]);
    let copied = copy("sd1");
    fs::remove_dir_all(copied.path().join("unet")).unwrap();
    symlink(copied.path(), copied.path().join("unet")).unwrap();
    refused(copied.path(), &["missing", "unet/config.json"]);
}

/// Kilobytes: the most memory this process ever held.
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|l| l.starts_with("VmHWM:"))
        .unwrap_or_default();
    line.split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

/// Time and memory with a checkpoint of SD 1.5's size (`tools/fixtures/sd15_random.py OUT`):
/// `PENTIMENTO_LARGE=OUT cargo test --release --test checkpoints large -- --ignored --nocapture`.
#[test]
#[ignore = "needs 2 GB of weights and a minute"]
fn a_large_checkpoint_loads_fast_and_stays_small() {
    let path = PathBuf::from(std::env::var("PENTIMENTO_LARGE").unwrap());
    let checkpoint = Checkpoint::open(&path).unwrap();
    let f16 = 2.0 * checkpoint.parameters.iter().sum::<u64>() as f64;
    let estimate = checkpoint.memory_estimate(512, 512, 1);
    println!("{}\nestimate {estimate}", checkpoint.summary());
    let report = |what: &str| {
        let share = peak_kb() as f64 * 1024.0 / f16;
        println!(
            "{what}: peak {} MB, {share:.2} of the f16 weights",
            peak_kb() / 1024
        );
        share
    };
    let start = Instant::now();
    let pipeline = Pipeline::load(&checkpoint, &LoadOptions::default()).unwrap();
    println!("load {:.2} s", start.elapsed().as_secs_f64());
    report("loaded");
    let context = pipeline.encode_prompts(&["a house"]).unwrap();
    let latents = Tensor::zeros((1, 4, 64, 64), DType::F32, &Device::Cpu).unwrap();
    let start = Instant::now();
    pipeline.predict(&latents, 481.0, &context).unwrap();
    println!("UNet pass {:.1} s", start.elapsed().as_secs_f64());
    assert!(report("after a UNet pass at 64×64") <= 1.6);
    if std::env::var_os("PENTIMENTO_DECODE").is_some() {
        pipeline.decode(&latents).unwrap();
        report("after decoding");
    }
}
