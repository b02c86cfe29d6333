//! Weights as the authors of segmentation and embedding networks publish them (`.safetensors`, `.onnx`, PyTorch's
//! `.pth`): named tensors, checked one by one as the network asks for them.

mod error;
mod onnx;
mod pickle;
mod protobuf;
mod pth;

pub use error::WeightsFileError;

use candle_core::{DType, Device, Result, Tensor, bail};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// Problems listed by name before the rest is only counted.
const LISTED: usize = 12;
/// Values of the largest tensor that a missing one is replaced by.
const MOST_MISSING: usize = 1 << 27;
/// What PyTorch's data parallelism and compilation put before names.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];
/// PyTorch's default for BatchNorm.
const EPSILON: f64 = 1e-5;

/// What a weights file holds, and what was found wrong with it so far.
pub(crate) struct Weights {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
    /// Convolutions of an ONNX file that lost their names, in the order of its graph.
    in_order: Vec<(Tensor, Option<Tensor>)>,
    /// Whether BatchNorm may be part of a convolution already, as in files exported for inference.
    folded: bool,
    problems: Vec<String>,
}

impl Weights {
    /// Reads a `.safetensors` or `.onnx` file of at most `most` bytes, any other as PyTorch's `.pth`.
    ///
    /// # Errors
    /// When the file cannot be read, is larger than that, is malformed, or holds no tensors.
    pub fn read(path: &Path, most: u64) -> std::result::Result<Self, WeightsFileError> {
        let io = |source| WeightsFileError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(io)?.len();
        if bytes > most {
            return Err(WeightsFileError::TooLarge {
                path: path.to_owned(),
                bytes,
                most,
            });
        }
        let malformed = |message: String| WeightsFileError::Malformed {
            path: path.to_owned(),
            message,
        };
        let wrong = |e: candle_core::Error| malformed(e.to_string());
        let is = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
        let mut in_order = Vec::new();
        let tensors = if is("safetensors") {
            candle_core::safetensors::load(path, &Device::Cpu).map_err(wrong)?
        } else if is("onnx") {
            let contents = onnx::read(&std::fs::read(path).map_err(io)?).map_err(wrong)?;
            in_order = contents.in_order;
            contents.tensors
        } else {
            pth::read(path, bytes).map_err(wrong)?
        };
        if tensors.is_empty() && in_order.is_empty() {
            return Err(malformed(
                "it holds no tensors (a TorchScript archive cannot be read: give the state dict)".into(),
            ));
        }
        let mut weights = Self::new(path, tensors, in_order);
        weights.folded |= is("onnx");
        Ok(weights)
    }

    fn new(path: &Path, tensors: HashMap<String, Tensor>, in_order: Vec<(Tensor, Option<Tensor>)>) -> Self {
        let tensors: HashMap<_, _> = tensors
            .into_iter()
            .map(|(name, tensor)| {
                let mut short = name.as_str();
                while let Some(rest) = PREFIXES.iter().find_map(|p| short.strip_prefix(p)) {
                    short = rest;
                }
                (short.to_owned(), tensor)
            })
            .collect();
        Self {
            path: path.to_owned(),
            folded: !tensors.keys().any(|name| name.ends_with("running_var")),
            tensors,
            in_order,
            problems: Vec::new(),
        }
    }

    /// Tensors without a file, for tests of parts of a network.
    #[cfg(test)]
    pub fn of(tensors: HashMap<String, Tensor>) -> Self {
        Self::new(Path::new("test"), tensors, Vec::new())
    }

    /// Removes a leading `prefix` from all names that have it.
    pub fn strip(&mut self, prefix: &str) {
        let old = std::mem::take(&mut self.tensors);
        self.tensors = old
            .into_iter()
            .map(|(name, t)| (name.strip_prefix(prefix).map_or(name.clone(), str::to_owned), t))
            .collect();
    }

    /// Shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Tensor::dims)
    }

    /// Sizes of a tensor of `N` dimensions. One that is missing or has other dimensions is noted, and ones are given.
    pub fn dims<const N: usize>(&mut self, name: &str) -> [usize; N] {
        match self.shape(name) {
            Some(shape) => match <[usize; N]>::try_from(shape) {
                Ok(dims) => return dims,
                Err(_) => {
                    let problem = format!("{name} is {shape:?} instead of having {N} dimensions");
                    self.problems.push(problem);
                }
            },
            None => self.problems.push(format!("{name} is missing")),
        }
        [1; N]
    }

    /// Shapes of the weights of the convolutions whose names are lost, in order.
    pub fn shapes_in_order(&self) -> Vec<&[usize]> {
        self.in_order.iter().map(|(weight, _)| weight.dims()).collect()
    }

    /// Gives the convolutions without names these ones, when there are as many.
    pub fn name_in_order(&mut self, names: &[String]) {
        if self.in_order.len() != names.len() {
            return;
        }
        for ((weight, bias), name) in std::mem::take(&mut self.in_order).into_iter().zip(names) {
            self.tensors.insert(format!("{name}.weight"), weight);
            if let Some(bias) = bias {
                self.tensors.insert(format!("{name}.bias"), bias);
            }
        }
    }

    /// Takes a tensor of exactly `shape` as f32. A missing, misshapen or non-finite one is noted and
    /// replaced by zeros, so that all problems of a file are found at once; see [`Self::finish`].
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let found = self.tensors.remove(name);
        let problem = match &found {
            None => Some(format!("{name} is missing")),
            Some(t) if t.dims() != shape => Some(format!("{name} is {:?} instead of {shape:?}", t.dims())),
            Some(_) => None,
        };
        if let (None, Some(tensor)) = (&problem, found) {
            let tensor = tensor.to_dtype(DType::F32)?.contiguous()?;
            // A sum is finite unless a value is not, or values are absurd.
            if tensor.abs()?.sum_all()?.to_scalar::<f32>()?.is_finite() {
                return Ok(tensor);
            }
            self.problems
                .push(format!("{name} holds values that are not finite"));
        }
        self.problems.extend(problem);
        // What a malformed file makes of a shape need not fit into memory.
        if shape
            .iter()
            .try_fold(1usize, |n, &d| n.checked_mul(d))
            .is_none_or(|n| n > MOST_MISSING)
        {
            bail!("{name} would need the shape {shape:?}");
        }
        Tensor::zeros(shape, DType::F32, &Device::Cpu)
    }

    /// All tensors as f32, for networks that take theirs themselves.
    ///
    /// # Errors
    /// With the name of the first tensor that holds values that are not finite.
    pub fn into_tensors(self) -> std::result::Result<HashMap<String, Tensor>, WeightsFileError> {
        let finite = |(name, tensor): (String, Tensor)| {
            let tensor = tensor.to_dtype(DType::F32)?.contiguous()?;
            if !tensor.abs()?.sum_all()?.to_scalar::<f32>()?.is_finite() {
                bail!("{name} holds values that are not finite");
            }
            Ok((name, tensor))
        };
        let tensors = self.tensors.into_iter().map(finite).collect::<Result<_>>();
        tensors.map_err(|e| WeightsFileError::Malformed {
            path: self.path,
            message: e.to_string(),
        })
    }

    /// Weight `shape` and bias of a convolution with the BatchNorm after it folded in: `y = (x − mean) / √(var + ε) ·
    /// gain + shift`. `has_bias`: whether the convolution has a bias of its own.
    pub fn take_with_norm(
        &mut self,
        conv: &str,
        norm: &str,
        shape: [usize; 4],
        has_bias: bool,
    ) -> Result<(Tensor, Tensor)> {
        let output = [shape[0]];
        let weight = self.take(&format!("{conv}.weight"), &shape)?;
        let bias = format!("{conv}.bias");
        if self.folded && self.shape(&format!("{norm}.running_var")).is_none() {
            return Ok((weight, self.take(&bias, &output)?));
        }
        let bias = match has_bias {
            true => self.take(&bias, &output)?,
            false => Tensor::zeros(&output, DType::F32, &Device::Cpu)?,
        };
        let mut part = |part: &str| self.take(&format!("{norm}.{part}"), &output);
        let (gain, shift) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let scale = (gain / (variance + EPSILON)?.sqrt()?)?;
        let weight = weight.broadcast_mul(&scale.reshape(((), 1, 1, 1))?)?;
        Ok((weight, (((bias - mean)? * scale)? + shift)?))
    }

    /// Notes something else that is wrong with the file.
    pub fn note(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Reports what [`Self::take`] noted. Tensors nobody asked for (BatchNorm counters) are ignored.
    ///
    /// # Errors
    /// When anything was noted; the first few lines of it.
    pub fn finish(&mut self, architecture: &'static str) -> std::result::Result<(), WeightsFileError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        self.problems.dedup();
        let more = self.problems.len().saturating_sub(LISTED);
        self.problems.truncate(LISTED);
        if more > 0 {
            self.problems.push(format!("and {more} more"));
        }
        Err(WeightsFileError::Tensors {
            path: self.path.clone(),
            architecture,
            problems: std::mem::take(&mut self.problems),
        })
    }
}
