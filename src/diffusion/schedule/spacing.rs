//! Where on the training schedule sampling evaluates the network.

/// How sampling steps are spread over training steps (Lin et al., 2305.08891, table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Multiples of a whole stride, from 0 plus the offset.
    Leading,
    /// Back from the last training step.
    Trailing,
    /// Both ends included.
    Linspace,
}

/// Whole timesteps, noisiest first. `steps` is at least 1 and at most `train`.
pub(super) fn whole(spacing: Spacing, train: usize, steps: usize, offset: usize) -> Vec<usize> {
    match spacing {
        Spacing::Leading => leading(train / steps, steps, offset),
        Spacing::Linspace => {
            let points = linspace((train - 1) as f64, steps);
            points.iter().rev().map(|&t| round(t)).collect()
        }
        Spacing::Trailing => trailing(train, train as f64 / steps as f64),
    }
}

/// Multiples of a stride plus an offset, largest first.
pub(super) fn leading(stride: usize, steps: usize, offset: usize) -> Vec<usize> {
    (0..steps).rev().map(|i| i * stride + offset).collect()
}

/// numpy's `linspace(0, end, count)`: multiples of the step, and the end exactly.
pub(super) fn linspace(end: f64, count: usize) -> Vec<f64> {
    let step = if count > 1 { end / (count - 1) as f64 } else { 0.0 };
    let at = |i: usize| {
        if i > 0 && i + 1 == count {
            end
        } else {
            i as f64 * step
        }
    };
    (0..count).map(at).collect()
}

/// numpy's `arange(start, 0, −stride)`, rounded, less one: its own length rule, and the step as it comes out of the
/// first two.
pub(super) fn trailing(start: usize, stride: f64) -> Vec<usize> {
    let start = start as f64;
    let delta = (start - stride) - start;
    let count = (-start / -stride).ceil() as usize;
    (0..count)
        .map(|i| round(start + i as f64 * delta).saturating_sub(1))
        .collect()
}

/// Half to even, as numpy.
pub(super) fn round(x: f64) -> usize {
    x.round_ties_even().max(0.0) as usize
}
