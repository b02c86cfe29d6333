//! Fixtures of tensors and numbers, and how far two tensors are apart.

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use std::{collections::HashMap, fs, path::Path};

/// All tensors of a safetensors file.
pub fn tensors(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

/// A JSON file.
pub fn json_file(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// All values as f32.
pub fn values(tensor: &Tensor) -> Vec<f32> {
    let tensor = tensor.to_dtype(DType::F32).unwrap();
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Largest absolute value.
pub fn largest(a: &Tensor) -> f32 {
    let a = a.abs().unwrap().flatten_all().unwrap();
    a.max(0).unwrap().to_scalar().unwrap()
}

/// Largest absolute difference of tensors of one shape.
pub fn distance(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    largest(&(a - b).unwrap())
}
