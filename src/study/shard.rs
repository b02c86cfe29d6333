//! The part of a scan that one of several machines does.

use std::{fmt, str::FromStr};

/// Part `index` of `count`, counted from 1: every `count`-th picture, so that all parts take about as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// Most parts.
    pub const MOST: u32 = 100_000;

    /// Whether the picture at this place of the whole scan's list belongs to the part.
    pub fn holds(self, place: usize) -> bool {
        place as u64 % u64::from(self.count) == u64::from(self.index - 1)
    }

    /// Name of the folder that holds the part's run: `shard-02-of-16`.
    pub fn folder(self) -> String {
        let width = self.count.to_string().len();
        format!("shard-{:0width$}-of-{}", self.index, self.count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("“{text}” is no part; write 1/4 for the first of four");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        let number = |part: &str| part.trim().parse::<u32>().map_err(|_| wrong());
        let (index, count) = (number(index)?, number(count)?);
        if (1..=Self::MOST).contains(&count) && (1..=count).contains(&index) {
            Ok(Self { index, count })
        } else {
            Err(wrong())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        let parts: Vec<Shard> = (1..=3).map(|i| format!("{i}/3").parse().unwrap()).collect();
        for place in 0..20 {
            assert_eq!(parts.iter().filter(|p| p.holds(place)).count(), 1);
        }
        assert_eq!(parts[1].to_string(), "2/3");
        assert_eq!("2/16".parse::<Shard>().unwrap().folder(), "shard-02-of-16");
        for wrong in ["", "1", "0/3", "4/3", "1/0", "a/b", "1/2/3", "-1/2", "1/100001"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
