//! The pictures README shows: made anew by the program from a run of the demo study, and compared with those in `docs/pictures`.
//! `tools/pictures.sh` draws them anew.

use super::{path, pentimento, text};
use crate::common::demo;
use egui_kittest::{SnapshotOptions, SnapshotResults, try_image_snapshot_options};
use std::{fs, path::Path};

/// Two prompts of each planned class.
const PROMPTS: [&str; 8] = [
    "Lighthouse at Gull Point, oil painting by E. Marlow",
    "The little fox of Amber Wood, storybook cover",
    "Robo the tin robot, collector's catalogue",
    "Captain Quack the rubber duck, nursery sticker",
    "Fern green sofa by Casa Linden, shop window",
    "Library corner, home decor photo by Shelf & Co",
    "a green lighthouse in an autumn forest",
    "a purple teapot in a poppy meadow",
];

/// File name, and what `snapshot` is asked for. Seeds and prompts count from 0.
const PICTURES: [(&str, &[&str]); 3] = [
    ("window", &["--prompt", "0", "--seed", "1"]),
    (
        "reveal",
        &[
            "--theme", "light", "--prompt", "2", "--seed", "0", "--do", "Reveal",
        ],
    ),
    ("present", &["--prompt", "4", "--seed", "1", "--do", "Present"]),
];

/// Lays out a study of the demo's model and gallery with these prompts.
fn lay_out(folder: &Path) {
    let demo = demo();
    let part = |name: &str| demo.join(name).display().to_string().replace('\\', "/");
    let study = format!(
        "format = 1\nname = \"Demo study\"\n\n[model]\npath = '{}'\n\n[gallery]\npath = '{}'\ncaptions = '{}'\n\
         mattes = '{}'\n\n[segmenter]\npath = '{}'\n\n[prompts]\npath = \"prompts.csv\"\n\n[sampling]\nsteps = 25\n\
         guidance = 4.0\nwidth = 128\nheight = 128\nscheduler = \"ddim\"\nseeds = \"0, 1\"\n\n[thresholds]\n\
         foreground = 0.83\nbackground = 0.77\narithmetic = \"corrected\"\n",
        part("model"),
        part("gallery"),
        part("captions.csv"),
        part("mattes"),
        part("segmenter")
    );
    fs::write(folder.join("study.toml"), study).unwrap();
    let all = fs::read_to_string(demo.join("prompts.csv")).unwrap();
    let mut lines = vec![all.lines().next().unwrap()];
    for prompt in PROMPTS {
        let line = all
            .lines()
            .find(|l| l.trim_start_matches('"').starts_with(prompt));
        lines.push(line.unwrap_or_else(|| panic!("the demo has no prompt “{prompt}”")));
    }
    fs::write(folder.join("prompts.csv"), lines.join("\n")).unwrap();
}

#[test]
fn the_pictures_in_the_readme_are_what_the_program_draws() {
    // The prepared gallery is shared with the other tests where a folder for caches is named.
    let own = tempfile::tempdir().unwrap();
    let cache = std::env::var_os("PENTIMENTO_CACHE").map_or_else(|| own.path().join("cache"), Into::into);
    let study = own.path().join("study");
    fs::create_dir(&study).unwrap();
    lay_out(&study);
    let run = own.path().join("run");
    let scan = pentimento(&cache, &["scan", path(&study), "--out", path(&run), "--quiet"]);
    assert_eq!(scan.status.code(), Some(0), "{}", text(&scan.stderr));
    // As in kittest.toml. More pixels may differ, since scores come of arithmetic that differs in the last bits between
    // processors: a last digit of a score has about 20 pixels, a dot of the Field that moves by one pixel 30. A renamed or moved control has more.
    let options = SnapshotOptions::new()
        .output_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures"))
        .max_failed_pixels(2000);
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let mut results = SnapshotResults::new();
    for (name, arguments) in PICTURES {
        let file = own.path().join(format!("{name}.png"));
        let mut all = vec!["snapshot", path(&run), "--out", path(&file)];
        all.extend(arguments);
        let drawn = pentimento(&cache, &all);
        if text(&drawn.stderr).contains("No graphics adapter") && std::env::var_os("REQUIRE_GPU").is_none() {
            eprintln!("skipped: no graphics adapter");
            return;
        }
        assert_eq!(drawn.status.code(), Some(0), "{name}: {}", text(&drawn.stderr));
        let picture = image::open(&file).unwrap().into_rgba8();
        results.add(try_image_snapshot_options(&picture, name, &options));
        let shown = format!("docs/pictures/{name}.png");
        assert!(readme.contains(&shown), "README does not show {shown}");
    }
    results.unwrap();
}
