//! Groups of gallery images that repeat each other: by any region, and by each region alone.
//!
//! Links of exact region scores make a sparse graph. Its connected components are cut further by average linkage
//! (`kodama`), where a pair without a link counts as unlike: two images stay together when about half of the pairs
//! between their groups are linked, so that one chance link does not chain two groups into one.

use super::cluster_ids::with_stable_ids;
use crate::study::{Cluster, ClusterKind, Link, RegionClusters};
use petgraph::unionfind::UnionFind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

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

/// Average dissimilarity at which groups are no longer merged; linked pairs lie below 0.2, unlinked ones at 1.
const CUT: f32 = 0.55;
/// Images of a component that is cut; a larger one stays whole, its matrix of pairs would take more than 64 MB.
const MOST_CUT: usize = 4096;

/// What a link must have in common to count.
#[derive(Clone, Copy, PartialEq)]
enum Shared {
    Any,
    Both,
    Foreground,
    Background,
}

/// Groups of two images or more that share any region, largest first (ties: smaller id first).
///
/// `links` may hold links below the limits; they are passed over. Indices at or beyond `count` too. `hashes` holds
/// the content hash of every image, for ids that stay the same across runs and file orders; when it is empty, ids
/// are the smallest gallery index of the members.
pub fn cluster(count: usize, links: &[Link], limits: ClusterLimits, hashes: &[String]) -> Vec<Cluster> {
    clusters_by(count, links, limits, hashes, Shared::Any)
}

/// The same by each region alone.
pub fn region_clusters(
    count: usize,
    links: &[Link],
    limits: ClusterLimits,
    hashes: &[String],
) -> RegionClusters {
    let by = |shared| clusters_by(count, links, limits, hashes, shared);
    RegionClusters {
        duplicates: by(Shared::Both),
        same_foreground: by(Shared::Foreground),
        same_background: by(Shared::Background),
    }
}

/// A link that counts: its images, its likeness in `[0, 1]`, which regions agree.
struct Used {
    a: u32,
    b: u32,
    likeness: f32,
    foreground: bool,
    background: bool,
}

fn used(link: &Link, limits: ClusterLimits, shared: Shared) -> Option<Used> {
    let linked = |score: Option<f32>, limit: f32| score.is_some_and(|s| s >= limit);
    let foreground = linked(link.scores.foreground, limits.foreground);
    let background = linked(link.scores.background, limits.background);
    let regions = |f: bool, b: bool| {
        let both = [(f, link.scores.foreground), (b, link.scores.background)];
        let scores = both.into_iter().filter_map(|(on, s)| s.filter(|_| on));
        let (sum, n) = scores.fold((0.0, 0), |(sum, n), s| (sum + s, n + 1));
        if n == 0 { 0.0 } else { sum / n as f32 }
    };
    // An image of one region only agrees in both when that one does.
    let lone = link.scores.foreground.is_none() || link.scores.background.is_none();
    let (counts, likeness) = match shared {
        Shared::Any => (foreground || background, regions(foreground, background)),
        Shared::Both => (
            foreground && background || lone && (foreground || background),
            regions(foreground, background),
        ),
        Shared::Foreground => (foreground, regions(true, false)),
        Shared::Background => (background, regions(false, true)),
    };
    counts.then_some(Used {
        a: link.a,
        b: link.b,
        likeness,
        foreground,
        background,
    })
}

fn clusters_by(
    count: usize,
    links: &[Link],
    limits: ClusterLimits,
    hashes: &[String],
    shared: Shared,
) -> Vec<Cluster> {
    let used: Vec<Used> = links
        .iter()
        .filter(|l| l.a != l.b && (l.a.max(l.b) as usize) < count)
        .filter_map(|l| used(l, limits, shared))
        .collect();
    let mut sets = UnionFind::<u32>::new(count);
    for link in &used {
        sets.union(link.a, link.b);
    }
    let mut components: BTreeMap<u32, Vec<&Used>> = BTreeMap::new();
    for link in &used {
        components.entry(sets.find(link.a)).or_default().push(link);
    }
    let clusters = components.into_values().flat_map(|links| cut(&links)).collect();
    with_stable_ids(clusters, hashes)
}

/// Cuts one component into groups of two or more; their ids are still the smallest member.
fn cut(links: &[&Used]) -> Vec<Cluster> {
    let mut members: Vec<u32> = links.iter().flat_map(|l| [l.a, l.b]).collect();
    members.sort_unstable();
    members.dedup();
    let place: HashMap<u32, usize> = members.iter().enumerate().map(|(i, &m)| (m, i)).collect();
    let n = members.len();
    let group = if n <= 2 || n > MOST_CUT {
        vec![0; n]
    } else {
        average_linkage(n, links.iter().map(|l| (place[&l.a], place[&l.b], l.likeness)))
    };
    let groups = group.iter().max().map_or(0, |m| m + 1);
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); groups];
    for (i, &g) in group.iter().enumerate() {
        parts[g].push(i);
    }
    let mut strength = vec![0.0_f32; n];
    let mut kinds = vec![[0usize; 3]; groups];
    for link in links {
        let (a, b) = (place[&link.a], place[&link.b]);
        if group[a] != group[b] {
            continue;
        }
        let kind = match (link.foreground, link.background) {
            (true, true) => 0,
            (true, false) => 1,
            _ => 2,
        };
        kinds[group[a]][kind] += 1;
        strength[a] += link.likeness;
        strength[b] += link.likeness;
    }
    let parts = parts.into_iter().zip(kinds).filter(|(part, _)| part.len() > 1);
    parts
        .map(|(part, kind)| {
            // The medoid: the member most alike to all others together.
            let best = part.iter().fold(
                part[0],
                |best, &m| {
                    if strength[m] > strength[best] { m } else { best }
                },
            );
            Cluster {
                id: members[part[0]],
                exemplar: members[best],
                kind: kind_of(kind),
                members: part.iter().map(|&i| members[i]).collect(),
            }
        })
        .collect()
}

/// Group of each of `n` items by average linkage, cut at [`CUT`]; pairs not given are entirely unlike.
fn average_linkage(n: usize, pairs: impl Iterator<Item = (usize, usize, f32)>) -> Vec<usize> {
    let condensed = |a: usize, b: usize| {
        let (a, b) = (a.min(b), a.max(b));
        a * n - a * (a + 1) / 2 + b - a - 1
    };
    let mut unlike = vec![1.0_f32; n * (n - 1) / 2];
    for (a, b, likeness) in pairs {
        let at = condensed(a, b);
        unlike[at] = unlike[at].min((1.0 - likeness).max(0.0));
    }
    let steps = kodama::linkage(&mut unlike, n, kodama::Method::Average);
    let mut sets = UnionFind::<usize>::new(n);
    // A step's label stands for its group; any member will do for the union.
    let mut member: Vec<usize> = (0..n).collect();
    for step in steps.steps() {
        let (a, b) = (member[step.cluster1], member[step.cluster2]);
        member.push(a);
        if step.dissimilarity <= CUT {
            sets.union(a, b);
        }
    }
    let mut names: HashMap<usize, usize> = HashMap::new();
    (0..n)
        .map(|i| {
            let next = names.len();
            *names.entry(sets.find(i)).or_insert(next)
        })
        .collect()
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
#[path = "clusters_tests.rs"]
mod tests;
