//! Keys, palette, names of controls.

use crate::fixture::Fed;
use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use pentimento::{
    app::{Action, Command, Pane, default_layout, is_complete},
    render::Mode,
    study::Verdict,
};

#[test]
fn the_palette_finds_a_command_and_a_prompt() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
    fed.settle();
    fed.harness.get_by_label("Find a command").type_text("outl");
    fed.settle();
    fed.harness.key_press(Key::Enter);
    fed.settle();
    let state = fed.harness.state().state();
    assert_eq!(state.overlay.mode, Mode::Outline);
    assert!(state.open.palette.is_none());

    fed.harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
    fed.settle();
    fed.harness.get_by_label("Find a command").type_text("red owl");
    fed.settle();
    fed.harness.key_press(Key::Enter);
    fed.settle();
    assert_eq!(fed.harness.state().state().selection.prompt, Some(8));

    fed.harness.key_press_modifiers(Modifiers::COMMAND, Key::K);
    fed.settle();
    fed.harness.key_press(Key::Escape);
    fed.settle();
    assert!(fed.harness.state().state().open.palette.is_none());
}

#[test]
fn keys_walk_prompts_seeds_and_modes() {
    let mut fed = Fed::plain();
    fed.open(true);
    let mut press = |key| {
        fed.harness.key_press(key);
        fed.settle();
        let state = fed.harness.state().state();
        (state.selection.prompt, state.selection.seed)
    };
    assert_eq!(press(Key::J), (Some(1), Some(0)));
    assert_eq!(press(Key::CloseBracket), (Some(1), Some(1)));
    assert_eq!(press(Key::CloseBracket), (Some(1), Some(2)));
    assert_eq!(press(Key::OpenBracket), (Some(1), Some(1)));
    assert_eq!(press(Key::K), (Some(0), Some(0)));
    assert_eq!(press(Key::K), (Some(0), Some(0)), "the list has a beginning");
    // With a class filter, J goes to the next prompt of that class.
    press(Key::Num3);
    assert_eq!(press(Key::J), (Some(5), Some(0)));
    assert_eq!(press(Key::J), (Some(6), Some(0)));
    press(Key::Num3);
    for (key, mode) in [
        (Key::P, Mode::Plain),
        (Key::I, Mode::Isolate),
        (Key::O, Mode::Outline),
        (Key::R, Mode::Reveal),
        (Key::D, Mode::Difference),
        (Key::B, Mode::Blink),
        (Key::H, Mode::Heat),
    ] {
        fed.harness.key_press(key);
        fed.settle();
        assert_eq!(fed.harness.state().state().overlay.mode, mode);
    }
    let split = fed.harness.state().state().overlay.split;
    fed.harness.key_press(Key::S);
    fed.settle();
    assert_ne!(fed.harness.state().state().overlay.split, split);
    fed.harness.key_press(Key::Plus);
    fed.settle();
    assert!(fed.harness.state().state().camera.zoom > 1.2);
    fed.harness.key_press(Key::Num0);
    fed.settle();
    assert_eq!(fed.harness.state().state().camera.zoom, 1.0);
}

#[test]
fn panes_come_to_the_front_by_key_and_by_name() {
    let mut fed = Fed::plain();
    fed.open(true);
    let shows = |fed: &Fed, words: &str| fed.harness.query_all_by_label(words).next().is_some();
    assert!(!shows(&fed, "Nothing to compare with"));
    fed.harness.key_press_modifiers(Modifiers::COMMAND, Key::Num9);
    fed.settle();
    assert!(shows(&fed, "Nothing to compare with"), "Compare is not in front");
    fed.harness
        .state_mut()
        .ask(Action::Command(Command::Pane(Pane::Log)));
    fed.settle();
    assert!(!shows(&fed, "Nothing to compare with"));
    // The pane that has the whole window gives it to the next.
    fed.harness.state_mut().show_alone(Some(Pane::Stage));
    fed.settle();
    fed.harness.key_press_modifiers(Modifiers::COMMAND, Key::Num6);
    fed.settle();
    assert_eq!(fed.harness.state().state().open.alone, Some(Pane::Field));
}

#[test]
fn the_key_sheet_lists_every_key() {
    let mut fed = Fed::plain();
    fed.harness.key_press(Key::F1);
    fed.settle();
    for command in Command::all() {
        if let Some(key) = command.key_text() {
            fed.harness.get_by_label(&format!("{key}: {}", command.words().0));
        }
    }
    fed.harness.key_press(Key::Escape);
    fed.settle();
    assert!(!fed.harness.state().state().open.keys);
}

#[test]
fn every_command_can_be_given() {
    let mut fed = Fed::plain();
    fed.open(true);
    for command in Command::all() {
        // These leave the window or open a dialog of the desktop.
        if matches!(command, Command::Quit | Command::OpenFolder | Command::OpenFile) {
            continue;
        }
        fed.harness.state_mut().ask(Action::Command(command));
        fed.settle();
        fed.harness.key_press(Key::Escape);
        fed.settle();
    }
    assert!(
        fed.harness
            .state()
            .state()
            .study
            .tally(&Default::default())
            .count(Verdict::Verbatim)
            > 0
    );
}

#[test]
fn presenting_and_back() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.key_press(Key::F11);
    fed.settle();
    assert!(fed.harness.query_by_label("Search prompts").is_none());
    fed.harness.get_by_label("Picture");
    fed.harness.key_press(Key::J);
    fed.settle();
    assert_eq!(fed.harness.state().state().selection.prompt, Some(1));
    fed.harness.key_press(Key::Escape);
    fed.settle();
    fed.harness.get_by_label("Search prompts");
}

/// Controls without a name.
fn nameless(fed: &Fed) -> Vec<String> {
    let controls = [
        Role::Button,
        Role::CheckBox,
        Role::Slider,
        Role::TextInput,
        Role::SearchInput,
        Role::SpinButton,
        Role::ComboBox,
        Role::ListItem,
        Role::MenuItem,
        Role::Image,
        Role::Splitter,
        Role::Canvas,
        Role::Tab,
    ];
    fed.harness
        .query_all_by(|node| {
            controls.contains(&node.role()) && node.label().is_none_or(|l| l.trim().is_empty())
        })
        .map(|node| format!("{:?} at {:?}", node.accesskit_node().role(), node.rect()))
        .collect()
}

#[test]
fn every_control_has_a_name() {
    let mut fed = Fed::plain();
    fed.harness.run();
    assert_eq!(nameless(&fed), Vec::<String>::new());
    fed.open(true);
    assert_eq!(nameless(&fed), Vec::<String>::new());
    for mode in Mode::ALL {
        fed.harness.state_mut().ask(Action::Command(Command::Show(mode)));
        fed.settle();
        assert_eq!(nameless(&fed), Vec::<String>::new(), "{mode:?}");
    }
    for command in [
        Command::Palette,
        Command::RunSettings,
        Command::OpenPath,
        Command::Keys,
    ] {
        fed.harness.state_mut().ask(Action::Command(command));
        fed.settle();
        assert_eq!(nameless(&fed), Vec::<String>::new(), "{command:?}");
        fed.harness.key_press(Key::Escape);
        fed.settle();
    }
    fed.harness.get_by_label("Study").click();
    fed.settle();
    assert_eq!(nameless(&fed), Vec::<String>::new());
    fed.harness.get_by_label("Reset layout");
}

#[test]
fn sliders_of_the_overlay_act() {
    let mut fed = Fed::plain();
    fed.open(true);
    let slider = fed.harness.get_by_role_and_label(Role::Slider, "Threshold");
    slider.set_value_accesskit(0.75);
    fed.settle();
    assert_eq!(fed.harness.state().state().overlay.threshold, 0.75);
    // The split handle is dragged on the picture itself.
    let handle = fed.harness.get_by_label("Split handle").rect().center();
    fed.harness.drag_at(handle);
    fed.harness.run();
    fed.harness.hover_at(handle - egui::vec2(80.0, 0.0));
    fed.harness.run();
    fed.harness.drop_at(handle - egui::vec2(80.0, 0.0));
    fed.harness.run();
    assert!(fed.harness.state().state().overlay.split_at < 0.55);
    assert_eq!(
        fed.harness.state().state().camera.offset,
        egui::Vec2::ZERO,
        "the picture stays"
    );
}

#[test]
fn an_idle_window_does_not_repaint() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.run();
    let output = &fed.harness.output().viewport_output;
    for viewport in output.values() {
        assert!(
            viewport.repaint_delay > std::time::Duration::from_secs(3600),
            "{:?}",
            viewport.repaint_delay
        );
    }
}

#[test]
fn the_default_layout_holds_every_pane() {
    assert!(is_complete(&default_layout()));
}
