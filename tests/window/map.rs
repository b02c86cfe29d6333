//! The Map: asked for once, drawn from events, clicks choose the training image.

use crate::fixture::{Fed, GALLERY, noise};
use egui::{Event as Input, Modifiers, PointerButton, Pos2, pos2, vec2};
use egui_kittest::kittest::Queryable as _;
use pentimento::{
    app::Action,
    engine::{Event, GalleryMap, Job},
    study::GenerationKey,
};
use std::sync::Arc;

/// Groups of six around four places.
pub fn map() -> GalleryMap {
    let place = |i: u32| {
        let middle = [[0.2, 0.25], [0.75, 0.2], [0.3, 0.8], [0.8, 0.75]][(i / 6) as usize % 4];
        let near = |k: u64| 0.22 * (noise(u64::from(i) * 31 + k) - 0.5);
        [middle[0] + near(1), middle[1] + near(2)]
    };
    GalleryMap {
        source: "built-in descriptor".into(),
        gallery: (0..GALLERY).collect(),
        places: (0..GALLERY).map(place).collect(),
    }
}

fn show(fed: &mut Fed) {
    fed.harness.get_by_label("Map").click();
    fed.settle();
}

fn click(fed: &mut Fed, at: Pos2) {
    fed.harness.hover_at(at);
    fed.harness.run_steps(2);
    for pressed in [true, false] {
        fed.harness.event(Input::PointerButton {
            pos: at,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        });
        fed.harness.run_steps(1);
    }
    fed.settle();
}

#[test]
fn it_is_asked_for_once_and_says_so_when_there_is_nothing() {
    let mut fed = Fed::plain();
    fed.harness.run();
    show(&mut fed);
    fed.harness.get_by_label("No gallery to map");
    fed.open(true);
    let maps = |fed: &Fed| fed.started.iter().filter(|t| matches!(t.job, Job::Map)).count();
    assert_eq!(maps(&fed), 1);
    fed.harness.get_by_label("The gallery is being laid out");
    // A map that failed is not asked for again and again.
    let id = fed.started.last().unwrap().id;
    fed.tell(Event::Cancelled(id));
    fed.settle();
    assert_eq!(maps(&fed), 1);
    fed.harness.get_by_label("Lay out the gallery").click();
    fed.settle();
    assert_eq!(maps(&fed), 2);
}

#[test]
fn a_click_puts_that_training_image_on_the_stage() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.tell(Event::Map(Arc::new(map())));
    fed.harness
        .state_mut()
        .ask(Action::PickGeneration(GenerationKey { prompt: 0, seed: 1 }));
    show(&mut fed);
    let area = fed
        .harness
        .get_by_label(&format!("Map of {GALLERY} training images"))
        .rect()
        .shrink(16.0);
    let at = |i: u32| {
        let [x, y] = map().places[i as usize];
        let scale = area.size().min_elem();
        area.center() + vec2(x - 0.5, y - 0.5) * scale
    };
    let matches: Vec<u32> = fed
        .harness
        .state()
        .state()
        .current()
        .unwrap()
        .matches
        .iter()
        .map(|m| m.gallery)
        .collect();
    // One among the matches becomes the evidence.
    click(&mut fed, at(matches[2]));
    assert_eq!(fed.harness.state().state().selection.evidence, 2);
    // Any other is shown all the same, until the picture changes.
    let other = (0..GALLERY).find(|i| !matches.contains(i)).unwrap();
    click(&mut fed, at(other));
    assert_eq!(fed.harness.state().state().chosen_training(), Some(other));
    assert_eq!(
        fed.harness.state().state().pair.as_ref().unwrap().request.gallery,
        Some(other)
    );
    fed.harness
        .state_mut()
        .ask(Action::PickGeneration(GenerationKey { prompt: 1, seed: 0 }));
    fed.settle();
    let state = fed.harness.state().state();
    assert_eq!(
        state.chosen_training(),
        Some(state.current().unwrap().matches[0].gallery)
    );
    // Beside all of them is nothing to click.
    click(&mut fed, pos2(area.left() + 2.0, area.top() + 2.0));
    assert_eq!(fed.harness.state().state().selection.evidence, 0);
}
