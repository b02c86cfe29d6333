//! Labelled pictures against their scores, per region: what the Calibration view shows.

use super::roc::{Confusion, Roc, RocError, RocPoints};
use crate::study::{Region, RegionLabels, RegionScores};

/// Scores of one region with their labels.
#[derive(Clone, Debug)]
pub struct RegionEvaluation {
    /// Which region.
    pub region: Region,
    /// Labelled scores, as `(score, memorized)`.
    pub labelled: Vec<(f32, bool)>,
    /// Labels of pictures that have no score in this region: they are not in the curves; under a threshold they
    /// count as not called, as a missing region is never classed as memorized.
    pub without_score: [usize; 2],
    /// The curve without points on straight lines, as scikit-learn draws it by default.
    pub corners: Result<Roc, RocError>,
    /// The curve with every point.
    pub all: Result<Roc, RocError>,
}

impl RegionEvaluation {
    /// Takes what is labelled in a region; the rest is passed over.
    pub fn new(region: Region, pictures: impl Iterator<Item = (RegionScores, RegionLabels)>) -> Self {
        let mut labelled = Vec::new();
        let mut without_score = [0; 2];
        for (scores, labels) in pictures {
            match (scores.of(region), labels.of(region)) {
                (Some(score), Some(label)) => labelled.push((score, label)),
                (None, Some(label)) => without_score[usize::from(label)] += 1,
                (_, None) => {}
            }
        }
        let scores: Vec<f64> = labelled.iter().map(|l| f64::from(l.0)).collect();
        let labels: Vec<bool> = labelled.iter().map(|l| l.1).collect();
        Self {
            region,
            corners: Roc::new(&scores, &labels, RocPoints::Corners),
            all: Roc::new(&scores, &labels, RocPoints::All),
            labelled,
            without_score,
        }
    }

    /// Labelled pictures that are memorized, and that are not; those without a score included.
    pub fn counts(&self) -> (usize, usize) {
        let positives = self.labelled.iter().filter(|l| l.1).count();
        (
            positives + self.without_score[1],
            self.labelled.len() - positives + self.without_score[0],
        )
    }

    /// Right and wrong calls of a threshold.
    pub fn confusion(&self, threshold: f32) -> Confusion {
        let mut confusion = Confusion {
            false_negatives: self.without_score[1],
            true_negatives: self.without_score[0],
            ..Confusion::default()
        };
        for &(score, label) in &self.labelled {
            confusion.add(score >= threshold, label);
        }
        confusion
    }

    /// The lowest threshold in hundredths that calls at most the share `fpr` of the labelled negatives; `None` without
    /// both kinds of labels, or where none up to 1 does.
    pub fn threshold_at_fpr(&self, fpr: f64) -> Option<f32> {
        self.all.as_ref().ok()?;
        (0..=100).map(|hundredths| hundredths as f32 / 100.0).find(|&t| {
            self.confusion(t)
                .false_positive_rate()
                .is_some_and(|rate| rate <= fpr)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Verdict;

    #[test]
    fn missing_regions_count_as_not_called() {
        let one = |f: Option<f32>, class: Verdict| {
            let scores = RegionScores {
                foreground: f,
                background: Some(0.5),
            };
            (scores, RegionLabels::from(class))
        };
        let pictures = vec![
            one(Some(0.9), Verdict::Verbatim),
            one(None, Verdict::ForegroundOnly),
            one(Some(0.85), Verdict::BackgroundOnly),
            one(Some(0.3), Verdict::NotMemorized),
            (RegionScores::new(0.99, 0.1), RegionLabels::default()),
        ];
        let found = RegionEvaluation::new(Region::Foreground, pictures.iter().copied());
        assert_eq!(found.counts(), (2, 2));
        assert_eq!(found.labelled.len(), 3);
        let confusion = found.confusion(0.8);
        assert_eq!(
            (confusion.precision(), confusion.recall()),
            (Some(0.5), Some(0.5))
        );
        assert_eq!(found.corners.as_ref().unwrap().auc(), 1.0);
        let t = found.threshold_at_fpr(0.0).unwrap();
        assert!((t - 0.86).abs() < 1e-6, "{t}");
        // The background has one positive kind of score only: 0.5 everywhere.
        let found = RegionEvaluation::new(Region::Background, pictures.into_iter().take(1));
        assert_eq!(found.all, Err(RocError::NoNegatives));
        assert_eq!(found.threshold_at_fpr(0.01), None);
    }
}
