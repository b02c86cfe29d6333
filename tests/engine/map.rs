//! The gallery on a plane, and the shortlist of a gallery that counts as large.

use crate::common::{Ending, demo, engine, follow};
use pentimento::engine::{Event, GalleryMap, Job};
use std::{fs, path::Path, sync::Arc};

const COUNT: usize = 12;

/// A study of a few pictures of the demo's gallery, in a folder of its own.
fn study(folder: &Path, more: &str) {
    let gallery = folder.join("gallery");
    fs::create_dir(&gallery).unwrap();
    let mut files: Vec<_> = fs::read_dir(demo().join("gallery"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| pentimento::gallery::is_image_name(p))
        .collect();
    files.sort();
    for file in files.iter().step_by(files.len() / COUNT).take(COUNT) {
        fs::copy(file, gallery.join(file.file_name().unwrap())).unwrap();
    }
    let segmenter = demo().join("segmenter");
    let text = format!(
        "format = 1\n[gallery]\npath = \"gallery\"\n[segmenter]\npath = {:?}\n[embedder]\n{more}\n",
        segmenter.display().to_string()
    );
    fs::write(folder.join("study.toml"), text).unwrap();
}

fn fixture(part: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/embedding")
        .join(part);
    format!("path = {:?}", path.display().to_string())
}

fn map_of(handle: &pentimento::engine::EngineHandle) -> Arc<GalleryMap> {
    let mut map = None;
    let ending = follow(handle, Job::Map, &mut |event| {
        if let Event::Map(m) = event {
            map = Some(m.clone());
        }
    });
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    map.unwrap()
}

#[test]
fn the_gallery_is_laid_out_with_and_without_weights() {
    for (embedder, source) in [
        (String::new(), "built-in descriptor"),
        (fixture("sscd.pt"), "SSCD small_288"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        study(folder.path(), &embedder);
        let handle = engine(&folder.path().join("run"));
        let ending = follow(&handle, Job::Open(folder.path().into()), &mut |_| {});
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        let map = map_of(&handle);
        assert_eq!(map.source, source);
        assert_eq!(map.gallery, (0..COUNT as u32).collect::<Vec<_>>());
        assert_eq!(map.places.len(), COUNT);
        assert!(map.places.iter().flatten().all(|v| (-0.001..=1.001).contains(v)));
        assert_eq!(map, map_of(&handle), "from the cache");
    }
}

#[test]
fn an_embedder_that_cannot_be_used_is_told_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), "path = \"study.toml\"");
    let handle = engine(&folder.path().join("run"));
    follow(&handle, Job::Open(folder.path().into()), &mut |_| {});
    let mut told = String::new();
    follow(&handle, Job::Map, &mut |event| {
        if let Event::Notice(problem) = event {
            told = problem.to_string();
        }
    });
    assert!(told.contains("The embedder cannot be used"), "{told}");
}

#[test]
fn a_large_gallery_is_searched_by_a_shortlist_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    study(folder.path(), "shortlist_from = 5");
    let handle = engine(&folder.path().join("run"));
    let mut told = None;
    let ending = follow(&handle, Job::Open(folder.path().into()), &mut |event| {
        if let Event::Approximate(how) = event {
            told = Some(how.clone());
        }
    });
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    // With more candidates than images nothing can be missed.
    let told = told.unwrap();
    assert_eq!((told.recall, told.queries), (Some(1.0), COUNT));
    assert!(
        told.to_string().starts_with("approximate: shortlist of"),
        "{told}"
    );
}
