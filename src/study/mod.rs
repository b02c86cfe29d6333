//! The nouns of the program, as plain immutable data: what a study is made of and what comes out of it.
//! Imports no other room; knows no window, no model and no file format.

mod bit_mask;
mod cluster;
mod cluster_edit;
mod edit;
mod generation;
mod label;
mod measures;
mod outline;
mod problem;
mod prompt;
mod sampling;
mod scores;
mod shard;
mod signals;
mod tally;
mod touched;
mod transition;
mod variant;
mod verdict;

pub use bit_mask::BitMask;
pub use cluster::{Cluster, ClusterKind, Link, RegionClusters};
pub use cluster_edit::{Assignment, ClusterEdit, ClusterPlace, distance, is_outside, nearest, place};
pub use edit::{
    Edit, Embedding, EmbeddingEdit, GuidanceSchedule, LayerRef, MaskEdit, NeuronEdit, Span, Transition, When,
};
pub use generation::{Generation, GenerationKey, Match, RegionEdit};
pub use label::{Labels, RegionLabels, labels_of_prompts};
pub use measures::{EmbeddingCosine, Measures, PairMeasures};
pub use outline::{Approximation, Arithmetic, GalleryImage, StudyOutline, gallery_names, recorded_names};
pub use problem::{Problem, Skipped};
pub use prompt::{Prompt, parse_seeds};
pub use sampling::{RngKind, Sampling, SamplingChoice, SchedulerKind, WeightStorage};
pub use scores::{Region, RegionScores};
pub use shard::Shard;
pub use signals::{LatentMap, SignalMaps, Signals};
pub use tally::{Tally, tally, tally_by_group};
pub use touched::Touched;
pub use transition::{MitigationWeights, TransitionMatrix};
pub use variant::{BaseCheckpoint, Variant, VariantId};
pub use verdict::{Thresholds, Verdict};
