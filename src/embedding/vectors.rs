//! A set of unit vectors of one length.

use super::EmbeddingError;
use rayon::prelude::*;

/// Unit vectors, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vectors {
    dim: usize,
    values: Vec<f32>,
}

/// Scales to length 1.
///
/// # Errors
/// [`EmbeddingError::Degenerate`] for a vector that is zero or not finite.
pub(super) fn unit(mut vector: Vec<f32>) -> Result<Vec<f32>, EmbeddingError> {
    let norm = vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if !norm.is_finite() || norm < 1e-12 {
        return Err(EmbeddingError::Degenerate);
    }
    vector.iter_mut().for_each(|v| *v = (f64::from(*v) / norm) as f32);
    Ok(vector)
}

/// Dot product; of unit vectors the cosine.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (a, b) in whole_a.iter().zip(whole_b) {
        for ((s, x), y) in sums.iter_mut().zip(a).zip(b) {
            *s += x * y;
        }
    }
    sums.iter().sum::<f32>() + rest_a.iter().zip(rest_b).map(|(x, y)| x * y).sum::<f32>()
}

impl Vectors {
    /// An empty set of vectors of `dim` values.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            values: Vec::new(),
        }
    }

    /// From row-major values; `None` when these are no whole rows.
    pub fn from_values(dim: usize, values: Vec<f32>) -> Option<Self> {
        (dim > 0 && values.len().is_multiple_of(dim)).then_some(Self { dim, values })
    }

    /// Appends a vector; `false` when it has another length.
    pub fn push(&mut self, vector: &[f32]) -> bool {
        let fits = vector.len() == self.dim;
        if fits {
            self.values.extend_from_slice(vector);
        }
        fits
    }

    /// Values per vector.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.dim).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Vector `i`; `None` past the end.
    pub fn get(&self, i: usize) -> Option<&[f32]> {
        self.values
            .get(i.checked_mul(self.dim)?..(i + 1).checked_mul(self.dim)?)
    }

    /// The vectors, in order.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim.max(1))
    }

    /// Cosine of vector `i` and `query`; `None` past the end or for another length.
    pub fn cosine(&self, i: usize, query: &[f32]) -> Option<f32> {
        self.get(i)
            .filter(|v| v.len() == query.len())
            .map(|v| dot(v, query))
    }

    /// The `count` nearest by cosine, best first, ties by index: exact, by comparing all.
    pub fn nearest(&self, query: &[f32], count: usize) -> Vec<(u32, f32)> {
        if query.len() != self.dim || count == 0 {
            return Vec::new();
        }
        let mut all: Vec<(u32, f32)> = self
            .values
            .par_chunks_exact(self.dim)
            .enumerate()
            .with_min_len(256)
            .map(|(i, v)| (i as u32, dot(v, query)))
            .collect();
        let best_first = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if count < all.len() {
            all.select_nth_unstable_by(count, best_first);
            all.truncate(count);
        }
        all.sort_unstable_by(best_first);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_found_in_order() {
        let mut vectors = Vectors::new(2);
        for angle in [0.0_f32, 0.5, 1.0, 1.5, 0.5] {
            assert!(vectors.push(&[angle.cos(), angle.sin()]));
        }
        assert!(!vectors.push(&[1.0]));
        let found = vectors.nearest(&[0.6_f32.cos(), 0.6_f32.sin()], 3);
        assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), [1, 4, 2]);
        assert!((found[0].1 - 0.1_f32.cos()).abs() < 1e-6);
        assert_eq!(vectors.nearest(&[1.0, 0.0], 99).len(), 5);
        assert!(vectors.nearest(&[1.0], 2).is_empty());
        assert!(unit(vec![0.0; 3]).is_err() && unit(vec![f32::NAN]).is_err());
    }
}
