//! Receiver operating characteristic: how well a score separates two kinds of pictures.
//!
//! Points, area and the dropping of points are those of scikit-learn 1.9 (`roc_curve`, `auc`). The two
//! readings of “TPR at 1 % FPR” that the field uses are both there, since they differ on small sets:
//! [`Roc::tpr_nearest_fpr`] (FB-Mem) and [`Roc::tpr_below_fpr`] (Wen et al.). Both depend on which points are
//! kept, see [`RocPoints`].

/// Which points of the curve are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RocPoints {
    /// Without points between two others on one straight line, as scikit-learn's default
    /// (`drop_intermediate=True`); what the field's published figures were read from.
    #[default]
    Corners,
    /// One point per distinct score (`drop_intermediate=False`).
    All,
}

/// One threshold and what it would let through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    /// Scores at or above it count as positive; `+∞` for the first point.
    pub threshold: f64,
    /// Negatives at or above the threshold.
    pub false_positives: usize,
    /// Positives at or above the threshold.
    pub true_positives: usize,
    /// Share of the negatives, in `[0, 1]`.
    pub fpr: f64,
    /// Share of the positives, in `[0, 1]`.
    pub tpr: f64,
}

/// Why there is no curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RocError {
    /// As many labels as scores are needed.
    #[error("{scores} scores and {labels} labels; one label per score is needed")]
    Lengths {
        /// Number of scores.
        scores: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A score is no number.
    #[error("score {0} (counted from 0) is not a finite number")]
    NotFinite(usize),
    /// Every label says negative.
    #[error("there is no positive among the labelled scores")]
    NoPositives,
    /// Every label says positive.
    #[error("there is no negative among the labelled scores")]
    NoNegatives,
}

/// The curve: thresholds descending, from (0, 0) to (1, 1).
#[derive(Clone, Debug, PartialEq)]
pub struct Roc {
    /// The points, two or more; the first has the threshold `+∞`.
    pub points: Vec<RocPoint>,
    /// Number of positives, 1 or more.
    pub positives: usize,
    /// Number of negatives, 1 or more.
    pub negatives: usize,
}

impl Roc {
    /// The curve of scores of which a higher one speaks for a positive (negate them where a lower one does).
    ///
    /// # Errors
    /// [`RocError`]: both kinds must be there, every score finite, one label per score.
    pub fn new(scores: &[f64], positive: &[bool], keep: RocPoints) -> Result<Self, RocError> {
        if scores.len() != positive.len() {
            return Err(RocError::Lengths {
                scores: scores.len(),
                labels: positive.len(),
            });
        }
        if let Some(at) = scores.iter().position(|s| !s.is_finite()) {
            return Err(RocError::NotFinite(at));
        }
        let positives = positive.iter().filter(|&&p| p).count();
        let negatives = positive.len() - positives;
        if positives == 0 {
            return Err(RocError::NoPositives);
        }
        if negatives == 0 {
            return Err(RocError::NoNegatives);
        }
        let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(positive.iter().copied()).collect();
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));

        let mut counts: Vec<(f64, usize, usize)> = Vec::new();
        let (mut fp, mut tp) = (0, 0);
        for (i, &(score, is_positive)) in order.iter().enumerate() {
            if is_positive {
                tp += 1;
            } else {
                fp += 1;
            }
            // 0.0 and -0.0 are one score.
            if order.get(i + 1).is_none_or(|&(next, _)| next != score) {
                counts.push((score, fp, tp));
            }
        }
        if keep == RocPoints::Corners {
            drop_intermediate(&mut counts);
        }
        let points = std::iter::once((f64::INFINITY, 0, 0))
            .chain(counts)
            .map(|(threshold, false_positives, true_positives)| RocPoint {
                threshold,
                false_positives,
                true_positives,
                fpr: false_positives as f64 / negatives as f64,
                tpr: true_positives as f64 / positives as f64,
            })
            .collect();
        Ok(Self {
            points,
            positives,
            negatives,
        })
    }

    /// Area under the curve by trapezoids, in `[0, 1]`; 0.5 is chance.
    pub fn auc(&self) -> f64 {
        self.points
            .windows(2)
            .map(|w| (w[1].fpr - w[0].fpr) * (w[1].tpr + w[0].tpr) / 2.0)
            .sum()
    }

    /// FB-Mem's “TPR at `fpr`”: at the point whose false-positive rate is nearest to `fpr`, on either side;
    /// of several equally near ones the first, which has the lowest TPR.
    pub fn tpr_nearest_fpr(&self, fpr: f64) -> f64 {
        let distance = |p: &RocPoint| (p.fpr - fpr).abs();
        let mut best = self.points[0];
        for point in &self.points[1..] {
            if distance(point) < distance(&best) {
                best = *point;
            }
        }
        best.tpr
    }

    /// Wen et al.'s “TPR at `fpr`” (ICLR 2024): at the last point whose false-positive rate is strictly
    /// below `fpr`. With `fpr` above 0 the first point always is.
    pub fn tpr_below_fpr(&self, fpr: f64) -> f64 {
        let last = self.points.iter().rev().find(|p| p.fpr < fpr);
        last.map_or(0.0, |p| p.tpr)
    }

    /// Largest balanced accuracy over the points, `1 − (FPR + 1 − TPR) / 2` (Wen et al.), in `[0.5, 1]`.
    pub fn best_accuracy(&self) -> f64 {
        self.points
            .iter()
            .map(|p| 1.0 - (p.fpr + (1.0 - p.tpr)) / 2.0)
            .fold(0.5, f64::max)
    }

    /// The lowest threshold that lets through at most the share `fpr` of the negatives; `+∞` when already
    /// the highest score is a negative's and one is too many.
    pub fn threshold_at_fpr(&self, fpr: f64) -> RocPoint {
        let last = self.points.iter().rev().find(|p| p.fpr <= fpr);
        *last.unwrap_or(&self.points[0])
    }

    /// The point with the largest Youden index TPR − FPR; of several the one with the highest threshold.
    pub fn youden(&self) -> RocPoint {
        let gain = |p: &RocPoint| p.tpr - p.fpr;
        self.points[1..].iter().fold(
            self.points[0],
            |best, p| if gain(p) > gain(&best) { *p } else { best },
        )
    }
}

/// Drops inner points where both counts go on in a straight line (second differences are 0), as
/// scikit-learn does; the first and the last of the scores stay.
fn drop_intermediate(counts: &mut Vec<(f64, usize, usize)>) {
    let straight = |a: usize, b: usize, c: usize| b - a == c - b;
    let kept = (0..counts.len()).filter(|&i| {
        let inner = i > 0 && i + 1 < counts.len();
        !(inner && {
            let (a, b, c) = (counts[i - 1], counts[i], counts[i + 1]);
            straight(a.1, b.1, c.1) && straight(a.2, b.2, c.2)
        })
    });
    *counts = kept.map(|i| counts[i]).collect();
}

/// Right and wrong calls of one threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Positives called positive.
    pub true_positives: usize,
    /// Negatives called positive.
    pub false_positives: usize,
    /// Positives called negative.
    pub false_negatives: usize,
    /// Negatives called negative.
    pub true_negatives: usize,
}

impl Confusion {
    /// Counts one picture.
    pub fn add(&mut self, called: bool, positive: bool) {
        *match (called, positive) {
            (true, true) => &mut self.true_positives,
            (true, false) => &mut self.false_positives,
            (false, true) => &mut self.false_negatives,
            (false, false) => &mut self.true_negatives,
        } += 1;
    }

    /// Share of the calls that are right, in `[0, 1]`; `None` when nothing was called positive.
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Share of the positives that were called (TPR), in `[0, 1]`; `None` without positives.
    pub fn recall(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// Share of the negatives that were called (FPR), in `[0, 1]`; `None` without negatives.
    pub fn false_positive_rate(&self) -> Option<f64> {
        share(self.false_positives, self.false_positives + self.true_negatives)
    }

    /// Harmonic mean of precision and recall, in `[0, 1]`; `None` when there is neither a positive nor a call.
    pub fn f1(&self) -> Option<f64> {
        share(
            2 * self.true_positives,
            2 * self.true_positives + self.false_positives + self.false_negatives,
        )
    }
}

fn share(part: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

#[cfg(test)]
#[path = "roc_tests.rs"]
mod tests;
