//! A region edited by hand: its scores are those of `score` with the same mask, the segmenter's own stay beside them,
//! and all of it is on disk when it is told.

use super::{
    common::{Ending, engine, follow},
    open,
};
use image::{GrayImage, Luma, Rgb, RgbImage};
use pentimento::{
    engine::{EngineHandle, Event, ImportJob, ImportPrompts, Job, RegionRequest, ViewRequest},
    store::{Run, read_scores},
    study::{GalleryImage, Generation, Problem},
};
use std::{fs, path::Path, process::Command, sync::Arc};

const SIDE: u32 = 90;

fn scene(n: u32) -> RgbImage {
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (u, v) = (x as f32 / SIDE as f32, y as f32 / SIDE as f32);
        Rgb([0, 1, 2].map(|c| {
            let wave = (u * (4 + n % 7 + c) as f32 + v * (3 + n / 3 + 2 * c) as f32 + n as f32).sin();
            (128.0 + 110.0 * wave) as u8
        }))
    })
}

fn disc(x: f32, y: f32, radius: f32) -> GrayImage {
    GrayImage::from_fn(SIDE, SIDE, |px, py| {
        let distance = (px as f32 - x).hypot(py as f32 - y);
        // With an edge of many greys, as a soft brush leaves it.
        Luma([((radius - distance) * 40.0 + 128.0).clamp(0.0, 255.0) as u8])
    })
}

/// The engine's answer, and what it told beside it.
fn edit(
    handle: &EngineHandle,
    generation: &Arc<Generation>,
    matte: Option<&GrayImage>,
) -> (Arc<Generation>, Vec<Problem>) {
    handle.view(ViewRequest::Region(RegionRequest {
        generation: generation.clone(),
        matte: matte.map(|m| Arc::new(m.clone())),
        tools: vec!["brush".into(), "lasso".into()],
        since: std::time::Instant::now(),
    }));
    let mut notices = Vec::new();
    loop {
        match handle.events().recv().unwrap() {
            Event::Rescored(generation, _) => return (generation, notices),
            Event::Notice(problem) => notices.push(problem),
            _ => {}
        }
    }
}

fn read(run: &Path) -> Generation {
    let run = Run::open_read(run).unwrap();
    assert!(run.notices().is_empty(), "{:?}", run.notices());
    let entry = |i| GalleryImage {
        path: format!("{i}.png").into(),
        matte: None,
        caption: None,
    };
    let gallery: Vec<GalleryImage> = (0..9).map(entry).collect();
    run.generations(&gallery, |_| None).remove(0)
}

#[test]
fn an_edited_region_scores_as_its_mask_does_elsewhere_and_is_kept_beside_the_segmenters() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    for part in ["study/gallery", "study/mattes", "pictures", "mattes", "edited"] {
        fs::create_dir_all(folder.path().join(part)).unwrap();
    }
    for i in 0..9 {
        let name = format!("{i}.png");
        scene(i).save(study.join("gallery").join(&name)).unwrap();
        let matte = disc(30.0 + 3.0 * i as f32, 45.0, 20.0);
        matte.save(study.join("mattes").join(&name)).unwrap();
    }
    let pictures = folder.path().join("pictures");
    let mut picture = scene(4);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        if x + y > 100 {
            *pixel = *scene(7).get_pixel(x, y);
        }
    }
    picture.save(pictures.join("img_0000_00.png")).unwrap();
    disc(42.0, 45.0, 20.0)
        .save(folder.path().join("mattes/img_0000_00.png"))
        .unwrap();

    for arithmetic in ["corrected", "reference"] {
        let text = format!(
            "format = 1\n[gallery]\npath = \"gallery\"\nmattes = \"mattes\"\n[thresholds]\narithmetic = \"{arithmetic}\"\n"
        );
        fs::write(study.join("study.toml"), text).unwrap();
        let run = folder.path().join(arithmetic);
        let handle = engine(&run);
        open(&handle, &study);
        let import = ImportJob {
            folder: pictures.clone(),
            prompts: ImportPrompts::Unknown,
            mattes: Some(folder.path().join("mattes")),
            ..ImportJob::default()
        };
        let mut judged = None;
        let ending = follow(&handle, Job::Import(import), &mut |event| {
            if let Event::Judged(g) = event {
                judged = Some(g.clone());
            }
        });
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        let own: Arc<Generation> = judged.unwrap();
        assert_eq!(own.matches.len(), 5);
        let run = own.image.parent().unwrap().parent().unwrap().to_owned();
        let records = fs::read(run.join("generations.jsonl")).unwrap();

        let region = disc(25.0, 30.0, 17.0);
        let (edited, notices) = edit(&handle, &own, Some(&region));
        assert!(notices.is_empty(), "{notices:?}");
        let edit_of = edited.edit.as_ref().unwrap();
        assert_eq!((&edit_of.matches, &edit_of.matte), (&own.matches, &own.matte));
        assert_eq!(edit_of.tools, ["brush", "lasso"]);
        assert_ne!(edited.matches, own.matches);
        let kept = image::open(edited.matte.as_ref().unwrap()).unwrap().to_luma8();
        assert_eq!(kept, region);
        // The segmenter's record is as it was, and all of it is read again.
        assert_eq!(fs::read(run.join("generations.jsonl")).unwrap(), records);
        let again = read(&run);
        assert_eq!((&again.matches, &again.edit), (&edited.matches, &edited.edit));

        // The same mask given to `score`.
        kept.save(folder.path().join("edited/img_0000_00.png")).unwrap();
        let table = folder.path().join("scores.csv");
        let status = Command::new(env!("CARGO_BIN_EXE_pentimento"))
            .args(["score", "--quiet", "--arithmetic", arithmetic, "--generated"])
            .arg(&pictures)
            .arg("--gallery")
            .arg(study.join("gallery"))
            .arg("--masks-generated")
            .arg(folder.path().join("edited"))
            .arg("--masks-gallery")
            .arg(study.join("mattes"))
            .arg("--out")
            .arg(&table)
            .status();
        assert!(status.unwrap().success());
        let (rows, _) = read_scores(&table).unwrap();
        assert_eq!(rows.len(), 5);
        // A table has the best of a picture last.
        for (row, found) in rows.iter().rev().zip(&edited.matches) {
            assert_eq!(row.original, format!("{}.png", found.gallery), "{arithmetic}");
            assert_eq!(row.scores, found.scores, "{arithmetic}");
        }

        // Another stroke starts from the segmenter's verdict again, not from the former edit's.
        let (more, _) = edit(&handle, &edited, Some(&disc(50.0, 50.0, 25.0)));
        assert_eq!(more.edit.as_ref().unwrap().matches, own.matches);
        assert_ne!(more.matches, edited.matches);
        let files = fs::read_dir(run.join("edited")).unwrap().count();
        assert_eq!(files, 1, "the mattes of former strokes are swept away");

        // Given back: as if nobody had edited it, here and on disk.
        let (back, _) = edit(&handle, &more, None);
        assert_eq!(
            (&back.matches, &back.matte, &back.edit),
            (&own.matches, &own.matte, &None)
        );
        let again = read(&run);
        assert_eq!((&again.matches, &again.edit), (&own.matches, &None));
    }
}
