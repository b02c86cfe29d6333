//! Null, suggested thresholds, labels, the import dialog and the list of skipped files.

use crate::fixture::{Fed, outline};
use egui_kittest::kittest::Queryable;
use pentimento::{
    app::{Action, Command},
    engine::{Event, ImportPrompts, Job, Survey},
    memorization::null::Null,
    store::ImportNames,
    study::{GenerationKey, Labels, Prompt, RegionLabels, RegionScores, Skipped, Thresholds, Verdict},
};
use std::sync::Arc;

/// Foreground null from 0.30 to 0.70, background from 0.20 to 0.50.
pub fn null(count: usize) -> Null {
    let scores: Vec<_> = (0..count)
        .map(|i| {
            let share = i as f32 / count as f32;
            RegionScores::new(0.3 + 0.4 * share, 0.2 + 0.3 * share * share).into()
        })
        .collect();
    Null::new(&scores)
}

fn show(fed: &mut Fed, tab: &str) {
    fed.harness.get_by_label(tab).click();
    fed.settle();
}

#[test]
fn suggested_thresholds_are_measured_taken_and_undone() {
    let mut fed = Fed::plain();
    fed.open(true);
    let before = fed.harness.state().state().thresholds;
    fed.harness.get_by_label("Suggest 1 %").click();
    fed.settle();
    // Not measured yet: a job measures it, and the thresholds follow.
    let ticket = fed.started.last().unwrap();
    assert!(matches!(ticket.job, Job::Calibrate), "{ticket:?}");
    let id = ticket.id;
    fed.tell(Event::Started(id));
    fed.settle();
    assert!(fed.harness.query_by_label("Measuring…").is_some());
    fed.tell(Event::Null(Arc::new(null(400))));
    fed.tell(Event::Finished(id));
    fed.settle();
    let now = fed.harness.state().state().thresholds;
    assert!(
        (now.foreground - 0.7).abs() < 0.011 && (now.background - 0.5).abs() < 0.011,
        "{now:?}"
    );
    fed.harness.state_mut().ask(Action::Command(Command::Undo));
    fed.settle();
    assert_eq!(fed.harness.state().state().thresholds, before);
    fed.harness
        .state_mut()
        .ask(Action::Command(Command::SuggestedThresholds));
    fed.settle();
    assert_eq!(fed.harness.state().state().thresholds, now);
    fed.harness.get_by_label("Ref. 0.80").click();
    fed.settle();
    assert_eq!(fed.harness.state().state().thresholds, Thresholds::default());
    // Another study has another null.
    fed.tell(Event::Opened(Arc::new(outline())));
    fed.settle();
    assert!(fed.harness.state().state().null.is_none());
}

#[test]
fn the_verdict_says_where_the_scores_stand() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.tell(Event::Null(Arc::new(null(400))));
    fed.settle();
    assert!(
        fed.harness
            .query_by_label_contains("of the null: F above all 400")
            .is_some()
    );
    // Too few to say anything.
    fed.tell(Event::Null(Arc::new(null(10))));
    fed.settle();
    assert!(
        fed.harness
            .query_by_label_contains("of the null: F n/a · B n/a")
            .is_some()
    );
    fed.harness
        .state_mut()
        .ask(Action::Command(Command::SuggestedThresholds));
    fed.settle();
    let notices = &fed.harness.state().state().notices;
    assert!(
        notices
            .last()
            .unwrap()
            .problem
            .to_string()
            .contains("needs 99 null scores"),
        "{notices:?}"
    );
}

#[test]
fn the_planned_classes_are_labels_until_others_are_opened() {
    let mut fed = Fed::plain();
    fed.open(true);
    show(&mut fed, "Calibration");
    // The drawn scores follow the plan: both regions are told apart without an error.
    assert!(
        fed.harness
            .query_by_label_contains("areas: foreground 1.000, background 1.000")
            .is_some()
    );
    // 10 prompts of 4 seeds: VM 3, FM 2, BM 2, NM 3.
    assert_eq!(fed.harness.query_all_by_label("20 / 20").count(), 2);
    let mut labels = Labels::new();
    for prompt in 0..2 {
        for seed in 0..4 {
            let class = if prompt == 0 {
                Verdict::Verbatim
            } else {
                Verdict::NotMemorized
            };
            labels.insert(GenerationKey { prompt, seed }, RegionLabels::from(class));
        }
    }
    fed.tell(Event::Labels(Arc::new(labels)));
    fed.settle();
    assert!(fed.harness.query_all_by_label("4 / 4").count() == 2);
    // Both prompts copy: all of them are called, half of them rightly.
    fed.harness.state_mut().ask(Action::SetThresholds(
        Thresholds {
            foreground: 0.8,
            background: 0.8,
        },
        None,
    ));
    fed.settle();
    assert!(fed.harness.query_all_by_label("0.500").count() >= 2);
    fed.harness.state_mut().ask(Action::SetThresholds(
        Thresholds {
            foreground: 1.0,
            background: 1.0,
        },
        None,
    ));
    fed.settle();
    // Live: nothing is called any more, and precision has no value.
    assert!(fed.harness.query_all_by_label("n/a").count() >= 2);
}

#[test]
fn the_import_dialog_shows_what_the_names_say() {
    let mut fed = Fed::plain();
    fed.open(false);
    let survey = |gallery| Survey {
        folder: "some/pictures".into(),
        files: vec![
            "a red owl_1.png".into(),
            "a red owl_2.png".into(),
            "new_1.png".into(),
        ],
        gallery,
        prompts: vec![Prompt {
            index: 8,
            text: "a red owl".into(),
            group: None,
        }],
    };
    fed.tell(Event::Surveyed(Arc::new(survey(24))));
    fed.settle();
    assert!(fed.harness.query_by_label("3 of 3 fit, 2 prompts").is_some());
    assert!(fed.harness.query_by_label("seed 1 of 8: a red owl").is_some());
    fed.harness.get_by_label("Import").click();
    fed.settle();
    let Job::Import(job) = &fed.started.last().unwrap().job else {
        panic!("{:?}", fed.started)
    };
    assert_eq!(job.names, ImportNames::Pattern("{text}_{seed}".into()));
    assert_eq!(job.prompts, ImportPrompts::OfStudy);
    assert!(fed.harness.state().state().import.is_none());

    // Without a gallery nothing can be imported, but the folder can become the gallery.
    fed.tell(Event::Surveyed(Arc::new(survey(0))));
    fed.settle();
    assert!(
        fed.harness
            .query_by_label_contains("There is no gallery")
            .is_some()
    );
    fed.harness.get_by_label("Use as gallery").click();
    fed.settle();
    assert!(matches!(&fed.started.last().unwrap().job, Job::OpenGallery(f) if f.ends_with("pictures")));
    fed.tell(Event::Surveyed(Arc::new(survey(24))));
    fed.settle();
    fed.harness.state_mut().ask(Action::Escape);
    fed.settle();
    assert!(fed.harness.state().state().import.is_none());
}

#[test]
fn skipped_files_are_listed_in_the_log() {
    let mut fed = Fed::plain();
    fed.open(false);
    let files = vec![
        Skipped::new("g/broken.png", "the file is empty"),
        Skipped::new("g/b.png", "damaged"),
    ];
    fed.tell(Event::Skipped(Arc::new(files)));
    fed.settle();
    show(&mut fed, "Log");
    assert!(fed.harness.query_by_label("Skipped files (2)").is_some());
    assert!(fed.harness.query_by_label("broken.png").is_some());
    assert!(fed.harness.query_by_label("the file is empty").is_some());
}
