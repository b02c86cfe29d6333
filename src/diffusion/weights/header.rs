//! The header of a safetensors file, checked before anything is allocated for it.
//! Format: 8 bytes little-endian header length, a JSON header, the data (huggingface/safetensors, `README.md`).

use candle_core::DType;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use std::{collections::BTreeMap, fmt};

/// Longest header accepted; that of SD 1.5's UNet has 90 kB.
pub const MAX_HEADER: u64 = 16 << 20;

/// Element type, shape and place of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TensorInfo {
    /// `F16`, `BF16`, `F32`, `F64`, or a type that is refused when read.
    pub dtype: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// Begin and end in the data part, in bytes.
    pub data_offsets: (u64, u64),
}

impl TensorInfo {
    /// Number of values. Cannot overflow once the header is checked.
    pub fn count(&self) -> u64 {
        self.shape.iter().map(|&d| d as u64).product()
    }

    /// Element type, if it is one that is read.
    pub fn element(&self) -> Option<DType> {
        match self.dtype.as_str() {
            "F16" => Some(DType::F16),
            "BF16" => Some(DType::BF16),
            "F32" => Some(DType::F32),
            "F64" => Some(DType::F64),
            _ => None,
        }
    }
}

/// The tensors that a header names; `available` is the number of bytes after it.
///
/// # Errors
/// In words: JSON of another form, a name given twice, places outside the data, sizes that do not fit the shape,
/// tensors that lie on top of each other.
pub fn parse(json: &[u8], available: u64) -> Result<BTreeMap<String, TensorInfo>, String> {
    let Entries(entries) =
        serde_json::from_slice(json).map_err(|e| format!("its header is not valid: {e}"))?;
    let mut tensors = BTreeMap::new();
    for (name, value) in entries {
        if name == "__metadata__" {
            continue;
        }
        let info: TensorInfo = serde_json::from_value(value)
            .map_err(|e| format!("the header's entry for {name} is not valid: {e}"))?;
        check(&name, &info, available)?;
        if tensors.insert(name.clone(), info).is_some() {
            return Err(format!("its header names {name} twice"));
        }
    }
    // Overlapping tensors could claim far more memory than the file has bytes.
    let mut places: Vec<(&String, u64, u64)> = tensors
        .iter()
        .map(|(name, info)| (name, info.data_offsets.0, info.data_offsets.1))
        .filter(|(_, begin, end)| begin < end)
        .collect();
    places.sort_unstable_by_key(|&(_, begin, end)| (begin, end));
    for pair in places.windows(2) {
        if let [(a, _, end), (b, begin, _)] = pair
            && begin < end
        {
            return Err(format!("{a} and {b} are said to lie at the same place"));
        }
    }
    Ok(tensors)
}

fn check(name: &str, info: &TensorInfo, available: u64) -> Result<(), String> {
    let (begin, end) = info.data_offsets;
    if begin > end || end > available {
        return Err(format!(
            "{name} is said to lie at bytes {begin} to {end}, but the file has {available} bytes of data; it may be \
             cut off"
        ));
    }
    let count = info.shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64));
    let expected = match info.element() {
        Some(element) => count.and_then(|n| n.checked_mul(element.size_in_bytes() as u64)),
        // Of a type that is not read: all that must hold is that its values can be counted.
        None => count.filter(|&n| n <= 8 * available).map(|_| end - begin),
    };
    if expected != Some(end - begin) {
        return Err(format!(
            "{name} is {:?} of {} but has {} bytes",
            info.shape,
            info.dtype,
            end - begin
        ));
    }
    Ok(())
}

/// A JSON object with all its entries; a map would silently keep one of two entries with the same name.
struct Entries(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Read)
    }
}
