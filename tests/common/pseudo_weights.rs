//! Tensors that the scripts in tools/fixtures make too, so that only results are stored.

#![allow(dead_code, reason = "unit tests and integration tests use different parts")]

use candle_core::{Device, Tensor, safetensors};
use serde::Deserialize;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// Names and shapes of a network's weights.
#[derive(Deserialize)]
pub struct Listing {
    /// By name.
    pub shapes: HashMap<String, Vec<usize>>,
    /// Names of the convolutions in the order of PyTorch's ONNX export.
    #[serde(default)]
    pub order: Vec<String>,
}

impl Listing {
    /// Reads `tests/fixtures/segmentation/NAME.json`.
    pub fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The weights themselves, in the rule of `value` in tools/fixtures/segmentation_networks.py.
    pub fn weights(&self) -> HashMap<String, Tensor> {
        let weights = self
            .shapes
            .iter()
            .map(|(name, shape)| (name.clone(), weight(name, shape)));
        weights.collect()
    }
}

fn weight(name: &str, shape: &[usize]) -> Tensor {
    if name.ends_with("relative_position_bias_table") {
        return pseudo(name, shape, 2.0);
    }
    if let [_, inputs @ ..] = shape
        && !inputs.is_empty()
    {
        let gain = if name.starts_with("side") || name.starts_with("outconv") {
            0.4
        } else {
            2.0
        };
        let fan = inputs.iter().product::<usize>() as f64;
        return pseudo(name, shape, (gain * (6.0 / fan).sqrt()) as f32);
    }
    if name.ends_with("running_var") || name.ends_with("weight") {
        return (pseudo(name, shape, 0.5) + 1.0).unwrap();
    }
    pseudo(name, shape, 0.2)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/segmentation")
}

/// Numbers in [−0.5, 0.5) from a linear congruential generator seeded by the name, times `factor`.
pub fn pseudo(name: &str, shape: &[usize], factor: f32) -> Tensor {
    let mut state = name.bytes().fold(0x811C_9DC5_u32, |v, b| {
        (v ^ u32::from(b)).wrapping_mul(0x0100_0193)
    });
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state >> 8) / 16_777_216.0 - 0.5) as f32 * factor
    };
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The tensors of `tests/fixtures/segmentation/NAME.safetensors`.
pub fn fixture(name: &str) -> HashMap<String, Tensor> {
    safetensors::load(folder().join(format!("{name}.safetensors")), &Device::Cpu).unwrap()
}

/// Largest difference between two tensors of the same number of values.
pub fn distance(a: &Tensor, b: &Tensor) -> f32 {
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (a, b) = (flat(a), flat(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
