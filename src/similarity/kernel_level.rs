//! What the scores are computed with here.

/// The vector instructions that the kernels chose on this processor: `AVX-512`, `AVX2`, `NEON` or `portable`.
pub fn vector_level() -> &'static str {
    super::kernel::Isa::detect().name()
}
