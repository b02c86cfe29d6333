//! The main states of the window, for tests that go through all of them.

use crate::{
    calibration::null,
    compare::both,
    fixture::{Fed, step},
    map::map,
};
use pentimento::{
    app::{Action, Command, Pane, Pick},
    engine::{Event, JobKind, Progress},
    study::{GenerationKey, Problem, Skipped},
};
use std::{sync::Arc, time::Duration};

/// A state of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing was opened.
    Empty,
    /// A study is open and nothing was drawn.
    Fresh,
    /// A study with pictures, null, map and a few troubles told.
    Full,
    /// A picture forms.
    Running,
    /// A variant's pictures beside the original's.
    Comparing,
}

impl Stage {
    pub const ALL: [Self; 5] = [
        Self::Empty,
        Self::Fresh,
        Self::Full,
        Self::Running,
        Self::Comparing,
    ];

    /// Brings a new window into this state.
    pub fn enter(self, fed: &mut Fed) {
        match self {
            Self::Empty => fed.settle(),
            Self::Fresh => fed.open(false),
            Self::Full => full(fed),
            Self::Running => {
                fed.open(true);
                run(fed);
            }
            Self::Comparing => {
                both(fed);
                fed.tell(Event::Null(Arc::new(null(400))));
                fed.settle();
            }
        }
    }
}

/// The state that shows most of a pane.
pub fn richest(pane: Pane) -> Stage {
    match pane {
        Pane::Prompts | Pane::Stage | Pane::Evidence | Pane::Verdict => Stage::Full,
        Pane::Field | Pane::Calibration | Pane::Map | Pane::Log => Stage::Full,
        Pane::Strip | Pane::Compare | Pane::Bench => Stage::Comparing,
    }
}

fn full(fed: &mut Fed) {
    fed.open(true);
    fed.tell(Event::Null(Arc::new(null(400))));
    fed.tell(Event::Map(Arc::new(map())));
    fed.tell(Event::Skipped(Arc::new(vec![
        Skipped {
            path: "drawn/gallery/torn.png".into(),
            reason: "the file ends early".into(),
        },
        Skipped {
            path: "drawn/gallery/huge.tif".into(),
            reason: "larger than 100 megapixels".into(),
        },
    ])));
    let told = Problem::new(
        "The disk is full",
        "Free some space and press Run: what is finished stays.",
    );
    fed.tell(Event::Notice(told.at("drawn/runs/a")));
    fed.settle();
    // Cards that float would lie over the pane that is looked at.
    fed.harness.state_mut().ask(Action::PickPrompt(3, Pick::Only));
    fed.settle();
}

/// Starts a run of the chosen prompt and tells 18 of its 50 steps.
pub fn run(fed: &mut Fed) {
    fed.harness.state_mut().ask(Action::Command(Command::Run));
    fed.settle();
    let id = fed.started.last().unwrap().id;
    fed.tell(Event::Started(id));
    let progress = Progress {
        kind: JobKind::Generate,
        done: 1,
        total: 4,
        left: Some(Duration::from_secs(41)),
    };
    fed.tell(Event::Progress(id, progress));
    for n in 1..=18 {
        fed.tell(Event::Step(step(GenerationKey { prompt: 0, seed: 4 }, n, 50)));
    }
    fed.settle();
}
