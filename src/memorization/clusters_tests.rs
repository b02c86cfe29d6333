use super::*;
use crate::study::RegionScores;

fn link(a: u32, b: u32, f: f32, g: f32) -> Link {
    Link {
        a,
        b,
        scores: RegionScores::new(f, g),
    }
}

fn summary(clusters: &[Cluster]) -> Vec<(u32, Vec<u32>, ClusterKind)> {
    clusters
        .iter()
        .map(|c| (c.id, c.members.clone(), c.kind))
        .collect()
}

#[test]
fn groups_are_found_named_and_ordered() {
    let links = [
        link(0, 2, 0.99, 0.1),
        link(2, 5, 0.98, 0.2),
        link(0, 5, 0.99, 0.2),
        link(1, 3, 0.97, 0.95),
        link(4, 6, 0.3, 0.9),
        link(6, 7, 0.85, 0.75), // below both limits
    ];
    let clusters = cluster(8, &links, ClusterLimits::default(), &[]);
    assert_eq!(
        summary(&clusters),
        vec![
            (0, vec![0, 2, 5], ClusterKind::SameForeground),
            (1, vec![1, 3], ClusterKind::Duplicates),
            (4, vec![4, 6], ClusterKind::SameBackground),
        ]
    );
    assert_eq!(clusters[0].exemplar, 0, "0 has the strongest links");
}

#[test]
fn each_region_has_its_own_groups() {
    // 0 and 1 are copies, 2 has their foreground, 3 their background.
    let links = [
        link(0, 1, 0.99, 0.99),
        link(0, 2, 0.97, 0.3),
        link(1, 2, 0.96, 0.2),
        link(0, 3, 0.3, 0.9),
        link(1, 3, 0.1, 0.9),
    ];
    let found = region_clusters(4, &links, ClusterLimits::default(), &[]);
    assert_eq!(found.duplicates[0].members, [0, 1]);
    assert_eq!(found.same_foreground[0].members, [0, 1, 2]);
    assert_eq!(found.same_background[0].members, [0, 1, 3]);
}

#[test]
fn one_link_does_not_chain_two_groups() {
    let mut links = Vec::new();
    for (a, b) in [(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)] {
        links.push(link(a, b, 0.99, 0.1));
    }
    links.push(link(2, 3, 0.93, 0.1));
    let clusters = cluster(6, &links, ClusterLimits::default(), &[]);
    let members: Vec<_> = clusters.iter().map(|c| c.members.clone()).collect();
    assert_eq!(members, [vec![0, 1, 2], vec![3, 4, 5]]);
}

#[test]
fn ids_do_not_depend_on_the_order_of_the_files() {
    let hash = |i: u32| format!("{:08x}{}", i.wrapping_mul(0x9E37_79B9), "0".repeat(56));
    let hashes: Vec<String> = (0..6).map(hash).collect();
    let links = [
        link(0, 2, 0.99, 0.99),
        link(1, 4, 0.99, 0.2),
        link(1, 5, 0.98, 0.2),
        link(4, 5, 0.97, 0.2),
    ];
    let here = cluster(6, &links, ClusterLimits::default(), &hashes);
    // The same files, numbered from the end.
    let turned: Vec<Link> = links
        .iter()
        .map(|l| {
            link(
                5 - l.b,
                5 - l.a,
                l.scores.foreground.unwrap(),
                l.scores.background.unwrap(),
            )
        })
        .collect();
    let turned_hashes: Vec<String> = hashes.iter().rev().cloned().collect();
    let there = cluster(6, &turned, ClusterLimits::default(), &turned_hashes);
    let ids = |clusters: &[Cluster]| {
        clusters
            .iter()
            .map(|c| (c.id, c.members.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&here), ids(&there));
    assert_eq!(here[0].exemplar, 5 - there[0].exemplar);
    // A further copy of a member changes no id unless its hash is the smallest.
    assert_eq!(here[1].id, 0);
}

#[test]
fn links_beyond_the_gallery_are_passed_over() {
    assert!(
        cluster(
            2,
            &[link(0, 9, 1.0, 1.0), link(1, 1, 1.0, 1.0)],
            ClusterLimits::default(),
            &[]
        )
        .is_empty()
    );
}
