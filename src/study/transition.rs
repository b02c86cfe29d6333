//! What became of the classes between two runs, and the mitigation score.

use super::Verdict;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::collections::BTreeMap;

/// How many pictures went from which class to which, rows before, columns after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransitionMatrix {
    counts: [[usize; 4]; 4],
}

/// The two sets of weights of the mitigation score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MitigationWeights {
    /// As FB-Mem's `archive/check_score.py`: BM → FM costs 0.5.
    Reference,
    /// As differences of one potential per class (VM 0, FM 0.5, BM 1.5, NM 2): BM → FM costs 1, all else as
    /// the reference. Going a way and back adds up to nothing.
    Potential,
}

impl MitigationWeights {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Reference, Self::Potential];

    /// What a picture adds to the score when it goes from one class to another, in `[-2, 2]`.
    pub fn weight(self, before: Verdict, after: Verdict) -> f64 {
        if self == Self::Reference && (before, after) == (Verdict::BackgroundOnly, Verdict::ForegroundOnly) {
            return -0.5;
        }
        potential(after) - potential(before)
    }

    /// The most that a picture of this class can add: by becoming NM.
    pub fn attainable(self, before: Verdict) -> f64 {
        self.weight(before, Verdict::NotMemorized)
    }
}

fn potential(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Verbatim => 0.0,
        Verdict::ForegroundOnly => 0.5,
        Verdict::BackgroundOnly => 1.5,
        Verdict::NotMemorized => 2.0,
    }
}

impl TransitionMatrix {
    /// Counts one more picture.
    pub fn add(&mut self, before: Verdict, after: Verdict) {
        self.counts[place(before)][place(after)] += 1;
    }

    /// Pictures that went from `before` to `after`.
    pub fn count(&self, before: Verdict, after: Verdict) -> usize {
        self.counts[place(before)][place(after)]
    }

    /// Pictures of a class before.
    pub fn before(&self, verdict: Verdict) -> usize {
        self.counts[place(verdict)].iter().sum()
    }

    /// Pictures of a class after.
    pub fn after(&self, verdict: Verdict) -> usize {
        self.counts.iter().map(|row| row[place(verdict)]).sum()
    }

    /// All pictures.
    pub fn total(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// The mitigation score: the sum of the pictures' weights.
    pub fn mitigation_score(&self, weights: MitigationWeights) -> f64 {
        self.cells()
            .map(|(before, after, count)| weights.weight(before, after) * count as f64)
            .sum()
    }

    /// The score if every picture became NM: 2·VM + 1.5·FM + 0.5·BM.
    pub fn attainable_score(&self, weights: MitigationWeights) -> f64 {
        Verdict::ALL
            .into_iter()
            .map(|v| weights.attainable(v) * self.before(v) as f64)
            .sum()
    }

    /// Every cell: before, after, count.
    pub fn cells(&self) -> impl Iterator<Item = (Verdict, Verdict, usize)> + '_ {
        Verdict::ALL.into_iter().flat_map(move |before| {
            Verdict::ALL
                .into_iter()
                .map(move |after| (before, after, self.count(before, after)))
        })
    }
}

/// Place in the order of [`Verdict::ALL`].
fn place(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Verbatim => 0,
        Verdict::ForegroundOnly => 1,
        Verdict::BackgroundOnly => 2,
        Verdict::NotMemorized => 3,
    }
}

impl Serialize for TransitionMatrix {
    /// `{"VM": {"VM": 3, "FM": 1, …}, …}`, before outside, after inside.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        for before in Verdict::ALL {
            let row: BTreeMap<Verdict, usize> = Verdict::ALL
                .into_iter()
                .map(|after| (after, self.count(before, after)))
                .collect();
            map.serialize_entry(&before, &row)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{BackgroundOnly as BM, ForegroundOnly as FM, NotMemorized as NM, Verbatim as VM};

    #[test]
    fn the_weights_are_those_of_the_reference() {
        // Rows and columns VM, BM, FM, NM, as archive/check_score.py writes them.
        let order = [VM, BM, FM, NM];
        let table = [
            [0.0, 1.5, 0.5, 2.0],
            [-1.5, 0.0, -0.5, 0.5],
            [-0.5, 1.0, 0.0, 1.5],
            [-2.0, -0.5, -1.5, 0.0],
        ];
        for (before, row) in order.into_iter().zip(table) {
            for (after, wanted) in order.into_iter().zip(row) {
                assert_eq!(MitigationWeights::Reference.weight(before, after), wanted);
                let consistent = if (before, after) == (BM, FM) { -1.0 } else { wanted };
                assert_eq!(MitigationWeights::Potential.weight(before, after), consistent);
            }
        }
    }

    #[test]
    fn the_score_of_a_small_matrix_is_as_by_hand() {
        let mut matrix = TransitionMatrix::default();
        for (before, after, times) in [(VM, NM, 3), (VM, FM, 2), (BM, FM, 4), (FM, FM, 5), (NM, VM, 1)] {
            (0..times).for_each(|_| matrix.add(before, after));
        }
        // 3·2 + 2·0.5 + 4·(−0.5) + 0 − 2 = 3; with −1 for BM → FM: 1.
        assert_eq!(matrix.mitigation_score(MitigationWeights::Reference), 3.0);
        assert_eq!(matrix.mitigation_score(MitigationWeights::Potential), 1.0);
        // 2·5 + 0.5·4 + 1.5·5
        for weights in MitigationWeights::ALL {
            assert_eq!(matrix.attainable_score(weights), 19.5);
        }
        assert_eq!((matrix.total(), matrix.before(VM), matrix.after(FM)), (15, 5, 11));
    }
}
