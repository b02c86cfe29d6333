//! Edits of a variant as changes of named weights, the same for tensors in memory and bytes in a file.

use super::{DiffusionError, UNetConfig};
use crate::study::{BitMask, Edit, LayerRef, MaskEdit, NeuronEdit, When};
use candle_core::{DType, Device, Tensor, WithDType};
use half::{bf16, f16};

/// A change of one weight.
#[derive(Clone, Debug)]
pub(super) struct WeightEdit {
    /// Name of the weight in diffusers.
    pub weight: String,
    /// What to do with its values.
    pub change: Change,
    /// When; always if `None`.
    pub when: Option<When>,
    /// For prompts of this cluster; for all if `None`.
    pub cluster: Option<u32>,
}

/// What to do with the values of a weight.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Multiplies rows (output channels).
    Rows { rows: Vec<u32>, factor: f32 },
    /// Sets entries to zero.
    Zero(BitMask),
}

/// The changes of weights that edits ask for, checked against the network; edits of other kinds are passed over.
/// `shape` gives a weight's shape by its name.
///
/// # Errors
/// The edit, counted from 1, and the layer, neuron or weight that the network does not have.
pub(super) fn resolve(
    edits: &[Edit],
    config: &UNetConfig,
    shape: &dyn Fn(&str) -> Option<Vec<usize>>,
) -> Result<Vec<WeightEdit>, DiffusionError> {
    let blocks = config.transformer_blocks();
    let mut changes = Vec::new();
    for (i, edit) in edits.iter().enumerate() {
        let change = match edit {
            Edit::Neurons(edit) => rows(edit, &blocks, shape),
            Edit::Mask(edit) => zero(edit, shape),
            Edit::Embedding(_) | Edit::Guidance(_) => continue,
            Edit::Cluster(cluster) => {
                let number = cluster.cluster;
                let inner = resolve(&cluster.edits, config, shape).map_err(|e| match e {
                    DiffusionError::Variant(reason) => misfit(i, &format!("cluster {number}, {reason}")),
                    other => other,
                })?;
                let of_cluster = |change| WeightEdit {
                    cluster: Some(number),
                    ..change
                };
                changes.extend(inner.into_iter().map(of_cluster));
                continue;
            }
        };
        changes.push(change.map_err(|reason| misfit(i, &reason))?);
    }
    Ok(changes)
}

/// The error of an edit that does not fit, by its place from 0.
pub(super) fn misfit(index: usize, reason: &str) -> DiffusionError {
    DiffusionError::Variant(format!("edit {}: {reason}", index + 1))
}

fn rows(
    edit: &NeuronEdit,
    blocks: &[String],
    shape: &dyn Fn(&str) -> Option<Vec<usize>>,
) -> Result<WeightEdit, String> {
    let block = match &edit.layer {
        LayerRef::Index(index) => blocks.get(*index as usize).ok_or_else(|| {
            format!(
                "there is no layer {index}; the network has layers 0 to {}",
                blocks.len() - 1
            )
        })?,
        LayerRef::Name(name) => {
            let bare = name.strip_suffix(".weight").unwrap_or(name);
            let bare = bare.strip_suffix(".attn2.to_v").unwrap_or(bare);
            blocks.iter().find(|block| *block == bare).ok_or_else(|| {
                format!(
                    "there is no layer “{name}”; the network has {} to {}",
                    blocks[0],
                    blocks[blocks.len() - 1]
                )
            })?
        }
    };
    let weight = format!("{block}.attn2.to_v.weight");
    let outputs = shape(&weight)
        .and_then(|s| s.first().copied())
        .ok_or_else(|| format!("the network has no {weight}"))?;
    if let Some(neuron) = edit.neurons.iter().find(|n| **n as usize >= outputs) {
        return Err(format!(
            "there is no neuron {neuron} in layer {}; {block} has neurons 0 to {}",
            edit.layer,
            outputs - 1
        ));
    }
    let mut rows = edit.neurons.clone();
    rows.sort_unstable();
    rows.dedup();
    Ok(WeightEdit {
        weight,
        change: Change::Rows {
            rows,
            factor: edit.factor,
        },
        when: edit.when,
        cluster: None,
    })
}

fn zero(edit: &MaskEdit, shape: &dyn Fn(&str) -> Option<Vec<usize>>) -> Result<WeightEdit, String> {
    let weight = &edit.weight;
    let found = shape(weight).ok_or_else(|| {
        format!("the network has no weight “{weight}”; names are those of diffusers, as “mid_block.attentions.0.transformer_blocks.0.ff.net.2.weight”")
    })?;
    if found != edit.zero.shape() {
        return Err(format!(
            "the mask of {weight} is {:?}, the weight {found:?}",
            edit.zero.shape()
        ));
    }
    Ok(WeightEdit {
        weight: weight.clone(),
        change: Change::Zero(edit.zero.clone()),
        when: edit.when,
        cluster: None,
    })
}

/// A number a weight is stored as.
trait Value: Copy {
    const ZERO: Self;
    /// The product, computed in f32 (f64 for itself) and rounded once.
    fn times(self, factor: f32) -> Self;
}

impl Value for f32 {
    const ZERO: Self = 0.0;
    fn times(self, factor: f32) -> Self {
        self * factor
    }
}

impl Value for f64 {
    const ZERO: Self = 0.0;
    fn times(self, factor: f32) -> Self {
        self * f64::from(factor)
    }
}

impl Value for f16 {
    const ZERO: Self = Self::ZERO;
    fn times(self, factor: f32) -> Self {
        Self::from_f32(self.to_f32() * factor)
    }
}

impl Value for bf16 {
    const ZERO: Self = Self::ZERO;
    fn times(self, factor: f32) -> Self {
        Self::from_f32(self.to_f32() * factor)
    }
}

/// Changes the values of a weight with `rows` output channels.
fn change_values<T: Value>(values: &mut [T], outputs: usize, changes: &[&Change]) {
    let width = values.len() / outputs.max(1);
    for change in changes {
        match change {
            // Off is zero, whatever the weight.
            Change::Rows { rows, factor } => {
                for &row in rows {
                    let row = &mut values[row as usize * width..][..width];
                    if *factor == 0.0 {
                        row.fill(T::ZERO);
                    } else {
                        row.iter_mut().for_each(|v| *v = v.times(*factor));
                    }
                }
            }
            Change::Zero(mask) => mask.set_places().for_each(|at| values[at] = T::ZERO),
        }
    }
}

/// A changed copy of a weight. The changes were resolved against its shape. The values are copied once.
pub(super) fn changed(tensor: &Tensor, changes: &[&Change]) -> candle_core::Result<Tensor> {
    fn copy<T: Value + WithDType>(tensor: &Tensor, changes: &[&Change]) -> candle_core::Result<Tensor> {
        let mut values = tensor.flatten_all()?.to_vec1::<T>()?;
        change_values(&mut values, tensor.dims()[0], changes);
        Tensor::from_vec(values, tensor.dims(), &Device::Cpu)?.to_device(tensor.device())
    }
    match tensor.dtype() {
        DType::F32 => copy::<f32>(tensor, changes),
        DType::F64 => copy::<f64>(tensor, changes),
        DType::F16 => copy::<f16>(tensor, changes),
        DType::BF16 => copy::<bf16>(tensor, changes),
        other => candle_core::bail!("weights of type {} cannot be edited", other.as_str()),
    }
}

/// Changes a weight as a safetensors file holds it, little-endian; `dtype` as the file names it.
///
/// # Errors
/// A sentence for types that cannot be edited.
pub(super) fn change_bytes(
    bytes: &mut [u8],
    dtype: &str,
    outputs: usize,
    changes: &[&Change],
) -> Result<(), String> {
    fn through<T: Value, const N: usize>(
        bytes: &mut [u8],
        outputs: usize,
        changes: &[&Change],
        read: fn([u8; N]) -> T,
        write: fn(T) -> [u8; N],
    ) {
        let cells = bytes.as_chunks_mut::<N>().0;
        let mut values: Vec<T> = cells.iter().map(|cell| read(*cell)).collect();
        change_values(&mut values, outputs, changes);
        for (cell, value) in cells.iter_mut().zip(values) {
            *cell = write(value);
        }
    }
    match dtype {
        "F32" => through(bytes, outputs, changes, f32::from_le_bytes, f32::to_le_bytes),
        "F64" => through(bytes, outputs, changes, f64::from_le_bytes, f64::to_le_bytes),
        "F16" => through(bytes, outputs, changes, f16::from_le_bytes, f16::to_le_bytes),
        "BF16" => through(bytes, outputs, changes, bf16::from_le_bytes, bf16::to_le_bytes),
        other => return Err(format!("weights of type {other} cannot be edited")),
    }
    Ok(())
}
