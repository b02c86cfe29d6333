//! Counts of the classes, over a run and per group of prompts.

use super::{Generation, Prompt, Thresholds, Verdict};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// How many generations fell into each class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Verbatim.
    #[serde(rename = "VM")]
    pub verbatim: usize,
    /// Foreground only.
    #[serde(rename = "FM")]
    pub foreground_only: usize,
    /// Background only.
    #[serde(rename = "BM")]
    pub background_only: usize,
    /// Not memorized.
    #[serde(rename = "NM")]
    pub not_memorized: usize,
    /// In no class: not compared yet.
    #[serde(skip)]
    pub open: usize,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Verbatim => &mut self.verbatim,
            Verdict::ForegroundOnly => &mut self.foreground_only,
            Verdict::BackgroundOnly => &mut self.background_only,
            Verdict::NotMemorized => &mut self.not_memorized,
        } += 1;
    }

    /// Count of one class.
    pub fn count(&self, verdict: Verdict) -> usize {
        match verdict {
            Verdict::Verbatim => self.verbatim,
            Verdict::ForegroundOnly => self.foreground_only,
            Verdict::BackgroundOnly => self.background_only,
            Verdict::NotMemorized => self.not_memorized,
        }
    }

    /// Count of all classes; without those that are not compared.
    pub fn total(&self) -> usize {
        Verdict::ALL.into_iter().map(|v| self.count(v)).sum()
    }

    /// Share of one class in `[0, 1]`; 0 when nothing was counted.
    pub fn share(&self, verdict: Verdict) -> f64 {
        self.count(verdict) as f64 / self.total().max(1) as f64
    }
}

/// Tally of all generations.
pub fn tally<'a>(generations: impl IntoIterator<Item = &'a Generation>, thresholds: &Thresholds) -> Tally {
    let mut tally = Tally::default();
    for generation in generations {
        match generation.verdict(thresholds) {
            Some(verdict) => tally.add(verdict),
            None => tally.open += 1,
        }
    }
    tally
}

/// Tallies per [`Prompt::group`] (empty string: prompts without a group). A group is
/// there as soon as it has a generation.
pub fn tally_by_group<'a>(
    generations: impl IntoIterator<Item = &'a Generation>,
    prompts: &[Prompt],
    thresholds: &Thresholds,
) -> BTreeMap<String, Tally> {
    let groups: HashMap<u32, &str> = prompts
        .iter()
        .map(|p| (p.index, p.group.as_deref().unwrap_or_default()))
        .collect();
    let mut members = BTreeMap::<&str, Vec<&Generation>>::new();
    for generation in generations {
        let group = groups.get(&generation.key.prompt).copied().unwrap_or_default();
        members.entry(group).or_default().push(generation);
    }
    let tallied = |(group, members): (&str, Vec<_>)| (group.to_owned(), tally(members, thresholds));
    members.into_iter().map(tallied).collect()
}
