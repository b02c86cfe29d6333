//! What every pane looks like: in both appearances, at two sizes, and before there is anything to show.

use crate::{
    fixture::Fed,
    look::window_of,
    states::{Stage, richest},
};
use egui_kittest::{SnapshotResults, try_image_snapshot};
use image::{RgbaImage, imageops};
use pentimento::app::{Action, BAR_HEIGHT, Command, Pane};

/// Wide as below the Stage, narrow as beside it; in points.
const SIZES: [(&str, [u32; 2]); 2] = [("wide", [600, 340]), ("narrow", [300, 300])];

/// Lower edge of the bar and the line below it.
const TOP: u32 = BAR_HEIGHT as u32 + 1;

/// The pane alone, without the bar.
fn picture(fed: &mut Fed, pane: Pane, [width, height]: [u32; 2]) -> RgbaImage {
    fed.harness
        .set_size(egui::vec2(width as f32, (height + TOP) as f32));
    fed.harness.state_mut().show_alone(Some(pane));
    fed.settle();
    // Layouts that follow their own size take a frame more.
    fed.settle();
    let whole = fed.harness.render().unwrap();
    imageops::crop_imm(&whole, 0, TOP, width, height).to_image()
}

fn name(pane: Pane, rest: &str) -> String {
    format!("pane-{}-{rest}", pane.title().to_lowercase())
}

#[test]
fn every_pane_in_both_appearances_at_two_sizes() {
    let mut results = SnapshotResults::new();
    for pane in Pane::ALL {
        let Some(mut fed) = window_of([900.0, 600.0]) else {
            return;
        };
        richest(pane).enter(&mut fed);
        if pane != Pane::Log {
            fed.harness
                .state_mut()
                .ask(Action::Command(Command::DismissNotices));
        } else {
            fed.harness.state_mut().sink_notices();
        }
        for theme in ["dark", "light"] {
            for (size, points) in SIZES {
                let picture = picture(&mut fed, pane, points);
                results.add(try_image_snapshot(
                    &picture,
                    name(pane, &format!("{size}-{theme}")),
                ));
            }
            fed.harness.state_mut().ask(Action::Command(Command::ToggleTheme));
            fed.settle();
        }
    }
}

#[test]
fn every_pane_says_what_to_do_while_it_is_empty() {
    let mut results = SnapshotResults::new();
    let Some(mut fed) = window_of([900.0, 600.0]) else {
        return;
    };
    Stage::Empty.enter(&mut fed);
    for pane in Pane::ALL {
        let picture = picture(&mut fed, pane, [420, 240]);
        results.add(try_image_snapshot(&picture, name(pane, "empty")));
    }
}
