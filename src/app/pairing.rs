//! Which picture of A stands opposite which of B: same prompt, same seed. Pictures only ever come, so that a picture
//! more is looked up alone, however many there are.

use super::columns::Columns;

/// Stands for “B has none”.
pub const NONE: u32 = u32::MAX;

/// The rows of two sets of columns, paired.
#[derive(Debug, Default)]
pub struct Pairing {
    sets: Option<(u64, u64)>,
    /// Rows of B looked up so far.
    seen: usize,
    /// For each row of A the row of B, or [`NONE`].
    pub of_first: Vec<u32>,
    /// Rows of B that A has not.
    pub alone: Vec<u32>,
}

impl Pairing {
    /// Takes in what has come since the last time; begins anew with other sets.
    pub fn follow(&mut self, first: &Columns, second: &Columns) {
        let sets = Some((first.id(), second.id()));
        if self.sets != sets {
            *self = Self {
                sets,
                ..Self::default()
            };
        }
        let known = self.of_first.len();
        let of_second = |key| second.row(key).map_or(NONE, |row| row as u32);
        self.of_first.extend(first.keys[known..].iter().map(of_second));
        if self.of_first[known..].iter().any(|&row| row != NONE) {
            self.alone
                .retain(|&row| first.row(&second.keys[row as usize]).is_none());
        }
        for (row, key) in second.keys.iter().enumerate().skip(self.seen) {
            match first.row(key) {
                Some(partner) => self.of_first[partner] = row as u32,
                None => self.alone.push(row as u32),
            }
        }
        self.seen = second.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{Generation, GenerationKey};

    fn picture(prompt: u32) -> Generation {
        Generation {
            key: GenerationKey { prompt, seed: 0 },
            prompt: String::new(),
            image: "none".into(),
            matte: None,
            confidence: None,
            matches: Vec::new(),
            noise_norm: Vec::new(),
            seconds: 0.0,
            thumbnail: Default::default(),
            variant: None,
            measures: Default::default(),
            signals: None,
            edit: None,
            cluster: None,
        }
    }

    #[test]
    fn pictures_that_come_one_by_one_are_paired_as_all_at_once() {
        let (mut first, mut second) = (Columns::default(), Columns::default());
        let mut followed = Pairing::default();
        let steps: [(&[u32], &[u32]); 5] = [
            (&[0, 1, 2], &[1, 7]),
            (&[], &[2, 8]),
            (&[7], &[9, 0]),
            (&[3], &[]),
            (&[9, 4], &[4]),
        ];
        for (to_first, to_second) in steps {
            to_first.iter().for_each(|&p| first.insert(&picture(p), true));
            to_second.iter().for_each(|&p| second.insert(&picture(p), true));
            followed.follow(&first, &second);
            let mut anew = Pairing::default();
            anew.follow(&first, &second);
            assert_eq!(followed.of_first, anew.of_first);
            assert_eq!(followed.alone, anew.alone);
            for (row, partner) in followed.of_first.iter().enumerate() {
                let expected = second.row(&first.keys[row]).map_or(NONE, |row| row as u32);
                assert_eq!(*partner, expected);
            }
        }
        assert_eq!(followed.alone.len(), 1, "the eighth stands alone");
        followed.follow(&second, &first);
        assert_eq!(followed.of_first.len(), second.len());
    }
}
