//! Weights: safetensors files to named tensors, checked against what the configuration implies.

mod file;
mod header;

pub(super) use file::WeightFile;
pub(super) use header::TensorInfo;

use super::CheckpointError;
use candle_core::{DType, Device, Tensor};
use file::Values;
use rayon::prelude::*;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Named tensors of one model. Copies share all tensors; edits make a new map and leave the old one alone.
#[derive(Clone)]
pub struct WeightMap {
    tensors: Arc<BTreeMap<String, Tensor>>,
    origin: Arc<PathBuf>,
    compute: DType,
}

/// What becomes of a stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// It is not needed and is not read.
    Skip,
    /// It is the tensor of this name.
    Whole(String),
    /// It is several tensors of these names in one: equal parts along its first dimension.
    Parts(Vec<String>),
}

/// How weights are held in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding<'a> {
    /// Device that holds them.
    pub device: &'a Device,
    /// Element type of the arithmetic, and of all weights that are not held as stored.
    pub dtype: DType,
    /// Leave matrices in half precision, to be widened where they are used. Vectors are always converted.
    pub as_stored: bool,
}

/// A tensor to be read.
struct Wanted<'f> {
    file: &'f WeightFile,
    stored_name: &'f str,
    info: &'f TensorInfo,
    range: Range<u64>,
    name: String,
    shape: Vec<usize>,
}

/// The tensors of some files, by the names they get.
fn wanted<'f>(
    files: &'f [WeightFile],
    place: &dyn Fn(&str, &[usize]) -> Placement,
) -> Result<Vec<Wanted<'f>>, CheckpointError> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for file in files {
        for (stored_name, info) in file.tensors() {
            let names = match place(stored_name, &info.shape) {
                Placement::Skip => continue,
                Placement::Whole(name) => vec![name],
                Placement::Parts(names) => names,
            };
            let damaged = |message| CheckpointError::Weights {
                path: file.path().to_owned(),
                message,
            };
            let parts = names.len();
            let mut shape = info.shape.clone();
            if parts != 1 {
                match shape.first_mut() {
                    Some(rows) if rows.is_multiple_of(parts) => *rows /= parts,
                    _ => {
                        return Err(damaged(format!(
                            "{stored_name} is {:?}, which cannot be cut into {parts} equal parts",
                            info.shape
                        )));
                    }
                }
            }
            let count = info.count() / parts as u64;
            for (i, name) in (0..).zip(names) {
                if !seen.insert(name.clone()) {
                    return Err(damaged(format!("{stored_name}: {name} is there twice")));
                }
                all.push(Wanted {
                    file,
                    stored_name,
                    info,
                    range: i * count..(i + 1) * count,
                    name,
                    shape: shape.clone(),
                });
            }
        }
    }
    // Reading in the order of the file is kinder to disks.
    all.sort_by_key(|w| (std::ptr::from_ref(w.file), w.info.data_offsets.0, w.range.start));
    Ok(all)
}

/// Opens weight files and checks their headers.
pub(super) fn open_all(files: &[PathBuf]) -> Result<Vec<WeightFile>, CheckpointError> {
    files.iter().map(|path| WeightFile::open(path)).collect()
}

impl WeightMap {
    /// Reads weight files on all threads of the current rayon pool. `place` gives a tensor's name in today's
    /// diffusers.
    ///
    /// # Errors
    /// Damaged files, names that appear twice, element types other than f16, bf16, f32 and f64, numbers that are not
    /// finite.
    pub(super) fn load(
        files: &[WeightFile],
        holding: Holding<'_>,
        place: &dyn Fn(&str, &[usize]) -> Placement,
    ) -> Result<Self, CheckpointError> {
        let origin = origin(files);
        let loaded: Vec<_> = wanted(files, place)?
            .into_par_iter()
            .map(|wanted| wanted.load(holding))
            .collect::<Result<_, _>>()?;
        let mut tensors = BTreeMap::new();
        let mut broken = Vec::new();
        for (name, tensor) in loaded {
            match tensor {
                Ok(tensor) => drop(tensors.insert(name, tensor)),
                Err(defect) => broken.push(defect),
            }
        }
        if broken.is_empty() {
            Ok(Self {
                tensors: Arc::new(tensors),
                origin: Arc::new(origin),
                compute: holding.dtype,
            })
        } else {
            Err(CheckpointError::NotFinite {
                path: origin,
                tensors: broken,
            })
        }
    }

    /// Tensors of the right names and shapes that hold nothing and take no memory, to see whether a configuration and
    /// files fit together before anything is read.
    ///
    /// # Errors
    /// Names that appear twice, element types that are not read.
    pub(super) fn outline(
        files: &[WeightFile],
        place: &dyn Fn(&str, &[usize]) -> Placement,
    ) -> Result<Self, CheckpointError> {
        let mut tensors = BTreeMap::new();
        for wanted in wanted(files, place)? {
            wanted.file.readable(wanted.stored_name, wanted.info)?;
            let tensor = placeholder().broadcast_as(wanted.shape.as_slice());
            let tensor = tensor.map_err(|e| wanted.damaged(&e))?;
            tensors.insert(wanted.name, tensor);
        }
        Ok(Self {
            tensors: Arc::new(tensors),
            origin: Arc::new(origin(files)),
            compute: DType::F32,
        })
    }

    /// A map of f32 tensors made in memory (matrices may be f16 or bf16); `origin` is named in errors.
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>, origin: &Path) -> Self {
        Self {
            tensors: Arc::new(tensors),
            origin: Arc::new(origin.to_owned()),
            compute: DType::F32,
        }
    }

    /// A tensor by its diffusers name, in the element type of the arithmetic. Half-precision weights are widened into
    /// a copy; see [`stored`](Self::stored).
    pub fn get(&self, name: &str) -> Option<Tensor> {
        // Conversions between floating-point types do not fail on tensors that exist.
        self.tensors.get(name)?.to_dtype(self.compute).ok()
    }

    /// A tensor by its diffusers name, as it is held in memory.
    pub fn stored(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Element type of the arithmetic.
    pub fn compute_dtype(&self) -> DType {
        self.compute
    }

    /// Bytes that all tensors take in memory.
    pub fn bytes(&self) -> usize {
        let bytes = |t: &Tensor| t.elem_count() * t.dtype().size_in_bytes();
        self.tensors.values().map(bytes).sum()
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Number of values in all tensors.
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(Tensor::elem_count).sum()
    }

    /// A map in which some tensors are replaced; all others are shared with this one.
    #[must_use]
    pub fn with(&self, changes: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let mut tensors = self.tensors.as_ref().clone();
        tensors.extend(changes);
        Self {
            tensors: Arc::new(tensors),
            origin: self.origin.clone(),
            compute: self.compute,
        }
    }

    /// Builds a model from this map: `build` asks for every tensor it needs, and afterwards all that was missing,
    /// of the wrong shape, or not asked for is reported at once.
    pub(super) fn build<T>(
        &self,
        build: impl FnOnce(&Scope<'_>) -> candle_core::Result<T>,
    ) -> Result<T, CheckpointError> {
        let ledger = RefCell::default();
        let scope = Scope {
            map: self,
            prefix: String::new(),
            ledger: &ledger,
        };
        let built = build(&scope);
        let Ledger { used, mut problems } = ledger.into_inner();
        let extra = self.tensors.keys().filter(|name| !used.contains(*name));
        problems.extend(extra.map(|name| format!("unexpected {name} {:?}", self.tensors[name].dims())));
        let path = self.origin.as_ref().clone();
        if !problems.is_empty() {
            return Err(CheckpointError::Tensors { path, problems });
        }
        built.map_err(|e| CheckpointError::Weights {
            path,
            message: e.to_string(),
        })
    }
}

impl Wanted<'_> {
    /// The tensor and its name, or a line about what is wrong with its numbers.
    fn load(self, holding: Holding<'_>) -> Result<(String, Result<Tensor, String>), CheckpointError> {
        let keep = holding.as_stored && self.shape.len() >= 2;
        let widen = !keep && self.info.element() != Some(holding.dtype);
        let (values, defects) = self
            .file
            .read(self.stored_name, self.info, self.range.clone(), widen)?;
        if defects.count > 0 {
            let line = format!(
                "{}: {} of {} values, the first at {}",
                self.stored_name,
                defects.count,
                self.info.count(),
                self.range.start + defects.first as u64
            );
            return Ok((self.name, Err(line)));
        }
        let shape = self.shape.as_slice();
        let tensor = match values {
            Values::F32(values) => Tensor::from_vec(values, shape, &Device::Cpu),
            Values::F16(values) => Tensor::from_vec(values, shape, &Device::Cpu),
            Values::Bf16(values) => Tensor::from_vec(values, shape, &Device::Cpu),
        };
        let tensor = tensor
            .and_then(|t| if keep { Ok(t) } else { t.to_dtype(holding.dtype) })
            .and_then(|t| t.to_device(holding.device))
            .map_err(|e| self.damaged(&e))?;
        Ok((self.name, Ok(tensor)))
    }

    fn damaged(&self, e: &candle_core::Error) -> CheckpointError {
        CheckpointError::Weights {
            path: self.file.path().to_owned(),
            message: format!("{}: {e}", self.stored_name),
        }
    }
}

fn origin(files: &[WeightFile]) -> PathBuf {
    files.first().map(|f| f.path().to_owned()).unwrap_or_default()
}

#[derive(Default)]
struct Ledger {
    used: BTreeSet<String>,
    problems: Vec<String>,
}

/// A place in the tree of tensor names, as `down_blocks.0.resnets.1`.
pub struct Scope<'a> {
    map: &'a WeightMap,
    prefix: String,
    ledger: &'a RefCell<Ledger>,
}

impl<'a> Scope<'a> {
    /// The place one or more levels down.
    pub fn at(&self, path: impl AsRef<str>) -> Scope<'a> {
        Scope {
            map: self.map,
            prefix: self.full(path.as_ref()),
            ledger: self.ledger,
        }
    }

    /// This place's name.
    pub fn path(&self) -> &str {
        &self.prefix
    }

    /// Whether a tensor exists.
    pub fn has(&self, name: &str) -> bool {
        self.map.tensors.contains_key(&self.full(name))
    }

    /// Element type of the arithmetic.
    pub fn compute_dtype(&self) -> DType {
        self.map.compute
    }

    /// The tensor of that name and shape, in the element type of the arithmetic. What does not fit is written down and answered with a placeholder, so that
    /// one look finds all faults; [`WeightMap::build`] never returns a model with placeholders.
    pub fn get(&self, name: &str, shape: &[usize]) -> Tensor {
        let tensor = self.any_of(name, &[shape]);
        // Conversions between floating-point types do not fail on tensors that exist.
        tensor.to_dtype(self.map.compute).unwrap_or(tensor)
    }

    /// As [`get`](Self::get), but as it is held in memory: f16, bf16 or f32.
    pub fn stored(&self, name: &str, shape: &[usize]) -> Tensor {
        self.any_of(name, &[shape])
    }

    /// A matrix as it is held in memory; older checkpoints also store it as a 1×1 convolution.
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> candle_core::Result<Tensor> {
        let tensor = self.any_of(name, &[&[rows, columns], &[rows, columns, 1, 1]]);
        if tensor.rank() == 4 {
            tensor.squeeze(3)?.squeeze(2)
        } else {
            Ok(tensor)
        }
    }

    fn any_of(&self, name: &str, shapes: &[&[usize]]) -> Tensor {
        let full = self.full(name);
        let mut ledger = self.ledger.borrow_mut();
        let found = self.map.tensors.get(&full);
        let problem = match found {
            Some(t) if shapes.contains(&t.dims()) => {
                ledger.used.insert(full);
                return t.clone();
            }
            Some(t) => format!("{full} is {:?}, expected {:?}", t.dims(), shapes[0]),
            None => format!("missing {full} {:?}", shapes[0]),
        };
        ledger.used.insert(full);
        ledger.problems.push(problem);
        placeholder()
    }

    fn full(&self, name: &str) -> String {
        if self.prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }
}

fn placeholder() -> Tensor {
    // A scalar on the CPU: `new` cannot fail for it.
    #[expect(clippy::unwrap_used)]
    Tensor::new(0f32, &Device::Cpu).unwrap()
}
