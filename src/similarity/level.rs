//! One scale of one region, ready for comparing: centred values, local means and variances.

use super::{
    kernel::{Grid, Isa, MARGIN, Scratch, statistics},
    pyramid::{SCALES, SIDE, pyramid, side_at, unit_at},
};

/// Most planes of a region: red, green, blue, alpha.
pub(super) const MOST_PLANES: usize = 4;

/// A stored pixel value.
pub(super) trait Sample: Copy + PartialOrd {
    /// As a float, before scaling.
    fn float(self) -> f32;
    /// Sum of a slice.
    fn sum(values: &[Self]) -> f64;
}

impl Sample for u8 {
    fn float(self) -> f32 {
        f32::from(self)
    }
    fn sum(values: &[Self]) -> f64 {
        // A plane has at most 512² bytes: the sum fits.
        f64::from(values.iter().map(|&v| u32::from(v)).sum::<u32>())
    }
}

impl Sample for u16 {
    fn float(self) -> f32 {
        f32::from(self)
    }
    fn sum(values: &[Self]) -> f64 {
        // 65 280 sums of 65 280 fit into 32 bits.
        values
            .chunks(4096)
            .map(|c| f64::from(c.iter().map(|&v| u32::from(v)).sum::<u32>()))
            .sum()
    }
}

impl Sample for f32 {
    fn float(self) -> f32 {
        self
    }
    fn sum(values: &[Self]) -> f64 {
        values.iter().map(|&v| f64::from(v)).sum()
    }
}

/// Planes of one scale with everything about them that does not depend on the other picture.
///
/// The plane's mean is subtracted before squares are formed: covariances do not change, but flat bright
/// areas keep their precision in f32 (`E[x²] − μ²` cancels otherwise).
#[derive(Clone, Debug, Default)]
pub(super) struct Level {
    pub grid: Grid,
    pub planes: usize,
    /// Width of the planes before padding.
    pub side: usize,
    pub values: Vec<f32>,
    pub means: Vec<f32>,
    pub variances: Vec<f32>,
    pub offsets: [f32; MOST_PLANES],
    /// Smallest value over all planes.
    pub low: f32,
    /// Largest value over all planes.
    pub high: f32,
}

impl Level {
    /// Reads planes of `side`×`side` samples worth `unit` each, one below the other, and computes the
    /// statistics. `padded`: reflect by 5 pixels, so that the statistics have the size of the input.
    /// Buffers are reused.
    pub fn fill<T: Sample>(
        &mut self,
        planes: &[T],
        side: usize,
        unit: f32,
        padded: bool,
        scratch: &mut Scratch,
    ) {
        let area = side * side;
        let grid = Grid::new(if padded { side + 2 * MARGIN } else { side });
        let count = (planes.len() / area).min(MOST_PLANES);
        if (self.grid, self.planes) != (grid, count) {
            (self.grid, self.planes) = (grid, count);
            self.values = vec![0.0; count * grid.input_len()];
            self.means = vec![0.0; count * grid.output_len()];
            self.variances = vec![0.0; count * grid.output_len()];
        }
        self.side = side;
        let isa = Isa::detect();
        let (mut low, mut high) = (planes[0], planes[0]);
        for (p, plane) in planes.chunks_exact(area).take(count).enumerate() {
            for &v in plane {
                low = if v < low { v } else { low };
                high = if v > high { v } else { high };
            }
            let offset = (T::sum(plane) / area as f64 * f64::from(unit)) as f32;
            self.offsets[p] = offset;
            let values = &mut self.values[p * grid.input_len()..][..grid.input_len()];
            for (r, row) in values.chunks_exact_mut(grid.input_stride).enumerate() {
                if padded {
                    let from = &plane[reflect(r, side) * side..][..side];
                    for (c, v) in row[..grid.input].iter_mut().enumerate() {
                        *v = from[reflect(c, side)].float() * unit - offset;
                    }
                } else {
                    for (v, s) in row.iter_mut().zip(&plane[r * side..][..side]) {
                        *v = s.float() * unit - offset;
                    }
                }
            }
            let out = p * grid.output_len()..(p + 1) * grid.output_len();
            statistics(
                isa,
                &grid,
                values,
                &mut self.means[out.clone()],
                &mut self.variances[out],
                scratch,
            );
        }
        self.low = low.float() * unit;
        self.high = high.float() * unit;
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        4 * (self.values.len() + self.means.len() + self.variances.len())
    }
}

/// Index into `n` samples of padded position `i`, mirrored at the edges without repeating them.
fn reflect(i: usize, n: usize) -> usize {
    let i = i.abs_diff(MARGIN);
    if i < n { i } else { 2 * (n - 1) - i }
}

/// All five scales of one region.
pub(super) type Levels = [Level; SCALES];

/// All five scales of 512² planes of bytes; the coarsest one padded if `pad_last`.
pub(super) fn levels(planes: &[u8], pad_last: bool, scratch: &mut Scratch) -> Levels {
    let sums = pyramid(planes);
    let mut levels = Levels::default();
    for (scale, level) in levels.iter_mut().enumerate() {
        match scale.checked_sub(1) {
            None => level.fill(planes, SIDE, unit_at(0), false, scratch),
            Some(i) => level.fill(
                &sums[i],
                side_at(scale),
                unit_at(scale),
                pad_last && scale == SCALES - 1,
                scratch,
            ),
        }
    }
    levels
}
