//! The window, fed with events by hand: what a person sees and does, without an engine.

#![allow(clippy::unwrap_used)]

#[path = "window/calibration.rs"]
mod calibration;
#[path = "window/compare.rs"]
mod compare;
#[path = "window/fixture.rs"]
mod fixture;
#[path = "window/keys.rs"]
mod keys;
#[path = "window/look.rs"]
mod look;
#[path = "window/map.rs"]
mod map;
#[path = "window/report.rs"]
mod report;
#[path = "window/run.rs"]
mod run;
#[path = "window/study.rs"]
mod study;
#[path = "window/tour.rs"]
mod tour;
