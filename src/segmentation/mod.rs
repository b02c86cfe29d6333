//! From a picture to a soft matte: where its foreground is.
//!
//! [`Segmenter`] runs U²-Net or U²-Net-P (Qin et al. 2020) with the authors' weights or any others of
//! the same names; [`Matte::open`] takes ready-made mattes from files.

mod config;
mod conv;
mod error;
mod matte;
mod pickle_guard;
mod pooling;
mod segmenter;
mod u2net;
mod weights;

pub use config::{Architecture, Scale, SegmenterConfig};
pub use error::SegmentationError;
pub use matte::Matte;
pub use segmenter::Segmenter;
