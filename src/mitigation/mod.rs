//! Ways to find what remembers and to switch it off. Each method looks at a [`Pipeline`](crate::diffusion::Pipeline)
//! and gives edits of a [`Variant`](crate::study::Variant); none changes a model.
//!
//! | module | method | source |
//! |---|---|---|
//! | [`neurons`] | NeMo: value neurons of cross-attentions | Hintersdorf et al., NeurIPS 2024 |
//! | [`cluster_neurons`] | the union of NeMo's neurons over a cluster of prompts | FB-Mem |
//! | [`prompt_clusters`] | which cluster a new prompt falls in, and how sure | FB-Mem |
//! | [`pruning`] | Wanda scores of `ff.net.2` | Chavhan et al., 2406.18566; ConceptPrune |
//! | [`prompt`] | optimised prompt embeddings, token significance, random insertions | Wen et al., ICLR 2024 |
//! | [`guidance`] | when guidance sets in | Jain et al., CVPR 2025 |
//!
//! Everything runs in the current rayon pool and asks its [`Watch`] at least before every pass through the network.

pub mod cluster_neurons;
mod error;
mod files;
pub mod guidance;
pub mod neurons;
mod progress;
pub mod prompt;
pub mod prompt_clusters;
pub mod pruning;
mod watch;

pub use error::MitigationError;
pub use progress::Progress;
pub use watch::{Quiet, Watch};
