//! NeMo (Hintersdorf et al., “Finding NeMo: Localizing Neurons Responsible For Memorization in Diffusion Models”,
//! NeurIPS 2024): which value neurons of the cross-attentions make a memorized picture come back.
//!
//! A neuron is an output channel of `attn2.to_v` in the transformer blocks of the way down and the middle
//! ([`ValueLayers`]). Neurons whose mean activation lies far outside of what other prompts cause
//! ([`ActivationStatistics`]) are switched off until the first noise prediction no longer resembles the undisturbed one
//! ([`NoiseProbe`], [`similarity`]); then those that are not needed are switched on again ([`locate`]).

mod calibration;
mod detection;
mod noise_difference;
mod results;
mod similarity;
mod statistics;
mod value_layers;

pub use calibration::{Calibration, calibrate};
pub use detection::{Located, NemoSettings, locate};
pub use noise_difference::{Convention, NoiseDifferences, NoiseProbe, NoiseSettings};
pub use results::{NeuronRow, read_results, write_results};
pub use similarity::{largest_to_another, pairwise, similarity};
pub use statistics::{ActivationStatistics, StatisticsFormat};
pub use value_layers::{NeuronLists, ValueLayers, parse_lists, write_lists};
