//! The demo study's known answer: the planned class of a prompt is recovered by the whole chain, from
//! noise to verdict. A fixed subset runs always; all of it with
//! `cargo test --release --test known_answer -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod common;

use common::{Ending, demo, engine, follow};
use pentimento::{
    engine::{Event, GenerateJob, Job},
    study::{Generation, StudyOutline, Tally, Verdict, tally_by_group},
};
use std::{collections::BTreeMap, sync::Arc};

/// Draws and judges every prompt of the demo study.
fn scan(seeds: Vec<u64>) -> BTreeMap<String, Tally> {
    let folder = tempfile::tempdir().unwrap();
    let handle = engine(folder.path());
    let mut outline: Option<Arc<StudyOutline>> = None;
    let opened = follow(&handle, Job::Open(demo()), &mut |event| {
        if let Event::Opened(o) = event {
            outline = Some(o.clone());
        }
    });
    assert!(matches!(opened, Ending::Finished), "{opened:?}");
    let outline = outline.unwrap();
    let prompts = outline.prompts.clone();
    let expected = prompts.len() * seeds.len();
    let job = GenerateJob {
        prompts: prompts.clone(),
        seeds,
        sampling: outline.sampling.clone(),
        variant: None,
        redraw: false,
        shard: None,
    };
    let mut judged: Vec<Arc<Generation>> = Vec::new();
    let done = follow(&handle, Job::Generate(job), &mut |event| {
        if let Event::Judged(generation) = event {
            judged.push(generation.clone());
        }
    });
    assert!(matches!(done, Ending::Finished), "{done:?}");
    assert_eq!(judged.len(), expected);
    let tallies = tally_by_group(judged.iter().map(|g| &**g), &prompts, &outline.thresholds);
    for (group, tally) in &tallies {
        println!("{group}: {tally:?}");
    }
    tallies
}

/// Shares that the shipped checkpoint must reach (model card).
const FLOORS: [(&str, Verdict, f64); 4] = [
    ("VM", Verdict::Verbatim, 0.9),
    ("FM", Verdict::ForegroundOnly, 0.8),
    ("BM", Verdict::BackgroundOnly, 0.8),
    ("NM", Verdict::NotMemorized, 0.9),
];

fn assert_recovered(tallies: &BTreeMap<String, Tally>) {
    for (group, class, at_least) in FLOORS {
        let tally = tallies
            .get(group)
            .unwrap_or_else(|| panic!("no {group} prompts in {tallies:?}"));
        let share = tally.share(class);
        assert!(
            share >= at_least,
            "{group}: {share:.3} of the pictures are {group}; {tally:?}"
        );
    }
}

#[test]
fn planned_classes_are_recovered_on_a_subset() {
    assert_recovered(&scan(vec![0, 1]));
}

#[test]
#[ignore = "ten seeds of every prompt take several minutes on two quiet cores"]
fn planned_classes_are_recovered_over_ten_seeds() {
    assert_recovered(&scan((0..10).collect()));
}
