//! Editing the region on the Stage.

use crate::fixture::Fed;
use egui::{Event as Input, Key, Modifiers, PointerButton, Pos2, Rect, vec2};
use egui_kittest::kittest::Queryable as _;
use image::{GrayImage, Luma};
use pentimento::{
    app::{Action, Command, Tool},
    engine::{Event, Job, Partner, Refined},
    study::{Generation, GenerationKey},
};
use std::sync::Arc;

/// Where the picture is on the canvas: fitted, square, in the middle.
fn picture(fed: &Fed) -> Rect {
    let canvas = fed.harness.get_by_label("Picture").rect();
    let side = canvas.width().min(canvas.height()) - 16.0;
    Rect::from_center_size(canvas.center(), vec2(side, side))
}

fn button(fed: &mut Fed, at: Pos2, pressed: bool, modifiers: Modifiers) {
    let event = Input::PointerButton {
        pos: at,
        button: PointerButton::Primary,
        pressed,
        modifiers,
    };
    fed.harness.event_modifiers(event, modifiers);
}

fn pointer(fed: &mut Fed, at: Pos2, pressed: Option<bool>, modifiers: Modifiers) {
    fed.harness.event(Input::PointerMoved(at));
    if let Some(pressed) = pressed {
        button(fed, at, pressed, modifiers);
    }
    fed.harness.run_steps(2);
}

/// Drags along places given as shares of the picture.
fn drag(fed: &mut Fed, places: &[[f32; 2]], modifiers: Modifiers) {
    let rect = picture(fed);
    let on = |p: &[f32; 2]| rect.min + vec2(p[0], p[1]) * rect.size();
    pointer(fed, on(&places[0]), None, modifiers);
    pointer(fed, on(&places[0]), Some(true), modifiers);
    for place in places {
        pointer(fed, on(place), None, modifiers);
    }
    let last = on(places.last().unwrap());
    pointer(fed, last, Some(false), modifiers);
    fed.settle();
}

/// A click: both events within one frame's time, as a frame of a test lasts a quarter of a second.
fn click(fed: &mut Fed, at: Pos2, modifiers: Modifiers) {
    fed.harness.event(Input::PointerMoved(at));
    fed.harness.run_steps(1);
    for pressed in [true, false] {
        button(fed, at, pressed, modifiers);
    }
    fed.settle();
}

fn inside(fed: &Fed) -> usize {
    let pair = fed.harness.state().state().pair.clone().unwrap();
    let matte = pair.matte.clone().unwrap();
    matte.as_raw().iter().filter(|&&v| v > 127).count()
}

fn current(fed: &Fed) -> Arc<Generation> {
    fed.harness.state().state().current().unwrap().clone()
}

fn press(fed: &mut Fed, modifiers: Modifiers, key: Key) {
    fed.harness.key_press_modifiers(modifiers, key);
    fed.settle();
}

#[test]
fn brush_strokes_change_the_scores_and_are_undone() {
    let mut fed = Fed::plain();
    fed.open(true);
    let (before, scores) = (inside(&fed), current(&fed).scores());
    // The pair could be put together from what is shown and a training image that is ready.
    let shown = fed.harness.state().state().pair.clone().unwrap();
    let training = shown.training.clone().unwrap();
    fed.tell(Event::Partner(Arc::new(Partner {
        generation: shown.request.generation,
        variant: None,
        gallery: shown.request.gallery.unwrap(),
        compared: [training.clone(), training.clone()],
        training,
        similarity: shown.similarity.clone(),
    })));
    fed.settle();
    assert!(current(&fed).edit.is_none());
    press(&mut fed, Modifiers::NONE, Key::E);
    assert_eq!(fed.harness.state().state().region.tool, Some(Tool::Brush));
    drag(&mut fed, &[[0.1, 0.1], [0.5, 0.1], [0.9, 0.1]], Modifiers::NONE);
    let drawn = inside(&fed);
    assert!(drawn > before + 500, "{before} {drawn}");
    let edited = current(&fed);
    assert_eq!(edited.edit.as_ref().unwrap().tools, ["brush"]);
    assert_ne!(edited.scores(), scores);
    fed.harness.get_by_label_contains("(edited mask)");
    let waited = fed.harness.state().figures().rescored.unwrap();
    assert!(
        waited.count == 1 && waited.last > 0.0 && waited.last <= waited.most,
        "{waited:?}"
    );
    assert!(fed.harness.state().state().region.pending.is_empty());

    // Alt takes away what the brush adds.
    drag(&mut fed, &[[0.1, 0.1], [0.5, 0.1], [0.9, 0.1]], Modifiers::ALT);
    let erased = inside(&fed);
    assert!(erased < drawn - 500, "{erased} {drawn}");

    press(&mut fed, Modifiers::COMMAND, Key::Z);
    assert_eq!(inside(&fed), drawn);
    assert_eq!(current(&fed).scores(), edited.scores());
    press(&mut fed, Modifiers::COMMAND, Key::Z);
    assert_eq!(inside(&fed), before);
    assert!(current(&fed).edit.is_none());
    assert_eq!(current(&fed).scores(), scores);
    press(&mut fed, Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    assert_eq!(inside(&fed), drawn);

    fed.harness.state_mut().ask(Action::Command(Command::ResetRegion));
    fed.settle();
    assert!(current(&fed).edit.is_none());
    assert_eq!(inside(&fed), before);
    press(&mut fed, Modifiers::COMMAND, Key::Z);
    assert_eq!(inside(&fed), drawn);
    // Tools are put away before anything else is closed.
    press(&mut fed, Modifiers::NONE, Key::Escape);
    assert_eq!(fed.harness.state().state().region.tool, None);
}

#[test]
fn brackets_and_wheel_change_the_brush_and_only_while_it_is_at_hand() {
    let mut fed = Fed::plain();
    fed.open(true);
    press(&mut fed, Modifiers::NONE, Key::CloseBracket);
    assert_eq!(fed.harness.state().state().selection.seed, Some(1));
    press(&mut fed, Modifiers::NONE, Key::E);
    let radius = fed.harness.state().state().region.radius;
    press(&mut fed, Modifiers::NONE, Key::CloseBracket);
    let state = fed.harness.state().state();
    assert_eq!(state.selection.seed, Some(1));
    assert!(state.region.radius > radius * 1.1);
    press(&mut fed, Modifiers::NONE, Key::OpenBracket);
    let at = picture(&fed).center();
    pointer(&mut fed, at, None, Modifiers::NONE);
    fed.harness.event(Input::MouseWheel {
        source: egui::MouseWheelSource::Unknown,
        unit: egui::MouseWheelUnit::Point,
        delta: vec2(0.0, 80.0),
        phase: egui::TouchPhase::Move,
        modifiers: Modifiers::NONE,
    });
    fed.settle();
    let state = fed.harness.state().state();
    assert!(state.region.radius > radius * 1.2, "{}", state.region.radius);
    assert_eq!(state.camera.zoom, 1.0, "the wheel is the brush's");
}

#[test]
fn a_lasso_fills_what_it_goes_around() {
    let mut fed = Fed::plain();
    fed.open(true);
    let before = inside(&fed);
    press(&mut fed, Modifiers::NONE, Key::L);
    press(&mut fed, Modifiers::NONE, Key::A);
    assert!(fed.harness.state().state().region.erase);
    let around = [[0.02, 0.02], [0.98, 0.02], [0.98, 0.5], [0.02, 0.5]];
    drag(&mut fed, &around, Modifiers::NONE);
    let after = inside(&fed);
    assert!(after < before && after > 0, "{before} {after}");
    assert_eq!(current(&fed).edit.as_ref().unwrap().tools, ["lasso"]);
}

#[test]
fn clicks_ask_sam_and_its_answer_becomes_the_region() {
    let mut fed = Fed::plain();
    fed.open(true);
    press(&mut fed, Modifiers::NONE, Key::W);
    // Without weights, where they go is said.
    fed.harness.get_by_label_contains("SAM's weights are missing");
    fed.tell(Event::ClickSegmenter("MobileSAM"));
    fed.settle();
    assert!(
        fed.harness
            .query_by_label_contains("SAM's weights are missing")
            .is_none()
    );
    let rect = picture(&fed);
    let place = rect.min + vec2(0.25, 0.5) * rect.size();
    click(&mut fed, place, Modifiers::NONE);
    let asked = fed.started.pop().unwrap();
    let Job::Refine(job) = asked.job else {
        panic!("{:?}", asked.job)
    };
    assert_eq!(job.clicks.points.len(), 1);
    let point = job.clicks.points[0];
    assert!(
        point.inside && (point.x - 24.0).abs() < 1.0 && (point.y - 48.0).abs() < 1.0,
        "{point:?}"
    );
    let answer = |clicks| {
        Event::Refined(Arc::new(Refined {
            generation: GenerationKey { prompt: 0, seed: 0 },
            clicks,
            matte: Arc::new(GrayImage::from_fn(96, 96, |x, _| {
                Luma([if x < 40 { 255 } else { 0 }])
            })),
            confidence: 0.9,
            matches: Vec::new(),
        }))
    };
    // An answer to another question is of no use.
    fed.tell(answer(Default::default()));
    fed.settle();
    assert!(current(&fed).edit.is_none());
    fed.tell(answer(job.clicks.clone()));
    fed.tell(Event::Finished(asked.id));
    fed.settle();
    assert_eq!(inside(&fed), 40 * 96);
    assert_eq!(current(&fed).edit.as_ref().unwrap().tools, ["clicks"]);
    // A box, and a point beside the object.
    drag(&mut fed, &[[0.2, 0.2], [0.5, 0.6], [0.7, 0.8]], Modifiers::NONE);
    let Job::Refine(job) = fed.started.pop().unwrap().job else {
        panic!("no question")
    };
    let [l, t, r, b] = job.clicks.rect.unwrap();
    assert!((l - 19.2).abs() < 1.5 && (t - 19.2).abs() < 1.5, "{l} {t}");
    assert!((r - 67.2).abs() < 1.5 && (b - 76.8).abs() < 1.5, "{r} {b}");
    click(&mut fed, place, Modifiers::ALT);
    let Job::Refine(job) = fed.started.pop().unwrap().job else {
        panic!("no question")
    };
    assert!(!job.clicks.points[1].inside);
    // Undo takes the question back with its answer.
    press(&mut fed, Modifiers::COMMAND, Key::Z);
    press(&mut fed, Modifiers::COMMAND, Key::Z);
    press(&mut fed, Modifiers::COMMAND, Key::Z);
    assert!(current(&fed).edit.is_none());
    assert!(fed.harness.state().state().clicks().unwrap().points.is_empty());
}
