//! Disks that are full, broken, read-only or gone: said in words, and the scan goes on once it can.

use super::scan::{Bench, Trial};
use std::fs;

fn fails(trial: &Trial<'_>, fault: &str, wants: &[&str]) {
    let ended = trial.scan(Some(fault));
    let said = ended.said();
    assert_eq!(
        ended.0.status.code(),
        Some(1),
        "{fault}: {:?} {said}",
        ended.0.status
    );
    for want in wants {
        assert!(said.contains(want), "{fault}: {said}");
    }
    trial.check_interrupted(fault);
}

/// One trouble, then a scan without.
fn recovers(name: &str, fault: &str, wants: &[&str]) {
    let trial = Bench::get().trial(name);
    fails(&trial, fault, wants);
    trial.scan(None).expect_success();
    trial.check_whole(1, fault);
    trial.clean();
}

#[test]
fn a_full_disk_loses_nothing() {
    // While a picture is written; while a record is written, half of it already there.
    recovers(
        "full-picture",
        "write@/images/:2+:ENOSPC",
        &["disk is full", "images"],
    );
    recovers(
        "full-record",
        "write@/generations.jsonl:2+:half-ENOSPC",
        &["disk is full", "generations.jsonl"],
    );
}

#[test]
fn a_broken_disk_loses_nothing() {
    recovers("broken-sync", "fsync:8+:EIO", &["check the disk"]);
    recovers(
        "broken-rename",
        "rename:4+:EIO",
        &["could not be saved", "check the disk"],
    );
}

#[test]
fn a_read_only_disk_is_told() {
    recovers("read-only", "any:1+:EROFS", &["read-only"]);
    // It becomes so while the run grows.
    recovers("read-only-later", "open@/images/:3+:EROFS", &["read-only"]);
}

#[test]
fn files_that_are_not_put_in_place_lose_nothing() {
    let told = ["check the disk"];
    // The first file of all, the first picture, the line that says it is finished.
    recovers("no-parameters", "rename@run.toml:1+:EIO", &told);
    recovers("no-picture", "fsync@/images/:1+:EIO", &told);
    recovers("no-line", "fsync@generations.jsonl:2+:EIO", &told);
}

#[test]
fn a_run_that_cannot_be_read_is_not_gone_on_with() {
    for (name, file) in [
        ("unread-records", "generations.jsonl"),
        ("unread-parameters", "run.toml"),
    ] {
        let trial = Bench::get().trial(name);
        assert!(trial.scan(Some("rename@/images/:3:kill-after")).killed());
        let before = trial.check_interrupted(name);
        fails(&trial, &format!("read@{file}:1+:EIO"), &["check the disk"]);
        assert_eq!(
            trial.check_interrupted(name),
            before,
            "{name}: the records changed"
        );
        trial.scan(None).expect_success();
        trial.check_whole(1, name);
        trial.clean();
    }
}

#[test]
fn a_folder_that_vanishes_and_comes_back_is_gone_on_with() {
    let bench = Bench::get();
    let trial = bench.trial("vanished");
    let mut child = trial.start(None);
    // As soon as the first picture is there.
    while trial.drawn().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "the scan ended early");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let away = trial.run.with_extension("away");
    fs::rename(&trial.run, &away).unwrap();
    let ended = super::scan::Ended(child.wait_with_output().unwrap());
    assert_eq!(ended.0.status.code(), Some(1), "{}", ended.said());
    assert!(ended.said().contains("not there"), "{}", ended.said());
    fs::rename(&away, &trial.run).unwrap();
    trial.check_interrupted("vanished");
    trial.scan(None).expect_success();
    trial.check_whole(1, "vanished");
    trial.clean();
}
