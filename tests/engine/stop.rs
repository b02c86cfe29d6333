//! Stopping in the middle of a picture.

use super::{common::*, job, open};
use pentimento::{
    engine::{Event, Job},
    study::Generation,
};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc, thread, time::Duration};

/// Name and content of every PNG in a run's folder.
fn pictures(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            let below = pictures(&path).into_iter();
            let name = entry.file_name().to_string_lossy().into_owned();
            found.extend(below.map(|(n, bytes)| (format!("{name}/{n}"), bytes)));
        } else if path.extension().is_some_and(|e| e == "png") {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn what_was_stopped_inside_a_step_goes_on_as_if_it_had_not_been() {
    let whole = tempfile::tempdir().unwrap();
    let parts = tempfile::tempdir().unwrap();
    let judged = |run: &Path, stops: usize| {
        let handle = engine(run);
        let (_, outline, _) = open(&handle, &demo());
        let work = Job::Generate(job(&outline.unwrap(), 1, vec![0, 1]));
        let mut judged = BTreeMap::new();
        for stop in 0..=stops {
            let before = pictures(run);
            let (id, cancel) = handle.submit(work.clone());
            let mut steps = 0;
            let ending = follow_id(&handle, id, &mut |event| match event {
                Event::Step(_) => {
                    steps += 1;
                    if stop < stops && steps == stop + 2 {
                        // Somewhere inside the next step.
                        let cancel = cancel.clone();
                        thread::spawn(move || {
                            thread::sleep(Duration::from_millis(7));
                            cancel.cancel();
                        });
                    }
                }
                Event::Judged(g) => {
                    judged.insert(g.key, Generation::clone(g));
                }
                _ => {}
            });
            if stop < stops {
                assert!(matches!(ending, Ending::Cancelled), "{ending:?}");
                assert_eq!(pictures(run), before, "a stopped picture left a file");
            } else {
                assert!(matches!(ending, Ending::Finished), "{ending:?}");
            }
        }
        judged
    };
    let (mut one, mut other) = (judged(whole.path(), 0), judged(parts.path(), 3));
    assert_eq!(pictures(whole.path()), pictures(parts.path()));
    for g in one.values_mut().chain(other.values_mut()) {
        // Where it lies and how long it took may differ.
        g.image = Default::default();
        g.matte = None;
        g.seconds = 0.0;
    }
    let essence = |all: &BTreeMap<_, Generation>| -> Vec<_> {
        all.values()
            .map(|g| {
                (
                    g.key,
                    g.matches.clone(),
                    g.noise_norm.clone(),
                    Arc::clone(&g.thumbnail),
                )
            })
            .collect()
    };
    assert_eq!(one.len(), 2);
    assert_eq!(essence(&one), essence(&other));
}
