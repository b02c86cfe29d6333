//! From pictures to judgements: the FB-Mem score of a generated picture against the gallery
//! (arXiv 2508.12148), and the groups of training images that repeat each other.

mod clusters;
mod fb_mem;
mod noise_band;
mod signals;

pub use clusters::{ClusterLimits, cluster};
pub use fb_mem::{Judge, JudgeError, Judgement, TOP_K};
pub use noise_band::NoiseBand;
pub use signals::{LatentMap, SignalWatch, Signals};
