//! A search that writes its variant itself, as the window's do.

use super::common::{Ending, engine, follow, follow_id};
use pentimento::{
    engine::{Event, Job, LocateJob, Method},
    store::read_variant,
    study::{Sampling, Transition},
};
use std::path::Path;

#[test]
fn a_variant_that_was_found_is_on_disk_when_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&folder.path().join("run"));
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mitigation/unet7");
    assert!(matches!(
        follow(&engine, Job::Open(checkpoint), &mut |_| {}),
        Ending::Finished
    ));
    let file = folder.path().join("study/variants/Guidance.toml");
    let job = LocateJob {
        prompts: Vec::new(),
        method: Method::Guidance {
            before: 0.0,
            transition: Some(Transition::FirstMinimum),
            seeds: vec![0],
        },
        sampling: Sampling::default(),
        name: "Guidance".into(),
        stack: Vec::new(),
        progress: Some(file.clone()),
        write: true,
    };
    let (id, _) = engine.submit(Job::Locate(Box::new(job)));
    let mut told = None;
    let ending = follow_id(&engine, id, &mut |event| {
        if let Event::Variant(variant) = event {
            told = Some((variant.clone(), read_variant(&file)));
        }
    });
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let (variant, written) = told.unwrap();
    assert_eq!(written.unwrap(), *variant);
    let beside = file.parent().unwrap().read_dir().unwrap().count();
    assert_eq!(beside, 1, "progress stayed behind");
}
