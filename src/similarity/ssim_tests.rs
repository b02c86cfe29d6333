//! The published vectors T1–T7 of METHODS §4.5 (torchmetrics 1.3.2 and 1.9.0).

use super::*;

/// Planes of floats, `side` wide.
struct Picture {
    side: usize,
    planes: Vec<f32>,
}

fn picture(side: usize, planes: usize, value: impl Fn(usize, usize, usize) -> f64) -> Picture {
    let mut out = Vec::with_capacity(planes * side * side);
    for c in 0..planes {
        for y in 0..side {
            for x in 0..side {
                out.push(value(c, x, y) as f32);
            }
        }
    }
    Picture { side, planes: out }
}

/// Terms of a pair by repeated averaging, `scales` of them.
fn terms(a: &Picture, b: &Picture, scales: usize, metric: Metric) -> Vec<f64> {
    let (mut a_planes, mut b_planes, mut side) = (a.planes.clone(), b.planes.clone(), a.side);
    let mut scratch = Scratch::default();
    let mut out = Vec::new();
    for scale in 0..scales {
        let last = scale == scales - 1;
        let level = |planes: &[f32], scratch: &mut Scratch| {
            let mut level = Level::default();
            level.fill(planes, side, 1.0, last && !metric.crop_last, scratch);
            level
        };
        let (x, y) = (level(&a_planes, &mut scratch), level(&b_planes, &mut scratch));
        out.push(metric.term(&x, &y, last, 0.0, &mut scratch));
        a_planes = average(&a_planes, side);
        b_planes = average(&b_planes, side);
        side /= 2;
    }
    out
}

fn average(planes: &[f32], side: usize) -> Vec<f32> {
    planes
        .chunks_exact(2 * side)
        .flat_map(|rows| {
            (0..side / 2)
                .map(|x| (rows[2 * x] + rows[2 * x + 1] + rows[side + 2 * x] + rows[side + 2 * x + 1]) / 4.0)
        })
        .collect()
}

fn check(name: &str, a: &Picture, b: &Picture, alpha: bool, cropped: (f64, [f64; 5]), uncropped: f64) {
    let metric = |crop_last| Metric {
        alpha,
        data_range: true,
        crop_last,
    };
    let array = |t: Vec<f64>| -> [f64; 5] { t.try_into().unwrap() };
    let t = array(terms(a, b, 5, metric(true)));
    for (t, want) in t.iter().zip(cropped.1) {
        assert!((t - want).abs() < 2e-5, "{name}: {t} instead of {want}");
    }
    assert!((score(&t) - cropped.0).abs() < 2e-5, "{name}: {}", score(&t));
    let t = array(terms(a, b, 5, metric(false)));
    assert!(
        (score(&t) - uncropped).abs() < 2e-5,
        "{name}, uncropped: {}",
        score(&t)
    );
}

fn pattern(c: usize, x: usize, y: usize) -> usize {
    match c {
        0 => (3 * x + 5 * y) % 256,
        1 => (x * x / 7 + y) % 256,
        _ => (x ^ y) % 256,
    }
}

fn changed(c: usize, x: usize, y: usize) -> usize {
    match c {
        0 => (pattern(0, x, y) + (x / 2) % 32) % 256,
        1 => (pattern(1, x, y) + 20).min(255),
        _ => 255 - pattern(2, x, y),
    }
}

fn wave(amplitude: f64, shift: f64, k: usize, x: usize, y: usize) -> f64 {
    let v = 0.5 + amplitude * (x as f64 / 37.0 + k as f64 + shift).sin() * (y as f64 / 53.0).cos();
    (255.0 * v).round_ties_even() / 255.0
}

fn disc(x: usize, y: usize) -> f64 {
    let (dx, dy) = (x as f64 - 256.0, y as f64 - 256.0);
    f64::from(u8::from(dx * dx + dy * dy < 150.0 * 150.0))
}

#[test]
fn integer_patterns_with_and_without_opaque_alpha() {
    let a = picture(512, 3, |c, x, y| pattern(c, x, y) as f64 / 255.0);
    let b = picture(512, 3, |c, x, y| changed(c, x, y) as f64 / 255.0);
    let t1 = [0.511_633, 0.355_984, 0.293_821, 0.294_425, 0.346_953];
    check("T1", &a, &b, false, (0.325_430, t1), 0.328_270);
    let t2 = [0.633_725, 0.516_988, 0.470_366, 0.470_818, 0.510_482];
    check("T2", &a, &b, true, (0.495_179, t2), 0.497_417);
}

#[test]
fn waves_with_real_and_opaque_alpha() {
    let s = picture(512, 3, |c, x, y| wave(0.5, 0.0, c, x, y));
    let t = picture(512, 3, |c, x, y| wave(0.4, 0.3, c, x, y));
    let t3 = [0.982_812, 0.960_403, 0.930_202, 0.918_115, 0.916_016];
    check("T3", &s, &t, false, (0.936_215, t3), 0.935_820);
    let t4 = [0.987_109, 0.970_303, 0.947_652, 0.938_602, 0.937_027];
    check("T4", &s, &t, true, (0.952_209, t4), 0.951_914);

    let cut = |amplitude: f64, shift: f64, planes: usize| {
        picture(512, planes, move |c, x, y| {
            disc(x, y)
                * if c == 3 {
                    1.0
                } else {
                    wave(amplitude, shift, c, x, y)
                }
        })
    };
    let t5 = [0.991_551, 0.982_683, 0.962_510, 0.910_599, 0.788_464];
    check(
        "T5",
        &cut(0.5, 0.0, 4),
        &cut(0.5, 0.0, 3),
        true,
        (0.931_790, t5),
        0.928_574,
    );
    check(
        "T5 swapped",
        &cut(0.5, 0.0, 3),
        &cut(0.5, 0.0, 4),
        true,
        (0.931_790, t5),
        0.928_574,
    );
    let t6 = [0.994_306, 0.987_198, 0.976_458, 0.966_922, 0.937_869];
    check(
        "T6",
        &cut(0.5, 0.0, 3),
        &cut(0.4, 0.3, 3),
        false,
        (0.972_793, t6),
        0.976_997,
    );
}

#[test]
fn three_scales_of_four_latent_planes() {
    let p = picture(64, 4, |c, x, y| (((c + 3) * x + (c + 5) * y) % 64) as f64 / 63.0);
    let q = picture(64, 4, |c, x, y| {
        (((c + 3) * x + (c + 5) * y + 5 * ((x / 8) % 4)) % 64) as f64 / 63.0
    });
    for (crop_last, want) in [(true, 0.551_602), (false, 0.552_183)] {
        let metric = Metric {
            alpha: true,
            data_range: true,
            crop_last,
        };
        let t = terms(&p, &q, 3, metric);
        let score: f64 = t.iter().map(|t| t.powf(0.33)).product();
        assert!((score - want).abs() < 2e-5, "{score}");
        if crop_last {
            for (t, want) in t.iter().zip([0.448_168, 0.562_934, 0.653_354]) {
                assert!((t - want).abs() < 2e-5, "{t} instead of {want}");
            }
        }
    }
}

#[test]
fn flat_pictures_are_bounded_by_one_and_white_equals_white() {
    let metric = Metric {
        alpha: true,
        data_range: true,
        crop_last: false,
    };
    let flat = |v: f64| picture(512, 3, move |_, x, y| if x + y == 0 { 0.0 } else { v / 255.0 });
    for (a, b, want) in [
        (250.0, 249.0, 0.999_999),
        (240.0, 240.0, 1.0),
        (216.0, 134.0, 0.989_23),
    ] {
        let t: [f64; 5] = terms(&flat(a), &flat(b), 5, metric).try_into().unwrap();
        assert!((score(&t) - want).abs() < 5e-5, "{a} against {b}: {}", score(&t));
        assert!(t.iter().all(|&t| t <= 1.0));
    }
    let white = picture(512, 3, |_, _, _| 1.0);
    assert_eq!(terms(&white, &white, 5, metric), vec![1.0; 5]);
}

#[test]
fn opposite_pictures_score_zero() {
    let a = picture(512, 3, |c, x, y| wave(0.5, 0.0, c, x, y));
    let b = picture(512, 3, |c, x, y| 1.0 - wave(0.5, 0.0, c, x, y));
    let metric = Metric::of(Arithmetic::Corrected);
    let t: [f64; 5] = terms(&a, &b, 5, metric).try_into().unwrap();
    assert_eq!(score(&t), 0.0);
}

#[test]
fn stopping_early_returns_an_upper_bound_below_the_wanted_term() {
    let a = picture(128, 3, |c, x, y| pattern(c, x, y) as f64 / 255.0);
    let b = picture(128, 3, |c, x, y| changed(c, y, x) as f64 / 255.0);
    let mut scratch = Scratch::default();
    let (mut x, mut y) = (Level::default(), Level::default());
    x.fill(&a.planes, 128, 1.0, false, &mut scratch);
    y.fill(&b.planes, 128, 1.0, false, &mut scratch);
    for alpha in [false, true] {
        let metric = Metric {
            alpha,
            data_range: false,
            crop_last: false,
        };
        let exact = metric.term(&x, &y, false, 0.0, &mut scratch);
        for least in [0.1, 0.3, 0.6, 0.9, 0.999] {
            let term = metric.term(&x, &y, false, least, &mut scratch);
            assert!(
                term == exact || (term >= exact && term < least),
                "{term} for {exact}, {least}"
            );
        }
    }
}
