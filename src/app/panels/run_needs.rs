//! What the next run needs and where it computes: the lines under the run settings.

use crate::{
    app::{context::Cx, theme::Theme},
    engine::{ModelFacts, Room},
    study::{Sampling, WeightStorage},
};
use egui::{Color32, RichText, Ui};

/// Memory, device, pace.
pub fn ui(ui: &mut Ui, cx: &Cx<'_>, sampling: &Sampling) {
    if let Some(facts) = &cx.state.model {
        memory(ui, cx.theme, facts, sampling);
    }
    let note = circumstances(cx);
    if !note.is_empty() {
        ui.label(RichText::new(note).small().color(cx.theme.faint));
    }
}

/// The estimate for these settings, and a warning where the machine has no room for it.
fn memory(ui: &mut Ui, theme: &Theme, facts: &ModelFacts, sampling: &Sampling) {
    let estimate = facts.estimate(sampling);
    let kinds: Vec<&str> = estimate.weights.iter().take(1).map(|(kind, _)| *kind).collect();
    let line = |text: String, color: Color32| RichText::new(text).small().color(color);
    let words = format!("Needs {} · {} weights", estimate.peak_words(), kinds.join(""));
    let (color, warning) = match (facts.room(&estimate), facts.machine) {
        (Room::None, Some(machine)) => (
            theme.danger,
            Some(format!(
                "The machine has {} in all: this will not fit.",
                machine.total_words()
            )),
        ),
        (Room::Tight, Some(machine)) => (
            theme.danger,
            Some(format!(
                "Only {} were free when it was opened: expect swapping.",
                machine.free_words()
            )),
        ),
        _ => (theme.faint, None),
    };
    ui.label(line(words, color)).on_hover_text(format!(
        "Main memory for {} at a time, told from the files' headers.\n{estimate}",
        match sampling.at_once {
            0 | 1 => "one picture".to_owned(),
            n => format!("{n} pictures"),
        }
    ));
    if let Some(warning) = warning {
        ui.label(line(warning, color));
    }
}

/// What computes, and how long a step takes: in the picture that forms, or took in those drawn so far.
fn circumstances(cx: &Cx<'_>) -> String {
    let mut parts: Vec<String> = Some(cx.state.device.clone()).into_iter().collect();
    parts.retain(|device| !device.is_empty());
    if let Some(seconds) = cx.state.pace.seconds().filter(|_| cx.state.is_running()) {
        parts.push(format!("{seconds:.2} s a step now"));
        return parts.join(" · ");
    }
    // The first few tell as much as all.
    const ENOUGH: usize = 256;
    let drawn = cx.state.study.generations();
    let timed = drawn.filter(|g| g.seconds > 0.0 && !g.noise_norm.is_empty());
    let (seconds, steps) = timed.take(ENOUGH).fold((0.0, 0), |(seconds, steps), g| {
        (seconds + g.seconds, steps + g.noise_norm.len())
    });
    if steps > 0 {
        parts.push(format!(
            "{:.2} s a step so far, decoding included",
            seconds / steps as f32
        ));
    }
    parts.join(" · ")
}

/// The ways of holding weights that make a difference to this checkpoint; none when there is nothing to choose.
pub fn storages(facts: &ModelFacts) -> &'static [WeightStorage] {
    if facts.on_cpu && facts.needs.half_precision().is_some() {
        &WeightStorage::ALL
    } else {
        &[]
    }
}

/// A way of holding weights, as the list names it.
pub fn storage_words(facts: &ModelFacts, storage: WeightStorage) -> String {
    let half = facts.needs.half_precision().unwrap_or("f32");
    match storage {
        WeightStorage::Auto if facts.needs.stays_as_stored(storage) => format!("automatic: {half} as stored"),
        WeightStorage::Auto => "automatic: widened to f32".to_owned(),
        WeightStorage::AsStored => format!("{half} as stored"),
        WeightStorage::Widened => "widened to f32".to_owned(),
    }
}
