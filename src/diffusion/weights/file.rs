//! One safetensors file, read without trusting it: the header is checked first, and what is read is read into memory
//! of our own. A mapped file would be loaded faster by nothing but the copy, and would end the program with SIGBUS
//! when another program shortens the file while its pages are in use.

use super::header::{self, MAX_HEADER, TensorInfo};
use crate::{diffusion::CheckpointError, ops, read_at::read_exact_at};
use bytemuck::Pod;
use candle_core::DType;
use half::{bf16, f16, vec::HalfBitsVecExt};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    ops::Range,
    path::{Path, PathBuf},
};

/// Bytes read and looked at in one go: few enough to be still in the caches for the second look.
const CHUNK: usize = 512 << 10;

/// An open weight file with a checked header.
pub struct WeightFile {
    path: PathBuf,
    file: File,
    data_start: u64,
    tensors: BTreeMap<String, TensorInfo>,
}

/// Values of a tensor: half precision as stored, everything else as f32.
pub enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// Half precision.
    F16(Vec<f16>),
    /// Half precision with the range of f32.
    Bf16(Vec<bf16>),
}

/// Numbers that are not finite.
#[derive(Clone, Copy, Debug, Default)]
pub struct Defects {
    /// How many.
    pub count: usize,
    /// Position of the first.
    pub first: usize,
    seen: usize,
}

impl Defects {
    fn look<T: Copy>(&mut self, values: &[T], bad: impl Fn(T) -> bool) {
        let found = values.iter().filter(|&&v| bad(v)).count();
        if found > 0 && self.count == 0 {
            self.first = self.seen + values.iter().position(|&v| bad(v)).unwrap_or(0);
        }
        self.count += found;
        self.seen += values.len();
    }
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
        Ok(Self {
            path: path.to_owned(),
            tensors: header::parse(&json, length - data_start).map_err(damaged)?,
            file,
            data_start,
        })
    }

    /// Where the data part begins, in bytes.
    pub fn data_start(&self) -> u64 {
        self.data_start
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses element types that are not read.
    pub fn readable(&self, name: &str, info: &TensorInfo) -> Result<DType, CheckpointError> {
        info.element().ok_or_else(|| CheckpointError::Weights {
            path: self.path.clone(),
            message: format!(
                "{name} is of type {}; F16, BF16, F32 and F64 are read",
                info.dtype
            ),
        })
    }

    /// Names and places of all tensors.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// Reads the values of a range of one of this file's tensors, `widen`ed to f32 or (half precision) as stored, and
    /// looks for numbers that are not finite. May be called from several threads.
    ///
    /// # Errors
    /// Element types that are not read; a file that became shorter or cannot be read.
    pub fn read(
        &self,
        name: &str,
        info: &TensorInfo,
        range: Range<u64>,
        widen: bool,
    ) -> Result<(Values, Defects), CheckpointError> {
        let element = self.readable(name, info)?;
        let at = self.data_start + info.data_offsets.0 + range.start * element.size_in_bytes() as u64;
        // The header's check has bounded this by the file's length.
        let count = (range.end - range.start) as usize;
        let mut defects = Defects::default();
        // An exponent of ones is an infinity or NaN.
        let half = |bits: u16| bits & 0x7c00 == 0x7c00;
        let brain = |bits: u16| bits & 0x7f80 == 0x7f80;
        let single = |value: f32| !value.is_finite();
        let result = match (element, widen) {
            (DType::F16, false) => {
                let mut values = vec![0u16; count];
                self.fill(at, &mut values, |chunk| defects.look(chunk, half))
                    .map(|()| Values::F16(values.reinterpret_into()))
            }
            (DType::BF16, false) => {
                let mut values = vec![0u16; count];
                self.fill(at, &mut values, |chunk| defects.look(chunk, brain))
                    .map(|()| Values::Bf16(values.reinterpret_into()))
            }
            (DType::F16, true) => self.convert(at, count, |chunk: &[u16], target| {
                defects.look(chunk, half);
                ops::widen_f16(half::slice::HalfBitsSliceExt::reinterpret_cast(chunk), target);
            }),
            (DType::BF16, true) => self.convert(at, count, |chunk: &[u16], target| {
                defects.look(chunk, brain);
                ops::widen_bf16(chunk, target);
            }),
            (DType::F64, _) => self.convert(at, count, |chunk: &[f64], target| {
                target.iter_mut().zip(chunk).for_each(|(t, v)| *t = *v as f32);
                defects.look(target, single);
            }),
            _ => {
                let mut values = vec![0f32; count];
                self.fill(at, &mut values, |chunk| defects.look(chunk, single))
                    .map(|()| Values::F32(values))
            }
        };
        match result {
            Ok(values) => Ok((values, defects)),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(CheckpointError::Weights {
                path: self.path.clone(),
                message: format!("it was cut off while {name} was read"),
            }),
            Err(source) => Err(CheckpointError::Io {
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// Fills `values` from byte `at` of the file on, chunk by chunk.
    fn fill<T: Pod>(&self, at: u64, values: &mut [T], mut each: impl FnMut(&[T])) -> io::Result<()> {
        let mut at = at;
        for chunk in values.chunks_mut(CHUNK / size_of::<T>()) {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(chunk);
            read_exact_at(&self.file, bytes, at)?;
            at += bytes.len() as u64;
            if cfg!(target_endian = "big") {
                bytes.chunks_mut(size_of::<T>()).for_each(<[u8]>::reverse);
            }
            each(chunk);
        }
        Ok(())
    }

    /// As [`fill`](Self::fill), through a buffer and a conversion to f32.
    fn convert<T: Pod>(
        &self,
        at: u64,
        count: usize,
        mut each: impl FnMut(&[T], &mut [f32]),
    ) -> io::Result<Values> {
        let mut values = vec![0f32; count];
        let size = CHUNK / size_of::<T>();
        let mut buffer = vec![T::zeroed(); size.min(count)];
        for (i, target) in values.chunks_mut(size).enumerate() {
            let at = at + (i * size * size_of::<T>()) as u64;
            self.fill(at, &mut buffer[..target.len()], |chunk| each(chunk, target))?;
        }
        Ok(Values::F32(values))
    }
}
