//! The configuration files of a diffusers checkpoint, read strictly: keys we honour are used, keys we do not honour
//! must have the value that changes nothing, and anything else is refused by key and value.

mod corrections;
mod keys;
mod schedule;
mod text;
mod unet;
mod vae;

pub use schedule::{Refusal, ScheduleConfig};
pub use text::{Activation, TextConfig};
pub use unet::UNetConfig;
pub use vae::VaeConfig;

pub(super) use corrections::corrected_side;
pub(super) use keys::{Keys, read_json, read_text};
