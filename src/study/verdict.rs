//! The four FB-Mem classes and the thresholds that decide between them.

use super::RegionScores;
use serde::{Deserialize, Serialize};

/// FB-Mem class of one generated picture (arXiv 2508.12148; reference `archive/check_score.py`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// VM: foreground and background reproduce a training image.
    #[serde(rename = "VM")]
    Verbatim,
    /// FM: only the foreground does.
    #[serde(rename = "FM")]
    ForegroundOnly,
    /// BM: only the background does.
    #[serde(rename = "BM")]
    BackgroundOnly,
    /// NM: neither does.
    #[serde(rename = "NM")]
    NotMemorized,
}

impl Verdict {
    /// All classes, in the order in which they are listed everywhere.
    pub const ALL: [Self; 4] = [
        Self::Verbatim,
        Self::ForegroundOnly,
        Self::BackgroundOnly,
        Self::NotMemorized,
    ];

    /// The class of a picture of which these regions are memorized.
    pub fn of_regions(foreground: bool, background: bool) -> Self {
        match (foreground, background) {
            (true, true) => Self::Verbatim,
            (true, false) => Self::ForegroundOnly,
            (false, true) => Self::BackgroundOnly,
            (false, false) => Self::NotMemorized,
        }
    }

    /// The two letters used by the paper.
    pub fn letters(self) -> &'static str {
        match self {
            Self::Verbatim => "VM",
            Self::ForegroundOnly => "FM",
            Self::BackgroundOnly => "BM",
            Self::NotMemorized => "NM",
        }
    }

    /// Reads the two letters back, in any case.
    pub fn from_letters(letters: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|v| v.letters().eq_ignore_ascii_case(letters.trim()))
    }

    /// One plain sentence for a newcomer.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Verbatim => "foreground and background copied",
            Self::ForegroundOnly => "foreground copied, background new",
            Self::BackgroundOnly => "background copied, foreground new",
            Self::NotMemorized => "neither region copied",
        }
    }
}

/// Scores at or above a threshold count as memorized. Each in `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Threshold of the foreground score.
    pub foreground: f32,
    /// Threshold of the background score.
    pub background: f32,
}

impl Default for Thresholds {
    /// 0.8 / 0.8, the reference's fixed thresholds.
    fn default() -> Self {
        Self {
            foreground: 0.8,
            background: 0.8,
        }
    }
}

impl Thresholds {
    /// Threshold of one region.
    pub fn of(&self, region: super::Region) -> f32 {
        match region {
            super::Region::Foreground => self.foreground,
            super::Region::Background => self.background,
        }
    }

    /// Class of a pair of scores; a region that does not exist is never memorized.
    pub fn classify(&self, scores: &RegionScores) -> Verdict {
        Verdict::of_regions(
            scores.foreground.is_some_and(|s| s >= self.foreground),
            scores.background.is_some_and(|s| s >= self.background),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_exactly_at_the_threshold_counts_as_memorized() {
        let t = Thresholds::default();
        assert_eq!(t.classify(&RegionScores::new(0.8, 0.8)), Verdict::Verbatim);
        assert_eq!(
            t.classify(&RegionScores::new(0.8, 0.7999)),
            Verdict::ForegroundOnly
        );
        assert_eq!(
            t.classify(&RegionScores::new(0.7999, 0.8)),
            Verdict::BackgroundOnly
        );
        assert_eq!(
            t.classify(&RegionScores::new(0.7999, 0.7999)),
            Verdict::NotMemorized
        );
    }

    #[test]
    fn a_missing_region_is_not_memorized() {
        let t = Thresholds::default();
        assert_eq!(
            t.classify(&RegionScores {
                foreground: None,
                background: Some(0.9)
            }),
            Verdict::BackgroundOnly
        );
        assert_eq!(t.classify(&RegionScores::default()), Verdict::NotMemorized);
    }

    #[test]
    fn letters_round_trip() {
        for v in Verdict::ALL {
            assert_eq!(Verdict::from_letters(&v.letters().to_lowercase()), Some(v));
        }
        assert_eq!(Verdict::from_letters("TM"), None);
    }
}
