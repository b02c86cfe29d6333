//! Masks of generated pictures from a folder: of pictures that are there, and of those drawn afterwards.

use super::{
    common::{Ending, demo, engine, follow},
    job, open,
};
use image::{GrayImage, Luma};
use pentimento::{
    engine::{EngineHandle, Event, Job},
    store::Run,
    study::{Generation, Problem},
};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

/// What a job told: pictures by seed, the last word about each, and notices.
fn told(handle: &EngineHandle, work: Job) -> (Ending, BTreeMap<u64, Arc<Generation>>, Vec<Problem>) {
    let (mut pictures, mut notices) = (BTreeMap::new(), Vec::new());
    let ending = follow(handle, work, &mut |event| match event {
        Event::Judged(g) | Event::Rescored(g, _) => {
            pictures.insert(g.key.seed, g.clone());
        }
        Event::Notice(problem) => notices.push(problem.clone()),
        _ => {}
    });
    (ending, pictures, notices)
}

fn mask(size: (u32, u32), share: f32) -> GrayImage {
    GrayImage::from_fn(size.0, size.1, |x, _| {
        Luma([if (x as f32) < share * size.0 as f32 {
            255
        } else {
            0
        }])
    })
}

fn matte(g: &Generation) -> GrayImage {
    image::open(g.matte.as_ref().unwrap()).unwrap().to_luma8()
}

fn is_masked(g: &Generation) -> bool {
    g.edit.as_ref().is_some_and(|e| e.tools == ["mask file"])
}

#[test]
fn masks_count_for_pictures_drawn_before_and_after_and_can_be_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (run, masks) = (folder.path().join("run"), folder.path().join("masks"));
    fs::create_dir(&masks).unwrap();
    let give = |folder: Option<&Path>| Job::GeneratedMattes(folder.map(Path::to_owned));

    let handle = engine(&run);
    // Nothing is open: said, no panic.
    let (ending, ..) = told(&handle, give(Some(&masks)));
    assert!(
        matches!(&ending, Ending::Failed(p) if p.headline.contains("no training images")),
        "{ending:?}"
    );
    let (_, outline, _) = open(&handle, &demo());
    let outline = outline.unwrap();
    let (ending, drawn, _) = told(&handle, Job::Generate(job(&outline, 1, vec![0, 1])));
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let size = matte(&drawn[&0]).dimensions();

    // None has the name of a picture: what was stays.
    mask(size, 0.4).save(masks.join("other.png")).unwrap();
    let (ending, changed, _) = told(&handle, give(Some(&masks)));
    assert!(
        matches!(&ending, Ending::Failed(p) if p.headline.contains("None of the masks") && p.to_string().contains("img_0000_00.png")),
        "{ending:?}"
    );
    assert!(changed.is_empty());

    // The first has one; the second, whose mask has another size, and keeps its own, is told by name.
    mask(size, 0.4).save(masks.join("img_0000_00.png")).unwrap();
    let (ending, changed, notices) = told(&handle, give(Some(&masks)));
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    assert_eq!(changed.keys().collect::<Vec<_>>(), [&0]);
    let first = &changed[&0];
    assert!(is_masked(first) && matte(first) == mask(size, 0.4));
    assert_ne!(first.matches, drawn[&0].matches);
    assert_eq!(first.edit.as_ref().unwrap().matches, drawn[&0].matches);
    let missing = notices
        .iter()
        .find(|n| n.headline.starts_with("1 of 2 generated pictures have no mask"));
    assert!(
        missing.unwrap().to_string().contains("img_0000_01.png"),
        "{notices:?}"
    );
    mask((8, 8), 0.4).save(masks.join("img_0000_01.png")).unwrap();
    let (_, changed, notices) = told(&handle, give(Some(&masks)));
    assert!(
        changed.is_empty(),
        "the first has its mask already, the second's does not fit"
    );
    assert!(
        notices.iter().any(|n| n.to_string().contains("another size")),
        "{notices:?}"
    );

    // A picture drawn afterwards is given its mask as it is judged.
    fs::remove_file(masks.join("img_0000_01.png")).unwrap();
    mask(size, 0.7).save(masks.join("img_0000_02.jpg")).unwrap();
    let (_, changed, notices) = told(&handle, Job::Generate(job(&outline, 1, vec![0, 1, 2])));
    assert!(is_masked(&changed[&0]) && !is_masked(&changed[&1]) && is_masked(&changed[&2]));
    assert!(
        notices.iter().any(|n| n.headline.starts_with("1 of 3 generated")),
        "{notices:?}"
    );
    // The records are the segmenter's; the masks lie beside them.
    let kept = Run::open_read(&run)
        .unwrap()
        .generations(&outline.gallery, |_| None);
    assert_eq!(kept.iter().filter(|g| is_masked(g)).count(), 2);

    let (ending, changed, _) = told(&handle, give(None));
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    assert_eq!(changed.keys().collect::<Vec<_>>(), [&0, &2]);
    assert!(changed.values().all(|g| g.edit.is_none()));
    assert_eq!(changed[&0].matches, drawn[&0].matches);
}
