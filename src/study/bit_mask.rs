//! One bit per weight.

use std::{fmt, sync::Arc};

/// A boolean per entry of a tensor, eight to a byte: 0.8 MB for the largest `ff.net.2` of SD 1.5.
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct BitMask {
    shape: Vec<usize>,
    bits: Arc<[u8]>,
}

impl BitMask {
    /// Most entries of a mask.
    pub const MOST: usize = 1 << 31;

    /// From the bits of all entries in row-major order, the first in the highest bit of the first byte, as
    /// `numpy.packbits(mask)` gives them.
    ///
    /// # Errors
    /// A sentence that gives both lengths when they do not fit, or says that a bit behind the last entry is set.
    pub fn from_packed(shape: Vec<usize>, bits: impl Into<Arc<[u8]>>) -> Result<Self, String> {
        let bits = bits.into();
        let entries = shape
            .iter()
            .try_fold(1usize, |n, &side| n.checked_mul(side))
            .filter(|n| (1..=Self::MOST).contains(n))
            .ok_or_else(|| format!("a mask of shape {shape:?} is empty or too large"))?;
        if bits.len() != entries.div_ceil(8) {
            return Err(format!(
                "a mask of shape {shape:?} has {entries} bits, which is {} bytes, but {} bytes are there",
                entries.div_ceil(8),
                bits.len()
            ));
        }
        let spare = bits.len() * 8 - entries;
        if bits
            .last()
            .is_some_and(|last| last & ((1u16 << spare) - 1) as u8 != 0)
        {
            return Err(format!(
                "bits behind the last of {entries} entries are set; the mask may be packed the other way round"
            ));
        }
        Ok(Self { shape, bits })
    }

    /// From one boolean per entry, in row-major order.
    ///
    /// # Errors
    /// As [`from_packed`](Self::from_packed).
    pub fn from_bools(shape: Vec<usize>, entries: &[bool]) -> Result<Self, String> {
        let expected: usize = shape.iter().product();
        if expected != entries.len() {
            return Err(format!(
                "a mask of shape {shape:?} has {expected} entries, but {} are there",
                entries.len()
            ));
        }
        let pack = |eight: &[bool]| {
            eight
                .iter()
                .enumerate()
                .fold(0u8, |byte, (i, &set)| byte | u8::from(set) << (7 - i))
        };
        Self::from_packed(shape, entries.chunks(8).map(pack).collect::<Vec<u8>>())
    }

    /// Shape of the tensor it belongs to.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Never: a mask has at least one entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of entries that are set.
    pub fn count(&self) -> usize {
        self.bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// The entry at a place in row-major order; false behind the last.
    pub fn get(&self, at: usize) -> bool {
        self.bits
            .get(at / 8)
            .is_some_and(|byte| byte >> (7 - at % 8) & 1 == 1)
    }

    /// The bits, as [`from_packed`](Self::from_packed) takes them.
    pub fn packed(&self) -> &[u8] {
        &self.bits
    }

    /// Places of the entries that are set, ascending.
    pub fn set_places(&self) -> impl Iterator<Item = usize> + '_ {
        self.bits
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte != 0)
            .flat_map(|(i, &byte)| {
                (0..8)
                    .filter(move |bit| byte >> (7 - bit) & 1 == 1)
                    .map(move |bit| i * 8 + bit)
            })
    }
}

impl fmt::Debug for BitMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BitMask({:?}, {} set)", self.shape, self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_lie_as_numpy_packs_them() {
        let bools: Vec<bool> = (0..12).map(|i| [1, 8, 11].contains(&i)).collect();
        let mask = BitMask::from_bools(vec![3, 4], &bools).unwrap();
        assert_eq!(mask.packed(), [0b0100_0000, 0b1001_0000]);
        assert_eq!(mask.set_places().collect::<Vec<_>>(), [1, 8, 11]);
        assert_eq!((mask.len(), mask.count()), (12, 3));
        assert!(mask.get(8) && !mask.get(9) && !mask.get(400));
    }

    #[test]
    fn lengths_and_spare_bits_are_checked() {
        assert!(
            BitMask::from_packed(vec![3, 4], vec![0u8; 3])
                .unwrap_err()
                .contains("3 bytes are there")
        );
        assert!(
            BitMask::from_packed(vec![3, 4], vec![0u8, 1])
                .unwrap_err()
                .contains("other way round")
        );
        assert!(BitMask::from_packed(vec![0], Vec::<u8>::new()).is_err());
        assert!(BitMask::from_packed(vec![usize::MAX, 2], vec![0u8]).is_err());
        assert!(BitMask::from_bools(vec![2], &[true]).is_err());
    }
}
