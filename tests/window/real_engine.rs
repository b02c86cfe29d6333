//! Region tools in a window with the real engine behind it: a click answered by a MobileSAM of full topology (random
//! weights), and how long the verdict of a brush stroke takes.

use crate::pseudo_weights::Listing;
use egui::{Event as Input, Key, Modifiers, PointerButton, Pos2, Rect, vec2};
use egui_kittest::{Harness, kittest::Queryable as _};
use image::{GrayImage, Luma, Rgb, RgbImage};
use pentimento::{
    app::{Action, App, AppOptions},
    engine::{self, EngineHandle, EngineOptions, ImportJob, ImportPrompts},
    segmentation::ClickSegmenter,
};
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

const SIDE: u32 = 96;

fn scene(n: u32) -> RgbImage {
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        Rgb([0, 1, 2].map(|c| {
            let wave = (x * (3 + n + c)) as f32 * 0.03 + (y * (2 + 2 * c)) as f32 * 0.04 + n as f32;
            (128.0 + 110.0 * wave.sin()) as u8
        }))
    })
}

/// Draws frames until `done`, for ten minutes at most: MobileSAM takes seconds on a quiet machine, minutes on a busy one.
fn wait(harness: &mut Harness<'_, App>, what: &str, done: impl Fn(&App) -> bool) {
    let end = Instant::now() + Duration::from_secs(600);
    while !done(harness.state()) {
        assert!(
            Instant::now() < end,
            "{what} did not happen: {:?}",
            harness.state().state().jobs
        );
        std::thread::sleep(Duration::from_millis(20));
        harness.run_steps(1);
    }
    harness.run_steps(2);
}

/// A window with an engine of its own and this study open.
fn window(study: &Path, run: &Path) -> Harness<'static, App> {
    let (handle, side) = EngineHandle::pair();
    let options = EngineOptions {
        run_folder: Some(run.to_owned()),
        ..EngineOptions::default()
    };
    engine::start(side, options, Arc::new(|| {})).unwrap();
    let options = AppOptions {
        open: Some(study.to_owned()),
        ..AppOptions::default()
    };
    let mut harness = Harness::builder()
        .with_size([1280.0, 800.0])
        .build_eframe(|cc| App::new(cc, handle, options));
    harness.run_steps(2);
    wait(&mut harness, "opening", |app| {
        app.state().study.outline().is_some() && app.state().jobs.is_empty()
    });
    harness
}

/// A place on the canvas, given as shares of the picture, which is square, fitted and in the middle.
fn place(harness: &Harness<'_, App>, share: [f32; 2]) -> Pos2 {
    let canvas = harness.get_by_label("Picture").rect();
    let side = canvas.width().min(canvas.height()) - 16.0;
    Rect::from_center_size(canvas.center(), vec2(side, side)).min + vec2(share[0], share[1]) * side
}

fn button(harness: &mut Harness<'_, App>, pos: Pos2, pressed: bool) {
    harness.event(Input::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    });
}

#[test]
fn a_click_on_the_stage_is_answered_as_the_network_answers_alone() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let pictures = folder.path().join("pictures");
    for part in [&study.join("gallery"), &study.join("mattes"), &pictures] {
        fs::create_dir_all(part).unwrap();
    }
    let disc = GrayImage::from_fn(SIDE, SIDE, |x, y| {
        let inside = (x as f32 - 48.0).hypot(y as f32 - 48.0) < 25.0;
        Luma([if inside { 255 } else { 0 }])
    });
    for n in 0..6 {
        scene(n).save(study.join(format!("gallery/{n}.png"))).unwrap();
        disc.save(study.join(format!("mattes/{n}.png"))).unwrap();
    }
    scene(2).save(pictures.join("img_0000_00.png")).unwrap();
    disc.save(study.join("img_0000_00.png")).unwrap();
    let weights = study.join("mobile_sam.safetensors");
    candle_core::safetensors::save(&Listing::read("sam_tiny").weights(), &weights).unwrap();
    let text = "format = 1\n[gallery]\npath = \"gallery\"\nmattes = \"mattes\"\n\
                [segmenter]\nclick = \"mobile_sam.safetensors\"\n";
    fs::write(study.join("study.toml"), text).unwrap();

    let mut harness = window(&study, &folder.path().join("run"));
    harness.state_mut().ask(Action::Import(ImportJob {
        folder: pictures.clone(),
        prompts: ImportPrompts::Unknown,
        mattes: Some(study.clone()),
        ..ImportJob::default()
    }));
    wait(&mut harness, "the picture on the Stage", |app| {
        app.state().editable().is_some() && app.state().jobs.is_empty()
    });
    let own = harness
        .state()
        .state()
        .pair
        .clone()
        .unwrap()
        .matte
        .clone()
        .unwrap();
    assert_eq!(*own, disc);

    harness.key_press_modifiers(Modifiers::NONE, Key::W);
    harness.run_steps(2);
    let at = place(&harness, [0.3, 0.6]);
    harness.event(Input::PointerMoved(at));
    harness.run_steps(1);
    button(&mut harness, at, true);
    button(&mut harness, at, false);
    harness.run_steps(2);
    let clicks = harness.state().state().clicks().cloned().unwrap();
    let point = clicks.points[0];
    assert!(
        (point.x - 28.8).abs() < 1.0 && (point.y - 57.6).abs() < 1.0,
        "{point:?}"
    );
    wait(&mut harness, "the answer", |app| {
        let edit = app.state().current().and_then(|g| g.edit.clone());
        edit.is_some_and(|e| e.tools == ["clicks"])
    });

    let shown = harness
        .state()
        .state()
        .pair
        .clone()
        .unwrap()
        .matte
        .clone()
        .unwrap();
    let sam = ClickSegmenter::open(&weights).unwrap();
    let alone = sam
        .segment(&sam.embed(&scene(2)).unwrap(), &clicks)
        .unwrap()
        .alpha;
    // Threads share the sums differently: a level of 255 is the most that rounding can change.
    let off = shown
        .as_raw()
        .iter()
        .zip(alone.as_raw())
        .map(|(a, b)| a.abs_diff(*b))
        .max();
    assert!(off <= Some(1), "{off:?}");
    assert_ne!(*shown, disc);
    assert!(
        alone.as_raw().iter().any(|&v| v != alone.as_raw()[0]),
        "the mask is flat"
    );
    // And it is what counts: kept beside the run, compared with the gallery, the wait told.
    let current = harness.state().state().current().unwrap().clone();
    let kept = image::open(current.matte.as_ref().unwrap()).unwrap().to_luma8();
    assert_eq!(kept, *shown);
    assert_ne!(current.matches, current.edit.as_ref().unwrap().matches);
    assert_eq!(harness.state().figures().rescored.map(|r| r.count), Some(1));
}

/// From the end of a stroke to the frame with the new verdict, against the demo's whole gallery.
#[test]
fn the_verdict_follows_a_stroke_soon_and_the_window_tells_how_soon() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let pictures = folder.path().join("pictures");
    fs::create_dir(&pictures).unwrap();
    let mut harness = window(&demo, &folder.path().join("run"));
    let gallery = harness.state().state().study.outline().unwrap().gallery.clone();
    let picture = image::open(&gallery[7].path).unwrap().to_rgb8();
    picture.save(pictures.join("img_0000_00.png")).unwrap();
    harness.state_mut().ask(Action::Import(ImportJob {
        folder: pictures,
        prompts: ImportPrompts::Unknown,
        ..ImportJob::default()
    }));
    wait(&mut harness, "the picture on the Stage", |app| {
        app.state().editable().is_some() && app.state().jobs.is_empty()
    });
    harness.key_press_modifiers(Modifiers::NONE, Key::E);
    harness.run_steps(2);
    for stroke in 1..=3 {
        let [from, to] = [0.2, 0.8].map(|x| place(&harness, [x, 0.2 * stroke as f32]));
        harness.event(Input::PointerMoved(from));
        harness.run_steps(1);
        button(&mut harness, from, true);
        harness.run_steps(1);
        harness.event(Input::PointerMoved(to));
        harness.run_steps(1);
        button(&mut harness, to, false);
        harness.run_steps(1);
        wait(&mut harness, "the verdict", |app| {
            app.figures().rescored.is_some_and(|r| r.count == stroke)
        });
    }
    let waited = harness.state().figures().rescored.unwrap();
    println!("{waited:?} against {} training images", gallery.len());
    assert!(harness.state().state().region.pending.is_empty());
    // No bound: the engine's threads run below all others, so that a busy machine makes them wait as long as it likes.
    assert!(waited.last > 0.0 && waited.last <= waited.most, "{waited:?}");
    harness.key_press_modifiers(Modifiers::NONE, Key::F12);
    harness.run_steps(2);
    harness.get_by_label_contains("ms after the last stroke");
}
