//! Parity with scikit-learn and numpy (fixture of `tools/fixtures/detection.py`), and what is missing.

use super::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    resamples: usize,
    pictures: Vec<Picture>,
    expected: Vec<Expected>,
    band: Band,
}

#[derive(Deserialize)]
struct Picture {
    prompt: u32,
    seed: u64,
    class: Verdict,
    noise_norm: Vec<f32>,
    localised: Vec<f32>,
    ending: Option<f32>,
    entropy_late: f32,
}

#[derive(Deserialize)]
struct Expected {
    unit: String,
    positive: String,
    signal: String,
    positives: usize,
    negatives: usize,
    auc: f64,
    interval: Option<[f64; 2]>,
    nearest: f64,
    below: f64,
    accuracy: f64,
}

#[derive(Deserialize)]
struct Band {
    curves: usize,
    low: Vec<f32>,
    middle: Vec<f32>,
    high: Vec<f32>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../../../tests/fixtures/detection/detection.json")).unwrap()
}

fn observed(pictures: &[Picture]) -> Vec<Observed<'_>> {
    let one = |p: &Picture| GenerationKey {
        prompt: p.prompt,
        seed: p.seed,
    };
    pictures
        .iter()
        .map(|p| Observed {
            key: one(p),
            class: p.class,
            noise_norm: &p.noise_norm,
            localised: &p.localised,
            ending: p.ending,
            entropy_late: Some(p.entropy_late),
            entropy_first: None,
        })
        .collect()
}

fn of(detection: &Detection, positive: Positive, signal: Signal) -> &SignalSeparation {
    let contrast = detection
        .contrasts
        .iter()
        .find(|c| c.positive == positive)
        .unwrap();
    contrast.signals.iter().find(|s| s.signal == signal).unwrap()
}

fn settings(fixture: &Fixture, unit: Unit, steps: Option<Range<usize>>) -> DetectionSettings {
    DetectionSettings {
        unit,
        steps,
        bootstrap: Bootstrap {
            resamples: fixture.resamples,
            ..Bootstrap::default()
        },
    }
}

#[test]
fn separations_equal_scikit_learn() {
    let fixture = fixture();
    let pictures = observed(&fixture.pictures);
    let mut inverted = 0;
    for unit in [Unit::Picture, Unit::Prompt] {
        let whole = detect(&pictures, &settings(&fixture, unit, None));
        let part = detect(&pictures, &settings(&fixture, unit, Some(1..4)));
        assert_eq!((whole.steps, whole.left_out), (6, 1));
        assert_eq!((whole.mean_over, part.mean_over), (Some([1, 6]), Some([2, 4])));
        for expected in &fixture.expected {
            let name = format!("{} {} {}", expected.unit, expected.positive, expected.signal);
            if (expected.unit == "prompt") != (unit == Unit::Prompt) {
                continue;
            }
            let positive = *Positive::ALL
                .iter()
                .find(|p| p.name() == expected.positive)
                .unwrap();
            let (signal, rest) = expected.signal.split_once(' ').unwrap_or((&expected.signal, ""));
            let signal = match signal {
                "noise_norm" => Signal::NoiseNorm,
                "localised" => Signal::Localised,
                "ending" => Signal::Ending,
                _ => Signal::EntropyLate,
            };
            let found = match rest {
                "" => of(&whole, positive, signal).mean.as_ref().unwrap(),
                "1..4" => of(&part, positive, signal).mean.as_ref().unwrap(),
                step => &of(&whole, positive, signal).steps[step.parse::<usize>().unwrap()],
            };
            assert_eq!(
                (found.positives, found.negatives),
                (expected.positives, expected.negatives),
                "{name}"
            );
            // Sums in another order; a mean of f32 values in f64 on both sides.
            let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
            let auc = found.auc.value.unwrap();
            assert!(close(auc, expected.auc), "{name}: {auc} {}", expected.auc);
            assert!(close(found.tpr_nearest_fpr, expected.nearest), "{name}");
            assert!(close(found.tpr_below_fpr, expected.below), "{name}");
            assert!(close(found.accuracy, expected.accuracy), "{name}");
            let ([low, high], [l, h]) = (found.auc.interval.unwrap(), expected.interval.unwrap());
            assert!(
                close(low, l) && close(high, h),
                "{name}: {low} {high}, wanted {l} {h}"
            );
            inverted += usize::from(auc < 0.5);
        }
    }
    assert!(
        inverted > 0,
        "a signal that is the wrong way round must show as such"
    );
}

#[test]
fn the_band_equals_numpy() {
    let fixture = fixture();
    let found = detect(
        &observed(&fixture.pictures),
        &settings(&fixture, Unit::Picture, None),
    );
    let band = found.band.unwrap();
    assert_eq!(band.curves, fixture.band.curves);
    for (ours, theirs) in [
        (&band.low, &fixture.band.low),
        (&band.middle, &fixture.band.middle),
        (&band.high, &fixture.band.high),
    ] {
        // f32 on both sides, interpolated in another order.
        let far = ours
            .iter()
            .zip(theirs)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(ours.len() == 6 && far < 2e-6, "{far}");
    }
}

#[test]
fn the_best_step_is_the_first_of_the_largest_areas() {
    let fixture = fixture();
    let found = detect(
        &observed(&fixture.pictures),
        &settings(&fixture, Unit::Picture, None),
    );
    let noise = of(&found, Positive::Any, Signal::NoiseNorm);
    let areas: Vec<f64> = noise.steps.iter().map(|s| s.auc.value.unwrap()).collect();
    let most = areas.iter().copied().fold(0.0, f64::max);
    assert_eq!(noise.best, areas.iter().position(|a| *a == most));
}

#[test]
fn what_is_missing_is_said() {
    let fixture = fixture();
    let found = detect(
        &observed(&fixture.pictures),
        &settings(&fixture, Unit::Picture, None),
    );
    let first = of(&found, Positive::Any, Signal::EntropyFirst);
    assert_eq!(first.missing.as_deref(), Some("it is not recorded"));
    let calm: Vec<Observed<'_>> = observed(&fixture.pictures)
        .into_iter()
        .filter(|p| p.class == Verdict::NotMemorized)
        .collect();
    let found = detect(&calm, &settings(&fixture, Unit::Picture, None));
    let noise = of(&found, Positive::Verbatim, Signal::NoiseNorm);
    assert!(
        noise.missing.as_ref().unwrap().contains("no positive"),
        "{noise:?}"
    );
    assert!(found.band.is_some());
    let nothing = detect(&[], &DetectionSettings::default());
    assert!(nothing.band.is_none() && nothing.mean_over.is_none() && nothing.steps == 0);
    assert_eq!(
        of(&nothing, Positive::Any, Signal::NoiseNorm).missing.as_deref(),
        Some("no noise norms are recorded")
    );
}

#[test]
fn pictures_above_a_band_are_counted_by_class() {
    let band = NoiseBand {
        low: vec![0.0; 2],
        middle: vec![0.5; 2],
        high: vec![1.0; 2],
        ..NoiseBand::default()
    };
    let one =
        |class, noise_norm: &'static [f32]| Observed::new(GenerationKey::default(), class, noise_norm, None);
    let found = above(
        &[
            one(Verdict::Verbatim, &[2.0, 0.5]),
            one(Verdict::Verbatim, &[1.5, 3.0]),
            one(Verdict::Verbatim, &[9.0]),
            one(Verdict::NotMemorized, &[1.0, 0.0]),
        ],
        &band,
    );
    assert_eq!((found[0].pictures, &found[0].share[..]), (2, &[1.0, 0.5][..]));
    assert_eq!((found[1].pictures, found[1].share.len()), (0, 0));
    assert_eq!(found[3].share, [0.0, 0.0]);
}
