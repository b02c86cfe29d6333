//! Searching and linking give exactly what comparing everything gives.

use crate::{
    similarity::{Index, IndexBuilder, Prepared, compare},
    study::{Arithmetic, Link, Match, RegionScores},
};
use image::{GrayImage, Luma, Rgb, RgbImage};
use proptest::prelude::*;

/// A drawing: which textures foreground and background have, and how much noise; `shape` 0 leaves
/// nothing of the foreground and 1 nothing of the background.
#[derive(Clone, Copy, Debug)]
struct Drawing {
    foreground: u32,
    background: u32,
    noise: u32,
    shape: u32,
}

fn texture(seed: u32, x: u32, y: u32) -> [u8; 3] {
    let wave = |k: u32| {
        let (a, b) = ((seed * 7 + k * 3) % 11 + 2, (seed * 5 + k) % 13 + 2);
        ((f64::from(x * a + y * b) / 40.0 + f64::from(seed + k)).sin() * 100.0 + 128.0) as u8
    };
    [wave(0), wave(1), wave(2)]
}

fn draw(d: Drawing) -> (RgbImage, GrayImage) {
    let inside = |x: u32, y: u32| match d.shape {
        0 => false,
        1 => true,
        s => x.abs_diff(48) + y.abs_diff(48) < 20 + 4 * s,
    };
    let image = RgbImage::from_fn(96, 96, |x, y| {
        let texel = texture(
            if inside(x, y) {
                d.foreground
            } else {
                d.background + 50
            },
            x,
            y,
        );
        let noise = (x.wrapping_mul(73) ^ y.wrapping_mul(151)).wrapping_mul(2_654_435_761) >> 24;
        Rgb(texel.map(|v| v.saturating_add((noise * d.noise / 64) as u8)))
    });
    let matte = GrayImage::from_fn(96, 96, |x, y| Luma([255 * u8::from(inside(x, y))]));
    (image, matte)
}

fn drawing() -> impl Strategy<Value = Drawing> {
    (0u32..3, 0u32..3, 0u32..3, 0u32..4).prop_map(|(foreground, background, noise, shape)| Drawing {
        foreground,
        background,
        noise,
        shape,
    })
}

fn never() -> bool {
    false
}

fn build(drawings: &[Drawing], arithmetic: Arithmetic) -> (tempfile::TempDir, Index, Vec<Prepared>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut builder = IndexBuilder::create(&path, "key", arithmetic, drawings.len()).unwrap();
    let mut prepared = Vec::new();
    for &d in drawings {
        let (image, matte) = draw(d);
        builder.add(&image, &matte).unwrap();
        prepared.push(Prepared::new(&image, &matte, arithmetic).unwrap());
    }
    let index = builder.finish().unwrap();
    (folder, index, prepared)
}

fn brute(gallery: &[Prepared], query: &Prepared, k: usize) -> Vec<Match> {
    let mut all: Vec<(f32, Match)> = gallery
        .iter()
        .enumerate()
        .filter_map(|(i, g)| {
            let scores = compare(g, query);
            Some((
                scores.average()?,
                Match {
                    gallery: i as u32,
                    scores,
                },
            ))
        })
        .collect();
    all.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.gallery.cmp(&y.gallery)));
    all.into_iter().take(k).map(|(_, m)| m).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn search_equals_brute_force(
        drawings in prop::collection::vec(drawing(), 1..14),
        query in drawing(),
        k in 1usize..6,
        arithmetic in prop::sample::select(Arithmetic::ALL.to_vec()),
    ) {
        let (_folder, index, prepared) = build(&drawings, arithmetic);
        let (image, matte) = draw(query);
        let query = Prepared::new(&image, &matte, arithmetic).unwrap();
        prop_assert_eq!(index.search(&query, k, &never).unwrap(), brute(&prepared, &query, k));
    }

    #[test]
    fn a_batch_equals_brute_force(
        drawings in prop::collection::vec(drawing(), 1..12),
        queries in prop::collection::vec(drawing(), 1..5),
        k in 1usize..4,
        arithmetic in prop::sample::select(Arithmetic::ALL.to_vec()),
    ) {
        let (_folder, index, prepared) = build(&drawings, arithmetic);
        let queries: Vec<Prepared> = queries
            .into_iter()
            .map(|q| {
                let (image, matte) = draw(q);
                Prepared::query(&image, &matte, arithmetic).unwrap()
            })
            .collect();
        let found = index.search_batch(&queries.iter().collect::<Vec<_>>(), k, &never).unwrap();
        prop_assert_eq!(found.len(), queries.len());
        for (found, query) in found.into_iter().zip(&queries) {
            prop_assert_eq!(found, brute(&prepared, query, k));
        }
    }

    #[test]
    fn links_equal_brute_force(
        drawings in prop::collection::vec(drawing(), 2..12),
        min_foreground in 0.3f32..0.95,
        min_background in 0.3f32..0.95,
    ) {
        let (_folder, index, prepared) = build(&drawings, Arithmetic::Corrected);
        let links = index.links(min_foreground, min_background, &never, &|_, _| {}).unwrap();
        let reaches = |s: Option<f32>, least: f32| s.filter(|&s| s >= least);
        let strip = |s: RegionScores| RegionScores {
            foreground: reaches(s.foreground, min_foreground),
            background: reaches(s.background, min_background),
        };
        let mut want = Vec::new();
        for a in 0..prepared.len() {
            for b in a + 1..prepared.len() {
                let scores = compare(&prepared[a], &prepared[b]);
                let exact = strip(scores);
                if exact != RegionScores::default() {
                    want.push((a as u32, b as u32, scores, exact));
                }
            }
        }
        prop_assert_eq!(links.len(), want.len());
        for (Link { a, b, scores: found }, (i, j, scores, exact)) in links.into_iter().zip(want) {
            prop_assert_eq!((a, b), (i, j));
            prop_assert_eq!(strip(found), exact);
            // Below the minimum: an upper bound.
            for (found, true_score) in [(found.foreground, scores.foreground), (found.background, scores.background)] {
                prop_assert_eq!(found.is_some(), true_score.is_some());
                prop_assert!(found >= true_score);
            }
        }
    }
}

fn plain(foreground: u32, background: u32) -> Drawing {
    Drawing {
        foreground,
        background,
        noise: 0,
        shape: 2,
    }
}

#[test]
fn ties_go_to_the_smaller_index_and_leave_one_out_skips() {
    let (_folder, index, prepared) = build(
        &[plain(0, 1), plain(2, 2), plain(0, 1), plain(0, 1)],
        Arithmetic::Corrected,
    );
    let found = index.search(&prepared[0], 3, &never).unwrap();
    let ids: Vec<u32> = found.iter().map(|m| m.gallery).collect();
    assert_eq!(ids, [0, 2, 3]);
    assert!(
        found
            .iter()
            .all(|m| m.scores.average().is_some_and(|a| a > 0.999_999))
    );
    let nearest = index.nearest_other(2, &|i| i == 0, &never).unwrap().unwrap();
    assert_eq!(nearest.gallery, 3);
    let nearest = index.nearest_other(2, &|i| i != 1, &never).unwrap().unwrap();
    assert_eq!(
        nearest,
        Match {
            gallery: 1,
            scores: compare(&prepared[2], &prepared[1])
        }
    );
}

#[test]
fn a_missing_region_is_not_scored_and_whole_pictures_count_for_both() {
    let whole = |shape| Drawing { shape, ..plain(1, 1) };
    let (_folder, index, prepared) = build(&[whole(0), whole(1), whole(3)], Arithmetic::Corrected);
    let scores = |a: usize, b: usize| compare(&prepared[a], &prepared[b]);
    assert_eq!(scores(0, 1), RegionScores::default());
    assert_eq!(scores(0, 0), RegionScores::new(1.0, 1.0));
    assert!(scores(0, 2).foreground.is_none() && scores(0, 2).background.is_some());
    assert!(scores(1, 2).background.is_none() && scores(1, 2).foreground.is_some());
    let found = index.search(&prepared[0], 5, &never).unwrap();
    assert_eq!(found.iter().map(|m| m.gallery).collect::<Vec<_>>(), [0, 2]);
    assert!((index.coverage(1), index.coverage(3)) == (Some(1.0), None));
}

#[test]
fn an_index_opens_again_and_cancelling_ends_a_search() {
    let (folder, index, prepared) = build(&[plain(0, 0), plain(1, 0)], Arithmetic::Corrected);
    let before = index.search(&prepared[1], 2, &never).unwrap();
    drop(index);
    let path = folder.path().join("index");
    let index = Index::open(&path, "key", Arithmetic::Corrected).unwrap();
    assert_eq!(index.search(&prepared[1], 2, &never).unwrap(), before);
    assert!(index.search(&prepared[1], 2, &|| true).is_none());
    assert!(index.links(0.5, 0.5, &|| true, &|_, _| {}).is_none());
    assert!(index.nearest_other(0, &|_| false, &|| true).is_none());
    assert!(index.search(&prepared[1], 0, &never).unwrap().is_empty());
}

#[test]
fn a_shortened_file_ends_searches_and_is_told() {
    let (folder, index, prepared) = build(&[plain(0, 0), plain(1, 0)], Arithmetic::Corrected);
    assert!(index.failure().is_none() && index.file_bytes() > 100_000);
    let path = folder.path().join("index");
    std::fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(4096)
        .unwrap();
    // The coarse scales are in memory, the finer ones are not.
    assert!(index.search(&prepared[1], 2, &never).is_none());
    assert!(index.failure().is_some());
    assert!(index.links(0.1, 0.1, &never, &|_, _| {}).is_none());
    assert!(index.nearest_other(0, &|_| false, &never).is_none());
}
