//! Outdated files against diffusers' pipeline (`tools/fixtures/corrections.py`), and folders with a single file.

use super::{
    common::tensors::{distance, json_file, tensors},
    copy, fixtures, single_file,
};
use pentimento::{
    diffusion::{Checkpoint, InitialNoise, LoadOptions, Pipeline, SampleRequest, Silent, scheduler},
    store::{Recognised, recognise},
    study::Sampling,
};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn write(path: &Path, value: &Value) {
    fs::write(path, value.to_string()).unwrap();
}

/// `sd1` with another file of its scheduler, and the class that the index names.
fn with_scheduler(file: &Value, named: &Value) -> tempfile::TempDir {
    let folder = copy("sd1");
    write(&folder.path().join("scheduler/scheduler_config.json"), file);
    let path = folder.path().join("model_index.json");
    let mut index = json_file(&path);
    index["scheduler"] = json!(["diffusers", named]);
    write(&path, &index);
    folder
}

#[test]
fn outdated_files_draw_what_the_pipeline_draws() {
    let folder = fixtures().join("corrections");
    let file = json_file(&folder.join("cases.json"));
    let latents = tensors(&folder.join("latents.safetensors"));
    for (i, case) in file["cases"].as_array().unwrap().iter().enumerate() {
        let model = with_scheduler(&case["file"], &case["named"]);
        let checkpoint = Checkpoint::open(model.path()).unwrap();
        assert_eq!(checkpoint.schedule.class, case["named"].as_str().unwrap());
        assert_eq!(
            checkpoint.schedule.steps_offset as u64,
            case["steps_offset"].as_u64().unwrap()
        );
        let sampling = Sampling {
            steps: file["steps"].as_u64().unwrap() as u32,
            guidance: file["guidance"].as_f64().unwrap() as f32,
            width: 64,
            height: 64,
            ..checkpoint.default_sampling()
        };
        let schedule = scheduler(sampling.scheduler, &checkpoint.schedule, sampling.steps as usize).unwrap();
        let timesteps: Vec<f64> = case["timesteps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t.as_f64().unwrap())
            .collect();
        for (here, there) in schedule.timesteps().iter().zip(&timesteps) {
            // f32 in diffusers, where they are not whole.
            assert!((here - there).abs() < 1e-3, "case {i}: {here} instead of {there}");
        }
        let pipeline = Pipeline::load(&checkpoint, &LoadOptions::default()).unwrap();
        let request = SampleRequest {
            prompt: file["prompt"].as_str().unwrap().to_owned(),
            sampling,
            noise: InitialNoise::Seeds(vec![file["seed"].as_u64().unwrap()]),
        };
        let sample = pipeline.sample(&request, &mut Silent).unwrap();
        // Of latents that reach some 40 at their largest; other kernels round differently.
        let off = distance(&sample.latents, &latents[&i.to_string()]);
        assert!(
            off < 1e-3,
            "case {i}: latents are off by {off}; {:?}",
            checkpoint.overrides
        );
        let said = checkpoint.overrides.join("\n");
        let outdated = |key: &str, good: Value| case["file"].get(key) != Some(&good);
        assert_eq!(
            said.contains("steps_offset"),
            outdated("steps_offset", json!(1)),
            "case {i}: {said}"
        );
        assert_eq!(
            said.contains("model_index.json"),
            case["file"]["_class_name"] != case["named"],
            "case {i}: {said}"
        );
        let clamps = case["file"]
            .get("clip_sample")
            .map_or(case["named"] == "DDIMScheduler", |v| v == &json!(true));
        assert_eq!(said.contains("clip_sample"), clamps, "case {i}: {said}");
    }
}

#[test]
fn the_size_of_pictures_is_that_of_the_pipeline() {
    for case in json_file(&fixtures().join("corrections/sides.json"))
        .as_array()
        .unwrap()
    {
        let folder = copy("sd1");
        let path = folder.path().join("unet/config.json");
        let mut unet = json_file(&path);
        unet["sample_size"] = case["side"].clone();
        unet["_diffusers_version"] = case["version"].clone();
        write(&path, &unet);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        let used = case["used"].as_array().map_or(&case["used"], |pair| &pair[0]);
        let (side, _) = checkpoint.unet.sample_size;
        assert_eq!(side as u64, used.as_u64().unwrap(), "{case}");
        let told = checkpoint
            .overrides
            .iter()
            .any(|line| line.contains("sample_size"));
        assert_eq!(told, case["side"] != case["used"], "{case}");
    }
}

#[test]
fn an_index_without_a_scheduler_leaves_the_choice_to_its_file() {
    let folder = with_scheduler(
        &json!({"_class_name": "PNDMScheduler", "steps_offset": 1}),
        &Value::Null,
    );
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.schedule.class, "PNDMScheduler");
    assert!(checkpoint.overrides.is_empty(), "{:?}", checkpoint.overrides);
    let folder = with_scheduler(
        &json!({"steps_offset": 1}),
        &json!("FlowMatchEulerDiscreteScheduler"),
    );
    super::refused(folder.path(), &["model_index.json", "scheduler", "flow-matching"]);
}

#[test]
fn a_folder_with_one_single_file_is_that_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let file = single_file("sd1", folder.path());
    super::configurations_beside("sd1", folder.path());
    fs::write(folder.path().join("README.md"), "no weights").unwrap();
    super::copy_folder(
        &super::root("sd1").join("tokenizer"),
        &folder.path().join("tokenizer"),
    );
    let direct = Checkpoint::open(&file).unwrap();
    let through = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(through.root, direct.root);
    assert_eq!(through.summary(), direct.summary());
    // With a second one nobody knows which is meant.
    let second = folder.path().join("second.safetensors");
    fs::copy(&file, &second).unwrap();
    let error = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("several") && error.contains("second.safetensors"),
        "{error}"
    );
    // Weights of other kinds do not count.
    fs::write(
        &second,
        super::with_header(r#"{"lora.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#),
    )
    .unwrap();
    assert_eq!(Checkpoint::open(folder.path()).unwrap().root, file);
}

#[test]
fn a_dropped_folder_with_one_single_file_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("tokenizer")).unwrap();
    let header = r#"{"model.diffusion_model.out.2.bias":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    fs::write(path("v1-5.safetensors"), super::with_header(header)).unwrap();
    fs::write(path("vae.safetensors"), super::with_header("{}")).unwrap();
    let found = recognise(folder.path()).unwrap();
    assert_eq!(found, Recognised::Checkpoint(path("v1-5.safetensors")));
    fs::write(path("v2-1.safetensors"), super::with_header(header)).unwrap();
    let problem = recognise(folder.path()).unwrap_err().to_string();
    for part in ["several", "v1-5.safetensors", "v2-1.safetensors", "Open the one"] {
        assert!(problem.contains(part), "{problem}");
    }
}
