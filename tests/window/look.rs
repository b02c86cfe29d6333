//! What the window looks like. Needs a graphics adapter, of which lavapipe is one.

use crate::fixture::Fed;
use egui_kittest::{Harness, kittest::Queryable as _};
use pentimento::{
    app::{Action, AppOptions, Command, Pick},
    engine::Event,
    render::Mode,
};
use std::sync::Arc;

/// A window that can be drawn; `None`, with a remark, where there is no adapter.
fn window() -> Option<Fed> {
    window_of([1280.0, 800.0])
}

/// Whether pictures can be drawn here; says so where they cannot, and fails where they must.
pub fn can_draw() -> bool {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    if pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all())).is_empty() {
        assert!(std::env::var_os("REQUIRE_GPU").is_none(), "no graphics adapter");
        eprintln!("skipped: no graphics adapter");
        return false;
    }
    true
}

/// The same of another size.
pub fn window_of(size: [f32; 2]) -> Option<Fed> {
    if !can_draw() {
        return None;
    }
    let options = AppOptions {
        device: "CPU · 2 threads · f32".into(),
        ..AppOptions::default()
    };
    Some(Fed::build(Harness::builder().wgpu(), size, options))
}

#[test]
fn dark_and_light() {
    let Some(mut fed) = window() else { return };
    fed.open(true);
    fed.harness.state_mut().ask(Action::PickPrompt(3, Pick::Only));
    fed.settle();
    fed.harness.snapshot("window-dark");
    fed.harness.state_mut().ask(Action::Command(Command::ToggleTheme));
    fed.settle();
    fed.harness.snapshot("window-light");
}

#[test]
fn the_map() {
    let Some(mut fed) = window() else { return };
    fed.open(true);
    fed.tell(Event::Map(Arc::new(crate::map::map())));
    fed.harness.get_by_label("Map").click();
    fed.settle();
    fed.harness.snapshot("window-map");
}

#[test]
fn original_and_variant() {
    let Some(mut fed) = window() else { return };
    crate::compare::both(&mut fed);
    fed.harness.state_mut().ask(Action::Command(Command::SideBySide));
    fed.settle();
    fed.harness.snapshot("window-side-by-side");
    use egui_kittest::kittest::Queryable as _;
    fed.harness.get_by_label("Compare").click();
    fed.settle();
    fed.harness.snapshot("window-compare");
    fed.harness.get_by_label("Bench").click();
    fed.settle();
    fed.harness.snapshot("window-bench");
}

#[test]
fn while_a_picture_forms() {
    let Some(mut fed) = window() else { return };
    fed.open(true);
    crate::states::run(&mut fed);
    fed.harness.snapshot("window-forming");
}

#[test]
fn the_overlay_reaches_the_picture() {
    let Some(mut fed) = window() else { return };
    fed.open(true);
    // Foreground copied, background new: no mode may look like another.
    fed.harness.state_mut().ask(Action::PickPrompt(3, Pick::Only));
    fed.settle();
    let mut drawn = Vec::new();
    for mode in Mode::ALL {
        fed.harness.state_mut().ask(Action::Command(Command::Show(mode)));
        fed.settle();
        let picture = fed.harness.render().unwrap();
        // A place on the picture, left of the split and clear of everything that floats.
        drawn.push(image::imageops::crop_imm(&picture, 500, 180, 100, 60).to_image());
    }
    for (i, one) in drawn.iter().enumerate() {
        for (j, other) in drawn.iter().enumerate().skip(i + 1) {
            // Blinking starts with the generated picture, as plain as Plain.
            if (Mode::ALL[i], Mode::ALL[j]) != (Mode::Plain, Mode::Blink) {
                assert!(one != other, "{:?} looks like {:?}", Mode::ALL[i], Mode::ALL[j]);
            }
        }
    }
}

#[test]
fn the_run_settings() {
    let Some(mut fed) = window() else { return };
    fed.open(true);
    fed.tell(crate::run::facts(16 << 30, 12 << 30));
    fed.harness.get_by_label("Run settings").click();
    fed.settle();
    fed.harness.snapshot("window-run-settings");
}
