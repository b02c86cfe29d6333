//! From pictures to judgements: the FB-Mem score of a generated picture against the gallery
//! (arXiv 2508.12148), the groups of training images that repeat each other, what can be counted with them, and
//! what changed between two runs ([`comparison`]).

mod alike;
mod assignment;
mod cliques;
mod cluster_ids;
mod clusters;
pub mod comparison;
pub mod detection;
mod evaluation;
mod fb_mem;
pub mod kmeans;
mod noise_band;
pub mod null;
mod one_to_many;
mod reference_heap;
pub mod roc;
mod signals;

pub use alike::{Alike, MOST_ALIKE, WITHIN, alike};
pub use assignment::{Assignment, assign};
pub use cliques::{Clique, MEMORIZED, largest_clique};
pub use clusters::{ClusterLimits, cluster, region_clusters};
pub use evaluation::RegionEvaluation;
pub use fb_mem::{Judge, JudgeError, Judgement, TOP_K};
pub use kmeans::{KMeans, kmeans, nearest, silhouette};
pub use noise_band::{NoiseBand, usual_steps};
pub use one_to_many::{Bar, Sample, Spread, histogram, one_to_many, one_to_many_reference};
pub use reference_heap::reference_best;
pub use signals::{Gathered, SignalWatch};
