//! One safetensors file, read without trusting it. The header is bounded and checked before anything is allocated.
//! Format: 8 bytes little-endian header length, a JSON header, the data (huggingface/safetensors, `README.md`).

use crate::diffusion::CheckpointError;
use half::{bf16, f16};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Longest header accepted; that of SD 1.5's UNet has 90 kB.
const MAX_HEADER: u64 = 16 << 20;

/// Element type, shape and place of a tensor.
#[derive(Clone, Debug, Deserialize)]
pub struct TensorInfo {
    /// `F16`, `BF16`, `F32`, `F64`, or a type that is refused when read.
    pub dtype: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Begin and end in the data part, in bytes.
    pub data_offsets: (u64, u64),
}

/// An open weight file with a checked header.
pub struct WeightFile {
    path: PathBuf,
    file: File,
    data_start: u64,
    tensors: BTreeMap<String, TensorInfo>,
}

impl WeightFile {
    /// Opens a file and checks its header against its length.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let io = |source| CheckpointError::Io {
            path: path.to_owned(),
            source,
        };
        let damaged = |message: String| CheckpointError::Weights {
            path: path.to_owned(),
            message,
        };
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut prefix = [0u8; 8];
        file.read_exact(&mut prefix).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => damaged(format!("it has {length} bytes and no header")),
            _ => io(e),
        })?;
        let header = u64::from_le_bytes(prefix);
        if header > MAX_HEADER {
            return Err(damaged(format!(
                "its header claims {header} bytes; at most {MAX_HEADER} are accepted"
            )));
        }
        let data_start = 8 + header;
        if data_start > length {
            return Err(damaged(format!(
                "its header claims {header} bytes, but the file has only {length}"
            )));
        }
        // Bounded by MAX_HEADER above.
        let mut json = vec![0u8; header as usize];
        file.read_exact(&mut json).map_err(io)?;
        let entries: BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&json).map_err(|e| damaged(format!("its header is not valid: {e}")))?;
        let mut tensors = BTreeMap::new();
        for (name, value) in entries.into_iter().filter(|(name, _)| name != "__metadata__") {
            let info: TensorInfo = serde_json::from_value(value)
                .map_err(|e| damaged(format!("the header's entry for {name} is not valid: {e}")))?;
            let (begin, end) = info.data_offsets;
            let available = length - data_start;
            if begin > end || end > available {
                return Err(damaged(format!(
                    "{name} is said to lie at bytes {begin} to {end}, but the file has {available} bytes of data; it \
                     may be cut off"
                )));
            }
            let count = info.shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64));
            let expected =
                count.and_then(|n| width(&info.dtype).map_or(Some(end - begin), |w| n.checked_mul(w)));
            if expected != Some(end - begin) {
                return Err(damaged(format!(
                    "{name} is {:?} of {} but has {} bytes",
                    info.shape,
                    info.dtype,
                    end - begin
                )));
            }
            tensors.insert(name, info);
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            data_start,
            tensors,
        })
    }

    /// Where the data part begins, in bytes.
    pub fn data_start(&self) -> u64 {
        self.data_start
    }

    /// Names and places of all tensors, in the order in which they lie in the file.
    pub fn entries(&self) -> Vec<(String, TensorInfo)> {
        let mut entries: Vec<_> = self.tensors.iter().map(|(n, i)| (n.clone(), i.clone())).collect();
        entries.sort_by_key(|(_, i)| i.data_offsets.0);
        entries
    }

    /// Number of values in all tensors that `wanted` accepts.
    pub fn parameters(&self, wanted: impl Fn(&str) -> bool) -> u64 {
        let count = |i: &TensorInfo| i.shape.iter().map(|&d| d as u64).product::<u64>();
        self.tensors
            .iter()
            .filter(|(n, _)| wanted(n))
            .map(|(_, i)| count(i))
            .sum()
    }

    /// Reads one tensor as f32.
    pub fn read(&mut self, name: &str, info: &TensorInfo) -> Result<Vec<f32>, CheckpointError> {
        let Some(width) = width(&info.dtype) else {
            return Err(CheckpointError::Weights {
                path: self.path.clone(),
                message: format!(
                    "{name} is of type {}; F16, BF16, F32 and F64 are read",
                    info.dtype
                ),
            });
        };
        let (begin, end) = info.data_offsets;
        // `open` has checked that these bytes exist.
        let mut bytes = vec![0u8; (end - begin) as usize];
        self.file
            .seek(SeekFrom::Start(self.data_start + begin))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|source| CheckpointError::Io {
                path: self.path.clone(),
                source,
            })?;
        Ok(match (info.dtype.as_str(), width) {
            ("F16", _) => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f16::from_le_bytes(*b).to_f32())
                .collect(),
            ("BF16", _) => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| bf16::from_le_bytes(*b).to_f32())
                .collect(),
            ("F32", _) => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
            _ => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b) as f32)
                .collect(),
        })
    }
}

/// Bytes of one element, for the types we read.
fn width(dtype: &str) -> Option<u64> {
    match dtype {
        "F16" | "BF16" => Some(2),
        "F32" => Some(4),
        "F64" => Some(8),
        _ => None,
    }
}
