//! `pentimento fetch` against a stand-in on the loopback interface; nothing else is ever asked.

use super::{
    common::stand_in::{Manner, StandIn},
    path, text,
};
use sha2::{Digest, Sha256};
use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Runs in an empty home, with the program's data in `HOME/data`.
fn fetch(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .arg("fetch")
        .args(args)
        .env("HOME", home)
        .env("PENTIMENTO_DATA", home.join("data"))
        .env_remove("U2NET_HOME")
        .env_remove("HF_HOME")
        .env_remove("HF_HUB_CACHE")
        .env_remove("XDG_CACHE_HOME")
        .env_remove("TORCH_HOME")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn the_list_says_what_there_is_and_asks_nobody() {
    let home = tempfile::tempdir().unwrap();
    let out = fetch(home.path(), &[]);
    assert!(out.status.success());
    let said = text(&out.stdout);
    for words in [
        "u2netp",
        "4.6 MB",
        "Apache-2.0",
        "birefnet",
        "unpinned",
        "dinov2",
        "clip",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let out = fetch(home.path(), &["--json"]);
    let list: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let u2net = &list.as_array().unwrap()[0];
    assert_eq!(
        (&u2net["name"], &u2net["bytes"]),
        (&"u2net".into(), &175_997_641.into())
    );
    assert!(u2net["found"].is_null());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn nothing_is_fetched_without_a_yes() {
    let home = tempfile::tempdir().unwrap();
    let server = StandIn::start(b"weights".to_vec(), "a", vec![Manner::Well]);
    let out = fetch(home.path(), &["u2netp", "--mirror", &server.address]);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stderr);
    for words in [
        "4.6 MB",
        "Apache-2.0",
        "github.com/xuebinqin/U-2-Net",
        "309c8469",
        "--yes",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let out = fetch(home.path(), &["nothing", "--yes"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("Known are u2net, u2netp"));
    assert_eq!(server.requests.lock().unwrap().len(), 0);
}

#[test]
fn what_a_mirror_has_must_be_what_was_published() {
    let home = tempfile::tempdir().unwrap();
    // The right size, the wrong contents.
    let server = StandIn::start(vec![7; 4_574_861], "a", vec![Manner::Well]);
    let out = fetch(home.path(), &["u2netp", "--yes", "--mirror", &server.address]);
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("was removed"), "{}", text(&out.stderr));
    assert_eq!(server.requests.lock().unwrap()[0].0, "/u2netp/u2netp.onnx");
    assert_eq!(
        fs::read_dir(home.path().join("data/weights/u2netp"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn unpinned_weights_come_with_the_persons_own_hash() {
    let home = tempfile::tempdir().unwrap();
    let body = b"not really SSCD".to_vec();
    let server = StandIn::start(body.clone(), "a", vec![Manner::Well]);
    let args = ["sscd", "--yes", "--mirror", &server.address];
    let out = fetch(home.path(), &args);
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text(&out.stderr).contains("--sha256 HEX"),
        "{}",
        text(&out.stderr)
    );
    let hash = hex::encode(Sha256::digest(&body));
    let out = fetch(home.path(), &[&args[..], &["--sha256", &hash]].concat());
    assert!(out.status.success(), "{}", text(&out.stderr));
    let target = home
        .path()
        .join("data/weights/sscd/sscd_disc_mixup.torchvision.pt");
    assert_eq!(text(&out.stdout).trim(), path(&target));
    assert_eq!(fs::read(&target).unwrap(), body);
    assert!(text(&out.stderr).contains("[embedder]"), "{}", text(&out.stderr));
    // And into a folder of one's own.
    let own = home.path().join("own");
    let out = fetch(
        home.path(),
        &[&args[..], &["--sha256", &hash, "--to", path(&own)]].concat(),
    );
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(
        fs::read(own.join("sscd_disc_mixup.torchvision.pt")).unwrap(),
        body
    );
}

#[test]
fn what_rembg_has_is_not_fetched_again() {
    let home = tempfile::tempdir().unwrap();
    let there = home.path().join(".u2net/u2netp.onnx");
    fs::create_dir_all(there.parent().unwrap()).unwrap();
    fs::File::create(&there).unwrap().set_len(4_574_861).unwrap();
    let out = fetch(home.path(), &["u2netp", "--yes"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout).trim(), path(&there));
    assert!(text(&out.stderr).contains("rembg"));
}

#[test]
fn a_name_stands_for_weights_and_says_how_to_get_them() {
    let home = tempfile::tempdir().unwrap();
    let demo = super::demo();
    let pictures = home.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    let first = fs::read_dir(demo.join("gallery"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .min()
        .unwrap();
    fs::copy(&first, pictures.join("a.png")).unwrap();
    let segment = |name: &str| {
        Command::new(env!("CARGO_BIN_EXE_pentimento"))
            .args([
                "segment",
                "--quiet",
                "--images",
                path(&pictures),
                "--segmenter",
                name,
                "--out",
            ])
            .arg(home.path().join("out"))
            .env("HOME", home.path())
            .env("PENTIMENTO_DATA", home.path().join("data"))
            .env_remove("U2NET_HOME")
            .output()
            .unwrap()
    };
    let out = segment("u2netp");
    assert_eq!(out.status.code(), Some(1));
    assert!(
        text(&out.stderr).contains("pentimento fetch u2netp"),
        "{}",
        text(&out.stderr)
    );
}
