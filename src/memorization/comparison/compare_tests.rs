use super::*;
use crate::memorization::comparison::{EmbeddingDistance, SketchDistance};
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

#[test]
fn neat_pictures_of_the_wrong_thing_look_ruined_by_their_prompts() {
    let run = |own: f32| -> Vec<Subject> {
        (0..6)
            .map(|i| Subject {
                clip: Some(ClipScores {
                    own: own + 0.001 * i as f32,
                    others: Some(0.18),
                }),
                ..subject(i / 2, u64::from(i % 2), 0.1, 0.1)
            })
            .collect()
    };
    let a = run(0.30);
    let good = of(&a, &run(0.28));
    assert_eq!(good.ruined(), None);
    close(good.alignment.unwrap().value, -0.02);
    let wrong = of(&a, &run(0.20));
    let said = wrong.ruined().unwrap();
    assert!(said.contains("no longer show their prompts"), "{said}");
    let fit = wrong.prompt_fit.unwrap();
    // (0.2025 − 0.18) / (0.3025 − 0.18)
    close(fit.kept, 0.0225 / 0.1225);
    assert!(fit.a.interval.is_some() && fit.chance.is_some());
    // Where A's own prompts add nothing, nothing can be lost.
    let nothing = of(&run(0.185), &run(0.1));
    assert!(nothing.prompt_fit.as_ref().unwrap().kept.is_none() && nothing.ruined().is_none());
    let unscored: Vec<Subject> = a
        .iter()
        .map(|s| Subject {
            clip: None,
            ..s.clone()
        })
        .collect();
    assert_eq!(of(&a, &unscored).prompt_fit, None);
}

#[test]
fn embeddings_measure_distance_and_diversity_where_they_are_given() {
    let picture = |angle: f32| {
        let mut summary = PictureSummary::of(&RgbImage::new(8, 8));
        summary.embedding = vec![angle.cos(), angle.sin()];
        Some(Arc::new(summary))
    };
    let run = |spread: f32, turn: f32| -> Vec<Subject> {
        (0..4)
            .map(|i| Subject {
                picture: picture(turn + spread * (i % 2) as f32),
                ..subject(i / 2, u64::from(i % 2), 0.1, 0.1)
            })
            .collect()
    };
    let measure = EmbeddingDistance {
        name: "1 − cosine, test".into(),
    };
    let right = std::f32::consts::FRAC_PI_2;
    let c = compare(
        &run(right, 0.0),
        &run(0.0, right),
        Thresholds::default(),
        Bootstrap::default(),
        &measure,
    );
    let diversity = c.diversity.as_ref().unwrap();
    assert_eq!(diversity.measure, "1 − cosine, test");
    close(diversity.a.value, 1.0);
    close(diversity.b.value, 0.0);
    // Seed 0 turned by a right angle, seed 1 not at all: the lower middle one of two is 0.
    close(c.distance.unwrap().value, 0.0);
    // Without embeddings there is nothing to measure.
    let bare = subject(0, 0, 0.1, 0.1);
    let plain = Subject {
        picture: Some(Arc::new(PictureSummary::of(&RgbImage::new(8, 8)))),
        ..bare
    };
    let c = compare(
        std::slice::from_ref(&plain),
        std::slice::from_ref(&plain),
        Thresholds::default(),
        Bootstrap::default(),
        &measure,
    );
    assert!(c.distance.is_none());
}
