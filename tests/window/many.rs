//! A hundred thousand pictures: how much work a frame does, never how long it takes.

use crate::{fixture::Fed, many::Many};
use egui::{Key, pos2, vec2};
use egui_kittest::kittest::Queryable as _;
use pentimento::{
    app::{Action, Command, Figures, Pick},
    engine::{Event, GalleryMap, ViewRequest},
    study::{GenerationKey, Thresholds, Verdict},
};
use std::{path::Path, sync::Arc};

/// Opens a study with all its pictures; small pictures are not answered.
fn open(many: Many) -> Fed {
    let mut fed = Fed::plain();
    let root = Path::new("many");
    fed.tell(Event::Opened(Arc::new(many.outline(root))));
    fed.tell(Event::GalleryReady);
    for key in many.keys() {
        fed.tell(Event::Judged(Arc::new(many.generation(root, key))));
    }
    let all = many.prompts as usize * many.seeds as usize;
    while fed.harness.state().state().study.len() < all {
        fed.harness.step();
    }
    fed.harness.run();
    fed
}

fn figures(fed: &Fed) -> Figures {
    fed.harness.state().figures()
}

/// Small pictures that are wished for right now: those of the newest list.
fn wished(fed: &Fed) -> Option<usize> {
    let lists = fed.engine.views.try_iter().filter_map(|request| match request {
        ViewRequest::Thumbnails(list) => Some(list.len()),
        _ => None,
    });
    lists.last()
}

#[test]
fn of_a_hundred_thousand_only_what_is_in_view_is_laid_out_and_asked_for() {
    let mut fed = open(Many::LARGE);
    let rows = figures(&fed).rows;
    assert!((5..60).contains(&rows), "{rows} rows laid out");
    let first = wished(&fed).unwrap();
    assert!((5..40).contains(&first), "{first} small pictures asked for");
    // Far down the list as many rows are laid out, and the former wishes are void.
    fed.harness
        .state_mut()
        .ask(Action::PickPrompt(19_990, Pick::Only));
    fed.harness.run();
    assert!(figures(&fed).rows < 60);
    fed.harness
        .get_by_label("picture number 19990 of a very long list");
    let list = wished(&fed).unwrap();
    assert!((5..40).contains(&list), "{list} small pictures asked for");
    assert!(figures(&fed).thumbnails.asked < 100);
    assert_eq!(
        figures(&fed).thumbnails.held,
        0,
        "nothing is decoded that nobody sees"
    );
}

#[test]
fn a_strip_of_a_hundred_thousand_seeds_lays_out_those_in_view() {
    let mut fed = open(Many {
        prompts: 1,
        seeds: 100_000,
        gallery: 100,
    });
    assert!(figures(&fed).rows < 40, "{}", figures(&fed).rows);
    let key = GenerationKey {
        prompt: 0,
        seed: 99_999,
    };
    fed.harness.state_mut().ask(Action::PickGeneration(key));
    fed.harness.run();
    assert!(figures(&fed).rows < 40);
    fed.harness.get_by_label_contains("Seed 99999,");
}

#[test]
fn a_frame_without_a_change_does_no_work_and_none_follows_it() {
    let mut fed = open(Many::LARGE);
    let before = figures(&fed);
    let stamps = |fed: &Fed| {
        let derived = &fed.harness.state().state().derived;
        (derived.points_stamp, derived.classes_stamp)
    };
    let stamped = stamps(&fed);
    fed.harness.step();
    fed.harness.step();
    let after = figures(&fed);
    assert_eq!(stamps(&fed), stamped);
    assert_eq!(after.field, before.field);
    assert_eq!(after.thumbnails, before.thumbnails);
    let output = fed.harness.output();
    let delay = output.viewport_output[&egui::ViewportId::ROOT].repaint_delay;
    assert_eq!(
        delay,
        std::time::Duration::MAX,
        "an idle window asks for no frame"
    );
}

#[test]
fn a_moved_threshold_classes_every_picture_once_and_lays_out_none_anew() {
    let mut fed = open(Many::LARGE);
    let before = figures(&fed).field;
    let thresholds = Thresholds {
        foreground: 0.9,
        background: 0.85,
    };
    let stamp = fed.harness.state().state().derived.classes_stamp;
    fed.harness
        .state_mut()
        .ask(Action::SetThresholds(thresholds, Some(1)));
    fed.harness.run();
    let state = fed.harness.state().state();
    assert_eq!(state.derived.classes_stamp, stamp + 1);
    assert_eq!(figures(&fed).field, (before.0, before.1 + 1));
    // Counted one by one.
    let mut counts = [0; 4];
    for key in Many::LARGE.keys() {
        counts[thresholds.classify(&Many::scores(key)) as usize] += 1;
    }
    for verdict in Verdict::ALL {
        assert_eq!(
            state.derived.tally.count(verdict),
            counts[verdict as usize],
            "{verdict:?}"
        );
    }
}

#[test]
fn a_line_around_marks_chooses_them_and_filters_the_prompts() {
    let mut fed = Fed::plain();
    fed.open(true);
    let plot = fed.harness.get_by_label_contains("Field: background").rect();
    // Around the upper right quarter, below the corner with the thresholds' crossing.
    let at = |x: f32, y: f32| pos2(plot.left() + x * plot.width(), plot.top() + y * plot.height());
    fed.harness.drag_at(at(0.02, 0.02));
    fed.harness.step();
    for to in [at(0.98, 0.02), at(0.98, 0.3), at(0.02, 0.3)] {
        fed.harness.hover_at(to);
        fed.harness.step();
    }
    fed.harness.drop_at(at(0.02, 0.3));
    fed.settle();
    let state = fed.harness.state().state();
    let chosen = state.lasso.as_ref().unwrap().keys.len();
    assert!(chosen > 0 && chosen < 40, "{chosen}");
    let visible = state.visible_prompts().len();
    assert!(visible > 0 && visible < 10, "{visible} prompts");
    // What was chosen was copied in its foreground: that is what lies up there.
    for key in &state.lasso.as_ref().unwrap().keys {
        assert!(state.study.generation(*key).unwrap().scores().unwrap().foreground > Some(0.7));
    }
    fed.harness.get_by_label(&format!("{chosen} chosen; let them go"));
    fed.harness.key_press(Key::Escape);
    fed.settle();
    assert!(fed.harness.state().state().lasso.is_none());
    assert_eq!(fed.harness.state().state().visible_prompts().len(), 10);
    fed.harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::Z);
    fed.settle();
    assert!(fed.harness.state().state().lasso.is_some(), "undone");
}

#[test]
fn arrows_move_the_thresholds_while_the_field_has_the_focus() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.get_by_label_contains("Field: background").focus();
    fed.harness.run();
    fed.harness.key_press(Key::ArrowUp);
    fed.harness.run();
    fed.harness.key_press(Key::ArrowLeft);
    fed.harness.run();
    let thresholds = fed.harness.state().state().thresholds;
    assert!((thresholds.foreground - 0.81).abs() < 1e-6, "{thresholds:?}");
    assert!((thresholds.background - 0.79).abs() < 1e-6, "{thresholds:?}");
}

#[test]
fn a_map_of_a_hundred_thousand_is_one_picture() {
    let mut fed = open(Many::LARGE);
    let places = (0..100_000_u32)
        .map(|i| [(i % 317) as f32 / 317.0, (i / 317) as f32 / 317.0])
        .collect();
    fed.tell(Event::Map(Arc::new(GalleryMap {
        source: "numbers".into(),
        gallery: (0..100_000).collect(),
        places,
    })));
    fed.harness.run();
    fed.harness.get_by_label("Map").click();
    fed.harness.run();
    fed.harness.get_by_label("Map of 100000 training images");
    let shapes = fed.harness.output().shapes.len();
    assert!(shapes < 6000, "{shapes} shapes");
}

#[test]
fn the_figures_say_what_a_frame_costs() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.key_press(Key::F12);
    fed.settle();
    fed.harness.get_by_label_contains("ms mean");
    fed.harness.get_by_label_contains("small pictures");
    fed.harness.state_mut().ask(Action::Command(Command::Figures));
    fed.settle();
    assert!(fed.harness.query_by_label_contains("ms mean").is_none());
}

#[test]
fn the_layout_of_a_study_is_kept_and_a_broken_one_is_not_taken() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.run_steps(2);
    while fed.engine.views.try_recv().is_ok() {}
    // The line between the Stage's column and the Evidence, dragged.
    let stage = fed.harness.get_by_label("Evidence").rect();
    let from = stage.left_center() - vec2(13.0, -200.0);
    fed.harness.drag_at(from);
    fed.harness.step();
    fed.harness.hover_at(from - vec2(60.0, 0.0));
    fed.harness.step();
    fed.harness.drop_at(from - vec2(60.0, 0.0));
    fed.harness.run();
    let kept = fed.engine.views.try_iter().find_map(|request| match request {
        ViewRequest::KeepLayout(root, text) => Some((root, text)),
        _ => None,
    });
    let (root, text) = kept.expect("the moved line is kept");
    assert_eq!(root, Path::new("drawn"));
    let moved = fed.harness.get_by_label("Evidence").rect().left();
    assert!(moved < stage.left() - 40.0, "{moved} {}", stage.left());
    // Back to the default, then what was kept comes back; nonsense changes nothing.
    fed.harness.state_mut().ask(Action::Command(Command::ResetLayout));
    fed.harness.run();
    assert!((fed.harness.get_by_label("Evidence").rect().left() - stage.left()).abs() < 2.0);
    fed.tell(Event::Layout("{\"root\": 3}".into()));
    fed.harness.run();
    assert!((fed.harness.get_by_label("Evidence").rect().left() - stage.left()).abs() < 2.0);
    fed.tell(Event::Layout(text));
    fed.harness.run();
    assert!((fed.harness.get_by_label("Evidence").rect().left() - moved).abs() < 2.0);
}

#[test]
fn the_next_training_image_shows_through() {
    let mut fed = Fed::plain();
    fed.open(true);
    for place in [0, 1, 2] {
        fed.harness.key_press(Key::N);
        fed.settle();
        let state = fed.harness.state().state();
        assert_eq!(state.overlay.mode, pentimento::render::Mode::Reveal);
        assert_eq!(state.selection.evidence, place);
    }
}
