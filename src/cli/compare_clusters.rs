//! The clusters of run B's variant in a comparison: how many prompts fell into each, how surely, and what became of them.

use crate::{
    memorization::comparison::Comparison,
    store::{Record, Run},
    study::{GenerationKey, Verdict},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write,
};

/// Pictures that both runs have, of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClusterRow {
    /// Its number.
    pub cluster: u32,
    /// Prompts that fell into it.
    pub prompts: usize,
    /// Of these, the ones further away than every prompt that made it.
    pub outside: usize,
    /// Mean margin of the prompts, `[0, 1]`.
    pub margin: f64,
    /// Pictures compared with a gallery in both runs.
    pub pictures: usize,
    /// Of these, copied in A (any class but NM).
    pub copied_a: usize,
    /// Of these, copied in B.
    pub copied_b: usize,
}

/// One row for each cluster that B's records name.
pub fn rows(a: &Run, b: &Run, comparison: &Comparison) -> Vec<ClusterRow> {
    let thresholds = comparison.thresholds;
    let verdict = |r: &Record| r.matches.first().map(|m| thresholds.classify(&m.scores));
    let before: HashMap<GenerationKey, (&str, Option<Verdict>)> = a
        .records()
        .iter()
        .map(|r| (r.key, (r.prompt.as_str(), verdict(r))))
        .collect();
    let mut rows = BTreeMap::<u32, (ClusterRow, BTreeSet<u32>)>::new();
    for record in b.records() {
        let (Some(place), Some((text, was))) = (record.cluster, before.get(&record.key)) else {
            continue;
        };
        if *text != record.prompt {
            continue;
        }
        let (row, prompts) = rows.entry(place.cluster).or_default();
        row.cluster = place.cluster;
        if prompts.insert(record.key.prompt) {
            row.prompts += 1;
            row.outside += usize::from(place.outside);
            row.margin += f64::from(place.margin);
        }
        if let (Some(was), Some(is)) = (was, verdict(record)) {
            row.pictures += 1;
            row.copied_a += usize::from(*was != Verdict::NotMemorized);
            row.copied_b += usize::from(is != Verdict::NotMemorized);
        }
    }
    let mean = |(row, _): (ClusterRow, _)| ClusterRow {
        margin: row.margin / row.prompts.max(1) as f64,
        ..row
    };
    rows.into_values().map(mean).collect()
}

/// The rows as a table; nothing without clusters.
pub fn table(rows: &[ClusterRow]) -> String {
    let mut out = String::new();
    if rows.is_empty() {
        return out;
    }
    // Writing into a String does not fail.
    let mut say = |line: String| writeln!(out, "{line}").unwrap_or_default();
    say(format!(
        "\n{:<9} {:>8} {:>8} {:>8} {:>9} {:>10} {:>10}",
        "cluster", "prompts", "outside", "margin", "pictures", "copied A", "copied B"
    ));
    for row in rows {
        say(format!(
            "{:<9} {:>8} {:>8} {:>8.2} {:>9} {:>10} {:>10}",
            row.cluster, row.prompts, row.outside, row.margin, row.pictures, row.copied_a, row.copied_b
        ));
    }
    say("outside: further away than every prompt that made the cluster; margin: 0 between two clusters, 1 in one".to_owned());
    out
}
