//! One value per picture against whether it is memorized.

use super::super::{
    comparison::{Bootstrap, Estimate},
    roc::{Roc, RocPoints},
};
use serde::Serialize;
use std::collections::BTreeSet;

/// False-positive rate of both readings of TPR.
pub const FPR: f64 = 0.01;

/// A picture or a prompt.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub prompt: u32,
    /// Seeds of the pictures it stands for.
    pub pictures: Vec<u64>,
    pub positive: bool,
    pub value: f64,
}

/// How well a value separates; a higher one speaks for memorization.
#[derive(Clone, Debug, Serialize)]
pub struct Separation {
    /// Memorized pictures or prompts.
    pub positives: usize,
    /// Those that are not.
    pub negatives: usize,
    /// Area under the ROC curve: 1 separates, 0.5 is chance, below it the signal is inverted. The interval is a
    /// bootstrap over prompts.
    pub auc: Estimate,
    /// FB-Mem's TPR at 1 % FPR: at the point nearest to it.
    pub tpr_nearest_fpr: f64,
    /// Wen et al.'s: at the last point strictly below it.
    pub tpr_below_fpr: f64,
    /// Largest balanced accuracy.
    pub accuracy: f64,
    /// The curve, without points on straight lines (scikit-learn's default), which both readings are taken from.
    #[serde(skip)]
    pub roc: Roc,
}

impl Separation {
    /// `Err` says why there is no curve.
    pub(super) fn of(cases: &[Case], bootstrap: &Bootstrap) -> Result<Self, String> {
        if cases.is_empty() {
            return Err("it is not recorded".to_owned());
        }
        let scores: Vec<f64> = cases.iter().map(|c| c.value).collect();
        let labels: Vec<bool> = cases.iter().map(|c| c.positive).collect();
        let roc = Roc::new(&scores, &labels, RocPoints::Corners).map_err(|e| e.to_string())?;
        let prompts: BTreeSet<u32> = cases.iter().map(|c| c.prompt).collect();
        let places: Vec<u32> = prompts.iter().copied().collect();
        // Sorted once; a draw only changes how often each case counts.
        let mut order: Vec<(f64, usize, bool)> = cases
            .iter()
            .map(|c| (c.value, places.partition_point(|p| *p < c.prompt), c.positive))
            .collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let interval = bootstrap.interval(places.len(), |drawn| {
            let mut weights = vec![0.0; places.len()];
            drawn.iter().for_each(|&i| weights[i] += 1.0);
            area(&order, &weights)
        });
        Ok(Self {
            positives: roc.positives,
            negatives: roc.negatives,
            auc: Estimate {
                value: Some(roc.auc()),
                interval,
                pictures: cases.iter().map(|c| c.pictures.len()).sum(),
                prompts: places.len(),
                seeds: cases
                    .iter()
                    .flat_map(|c| &c.pictures)
                    .collect::<BTreeSet<_>>()
                    .len(),
            },
            tpr_nearest_fpr: roc.tpr_nearest_fpr(FPR),
            tpr_below_fpr: roc.tpr_below_fpr(FPR),
            accuracy: roc.best_accuracy(),
            roc,
        })
    }
}

/// Area under the curve of cases that count as often as their prompt's weight says: the share of pairs of a positive and
/// a negative that are in order, equal ones half. `order` descends. `None` without both kinds.
fn area(order: &[(f64, usize, bool)], weights: &[f64]) -> Option<f64> {
    let (mut positives, mut negatives, mut pairs) = (0.0, 0.0, 0.0);
    for equal in order.chunk_by(|a, b| a.0 == b.0) {
        let sum = |kind: bool| -> f64 {
            let of = equal.iter().filter(|c| c.2 == kind);
            of.map(|c| weights[c.1]).sum()
        };
        let (p, n) = (sum(true), sum(false));
        pairs += n * (positives + p / 2.0);
        positives += p;
        negatives += n;
    }
    (positives > 0.0 && negatives > 0.0).then(|| pairs / (positives * negatives))
}
