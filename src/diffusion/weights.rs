//! Weights: safetensors files to named tensors, checked against what the configuration implies.

mod file;

pub(super) use file::{TensorInfo, WeightFile};

use super::CheckpointError;
use candle_core::{DType, Device, Tensor};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Named tensors of one model. Copies share all tensors; edits make a new map and leave the old one alone.
#[derive(Clone)]
pub struct WeightMap {
    tensors: Arc<BTreeMap<String, Tensor>>,
    origin: Arc<PathBuf>,
}

impl WeightMap {
    /// Reads weight files, converting every tensor to `dtype`. `canonical` gives a tensor's name in today's
    /// diffusers, or `None` for tensors that are not needed and are skipped unread.
    ///
    /// # Errors
    /// Damaged files, element types other than f16, bf16, f32 and f64, numbers that are not finite.
    pub(super) fn load(
        files: &[PathBuf],
        dtype: DType,
        device: &Device,
        canonical: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CheckpointError> {
        let mut tensors = BTreeMap::new();
        let mut broken = Vec::new();
        for path in files {
            let mut file = WeightFile::open(path)?;
            for (name, info) in file.entries() {
                let Some(canonical) = canonical(&name) else {
                    continue;
                };
                let values = file.read(&name, &info)?;
                let damage = |e: candle_core::Error| CheckpointError::Weights {
                    path: path.clone(),
                    message: format!("{name}: {e}"),
                };
                let bad = values.iter().filter(|v| !v.is_finite()).count();
                if let Some(first) = values.iter().position(|v| !v.is_finite()) {
                    broken.push(format!(
                        "{name}: {bad} of {} values, the first at {first}",
                        values.len()
                    ));
                    continue;
                }
                let tensor = Tensor::from_vec(values, info.shape.as_slice(), &Device::Cpu)
                    .and_then(|t| t.to_dtype(dtype))
                    .and_then(|t| t.to_device(device))
                    .map_err(damage)?;
                tensors.insert(canonical, tensor);
            }
        }
        let origin = files.first().cloned().unwrap_or_default();
        if broken.is_empty() {
            Ok(Self {
                tensors: Arc::new(tensors),
                origin: Arc::new(origin),
            })
        } else {
            Err(CheckpointError::NotFinite {
                path: origin,
                tensors: broken,
            })
        }
    }

    /// A map of tensors made in memory; `origin` is named in errors.
    pub fn from_tensors(tensors: BTreeMap<String, Tensor>, origin: &Path) -> Self {
        Self {
            tensors: Arc::new(tensors),
            origin: Arc::new(origin.to_owned()),
        }
    }

    /// A tensor by its diffusers name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
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

    /// The tensor of that name and shape. What does not fit is written down and answered with a placeholder, so that
    /// one look finds all faults; [`WeightMap::build`] never returns a model with placeholders.
    pub fn get(&self, name: &str, shape: &[usize]) -> Tensor {
        self.any_of(name, &[shape])
    }

    /// A matrix, which older checkpoints also store as a 1×1 convolution.
    pub fn matrix(&self, name: &str, rows: usize, columns: usize) -> candle_core::Result<Tensor> {
        let tensor = self.any_of(name, &[&[rows, columns], &[rows, columns, 1, 1]]);
        if tensor.rank() == 4 {
            tensor.reshape((rows, columns))
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
