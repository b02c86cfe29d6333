//! Named tensors of an embedder's weights file, taken one by one.

use super::EmbeddingError;
use crate::segmentation::check_pickle;
use candle_core::{DType, Device, Tensor, bail, pickle::PthTensors};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// ViT-g has 4.5 GB in f32; anything beyond is something else.
const MOST_BYTES: u64 = 6 << 30;
/// Problems listed by name before the rest is only counted.
const LISTED: usize = 12;

/// What a weights file holds, and what was found wrong with it so far.
pub(super) struct Weights {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
    problems: Vec<String>,
}

impl Weights {
    /// Reads a `.safetensors` file, or a `.pt`/`.pth` state dict through candle's reader, which knows tensors and
    /// plain containers only and executes nothing.
    pub fn read(path: &Path) -> Result<Self, EmbeddingError> {
        let bytes = std::fs::metadata(path)
            .map_err(|source| EmbeddingError::Io {
                path: path.to_owned(),
                source,
            })?
            .len();
        if bytes > MOST_BYTES {
            return Err(EmbeddingError::TooLarge {
                path: path.to_owned(),
                bytes,
                most: MOST_BYTES,
            });
        }
        let wrong = |message: String| EmbeddingError::Weights {
            path: path.to_owned(),
            message,
        };
        let tensors = if path.extension().is_some_and(|e| e == "safetensors") {
            candle_core::safetensors::load(path, &Device::Cpu).map_err(|e| wrong(e.to_string()))?
        } else {
            // The reader indexes into tuples of the file without looking at their length.
            std::panic::catch_unwind(|| read_pth(path, bytes))
                .map_err(|_| wrong("malformed pickle".into()))?
                .map_err(|e| wrong(e.to_string()))?
        };
        if tensors.is_empty() {
            return Err(wrong(
                "it holds no tensors (a TorchScript archive cannot be read: give the state dict)".into(),
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            tensors,
            problems: Vec::new(),
        })
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

    /// Takes a tensor of exactly `shape` as f32. A missing, misshapen or non-finite one is noted and replaced by
    /// zeros, so that all problems of a file are found at once; see [`Self::finish`].
    pub fn take(&mut self, name: &str, shape: &[usize]) -> candle_core::Result<Tensor> {
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
        Tensor::zeros(shape, DType::F32, &Device::Cpu)
    }

    /// Reports what [`Self::take`] noted. Tensors nobody asked for are ignored.
    pub fn finish(&mut self, architecture: &'static str) -> Result<(), EmbeddingError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let more = self.problems.len().saturating_sub(LISTED);
        self.problems.truncate(LISTED);
        if more > 0 {
            self.problems.push(format!("and {more} more"));
        }
        Err(EmbeddingError::Tensors {
            path: self.path.clone(),
            architecture,
            problems: std::mem::take(&mut self.problems),
        })
    }
}

fn read_pth(path: &Path, bytes: u64) -> candle_core::Result<HashMap<String, Tensor>> {
    check_pickle(path)?;
    let mut file = PthTensors::new(path, None)?;
    if file.tensor_infos().is_empty() {
        file = PthTensors::new(path, Some("state_dict"))?;
    }
    let mut tensors = HashMap::new();
    for (name, info) in file.tensor_infos() {
        // Counters of BatchNorm are integers of no interest.
        if !matches!(info.dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
            continue;
        }
        // Checked before the reader reserves memory for whatever shape the file claims.
        let dims = info.layout.dims();
        let values = dims.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64));
        if info.layout.start_offset() != 0 || values.is_none_or(|n| n > bytes) {
            bail!("tensor {name} is a view into another one, or larger than the file");
        }
        if let Some(tensor) = file.get(name)? {
            tensors.insert(name.clone(), tensor);
        }
    }
    Ok(tensors)
}
