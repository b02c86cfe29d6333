//! Running and stopping.

use crate::fixture::{Fed, generation, step};
use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use pentimento::{
    app::{Action, Command},
    engine::{Event, Job, JobKind, Progress},
    study::{GenerationKey, Problem, RngKind, SchedulerKind, WeightStorage},
};
use std::{sync::Arc, time::Duration};

fn key(prompt: u32, seed: u64) -> GenerationKey {
    GenerationKey { prompt, seed }
}

#[test]
fn a_run_goes_from_previews_to_the_verdict() {
    let mut fed = Fed::plain();
    fed.open(false);
    fed.harness.get_by_label("Run this prompt").click();
    fed.settle();
    let ticket = fed.started.pop().expect("a job");
    let Job::Generate(job) = &ticket.job else {
        panic!("{:?}", ticket.job)
    };
    assert_eq!(job.prompts.len(), 1);
    assert_eq!(job.seeds, vec![0, 1, 2, 3]);
    assert_eq!(job.sampling.width, crate::fixture::SIDE);

    fed.tell(Event::Started(ticket.id));
    for n in 1..=7 {
        fed.tell(Event::Step(step(key(0, 0), n, 50)));
    }
    let progress = Progress {
        kind: JobKind::Generate,
        done: 0,
        total: 4,
        left: Some(Duration::from_secs(41)),
    };
    fed.tell(Event::Progress(ticket.id, progress));
    fed.settle();
    fed.harness.get_by_label("Picture forming, step 7 of 50");
    fed.harness.get_by_label("Seed 0, forming");
    fed.harness
        .get_by_role_and_label(Role::ProgressIndicator, "Generating 0 / 4 · 0:41 left");
    assert_eq!(fed.harness.state().state().study.noise(key(0, 0)).0.len(), 7);

    fed.tell(Event::Drawn(Arc::new({
        let mut drawn = generation(key(0, 0));
        drawn.matches.clear();
        drawn
    })));
    fed.settle();
    fed.harness.get_by_label("Seed 0, not compared");
    fed.tell(Event::Judged(Arc::new(generation(key(0, 0)))));
    fed.settle();
    fed.harness
        .get_by_label_contains("VM: foreground and background copied. F 0.");
    let state = fed.harness.state().state();
    let pair = state.pair.as_ref().expect("the pair was asked for and came");
    assert_eq!(
        pair.request.gallery,
        Some(generation(key(0, 0)).matches[0].gallery)
    );
    assert!(state.study.forming_of(0).next().is_none());

    // The next seed of the same prompt takes the Stage.
    fed.tell(Event::Step(step(key(0, 1), 1, 50)));
    fed.settle();
    assert_eq!(fed.harness.state().state().selection.key(), Some(key(0, 1)));
    // One of another prompt does not.
    fed.tell(Event::Judged(Arc::new(generation(key(0, 1)))));
    fed.tell(Event::Step(step(key(1, 0), 1, 50)));
    fed.settle();
    assert_eq!(fed.harness.state().state().selection.key(), Some(key(0, 1)));

    fed.tell(Event::Finished(ticket.id));
    fed.settle();
    assert!(!fed.harness.state().state().is_running());
    assert!(fed.harness.get_by_label("Stop").accesskit_node().is_disabled());
}

#[test]
fn several_pictures_form_together_and_the_one_looked_at_stays() {
    let mut fed = Fed::plain();
    fed.open(false);
    for n in 1..=3 {
        for seed in 0..4 {
            fed.tell(Event::Step(step(key(0, seed), n, 50)));
        }
    }
    fed.settle();
    for seed in 0..4 {
        fed.harness.get_by_label(&format!("Seed {seed}, forming"));
        assert_eq!(fed.harness.state().state().study.noise(key(0, seed)).0.len(), 3);
    }
    assert_eq!(fed.harness.state().state().selection.key(), Some(key(0, 0)));
    // Once it is finished, the next that forms follows.
    fed.tell(Event::Judged(Arc::new(generation(key(0, 0)))));
    fed.tell(Event::Step(step(key(0, 1), 4, 50)));
    fed.settle();
    assert_eq!(fed.harness.state().state().selection.key(), Some(key(0, 1)));
}

#[test]
fn a_seed_chosen_by_hand_stays() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.get_by_label("Run").click();
    fed.settle();
    fed.harness.get_by_label("Seed 1, VM").click();
    fed.settle();
    fed.tell(Event::Judged(Arc::new(generation(key(0, 3)))));
    fed.settle();
    assert_eq!(fed.harness.state().state().selection.seed, Some(1));
}

#[test]
fn stop_reaches_running_and_waiting_jobs() {
    let mut fed = Fed::plain();
    fed.open(true);
    for _ in 0..2 {
        fed.harness.get_by_label("Run").click();
        fed.settle();
    }
    assert_eq!(fed.started.len(), 2);
    fed.tell(Event::Started(fed.started[0].id));
    fed.settle();
    fed.harness
        .get_by_role_and_label(Role::ProgressIndicator, "Starting · 1 waiting");
    assert!(fed.started.iter().all(|t| !t.cancel.is_cancelled()));
    fed.harness.get_by_label("Stop").click();
    fed.settle();
    assert!(fed.started.iter().all(|t| t.cancel.is_cancelled()));
    for ticket in &fed.started {
        fed.tell(Event::Cancelled(ticket.id));
    }
    fed.settle();
    assert!(!fed.harness.state().state().is_running());
    assert_eq!(
        fed.harness.state().state().study.len(),
        40,
        "finished pictures stay"
    );
}

#[test]
fn several_prompts_run_together() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness
        .get_by_label("The little fox of Amber Wood, storybook cover")
        .click();
    fed.settle();
    let fourth = fed
        .harness
        .get_by_label("Robo the tin robot, collector's catalogue");
    fourth.click_modifiers(egui::Modifiers::COMMAND);
    fed.settle();
    fed.harness.get_by_label("Run 2").click();
    fed.settle();
    let Job::Generate(job) = &fed.started[0].job else {
        panic!()
    };
    assert_eq!(
        job.prompts.iter().map(|p| p.index).collect::<Vec<_>>(),
        vec![1, 3]
    );
    let first = fed
        .harness
        .get_by_label("Lighthouse at Gull Point, oil painting by E. Marlow");
    first.click_modifiers(egui::Modifiers::SHIFT);
    fed.settle();
    assert_eq!(fed.harness.state().state().selection.prompts.len(), 4);
}

#[test]
fn settings_out_of_range_are_said_and_nothing_runs() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.get_by_label("Run settings").click();
    fed.settle();
    fed.harness
        .get_by_role_and_label(Role::TextInput, "Seeds")
        .focus();
    fed.harness.run();
    fed.harness
        .key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
    fed.harness
        .get_by_role_and_label(Role::TextInput, "Seeds")
        .type_text("3..3");
    fed.settle();
    assert_eq!(fed.harness.state().state().seeds, "3..3");
    fed.harness
        .key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Enter);
    fed.settle();
    assert!(fed.started.is_empty());
    fed.harness.get_by_label("No seeds to draw with");
}

#[test]
fn one_s_own_prompt_can_be_drawn() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.get_by_label("Own prompt").focus();
    fed.harness.run();
    fed.harness
        .get_by_label("Own prompt")
        .type_text("a lighthouse of glass");
    fed.settle();
    fed.harness.get_by_label("Add prompt").click();
    fed.settle();
    let state = fed.harness.state().state();
    assert_eq!(state.selection.prompt, Some(10));
    assert!(state.draft.is_empty());
    fed.harness.get_by_label("Run").click();
    fed.settle();
    let Job::Generate(job) = &fed.started[0].job else {
        panic!()
    };
    assert_eq!(job.prompts[0].text, "a lighthouse of glass");
}

#[test]
fn a_failure_becomes_a_card_that_can_be_dismissed() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.get_by_label("Run").click();
    fed.settle();
    let problem = Problem::new(
        "The disk is full",
        "Make room and run again; finished pictures are kept.",
    )
    .at("runs/1/img_0000_00.png")
    .detail("No space left on device");
    fed.tell(Event::Failed(fed.started[0].id, problem));
    fed.settle();
    fed.harness.get_by_label("The disk is full");
    fed.harness.get_by_label("runs/1/img_0000_00.png");
    fed.harness.get_by_label("No space left on device");
    assert!(!fed.harness.state().state().is_running());
    fed.harness.get_by_label("Dismiss: The disk is full").click();
    fed.settle();
    assert!(fed.harness.query_by_label("The disk is full").is_none());
}

#[test]
fn scheduler_and_generator_are_chosen_in_the_run_settings() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.get_by_label("Run settings").click();
    fed.settle();
    fed.harness.get_by_label_contains("0.08 s a step so far");
    fed.harness
        .get_by_role_and_label(Role::ComboBox, "Scheduler")
        .click();
    fed.settle();
    fed.harness.get_by_label("PNDM (the checkpoint's own)");
    fed.harness.get_by_label("Euler ancestral").click();
    fed.settle();
    let sampling = |fed: &Fed| fed.harness.state().state().sampling.clone();
    assert_eq!(sampling(&fed).scheduler, SchedulerKind::EulerAncestral);
    // The sheet is still open; the next choice is made by keys alone.
    fed.harness.get_by_role_and_label(Role::ComboBox, "Noise").focus();
    fed.harness.run();
    fed.harness.key_press(egui::Key::Space);
    fed.settle();
    fed.harness.get_by_label("as torch on a GPU").focus();
    fed.harness.run();
    fed.harness.key_press(egui::Key::Space);
    fed.settle();
    assert_eq!(sampling(&fed).rng, RngKind::TorchCuda);
    fed.harness.get_by_label("Reset to the checkpoint's").click();
    fed.settle();
    assert_eq!(sampling(&fed).scheduler, SchedulerKind::Pndm);
    assert_eq!(sampling(&fed).rng, RngKind::TorchCpu);
    fed.harness.get_by_label("Run").click();
    fed.settle();
    let Job::Generate(job) = &fed.started[0].job else {
        panic!()
    };
    assert_eq!(job.sampling.scheduler, SchedulerKind::Pndm);
}

#[test]
fn a_variant_that_is_opened_is_drawn_with_and_named() {
    let mut fed = Fed::plain();
    fed.open(true);
    let variant = Arc::new(pentimento::study::Variant {
        name: "Cluster 3".into(),
        ..Default::default()
    });
    fed.tell(Event::Variant(variant.clone()));
    fed.settle();
    fed.harness
        .key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Enter);
    fed.settle();
    let ticket = fed.started.pop().expect("a job");
    let Job::Generate(job) = &ticket.job else {
        panic!("{:?}", ticket.job)
    };
    assert_eq!(job.variant, Some(variant));
    assert!(!job.redraw, "what is there was drawn without the variant");
    fed.tell(Event::Judged(Arc::new(pentimento::study::Generation {
        variant: Some("Cluster 3".into()),
        ..generation(key(0, 0))
    })));
    fed.settle();
    fed.harness.get_by_label_contains("seed 0 · Cluster 3");
    fed.harness.get_by_label("Run settings").click();
    fed.settle();
    fed.harness.get_by_label("Variant");
    let app = fed.harness.state_mut();
    app.ask(pentimento::app::Action::SetVariant(None));
    fed.settle();
    assert_eq!(fed.harness.state().state().variant, None);
}

/// Facts about the demo's checkpoint on a machine with so many bytes of memory, of which so many were free.
pub fn facts(total: u64, free: u64) -> Event {
    let demo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/model");
    let checkpoint = pentimento::diffusion::Checkpoint::open(&demo).unwrap();
    Event::Model(std::sync::Arc::new(pentimento::engine::ModelFacts {
        needs: checkpoint.memory_needs(),
        machine: Some(pentimento::engine::MachineMemory { total, free }),
        on_cpu: true,
    }))
}

#[test]
fn the_memory_a_run_needs_follows_its_settings() {
    const GIB: u64 = 1 << 30;
    let mut fed = Fed::plain();
    fed.open(true);
    fed.tell(facts(16 * GIB, 12 * GIB));
    fed.harness.get_by_label("Run settings").click();
    fed.settle();
    let needs = |fed: &Fed| {
        let label = fed.harness.get_by_label_contains("Needs ");
        // Static text is a value to AccessKit.
        label.accesskit_node().value().unwrap_or_default()
    };
    let small = needs(&fed);
    assert!(small.contains("weights"), "{small}");
    assert!(fed.harness.query_by_label_contains("free when").is_none());
    let mut sampling = fed.harness.state().state().sampling.clone();
    sampling.width = 1024;
    sampling.height = 1024;
    fed.harness.state_mut().ask(Action::SetSampling(sampling));
    fed.settle();
    let large = needs(&fed);
    assert_ne!(large, small);
    let mut sampling = fed.harness.state().state().sampling.clone();
    sampling.at_once = 4;
    fed.harness.state_mut().ask(Action::SetSampling(sampling));
    fed.settle();
    assert_ne!(needs(&fed), large);
    fed.tell(facts(16 * GIB, GIB / 8));
    fed.settle();
    fed.harness.get_by_label_contains("expect swapping");
    fed.tell(facts(GIB / 4, GIB / 8));
    fed.settle();
    fed.harness.get_by_label_contains("this will not fit");
}

#[test]
fn weights_are_held_as_chosen_and_values_go_back_one_by_one() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.get_by_label("Run settings").click();
    fed.settle();
    // Without facts about a checkpoint there is nothing to choose.
    assert!(
        fed.harness
            .query_by_role_and_label(Role::ComboBox, "Weights")
            .is_none()
    );
    fed.tell(facts(1 << 40, 1 << 40));
    fed.settle();
    fed.harness
        .get_by_role_and_label(Role::ComboBox, "Weights")
        .click();
    fed.settle();
    fed.harness.get_by_label("f16 as stored").click();
    fed.settle();
    let sampling = |fed: &Fed| fed.harness.state().state().sampling.clone();
    assert_eq!(sampling(&fed).weights, WeightStorage::AsStored);
    fed.harness.get_by_label("Reset Weights").click();
    fed.settle();
    assert_eq!(sampling(&fed).weights, WeightStorage::Auto);
    // The drawn study draws with DDIM, its checkpoint says PNDM.
    fed.harness.get_by_label("Reset Scheduler").click();
    fed.settle();
    assert_eq!(sampling(&fed).scheduler, SchedulerKind::Pndm);
    assert!(fed.harness.query_by_label("Reset Scheduler").is_none());
}

#[test]
fn the_time_of_a_step_is_told_while_a_picture_forms() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.state_mut().ask(Action::Command(Command::Run));
    fed.settle();
    let id = fed.started[0].id;
    fed.tell(Event::Started(id));
    fed.harness.get_by_label("Run settings").click();
    fed.settle();
    for n in 1..=3 {
        fed.tell(Event::Step(step(key(0, 9), n, 50)));
        fed.harness.run_steps(4);
    }
    fed.harness.get_by_label_contains("s a step now");
    fed.tell(Event::Cancelled(id));
    fed.settle();
    assert!(fed.harness.query_by_label_contains("s a step now").is_none());
    fed.harness.get_by_label_contains("s a step so far");
}
