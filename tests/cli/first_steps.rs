//! What a newcomer types first.

use super::{path, pentimento, text};
use std::fs;

#[test]
fn a_study_is_laid_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("my study");
    let init = || pentimento(folder.path(), &["init", path(&study), "--model", "somewhere/sd"]);
    let made = init();
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let written = fs::read_to_string(study.join("study.toml")).unwrap();
    assert!(written.contains("name = \"my study\"") && written.contains("somewhere/sd\""));
    assert!(study.join("gallery").is_dir() && study.join("prompts.csv").is_file());
    let (prompts, notices) = pentimento::store::read_prompts(&study.join("prompts.csv")).unwrap();
    assert_eq!((prompts.len(), notices.len()), (1, 0));
    let again = init();
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("There is a study in this folder already"));
}

#[test]
fn completions_and_manual_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man");
    let pages = pentimento(folder.path(), &["man", "--out", path(&out)]);
    assert_eq!(pages.status.code(), Some(0), "{}", text(&pages.stderr));
    for shell in ["bash", "zsh", "fish"] {
        let completions = pentimento(folder.path(), &["completions", shell]);
        let words = text(&completions.stdout);
        for command in ["scan", "merge", "report", "doctor"] {
            assert!(words.contains(command), "{shell}: {command}");
            let page = fs::read_to_string(out.join(format!("pentimento-{command}.1"))).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{page}");
        }
    }
    assert!(
        fs::read_to_string(out.join("pentimento.1"))
            .unwrap()
            .contains("scan")
    );
}

#[test]
fn doctor_looks_where_other_programs_keep_weights() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("u2net.pth"), "").unwrap();
    let doctor = std::process::Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .args(["doctor", "--json"])
        .env("U2NET_HOME", folder.path())
        .env("PENTIMENTO_CACHE", folder.path())
        .output()
        .unwrap();
    let found: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let weights = found
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["name"] == "weights")
        .unwrap();
    assert!(
        weights["value"].as_str().unwrap().contains("u2net.pth"),
        "{weights}"
    );
    for name in ["display", "compute", "vectors", "memory", "device", "checkpoints"] {
        assert!(
            found.as_array().unwrap().iter().any(|f| f["name"] == name),
            "{name}"
        );
    }
}
