//! Finished pictures and the null on the command line.

use super::{path, pentimento, text};
use image::{GrayImage, Luma, Rgb, RgbImage};
use std::{fs, path::Path};

/// Waves of any direction and length, the same for the same number.
fn scene(n: u8) -> RgbImage {
    let wild = |k: u64| {
        let mut x = u64::from(n) * 104_729 + k * 31 + 7;
        for _ in 0..3 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        (x >> 20) as f32 / (1u64 << 44) as f32
    };
    RgbImage::from_fn(80, 80, |x, y| {
        let (u, v) = (x as f32 / 80.0, y as f32 / 80.0);
        Rgb(std::array::from_fn(|c| {
            let c = c as u64;
            let wave =
                (u * (3.0 + 20.0 * wild(c)) + v * (2.0 + 25.0 * wild(c + 3)) + 6.0 * wild(c + 6)).sin();
            (128.0 + 110.0 * wave) as u8
        }))
    })
}

fn fill(folder: &Path, names: impl Iterator<Item = (String, u8)>) {
    let mattes = folder.with_extension("mattes");
    fs::create_dir_all(folder).unwrap();
    fs::create_dir_all(&mattes).unwrap();
    for (name, n) in names {
        scene(n).save(folder.join(format!("{name}.png"))).unwrap();
        let matte = GrayImage::from_fn(80, 80, |x, y| {
            Luma([if (20..60).contains(&x) && (20..60).contains(&y) {
                255
            } else {
                0
            }])
        });
        matte.save(mattes.join(format!("{name}.png"))).unwrap();
    }
}

#[test]
fn finished_pictures_become_a_run_with_scores_and_percentiles() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    fill(&study.join("gallery"), (0..22).map(|i| (i.to_string(), i)));
    fs::write(
        study.join("study.toml"),
        "format = 1\n[gallery]\npath = \"gallery\"\nmattes = \"gallery.mattes\"\n",
    )
    .unwrap();
    let pictures = folder.path().join("pictures");
    fill(
        &pictures,
        [
            ("fox-1".to_owned(), 3),
            ("fox-2".to_owned(), 40),
            ("owl-1".to_owned(), 41),
        ]
        .into_iter(),
    );
    fs::write(pictures.join("broken-1.png"), b"no picture").unwrap();
    let run = folder.path().join("run");
    let mattes = pictures.with_extension("mattes");
    let scan = |more: &[&str]| {
        let mut args = vec![
            "scan",
            path(&study),
            "--generated",
            path(&pictures),
            "--masks-generated",
            path(&mattes),
            "--out",
            path(&run),
            "--quiet",
        ];
        args.extend(more);
        pentimento(folder.path(), &args)
    };
    // FB-Mem's names do not fit.
    let out = scan(&[]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("pattern"), "{}", text(&out.stderr));
    let out = scan(&["--pattern", "{text}-{seed}", "--null", "5", "--json"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let counted: u64 = summary["groups"][""]
        .as_object()
        .unwrap()
        .values()
        .map(|v| v.as_u64().unwrap())
        .sum();
    assert_eq!(counted, 3);
    assert_eq!(summary["null"]["pictures"], 22);
    let scores = fs::read_to_string(run.join("scores.csv")).unwrap();
    let mut lines = scores.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .ends_with("Background Null Percentile,Foreground Null Percentile")
    );
    let own = lines.find(|l| l.starts_with("3.png,fox-1.png")).unwrap();
    assert!(own.ends_with(",100,100"), "{own}");
    assert!(
        fs::read_to_string(run.join("skipped.csv"))
            .unwrap()
            .contains("broken-1.png")
    );
    assert!(
        text(&out.stderr).contains("files left out: 1"),
        "{}",
        text(&out.stderr)
    );
    // The table opens as one of the reference's; without --null it has the reference's columns alone.
    let out = scan(&["--pattern", "{text}-{seed}"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let plain = fs::read_to_string(run.join("scores.csv")).unwrap();
    assert!(
        plain.starts_with(
            "original image,generated image,Background Scores,Foreground Scores,Average Scores\n"
        )
    );
    // Opened again, the run finds the gallery and its mattes through the study.
    let html = folder.path().join("report.html");
    let out = pentimento(folder.path(), &["report", path(&run), "--out", path(&html)]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    let said = text(&out.stderr);
    assert!(!said.contains("gallery"), "{said}");
}

#[test]
fn ways_to_read_names_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    for args in [
        &["scan", "--out", "x"][..],
        &["scan", "s", "--pattern", "{prompt}", "--out", "x"],
        &["scan", "s", "--generated", "g", "--seeds", "0", "--out", "x"],
        &[
            "scan",
            "s",
            "--generated",
            "g",
            "--pattern",
            "{prompt}",
            "--one-per-file",
            "--out",
            "x",
        ],
        &["scan", "s", "--null", "0", "--out", "x"],
    ] {
        assert_eq!(pentimento(folder.path(), args).status.code(), Some(2), "{args:?}");
    }
}
