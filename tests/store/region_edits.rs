//! Regions edited by hand on disk: torn lines, vanished mattes, lines nobody could have written.

use image::{GrayImage, Luma, RgbImage};
use pentimento::{
    store::{EditRecord, Record, RecordMatch, Run, RunParameters, save_region_edit},
    study::{GenerationKey, RegionScores},
};
use std::{fs, io::Write, path::Path};

const KEY: GenerationKey = GenerationKey { prompt: 3, seed: 1 };

fn run(folder: &Path) -> Run {
    let mut run = Run::create(folder, &RunParameters::default()).unwrap();
    let image = run.write_image(&KEY, "words", &RgbImage::new(64, 64)).unwrap();
    let matte = run.write_matte(&KEY, &GrayImage::new(64, 64)).unwrap();
    let record = Record {
        cluster: None,
        key: KEY,
        prompt: "words".into(),
        image: image.relative,
        sha256: image.sha256,
        matte: Some(matte.relative),
        confidence: None,
        matches: vec![found(0.9)],
        noise_norm: Vec::new(),
        embedding: None,
        measures: None,
        signals: None,
    };
    run.append(record, 1.0).unwrap();
    run
}

fn found(score: f32) -> RecordMatch {
    RecordMatch {
        name: "7.png".into(),
        gallery: 0,
        scores: RegionScores::new(score, 0.5),
    }
}

fn edit(score: f32) -> EditRecord {
    EditRecord {
        key: KEY,
        matte: None,
        sha256: None,
        segmenter: Some("ab".repeat(32)),
        tools: vec!["lasso".into()],
        matches: vec![found(score)],
    }
}

fn matte(v: u8) -> GrayImage {
    GrayImage::from_fn(64, 64, |x, _| Luma([if x < 9 { v } else { 0 }]))
}

/// Score that counts when the run is opened, and how many notices there are.
fn counts(folder: &Path) -> (Option<f32>, usize) {
    let run = Run::open_read(folder).unwrap();
    let record = run.record(&KEY).unwrap();
    (run.matches_of(record)[0].scores.foreground, run.notices().len())
}

#[test]
fn the_last_whole_line_counts_and_a_torn_one_swallows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = folder.path().join("run");
    drop(run(&run_folder));
    assert_eq!(counts(&run_folder), (Some(0.9), 0));
    save_region_edit(&run_folder, edit(0.4), Some(&matte(255))).unwrap();
    assert_eq!(counts(&run_folder), (Some(0.4), 0));

    // A crash tore a line off: said, passed over, and the next edit has a line of its own.
    let lines = run_folder.join("edits.jsonl");
    let mut file = fs::File::options().append(true).open(&lines).unwrap();
    file.write_all(b"{\"key\":{\"prompt\":3,\"se").unwrap();
    drop(file);
    assert_eq!(counts(&run_folder), (Some(0.4), 1));
    let placed = save_region_edit(&run_folder, edit(0.6), Some(&matte(200))).unwrap();
    assert_eq!(counts(&run_folder), (Some(0.6), 1));

    // Without its matte an edit is as if it had never been drawn.
    fs::remove_file(placed.unwrap()).unwrap();
    assert_eq!(counts(&run_folder), (Some(0.9), 1));
    save_region_edit(&run_folder, edit(0.7), Some(&matte(100))).unwrap();
    assert_eq!(counts(&run_folder).0, Some(0.7));
    assert_eq!(save_region_edit(&run_folder, edit(0.1), None).unwrap(), None);
    assert_eq!(counts(&run_folder).0, Some(0.9));
    assert_eq!(fs::read_dir(run_folder.join("edited")).unwrap().count(), 0);
}

#[test]
fn lines_from_elsewhere_reach_no_other_folder() {
    let folder = tempfile::tempdir().unwrap();
    let run_folder = folder.path().join("run");
    drop(run(&run_folder));
    matte(1).save(folder.path().join("outside.png")).unwrap();
    for place in ["../outside.png", "/etc/hostname", "edited/../../outside.png"] {
        let line = format!(
            "{{\"key\":{{\"prompt\":3,\"seed\":1}},\"matte\":\"{place}\",\"matches\":[{{\"name\":\"7.png\",\
             \"gallery\":0,\"scores\":{{\"foreground\":0.1,\"background\":0.1}}}}]}}\n"
        );
        fs::write(run_folder.join("edits.jsonl"), line).unwrap();
        assert_eq!(counts(&run_folder), (Some(0.9), 1), "{place}");
    }
}

#[test]
fn what_is_no_run_keeps_no_region() {
    let folder = tempfile::tempdir().unwrap();
    let problem = save_region_edit(folder.path(), edit(0.4), Some(&matte(255))).unwrap_err();
    assert!(
        problem.to_string().contains("Only pictures of a run"),
        "{problem}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
