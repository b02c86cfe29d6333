use super::*;
use crate::memorization::comparison::SketchDistance;
use image::{Rgb, RgbImage};

fn subject(prompt: u32, seed: u64, f: f32, b: f32) -> Subject {
    Subject {
        key: GenerationKey { prompt, seed },
        prompt: format!("prompt {prompt}"),
        scores: Some(RegionScores::new(f, b)),
        ..Subject::default()
    }
}

fn of(a: &[Subject], b: &[Subject]) -> Comparison {
    compare(a, b, Thresholds::default(), Bootstrap::default(), &SketchDistance)
}

fn close(value: Option<f64>, wanted: f64) {
    let value = value.unwrap();
    assert!((value - wanted).abs() < 1e-6, "{value} instead of {wanted}");
}

#[test]
fn pictures_are_joined_by_prompt_and_seed_whatever_their_order() {
    let a = [
        subject(0, 0, 0.9, 0.9), // VM
        subject(0, 1, 0.9, 0.1), // FM
        subject(1, 0, 0.1, 0.9), // BM
        subject(2, 7, 0.9, 0.2), // FM
        subject(3, 0, 0.1, 0.1),
    ];
    let mut other = subject(3, 0, 0.1, 0.1);
    other.prompt = "another one".into();
    let b = [
        other,
        subject(2, 7, 0.2, 0.2),  // NM
        subject(1, 0, 0.8, 0.3),  // FM
        subject(0, 1, 0.85, 0.1), // FM
        subject(0, 0, 0.9, 0.4),  // FM
        subject(9, 9, 0.0, 0.0),
    ];
    let c = of(&a, &b);
    let key = |prompt, seed| GenerationKey { prompt, seed };
    assert_eq!(
        (
            c.joined.pictures,
            c.joined.prompts,
            c.joined.seeds,
            c.joined.unclassed
        ),
        (4, 3, 3, 0)
    );
    assert_eq!(c.joined.other_text, [key(3, 0)]);
    assert_eq!(
        (c.joined.only_a.len(), &c.joined.only_b[..]),
        (0, &[key(9, 9)][..])
    );
    // VM→FM +0.5, FM→FM 0, BM→FM −0.5 (−1), FM→NM +1.5.
    assert_eq!((c.reference.score, c.potential.score), (1.5, 1.0));
    // 2·1 VM + 1.5·2 FM + 0.5·1 BM.
    assert_eq!(c.reference.attainable, 5.5);
    close(c.reference.mean.value, 1.5 / 4.0);
    // Changes of F: 0, −0.05, +0.7, −0.7; of B: −0.5, 0, −0.6, 0.
    close(c.foreground.value, -0.0125);
    close(c.background.value, -0.275);
    assert!(c.foreground.interval.unwrap()[0] < -0.3 && c.foreground.interval.unwrap()[1] > 0.3);
    close(c.persistence.foreground_only.value, 0.5);
    close(c.persistence.verbatim_to_foreground.value, 1.0);
    close(c.persistence.foreground.value, 2.0 / 3.0);
    close(c.persistence.background.value, 0.0);
    assert_eq!(
        (
            c.persistence.verbatim_to_foreground.pictures,
            c.persistence.verbatim_to_foreground.interval
        ),
        (1, None)
    );
    assert!(c.alignment.is_none() && c.quality.is_none() && c.diversity.is_none());
}

#[test]
fn intervals_count_prompts_not_pictures() {
    // Two prompts that behave differently, with many seeds each: the seeds must not narrow the interval.
    let run = |f: [f32; 2]| -> Vec<Subject> {
        (0..40)
            .map(|i| subject(i % 2, u64::from(i / 2), f[i as usize % 2], 0.5))
            .collect()
    };
    let c = of(&run([0.9, 0.9]), &run([0.9, 0.1]));
    close(c.foreground.value, -0.4);
    let [low, high] = c.foreground.interval.unwrap();
    close(Some(low), -0.8);
    close(Some(high), 0.0);
    assert_eq!(
        (c.foreground.pictures, c.foreground.prompts, c.foreground.seeds),
        (40, 2, 20)
    );
}

#[test]
fn a_missing_region_is_left_out_and_not_taken_for_nought() {
    let mut lost = subject(0, 0, 0.0, 0.3);
    lost.scores = Some(RegionScores {
        foreground: None,
        background: Some(0.3),
    });
    let c = of(&[subject(0, 0, 0.9, 0.5)], &[lost]);
    assert_eq!((c.foreground.value, c.foreground.pictures), (None, 0));
    close(c.background.value, -0.2);
    let mut open = subject(0, 0, 0.0, 0.0);
    open.scores = None;
    let c = of(&[subject(0, 0, 0.9, 0.5)], &[open]);
    assert_eq!(
        (c.joined.unclassed, c.transitions.total(), c.reference.mean.value),
        (1, 0, None)
    );
}

/// A picture with shapes and colours that depend on the seed.
fn scene(seed: u64) -> RgbImage {
    let s = seed as u32;
    RgbImage::from_fn(64, 64, |x, y| {
        let (cx, cy) = (16 + s * 7 % 30, 20 + s * 13 % 24);
        let inside = x.abs_diff(cx).pow(2) + y.abs_diff(cy).pow(2) < 140;
        if inside {
            Rgb([200, 60, 40])
        } else {
            Rgb([(40 + x) as u8, (90 + y) as u8, 160])
        }
    })
}

fn drawn(paint: impl Fn(u32, u64) -> RgbImage) -> Vec<Subject> {
    let keys = (0..3).flat_map(|p| (0..4).map(move |s| (p, s)));
    keys.map(|(p, s)| Subject {
        picture: Some(Arc::new(PictureSummary::of(&paint(p, s)))),
        ..subject(p, s, 0.1, 0.1)
    })
    .collect()
}

#[test]
fn ruined_pictures_look_ruined_and_others_do_not() {
    let a = drawn(|p, s| scene(u64::from(p) * 4 + s));
    let good = of(&a, &drawn(|p, s| scene(u64::from(p) * 4 + s + 100)));
    let quality = good.quality.as_ref().unwrap();
    assert!(quality.score > 0.9 && good.ruined().is_none(), "{quality:?}");
    assert_eq!(
        (quality.b.pictures, quality.b.prompts, quality.b.seeds),
        (12, 3, 4)
    );
    let grey = of(&a, &drawn(|_, _| RgbImage::from_pixel(64, 64, Rgb([128; 3]))));
    let noise = of(
        &a,
        &drawn(|p, s| {
            let mut state = u64::from(p) * 4 + s;
            RgbImage::from_fn(64, 64, |_, _| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                Rgb([(state >> 33) as u8, (state >> 41) as u8, (state >> 49) as u8])
            })
        }),
    );
    for ruined in [grey, noise] {
        assert_eq!(ruined.quality.as_ref().unwrap().score, 0.0);
        assert!(
            ruined
                .ruined()
                .unwrap()
                .contains("0 % of the pictures look ordinary")
        );
    }
    let same = of(&a, &a);
    assert!(same.distance.unwrap().value.unwrap().abs() < 1e-6);
    assert!(good.distance.as_ref().unwrap().value.unwrap() > 0.05);
    // One neat picture for all seeds.
    let collapsed = of(&a, &drawn(|_, _| scene(3)));
    assert!(collapsed.quality.as_ref().unwrap().score > 0.9);
    let diversity = collapsed.diversity.as_ref().unwrap();
    assert!(diversity.b.value.unwrap().abs() < 1e-9 && diversity.a.value.unwrap() > 0.05);
    assert!(collapsed.ruined().unwrap().contains("all seeds look alike"));
}
