//! Other measures in a run's lines: optional, kept, bounded.

use pentimento::{
    store::{Record, Run},
    study::PairMeasures,
};
use std::{fs, path::Path};

fn line(measures: &str) -> String {
    let hash = "0".repeat(64);
    format!(
        r#"{{"key":{{"prompt":0,"seed":1}},"prompt":"a","image":"images/a.png","sha256":"{hash}","matches":[]{measures}}}"#
    )
}

#[test]
fn lines_with_and_without_measures_are_read() {
    let old: Record = serde_json::from_str(&line("")).unwrap();
    assert_eq!(old.measures, None);
    assert!(
        !serde_json::to_string(&old).unwrap().contains("measures"),
        "nothing is added to old lines"
    );
    let new: Record = serde_json::from_str(&line(r#","measures":{"ssim":0.5,"tiled_l2":0.25}"#)).unwrap();
    let want = PairMeasures {
        ssim: 0.5,
        masked_ssim: None,
        tiled_l2: 0.25,
    };
    assert_eq!(new.measures, Some(want));
    new.validate().unwrap();
    let again: Record = serde_json::from_str(&serde_json::to_string(&new).unwrap()).unwrap();
    assert_eq!(again, new);
    let wrong: Record = serde_json::from_str(&line(r#","measures":{"ssim":1e39,"tiled_l2":0.25}"#)).unwrap();
    assert!(wrong.validate().unwrap_err().contains("measure"));
}

#[test]
fn a_run_of_the_first_format_has_none() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/formats/1/run");
    let before = fs::read(fixture.join("generations.jsonl")).unwrap();
    let run = Run::open_read(&fixture).unwrap();
    assert_eq!(run.notices(), []);
    assert!(run.records().len() == 4 && run.records().iter().all(|r| r.measures.is_none()));
    assert_eq!(fs::read(fixture.join("generations.jsonl")).unwrap(), before);
}
