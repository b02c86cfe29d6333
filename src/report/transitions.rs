//! How the classes of the same prompts and seeds change from one run to another.

use super::facts::{PictureFacts, RunFacts};
use crate::study::TransitionMatrix;
use serde::Serialize;
use std::collections::HashMap;

/// Classes before and after, over the pictures that both runs hold and that were compared in both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Transitions {
    /// Name of the run before.
    pub from: String,
    /// Name of the run after.
    pub to: String,
    /// Pictures by class before and after.
    pub counts: TransitionMatrix,
    /// Pictures counted.
    pub pictures: usize,
    /// Mean change of the foreground score where both have one.
    pub foreground: Option<f64>,
    /// Mean change of the background score where both have one.
    pub background: Option<f64>,
}

impl Transitions {
    /// Counts them.
    pub fn between(from: &RunFacts, to: &RunFacts) -> Self {
        let pictures = |run: &RunFacts| -> HashMap<(u32, u64), PictureFacts> {
            let of = |p: &super::PromptFacts| {
                let index = p.index;
                let pictures = p.pictures.iter().cloned();
                pictures.map(move |v| ((index, v.seed), v)).collect::<Vec<_>>()
            };
            run.prompts.iter().flat_map(of).collect()
        };
        let after = pictures(to);
        let mut counts = TransitionMatrix::default();
        let (mut foreground, mut background) = (Vec::new(), Vec::new());
        for prompt in &from.prompts {
            for before in &prompt.pictures {
                let Some(after) = after.get(&(prompt.index, before.seed)) else {
                    continue;
                };
                if let (Some(a), Some(b)) = (before.verdict, after.verdict) {
                    counts.add(a, b);
                    foreground.extend(change(before.foreground, after.foreground));
                    background.extend(change(before.background, after.background));
                }
            }
        }
        Self {
            from: from.name.clone(),
            to: to.name.clone(),
            pictures: counts.total(),
            counts,
            foreground: mean(&foreground),
            background: mean(&background),
        }
    }
}

fn change(before: Option<f32>, after: Option<f32>) -> Option<f64> {
    Some(f64::from(after?) - f64::from(before?))
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
