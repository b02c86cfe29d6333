//! Against scikit-learn (tools/fixtures/clustering.py), and what a fixture cannot show.

use super::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    dim: usize,
    points: Vec<f32>,
    centres: Vec<f32>,
    labels: Vec<u32>,
    centroids: Vec<f32>,
    inertia: f64,
    iterations: usize,
    silhouette: f64,
}

#[derive(Deserialize)]
struct Fixture {
    kmeans: Vec<Case>,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../../../tests/fixtures/clustering/clustering.json");
    serde_json::from_str::<Fixture>(text).unwrap().kmeans
}

#[test]
fn from_the_same_centres_it_is_scikit_learns() {
    let cases = cases();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let found = lloyd(&case.points, case.dim, &case.centres, MAX_ITERATIONS);
        assert_eq!(found.labels, case.labels, "{}", case.name);
        assert_eq!(found.iterations, case.iterations, "{}", case.name);
        // scikit-learn computes in f32 around the mean; 1e-5 is a few of its rounding steps.
        assert!(
            (found.inertia / case.inertia - 1.0).abs() < 1e-5,
            "{}: {} {}",
            case.name,
            found.inertia,
            case.inertia
        );
        for (a, b) in found.centroids.iter().zip(&case.centroids) {
            assert!((a - b).abs() < 1e-5 * (1.0 + b.abs()), "{}: {a} {b}", case.name);
        }
        let width = silhouette(&case.points, case.dim, &found.labels).unwrap();
        assert!(
            (width - case.silhouette).abs() < 1e-5,
            "{}: {width} {}",
            case.name,
            case.silhouette
        );
    }
}

/// Three round clouds far apart.
fn clouds() -> Vec<f32> {
    let mut points = Vec::new();
    for i in 0..30_u32 {
        let angle = i as f32 * 2.4;
        let centre = [[0.0, 0.0], [20.0, 0.0], [0.0, 20.0]][(i % 3) as usize];
        points.extend([centre[0] + angle.cos(), centre[1] + angle.sin()]);
    }
    points
}

#[test]
fn separate_clouds_are_found_and_repeat() {
    let points = clouds();
    let found = kmeans(&points, 2, 3, 4, 7);
    for i in 0..30 {
        assert_eq!(found.labels[i], found.labels[i % 3]);
    }
    assert_eq!(found, kmeans(&points, 2, 3, 4, 7));
    assert!(silhouette(&points, 2, &found.labels).unwrap() > 0.8);
    let near = nearest(&found.centroids, 2, &[19.0, 1.0]).unwrap();
    assert_eq!(near, found.labels[1] as usize);
}

#[test]
fn more_restarts_are_never_worse() {
    let points = cases().remove(0).points;
    let dim = cases().remove(0).dim;
    let one = kmeans(&points, dim, 6, 1, 3).inertia;
    assert!(kmeans(&points, dim, 6, 8, 3).inertia <= one);
}

#[test]
fn odd_arguments_are_answered() {
    assert_eq!(kmeans(&[], 4, 3, 2, 0), KMeans::default());
    assert_eq!(kmeans(&[1.0, 2.0], 0, 3, 2, 0), KMeans::default());
    let two = kmeans(&[1.0, 5.0], 1, 9, 1, 0);
    assert_eq!((two.centroids.len(), two.inertia), (2, 0.0));
    let same = kmeans(&[2.0; 12], 3, 3, 2, 0);
    assert_eq!((same.labels.len(), same.inertia), (4, 0.0));
    assert_eq!(silhouette(&[1.0, 2.0], 1, &[0, 0]), None);
    assert_eq!(silhouette(&[1.0, 2.0, 3.0], 1, &[0, 0]), None);
    assert_eq!(nearest(&[], 2, &[0.0, 0.0]), None);
}
