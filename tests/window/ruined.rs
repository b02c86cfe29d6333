//! A variant that ruins pictures is not shown as clean; what was in force for a picture is told; signals by command.

use crate::{
    compare::{mitigated, variant},
    fixture::Fed,
};
use egui_kittest::kittest::Queryable as _;
use pentimento::{
    app::{Action, Command},
    engine::{Compared, Event, ViewRequest},
    memorization::comparison::{PictureSummary, SketchDistance, Subject, compare},
    study::{ClusterPlace, Generation, GenerationKey, Match, RegionScores, Sampling},
};
use std::sync::Arc;

fn says(fed: &Fed, part: &str) -> bool {
    fed.harness.query_all_by_label_contains(part).next().is_some()
}

/// The variant's picture: nothing is copied any more, and nothing is left to see.
fn grey(key: GenerationKey) -> Generation {
    let mut generation = mitigated(key);
    generation.matches = vec![Match {
        gallery: generation.matches[0].gallery,
        scores: RegionScores::new(0.1, 0.1),
    }];
    generation
}

#[test]
fn a_variant_that_ruins_pictures_is_told_ruined_with_its_intervals() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.tell(Event::Variant(variant()));
    for prompt in 0..10 {
        for seed in 0..4 {
            fed.tell(Event::Judged(Arc::new(grey(GenerationKey { prompt, seed }))));
        }
    }
    fed.harness.run_steps(3);
    let request = fed.engine.views.try_iter().filter_map(|r| match r {
        ViewRequest::Compare(request) => Some(request),
        _ => None,
    });
    let request = request.last().expect("a comparison");
    let subjects = |list: &[Arc<Generation>], ruined: bool| -> Vec<Subject> {
        let one = |g: &Arc<Generation>| {
            let picture = if ruined {
                image::RgbImage::from_pixel(64, 64, image::Rgb([128; 3]))
            } else {
                crate::fixture::scene(g.key.prompt, g.key.prompt + g.key.seed as u32, 64)
            };
            Subject {
                picture: Some(Arc::new(PictureSummary::of(&picture))),
                ..Subject::from(&**g)
            }
        };
        list.iter().map(one).collect()
    };
    let comparison = compare(
        &subjects(&request.a, false),
        &subjects(&request.others[0].1, true),
        request.thresholds,
        Default::default(),
        &SketchDistance,
    );
    // By its scores alone it is perfect.
    assert_eq!(comparison.reference.score, comparison.reference.attainable);
    assert!(comparison.ruined().is_some());
    let [low, high] = comparison.reference.mean.interval.unwrap();
    let mean = comparison.reference.mean.value.unwrap();
    fed.tell(Event::Compared(Arc::new(Compared {
        stamp: request.stamp,
        comparisons: vec![("NeMo".into(), comparison)],
    })));
    fed.harness.get_by_label("Compare").click();
    fed.settle();
    fed.harness.get_by_label("ruined");
    assert!(says(&fed, "B looks ruined: 0 % of the pictures look ordinary"));
    // Each number has its interval, and the row says over what.
    assert!(says(&fed, &format!("{mean:.2} [{low:.2}, {high:.2}]")));
    assert!(says(&fed, "0.00 [0.00, 0.00]"));
    assert!(says(&fed, "40 pictures, 10 prompts, 4 seeds"));
}

#[test]
fn the_verdict_says_the_cluster_and_what_was_in_force() {
    let mut fed = Fed::plain();
    fed.open(true);
    let own = fed.harness.state().state().sampling.clone();
    assert!(!says(&fed, "drawn with other settings"));
    let mut generation = mitigated(GenerationKey { prompt: 0, seed: 0 });
    generation.cluster = Some(ClusterPlace {
        cluster: 7,
        distance: 3.5,
        margin: 0.25,
        outside: true,
    });
    fed.tell(Event::Variant(variant()));
    fed.tell(Event::Judged(Arc::new(generation)));
    fed.settle();
    fed.harness.key_press(egui::Key::M);
    fed.settle();
    assert!(says(
        &fed,
        "cluster 7, margin 0.25, further away than its own prompts"
    ));
    let other = Sampling {
        steps: own.steps + 7,
        guidance: 1.5,
        ..own.clone()
    };
    fed.harness.state_mut().ask(Action::SetSampling(other.clone()));
    fed.settle();
    assert!(says(&fed, &format!("{} steps (now {})", own.steps, other.steps)));
    assert!(says(&fed, "(now 1.5)"));
}

#[test]
fn a_command_shows_how_well_signals_tell() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.state_mut().ask(Action::Command(Command::Signals));
    fed.settle();
    assert!(fed.harness.state().state().signals.shown.on);
    assert!(says(&fed, "ROC curves of signals, areas"));
}
