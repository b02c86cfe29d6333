//! `score --arithmetic reference` on the reference's own folder layout against its own table
//! (tools/fixtures/reference_procedure.py).

use super::{path, pentimento, text};
use std::{fs, path::PathBuf};

#[test]
fn a_reference_folder_gives_the_references_table() {
    let study = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("scores.csv");
    let run = pentimento(
        folder.path(),
        &[
            "score",
            "--generated",
            path(&study.join("generated")),
            "--gallery",
            path(&study.join("memorized_images")),
            "--arithmetic",
            "reference",
            "--quiet",
            "--out",
            path(&out),
        ],
    );
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let read = |file: &PathBuf| -> Vec<Vec<String>> {
        let text = fs::read_to_string(file).unwrap();
        text.lines()
            .map(|l| l.split(',').map(str::to_owned).collect())
            .collect()
    };
    let (ours, want) = (read(&out), read(&study.join("scores.csv")));
    assert_eq!(ours.len(), want.len());
    assert_eq!(ours[0], want[0], "the columns");
    for (ours, want) in ours.iter().zip(&want).skip(1) {
        assert_eq!(ours[..2], want[..2], "the same rows in the same order");
        for (a, b) in ours[2..].iter().zip(&want[2..]) {
            let (a, b): (f64, f64) = (a.parse().unwrap(), b.parse().unwrap());
            assert!((a - b).abs() < 1e-4, "{ours:?} instead of {want:?}");
        }
    }
}
