//! From pictures to judgements: the FB-Mem score of a generated picture against the gallery
//! (arXiv 2508.12148), the groups of training images that repeat each other, and the tallies of a run.

mod clusters;
mod fb_mem;
mod tally;

pub use clusters::{ClusterLimits, cluster};
pub use fb_mem::{Judge, JudgeError, Judgement, TOP_K};
pub use tally::{Tally, tally_by_group};
