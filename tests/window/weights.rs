//! The dialog of published weights, with a stand-in on the loopback interface.

use crate::{
    fixture::Fed,
    stand_in::{Manner, StandIn},
};
use egui_kittest::{Harness, kittest::Queryable as _};
use pentimento::{
    app::{Action, AppOptions, Command, WeightOptions, WeightsWish},
    fetch::Places,
};
use sha2::{Digest, Sha256};
use std::{
    path::Path,
    time::{Duration, Instant},
};

fn window(
    builder: egui_kittest::HarnessBuilder<pentimento::app::App>,
    size: [f32; 2],
    data: &Path,
    mirror: &str,
) -> Fed {
    let options = AppOptions {
        weights: WeightOptions {
            places: Some(Places::from(Some(data.to_owned()), None, |_| None)),
            mirror: Some(mirror.to_owned()),
        },
        ..AppOptions::default()
    };
    let mut fed = Fed::build(builder, size, options);
    fed.open(true);
    fed.harness.state_mut().ask(Action::Command(Command::Weights));
    until(&mut fed, |fed| {
        let weights = &fed.harness.state().state().weights;
        weights.as_ref().is_some_and(|w| !w.shelf.models.is_empty())
    });
    fed.settle();
    fed
}

fn until(fed: &mut Fed, reached: impl Fn(&Fed) -> bool) {
    let begun = Instant::now();
    while !reached(fed) {
        assert!(begun.elapsed() < Duration::from_secs(20), "it was not reached");
        fed.harness.run_steps(1);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn weights_are_shown_before_they_are_fetched() {
    let data = tempfile::tempdir().unwrap();
    let body = b"not really SSCD".to_vec();
    let server = StandIn::start(body.clone(), "a", vec![Manner::Well]);
    let mut fed = window(Harness::builder(), [1280.0, 800.0], data.path(), &server.address);
    fed.harness.get_by_label("Get u2netp").click();
    fed.settle();
    for words in ["4.6 MB", "Apache-2.0", "https://github.com/xuebinqin/U-2-Net"] {
        fed.harness.get_by_label(words);
    }
    fed.harness.get_by_label("Back").click();
    fed.settle();
    fed.harness.get_by_label("Get sscd").click();
    fed.settle();
    // Without a SHA-256 the button does nothing.
    fed.harness.get_by_label("Get").click();
    fed.settle();
    assert_eq!(server.requests.lock().unwrap().len(), 0);
    assert!(fed.harness.state().state().fetching.is_none());
    let hash = hex::encode(Sha256::digest(&body));
    fed.harness
        .state_mut()
        .ask(Action::Weights(WeightsWish::Sha256(hash)));
    fed.settle();
    fed.harness.get_by_label("Get").click();
    until(&mut fed, |fed| !fed.harness.state().state().notices.is_empty());
    let notice = fed.harness.state().state().notices.last().unwrap().clone();
    assert!(
        !notice.failed && notice.problem.headline.contains("here and checked"),
        "{notice:?}"
    );
    let target = data.path().join("weights/sscd/sscd_disc_mixup.torchvision.pt");
    assert_eq!(std::fs::read(target).unwrap(), body);
    until(&mut fed, |fed| {
        let weights = fed.harness.state().state().weights.as_ref().unwrap();
        weights
            .shelf
            .models
            .iter()
            .any(|(m, found)| m.name == "sscd" && found.is_some())
    });
    fed.settle();
    fed.harness.get_by_label("here");
    assert!(fed.harness.query_by_label("Get sscd").is_none());
}

#[test]
fn fetching_is_stopped_on_the_click_and_trouble_is_told() {
    let data = tempfile::tempdir().unwrap();
    let manners = vec![
        Manner::Slowly(1_000_000, Duration::from_secs(10)),
        Manner::Status(404),
    ];
    let server = StandIn::start(vec![7; 4_574_861], "a", manners);
    let mut fed = window(Harness::builder(), [1280.0, 800.0], data.path(), &server.address);
    let get = |fed: &mut Fed| {
        fed.harness.get_by_label("Get u2netp").click();
        fed.settle();
        fed.harness.get_by_label("Get").click();
    };
    get(&mut fed);
    until(&mut fed, |fed| {
        fed.harness
            .state()
            .state()
            .fetching
            .is_some_and(|(_, p)| p.done >= 1_000_000)
    });
    fed.harness.get_by_label("Stop fetching").click();
    until(&mut fed, |fed| fed.harness.state().state().fetching.is_none());
    let told = |fed: &Fed| {
        fed.harness
            .state()
            .state()
            .notices
            .last()
            .unwrap()
            .problem
            .clone()
    };
    assert!(told(&fed).headline.contains("was stopped"), "{}", told(&fed));
    fed.settle();
    get(&mut fed);
    until(&mut fed, |fed| fed.harness.state().state().notices.len() == 2);
    assert!(
        told(&fed).headline.contains("not there any more"),
        "{}",
        told(&fed)
    );
    assert_eq!(
        server.requests.lock().unwrap()[1].1.as_deref(),
        Some("bytes=1000000-")
    );
    fed.settle();
    // Closing leaves the window as it was.
    fed.harness.get_by_label("Close").click();
    fed.settle();
    assert!(fed.harness.state().state().weights.is_none());
}

#[test]
fn nothing_in_the_list_moves_under_the_pointer() {
    let data = tempfile::tempdir().unwrap();
    for height in [520.0, 800.0] {
        let mut fed = window(
            Harness::builder(),
            [1280.0, height],
            data.path(),
            "http://127.0.0.1:1",
        );
        let at = |fed: &Fed, name: &str| fed.harness.get_by_label(name).rect();
        let names = ["Get u2net", "Get u2netp", "Close"];
        let first = names.map(|name| at(&fed, name));
        for step in 0..6 {
            fed.harness.hover_at(first[step % 3].center());
            fed.harness.run_steps(2);
        }
        assert_eq!(names.map(|name| at(&fed, name)), first);
        assert!(
            first.iter().all(|rect| rect.max.y < height),
            "{first:?} leave the window"
        );
    }
}

/// Looks at the list; `UPDATE_SNAPSHOTS=1` draws it anew.
#[test]
fn the_list_of_weights_looks_as_drawn() {
    if !crate::look::can_draw() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let builder = Harness::builder().wgpu();
    let mut fed = window(builder, [1280.0, 800.0], data.path(), "http://127.0.0.1:1");
    fed.harness.snapshot("window-weights");
}
