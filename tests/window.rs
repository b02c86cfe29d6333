//! The window, fed with events by hand: what a person sees and does, without an engine.

#![allow(clippy::unwrap_used)]

#[path = "window/access.rs"]
mod access;
#[path = "window/calibration.rs"]
mod calibration;
#[path = "window/compare.rs"]
mod compare;
#[path = "window/detection.rs"]
mod detection;
#[path = "window/fixture.rs"]
mod fixture;
#[path = "window/foregrounds.rs"]
mod foregrounds;
#[path = "window/keys.rs"]
mod keys;
#[path = "window/look.rs"]
mod look;
#[path = "window/look_panes.rs"]
mod look_panes;
#[path = "common/many.rs"]
#[allow(dead_code)]
mod many;
#[path = "window/many.rs"]
mod many_pictures;
#[path = "window/map.rs"]
mod map;
#[path = "common/pseudo_weights.rs"]
mod pseudo_weights;
#[path = "window/real_engine.rs"]
mod real_engine;
#[path = "window/region.rs"]
mod region;
#[path = "window/report.rs"]
mod report;
#[path = "window/ruined.rs"]
mod ruined;
#[path = "window/run.rs"]
mod run;
#[path = "window/scale.rs"]
mod scale;
#[path = "window/search.rs"]
mod search;
#[path = "common/stand_in.rs"]
#[allow(dead_code)]
mod stand_in;
#[path = "window/states.rs"]
mod states;
#[path = "window/study.rs"]
mod study;
#[path = "window/tour.rs"]
mod tour;
#[path = "window/weights.rs"]
mod weights;
