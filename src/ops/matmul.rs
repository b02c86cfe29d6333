//! The one door to the `gemm` crate.

#![allow(
    unsafe_code,
    reason = "the gemm kernel takes raw pointers; threads write disjoint parts of one output"
)]

use gemm::Parallelism;

/// A matrix in a slice: element (r, c) lies at `r · rows + c · columns`.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// Rows one after the other.
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        Self {
            data,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// Columns one after the other: the transpose of [`rows`](Self::rows).
    pub fn columns(data: &'a [f32], stride: usize) -> Self {
        Self {
            data,
            row_stride: 1,
            column_stride: stride,
        }
    }

    fn covers(&self, rows: usize, columns: usize) -> bool {
        rows == 0
            || columns == 0
            || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// A place to write a row-major matrix to; may be shared by threads that write different elements.
#[derive(Clone, Copy)]
pub struct Target {
    pointer: *mut f32,
    len: usize,
}

// SAFETY: every user of a shared target writes its own elements (see the call sites).
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    /// All of a slice.
    pub fn new(slice: &mut [f32]) -> Self {
        Self {
            pointer: slice.as_mut_ptr(),
            len: slice.len(),
        }
    }

    /// What remains after the first `offset` elements.
    pub fn after(self, offset: usize) -> Self {
        assert!(offset <= self.len, "target offset out of range");
        // SAFETY: within the slice, just checked.
        Self {
            pointer: unsafe { self.pointer.add(offset) },
            len: self.len - offset,
        }
    }

    /// `len` elements from `offset` on.
    ///
    /// # Safety
    /// Nobody else may touch these elements while the slice lives.
    pub unsafe fn slice<'a>(self, offset: usize, len: usize) -> &'a mut [f32] {
        assert!(offset + len <= self.len, "target slice out of range");
        // SAFETY: in range, and exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.add(offset), len) }
    }
}

/// What to do with what is in the target already.
#[derive(Clone, Copy, PartialEq)]
pub enum Onto {
    /// Overwrite it.
    Replace,
    /// Overwrite it with the product times a number.
    Scaled(f32),
    /// Add to it.
    Add,
}

/// `target[m × n] (=|+=) a[m × k] · b[k × n]`; rows of the target are `stride` apart.
pub fn multiply(
    (m, n, k): (usize, usize, usize),
    target: Target,
    stride: usize,
    onto: Onto,
    a: View<'_>,
    b: View<'_>,
    parallel: bool,
) {
    assert!(a.covers(m, k) && b.covers(k, n), "matrix smaller than its shape");
    assert!(
        m == 0 || n == 0 || (m - 1) * stride + n <= target.len,
        "target smaller than its shape"
    );
    let threads = if parallel { rayon::current_num_threads() } else { 1 };
    let parallelism = if threads > 1 {
        Parallelism::Rayon(threads)
    } else {
        Parallelism::None
    };
    let (add, scale) = match onto {
        Onto::Replace => (false, 1.0),
        Onto::Scaled(scale) => (false, scale),
        Onto::Add => (true, 1.0),
    };
    // SAFETY: all three ranges were checked above; strides are far below isize::MAX since they index slices.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            target.pointer,
            1,
            stride as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            if add { 1.0 } else { 0.0 },
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}
