//! How well signs that need no training image tell memorized pictures from others: ROC, area and TPR at 1 % FPR of
//! each signal, at every step and in the mean over steps, with bootstrap intervals over prompts.

mod separation;

pub use separation::Separation;

use super::{
    comparison::Bootstrap,
    noise_band::{NoiseBand, usual_steps},
};
use crate::study::{GenerationKey, Signals, Verdict};
use rayon::prelude::*;
use separation::Case;
use serde::Serialize;
use std::{collections::BTreeMap, ops::Range};

/// The signals that are recorded with every picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// `‖ε_c − ε_∅‖₂` (Wen et al., ICLR 2024).
    NoiseNorm,
    /// `LD`: the same where the ending is bright (Chen et al., ICLR 2025).
    Localised,
    /// Mean of the bright-ending map.
    Ending,
    /// `D` of the attention's entropy (Ren et al., ECCV 2024).
    EntropyLate,
    /// `E` of the attention's entropy.
    EntropyFirst,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NoiseNorm,
        Self::Localised,
        Self::Ending,
        Self::EntropyLate,
        Self::EntropyFirst,
    ];

    /// A few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoiseNorm => "noise norm",
            Self::Localised => "localised norm (LD)",
            Self::Ending => "bright ending",
            Self::EntropyLate => "entropy, late (D)",
            Self::EntropyFirst => "entropy, first (E)",
        }
    }

    /// Whether it has a value at every step.
    pub fn per_step(self) -> bool {
        matches!(self, Self::NoiseNorm | Self::Localised)
    }
}

/// One picture: its class, and what was seen while it was drawn.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// Prompt and seed.
    pub key: GenerationKey,
    /// What it is held to be: FB-Mem's verdict, or a label.
    pub class: Verdict,
    /// `‖ε_c − ε_∅‖₂` at each step.
    pub noise_norm: &'a [f32],
    /// `‖(ε_c − ε_∅)∘m‖₂ / mean(m)` at each step.
    pub localised: &'a [f32],
    /// Mean of the bright-ending map.
    pub ending: Option<f32>,
    /// `D`.
    pub entropy_late: Option<f32>,
    /// `E`.
    pub entropy_first: Option<f32>,
}

impl<'a> Observed<'a> {
    /// From what the window holds.
    pub fn new(
        key: GenerationKey,
        class: Verdict,
        noise_norm: &'a [f32],
        signals: Option<&'a Signals>,
    ) -> Self {
        Self {
            key,
            class,
            noise_norm,
            localised: signals.map_or(&[], |s| &s.localised),
            ending: signals.and_then(|s| s.ending),
            entropy_late: signals.and_then(|s| s.entropy_late),
            entropy_first: signals.and_then(|s| s.entropy_first),
        }
    }

    fn curve(&self, signal: Signal) -> &'a [f32] {
        match signal {
            Signal::NoiseNorm => self.noise_norm,
            Signal::Localised => self.localised,
            Signal::Ending | Signal::EntropyLate | Signal::EntropyFirst => &[],
        }
    }

    fn number(&self, signal: Signal) -> Option<f32> {
        match signal {
            Signal::NoiseNorm | Signal::Localised => None,
            Signal::Ending => self.ending,
            Signal::EntropyLate => self.entropy_late,
            Signal::EntropyFirst => self.entropy_first,
        }
    }
}

/// Which pictures are to be told from those that are not memorized; the other classes are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Positive {
    /// VM, FM and BM.
    #[serde(rename = "memorized")]
    Any,
    /// VM.
    #[serde(rename = "VM")]
    Verbatim,
    /// FM.
    #[serde(rename = "FM")]
    ForegroundOnly,
    /// BM.
    #[serde(rename = "BM")]
    BackgroundOnly,
}

impl Positive {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Any,
        Self::Verbatim,
        Self::ForegroundOnly,
        Self::BackgroundOnly,
    ];

    /// A word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "memorized",
            Self::Verbatim => "VM",
            Self::ForegroundOnly => "FM",
            Self::BackgroundOnly => "BM",
        }
    }

    /// Whether a class is positive; `None` when it is left out.
    fn label(self, class: Verdict) -> Option<bool> {
        let wanted = match self {
            _ if class == Verdict::NotMemorized => return Some(false),
            Self::Any => return Some(true),
            Self::Verbatim => Verdict::Verbatim,
            Self::ForegroundOnly => Verdict::ForegroundOnly,
            Self::BackgroundOnly => Verdict::BackgroundOnly,
        };
        (class == wanted).then_some(true)
    }
}

/// What is called memorized or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Each picture.
    #[default]
    Picture,
    /// Each prompt, by the means over its pictures, as Wen et al. do. Its class is that of most of its pictures, of
    /// equally frequent ones the first of VM, FM, BM, NM.
    Prompt,
}

/// How signals are judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectionSettings {
    /// Pictures or prompts.
    pub unit: Unit,
    /// Steps, counted from 0, over which the mean is taken; all when `None`.
    pub steps: Option<Range<usize>>,
    /// How intervals are computed.
    pub bootstrap: Bootstrap,
}

/// How well one signal separates.
#[derive(Clone, Debug, Serialize)]
pub struct SignalSeparation {
    /// The signal.
    pub signal: Signal,
    /// By its mean over the steps, or by its only number; `None` with a reason in `missing`.
    pub mean: Option<Separation>,
    /// By its value at each step, first to last; empty for signals without.
    pub steps: Vec<Separation>,
    /// The step, counted from 0, with the largest area, of equal ones the first. It is chosen on these very pictures:
    /// others will be separated a little less well.
    pub best: Option<usize>,
    /// Why it says nothing.
    pub missing: Option<String>,
}

/// All signals for one kind of positive.
#[derive(Clone, Debug, Serialize)]
pub struct Contrast {
    /// What is told from NM.
    pub positive: Positive,
    /// In the order of [`Signal::ALL`].
    pub signals: Vec<SignalSeparation>,
}

/// What the signals of a run say about its pictures.
#[derive(Clone, Debug, Serialize)]
pub struct Detection {
    /// Pictures or prompts.
    pub unit: Unit,
    /// How intervals are computed.
    pub bootstrap: Bootstrap,
    /// Denoising steps; 0 without a curve.
    pub steps: usize,
    /// First and last step, counted from 1, of the mean.
    pub mean_over: Option<[usize; 2]>,
    /// Pictures with another number of steps, or with a value that is not finite, for any signal: left out there.
    pub left_out: usize,
    /// In the order of [`Positive::ALL`].
    pub contrasts: Vec<Contrast>,
    /// Where the noise norm of the pictures lies that are not memorized.
    pub band: Option<NoiseBand>,
}

/// How many pictures of a class leave a band upwards.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Above {
    /// The class.
    pub class: Verdict,
    /// Pictures with a curve of the band's number of steps.
    pub pictures: usize,
    /// Share of these above the band's high end at each step; empty without pictures.
    pub share: Vec<f64>,
}

/// How many pictures of each class lie above a band, in the order of [`Verdict::ALL`].
pub fn above(pictures: &[Observed<'_>], band: &NoiseBand) -> Vec<Above> {
    let steps = band.steps();
    let of = |class: Verdict| {
        let mut counts = vec![0_usize; steps];
        let curves = pictures
            .iter()
            .filter(|p| p.class == class && p.noise_norm.len() == steps);
        let mut count = 0;
        for p in curves {
            count += 1;
            band.above(p.noise_norm)
                .into_iter()
                .for_each(|step| counts[step] += 1);
        }
        let share = |c: &usize| *c as f64 / count as f64;
        Above {
            class,
            pictures: count,
            share: if count == 0 {
                Vec::new()
            } else {
                counts.iter().map(share).collect()
            },
        }
    };
    Verdict::ALL.into_iter().map(of).collect()
}

/// Judges every signal.
pub fn detect(pictures: &[Observed<'_>], settings: &DetectionSettings) -> Detection {
    let steps = usual_steps(pictures.iter().map(|p| p.noise_norm)).unwrap_or(0);
    let over = settings.steps.clone().unwrap_or(0..steps);
    let over = over.start.min(steps)..over.end.min(steps);
    let calm = pictures.iter().filter(|p| p.class == Verdict::NotMemorized);
    let fits = |p: &&Observed<'_>| {
        let curve = |c: &[f32]| c.is_empty() || c.len() == steps && c.iter().all(|v| v.is_finite());
        curve(p.noise_norm) && curve(p.localised)
    };
    let each = |positive: Positive| Contrast {
        positive,
        signals: Signal::ALL
            .par_iter()
            .map(|&signal| separate(pictures, positive, signal, steps, &over, settings))
            .collect(),
    };
    Detection {
        unit: settings.unit,
        bootstrap: settings.bootstrap,
        steps,
        mean_over: (!over.is_empty()).then_some([over.start + 1, over.end]),
        left_out: pictures.iter().filter(|p| !fits(p)).count(),
        contrasts: Positive::ALL.into_iter().map(each).collect(),
        band: NoiseBand::of(calm.map(|p| (p.key, p.noise_norm)), steps),
    }
}

fn separate(
    pictures: &[Observed<'_>],
    positive: Positive,
    signal: Signal,
    steps: usize,
    over: &Range<usize>,
    settings: &DetectionSettings,
) -> SignalSeparation {
    let bootstrap = &settings.bootstrap;
    let of = |value: &dyn Fn(&Observed<'_>) -> Option<f64>| {
        let cases = cases(pictures, positive, settings.unit, value);
        Separation::of(&cases, bootstrap)
    };
    let mut found = SignalSeparation {
        signal,
        mean: None,
        steps: Vec::new(),
        best: None,
        missing: None,
    };
    let whole = |p: &Observed<'_>| {
        let curve = p.curve(signal);
        (steps > 0 && curve.len() == steps && curve.iter().all(|v| v.is_finite())).then_some(())
    };
    let mean = if signal.per_step() {
        if over.is_empty() {
            Err("no noise norms are recorded".to_owned())
        } else {
            of(&|p| {
                whole(p)?;
                let values = &p.curve(signal)[over.clone()];
                Some(values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64)
            })
        }
    } else {
        of(&|p| p.number(signal).filter(|v| v.is_finite()).map(f64::from))
    };
    match mean {
        Ok(mean) => found.mean = Some(mean),
        Err(reason) => {
            found.missing = Some(reason);
            return found;
        }
    }
    if signal.per_step() {
        let all: Result<Vec<Separation>, String> = (0..steps)
            .into_par_iter()
            .map(|step| {
                let value = |p: &Observed<'_>| whole(p).map(|_| f64::from(p.curve(signal)[step]));
                Separation::of(&cases(pictures, positive, settings.unit, &value), bootstrap)
            })
            .collect();
        // The same pictures have a value at every step, so that what holds of the mean holds of each.
        found.steps = all.unwrap_or_default();
        let area = |i: &usize| found.steps[*i].auc.value.unwrap_or(0.0);
        found.best = (0..found.steps.len()).reduce(|best, i| if area(&i) > area(&best) { i } else { best });
    }
    found
}

/// The pictures or prompts that have a value and are not left out.
fn cases(
    pictures: &[Observed<'_>],
    positive: Positive,
    unit: Unit,
    value: &dyn Fn(&Observed<'_>) -> Option<f64>,
) -> Vec<Case> {
    match unit {
        Unit::Picture => pictures
            .iter()
            .filter_map(|p| {
                Some(Case {
                    prompt: p.key.prompt,
                    pictures: vec![p.key.seed],
                    positive: positive.label(p.class)?,
                    value: value(p)?,
                })
            })
            .collect(),
        Unit::Prompt => {
            /// Seeds with their values, and how many pictures are in each class.
            type Gathered = (Vec<(u64, f64)>, [usize; 4]);
            let mut prompts = BTreeMap::<u32, Gathered>::new();
            for p in pictures {
                let entry = prompts.entry(p.key.prompt).or_default();
                entry.1[p.class as usize] += 1;
                entry.0.extend(value(p).map(|v| (p.key.seed, v)));
            }
            let case = |(prompt, (values, classes)): (u32, Gathered)| {
                let most = *classes.iter().max()?;
                let class = Verdict::ALL.into_iter().find(|v| classes[*v as usize] == most)?;
                Some(Case {
                    prompt,
                    positive: positive.label(class)?,
                    value: (!values.is_empty())
                        .then(|| values.iter().map(|(_, v)| v).sum::<f64>() / values.len() as f64)?,
                    pictures: values.into_iter().map(|(seed, _)| seed).collect(),
                })
            };
            prompts.into_iter().filter_map(case).collect()
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
