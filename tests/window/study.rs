//! Opening, looking, judging.

use crate::fixture::{Fed, generation, noise, pair, scene, scores};
use egui_kittest::{
    Harness,
    kittest::{NodeT as _, Queryable as _},
};
use pentimento::{
    app::{Action, AppOptions, Command, Pick},
    engine::{Event, Job, PairRequest, PairView},
    study::{GenerationKey, StudyOutline, Verdict},
};
use std::{path::PathBuf, sync::Arc};

#[test]
fn an_empty_window_says_what_to_do() {
    let mut fed = Fed::plain();
    fed.harness.run();
    fed.harness.get_by_label("See what a model remembers");
    assert!(fed.harness.query_all_by_label("Open folder…").next().is_some());
    fed.harness
        .query_all_by_label("Open by path…")
        .next()
        .unwrap()
        .click();
    fed.settle();
    fed.harness.get_by_label("Path").focus();
    fed.harness.run();
    fed.harness.get_by_label("Path").type_text("studies/mine");
    fed.settle();
    fed.harness.get_by_label("Open").click();
    fed.settle();
    assert!(matches!(&fed.started[0].job, Job::Open(path) if path == &PathBuf::from("studies/mine")));

    // What was written before is replaced by what is written next.
    fed.harness.state_mut().ask(Action::Command(Command::OpenPath));
    fed.settle();
    fed.harness.get_by_label("Path").type_text("elsewhere");
    fed.settle();
    assert_eq!(fed.harness.state().state().path_draft, "elsewhere");
    fed.harness.get_by_label("Cancel").click();
    fed.settle();

    fed.open(false);
    fed.harness.get_by_label("Nothing drawn yet");
    fed.harness.get_by_label("Run this prompt");
    fed.tell(Event::Opened(Arc::new(StudyOutline {
        name: "Gallery only".into(),
        ..StudyOutline::default()
    })));
    fed.settle();
    fed.harness.get_by_label("This study has no checkpoint");
    assert!(fed.harness.get_by_label("Run").accesskit_node().is_disabled());
}

#[test]
fn a_study_named_at_start_is_opened() {
    let options = AppOptions {
        open: Some("demo".into()),
        device: "CPU".into(),
        ..AppOptions::default()
    };
    let mut fed = Fed::build(Harness::builder(), [1280.0, 800.0], options);
    fed.settle();
    assert!(matches!(&fed.started[0].job, Job::Open(path) if path == &PathBuf::from("demo")));
    fed.harness.get_by_label("CPU");
}

#[test]
fn dropped_folders_are_opened() {
    #[derive(Debug)]
    struct Dropped(PathBuf);
    impl egui::DroppedFile for Dropped {
        fn path(&self) -> &std::path::Path {
            &self.0
        }
        fn bytes(&self) -> Result<Vec<u8>, String> {
            Ok(Vec::new())
        }
    }
    let mut fed = Fed::plain();
    for name in ["a", "b"] {
        fed.harness
            .input_mut()
            .dropped_files
            .push(Arc::new(Dropped(name.into())));
    }
    fed.settle();
    assert_eq!(fed.started.len(), 2);
    assert!(matches!(&fed.started[1].job, Job::Open(path) if path == &PathBuf::from("b")));
}

#[test]
fn opening_another_study_leaves_nothing_of_the_former() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.state_mut().ask(Action::PickPrompt(4, Pick::Only));
    fed.harness.state_mut().ask(Action::Search("robot".into()));
    fed.settle();
    fed.open(false);
    let state = fed.harness.state().state();
    assert!(state.study.is_empty());
    assert!(state.pair.is_none() && state.search.is_empty());
    assert_eq!(state.selection.prompt, Some(0));
    assert!(!state.history.can_undo());
}

#[test]
fn earlier_results_show_their_first_picture() {
    let mut fed = Fed::plain();
    fed.open(true);
    let state = fed.harness.state().state();
    assert_eq!(state.selection.key(), Some(GenerationKey { prompt: 0, seed: 0 }));
    assert!(state.pair.is_some());
}

/// Everything that follows from the thresholds, as the window's controls say it.
fn counts(fed: &Fed) -> Vec<usize> {
    let state = fed.harness.state().state();
    let tally = state.study.tally(&state.thresholds);
    Verdict::ALL
        .into_iter()
        .map(|v| {
            let count = tally.count(v);
            fed.harness.get_by_label(&format!("{} {count}", v.letters()));
            fed.harness
                .get_by_label(&format!("{} {count}: {}", v.letters(), v.meaning()));
            count
        })
        .collect()
}

#[test]
fn a_dragged_threshold_reclasses_everything_in_the_same_frame() {
    let mut fed = Fed::plain();
    fed.open(true);
    assert_eq!(counts(&fed), vec![12, 8, 8, 12]);
    fed.harness
        .get_by_label_contains("VM: foreground and background copied");

    // Where the thresholds cross: the plot leaves a gutter at the left and below, and room for whole marks at score 1.
    let lowest = (0..40)
        .map(|i| {
            scores(GenerationKey {
                prompt: i / 4,
                seed: u64::from(i % 4),
            })
        })
        .flat_map(|s| [s.foreground, s.background])
        .flatten()
        .fold(0.6_f32, f32::min);
    let low = ((lowest - 0.02) * 10.0).floor() / 10.0;
    let plot = fed
        .harness
        .get_by_label_contains("Field: background score")
        .rect();
    let at = |f: f32, b: f32| {
        egui::pos2(
            plot.left() + 12.0 + (plot.width() - 12.0 - 7.0) * (b - low) / (1.0 - low),
            plot.bottom() - 12.0 - (plot.height() - 12.0 - 7.0) * (f - low) / (1.0 - low),
        )
    };
    fed.harness.drag_at(at(0.8, 0.8));
    fed.harness.run();
    fed.harness.hover_at(at(0.9, 0.9));
    // One frame: the last event moves the thresholds, and all panes follow in it.
    fed.harness.step();
    let thresholds = fed.harness.state().state().thresholds;
    assert!((thresholds.foreground - 0.9).abs() < 0.03, "{thresholds:?}");
    assert!((thresholds.background - 0.9).abs() < 0.03, "{thresholds:?}");
    assert_ne!(counts(&fed), vec![12, 8, 8, 12]);
    fed.harness.hover_at(at(0.99, 0.99));
    fed.harness.run();
    fed.harness.drop_at(at(0.99, 0.99));
    fed.harness.run();
    assert_eq!(counts(&fed), vec![0, 0, 0, 40]);
    fed.harness.get_by_label_contains("NM: neither region copied");

    // The whole drag is one step of undo.
    fed.harness
        .key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Z);
    fed.harness.run();
    assert_eq!(counts(&fed), vec![12, 8, 8, 12]);
    fed.harness
        .key_press_modifiers(egui::Modifiers::COMMAND | egui::Modifiers::SHIFT, egui::Key::Z);
    fed.harness.run();
    assert_eq!(counts(&fed), vec![0, 0, 0, 40]);
    fed.harness
        .state_mut()
        .ask(Action::Command(Command::ResetThresholds));
    fed.harness.run();
    assert_eq!(counts(&fed), vec![12, 8, 8, 12]);
}

#[test]
fn a_mark_of_the_field_leads_to_its_picture() {
    let mut fed = Fed::plain();
    fed.open(true);
    let key = GenerationKey { prompt: 5, seed: 2 };
    fed.harness.state_mut().ask(Action::PickGeneration(key));
    fed.settle();
    let state = fed.harness.state().state();
    assert_eq!(state.selection.key(), Some(key));
    assert_eq!(state.pair.as_ref().map(|p| p.request.generation), Some(key));
}

#[test]
fn the_chosen_evidence_becomes_the_partner_on_the_stage() {
    let mut fed = Fed::plain();
    fed.open(true);
    let partner = |fed: &Fed| {
        fed.harness
            .state()
            .state()
            .pair
            .as_ref()
            .and_then(|p| p.request.gallery)
    };
    let matches = generation(GenerationKey { prompt: 0, seed: 0 }).matches;
    assert_eq!(partner(&fed), Some(matches[0].gallery));
    fed.harness.get_by_label("Evidence 3").click();
    fed.settle();
    assert_eq!(partner(&fed), Some(matches[2].gallery));
    fed.harness.key_press(egui::Key::ArrowDown);
    fed.settle();
    assert_eq!(partner(&fed), Some(matches[3].gallery));
    for _ in 0..9 {
        fed.harness.key_press(egui::Key::ArrowDown);
        fed.harness.run();
    }
    assert_eq!(
        fed.harness.state().state().selection.evidence,
        4,
        "the list has an end"
    );
}

#[test]
fn an_answer_to_an_older_wish_is_ignored() {
    let mut fed = Fed::plain();
    fed.open(true);
    let stale = PairRequest {
        generation: GenerationKey { prompt: 9, seed: 3 },
        ..PairRequest::default()
    };
    fed.tell(Event::Pair(Arc::new(pair(stale.clone()))));
    fed.settle();
    let shown = fed
        .harness
        .state()
        .state()
        .pair
        .as_ref()
        .map(|p| p.request.clone());
    assert_ne!(shown, Some(stale));
}

#[test]
fn pictures_of_odd_sizes_do_no_harm() {
    let mut fed = Fed::plain();
    fed.open(false);
    let mut odd = generation(GenerationKey { prompt: 0, seed: 0 });
    odd.thumbnail = Arc::new(image::RgbImage::new(0, 0));
    odd.noise_norm = vec![f32::NAN, 3.0, f32::INFINITY];
    odd.matches[0].gallery = 4_000_000;
    odd.matches[1].scores.foreground = None;
    fed.tell(Event::Judged(Arc::new(odd)));
    fed.harness.run_steps(3);
    let request = fed.harness.state().state().asked.clone().expect("a wish");
    fed.tell(Event::Pair(Arc::new(PairView {
        request,
        generated: Arc::new(scene(0, 0, 40)),
        training: Some(Arc::new(scene(0, 1, 24))),
        matte: Some(Arc::new(image::GrayImage::new(7, 3))),
        signals: None,
        similarity: Some(Arc::new(image::GrayImage::new(5, 9))),
        compared: None,
    })));
    fed.harness.run();
    fed.harness.get_by_label("Picture").hover();
    fed.harness.run();
    // A result of a prompt that the list does not have.
    let mut stray = generation(GenerationKey { prompt: 77, seed: 0 });
    stray.prompt = "a stray one".into();
    fed.tell(Event::Judged(Arc::new(stray)));
    fed.harness.run();
    assert_eq!(
        fed.harness
            .state()
            .state()
            .study
            .prompt(77)
            .map(|p| p.text.as_str()),
        Some("a stray one")
    );
    assert!(noise(3) != noise(4));
}

#[test]
fn search_and_classes_narrow_the_list() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.get_by_label("Search prompts").focus();
    fed.harness.run();
    fed.harness.get_by_label("Search prompts").type_text("jk");
    fed.settle();
    let state = fed.harness.state().state();
    assert_eq!(state.search, "jk", "keys are letters while one writes");
    assert_eq!(state.selection.prompt, Some(0));
    fed.harness.get_by_label("No prompt matches");
    fed.harness.get_by_label("Show all").click();
    fed.settle();
    fed.harness.get_by_label("BM 8").click();
    fed.settle();
    assert!(
        fed.harness
            .query_by_label("a red owl in a misty forest")
            .is_none()
    );
    fed.harness.get_by_label("Library corner, home decor photo");
}
