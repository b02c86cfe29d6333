//! Segmenters in the engine: mattes made once, stopping, other segmenters, clicks.

use super::{
    common::{Ending, demo, engine, follow, follow_id},
    job, open,
    pseudo_weights::Listing,
};
use candle_core::safetensors;
use image::{GrayImage, Luma, Rgb, RgbImage};
use pentimento::{
    engine::{Event, Job, JobKind, RefineJob, read_with_matte},
    gallery::{MatteCache, decode_rgb},
    segmentation::{Click, Clicks, Segmenter},
    store::picture_text,
    study::GalleryImage,
};
use std::{collections::HashSet, path::Path};

/// Pictures that no earlier test has seen, so that nothing is known of them.
fn gallery(folder: &Path, count: u32) {
    let name = folder.to_string_lossy().into_owned();
    let seed = name
        .bytes()
        .fold(7u32, |a, b| a.wrapping_mul(31).wrapping_add(b.into()));
    std::fs::create_dir_all(folder).unwrap();
    for i in 0..count {
        let image = RgbImage::from_fn(180, 176, |x, y| {
            let v = (x * (i + 3) + y * 5) ^ (seed >> (x % 16));
            Rgb([v as u8, (v >> 3) as u8, (x + y) as u8])
        });
        image.save(folder.join(format!("{i}.png"))).unwrap();
    }
}

fn entry(folder: &Path, i: u32) -> GalleryImage {
    GalleryImage {
        path: folder.join(format!("{i}.png")),
        matte: None,
        caption: None,
    }
}

#[test]
fn a_gallery_is_segmented_once_and_its_mattes_say_how() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    gallery(&pictures, 5);
    let handle = engine(&folder.path().join("run"));
    let (mut kinds, mut words) = (Vec::new(), String::new());
    let ending = follow(&handle, Job::Open(pictures.clone()), &mut |event| match event {
        Event::Progress(_, p) => {
            kinds.push(p.kind);
            assert!(p.kind != JobKind::Segment || p.total == 5);
        }
        Event::Segmenter(w) => words = w.clone(),
        _ => {}
    });
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    assert!(words.contains("U²-Net-P"), "{words}");
    kinds.dedup();
    let at = |kind| kinds.iter().position(|k| *k == kind).unwrap();
    assert!(at(JobKind::Segment) < at(JobKind::PrepareGallery));

    let segmenter = Segmenter::open(&demo().join("segmenter")).unwrap();
    let cache = MatteCache::open(segmenter.weights_hash()).unwrap();
    for i in 0..5 {
        let image = decode_rgb(&entry(&pictures, i).path).unwrap();
        assert!(cache.has(&MatteCache::key(&image)), "{i}.png");
    }
    // What is in the cache is used, whatever the network would say.
    let image = decode_rgb(&entry(&pictures, 3).path).unwrap();
    let stripes = GrayImage::from_fn(180, 176, |x, _| Luma([(x % 7) as u8]));
    cache
        .put(&MatteCache::key(&image), &stripes, &segmenter.provenance())
        .unwrap();
    let (_, matte) = read_with_matte(&entry(&pictures, 3), Some(&segmenter)).unwrap();
    assert_eq!(matte, stripes);
    let copy = folder.path().join("a copy.png");
    pentimento::gallery::write_matte(&copy, &matte, &segmenter.provenance()).unwrap();
    let text = picture_text(&copy).unwrap();
    assert_eq!(text["network"], "u2netp");
    assert_eq!(text["segmenter hash"], segmenter.weights_hash());
    assert_eq!((text["size"].as_str(), text["scale"].as_str()), ("128", "255"));
}

#[test]
fn segmenting_a_gallery_can_be_stopped_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    gallery(&pictures, 60);
    let handle = engine(&folder.path().join("run"));
    let (id, cancel) = handle.submit(Job::Open(pictures.clone()));
    let ending = follow_id(&handle, id, &mut |event| {
        assert!(!matches!(event, Event::GalleryReady));
        if let Event::Progress(_, p) = event
            && p.kind == JobKind::Segment
            && p.done > 0
        {
            cancel.cancel();
        }
    });
    assert!(matches!(ending, Ending::Cancelled), "{ending:?}");
    let mut ready = false;
    let ending = follow(&handle, Job::Open(pictures), &mut |event| {
        ready |= matches!(event, Event::GalleryReady);
    });
    assert!(matches!(ending, Ending::Finished) && ready, "{ending:?}");
}

#[test]
fn another_segmenter_joins_the_open_study() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("downloaded.safetensors");
    std::fs::copy(demo().join("segmenter/model.safetensors"), &file).unwrap();
    let handle = engine(&folder.path().join("run"));
    let (_, before, _) = open(&handle, &demo());
    let before = before.unwrap();
    let mut words = String::new();
    let mut after = None;
    follow(&handle, Job::Open(file.clone()), &mut |event| match event {
        Event::Segmenter(w) => words = w.clone(),
        Event::Opened(outline) => after = Some(outline.clone()),
        _ => {}
    });
    let after = after.unwrap();
    assert_eq!(after.segmenter, Some(file));
    assert_eq!((&after.root, &after.sampling), (&before.root, &before.sampling));
    assert_eq!(after.gallery, before.gallery);
    assert!(
        words.contains("320"),
        "without a config.json the authors' size: {words}"
    );
}

#[test]
fn clicks_are_answered_with_a_region_and_its_matches() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sam.safetensors");
    safetensors::save(&Listing::read("sam_vit").weights(), &file).unwrap();
    let handle = engine(&folder.path().join("run"));
    let (_, outline, _) = open(&handle, &demo());
    let work = job(&outline.unwrap(), 1, vec![0]);
    let mut key = None;
    follow(&handle, Job::Generate(work), &mut |event| {
        if let Event::Judged(g) = event {
            key = Some(g.key);
        }
    });
    let refine = RefineJob {
        variant: None,
        generation: key.unwrap(),
        clicks: Clicks {
            points: vec![Click {
                x: 60.0,
                y: 70.0,
                inside: true,
            }],
            rect: Some([20.0, 20.0, 100.0, 110.0]),
        },
    };
    let ending = follow(&handle, Job::Refine(refine.clone()), &mut |_| {});
    assert!(matches!(ending, Ending::Failed(_)), "no weights yet");
    let mut opened = "";
    follow(&handle, Job::Open(file), &mut |event| {
        assert!(!matches!(event, Event::Opened(_)), "the study stays as it is");
        if let Event::ClickSegmenter(name) = event {
            opened = name;
        }
    });
    assert_eq!(opened, "Segment Anything");
    let mut found = None;
    let ending = follow(&handle, Job::Refine(refine.clone()), &mut |event| {
        if let Event::Refined(refined) = event {
            found = Some(refined.clone());
        }
    });
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let found = found.unwrap();
    assert_eq!(
        (found.generation, &found.clicks),
        (refine.generation, &refine.clicks)
    );
    assert_eq!(found.matte.dimensions(), (128, 128));
    let values: HashSet<u8> = found.matte.as_raw().iter().copied().collect();
    assert!(values.len() > 10, "a soft region");
    assert!(!found.matches.is_empty());
}
