//! The tour's cards, and the stage that plays by itself.

use crate::fixture::Fed;
use egui::{Key, Modifiers};
use egui_kittest::{Harness, kittest::Queryable as _};
use pentimento::{
    app::{Action, AppOptions, Command, Pick},
    render::Mode,
};

fn newcomer() -> Fed {
    let options = AppOptions {
        tour: true,
        ..AppOptions::default()
    };
    Fed::build(Harness::builder(), [1280.0, 800.0], options)
}

#[test]
fn the_first_start_shows_five_cards() {
    let mut fed = newcomer();
    fed.settle();
    assert!(
        fed.harness.query_by_label("1 of 5").is_none(),
        "no study is open yet"
    );
    fed.open(true);
    fed.harness.get_by_label("1 of 5");
    fed.harness.get_by_label("Next").click();
    fed.settle();
    fed.harness.get_by_label("2 of 5");
    fed.harness.get_by_label("Back").click();
    fed.settle();
    fed.harness.get_by_label("1 of 5");
    for card in 2..=5 {
        fed.harness.key_press(Key::ArrowRight);
        fed.settle();
        fed.harness.get_by_label(&format!("{card} of 5"));
    }
    fed.harness.get_by_label("Done").click();
    fed.settle();
    assert_eq!(fed.harness.state().state().open.tour, None);
    // It can be asked for again, and left at any card.
    fed.harness.state_mut().ask(Action::Command(Command::Tour));
    fed.settle();
    fed.harness.get_by_label("1 of 5");
    fed.harness.key_press_modifiers(Modifiers::NONE, Key::Escape);
    fed.settle();
    assert_eq!(fed.harness.state().state().open.tour, None);
}

#[test]
fn whoever_opens_a_study_by_name_is_not_toured() {
    let mut fed = Fed::plain();
    fed.open(true);
    assert_eq!(fed.harness.state().state().open.tour, None);
}

#[test]
fn the_stage_plays_by_itself_and_gives_the_overlay_back() {
    let builder = Harness::builder().with_step_dt(0.5);
    let mut fed = Fed::build(builder, [1280.0, 800.0], AppOptions::default());
    fed.open(true);
    fed.harness
        .state_mut()
        .ask(Action::Command(Command::Show(Mode::Outline)));
    fed.harness.state_mut().ask(Action::PickPrompt(0, Pick::Only));
    fed.settle();
    fed.harness.state_mut().ask(Action::Command(Command::Autoplay));
    let mut seen = Vec::new();
    for _ in 0..60 {
        fed.harness.step();
        let state = fed.harness.state().state();
        let now = (state.selection.prompt, state.overlay.mode);
        if state.open.present && seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    let modes = [Mode::Plain, Mode::Heat, Mode::Reveal];
    let expected: Vec<_> = (0..2)
        .flat_map(|prompt| modes.map(|mode| (Some(prompt), mode)))
        .collect();
    assert_eq!(seen[..6], expected, "{seen:?}");
    fed.harness.key_press(Key::Escape);
    fed.harness.step();
    let state = fed.harness.state().state();
    assert!(!state.open.present && state.autoplay.is_none());
    assert_eq!(state.overlay.mode, Mode::Outline);
    assert!(state.overlay.split);
}
