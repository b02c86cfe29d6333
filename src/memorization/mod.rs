//! From pictures to judgements: the FB-Mem score of a generated picture against the gallery
//! (arXiv 2508.12148), the groups of training images that repeat each other, and what changed between two
//! runs ([`comparison`]).

mod clusters;
pub mod comparison;
mod fb_mem;

pub use clusters::{ClusterLimits, cluster};
pub use fb_mem::{Judge, JudgeError, Judgement, TOP_K};
