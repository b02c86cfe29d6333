//! `pentimento doctor`: what this machine offers, and what will work on it.

use super::{
    args::{Common, DoctorArgs},
    doctor_weights::{loose, published},
};
use crate::{
    diffusion::Checkpoint,
    engine::{self, DeviceChoice, MachineMemory, weight_places},
    gallery::cache_dir,
    store,
    study::Problem,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
pub(super) struct Finding {
    pub name: &'static str,
    pub value: String,
    /// What it means for the program; empty when all is well.
    pub note: String,
}

/// Prints the findings; finding something missing is no failure, a checkpoint that cannot be used is one.
pub fn run(args: &DoctorArgs, common: &Common) -> Result<(), Problem> {
    let mut findings = vec![
        adapter(),
        threads(),
        simd(),
        device(common.device),
        memory(),
        demo(),
        segmenter(),
        cache(),
        checkpoints(),
    ];
    let places = weight_places();
    findings.extend(published(&places));
    findings.push(loose(&places));
    if let Some(path) = &args.model {
        findings.extend(model(path)?);
    }
    if args.json {
        println!("{:#}", serde_json::json!(findings));
        return Ok(());
    }
    for Finding { name, value, note } in findings {
        println!("{name:<12} {value}");
        if !note.is_empty() {
            println!("{:<12}   {note}", "");
        }
    }
    Ok(())
}

pub(super) fn finding(name: &'static str, value: impl Into<String>, note: impl Into<String>) -> Finding {
    Finding {
        name,
        value: value.into(),
        note: note.into(),
    }
}

fn adapter() -> Finding {
    let names = crate::render::adapter_names();
    match names.first() {
        None => finding(
            "display",
            "no graphics adapter",
            "The window cannot open; generate, score and scan work. A software adapter (Mesa lavapipe) is enough.",
        ),
        Some(_) => finding("display", names.join(", "), local_maps()),
    }
}

/// Where the window makes the map of a training image that was just chosen.
fn local_maps() -> &'static str {
    if crate::render::maps_on_card() == Some(true) {
        "Local maps are made on it."
    } else {
        "No compute shaders on a graphics card: local maps are made on the processor."
    }
}

fn threads() -> Finding {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let devices = [
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
    ];
    let built: Vec<_> = devices.iter().filter(|(_, on)| *on).map(|(n, _)| *n).collect();
    let device = if built.is_empty() {
        "CPU".to_owned()
    } else {
        format!("CPU, {}", built.join(", "))
    };
    let note = if built.is_empty() {
        "Demo-size models take seconds a picture; SD 1.4 at 512² takes minutes."
    } else {
        ""
    };
    finding("compute", format!("{cores} threads, {device}"), note)
}

fn simd() -> Finding {
    let level = engine::vector_level();
    let note = if level == "SSE2" {
        "An older processor: expect about a third of the usual speed."
    } else {
        ""
    };
    let scores = crate::similarity::vector_level();
    finding("vectors", format!("{level}; scores with {scores} kernels"), note)
}

fn memory() -> Finding {
    let gibibytes = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    match MachineMemory::now().map(|m| (gibibytes(m.total), gibibytes(m.free))) {
        Some((total, free)) => {
            let note = if free < 3.5 {
                "Less than 3.5 GiB free: an SD 1.x checkpoint in f16 will not fit (`doctor MODEL` tells what one needs)."
            } else {
                ""
            };
            finding("memory", format!("{free:.1} GiB free of {total:.1} GiB"), note)
        }
        None => finding("memory", "not known on this system", ""),
    }
}

fn device(choice: DeviceChoice) -> Finding {
    let value = engine::device_words(choice);
    match choice.open() {
        Ok(_) => finding("device", value, ""),
        Err(problem) => finding(
            "device",
            value,
            format!("{}. {}", problem.headline, problem.advice),
        ),
    }
}

/// What is in a checkpoint, and what it will need; its weights are not read.
fn model(path: &Path) -> Result<Vec<Finding>, Problem> {
    let checkpoint =
        Checkpoint::open(path).map_err(|e| super::failed("This checkpoint cannot be used", &e).at(path))?;
    let (width, height) = checkpoint.default_size();
    let estimate = checkpoint.memory_estimate(width, height, 1);
    let sampling = checkpoint.default_sampling();
    let gradient = checkpoint.memory_needs().gradient(&sampling, 1);
    let short = MachineMemory::now().is_some_and(|m| estimate.peak() > m.free);
    let note = if short {
        "More than is free: expect swapping. Close other programs, or draw smaller pictures."
    } else {
        ""
    };
    let mut findings = vec![
        finding(
            "model",
            checkpoint.summary(),
            checkpoint.notes.join("\n              "),
        ),
        finding("model memory", format!("{estimate}"), note),
        finding(
            "gradients",
            format!(
                "{} to optimise a prompt's embedding over one picture",
                gradient.peak_words()
            ),
            "",
        ),
    ];
    if !checkpoint.overrides.is_empty() {
        findings.push(finding(
            "overridden",
            checkpoint.overrides.join("\n             "),
            "As diffusers' StableDiffusionPipeline overrides them.",
        ));
    }
    Ok(findings)
}

fn demo() -> Finding {
    match engine::demo_study() {
        Some(path) => finding("demo study", path.display().to_string(), ""),
        None => finding(
            "demo study",
            "not found",
            "Set PENTIMENTO_ASSETS to the folder that holds `demo`.",
        ),
    }
}

fn segmenter() -> Finding {
    match engine::default_segmenter() {
        Some(path) => finding(
            "segmenter",
            path.display().to_string(),
            "Trained on the demo's drawn scenes. For photographs use one of those below.",
        ),
        None => finding(
            "segmenter",
            "none",
            "Open weights of U²-Net, IS-Net or BiRefNet (.safetensors, .pth or .onnx).",
        ),
    }
}

fn cache() -> Finding {
    match cache_dir() {
        Ok(path) => finding("cache", path.display().to_string(), ""),
        Err(problem) => finding("cache", "not usable", problem.to_string()),
    }
}

/// Checkpoints in diffusers layout in the Hugging Face cache.
fn checkpoints() -> Finding {
    let found = weight_places().hub.as_deref().map(snapshots).unwrap_or_default();
    if found.is_empty() {
        return finding(
            "checkpoints",
            "none in the Hugging Face cache",
            "Any diffusers folder can be opened by its path.",
        );
    }
    let list: Vec<_> = found.iter().map(|p| p.display().to_string()).collect();
    finding("checkpoints", list.join("\n             "), "")
}

fn snapshots(hub: &Path) -> Vec<PathBuf> {
    let children = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|e| e.path()).collect()
    };
    let mut found: Vec<PathBuf> = children(hub)
        .into_iter()
        .flat_map(|model| children(&model.join("snapshots")))
        .filter(|snapshot| matches!(store::recognise(snapshot), Ok(store::Recognised::Checkpoint(_))))
        .take(20)
        .collect();
    found.sort();
    found
}
