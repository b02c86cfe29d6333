//! Groups of training images that repeat each other.

use super::RegionScores;
use serde::{Deserialize, Serialize};

/// Two gallery images whose foregrounds or backgrounds match.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Smaller gallery index.
    pub a: u32,
    /// Larger gallery index.
    pub b: u32,
    /// Scores of the pair.
    pub scores: RegionScores,
}

/// What the members of a cluster have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterKind {
    /// Copies of one picture.
    Duplicates,
    /// One foreground on several backgrounds.
    SameForeground,
    /// One background behind several foregrounds.
    SameBackground,
    /// Linked in more than one way.
    Mixed,
}

impl ClusterKind {
    /// A few words for a card.
    pub fn words(self) -> &'static str {
        match self {
            Self::Duplicates => "copies of one picture",
            Self::SameForeground => "same foreground",
            Self::SameBackground => "same background",
            Self::Mixed => "shared regions",
        }
    }
}

/// Gallery images that repeat each other, two or more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// Stable across runs and file orders: from the members' content hashes.
    pub id: u32,
    /// Gallery indices, ascending.
    pub members: Vec<u32>,
    /// The medoid: the member most alike to all others together.
    pub exemplar: u32,
    /// What they share.
    pub kind: ClusterKind,
}

/// The gallery in groups, once by each notion of being alike. An image may be in one group of each list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RegionClusters {
    /// Both regions agree: copies of one picture.
    pub duplicates: Vec<Cluster>,
    /// The foreground agrees, whatever is behind it.
    pub same_foreground: Vec<Cluster>,
    /// The background agrees, whatever is in front of it: templates.
    pub same_background: Vec<Cluster>,
}
