//! A set of pictures chosen with a free line on the Field.

use super::{columns::NOT_COMPARED, derived::Points};
use crate::study::GenerationKey;
use std::collections::HashSet;

/// The chosen pictures, and the line that chose them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lasso {
    /// Corners of the closed line as (background, foreground) scores.
    pub line: Vec<[f32; 2]>,
    /// The pictures inside.
    pub keys: HashSet<GenerationKey>,
}

impl Lasso {
    /// The compared pictures inside a closed line. `missing` is the score that stands for a missing region, where the
    /// Field draws it.
    pub fn new(line: Vec<[f32; 2]>, points: &Points, missing: f32) -> Self {
        let there = |s: f32| if s.is_nan() { missing } else { s };
        let rows = points.keys.iter().zip(&points.scores).zip(&points.best);
        let keys = rows
            .filter(|(_, best)| **best != NOT_COMPARED)
            .filter(|((_, [foreground, background]), _)| {
                inside(&line, [there(*background), there(*foreground)])
            })
            .map(|((key, _), _)| *key)
            .collect();
        Self { line, keys }
    }
}

/// Whether a place lies inside a closed line, by the even-odd rule.
fn inside(line: &[[f32; 2]], [x, y]: [f32; 2]) -> bool {
    let mut inside = false;
    let mut last = match line.last() {
        Some(last) => *last,
        None => return false,
    };
    for &[bx, by] in line {
        let [ax, ay] = last;
        if (ay > y) != (by > y) && x < (bx - ax) * (y - ay) / (by - ay) + ax {
            inside = !inside;
        }
        last = [bx, by];
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_is_what_the_line_runs_around() {
        let hook = [
            [0.0, 0.0],
            [1.0, 0.0],
            [1.0, 1.0],
            [0.7, 1.0],
            [0.7, 0.3],
            [0.0, 0.3],
        ];
        assert!(inside(&hook, [0.1, 0.1]));
        assert!(inside(&hook, [0.9, 0.9]));
        assert!(!inside(&hook, [0.3, 0.8]), "the notch");
        assert!(!inside(&hook, [1.1, 0.1]));
        assert!(!inside(&[], [0.5, 0.5]));
        assert!(
            !inside(&[[0.0, 0.0], [1.0, 1.0]], [0.5, 0.2]),
            "a stroke holds nothing"
        );
    }
}
