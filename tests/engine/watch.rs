//! A run that grows is opened while it grows.

use super::open;
use crate::common::{Ending, demo, engine};
use image::{GrayImage, RgbImage};
use pentimento::{
    engine::{EngineHandle, Event},
    store::{Places, Record, RecordMatch, Run, RunParameters},
    study::{Generation, GenerationKey, RegionScores, Verdict},
};
use std::{
    fs::OpenOptions,
    io::Write,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

fn parameters(study: Option<PathBuf>) -> RunParameters {
    RunParameters {
        study: "Far away".into(),
        program: RunParameters::this_program(),
        places: Places { study, gallery: None },
        ..RunParameters::default()
    }
}

fn add(run: &mut Run, prompt: u32, seed: u64, training: &str) {
    let key = GenerationKey { prompt, seed };
    let image = run
        .write_image(&key, "a lighthouse", &RgbImage::new(16, 16))
        .unwrap();
    let matte = run.write_matte(&key, &GrayImage::new(16, 16)).unwrap();
    let record = Record {
        cluster: None,
        key,
        prompt: "a lighthouse".into(),
        image: image.relative,
        sha256: image.sha256,
        matte: Some(matte.relative),
        confidence: Some(1.0),
        matches: vec![RecordMatch {
            name: training.into(),
            gallery: 0,
            scores: RegionScores::new(0.9, 0.2),
        }],
        noise_norm: vec![1.0, 2.0],
        embedding: None,
        measures: None,
        signals: None,
    };
    run.append(record, 0.5).unwrap();
}

/// Waits for one picture.
fn hear(handle: &EngineHandle, prompt: u32, seed: u64) -> Arc<Generation> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match handle.events().recv_deadline(deadline).unwrap() {
            Event::Judged(g) if g.key == (GenerationKey { prompt, seed }) => return g,
            _ => {}
        }
    }
}

/// Waits for a notice.
fn hear_words(handle: &EngineHandle, words: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match handle.events().recv_deadline(deadline).unwrap() {
            Event::Notice(problem) if problem.to_string().contains(words) => return,
            _ => {}
        }
    }
}

/// Nothing new is told of a run for a while.
fn still(handle: &EngineHandle) {
    while let Ok(event) = handle.events().recv_timeout(Duration::from_millis(1200)) {
        assert!(!matches!(event, Event::Judged(_)), "{event:?}");
    }
}

#[test]
fn a_run_without_its_study_opens_and_grows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("somewhere");
    let mut run = Run::create(&path, &parameters(Some("/not/on/this/machine".into()))).unwrap();
    add(&mut run, 3, 7, "17.png");

    let handle = engine(&folder.path().join("own"));
    let (ending, outline, notices) = open(&handle, &path);
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let outline = outline.unwrap();
    assert_eq!((outline.name.as_str(), outline.prompts.len()), ("Far away", 1));
    assert_eq!(outline.gallery[0].name(), "17.png");
    assert!(
        notices.iter().any(|n| n.headline.contains("not at hand")),
        "{notices:?}"
    );

    // A line of which only half has arrived is waited for.
    add(&mut run, 3, 8, "18.png");
    let newest = hear(&handle, 3, 8);
    assert_eq!(newest.verdict(&outline.thresholds), Some(Verdict::ForegroundOnly));
    assert!(newest.image.is_file());
    let records = path.join("generations.jsonl");
    let line = std::fs::read_to_string(&records)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .replace("\"seed\":7", "\"seed\":9");
    let (front, back) = line.split_at(100);
    let mut file = OpenOptions::new().append(true).open(&records).unwrap();
    file.write_all(front.as_bytes()).unwrap();
    still(&handle);
    file.write_all(format!("{back}\n").as_bytes()).unwrap();
    hear(&handle, 3, 9);

    // The folder goes, and comes back.
    let away = folder.path().join("away");
    std::fs::rename(&path, &away).unwrap();
    hear_words(&handle, "The folder of the run is gone");
    std::fs::rename(&away, &path).unwrap();
    drop(file);
    drop(run);
    let mut run = Run::open_or_create(&path, &parameters(None)).unwrap();
    add(&mut run, 4, 0, "17.png");
    hear(&handle, 4, 0);
}

#[test]
fn a_run_finds_its_study_and_is_left_when_another_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut run = Run::create(&path, &parameters(Some(demo()))).unwrap();
    add(&mut run, 0, 0, "bm-brewery-03.jpg");
    let handle = engine(&folder.path().join("own"));
    let (ending, outline, notices) = open(&handle, &path);
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let outline = outline.unwrap();
    assert_eq!(outline.prompts[0].text, "a lighthouse", "the run's own words");
    assert!(outline.prompts.len() > 10 && outline.gallery_root.is_some());
    assert_eq!(outline.sampling, parameters(None).sampling);
    assert!(
        !notices.iter().any(|n| n.headline.contains("not at hand")),
        "{notices:?}"
    );
    add(&mut run, 1, 0, "bm-brewery-03.jpg");
    let last = hear(&handle, 1, 0);
    assert_eq!(
        outline.gallery[last.matches[0].gallery as usize].name(),
        "bm-brewery-03.jpg"
    );

    open(&handle, &demo());
    add(&mut run, 2, 0, "bm-brewery-03.jpg");
    still(&handle);
}
