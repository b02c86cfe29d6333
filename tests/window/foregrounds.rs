//! What finds the foregrounds: the segmenter, masks from a folder, SAM for clicks; and the layers that were recorded.

use crate::fixture::{Fed, outline, pair};
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use pentimento::{
    app::{Action, Command, Tool, WeightsWish},
    engine::{Event, Job, PairView},
    study::{LatentMap, SignalMaps, StudyOutline},
};
use std::sync::Arc;

fn press(fed: &mut Fed, key: Key) {
    fed.harness.key_press_modifiers(Modifiers::NONE, key);
    fed.settle();
}

#[test]
fn the_run_settings_say_what_finds_the_foregrounds_and_masks_can_be_given_back() {
    let mut fed = Fed::plain();
    fed.open(false);
    let mut outline = outline();
    for image in &mut outline.gallery[..20] {
        image.matte = Some("masks/one.png".into());
    }
    outline.mattes = Some("drawn/masks".into());
    fed.tell(Event::Opened(Arc::new(outline)));
    fed.tell(Event::Segmenter("U²-Net-P, 320²".into()));
    fed.settle();
    fed.harness.state_mut().ask(Action::ShowRunSettings(true));
    fed.settle();
    fed.harness.get_by_label("Segmenter: U²-Net-P, 320²");
    fed.harness
        .get_by_label_contains("Clicks: none: the Stage's region tools cannot be clicked");
    fed.harness.get_by_label("Masks: masks, 20 of 24").click();
    fed.settle();
    fed.harness.get_by_label("None, by the segmenter").click();
    fed.settle();
    let job = fed.started.pop().expect("a job").job;
    assert!(matches!(job, Job::Mattes(None)), "{job:?}");
    fed.harness
        .state_mut()
        .ask(Action::Mattes(Some("drawn/others".into())));
    fed.settle();
    let job = fed.started.pop().expect("a job").job;
    assert!(matches!(&job, Job::Mattes(Some(folder)) if folder.ends_with("drawn/others")));
}

#[test]
fn without_sam_the_click_tool_offers_to_get_it() {
    let mut fed = Fed::plain();
    fed.open(true);
    press(&mut fed, Key::W);
    assert_eq!(fed.harness.state().state().region.tool, Some(Tool::Click));
    fed.harness.get_by_label_contains("SAM's weights are missing");
    fed.harness.get_by_label("Get MobileSAM…").click();
    fed.settle();
    let open = fed.harness.state().state().weights.clone().expect("the dialog");
    assert_eq!(open.chosen, Some("mobilesam"));
    fed.harness.state_mut().ask(Action::Weights(WeightsWish::Close));
    fed.settle();

    // Named by the study, or found where it was fetched to: nothing is missing.
    fed.tell(Event::Opened(Arc::new(StudyOutline {
        click_segmenter: Some("weights/mobile_sam.pt".into()),
        ..outline()
    })));
    fed.tell(Event::GalleryReady);
    fed.settle();
    assert!(fed.harness.query_by_label("Get MobileSAM…").is_none());
}

#[test]
fn recorded_maps_are_layers_of_the_stage() {
    let mut fed = Fed::plain();
    fed.open(true);
    // Nothing was recorded: no slider for it.
    assert!(fed.harness.query_by_label("Ending").is_none());
    let request = fed.harness.state().state().pair.as_ref().unwrap().request.clone();
    let map = LatentMap {
        width: 2,
        height: 2,
        values: vec![0.0, 0.1, 0.2, 0.4],
    };
    fed.tell(Event::Pair(Arc::new(PairView {
        signals: Some(Arc::new(SignalMaps {
            ending: Some(map),
            difference: None,
        })),
        ..pair(request)
    })));
    fed.settle();
    fed.harness.get_by_label("Ending");
    assert!(fed.harness.query_by_label("Score diff.").is_none());
    assert_eq!(fed.harness.state().state().overlay.ending, 0.0);
    press(&mut fed, Key::Y);
    assert!(fed.harness.state().state().overlay.ending > 0.5);
    press(&mut fed, Key::Y);
    assert_eq!(fed.harness.state().state().overlay.ending, 0.0);
    fed.harness
        .state_mut()
        .ask(Action::Command(Command::ToggleChange));
    fed.settle();
    assert!(fed.harness.state().state().overlay.change > 0.5);
}
