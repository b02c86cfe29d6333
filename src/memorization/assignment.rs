//! Which group of training images a generated picture came from.

use crate::study::{Cluster, Generation, Match, Thresholds, Verdict};
use std::collections::HashMap;

/// A group that a picture's matches fall into.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The group's id; `None` for a training image without a group.
    pub cluster: Option<u32>,
    /// Places in the picture's list of matches, best first.
    pub places: Vec<usize>,
    /// The best of these matches.
    pub best: Match,
    /// Class of the best match under the thresholds.
    pub verdict: Verdict,
}

/// The groups of a picture's matches, the one of the best match first: that is where the picture came from, if its
/// verdict says that it was copied at all.
pub fn assign(generation: &Generation, clusters: &[Cluster], thresholds: &Thresholds) -> Vec<Assignment> {
    let group: HashMap<u32, u32> = clusters
        .iter()
        .flat_map(|c| c.members.iter().map(|&m| (m, c.id)))
        .collect();
    let mut found: Vec<Assignment> = Vec::new();
    for (place, &best) in generation.matches.iter().enumerate() {
        let cluster = group.get(&best.gallery).copied();
        match found
            .iter_mut()
            .find(|a| cluster.is_some() && a.cluster == cluster)
        {
            Some(known) => known.places.push(place),
            None => found.push(Assignment {
                cluster,
                places: vec![place],
                best,
                verdict: thresholds.classify(&best.scores),
            }),
        }
    }
    found
}
