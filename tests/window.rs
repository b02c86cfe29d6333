//! The window, fed with events by hand: what a person sees and does, without an engine.

#![allow(clippy::unwrap_used)]

#[path = "window/fixture.rs"]
mod fixture;
#[path = "window/keys.rs"]
mod keys;
#[path = "window/look.rs"]
mod look;
#[path = "window/report.rs"]
mod report;
#[path = "window/run.rs"]
mod run;
#[path = "window/study.rs"]
mod study;
