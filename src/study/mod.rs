//! The nouns of the program, as plain immutable data: what a study is made of and what comes out of it.
//! Imports no other room; knows no window, no model and no file format.

mod cluster;
mod generation;
mod outline;
mod problem;
mod prompt;
mod sampling;
mod scores;
mod tally;
mod verdict;

pub use cluster::{Cluster, ClusterKind, Link};
pub use generation::{Generation, GenerationKey, Match};
pub use outline::{Arithmetic, GalleryImage, StudyOutline};
pub use problem::Problem;
pub use prompt::{Prompt, parse_seeds};
pub use sampling::{RngKind, Sampling, SchedulerKind};
pub use scores::RegionScores;
pub use tally::{Tally, tally, tally_by_group};
pub use verdict::{Thresholds, Verdict};
