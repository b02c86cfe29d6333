//! Pentimento shows what a text-to-image diffusion model remembers of its training images, and where.
//!
//! The rooms, and the one way the arrows between them run:
//! `app, cli → engine → {memorization, mitigation} → {diffusion, segmentation, embedding, similarity, gallery} → study`;
//! `{diffusion, segmentation} → ops` (arithmetic on slices); `engine → report → {render, similarity, gallery, store} → study`; `{segmentation, embedding} → weights_file`; `embedding → similarity` (resizing);
//! `engine → store → study`; `{gallery, store, mitigation} → tables → study`; `render` is used by `app` and `report`
//! only.

// The modules that need it say so at their top, with the reason; `ARCHITECTURE.md` lists them.
#![deny(unsafe_code)]

pub mod app;
pub mod cli;
pub mod diffusion;
pub mod embedding;
pub mod engine;
pub mod fetch;
pub mod gallery;
pub mod live;
pub mod memorization;
pub mod mitigation;
pub mod ops;
mod read_at;
pub mod render;
pub mod report;
pub mod segmentation;
pub mod similarity;
pub mod store;
pub mod study;
pub mod tables;
mod weights_file;

#[cfg(test)]
#[path = "../tests/common/protobuf.rs"]
mod test_protobuf;
#[cfg(test)]
#[path = "../tests/common/pseudo_weights.rs"]
mod test_weights;
