//! The panes' contents, one file each. A panel reads the state and asks for actions; it changes nothing.

pub mod bar;
mod bench;
mod calibration;
mod calibration_plots;
mod caption_diff;
mod compare;
mod detection;
mod evidence;
mod field;
mod field_axes;
mod field_points;
pub mod figures;
mod inspector;
pub mod log;
mod map;
mod map_dots;
mod map_view;
mod prompts;
mod region_tools;
mod roc_frame;
mod run_needs;
mod run_settings;
mod search;
mod seen;
mod segmenter_choice;
mod sides;
mod signal;
mod stage;
mod stage_canvas;
mod stage_tools;
mod strip;
mod verdict;

pub use field_points::FieldPoints;
pub use map_dots::MapDots;
pub use stage::{canvas as stage_canvas, picture_on_stage};

use super::{context::Cx, layout::Pane};
use egui::Ui;
use egui_tiles::UiResponse;

/// A few words beside a pane's title, where the title is on a tab.
pub fn note(cx: &Cx<'_>, pane: Pane) -> String {
    match pane {
        Pane::Field => field::note(cx),
        Pane::Calibration => calibration::note(cx),
        Pane::Map => map::note(cx),
        Pane::Compare => compare::note(cx),
        Pane::Bench => bench::note(cx),
        _ => String::new(),
    }
}

/// Draws a pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>, pane: Pane) -> UiResponse {
    match pane {
        Pane::Prompts => prompts::ui(ui, cx),
        Pane::Stage => stage::ui(ui, cx),
        Pane::Strip => strip::ui(ui, cx),
        Pane::Evidence => evidence::ui(ui, cx),
        Pane::Verdict => verdict::ui(ui, cx),
        Pane::Field => field::ui(ui, cx),
        Pane::Calibration => calibration::ui(ui, cx),
        Pane::Map => map::ui(ui, cx),
        Pane::Compare => compare::ui(ui, cx),
        Pane::Bench => bench::ui(ui, cx),
        Pane::Log => log::ui(ui, cx),
    }
}
