//! From a picture to a soft matte: where its foreground is.
//!
//! [`Segmenter`] runs U²-Net, U²-Net-P, IS-Net or BiRefNet with the authors' weights or any others of the same
//! names; [`ClickSegmenter`] runs SAM and MobileSAM on what a person points at; [`Matte::open`] takes ready-made mattes from files.

mod birefnet;
mod click;
mod config;
mod conv;
mod deform;
mod error;
mod hand;
mod hash;
mod linear;
mod matte;
mod network;
mod pooling;
mod segmenter;
mod stop;
mod swin;
mod u2net;

/// SAM's largest has 2.6 GB; anything far above is something else.
const MOST_BYTES: u64 = 4 << 30;

pub use click::{Click, ClickSegmenter, Clicks, Embedded};
pub use config::{Architecture, PatchOrder, Scale, SegmenterConfig};
pub use error::SegmentationError;
pub use hand::{Brush, lasso, stroke};
pub use matte::Matte;
pub use segmenter::Segmenter;
