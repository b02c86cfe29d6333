//! Matrix products with weights as they are stored. Half-precision weights are widened panel by panel into a buffer
//! of about 1 MB that stays in the caches, so that memory holds and moves half as much. Widening is exact; results
//! differ from those of weights widened beforehand by rounding at most, where `gemm` adds up in another order for a
//! panel than for the whole matrix.

use super::{
    matmul::{Onto, Target, View, multiply},
    widen::Stored,
};
use rayon::prelude::*;
use std::{cell::Cell, ops::Range};

/// Values of a panel.
const PANEL: usize = 262_144;
/// Fewest rows of a panel: below, packing the other matrix again and again costs more than the caches save.
const ROWS: usize = 128;
/// Rows of a panel are a multiple of this, which the inner loops of the product are made for.
const STEP: usize = 16;

thread_local! {
    static WIDENED: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// A matrix of weights, `outputs` rows of `inputs` values.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// The values.
    pub values: Stored<'a>,
    /// Rows.
    pub outputs: usize,
    /// Columns.
    pub inputs: usize,
}

impl Weights<'_> {
    /// `target[outputs × columns] (=|+=) weights · b[inputs × columns]`; rows of the target are `stride` apart.
    pub(super) fn times(
        self,
        b: View<'_>,
        columns: usize,
        target: Target,
        stride: usize,
        onto: Onto,
        parallel: bool,
    ) {
        self.by_panels(columns == 1, parallel, |rows, panel, parallel| {
            let shape = (rows.len(), columns, self.inputs);
            let target = target.after(rows.start * stride);
            multiply(
                shape,
                target,
                stride,
                onto,
                View::rows(panel, self.inputs),
                b,
                parallel,
            );
        });
    }

    /// `target[rows × outputs] (=|+=) a[rows × inputs] · weightsᵀ`; rows of the target are `stride` apart.
    pub(super) fn transposed_after(
        self,
        a: View<'_>,
        rows: usize,
        target: Target,
        stride: usize,
        onto: Onto,
        parallel: bool,
    ) {
        if rows == 0 {
            return;
        }
        self.by_panels(rows == 1, parallel, |columns, panel, parallel| {
            let shape = (rows, columns.len(), self.inputs);
            let target = target.after(columns.start);
            multiply(
                shape,
                target,
                stride,
                onto,
                a,
                View::columns(panel, self.inputs),
                parallel,
            );
        });
    }

    /// Calls `f` with ranges of rows that cover the matrix, their values, and whether to use several threads itself.
    /// Calls happen side by side; the ranges are disjoint. Products with a `vector` add up in an order that depends on
    /// the matrix's height, so it is not cut for them.
    fn by_panels(self, vector: bool, parallel: bool, f: impl Fn(Range<usize>, &[f32], bool) + Sync) {
        let Self {
            values,
            outputs,
            inputs,
        } = self;
        assert_eq!(values.len(), outputs * inputs, "weights of another shape");
        if let Stored::F32(values) = values {
            return f(0..outputs, values, parallel);
        }
        let threads = if parallel { rayon::current_num_threads() } else { 1 };
        let most = (PANEL / inputs.max(1)).max(ROWS);
        let widen = |rows: Range<usize>, parallel: bool| {
            let mut scratch = WIDENED.take();
            let range = rows.start * inputs..rows.end * inputs;
            f(rows, values.widened(range, &mut scratch), parallel);
            WIDENED.set(scratch);
        };
        // A small matrix is not worth cutting for the threads' sake; they share the product instead.
        if vector || outputs <= most && (threads == 1 || outputs < 4 * STEP * threads) {
            return widen(0..outputs, parallel);
        }
        let panels = outputs.div_ceil(most).next_multiple_of(threads);
        let rows = outputs.div_ceil(panels).next_multiple_of(STEP);
        let panel = |i: usize| widen(i * rows..((i + 1) * rows).min(outputs), false);
        let panels = outputs.div_ceil(rows);
        if threads > 1 {
            (0..panels).into_par_iter().for_each(panel);
        } else {
            (0..panels).for_each(panel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::TorchRng;
    use half::{bf16, f16};

    #[track_caller]
    fn same(got: &[Vec<f32>; 2], want: &[Vec<f32>; 2], what: &str) {
        for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
            assert!((got - want).abs() <= 2e-4, "{got} instead of {want}, {what}");
        }
    }

    /// Both products for weights of every kind, on one thread and on several. Matrices that are not cut give the same
    /// bits; for others the sums of up to 5760 products of unit variance may round differently.
    fn check(outputs: usize, inputs: usize, other: usize) {
        let mut rng = TorchRng::new((outputs * 31 + inputs) as u64);
        let rounded: Vec<f16> = rng
            .randn(outputs * inputs)
            .iter()
            .map(|&v| f16::from_f32(v))
            .collect();
        let brain: Vec<bf16> = rounded.iter().map(|v| bf16::from_f32(v.to_f32())).collect();
        let wide: Vec<f32> = rounded.iter().map(|v| v.to_f32()).collect();
        let wide_brain: Vec<f32> = brain.iter().map(|v| v.to_f32()).collect();
        let x = rng.randn(inputs * other);
        let run = |values: Stored<'_>, parallel: bool| {
            let weights = Weights {
                values,
                outputs,
                inputs,
            };
            let mut a = vec![0.5f32; outputs * other];
            let mut b = a.clone();
            let target = Target::new(&mut a);
            weights.times(View::rows(&x, other), other, target, other, Onto::Add, parallel);
            let target = Target::new(&mut b);
            weights.transposed_after(
                View::rows(&x, inputs),
                other,
                target,
                outputs,
                Onto::Replace,
                parallel,
            );
            [a, b]
        };
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            for parallel in [false, true] {
                let what = format!("{outputs}×{inputs} and {other} on {threads} threads");
                let (want, got) = pool.install(|| {
                    (
                        run(Stored::F32(&wide), parallel),
                        run(Stored::F16(&rounded), parallel),
                    )
                });
                same(&got, &want, &format!("f16, {what}"));
                let (want, got) = pool.install(|| {
                    (
                        run(Stored::F32(&wide_brain), parallel),
                        run(Stored::Bf16(&brain), parallel),
                    )
                });
                same(&got, &want, &format!("bf16, {what}"));
            }
        }
    }

    #[test]
    fn products_are_those_of_weights_widened_before() {
        for (outputs, inputs, other) in [
            (1, 1, 1),
            (5, 7, 3),
            (320, 320, 77),
            (320, 1280, 1),
            (300, 40, 64),
            (1280, 320, 2),
            (129, 2100, 33),
            (640, 5760, 17),
        ] {
            check(outputs, inputs, other);
        }
    }
}
