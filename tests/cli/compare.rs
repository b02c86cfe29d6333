//! `pentimento compare` over two small runs made of numbers.

use super::{path, pentimento, text};
use image::{Rgb, RgbImage};
use pentimento::{
    store::{Record, RecordMatch, Run, RunParameters},
    study::{Arithmetic, GenerationKey, RegionScores, VariantId},
};
use std::path::Path;

/// A run of two prompts and two seeds with these scores; `shade` changes the pictures.
fn run(folder: &Path, parameters: &RunParameters, scores: [(f32, f32); 4], shade: u8) {
    let mut run = Run::create(folder, parameters).unwrap();
    for (i, (f, b)) in scores.into_iter().enumerate() {
        let (prompt, seed) = (i as u32 / 2, i as u64 % 2);
        let key = GenerationKey { prompt, seed };
        let image = RgbImage::from_fn(32, 32, |x, y| {
            if shade == 0 {
                return Rgb([128; 3]);
            }
            let v = ((x * 7 + y * 3 + i as u32 * 11) % 90) as u8;
            Rgb([shade + v, 200 - v, 90])
        });
        let text = format!("prompt {prompt}");
        let written = run.write_image(&key, &text, &image).unwrap();
        let record = Record {
            cluster: None,
            key,
            prompt: text,
            image: written.relative,
            sha256: written.sha256,
            matte: None,
            confidence: None,
            matches: vec![RecordMatch {
                name: "a.png".into(),
                gallery: 0,
                scores: RegionScores::new(f, b),
            }],
            embedding: None,
            measures: None,
            signals: None,
            noise_norm: Vec::new(),
        };
        run.append(record, 2.0).unwrap();
    }
}

#[test]
fn two_runs_are_compared_by_prompt_and_seed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let original = RunParameters::default();
    let variant = RunParameters {
        variant: Some(VariantId {
            name: "v".into(),
            hash: "ab".repeat(32),
        }),
        ..original.clone()
    };
    let scores_a = [(0.9, 0.9), (0.9, 0.1), (0.1, 0.9), (0.1, 0.1)];
    run(&at("a"), &original, scores_a, 100);
    run(
        &at("b"),
        &variant,
        [(0.9, 0.2), (0.85, 0.1), (0.9, 0.2), (0.1, 0.1)],
        100,
    );
    let compare = |b: &str, more: &[&str]| {
        let (a, b) = (at("a"), at(b));
        let mut args = vec!["compare", path(&a), path(&b)];
        args.extend(more);
        pentimento(folder.path(), &args)
    };
    let out = compare("b", &["--json"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    // VM→FM +0.5, FM→FM 0, BM→FM −0.5 or −1, NM→NM 0.
    assert_eq!(json["reference"]["score"], 0.0);
    assert_eq!(json["potential"]["score"], -0.5);
    assert_eq!(json["reference"]["attainable"], 4.0);
    assert_eq!(json["transitions"]["BM"]["FM"], 1);
    assert_eq!(json["persistence"]["foreground_only"]["value"], 1.0);
    assert_eq!(json["joined"]["pictures"], 4);
    assert_eq!(json["b"]["variant"]["name"], "v");
    assert!(json["ruined"].is_null() && json["warnings"].as_array().unwrap().is_empty());
    assert!(json["missing"][0].as_str().unwrap().contains("--clip"));
    let said = text(&compare("b", &[]).stdout);
    for part in [
        "4 pictures in both: 2 prompts, 2 seeds",
        "FM that stays FM",
        "not measured: prompt alignment",
    ] {
        assert!(said.contains(part), "“{part}” is not in:\n{said}");
    }
    // Other thresholds, other classes; wrong ones are a mistake in the arguments.
    let out = compare("b", &["--json", "--thresholds", "0.95,0.95"]);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["transitions"]["NM"]["NM"], 4);
    assert_eq!(compare("b", &["--thresholds", "0.8"]).status.code(), Some(2));
    assert_eq!(compare("nowhere", &[]).status.code(), Some(1));

    // Grey pictures copy nothing and must not pass for clean.
    run(&at("grey"), &variant, [(0.1, 0.1); 4], 0);
    let out = compare("grey", &[]);
    assert!(
        text(&out.stdout).contains("B looks RUINED"),
        "{}",
        text(&out.stdout)
    );

    // What else differs is told; another arithmetic is refused.
    let mut other = variant.clone();
    other.gallery = Some("cd".repeat(32));
    other.sampling.steps = 7;
    run(&at("other"), &other, scores_a, 100);
    let warned = text(&compare("other", &[]).stderr);
    assert!(
        warned.contains("gallery") && warned.contains("steps: A has"),
        "{warned}"
    );
    other.arithmetic = Arithmetic::Reference;
    run(&at("mixed"), &other, scores_a, 100);
    let out = compare("mixed", &[]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("different arithmetics"));
}

#[test]
fn clip_and_an_embedder_say_whether_pictures_show_their_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let original = RunParameters::default();
    let variant = RunParameters {
        variant: Some(VariantId {
            name: "v".into(),
            hash: "ab".repeat(32),
        }),
        ..original.clone()
    };
    run(&at("a"), &original, [(0.9, 0.9); 4], 100);
    run(&at("b"), &variant, [(0.1, 0.1); 4], 40);
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/embedding");
    let compare = |more: &[&str]| {
        let (a, b) = (at("a"), at("b"));
        let mut args = vec!["compare", path(&a), path(&b)];
        args.extend(more);
        pentimento(folder.path(), &args)
    };
    let clip = weights.join("clip");
    let out = compare(&["--json", "--clip", path(&clip), "--embedder", path(&clip)]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let number = |pointer: &str| json.pointer(pointer).and_then(|v| v.as_f64()).unwrap();
    let change = number("/prompt_fit/b/value") - number("/prompt_fit/a/value");
    assert!((number("/alignment/value") - change).abs() < 1e-6);
    assert_eq!(json["prompt_fit"]["a"]["pictures"], 4);
    assert!(json["prompt_fit"]["chance"]["interval"].is_array());
    assert_eq!(json["diversity"]["measure"], "1 − cosine, CLIP");
    let missing = json["missing"].to_string();
    assert!(
        !missing.contains("CLIP weights") && !missing.contains("--embedder"),
        "{missing}"
    );
    let said = text(&compare(&["--clip", path(&clip)]).stdout);
    for part in [
        "CLIP score, B − A",
        "of A's with other prompts",
        "name weights with --embedder",
    ] {
        assert!(said.contains(part), "“{part}” is not in:\n{said}");
    }
    // A folder without what is needed is refused by name.
    let out = compare(&["--clip", path(&weights.join("dinov2"))]);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text(&out.stderr).contains("does not fit CLIP"),
        "{}",
        text(&out.stderr)
    );
}
