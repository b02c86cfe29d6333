//! Half-precision weights to f32. Exact: every f16 and every bf16 is an f32.
//!
//! `unsafe` here calls the processor's conversion instruction (F16C), some four times as fast as shifting bits.

#![allow(
    unsafe_code,
    reason = "one processor instruction (F16C), behind a run-time check"
)]

use super::math::vectorised;
use half::{bf16, f16, slice::HalfFloatSliceExt};
use std::ops::Range;

/// Weights as they lie in memory: widened block by block where they are used.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// Single precision.
    F32(&'a [f32]),
    /// Half precision.
    F16(&'a [f16]),
    /// Half precision with the range of f32.
    Bf16(&'a [bf16]),
}

impl<'a> Stored<'a> {
    /// Number of values.
    pub fn len(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The values of a range in single precision: those in memory, or a copy in `scratch`.
    ///
    /// # Panics
    /// A range beyond the end.
    pub fn widened<'s>(self, range: Range<usize>, scratch: &'s mut Vec<f32>) -> &'s [f32]
    where
        'a: 's,
    {
        if let Self::F32(values) = self {
            return &values[range];
        }
        let count = range.len();
        if scratch.len() < count {
            scratch.resize(count, 0.0);
        }
        let target = &mut scratch[..count];
        match self {
            Self::F32(_) => {}
            Self::F16(values) => widen_f16(&values[range], target),
            Self::Bf16(values) => widen_bf16(values[range].reinterpret_cast(), target),
        }
        target
    }
}

/// f16 to f32.
///
/// # Panics
/// Slices of different lengths.
pub fn widen_f16(source: &[f16], target: &mut [f32]) {
    assert_eq!(source.len(), target.len(), "as many values as there is room for");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("f16c") {
        // SAFETY: the processor has the instruction (and AVX, which it implies).
        return unsafe { widen_f16c(source, target) };
    }
    widen_bits(source.reinterpret_cast(), target);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,f16c")]
fn widen_f16c(source: &[f16], target: &mut [f32]) {
    use std::arch::x86_64::{_mm_loadu_si128, _mm256_cvtph_ps, _mm256_storeu_ps};
    let (sources, rest) = source.as_chunks::<8>();
    let (targets, tail) = target.as_chunks_mut::<8>();
    for (eight, to) in sources.iter().zip(targets) {
        // SAFETY: both sides have eight values, and f16 has the layout of u16.
        unsafe {
            let eight = _mm_loadu_si128(eight.as_ptr().cast());
            _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(eight));
        }
    }
    widen_bits(rest.reinterpret_cast(), tail);
}

vectorised! {
    /// bf16, given by their bits, to f32.
    pub fn widen_bf16(source: &[u16], target: &mut [f32]) {
        for (value, &bits) in target.iter_mut().zip(source) {
            *value = f32::from_bits(u32::from(bits) << 16);
        }
    }
}

vectorised! {
    /// f16, given by their bits, to f32 without a conversion instruction.
    pub fn widen_bits(source: &[u16], target: &mut [f32]) {
        // The exponents' biases differ by 112; multiplying by 2¹¹² also normalises subnormal numbers, exactly.
        let rebias = f32::from_bits((112 + 127) << 23);
        for (value, &bits) in target.iter_mut().zip(source) {
            let size = f32::from_bits(u32::from(bits & 0x7fff) << 13) * rebias;
            let special = if bits & 0x7c00 == 0x7c00 { 0x7f80_0000 } else { 0 };
            *value = f32::from_bits(size.to_bits() | special | u32::from(bits & 0x8000) << 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_number_is_widened_exactly() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        let mut by_instruction = vec![0f32; bits.len()];
        let mut by_shifting = by_instruction.clone();
        let mut brain = by_instruction.clone();
        let halves: Vec<f16> = bits.iter().map(|&b| f16::from_bits(b)).collect();
        widen_f16(&halves, &mut by_instruction);
        widen_bits(&bits, &mut by_shifting);
        widen_bf16(&bits, &mut brain);
        for (i, &b) in bits.iter().enumerate() {
            let want = f16::from_bits(b).to_f32();
            for got in [by_instruction[i], by_shifting[i]] {
                assert!(
                    got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(),
                    "{b:04x} became {got}, not {want}"
                );
            }
            let want = bf16::from_bits(b).to_f32();
            assert!(brain[i].to_bits() == want.to_bits() || brain[i].is_nan() && want.is_nan());
        }
    }

    #[test]
    fn ranges_of_every_kind_are_cut_alike() {
        let wide: Vec<f32> = (0..100).map(|i| i as f32 * 0.25 - 7.0).collect();
        let half: Vec<f16> = wide.iter().map(|&v| f16::from_f32(v)).collect();
        let brain: Vec<bf16> = wide.iter().map(|&v| bf16::from_f32(v)).collect();
        let mut scratch = Vec::new();
        for stored in [Stored::F32(&wide), Stored::F16(&half), Stored::Bf16(&brain)] {
            assert_eq!(stored.len(), 100);
            assert_eq!(stored.widened(13..51, &mut scratch), &wide[13..51]);
            assert_eq!(stored.widened(99..100, &mut scratch), &wide[99..100]);
        }
    }
}
