//! Named tensors from a weights file, checked one by one as the network asks for them.

use super::{SegmentationError, pickle_guard};
use candle_core::{DType, Device, Tensor, bail, pickle::PthTensors};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// U²-Net has 176 MB; anything near this is something else.
const MOST_BYTES: u64 = 1 << 30;
/// Problems listed by name before the rest is only counted.
const LISTED: usize = 12;

/// What a weights file holds, and what was found wrong with it so far.
pub(super) struct Weights {
    path: PathBuf,
    tensors: HashMap<String, Tensor>,
    problems: Vec<String>,
}

impl Weights {
    /// Reads a `.safetensors` file, or a `.pth` through candle's reader, which knows tensors and plain
    /// containers only and executes nothing. A leading `module.` (PyTorch's data parallelism) is removed
    /// from names.
    pub fn read(path: &Path) -> Result<Self, SegmentationError> {
        let io = |source| SegmentationError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = std::fs::metadata(path).map_err(io)?.len();
        if bytes > MOST_BYTES {
            return Err(SegmentationError::TooLarge {
                path: path.to_owned(),
                bytes,
                most: MOST_BYTES,
            });
        }
        let wrong = |e: candle_core::Error| SegmentationError::Weights {
            path: path.to_owned(),
            message: e.to_string(),
        };
        let tensors = if path.extension().is_some_and(|e| e == "safetensors") {
            candle_core::safetensors::load(path, &Device::Cpu).map_err(wrong)?
        } else {
            // The reader indexes into tuples of the file without looking at their length.
            std::panic::catch_unwind(|| read_pth(path, bytes))
                .map_err(|_| wrong(candle_core::Error::msg("malformed pickle")))?
                .map_err(wrong)?
        };
        let tensors = tensors
            .into_iter()
            .map(|(name, tensor)| match name.strip_prefix("module.") {
                Some(short) => (short.to_owned(), tensor),
                None => (name, tensor),
            })
            .collect();
        Ok(Self {
            path: path.to_owned(),
            tensors,
            problems: Vec::new(),
        })
    }

    /// Shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(Tensor::dims)
    }

    /// Takes a tensor of exactly `shape` as f32. A missing, misshapen or non-finite one is noted and
    /// replaced by zeros, so that all problems of a file are found at once; see [`Self::finish`].
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

    /// Reports what [`Self::take`] noted. Tensors nobody asked for (BatchNorm counters) are ignored.
    pub fn finish(mut self, architecture: &'static str) -> Result<(), SegmentationError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let more = self.problems.len().saturating_sub(LISTED);
        self.problems.truncate(LISTED);
        if more > 0 {
            self.problems.push(format!("and {more} more"));
        }
        Err(SegmentationError::Tensors {
            path: self.path,
            architecture,
            problems: self.problems,
        })
    }
}

fn read_pth(path: &Path, bytes: u64) -> candle_core::Result<HashMap<String, Tensor>> {
    if let Err(reason) = pickle_guard::check(path) {
        bail!("{reason}");
    }
    let file = PthTensors::new(path, None)?;
    let file = if file.tensor_infos().is_empty() {
        PthTensors::new(path, Some("state_dict"))?
    } else {
        file
    };
    let mut tensors = HashMap::new();
    for (name, info) in file.tensor_infos() {
        // Counters of BatchNorm are integers of no interest.
        if !matches!(info.dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64) {
            continue;
        }
        // Checked before the reader reserves memory for whatever shape the file claims.
        let values = info
            .layout
            .dims()
            .iter()
            .try_fold(1u64, |n, &d| n.checked_mul(d as u64));
        if info.layout.start_offset() != 0 || values.is_none_or(|n| n > bytes) {
            bail!("tensor {name} is a view into another one, or larger than the file");
        }
        if let Some(tensor) = file.get(name)? {
            tensors.insert(name.clone(), tensor);
        }
    }
    Ok(tensors)
}
