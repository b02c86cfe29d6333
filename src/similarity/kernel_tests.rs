//! The kernels against plain sums.

use super::*;

fn noise(n: usize, mut seed: u32) -> Vec<f32> {
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / 16_777_216.0 - 0.5
    };
    (0..n).map(|_| next()).collect()
}

#[test]
fn the_window_is_torchmetrics() {
    let want = [
        0.001_028_38,
        0.007_598_76,
        0.036_000_77,
        0.109_360_69,
        0.213_005_54,
        0.266_011_72,
    ];
    for (w, want) in window().into_iter().zip(want) {
        assert!((w - want).abs() < 1e-7);
    }
}

#[test]
fn every_instruction_set_agrees_with_a_plain_sum() {
    let grid = Grid::new(43);
    let x = noise(grid.input_len(), 1);
    let w = window();
    let weight = |k: usize| w[k.min(TAPS - 1 - k)];
    for isa in Isa::available() {
        let mut means = vec![0.0; grid.output_len()];
        let mut variances = means.clone();
        statistics(
            isa,
            &grid,
            &x,
            &mut means,
            &mut variances,
            &mut Scratch::default(),
        );
        for (r, c) in [(0, 0), (5, 20), (32, 32)] {
            let (mut mean, mut power) = (0f64, 0f64);
            for i in 0..TAPS {
                for j in 0..TAPS {
                    let v = f64::from(x[(r + i) * grid.input_stride + c + j]);
                    let w = f64::from(weight(i) * weight(j));
                    mean += w * v;
                    power += w * v * v;
                }
            }
            let at = r * grid.output_stride + c;
            assert!((f64::from(means[at]) - mean).abs() < 1e-6, "{isa:?}");
            assert!(
                (f64::from(variances[at]) - (power - mean * mean)).abs() < 1e-6,
                "{isa:?}"
            );
        }
    }
}

#[test]
fn stopping_early_never_underestimates() {
    let grid = Grid::new(64);
    let (x, y) = (noise(grid.input_len(), 3), noise(grid.input_len(), 4));
    let isa = Isa::detect();
    let mut scratch = Scratch::default();
    let zero = vec![0.0; grid.output_len()];
    let (mut m, mut v) = ([zero.clone(), zero.clone()], [zero.clone(), zero]);
    for (i, plane) in [&x, &y].into_iter().enumerate() {
        statistics(isa, &grid, plane, &mut m[i], &mut v[i], &mut scratch);
    }
    let pair = Pair {
        values: [&x, &y],
        means: [&m[0], &m[1]],
        variances: [&v[0], &v[1]],
        offsets: [0.5, 0.5],
    };
    let constants = Constants { c1: 1e-4, c2: 9e-4 };
    let all = contrast_sum(isa, &grid, &pair, constants, f64::NEG_INFINITY, &mut scratch);
    let Sum::Exact(sum) = all else {
        panic!("not stopped: {all:?}")
    };
    match contrast_sum(isa, &grid, &pair, constants, 0.9 * 54.0 * 54.0, &mut scratch) {
        Sum::AtMost(most) => assert!(most >= sum && most < 0.9 * 54.0 * 54.0),
        Sum::Exact(_) => panic!("independent noise must stop early"),
    }
}
