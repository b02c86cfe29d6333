//! This room's door to the `gemm` crate.

#![allow(unsafe_code, reason = "the gemm kernel takes raw pointers")]

use gemm::{Parallelism, gemm};

/// A matrix in a slice: element (r, c) lies at `r · rows + c · columns`.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
}

impl<'a> View<'a> {
    /// Rows one after the other, their beginnings `stride` apart.
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        Self {
            data,
            rows: stride,
            columns: 1,
        }
    }

    /// Columns one after the other: the transpose of [`Self::rows`].
    pub fn columns(data: &'a [f32], stride: usize) -> Self {
        Self {
            data,
            rows: 1,
            columns: stride,
        }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        rows == 0 || columns == 0 || (rows - 1) * self.rows + (columns - 1) * self.columns < self.data.len()
    }
}

/// `out[m × n] (=|+=) a[m × k] · b[k × n]` on one thread; rows of `out` begin `stride` apart.
pub(super) fn multiply(
    (m, n, k): (usize, usize, usize),
    out: &mut [f32],
    stride: usize,
    a: View<'_>,
    b: View<'_>,
    add: bool,
) {
    assert!(a.covers(m, k) && b.covers(k, n), "matrix smaller than its shape");
    let last = m.saturating_sub(1) * stride + n;
    assert!(
        m == 0 || n == 0 || last <= out.len() && stride >= n,
        "target smaller than its shape"
    );
    // SAFETY: the three ranges were checked above, `out` is exclusive, and its rows do not overlap; strides are far
    // below isize::MAX since they index slices.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a.columns as isize,
            a.rows as isize,
            b.data.as_ptr(),
            b.columns as isize,
            b.rows as isize,
            if add { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
