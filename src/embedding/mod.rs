//! Pictures as unit vectors: similarity of whole pictures beside the region scores, never part of the verdict.
//!
//! SSCD ([`Sscd`]), DINOv2 ([`Dinov2`]) and CLIP ([`Clip`]) run on weights the user gives; [`descriptor`] needs none.
//! [`Embedder`] is any of them. [`Vectors`] holds a gallery's embeddings, [`Shortlist`] finds near ones among many,
//! [`layout`] lays them out on a plane.

mod clip;
mod clip_config;
mod descriptor;
mod dinov2;
mod embedder;
mod error;
#[cfg(feature = "usearch")]
mod graph;
mod layout;
mod preprocess;
#[cfg(feature = "qdrant")]
pub mod qdrant;
mod resnet;
mod shortlist;
mod sscd;
mod tsne;
mod vectors;

/// ViT-g has 4.5 GB in f32; anything beyond is something else.
const MOST_BYTES: u64 = 6 << 30;

pub use clip::{Clip, ClipScore};
pub use descriptor::{DESCRIPTOR_DIM, descriptor};
pub use dinov2::Dinov2;
pub use embedder::Embedder;
pub use error::EmbeddingError;
pub use layout::layout;
pub use preprocess::{Preprocessing, Shape};
pub use shortlist::{SHORTLIST_FROM, Shortlist, recall};
pub use sscd::Sscd;
pub use vectors::Vectors;

#[cfg(test)]
mod tests;
