//! Which network a weights file is, and running it.

use super::{Architecture, SegmenterConfig, birefnet::BiRefNet, stop::Stop, u2net::U2Net};
use crate::weights_file::Weights;
use candle_core::{Result, Tensor};

/// Any of the networks.
pub(super) enum Network {
    /// U²-Net, U²-Net-P or IS-Net.
    U2Net(Box<U2Net>),
    /// BiRefNet.
    BiRefNet(Box<BiRefNet>),
}

impl Network {
    /// Tells by names and shapes of the tensors whose weights these are.
    pub fn recognise(w: &Weights) -> Option<Architecture> {
        if w.shape("squeeze_module.0.conv_in.weight").is_some()
            && w.shape("decoder.conv_out1.0.weight").is_some()
        {
            return Some(Architecture::BiRefNet);
        }
        let first = w.shape("stage1.rebnconv1.conv_s1.weight");
        match (first, w.shape("conv_in.weight")) {
            (Some([_, 64, 3, 3]), Some([64, 3, 3, 3])) => return Some(Architecture::IsNet),
            (Some([32, 64, 3, 3]), None) => return Some(Architecture::U2Net),
            (Some([16, 64, 3, 3]), None) => return Some(Architecture::U2NetP),
            _ => {}
        }
        // Without names the second and third convolution tell: those of the first small U, or IS-Net's entry before.
        match w.shapes_in_order().as_slice() {
            [[64, 3, 3, 3], [64, 64, 3, 3], [32, 64, 3, 3], ..] => Some(Architecture::IsNet),
            [[64, 3, 3, 3], [32, 64, 3, 3], ..] => Some(Architecture::U2Net),
            [[64, 3, 3, 3], [16, 64, 3, 3], ..] => Some(Architecture::U2NetP),
            _ => None,
        }
    }

    /// Takes the tensors; missing ones are noted in `w`.
    pub fn load(w: &mut Weights, config: &SegmenterConfig) -> Result<Self> {
        let architecture = config.architecture;
        Ok(match architecture {
            Architecture::BiRefNet => Self::BiRefNet(Box::new(BiRefNet::load(w, config.patches)?)),
            Architecture::U2Net | Architecture::U2NetP | Architecture::IsNet => {
                w.name_in_order(&U2Net::convolutions(architecture));
                Self::U2Net(Box::new(U2Net::load(w, architecture)?))
            }
        })
    }

    /// Normalised `[1, 3, h, w]` to probabilities `[1, 1, h, w]`; an error soon after `stop` says so.
    pub fn forward(&self, x: &Tensor, stop: Stop<'_>) -> Result<Tensor> {
        match self {
            Self::U2Net(network) => network.forward(x, stop),
            Self::BiRefNet(network) => network.forward(x, stop),
        }
    }
}
