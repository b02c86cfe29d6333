//! Names of groups that stay the same from run to run.

use crate::study::Cluster;

/// Gives every group the first 32 bits of the smallest content hash among its members as its id (the next free number
/// when two groups share them), and orders them: largest first, ties by id. The id depends neither on the order of
/// the files nor on their names, and joins or losses of single members rarely change it. Without a hash for every
/// member the ids stay as they are.
pub(super) fn with_stable_ids(mut clusters: Vec<Cluster>, hashes: &[String]) -> Vec<Cluster> {
    let smallest = |c: &Cluster| {
        let all: Option<Vec<&String>> = c.members.iter().map(|&m| hashes.get(m as usize)).collect();
        all?.into_iter().min().cloned()
    };
    let named: Option<Vec<String>> = clusters.iter().map(smallest).collect();
    if let Some(names) = named.filter(|_| !hashes.is_empty()) {
        let mut order: Vec<usize> = (0..clusters.len()).collect();
        order.sort_by(|&a, &b| names[a].cmp(&names[b]));
        let mut taken = std::collections::HashSet::new();
        for i in order {
            let first = names[i].get(..8).and_then(|h| u32::from_str_radix(h, 16).ok());
            let mut id = first.unwrap_or(clusters[i].id);
            while !taken.insert(id) {
                id = id.wrapping_add(1);
            }
            clusters[i].id = id;
        }
    }
    clusters.sort_by_key(|c| (std::cmp::Reverse(c.members.len()), c.id));
    clusters
}
