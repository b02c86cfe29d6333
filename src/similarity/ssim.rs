//! MS-SSIM with torchmetrics' arithmetic (METHODS §4; torchmetrics `functional/image/ssim.py`).
//!
//! Two regions that are constant and equal at some scale, under a data-dependent range, make the
//! reference divide 0 by 0; here such a scale counts as 1. Local values are computed on centred planes,
//! which equals torchmetrics in f64; in f32 torchmetrics itself loses up to 0.99 on pictures without
//! contrast (findings of `tests/similarity_parity.rs`), natural pictures agree to 1e-5.

use super::{
    kernel::{self, Constants, Isa, Pair, Scratch, Sum},
    level::Level,
    prepared::with_scratch,
    pyramid::SCALES,
};
use crate::study::Arithmetic;
use rayon::prelude::*;

/// Exponents of the five scales, finest first (Wang et al. 2003).
pub(super) const BETAS: [f64; SCALES] = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333];

/// Slack of a bound: local values are clamped to 1, so only the rounding of f32 row sums is left.
pub(super) const SLACK: f64 = 1.0 + 2e-6;

/// The settings in which the named arithmetics differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Metric {
    /// A fourth plane takes part; a region that has none is opaque (alpha 1 everywhere).
    pub alpha: bool,
    /// The range is taken from the pair at every scale instead of being 1.
    pub data_range: bool,
    /// The coarsest scale is cropped by 5 pixels (torchmetrics ≤ 1.4.1) instead of reflect-padded.
    pub crop_last: bool,
}

impl Metric {
    pub fn of(arithmetic: Arithmetic) -> Self {
        match arithmetic {
            // Cropping as in today's torchmetrics, so that anyone can check a score.
            Arithmetic::Corrected => Self {
                alpha: false,
                data_range: false,
                crop_last: false,
            },
            Arithmetic::Torchmetrics => Self {
                alpha: true,
                data_range: true,
                crop_last: false,
            },
            Arithmetic::Reference => Self {
                alpha: true,
                data_range: true,
                crop_last: true,
            },
        }
    }

    /// Range of values of a pair at one scale.
    fn range(self, a: &Level, b: &Level) -> f32 {
        if !self.data_range {
            return 1.0;
        }
        let spread = |l: &Level| {
            let opaque = self.alpha && l.planes < 4;
            (if opaque { l.high.max(1.0) } else { l.high }) - l.low
        };
        spread(a).max(spread(b))
    }

    /// What a term is made of before its planes are compared; `None` where a range of 0 makes it 1.
    fn begin(self, a: &Level, b: &Level, full: bool) -> Option<Begun> {
        let range = self.range(a, b);
        if range <= 0.0 {
            return None;
        }
        let constants = Constants {
            c1: (0.01 * range) * (0.01 * range),
            c2: (0.03 * range) * (0.03 * range),
        };
        let area = (a.grid.output * a.grid.output) as f64;
        let crossed = a.planes.min(b.planes);
        let planes = if self.alpha { crossed.max(4) } else { crossed };
        let known = match (self.alpha, a.planes, b.planes) {
            (true, 4.., ..4) => alpha_against_opaque(a, constants, full),
            (true, ..4, 4..) => alpha_against_opaque(b, constants, full),
            (true, ..4, ..4) => area,
            _ => 0.0,
        };
        Some(Begun {
            constants,
            area,
            crossed,
            all: area * planes as f64,
            known,
        })
    }

    /// The term of one scale, in `[0, 1]`: the mean of contrast·structure, or with `full` of
    /// luminance·contrast·structure, over planes and pixels; 0 if negative. Once the term is certain to
    /// be below `least`, an upper bound of it may be returned instead.
    pub fn term(self, a: &Level, b: &Level, full: bool, least: f64, scratch: &mut Scratch) -> f64 {
        let Some(begun) = self.begin(a, b, full) else {
            return 1.0;
        };
        let Begun {
            constants,
            area,
            crossed,
            all,
            known: mut total,
        } = begun;
        let needed = if least > 0.0 {
            least * all
        } else {
            f64::NEG_INFINITY
        };
        let isa = Isa::detect();
        let mut stopped = false;
        for plane in 0..crossed {
            // What the planes still to come could add at most.
            let rest = (crossed - plane - 1) as f64 * area * SLACK;
            if stopped || total + area * SLACK + rest < needed {
                stopped = true;
                total += area * SLACK;
                continue;
            }
            let pair = pair_of(a, b, plane);
            let sum = if full {
                kernel::full_sum
            } else {
                kernel::contrast_sum
            };
            match sum(isa, &a.grid, &pair, constants, needed - total - rest, scratch) {
                Sum::Exact(sum) => total += sum,
                Sum::AtMost(sum) => {
                    total += sum;
                    stopped = true;
                }
            }
        }
        (total / all).max(0.0)
    }

    /// [`term`](Self::term) of contrast·structure in full, the planes spread over the rayon pool. The
    /// sums are added in the same order: the same number.
    pub fn term_spread(self, a: &Level, b: &Level) -> f64 {
        let Some(begun) = self.begin(a, b, false) else {
            return 1.0;
        };
        let isa = Isa::detect();
        let sums: Vec<f64> = (0..begun.crossed)
            .into_par_iter()
            .with_max_len(1)
            .map(|plane| {
                let pair = pair_of(a, b, plane);
                let least = f64::NEG_INFINITY;
                let sum =
                    with_scratch(|s| kernel::contrast_sum(isa, &a.grid, &pair, begun.constants, least, s));
                match sum {
                    Sum::Exact(sum) | Sum::AtMost(sum) => sum,
                }
            })
            .collect();
        let total = sums.iter().fold(begun.known, |total, sum| total + sum);
        (total / begun.all).max(0.0)
    }
}

/// See [`Metric::begin`].
struct Begun {
    constants: Constants,
    /// Pixels of a plane that count.
    area: f64,
    /// Planes that both pictures have.
    crossed: usize,
    /// Pixels of all planes, the opaque ones included.
    all: f64,
    /// Sum over a plane that only one picture or none has.
    known: f64,
}

/// The same plane of two levels.
pub(super) fn pair_of<'a>(a: &'a Level, b: &'a Level, plane: usize) -> Pair<'a> {
    let input = a.grid.input_len();
    let output = a.grid.output_len();
    Pair {
        values: [
            &a.values[plane * input..][..input],
            &b.values[plane * input..][..input],
        ],
        means: [
            &a.means[plane * output..][..output],
            &b.means[plane * output..][..output],
        ],
        variances: [
            &a.variances[plane * output..][..output],
            &b.variances[plane * output..][..output],
        ],
        offsets: [a.offsets[plane], b.offsets[plane]],
    }
}

/// Sum over the alpha plane of `a` against alpha 1: variance and covariance of the latter are 0.
fn alpha_against_opaque(a: &Level, constants: Constants, full: bool) -> f64 {
    let Constants { c1, c2 } = constants;
    let at = 3 * a.grid.output_len();
    let stride = a.grid.output_stride;
    let (means, variances) = (&a.means[at..], &a.variances[at..]);
    let mut total = 0.0;
    for (means, variances) in means
        .chunks_exact(stride)
        .zip(variances.chunks_exact(stride))
        .take(a.grid.output)
    {
        let mut row = 0f32;
        for (m, v) in means.iter().zip(variances).take(a.grid.output) {
            let structure = c2 / (v + c2);
            let mean = m + a.offsets[3];
            let luminance = if full {
                (2.0 * mean + c1) / (mean * mean + 1.0 + c1)
            } else {
                1.0
            };
            row += (structure * luminance).min(1.0);
        }
        total += f64::from(row);
    }
    total
}

/// The score of five terms, finest first.
pub(super) fn score(terms: &[f64; SCALES]) -> f64 {
    terms.iter().zip(BETAS).map(|(t, beta)| t.powf(beta)).product()
}

/// The least term of `scale` that keeps `bound · term^β` at `wanted`; 0 when any term does. A hair too
/// small, so that a term found to be below it surely fails.
pub(super) fn least_term(wanted: f64, bound: f64, scale: usize) -> f64 {
    let ratio = wanted / bound;
    if ratio > 0.0 {
        ratio.powf(1.0 / BETAS[scale]) * (1.0 - 1e-9)
    } else {
        0.0
    }
}

#[cfg(test)]
#[path = "ssim_tests.rs"]
mod tests;
