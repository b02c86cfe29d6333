//! Similarity of one generated picture to one training image, per region.

use serde::{Deserialize, Serialize};

/// One of the two regions of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// The object.
    Foreground = 0,
    /// What is around it.
    Background = 1,
}

impl Region {
    /// Both, foreground first.
    pub const ALL: [Self; 2] = [Self::Foreground, Self::Background];

    /// `foreground` or `background`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Foreground => "foreground",
            Self::Background => "background",
        }
    }
}

/// MS-SSIM of the foreground and of the background, each in `[0, 1]`.
///
/// `None` means the region does not exist in one of the two pictures (an all-foreground or an
/// all-background picture): it is not compared, which is not the same as a similarity of 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RegionScores {
    /// Foreground score F.
    pub foreground: Option<f32>,
    /// Background score B.
    pub background: Option<f32>,
}

impl RegionScores {
    /// Both regions present.
    pub fn new(foreground: f32, background: f32) -> Self {
        Self {
            foreground: Some(foreground),
            background: Some(background),
        }
    }

    /// Score of one region.
    pub fn of(&self, region: Region) -> Option<f32> {
        match region {
            Region::Foreground => self.foreground,
            Region::Background => self.background,
        }
    }

    /// Mean of the regions that exist (FB-Mem's `Average Scores`); `None` when neither does.
    pub fn average(&self) -> Option<f32> {
        match (self.foreground, self.background) {
            (Some(f), Some(b)) => Some(0.5 * f + 0.5 * b),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_uses_the_regions_that_exist() {
        assert_eq!(RegionScores::new(0.5, 1.0).average(), Some(0.75));
        assert_eq!(
            RegionScores {
                foreground: Some(0.5),
                background: None
            }
            .average(),
            Some(0.5)
        );
        assert_eq!(RegionScores::default().average(), None);
    }
}
