//! Groups of gallery images: connected components of the images whose regions match each other.

use crate::study::{Cluster, ClusterKind, Link};
use petgraph::unionfind::UnionFind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Scores from which two gallery images count as linked, per region, each in `[0, 1]`.
///
/// Stricter for the foreground than the verdict's threshold: all foregrounds share the black around
/// them, so silhouettes alone reach high scores and would chain unrelated images together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterLimits {
    /// Foreground score of a link.
    pub foreground: f32,
    /// Background score of a link.
    pub background: f32,
}

impl Default for ClusterLimits {
    fn default() -> Self {
        Self {
            foreground: 0.92,
            background: 0.82,
        }
    }
}

/// Connected components of two images or more, largest first (ties: smaller id first).
///
/// `links` may hold links below the limits; they are passed over. Indices at or beyond `count` too.
pub fn cluster(count: usize, links: &[Link], limits: ClusterLimits) -> Vec<Cluster> {
    let linked = |score: Option<f32>, limit: f32| score.is_some_and(|s| s >= limit);
    let mut sets = UnionFind::<u32>::new(count);
    let mut used = Vec::new();
    for link in links {
        let foreground = linked(link.scores.foreground, limits.foreground);
        let background = linked(link.scores.background, limits.background);
        if (foreground || background) && (link.a.max(link.b) as usize) < count {
            sets.union(link.a, link.b);
            used.push((link, foreground, background));
        }
    }

    let mut strength = vec![0.0_f32; count];
    let mut kinds: BTreeMap<u32, [usize; 3]> = BTreeMap::new();
    for (link, foreground, background) in used {
        let kind = kinds.entry(sets.find(link.a)).or_default();
        match (foreground, background) {
            (true, true) => kind[0] += 1,
            (true, false) => kind[1] += 1,
            _ => kind[2] += 1,
        }
        let gain = link.scores.average().unwrap_or(0.0);
        strength[link.a as usize] += gain;
        strength[link.b as usize] += gain;
    }

    let mut members: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for index in 0..count as u32 {
        let root = sets.find(index);
        if kinds.contains_key(&root) {
            members.entry(root).or_default().push(index);
        }
    }
    let mut clusters: Vec<Cluster> = members
        .into_iter()
        .map(|(root, members)| {
            let exemplar = members.iter().copied().fold(members[0], |best, m| {
                if strength[m as usize] > strength[best as usize] {
                    m
                } else {
                    best
                }
            });
            Cluster {
                id: members[0],
                exemplar,
                kind: kind_of(kinds[&root]),
                members,
            }
        })
        .collect();
    clusters.sort_by_key(|c| (std::cmp::Reverse(c.members.len()), c.id));
    clusters
}

/// A kind that holds for at least nine links in ten names the cluster.
fn kind_of([both, foreground, background]: [usize; 3]) -> ClusterKind {
    let total = both + foreground + background;
    let most = |n: usize| n * 10 >= total * 9;
    if most(both) {
        ClusterKind::Duplicates
    } else if most(both + foreground) {
        ClusterKind::SameForeground
    } else if most(both + background) {
        ClusterKind::SameBackground
    } else {
        ClusterKind::Mixed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::RegionScores;

    fn link(a: u32, b: u32, f: f32, g: f32) -> Link {
        Link {
            a,
            b,
            scores: RegionScores::new(f, g),
        }
    }

    #[test]
    fn components_are_found_named_and_ordered() {
        let links = [
            link(0, 2, 0.99, 0.1),
            link(2, 5, 0.98, 0.2),
            link(0, 5, 0.99, 0.2),
            link(1, 3, 0.97, 0.95),
            link(4, 6, 0.3, 0.9),
            link(6, 7, 0.85, 0.75), // below both limits
        ];
        let clusters = cluster(8, &links, ClusterLimits::default());
        let summary: Vec<_> = clusters
            .iter()
            .map(|c| (c.id, c.members.clone(), c.kind))
            .collect();
        assert_eq!(
            summary,
            vec![
                (0, vec![0, 2, 5], ClusterKind::SameForeground),
                (1, vec![1, 3], ClusterKind::Duplicates),
                (4, vec![4, 6], ClusterKind::SameBackground),
            ]
        );
        assert!(clusters.iter().all(|c| c.members.contains(&c.exemplar)));
    }

    #[test]
    fn links_beyond_the_gallery_are_passed_over() {
        assert!(cluster(2, &[link(0, 9, 1.0, 1.0)], ClusterLimits::default()).is_empty());
    }
}
