//! A scan in parts, and the whole they make.

use super::{path, pentimento, text};
use crate::common::demo;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Everything of a run but the times.
fn contents(run: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = ["", "images", "mattes"].map(|part| fs::read_dir(run.join(part)).unwrap());
    files
        .into_iter()
        .flatten()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_file() && !p.ends_with("timings.jsonl") && !p.ends_with("run.lock"))
        .map(|p| (p.strip_prefix(run).unwrap().to_owned(), fs::read(&p).unwrap()))
        .collect()
}

#[test]
fn parts_join_to_the_run_that_one_machine_would_have_made() {
    let folder = tempfile::tempdir().unwrap();
    let prompts = folder.path().join("prompts.txt");
    fs::write(&prompts, "a red lighthouse\na blue teapot\na fox\n").unwrap();
    let here = |name: &str| folder.path().join(name);
    let scan = |out: &Path, more: &[&str]| {
        let demo = demo();
        let mut args = vec![
            "scan",
            path(&demo),
            "--prompts",
            path(&prompts),
            "--seeds",
            "0..2",
        ];
        args.extend(["--steps", "2", "--size", "64", "--out", path(out)]);
        args.extend(more);
        let ended = pentimento(folder.path(), &args);
        assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
        ended
    };
    let plan = scan(&here("whole"), &["--plan", "--json"]);
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(
        (plan["pictures"].as_u64(), plan["there"].as_u64()),
        (Some(6), Some(0))
    );
    assert!(plan["seconds_each"].as_f64().unwrap() > 0.0);
    assert!(!here("whole").exists(), "a plan draws nothing that stays");

    let started = scan(&here("whole"), &[]);
    assert!(
        text(&started.stderr).contains("6 pictures to draw; at most"),
        "{}",
        text(&started.stderr)
    );
    for part in ["1/2", "2/2"] {
        scan(&here("parts"), &["--shard", part, "--quiet"]);
    }
    let held = |run: &str| {
        fs::read_to_string(here(run).join("generations.jsonl"))
            .unwrap()
            .lines()
            .count()
    };
    assert_eq!((held("parts/shard-1-of-2"), held("parts/shard-2-of-2")), (3, 3));
    let merge = |runs: &[&Path], out: &Path| {
        let mut args = vec!["merge", "--quiet"];
        args.extend(runs.iter().map(|r| path(r)));
        args.extend(["--out", path(out)]);
        let ended = pentimento(folder.path(), &args);
        (ended.status.code(), text(&ended.stdout) + &text(&ended.stderr))
    };
    let (code, said) = merge(&[&here("parts")], &here("joined"));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("2 runs: 6 pictures taken over, 0 were there"),
        "{said}"
    );
    assert_eq!(contents(&here("joined")), contents(&here("whole")));
    // Again, and together with the whole: nothing changes.
    let (code, said) = merge(&[&here("parts"), &here("whole")], &here("joined"));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("3 runs: 0 pictures taken over, 6 were there"),
        "{said}"
    );
    assert_eq!(contents(&here("joined")), contents(&here("whole")));

    // What does not belong together is told.
    scan(&here("other"), &["--guidance", "2", "--quiet"]);
    let (code, said) = merge(&[&here("whole"), &here("other")], &here("no"));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("guidance: the run has 4, now it is 2") && !here("no").exists(),
        "{said}"
    );
    fs::write(here("parts/shard-1-of-2/images/img_0000_00.png"), "changed").unwrap();
    let (code, said) = merge(&[&here("parts")], &here("broken"));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("not the one that was recorded") && said.contains("img_0000_00.png"),
        "{said}"
    );
    let (code, said) = merge(&[folder.path()], &here("nothing"));
    assert_eq!(code, Some(1), "{said}");
}
