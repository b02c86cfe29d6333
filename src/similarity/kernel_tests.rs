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

/// Statistics of two noisy planes and their map, by some body.
type Results = [Vec<f32>; 5];

fn results(
    mut statistics: impl FnMut(&Grid, &[f32], &mut [f32], &mut [f32], &mut Scratch),
    mut map: impl FnMut(&Grid, &Pair<'_>, Constants, &mut [f32], &mut Scratch),
) -> Results {
    // An odd number of rows, and rows that end inside a group of lanes.
    let grid = Grid::new(51);
    let planes = [noise(grid.input_len(), 7), noise(grid.input_len(), 8)];
    let mut scratch = Scratch::default();
    let mut of = |plane: &[f32]| {
        let mut found = [vec![0.0; grid.output_len()], vec![0.0; grid.output_len()]];
        let [means, variances] = &mut found;
        statistics(&grid, plane, means, variances, &mut scratch);
        found
    };
    let ([mx, vx], [my, vy]) = (of(&planes[0]), of(&planes[1]));
    let pair = Pair {
        values: [&planes[0], &planes[1]],
        means: [&mx, &my],
        variances: [&vx, &vy],
        offsets: [0.5, 0.25],
    };
    let mut out = vec![0.0; grid.output_len()];
    map(
        &grid,
        &pair,
        Constants { c1: 1e-4, c2: 9e-4 },
        &mut out,
        &mut scratch,
    );
    [mx, vx, my, vy, out].map(|plane| {
        let rows = plane.chunks_exact(grid.output_stride);
        rows.flat_map(|row| row[..grid.output].to_vec()).collect()
    })
}

fn by(isa: Isa) -> Results {
    results(
        |grid, x, m, v, s| statistics(isa, grid, x, m, v, s),
        |grid, pair, constants, out, s| add_full_map(isa, grid, pair, constants, out, s),
    )
}

/// The same bodies with `N` lanes and fused multiply-add, compiled for no instruction set in particular.
fn with_lanes<const N: usize>() -> Results {
    results(statistics_body::<N, true>, |grid, pair, constants, out, s| {
        let least = f64::NEG_INFINITY;
        compare_body::<N, true, true, true>(grid, pair, constants, least, s, out);
    })
}

/// The same bits. Miri rounds what the processor's vector instructions would not, so there it is a few steps of f32 on
/// values up to 1.
fn assert_same(found: &Results, want: &Results, what: &str) {
    if cfg!(miri) {
        for (a, b) in found.iter().flatten().zip(want.iter().flatten()) {
            assert!((a - b).abs() < 1e-5, "{what}: {a} {b}");
        }
    } else {
        assert_eq!(found, want, "{what}");
    }
}

#[test]
fn every_path_with_fused_arithmetic_gives_the_same_bits() {
    // Four lanes are a register of NEON, eight of AVX2, sixteen of AVX-512.
    let want = with_lanes::<8>();
    assert!(want.iter().flatten().any(|v| *v != 0.0));
    assert_same(&with_lanes::<4>(), &want, "4 lanes");
    assert_same(&with_lanes::<16>(), &want, "16 lanes");
    for isa in Isa::available() {
        if isa == Isa::Portable {
            // Rounded twice where the others round once: a few steps of f32 on values up to 1.
            for (a, b) in by(isa).iter().flatten().zip(want.iter().flatten()) {
                assert!((a - b).abs() < 1e-5, "{isa:?}: {a} {b}");
            }
        } else {
            assert_same(&by(isa), &want, isa.name());
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri rounds differently")]
fn the_same_bits_on_every_kind_of_processor() {
    // FNV-1a of the bits; the same here on AVX2 and on an emulated aarch64.
    let fused = with_lanes::<8>();
    let bytes = fused.iter().flatten().flat_map(|v| v.to_bits().to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
    });
    assert_eq!(hash, 0x32af_8770_76f2_e37d, "{hash:#018x}");
}

#[test]
fn the_widest_path_is_chosen_and_named() {
    let all = Isa::available();
    assert_eq!(Isa::detect(), all[0]);
    assert_eq!(all.last(), Some(&Isa::Portable));
    let known = ["AVX-512", "AVX2", "NEON", "portable"];
    let places: Vec<_> = all
        .iter()
        .map(|i| known.iter().position(|k| *k == i.name()))
        .collect();
    assert!(
        places.is_sorted() && places.iter().all(Option::is_some),
        "{all:?}"
    );
}
