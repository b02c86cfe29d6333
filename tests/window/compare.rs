//! Original and variant side by side.

use crate::fixture::{Fed, generation};
use egui_kittest::kittest::Queryable as _;
use pentimento::{
    app::{Action, Command},
    engine::{Event, Job, ViewRequest},
    study::{Edit, Generation, GenerationKey, LayerRef, Match, NeuronEdit, RegionScores, Variant, Verdict},
};
use std::sync::Arc;

fn key(prompt: u32, seed: u64) -> GenerationKey {
    GenerationKey { prompt, seed }
}

pub fn variant() -> Arc<Variant> {
    let neurons = |layer, neurons: &[u32]| {
        Edit::Neurons(NeuronEdit {
            layer: LayerRef::Index(layer),
            neurons: neurons.to_vec(),
            factor: 0.0,
            when: None,
        })
    };
    Arc::new(Variant {
        name: "NeMo".into(),
        edits: vec![neurons(0, &[3, 17, 88]), neurons(4, &[5])],
        ..Variant::default()
    })
}

/// The variant's picture: verbatim ones lose their background, everything else stays.
pub fn mitigated(key: GenerationKey) -> Generation {
    let mut generation = generation(key);
    generation.variant = Some("NeMo".into());
    generation.image = format!("drawn/runs/b/{key}.png").into();
    if key.prompt < 3 {
        let f = generation.matches[0].scores.foreground.unwrap();
        generation.matches = vec![Match {
            gallery: generation.matches[0].gallery,
            scores: RegionScores::new(f, 0.5),
        }];
    }
    generation.thumbnail = Arc::new(crate::fixture::scene(key.prompt, 20 + key.seed as u32, 64));
    generation
}

/// The drawn study with results of the variant for all prompts and seeds but one.
pub fn both(fed: &mut Fed) {
    fed.open(true);
    fed.tell(Event::Variant(variant()));
    for prompt in 0..10 {
        for seed in (0..4).filter(|&s| (prompt, s) != (9, 3)) {
            fed.tell(Event::Judged(Arc::new(mitigated(key(prompt, seed)))));
        }
    }
    fed.settle();
}

#[test]
fn a_variants_pictures_stand_beside_the_originals_and_replace_none() {
    let mut fed = Fed::plain();
    both(&mut fed);
    let state = fed.harness.state().state();
    assert_eq!(state.study.len(), 40);
    assert_eq!(state.current().unwrap().variant, None);
    let b = state.second(key(0, 0)).unwrap();
    assert_eq!(b.variant.as_deref(), Some("NeMo"));
    let matrix = state.transitions();
    assert_eq!(matrix.total(), 39);
    assert_eq!(matrix.count(Verdict::Verbatim, Verdict::ForegroundOnly), 12);
    assert_eq!(matrix.count(Verdict::ForegroundOnly, Verdict::ForegroundOnly), 8);
    // Its earlier results were asked for once, without a run.
    let asked = |t: &pentimento::engine::Ticket| matches!(&t.job, Job::EarlierResults { variant: Some(v), .. } if v.name == "NeMo");
    assert_eq!(fed.started.iter().filter(|t| asked(t)).count(), 1);
    // The Strip has both rows.
    fed.harness.get_by_label("Seed 0, VM");
    fed.harness.get_by_label("B Seed 0, FM").click();
    fed.settle();
    let state = fed.harness.state().state();
    assert_eq!(state.current().unwrap().variant.as_deref(), Some("NeMo"));
    assert_eq!(
        state.pair.as_ref().unwrap().request.variant.as_deref(),
        Some("NeMo")
    );
    fed.harness.key_press(egui::Key::M);
    fed.settle();
    assert_eq!(fed.harness.state().state().current().unwrap().variant, None);
}

#[test]
fn blinking_and_side_by_side_take_the_variant_at_the_same_seed() {
    let mut fed = Fed::plain();
    both(&mut fed);
    fed.harness.key_press(egui::Key::B);
    // Blinking asks for frames for ever.
    fed.harness.run_steps(4);
    let wished = fed.harness.state().state().wished_pair().unwrap();
    assert_eq!((wished.generation, wished.gallery), (key(0, 0), None));
    assert_eq!(wished.against, Some(Some("NeMo".into())));
    fed.harness.key_press(egui::Key::P);
    fed.settle();
    fed.harness.key_press(egui::Key::X);
    fed.settle();
    fed.harness.get_by_label("Picture A");
    fed.harness.get_by_label("Picture B");
    let state = fed.harness.state().state();
    assert_eq!(
        state.compare.pair.as_ref().unwrap().request.variant.as_deref(),
        Some("NeMo")
    );
    // Zooming moves both: there is one camera.
    fed.harness.key_press(egui::Key::Plus);
    fed.settle();
    assert!(fed.harness.state().state().camera.zoom > 1.0);
}

#[test]
fn a_cell_of_the_matrix_filters_prompts() {
    let mut fed = Fed::plain();
    both(&mut fed);
    fed.harness.get_by_label("Compare").click();
    fed.settle();
    fed.harness.get_by_label("VM to FM: 12").click();
    fed.settle();
    let state = fed.harness.state().state();
    assert_eq!(state.visible_prompts(), vec![0, 1, 2]);
    assert!(state.in_cell(key(1, 2)) && !state.in_cell(key(5, 0)));
    fed.harness.get_by_label("Show all transitions").click();
    fed.settle();
    assert_eq!(fed.harness.state().state().visible_prompts().len(), 10);
}

#[test]
fn the_same_seeds_are_run_with_the_variant() {
    let mut fed = Fed::plain();
    both(&mut fed);
    fed.started.clear();
    fed.harness
        .state_mut()
        .ask(Action::Command(Command::RunSameSeeds));
    fed.settle();
    assert_eq!(fed.started.len(), 1);
    let Job::Generate(job) = &fed.started[0].job else {
        panic!("{:?}", fed.started[0].job)
    };
    // Only what is missing.
    assert_eq!(
        (job.prompts.len(), job.prompts[0].index, &job.seeds[..]),
        (1, 9, &[3][..])
    );
    assert_eq!(job.variant, Some(variant()));
    assert!(!job.redraw);
}

#[test]
fn comparisons_are_asked_for_and_shown_with_their_sizes() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.tell(Event::Variant(variant()));
    for seed in 0..4 {
        for prompt in 0..10 {
            fed.tell(Event::Judged(Arc::new(mitigated(key(prompt, seed)))));
        }
    }
    fed.harness.run_steps(3);
    let request = fed.engine.views.try_iter().filter_map(|r| match r {
        ViewRequest::Compare(request) => Some(request),
        _ => None,
    });
    let request = request.last().expect("a comparison");
    assert_eq!((request.a.len(), request.others[0].1.len()), (40, 40));
    let subjects = |list: &[Arc<Generation>]| -> Vec<_> {
        list.iter()
            .map(|g| pentimento::memorization::comparison::Subject::from(&**g))
            .collect()
    };
    let comparison = pentimento::memorization::comparison::compare(
        &subjects(&request.a),
        &subjects(&request.others[0].1),
        request.thresholds,
        Default::default(),
        &pentimento::memorization::comparison::SketchDistance,
    );
    fed.tell(Event::Compared(Arc::new(pentimento::engine::Compared {
        stamp: request.stamp,
        comparisons: vec![("NeMo".into(), comparison)],
    })));
    fed.harness.get_by_label("Compare").click();
    fed.settle();
    fed.harness.get_by_label("VM to FM: 12");
    fed.harness
        .get_by_label_contains("8 pictures, 2 prompts, 4 seeds");
    fed.harness.get_by_label_contains("no picture is left out");
}

#[test]
fn the_bench_switches_single_neurons_and_undo_brings_them_back() {
    let mut fed = Fed::plain();
    both(&mut fed);
    fed.harness.get_by_label("Bench").click();
    fed.settle();
    fed.harness.get_by_label("Neuron 17 of layer 0").click();
    fed.settle();
    let state = fed.harness.state().state();
    let edited = state.variant.clone().unwrap();
    assert_eq!(edited.touched().neurons, 3);
    assert!(edited.name.starts_with("NeMo, edited"));
    // Its pictures are others: none are there yet.
    assert!(state.second(key(0, 0)).is_none());
    fed.started.clear();
    fed.harness.get_by_label("Save as").click();
    fed.settle();
    let Job::SaveVariant(path, saved) = &fed.started[0].job else {
        panic!("{:?}", fed.started[0].job)
    };
    assert_eq!(saved, &edited);
    assert!(path.starts_with("drawn/variants") && path.extension().unwrap() == "toml");
    fed.harness
        .key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Z);
    fed.settle();
    let state = fed.harness.state().state();
    assert_eq!(state.variant, Some(variant()));
    assert!(state.second(key(0, 0)).is_some());
}

#[test]
fn without_a_variant_the_panes_say_what_to_do() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.get_by_label("Compare").click();
    fed.settle();
    fed.harness.get_by_label_contains("Open a variant file");
    fed.harness
        .state_mut()
        .ask(Action::Command(Command::RunSameSeeds));
    fed.settle();
    fed.harness.get_by_label("There is no variant to draw with");
}
