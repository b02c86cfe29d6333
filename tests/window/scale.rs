//! The window at sizes and scales from the smallest to 4K: every control lies inside the window and beside its neighbours.

use crate::{fixture::Fed, states::Stage};
use egui::{Rect, accesskit::Role};
use egui_kittest::{
    Harness,
    kittest::{NodeT as _, Queryable as _},
};
use pentimento::app::{AppOptions, Pane};

/// Size in points and pixels per point: the least window, a small screen, a laptop at 150 %, 4K at 200 % and at 100 %.
const SCREENS: [([f32; 2], f32); 5] = [
    ([800.0, 520.0], 1.0),
    ([1024.0, 640.0], 2.0),
    ([1280.0, 720.0], 1.5),
    ([1920.0, 1080.0], 2.0),
    ([3840.0, 2160.0], 1.0),
];
/// Letters and frames are rounded to whole pixels.
const SLACK: f32 = 1.5;

fn acts(role: Role) -> bool {
    matches!(
        role,
        Role::Button
            | Role::CheckBox
            | Role::ComboBox
            | Role::Slider
            | Role::SpinButton
            | Role::TextInput
            | Role::SearchInput
    )
}

/// Controls that are on the screen, by name.
fn controls(fed: &Fed) -> Vec<(String, Rect)> {
    let all = fed.harness.query_all_by(|node| {
        // Tabs that do not fit are scrolled under buttons at the ends of their row.
        let tabs = node.label().is_some_and(|l| l.starts_with("Scroll tabs"));
        acts(node.role()) && !node.is_hidden() && !tabs
    });
    all.map(|n| {
        let node = n.accesskit_node();
        let name = format!("{:?} “{}”", node.role(), node.label().unwrap_or_default());
        (name, n.rect())
    })
    .collect()
}

/// What leaves the window, or lies across another control.
fn misplaced(fed: &Fed, size: [f32; 2]) -> Vec<String> {
    let window = Rect::from_min_size(egui::Pos2::ZERO, size.into()).expand(SLACK);
    let all = controls(fed);
    let mut wrong: Vec<String> = all
        .iter()
        .filter(|(_, rect)| !window.contains_rect(*rect))
        .map(|(name, rect)| format!("{name} leaves the window: {rect:?}"))
        .collect();
    for (i, (name, rect)) in all.iter().enumerate() {
        for (other, place) in &all[i + 1..] {
            let common = rect.intersect(*place);
            let inside = rect.expand(SLACK).contains_rect(*place) || place.expand(SLACK).contains_rect(*rect);
            if !inside && common.width() > SLACK && common.height() > SLACK {
                wrong.push(format!("{name} {rect:?} and {other} {place:?} overlap"));
            }
        }
    }
    wrong
}

#[test]
fn no_control_is_cut_off_at_any_size_or_scale() {
    let mut wrong = Vec::new();
    for (size, scale) in SCREENS {
        for stage in Stage::ALL {
            let builder = Harness::builder().with_pixels_per_point(scale);
            let mut fed = Fed::build(builder, size, AppOptions::default());
            stage.enter(&mut fed);
            for alone in std::iter::once(None).chain(Pane::ALL.map(Some)) {
                fed.harness.state_mut().show_alone(alone);
                fed.settle();
                let found = misplaced(&fed, size).into_iter();
                wrong.extend(found.map(|w| format!("{size:?} × {scale}, {stage:?}, alone {alone:?}: {w}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

/// Looks at the least window, where everything is tightest; `UPDATE_SNAPSHOTS=1` draws it anew.
#[test]
fn the_least_window_looks_as_drawn() {
    let Some(mut fed) = crate::look::window_of(SCREENS[0].0) else {
        return;
    };
    Stage::Comparing.enter(&mut fed);
    fed.harness.snapshot("window-least");
}
