//! `pentimento detect` over a small run made of numbers.

use super::{path, pentimento, text};
use image::RgbImage;
use pentimento::{
    store::{Record, RecordMatch, RecordSignals, Run, RunParameters},
    study::{GenerationKey, RegionScores},
};
use std::path::Path;

/// Eight prompts with three seeds; the first three are copies. Their noise norm is high at first and low at the end;
/// `late` is the entropy, which says nothing.
fn run(folder: &Path, matched: bool) {
    let mut run = Run::create(folder, &RunParameters::default()).unwrap();
    for prompt in 0..8_u32 {
        for seed in 0..3_u64 {
            let key = GenerationKey { prompt, seed };
            let text = format!("prompt {prompt}");
            let written = run.write_image(&key, &text, &RgbImage::new(16, 16)).unwrap();
            let copied = prompt < 3;
            let wobble = 0.1 * (prompt as f32 + seed as f32);
            let score = if copied { 0.9 } else { 0.2 };
            let record = Record {
                cluster: None,
                key,
                prompt: text,
                image: written.relative,
                sha256: written.sha256,
                matte: None,
                confidence: None,
                matches: if matched {
                    vec![RecordMatch {
                        name: "a.png".into(),
                        gallery: 0,
                        scores: RegionScores::new(score, score),
                    }]
                } else {
                    Vec::new()
                },
                embedding: None,
                measures: None,
                signals: Some(RecordSignals {
                    entropy_late: Some(((prompt * 5 + seed as u32 * 3) % 7) as f32),
                    ..RecordSignals::default()
                }),
                noise_norm: if copied {
                    vec![9.0 + wobble, 4.0, 1.0 - 0.1 * wobble]
                } else {
                    vec![4.0 + wobble, 4.0, 2.0 + wobble]
                },
            };
            run.append(record, 1.0).unwrap();
        }
    }
}

#[test]
fn signals_are_judged_at_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    run(&at("run"), true);
    let detect = |more: &[&str]| {
        let run = at("run");
        let mut args = vec!["detect", path(&run)];
        args.extend(more);
        pentimento(folder.path(), &args)
    };
    let out = detect(&["--json"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["truth"]["classes"]["VM"], 9);
    assert_eq!(
        (&json["pictures"], &json["prompts"], &json["seeds"]),
        (&24.into(), &8.into(), &3.into())
    );
    let any = &json["contrasts"][0];
    assert_eq!(any["positive"], "memorized");
    let noise = &any["signals"][0];
    let areas: Vec<f64> = (0..3)
        .map(|i| noise["steps"][i]["auc"]["value"].as_f64().unwrap())
        .collect();
    assert_eq!(areas, [1.0, 0.5, 0.0]);
    assert_eq!(noise["best"], 1);
    assert_eq!(noise["best_curve"][0], serde_json::json!([0.0, 0.0]));
    // The mean of the steps is 14 against about 10 + 0.2 · 7: it still separates.
    assert_eq!(noise["mean"]["tpr_below_fpr"], 1.0);
    assert!(
        any["signals"][2]["missing"]
            .as_str()
            .unwrap()
            .contains("not recorded")
    );
    assert_eq!(json["above"][0]["share"], serde_json::json!([1.0, 0.0, 0.0]));
    assert_eq!(json["band"]["curves"], 15);

    let said = text(&detect(&[]).stdout);
    for part in [
        "24 pictures of 8 prompts, 3 seeds, 3 steps",
        "9 VM, 0 FM, 0 BM, 15 NM",
        "memorized against NM",
        "; inverted",
        "FM against NM: there is no positive",
        "15 NM pictures (5 prompts, 3 seeds)",
        "VM above it",
    ] {
        assert!(said.contains(part), "“{part}” is not in:\n{said}");
    }
    let last = text(&detect(&["--steps", "3..3", "--per-prompt"]).stdout);
    assert!(
        last.contains("3 to 3") && last.contains("3 and 5 prompts"),
        "{last}"
    );
    assert_eq!(detect(&["--steps", "3"]).status.code(), Some(2));
}

#[test]
fn truth_and_band_can_come_from_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    run(&at("bare"), false);
    let detect = |more: &[&str]| {
        let run = at("bare");
        let mut args = vec!["detect", path(&run)];
        args.extend(more);
        pentimento(folder.path(), &args)
    };
    // Nothing is known without matches, and the message says what to do.
    let out = detect(&[]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("--prompts or --labels"));
    let list: String = (0..8)
        .map(|i| format!("prompt {i};{}\n", if i < 3 { "FM" } else { "NM" }))
        .collect();
    std::fs::write(at("list.csv"), format!("Caption;group\n{list}")).unwrap();
    let out = detect(&[
        "--prompts",
        path(&at("list.csv")),
        "--save-band",
        path(&at("band.json")),
    ]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(
        text(&out.stdout).contains("9 FM, 0 BM, 15 NM"),
        "{}",
        text(&out.stdout)
    );
    // Labels of seven pictures; the others are left out. Too few NM for a band of their own.
    let labels = "prompt index,seed,class\n0,0,VM\n0,1,VM\n1,0,VM\n2,1,VM\n2,2,VM\n5,0,NM\n6,0,NM\n";
    std::fs::write(at("labels.csv"), labels).unwrap();
    let out = detect(&["--labels", path(&at("labels.csv"))]);
    let said = text(&out.stdout);
    assert!(
        said.contains("17 pictures of which nothing is known") && said.contains("No band"),
        "{said}"
    );
    let out = detect(&[
        "--labels",
        path(&at("labels.csv")),
        "--band",
        path(&at("band.json")),
    ]);
    let said = text(&out.stdout);
    assert!(said.contains("15 other pictures (5 prompts, 3 seeds)"), "{said}");
    assert!(text(&out.stderr).is_empty(), "{}", text(&out.stderr));
    std::fs::write(at("band.json"), "{}").unwrap();
    let out = detect(&[
        "--prompts",
        path(&at("list.csv")),
        "--band",
        path(&at("band.json")),
    ]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("band.json"), "{}", text(&out.stderr));
}
