//! A booth without a speaker: on the full-screen stage, one picture after the other is shown plain, with its heat, and
//! with the training image showing through.

use super::state::{OverlaySettings, State};
use crate::{render::Mode, study::GenerationKey};
use std::time::Duration;

/// What is shown of one picture, and for how many seconds.
const PHASES: [(Mode, f64); 3] = [(Mode::Plain, 2.5), (Mode::Heat, 3.5), (Mode::Reveal, 4.0)];

/// State of the tour while it plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Autoplay {
    /// Overlay to go back to.
    saved: OverlaySettings,
    /// Seconds of the window's clock at which the picture came.
    since: f64,
}

/// Starts to play, from the picture looked at.
pub fn begin(state: &mut State, now: f64) {
    state.autoplay = Some(Autoplay {
        saved: state.overlay,
        since: now,
    });
    let shown = state.current().is_some_and(|g| !g.matches.is_empty());
    if !shown && let Some(key) = next(state) {
        look_at(state, key);
    }
    state.overlay.split = false;
    state.overlay.mode = PHASES[0].0;
}

/// Stops and brings back the overlay of before.
pub fn end(state: &mut State) {
    if let Some(Autoplay { saved, .. }) = state.autoplay.take() {
        state.overlay = saved;
    }
}

/// Goes on when it is time to; says when to look again. `None` when nothing plays.
pub fn advance(state: &mut State, now: f64) -> Option<Duration> {
    let play = state.autoplay?;
    let (phase, left) = match phase(now - play.since) {
        Some(found) => found,
        None => {
            if let Some(key) = next(state) {
                look_at(state, key);
            }
            state.autoplay = Some(Autoplay { since: now, ..play });
            PHASES[0]
        }
    };
    state.overlay.mode = phase;
    Some(Duration::from_secs_f64(left.max(0.02)))
}

/// What to show after so many seconds of a picture, and for how much longer; `None` when it had its time.
fn phase(elapsed: f64) -> Option<(Mode, f64)> {
    let mut end = 0.0;
    PHASES.iter().find_map(|&(mode, seconds)| {
        end += seconds;
        (elapsed < end).then_some((mode, end - elapsed))
    })
}

/// The first compared picture of the next prompt that has one, around the list.
fn next(state: &State) -> Option<GenerationKey> {
    let prompts = state.study.prompts();
    let here = prompts
        .iter()
        .position(|p| Some(p.index) == state.selection.prompt)
        .map_or(0, |here| here + 1);
    (0..prompts.len()).find_map(|step| {
        let prompt = &prompts[(here + step) % prompts.len()];
        let mut pictures = state.study.of_prompt(prompt.index);
        pictures.find(|g| !g.matches.is_empty()).map(|g| g.key)
    })
}

fn look_at(state: &mut State, key: GenerationKey) {
    state.selection.prompt = Some(key.prompt);
    state.selection.prompts = [key.prompt].into();
    state.selection.seed = Some(key.seed);
    state.selection.pinned = true;
    state.selection.evidence = 0;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_goes_through_its_phases_once() {
        assert_eq!(phase(0.0), Some((Mode::Plain, 2.5)));
        assert_eq!(phase(2.5), Some((Mode::Heat, 3.5)));
        assert_eq!(phase(9.5), Some((Mode::Reveal, 0.5)));
        assert_eq!(phase(10.0), None);
        // The clock does not run backwards; if it did, the picture stays.
        assert_eq!(phase(-1.0), Some((Mode::Plain, 3.5)));
    }
}
