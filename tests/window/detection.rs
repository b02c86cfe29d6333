//! How well signals tell, in the Calibration pane; and the band under the noise curve.

use crate::fixture::Fed;
use egui_kittest::kittest::Queryable as _;
use pentimento::{
    app::{Action, SignalsShown},
    engine::{BandFile, Event},
    memorization::{NoiseBand, detection::Positive},
    study::Sampling,
};
use std::sync::Arc;

fn says(fed: &Fed, part: &str) -> bool {
    fed.harness
        .get_all_by(|node| node.label().is_some_and(|l| l.contains(part)))
        .next()
        .is_some()
}

#[test]
fn signals_show_their_curves_and_a_click_takes_a_step() {
    let mut fed = Fed::plain();
    fed.open(true);
    fed.harness.get_by_label("Calibration").click();
    fed.settle();
    fed.harness.get_by_label("Signals").click();
    fed.settle();
    let state = fed.harness.state().state();
    assert!(state.signals.shown.on);
    let found = &state.signals.result.as_ref().unwrap().detection;
    assert!(found.steps > 1 && found.contrasts[0].signals[0].mean.is_some());
    // The made-up pull follows the mean score, which does not separate FM and BM entirely.
    let drawn = &found.contrasts[0].signals[0].steps[0];
    let area = drawn.auc.value.unwrap();
    assert!(area > 0.8 && area < 1.0, "{area}");
    assert!(says(
        &fed,
        &format!("ROC curves of signals, areas: noise norm {area:.3}")
    ));
    fed.harness
        .get_by_label("Area under the ROC curve at each step")
        .click();
    fed.settle();
    let state = fed.harness.state().state();
    let middle = state.signals.shown.step.unwrap();
    assert!(middle > 0 && middle + 1 < state.signals.result.as_ref().unwrap().detection.steps);
    let shown = SignalsShown {
        positive: Positive::Verbatim,
        step: None,
        ..state.signals.shown
    };
    fed.harness.state_mut().ask(Action::SetSignals(shown));
    fed.settle();
    let found = &fed
        .harness
        .state()
        .state()
        .signals
        .result
        .as_ref()
        .unwrap()
        .detection;
    let mean = found.contrasts[1].signals[0]
        .mean
        .as_ref()
        .unwrap()
        .auc
        .value
        .unwrap();
    assert!(says(
        &fed,
        &format!("ROC curves of signals, areas: noise norm {mean:.3}")
    ));
    // Other thresholds, other verdicts: it is judged anew.
    let before = fed.harness.state().state().signals.asked;
    let thresholds = pentimento::study::Thresholds {
        foreground: 0.5,
        background: 0.5,
    };
    fed.harness
        .state_mut()
        .ask(Action::SetThresholds(thresholds, None));
    fed.settle();
    assert_ne!(fed.harness.state().state().signals.asked, before);
    fed.harness.get_by_label("Scores").click();
    fed.settle();
    assert!(!fed.harness.state().state().signals.shown.on);
}

#[test]
fn the_band_says_what_it_rests_on_and_can_come_from_a_file() {
    let mut fed = Fed::plain();
    fed.open(true);
    assert!(
        says(&fed, "Text-conditional noise: "),
        "no band in the Verdict pane"
    );
    let steps = fed.harness.state().state().current().unwrap().noise_norm.len();
    // Nothing lies above a band that is high enough.
    fed.tell(Event::Band(Arc::new(BandFile {
        format: 1,
        model: None,
        sampling: Sampling::default(),
        band: NoiseBand {
            low: vec![0.0; steps],
            middle: vec![50.0; steps],
            high: vec![100.0; steps],
            curves: 9,
            prompts: 3,
            seeds: 3,
        },
    })));
    fed.settle();
    assert!(says(&fed, "never above the band"));
}
