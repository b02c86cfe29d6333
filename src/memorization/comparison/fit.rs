//! Whether B's pictures still show what their prompts say, by CLIP scores. What no statistic of pixels notices, a neat
//! picture of the wrong thing, shows here.

use super::{
    bootstrap::{Bootstrap, Estimate},
    compare::{Pair, ratio},
};
use serde::Serialize;

/// CLIP scores of one picture (Hessel et al. 2021): cosines, `[-1, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClipScores {
    /// With its own prompt.
    pub own: f32,
    /// Mean over the run's other prompts; `None` when there is no other.
    pub others: Option<f32>,
}

/// CLIP scores of both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PromptFit {
    /// Mean over A's pictures with their own prompts.
    pub a: Estimate,
    /// Mean over B's.
    pub b: Estimate,
    /// Mean over A's pictures with the other prompts: what a picture of something else would score.
    pub chance: Option<Estimate>,
    /// Share that is left of what A's prompts add over chance, at most 1; `None` without chance, or where A's prompts add
    /// less than [`LEAST`](Self::LEAST), so that a share would mean nothing.
    pub kept: Option<f64>,
}

impl PromptFit {
    /// With less left than this, a variant counts as ruined.
    pub const RUINED: f64 = 0.5;
    /// What A's prompts must add over chance. CLIP scores of good pictures lie some 0.1 above those of others.
    pub const LEAST: f64 = 0.02;

    /// Over pairs of which both are scored; `None` without one.
    pub(super) fn of(prompts: &[Vec<Pair<'_>>], bootstrap: &Bootstrap) -> Option<Self> {
        let mean = |value: &dyn Fn(&ClipScores, &ClipScores) -> Option<f32>| {
            ratio(prompts, bootstrap, |p| {
                let (a, b) = (p.a.clip?, p.b.clip?);
                Some((f64::from(value(&a, &b)?), 1.0))
            })
        };
        let (a, b) = (mean(&|a, _| Some(a.own)), mean(&|_, b| Some(b.own)));
        let chance = mean(&|a, _| a.others);
        let (was, is) = (a.value?, b.value?);
        let added = chance
            .value
            .map(|c| (was - c, is - c))
            .filter(|(was, _)| *was >= Self::LEAST);
        Some(Self {
            kept: added.map(|(was, is)| (is / was).min(1.0)),
            chance: chance.value.is_some().then_some(chance),
            a,
            b,
        })
    }
}
