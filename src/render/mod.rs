//! The picture side of the Stage, on wgpu: one pipeline that draws a generated picture, its training
//! image and what the two share, in every mode. Knows textures and numbers, nothing of a study.

mod adapter;
mod colormap;
mod local_map;
mod overlay;
mod params;
mod reference;
mod texture;

pub use adapter::{adapter_names, maps_on_card};
pub use colormap::{Ramp, ramp_table};
pub use local_map::LocalMapPass;
pub use overlay::{OverlayRenderer, SHADER, ViewId, Workshop};
pub use params::{Highlight, Mode, OverlayParams, flags};
pub use reference::{ReferenceImages, render_reference};
pub use texture::Pictures;
