//! Folders that earlier versions wrote open in this one, and folders of later ones are refused in words.
//!
//! `tests/fixtures/formats/N` holds what the first version with format N wrote. These files are never changed: a
//! format that needs other files gets a new number and a folder beside them.

use pentimento::store::{RUN_FORMAT, Run, STUDY_FORMAT, StudyFile, VARIANT_FORMAT, read_variant};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn fixtures(format: u64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/formats/{format}"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn every_format_so_far_has_a_fixture() {
    for format in 1..=RUN_FORMAT.max(STUDY_FORMAT).max(VARIANT_FORMAT) {
        assert!(fixtures(format).is_dir(), "format {format} has no fixture");
    }
}

#[test]
fn a_run_of_every_format_opens_and_goes_on() {
    for format in 1..=RUN_FORMAT {
        let folder = TempDir::new().unwrap();
        copy(&fixtures(format).join("run"), folder.path());
        let read = Run::open_read(folder.path()).unwrap();
        assert_eq!(read.notices(), []);
        assert_eq!(read.parameters().study, "Tiny");
        assert_eq!(read.parameters().sampling.steps, 3);
        assert_eq!(read.parameters().model.as_ref().unwrap()[..8], *"2e6079d5");
        let names: Vec<_> = read.records().iter().map(|r| r.key.to_string()).collect();
        assert_eq!(
            names,
            ["img_0000_00", "img_0000_01", "img_0001_00", "img_0001_01"]
        );
        let best = &read.records()[0].matches[0];
        assert_eq!(best.name, "bm-brewery-02.jpg");
        assert_eq!(best.scores.foreground, Some(0.564_223_3));
        assert_eq!(read.records()[0].noise_norm.len(), 3);

        // Resuming it changes nothing that is there.
        let before = fs::read(folder.path().join("generations.jsonl")).unwrap();
        let resumed = Run::open_or_create(folder.path(), &read.parameters().clone()).unwrap();
        assert_eq!(resumed.records(), read.records());
        assert_eq!(resumed.notices(), []);
        drop(resumed);
        assert_eq!(fs::read(folder.path().join("generations.jsonl")).unwrap(), before);
    }
}

#[test]
fn studies_and_variants_of_every_format_open() {
    for format in 1..=STUDY_FORMAT {
        let study = StudyFile::read(&fixtures(format).join("study.toml")).unwrap();
        assert_eq!(study.notices, []);
        assert_eq!(
            (study.name.as_str(), study.seeds.len()),
            ("A study of version 0.1.0", 4)
        );
        assert_eq!(study.thresholds.background, 0.77);
    }
    for format in 1..=VARIANT_FORMAT {
        let variant = read_variant(&fixtures(format).join("variant.toml")).unwrap();
        assert!(!variant.edits.is_empty());
    }
}

#[test]
fn a_newer_format_says_so() {
    let folder = TempDir::new().unwrap();
    let newer = |name: &str, found: u64| {
        let path = folder.path().join(name);
        fs::write(
            &path,
            format!("format = {}\n[shape]\nof = \"tomorrow\"\n", found + 1),
        )
        .unwrap();
        path
    };
    newer("run.toml", RUN_FORMAT);
    let said = [
        Run::open_read(folder.path()).map(drop),
        StudyFile::read(&newer("study.toml", STUDY_FORMAT)).map(drop),
        read_variant(&newer("variant.toml", VARIANT_FORMAT)).map(drop),
    ];
    for result in said {
        let said = result.unwrap_err().to_string();
        for want in [
            "newer version of the program",
            "reads up to",
            "Update the program",
        ] {
            assert!(said.contains(want), "{said}");
        }
    }
}
