//! Weights inside a `.pth` file of PyTorch, through candle's reader, which knows tensors and plain containers only
//! and executes nothing.

use super::pickle;
use candle_core::{
    DType, Device, Result, Tensor, bail,
    pickle::{Object, PthTensors, Stack, TensorInfo},
};
use std::{collections::HashMap, path::Path};

/// Where training programs put the module's state, when the file holds more than that.
const KEYS: [&str; 3] = ["state_dict", "model", "model_state_dict"];
/// How files from before PyTorch 1.6 begin: a pickle of a number, then one of the format's version, 1001. The authors'
/// weights of U²-Net are such files.
const OLD: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";

/// Reads all floating-point tensors of a file of `bytes` bytes.
///
/// # Errors
/// When the file is no such file, its pickle is larger or deeper than any list of tensors needs, or a tensor does not
/// fit into the file.
pub fn read(path: &Path, bytes: u64) -> Result<HashMap<String, Tensor>> {
    let begins = begins(path)?;
    let read = || match begins == OLD {
        true => read_old(&std::fs::read(path)?),
        false => {
            pickle::check(path)?;
            read_zip(path, bytes)
        }
    };
    // The reader indexes into tuples of the file without looking at their length.
    std::panic::catch_unwind(read).unwrap_or_else(|_| Err(candle_core::Error::msg("malformed pickle")))
}

fn begins(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(OLD.len() as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_zip(path: &Path, bytes: u64) -> Result<HashMap<String, Tensor>> {
    let mut file = PthTensors::new(path, None)?;
    for key in KEYS {
        if !file.tensor_infos().is_empty() {
            break;
        }
        if let Ok(inner) = PthTensors::new(path, Some(key)) {
            file = inner;
        }
    }
    let mut tensors = HashMap::new();
    for (name, info) in file.tensor_infos() {
        if !is_float(info) {
            continue;
        }
        // Checked before the reader reserves memory for whatever shape the file claims.
        if info.layout.start_offset() != 0 || count(info).is_none_or(|n| n as u64 > bytes) {
            bail!("tensor {name} is a view into another one, or larger than the file");
        }
        if let Some(tensor) = file.get(name)? {
            tensors.insert(name.clone(), tensor);
        }
    }
    Ok(tensors)
}

/// Counters of BatchNorm are integers of no interest.
fn is_float(info: &TensorInfo) -> bool {
    matches!(info.dtype, DType::F32 | DType::F16 | DType::BF16 | DType::F64)
}

fn count(info: &TensorInfo) -> Option<usize> {
    let dims = info.layout.dims();
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// A file from before PyTorch 1.6: pickles of the system, of the object and of the storages' keys, then the storages.
fn read_old(file: &[u8]) -> Result<HashMap<String, Tensor>> {
    let mut rest = &file[OLD.len()..];
    let mut next = || -> Result<Object> {
        let end = pickle::check_one(rest)?;
        let (mut bytes, after) = rest.split_at(end);
        rest = after;
        let mut stack = Stack::empty();
        stack.read_loop(&mut bytes)?;
        stack.finalize()
    };
    let (_system, object, keys) = (next()?, next()?, next()?);
    let Object::List(keys) = keys else {
        bail!("it does not list its storages");
    };
    let infos = tensors_of(object)?;
    // Bytes per value of each storage, from the tensors in it.
    let widths: HashMap<&str, usize> = infos
        .iter()
        .map(|info| (info.path.trim_start_matches('/'), info.dtype.size_in_bytes()))
        .collect();
    let mut storages: HashMap<String, &[u8]> = HashMap::new();
    for key in keys {
        let key = String::try_from(key)?;
        // A storage of no tensor: nothing says how long its values are, and nothing after it can be found.
        let Some(width) = widths.get(key.as_str()) else {
            bail!("storage {key} belongs to no tensor");
        };
        let taken = rest.split_first_chunk::<8>().and_then(|(length, after)| {
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            after.split_at_checked(length.checked_mul(*width)?)
        });
        let Some((storage, after)) = taken else {
            bail!("storage {key} is cut short");
        };
        storages.insert(key, storage);
        rest = after;
    }
    let mut tensors = HashMap::new();
    for info in infos.iter().filter(|info| is_float(info)) {
        // Counted in bytes by candle.
        let start = info.layout.start_offset();
        let values = count(info)
            .and_then(|n| n.checked_mul(info.dtype.size_in_bytes()))
            .and_then(|length| start.checked_add(length))
            .zip(storages.get(info.path.trim_start_matches('/')))
            .and_then(|(end, storage)| storage.get(start..end));
        match values {
            Some(values)
                if info.layout.is_contiguous() || info.layout.dims().iter().product::<usize>() <= 1 =>
            {
                let tensor = Tensor::from_raw_buffer(values, info.dtype, info.layout.dims(), &Device::Cpu)?;
                tensors.insert(info.name.clone(), tensor);
            }
            _ => bail!("tensor {} does not lie in its storage in one piece", info.name),
        }
    }
    Ok(tensors)
}

/// The tensors of a dictionary, or of the module's state inside it; integers too.
fn tensors_of(object: Object) -> Result<Vec<TensorInfo>> {
    let Object::Dict(entries) = object else {
        bail!("it holds no dictionary of tensors (a whole pickled module is not read)");
    };
    let mut inner = None;
    let mut infos = Vec::new();
    for (name, value) in entries {
        if let (Object::Unicode(key), Object::Dict(_)) = (&name, &value)
            && KEYS.contains(&key.as_str())
        {
            inner = Some(value);
        } else if let Some(info) = value.into_tensor_info(name, Path::new(""))? {
            infos.push(info);
        }
    }
    match inner {
        Some(inner) if infos.is_empty() => tensors_of(inner),
        _ => Ok(infos),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_weights::{distance, pseudo};

    fn file(name: &str) -> std::path::PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/segmentation");
        folder.join(format!("{name}.pth"))
    }

    /// Files that PyTorch wrote (tools/fixtures/segmentation_pth.py): today's format, the one before version 1.6, and
    /// one that holds a training's state.
    #[test]
    fn all_of_pytorchs_formats_hold_the_same() {
        for name in ["weights-zip", "weights-old", "weights-training"] {
            let tensors = read(&file(name), 1 << 20).unwrap();
            let mut names: Vec<_> = tensors.keys().map(String::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, ["norm.running_var", "side.bias", "side.weight"], "{name}");
            assert_eq!(
                distance(
                    &tensors["side.weight"],
                    &pseudo("side.weight", &[2, 3, 3, 3], 1.0)
                ),
                0.0
            );
            assert_eq!(
                distance(&tensors["side.bias"], &pseudo("side.bias", &[2], 1.0)),
                0.0
            );
        }
    }

    /// Every cut, and changed bytes here and there, end in an error or in other values, never in a panic or a crash.
    #[test]
    fn damaged_files_are_errors() {
        let whole = std::fs::read(file("weights-old")).unwrap();
        for end in 0..whole.len() {
            let cut = &whole[..end.max(OLD.len())];
            assert!(std::panic::catch_unwind(|| read_old(cut).is_err()).unwrap_or(true));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.pth");
        for name in ["weights-old", "weights-zip"] {
            let whole = std::fs::read(file(name)).unwrap();
            for at in (0..whole.len()).step_by(3) {
                let mut changed = whole.clone();
                changed[at] ^= 0x55;
                std::fs::write(&path, &changed).unwrap();
                let _ = read(&path, changed.len() as u64);
            }
        }
    }
}
