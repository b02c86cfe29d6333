//! Everything that can be acted on has a name and is reached by keys, in every pane, dialog and menu.

use crate::{fixture::Fed, states::Stage};
use egui::{
    Key, Modifiers,
    accesskit::{self, Role},
};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use pentimento::app::{Action, Command, Pane};
use std::collections::BTreeSet;

const ACTIONS: [accesskit::Action; 6] = [
    accesskit::Action::Click,
    accesskit::Action::Focus,
    accesskit::Action::SetValue,
    accesskit::Action::Increment,
    accesskit::Action::Decrement,
    accesskit::Action::Expand,
];

/// Whoever cannot see the screen is told nothing of these nodes: they have no name and can be acted on.
fn nameless(fed: &Fed) -> Vec<String> {
    let all = fed.harness.query_all_by(|node| {
        let data = node.data();
        let acts = ACTIONS.iter().any(|&a| data.supports_action(a));
        let named = |text: Option<&str>| text.is_some_and(|t| !t.trim().is_empty());
        acts && !node.is_hidden()
            && data.role() != Role::Window
            && node.label().is_none_or(|l| l.trim().is_empty())
            && !named(data.placeholder())
            && !named(data.value())
    });
    all.map(|n| format!("{:?} at {:?}", n.accesskit_node().role(), n.rect()))
        .collect()
}

/// What the mouse can act on and keys cannot reach.
fn mouse_only(fed: &Fed) -> Vec<String> {
    let all = fed.harness.query_all_by(|node| {
        let data = node.data();
        data.supports_action(accesskit::Action::Click)
            && !data.supports_action(accesskit::Action::Focus)
            && !node.is_disabled()
    });
    all.map(|n| {
        let node = n.accesskit_node();
        format!("{:?} “{}”", node.role(), node.label().unwrap_or_default())
    })
    .collect()
}

fn check(fed: &Fed, place: &str) -> Vec<String> {
    let nameless = nameless(fed)
        .into_iter()
        .map(|n| format!("{place}: no name: {n}"));
    let mouse = mouse_only(fed)
        .into_iter()
        .map(|n| format!("{place}: mouse only: {n}"));
    nameless.chain(mouse).collect()
}

/// Everything that opens over the panes, by the command that opens it.
const OVERLAYS: [Command; 7] = [
    Command::Palette,
    Command::RunSettings,
    Command::OpenPath,
    Command::Weights,
    Command::Keys,
    Command::Tour,
    Command::Present,
];

#[test]
fn everything_that_acts_has_a_name_and_takes_the_focus() {
    let mut missing = BTreeSet::new();
    for stage in Stage::ALL {
        let mut fed = Fed::plain();
        stage.enter(&mut fed);
        missing.extend(check(&fed, &format!("{stage:?}")));
        for pane in Pane::ALL {
            fed.harness.state_mut().bring_forward(pane);
            fed.settle();
            missing.extend(check(&fed, &format!("{stage:?}, {pane:?} in front")));
            fed.harness.state_mut().show_alone(Some(pane));
            fed.settle();
            missing.extend(check(&fed, &format!("{stage:?}, {pane:?} alone")));
            fed.harness.state_mut().show_alone(None);
        }
        for command in OVERLAYS {
            fed.harness.state_mut().ask(Action::Command(command));
            fed.settle();
            missing.extend(check(&fed, &format!("{stage:?}, {command:?}")));
            fed.harness.key_press(Key::Escape);
            fed.settle();
        }
        for menu in ["Study", "A: Original", "B: none", "B: NeMo", "Foreground ramp"] {
            let Some(button) = fed.harness.query_by_label(menu) else {
                continue;
            };
            button.click();
            fed.settle();
            missing.extend(check(&fed, &format!("{stage:?}, menu {menu}")));
            fed.harness.key_press(Key::Escape);
            fed.settle();
        }
    }
    let missing: Vec<_> = missing.into_iter().collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Ids of what can take the focus, and the one that has it.
fn focus(fed: &Fed) -> (BTreeSet<(u64, String)>, Option<u64>) {
    let name = |n: &egui_kittest::Node<'_>| {
        let node = n.accesskit_node();
        format!("{:?} “{}”", node.role(), node.label().unwrap_or_default())
    };
    let id = |n: &egui_kittest::Node<'_>| n.accesskit_node().locate().0.0;
    let all = fed.harness.query_all_by(|node| {
        let data = node.data();
        data.role() != Role::Window
            && data.supports_action(accesskit::Action::Focus)
            && data.supports_action(accesskit::Action::Click)
            && !node.is_disabled()
            && !node.is_hidden()
    });
    let can = all.map(|n| (id(&n), name(&n))).collect();
    let focused = fed
        .harness
        .query_all_by(|node| node.is_focused())
        .find(|n| n.accesskit_node().role() != Role::Window)
        .map(|n| id(&n));
    (can, focused)
}

#[test]
fn tab_walks_through_every_control_of_a_pane_and_back() {
    let mut missed = Vec::new();
    for stage in [Stage::Full, Stage::Comparing] {
        for pane in Pane::ALL {
            let mut fed = Fed::plain();
            stage.enter(&mut fed);
            fed.harness.state_mut().show_alone(Some(pane));
            fed.settle();
            let (can, _) = focus(&fed);
            let mut seen = BTreeSet::new();
            for _ in 0..can.len() + 40 {
                fed.harness.key_press(Key::Tab);
                fed.harness.run_steps(2);
                seen.extend(focus(&fed).1);
            }
            missed.extend(
                can.iter()
                    .filter(|(id, _)| !seen.contains(id))
                    .map(|(_, name)| format!("{stage:?}, {pane:?}: {name}")),
            );
            let here = focus(&fed).1;
            fed.harness.key_press_modifiers(Modifiers::SHIFT, Key::Tab);
            fed.harness.run_steps(2);
            assert_ne!(focus(&fed).1, here, "{pane:?}: Shift Tab does not go back");
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
