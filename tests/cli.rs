//! The commands as a script sees them: exit codes, standard output, files.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod common;
#[path = "cli/reference.rs"]
mod reference;

#[path = "cli/compare.rs"]
mod compare;
#[path = "cli/detect.rs"]
mod detect;
#[path = "cli/docs.rs"]
mod docs;
#[path = "cli/fetch.rs"]
mod fetch;
#[path = "cli/first_steps.rs"]
mod first_steps;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/jobs.rs"]
mod jobs;
#[path = "cli/measures.rs"]
mod measures;
#[path = "cli/pictures.rs"]
mod pictures;
#[path = "cli/report.rs"]
mod report;
#[path = "cli/shards.rs"]
mod shards;

use common::demo;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn pentimento(cache: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .args(args)
        .env("PENTIMENTO_CACHE", cache)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn path(p: &Path) -> &str {
    p.to_str().unwrap()
}

#[test]
fn exit_codes_tell_fine_failed_and_wrong_arguments_apart() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(pentimento(folder.path(), &["--help"]).status.code(), Some(0));
    assert_eq!(
        pentimento(folder.path(), &["generate", "--no-such-flag"])
            .status
            .code(),
        Some(2)
    );
    let nowhere = folder.path().join("nowhere");
    let out = pentimento(
        folder.path(),
        &[
            "generate",
            "--model",
            path(&nowhere),
            "--prompt",
            "x",
            "--out",
            path(folder.path()),
        ],
    );
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("nowhere"), "{}", text(&out.stderr));
    // No display: the window says so and names what still works.
    let out = pentimento(folder.path(), &[]);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text(&out.stderr).contains("pentimento scan"),
        "{}",
        text(&out.stderr)
    );
}

#[test]
fn doctor_reports_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let out = pentimento(folder.path(), &["doctor", "--json"]);
    assert_eq!(out.status.code(), Some(0));
    let findings: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let names: Vec<_> = findings
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"display") && names.contains(&"memory") && names.contains(&"demo study"));
}

#[test]
fn doctor_looks_into_a_checkpoint_without_loading_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = pentimento(folder.path(), &["doctor", path(&demo().join("model"))]);
    assert_eq!(out.status.code(), Some(0));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        text.contains("model memory") && text.contains("denoising"),
        "{text}"
    );
    let out = pentimento(folder.path(), &["doctor", path(folder.path())]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("model_index.json"));
}

#[test]
fn a_device_that_this_build_lacks_is_explained() {
    if cfg!(feature = "cuda") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (model, out_dir) = (demo().join("model"), folder.path().join("out"));
    let arguments = [
        "generate",
        "--device",
        "cuda:0",
        "--model",
        path(&model),
        "--prompt",
        "a",
        "--out",
        path(&out_dir),
    ];
    let out = pentimento(folder.path(), &arguments);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--features cuda"));
}

#[test]
fn generate_writes_pictures_that_carry_their_parameters_and_a_dump() {
    let folder = tempfile::tempdir().unwrap();
    let (out_dir, dump) = (folder.path().join("out"), folder.path().join("dump.safetensors"));
    let model = demo().join("model");
    let out = pentimento(
        folder.path(),
        &[
            "generate",
            "--model",
            path(&model),
            "--prompt",
            "a red lighthouse",
            "--seeds",
            "5",
            "--batch",
            "2",
            "--steps",
            "3",
            "--guidance",
            "4",
            "--dump",
            path(&dump),
            "--out",
            path(&out_dir),
            "--quiet",
        ],
    );
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let files: Vec<_> = text(&out.stdout).lines().map(str::to_owned).collect();
    assert_eq!(files.len(), 2);
    let said = pentimento::store::picture_text(Path::new(&files[0])).unwrap();
    assert_eq!(said["prompt"], "a red lighthouse");
    assert_eq!(said["steps"], "3");
    let picture = image::open(&files[0]).unwrap();
    assert_eq!((picture.width(), picture.height()), (128, 128));

    let tensors = candle_core::safetensors::load(&dump, &candle_core::Device::Cpu).unwrap();
    let dims = |name: &str| tensors[name].dims().to_vec();
    assert_eq!(dims("noise"), [2, 4, 16, 16]);
    assert_eq!(dims("latents"), [3, 2, 4, 16, 16]);
    assert_eq!(dims("timesteps"), [3]);
    assert_eq!(dims("image"), [2, 3, 128, 128]);
    assert_eq!(dims("text_embeddings")[0], 4);
}

#[test]
fn every_scheduler_and_generator_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = demo().join("model");
    let mut pictures = Vec::new();
    for (scheduler, rng) in [
        ("ddim", "torch-cpu"),
        ("pndm", "torch-cpu"),
        ("dpm++", "torch-cpu"),
        ("euler", "torch-cpu"),
        ("euler-a", "torch-cpu"),
        ("ddim", "torch-cuda"),
    ] {
        let out_dir = folder.path().join(format!("{scheduler}-{rng}"));
        let out = pentimento(
            folder.path(),
            &[
                "generate",
                "--model",
                path(&model),
                "--prompt",
                "a red lighthouse",
                "--steps",
                "5",
                "--scheduler",
                scheduler,
                "--rng",
                rng,
                "--out",
                path(&out_dir),
                "--quiet",
            ],
        );
        assert_eq!(out.status.code(), Some(0), "{scheduler}: {}", text(&out.stderr));
        let file = text(&out.stdout).trim().to_owned();
        let said = pentimento::store::picture_text(Path::new(&file)).unwrap();
        assert_eq!(said["scheduler"], scheduler);
        assert_eq!(said.get("rng").map_or("torch-cpu", |r| &**r), rng);
        let picture = image::open(&file).unwrap().to_rgb8().into_raw();
        assert!(!pictures.contains(&picture), "{scheduler} {rng} draws as another");
        pictures.push(picture);
    }
    let out = pentimento(folder.path(), &["scan", "x", "--out", "y", "--scheduler", "heun"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("euler-a"), "{}", text(&out.stderr));
}

#[test]
fn score_finds_the_picture_itself_first() {
    let folder = tempfile::tempdir().unwrap();
    let (generated, gallery) = (folder.path().join("generated"), folder.path().join("gallery"));
    let (masks, out) = (folder.path().join("masks"), folder.path().join("scores.csv"));
    for d in [&generated, &gallery, &masks] {
        fs::create_dir(d).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(demo().join("gallery"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    names.sort();
    for (i, file) in names.iter().step_by(60).take(8).enumerate() {
        let picture = image::open(file).unwrap().to_rgb8();
        let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
        picture.save(gallery.join(format!("{i}.png"))).unwrap();
        fs::copy(
            demo().join("truth").join(format!("{stem}.png")),
            masks.join(format!("{i}.png")),
        )
        .unwrap();
        if i == 3 {
            picture.save(generated.join("img_0000_00.png")).unwrap();
            fs::copy(masks.join("3.png"), masks.join("img_0000_00.png")).unwrap();
        }
    }
    fs::write(gallery.join("broken.png"), b"not a picture").unwrap();
    let run = pentimento(
        folder.path(),
        &[
            "score",
            "--generated",
            path(&generated),
            "--gallery",
            path(&gallery),
            "--masks-generated",
            path(&masks),
            "--masks-gallery",
            path(&masks),
            "--segmenter",
            path(&demo().join("segmenter")),
            "--out",
            path(&out),
        ],
    );
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    assert!(text(&run.stderr).contains("broken.png"), "{}", text(&run.stderr));
    let csv = fs::read_to_string(&out).unwrap();
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some("original image,generated image,Background Scores,Foreground Scores,Average Scores")
    );
    let last = lines.next_back().unwrap();
    let cells: Vec<_> = last.split(',').collect();
    assert_eq!(cells[..2], ["3.png", "img_0000_00.png"], "best last: {last}");
    for score in &cells[2..] {
        assert!(
            score.parse::<f32>().unwrap() > 0.999_99,
            "the same picture: {last}"
        );
    }
    assert_eq!(csv.lines().count(), 6, "five rows and a header");
}

#[test]
fn a_scan_resumes_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let prompts = folder.path().join("prompts.txt");
    fs::write(&prompts, "a red lighthouse\n").unwrap();
    let scan = |seeds: &str, run: &Path| {
        let out = pentimento(
            folder.path(),
            &[
                "scan",
                path(&demo()),
                "--prompts",
                path(&prompts),
                "--seeds",
                seeds,
                "--out",
                path(run),
                "--json",
                "--quiet",
            ],
        );
        assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
        serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap()
    };
    let summary = scan("0..2", &one);
    scan("0..1", &two);
    assert_eq!(scan("0..2", &two), {
        let mut expected = summary.clone();
        expected["run"] = path(&two).into();
        expected
    });
    let tally = summary["groups"][""].as_object().unwrap();
    assert_eq!(tally.values().map(|v| v.as_u64().unwrap()).sum::<u64>(), 2);
    for file in [
        "generations.jsonl",
        "images/img_0000_01.png",
        "mattes/img_0000_01.png",
    ] {
        assert_eq!(
            fs::read(one.join(file)).unwrap(),
            fs::read(two.join(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn a_variant_is_drawn_with_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let model = fixtures.join("diffusion/sd1");
    let variants = fixtures.join("variants");
    let draw = |model: &Path, variant: Option<&str>, out: &str| {
        let out = folder.path().join(out);
        let file = variant.map(|v| variants.join(v));
        let mut args = vec![
            "generate",
            "--quiet",
            "--prompt",
            "a photo of a red house",
            "--steps",
            "4",
        ];
        args.extend(["--model", path(model), "--out", path(&out)]);
        if let Some(file) = &file {
            args.extend(["--variant", path(file)]);
        }
        let output = pentimento(folder.path(), &args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let picture = out.join("img_0000_00.png");
        let marks = pentimento::store::picture_text(&picture).unwrap();
        (image::open(&picture).unwrap().to_rgb8(), marks)
    };
    let (original, marks) = draw(&model, None, "original");
    assert!(!marks.contains_key("variant"));
    let (edited, marks) = draw(&model, Some("mask.toml"), "edited");
    assert_ne!(original, edited);
    assert_eq!(marks["variant"], "mask");
    assert_eq!(marks["variant hash"].len(), 64);

    let (out, again) = (folder.path().join("model"), folder.path().join("again"));
    let export = |variant: &str, out: &Path, more: &[&str]| {
        let file = variants.join(variant);
        let mut args = vec!["export", "--model", path(&model), "--variant", path(&file)];
        args.extend(["--out", path(out)]);
        args.extend(more);
        pentimento(folder.path(), &args)
    };
    let exported = export("mask.toml", &out, &[]);
    assert_eq!(exported.status.code(), Some(0), "{}", text(&exported.stderr));
    assert_eq!(text(&exported.stdout).trim(), path(&out));
    assert!(out.join("variant.toml").is_file());
    assert_eq!(draw(&out, None, "from the export").0, edited);

    // What weights cannot carry is named, with what to do, and nothing is written.
    let refused = export("neurons-limited.toml", &again, &[]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    for part in ["edit 2", "steps 2..6", "edit 3", "--weights-only"] {
        assert!(said.contains(part), "“{part}” is not in: {said}");
    }
    assert!(!again.exists());
    let refused = export("guidance-timestep.toml", &again, &["--weights-only"]);
    assert!(text(&refused.stderr).contains("Nothing of this variant"));
    let exported = export("neurons-limited.toml", &again, &["--weights-only"]);
    assert_eq!(exported.status.code(), Some(0), "{}", text(&exported.stderr));
    assert!(
        text(&exported.stderr).contains("1 of 3 edits"),
        "{}",
        text(&exported.stderr)
    );
}

#[test]
fn score_adds_the_cosine_of_embeddings_after_the_references_columns() {
    let folder = tempfile::tempdir().unwrap();
    let mut names: Vec<_> = fs::read_dir(demo().join("gallery"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| pentimento::gallery::is_image_name(p))
        .collect();
    names.sort();
    for (d, count) in [("generated", 1), ("gallery", 3)] {
        fs::create_dir(folder.path().join(d)).unwrap();
        for (i, file) in names.iter().step_by(40).take(count).enumerate() {
            fs::copy(file, folder.path().join(d).join(format!("img_{i:04}_00.png"))).unwrap();
        }
    }
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/embedding/sscd.safetensors");
    let segmenter = demo().join("segmenter");
    let [generated, gallery, out] =
        ["generated", "gallery", "scores.csv"].map(|name| folder.path().join(name));
    let mut arguments = vec![
        "score",
        "--generated",
        path(&generated),
        "--gallery",
        path(&gallery),
    ];
    arguments.extend(["--out", path(&out)]);
    arguments.extend(["--segmenter", path(&segmenter), "--embedder", path(&weights)]);
    let run = pentimento(folder.path(), &arguments);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let csv = fs::read_to_string(folder.path().join("scores.csv")).unwrap();
    assert!(
        csv.lines()
            .next()
            .unwrap()
            .ends_with("Average Scores,SSCD small_288 cosine"),
        "{csv}"
    );
    let best = csv.lines().next_back().unwrap();
    let cosine: f32 = best.rsplit(',').next().unwrap().parse().unwrap();
    assert!(
        best.starts_with("img_0000_00.png,img_0000_00.png") && (cosine - 1.0).abs() < 1e-5,
        "{best}"
    );
    // A file that is no embedder is named, and nothing is written.
    arguments.truncate(arguments.len() - 1);
    let run = pentimento(
        folder.path(),
        &[&arguments[..], &["generated/img_0000_00.png"]].concat(),
    );
    assert_eq!(run.status.code(), Some(1));
    assert!(
        text(&run.stderr).contains("img_0000_00.png"),
        "{}",
        text(&run.stderr)
    );
}
