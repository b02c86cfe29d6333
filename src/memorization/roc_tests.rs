//! Parity with scikit-learn (fixture of `tools/fixtures/roc.py`) and the cases where definitions part.

use super::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    scores: Vec<f64>,
    labels: Vec<bool>,
    corners: Curve,
    all: Curve,
    /// At the thresholds 0.25, 0.5 and 0.75: precision (0 when nothing is called), recall, F1.
    at: Vec<[f64; 4]>,
}

#[derive(Deserialize)]
struct Curve {
    fpr: Vec<f64>,
    tpr: Vec<f64>,
    /// Without the first, which is infinite.
    thresholds: Vec<f64>,
    auc: f64,
    nearest: f64,
    below: f64,
    accuracy: f64,
}

#[test]
fn curves_equal_scikit_learn() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("../../tests/fixtures/roc/curves.json")).unwrap();
    assert!(cases.len() >= 6);
    let mut definitions_differ = 0;
    for case in &cases {
        for (keep, expected) in [(RocPoints::Corners, &case.corners), (RocPoints::All, &case.all)] {
            let roc = Roc::new(&case.scores, &case.labels, keep).unwrap();
            let name = format!("{} {keep:?}", case.name);
            let fpr: Vec<f64> = roc.points.iter().map(|p| p.fpr).collect();
            let tpr: Vec<f64> = roc.points.iter().map(|p| p.tpr).collect();
            let thresholds: Vec<f64> = roc.points[1..].iter().map(|p| p.threshold).collect();
            // The same counts; numpy divides by way of the reciprocal, which may change the last bit.
            assert_close(&fpr, &expected.fpr, &name);
            assert_close(&tpr, &expected.tpr, &name);
            assert_eq!(thresholds, expected.thresholds, "{name}");
            assert!(roc.points[0].threshold.is_infinite());
            assert_close(&[roc.tpr_nearest_fpr(0.01)], &[expected.nearest], &name);
            assert_close(&[roc.tpr_below_fpr(0.01)], &[expected.below], &name);
            // Sums in another order.
            assert!((roc.auc() - expected.auc).abs() < 1e-12, "{name}");
            assert!((roc.best_accuracy() - expected.accuracy).abs() < 1e-12, "{name}");
            definitions_differ += usize::from(expected.nearest != expected.below);
        }
        for &[threshold, precision, recall, f1] in &case.at {
            let mut confusion = Confusion::default();
            for (score, label) in case.scores.iter().zip(&case.labels) {
                confusion.add(*score >= threshold, *label);
            }
            assert!((confusion.precision().unwrap_or(0.0) - precision).abs() < 1e-12);
            assert!((confusion.recall().unwrap() - recall).abs() < 1e-12);
            assert!((confusion.f1().unwrap() - f1).abs() < 1e-12);
        }
    }
    assert!(
        definitions_differ > 0,
        "the fixture must tell the two definitions apart"
    );
}

fn assert_close(found: &[f64], expected: &[f64], name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 2.0 * f64::EPSILON, "{name}: {a} and {b}");
    }
}

#[test]
fn what_is_no_curve_is_refused() {
    let new = |s: &[f64], l: &[bool]| Roc::new(s, l, RocPoints::All).unwrap_err();
    assert_eq!(new(&[], &[]), RocError::NoPositives);
    assert_eq!(new(&[0.1], &[true]), RocError::NoNegatives);
    assert_eq!(new(&[0.1], &[false]), RocError::NoPositives);
    assert_eq!(new(&[0.1, f64::NAN], &[true, false]), RocError::NotFinite(1));
    assert_eq!(new(&[0.1], &[]), RocError::Lengths { scores: 1, labels: 0 });
}

#[test]
fn thresholds_keep_the_false_alarms_they_promise() {
    let scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4];
    let labels = [true, false, true, true, false, false];
    let roc = Roc::new(&scores, &labels, RocPoints::All).unwrap();
    assert_eq!(roc.threshold_at_fpr(0.0).threshold, 0.9);
    assert_eq!(roc.threshold_at_fpr(0.34).threshold, 0.6);
    assert_eq!(roc.threshold_at_fpr(1.0).threshold, 0.4);
    assert_eq!(roc.youden().threshold, 0.6);
    // The best score is a negative's: no finite threshold is free of false alarms.
    let roc = Roc::new(&[0.9, 0.1], &[false, true], RocPoints::All).unwrap();
    assert!(roc.threshold_at_fpr(0.5).threshold.is_infinite());
    assert_eq!(roc.best_accuracy(), 0.5);
    let minus = Roc::new(&[0.0, -0.0], &[false, true], RocPoints::All).unwrap();
    assert_eq!(minus.points.len(), 2);
}
