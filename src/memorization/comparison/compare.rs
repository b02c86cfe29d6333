//! The comparison itself: joins two runs and sums up.

use super::{
    bootstrap::{Bootstrap, Estimate, median_low},
    diversity::{Diversity, PictureDistance, between},
    fit::{ClipScores, PromptFit},
    picture::PictureSummary,
    quality::Quality,
};
use crate::study::{
    Generation, GenerationKey, MitigationWeights, RegionScores, Thresholds, TransitionMatrix, Verdict,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// What is known of one picture of a run.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Prompt and seed.
    pub key: GenerationKey,
    /// The prompt's text; pictures are only joined when it is the same.
    pub prompt: String,
    /// Scores of the best match; `None` until compared.
    pub scores: Option<RegionScores>,
    /// Seconds spent drawing, if known.
    pub seconds: Option<f32>,
    /// CLIP scores, if computed.
    pub clip: Option<ClipScores>,
    /// Summary of the picture's pixels, if read.
    pub picture: Option<Arc<PictureSummary>>,
}

impl From<&Generation> for Subject {
    fn from(generation: &Generation) -> Self {
        Self {
            key: generation.key,
            prompt: generation.prompt.clone(),
            scores: generation.scores(),
            seconds: (generation.seconds > 0.0).then_some(generation.seconds),
            clip: None,
            picture: None,
        }
    }
}

/// The same prompt and seed in both runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    pub a: &'a Subject,
    pub b: &'a Subject,
}

/// What was found in both runs and what in one of them only.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Joined {
    /// Pictures in both.
    pub pictures: usize,
    /// Prompts of these.
    pub prompts: usize,
    /// Different seeds among these.
    pub seeds: usize,
    /// Of these, pictures that are not compared with a gallery in both runs: in no class.
    pub unclassed: usize,
    /// In A only.
    pub only_a: Vec<GenerationKey>,
    /// In B only.
    pub only_b: Vec<GenerationKey>,
    /// In both, but the prompt's text is another one: not joined.
    pub other_text: Vec<GenerationKey>,
}

/// The mitigation score (FB-Mem, `archive/check_score.py`, with its pictures joined by name, not by position).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mitigation {
    /// Sum over the pictures.
    pub score: f64,
    /// What it would be if every picture became NM.
    pub attainable: f64,
    /// Mean per picture.
    pub mean: Estimate,
}

/// How much of what was copied is still copied.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Persistence {
    /// Share of the FM pictures of A that are FM in B: the foreground copies that a mitigation leaves.
    pub foreground_only: Estimate,
    /// Share of the VM pictures of A that are FM in B: the copy lost its background and kept its foreground.
    pub verbatim_to_foreground: Estimate,
    /// Share of the pictures with a copied foreground in A (VM, FM) that have one in B.
    pub foreground: Estimate,
    /// Share of the pictures with a copied background in A (VM, BM) that have one in B.
    pub background: Estimate,
}

/// Seconds a picture, medians over the joined pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// Run A; `None` when not recorded.
    pub a: Option<f64>,
    /// Run B.
    pub b: Option<f64>,
}

/// Two runs compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What the classes are derived with.
    pub thresholds: Thresholds,
    /// How the intervals are computed.
    pub bootstrap: Bootstrap,
    /// What was joined.
    pub joined: Joined,
    /// Classes of A into classes of B.
    pub transitions: TransitionMatrix,
    /// Mitigation score with the reference's weights.
    pub reference: Mitigation,
    /// Mitigation score with consistent weights.
    pub potential: Mitigation,
    /// Mean change of the foreground score, B minus A, over pictures that have one in both.
    pub foreground: Estimate,
    /// Mean change of the background score.
    pub background: Estimate,
    /// What stays copied.
    pub persistence: Persistence,
    /// Mean change of the CLIP score; `None` when it was not computed.
    pub alignment: Option<Estimate>,
    /// CLIP scores of both runs, and what a picture of something else scores; `None` when they were not computed.
    pub prompt_fit: Option<PromptFit>,
    /// Whether B's pictures still look like pictures; `None` when the files were not read.
    pub quality: Option<Quality>,
    /// Whether seeds still differ; `None` when no prompt has two seeds, or the files were not read.
    pub diversity: Option<Diversity>,
    /// How far B's pictures are from A's at the same seed, in the measure of the diversity; `None` when the files
    /// were not read.
    pub distance: Option<Estimate>,
    /// Time spent.
    pub seconds: Seconds,
}

impl Comparison {
    /// Why B counts as ruined, in words; `None` when nothing speaks for it. A ruined variant copies nothing, but
    /// must not pass for clean.
    pub fn ruined(&self) -> Option<String> {
        if let Some(quality) = &self.quality
            && quality.score < Quality::RUINED
        {
            let share = |e: &Estimate| 100.0 * e.value.unwrap_or(0.0);
            return Some(format!(
                "{:.0} % of the pictures look ordinary, {:.0} % did before",
                share(&quality.b),
                share(&quality.a)
            ));
        }
        if let Some(fit) = &self.prompt_fit
            && fit.kept.is_some_and(|kept| kept < PromptFit::RUINED)
        {
            let number = |e: &Estimate| e.value.unwrap_or(0.0);
            return Some(format!(
                "pictures no longer show their prompts: CLIP score {:.3}, it was {:.3} before and {:.3} with other prompts",
                number(&fit.b),
                number(&fit.a),
                fit.chance.as_ref().map_or(0.0, number)
            ));
        }
        if let Some(diversity) = &self.diversity
            && let (Some(a), Some(b)) = (diversity.a.value, diversity.b.value)
            && b < Self::COLLAPSED * a
        {
            return Some(format!(
                "all seeds look alike: distance {b:.3}, it was {a:.3} before"
            ));
        }
        None
    }

    /// Below this share of A's diversity, B counts as collapsed.
    pub const COLLAPSED: f64 = 0.25;
}

/// Compares run B with run A. Of several pictures with one key the last one counts.
pub fn compare(
    a: &[Subject],
    b: &[Subject],
    thresholds: Thresholds,
    bootstrap: Bootstrap,
    distance: &dyn PictureDistance,
) -> Comparison {
    let (joined, prompts) = join(a, b);
    let classes = |p: &Pair<'_>| {
        let of = |s: &Subject| Some(thresholds.classify(&s.scores?));
        Some((of(p.a)?, of(p.b)?))
    };
    let mut transitions = TransitionMatrix::default();
    for (before, after) in prompts.iter().flatten().filter_map(classes) {
        transitions.add(before, after);
    }
    let unclassed = joined.pictures - transitions.total();
    let mitigation = |weights: MitigationWeights| Mitigation {
        score: transitions.mitigation_score(weights),
        attainable: transitions.attainable_score(weights),
        mean: ratio(&prompts, &bootstrap, |p| {
            let (before, after) = classes(p)?;
            Some((weights.weight(before, after), 1.0))
        }),
    };
    let change = |of: fn(&Subject) -> Option<f32>| {
        ratio(&prompts, &bootstrap, |p| {
            Some((f64::from(of(p.b)?) - f64::from(of(p.a)?), 1.0))
        })
    };
    let share = |before: &[Verdict], after: &[Verdict]| {
        ratio(&prompts, &bootstrap, |p| {
            let (was, is) = classes(p)?;
            let kept = f64::from(u8::from(after.contains(&is)));
            before.contains(&was).then_some((kept, 1.0))
        })
    };
    use Verdict::{BackgroundOnly as BM, ForegroundOnly as FM, Verbatim as VM};
    let persistence = Persistence {
        foreground_only: share(&[FM], &[FM]),
        verbatim_to_foreground: share(&[VM], &[FM]),
        foreground: share(&[VM, FM], &[VM, FM]),
        background: share(&[VM, BM], &[VM, BM]),
    };
    let seconds = |of: fn(&Pair<'_>) -> Option<f32>| {
        let mut all: Vec<f64> = prompts.iter().flatten().filter_map(of).map(f64::from).collect();
        median_low(&mut all)
    };
    let alignment = change(|s| s.clip.map(|c| c.own));
    Comparison {
        thresholds,
        bootstrap,
        joined: Joined { unclassed, ..joined },
        transitions,
        reference: mitigation(MitigationWeights::Reference),
        potential: mitigation(MitigationWeights::Potential),
        foreground: change(|s| s.scores?.foreground),
        background: change(|s| s.scores?.background),
        persistence,
        alignment: alignment.value.is_some().then_some(alignment),
        prompt_fit: PromptFit::of(&prompts, &bootstrap),
        quality: Quality::of(&prompts, &bootstrap),
        diversity: Diversity::of(&prompts, distance, &bootstrap),
        distance: between(&prompts, distance, &bootstrap),
        seconds: Seconds {
            a: seconds(|p| p.a.seconds),
            b: seconds(|p| p.b.seconds),
        },
    }
}

/// Pairs per prompt, in the order of prompts and seeds.
fn join<'a>(a: &'a [Subject], b: &'a [Subject]) -> (Joined, Vec<Vec<Pair<'a>>>) {
    fn by_key(subjects: &[Subject]) -> HashMap<GenerationKey, &Subject> {
        subjects.iter().map(|s| (s.key, s)).collect()
    }
    let (a, b) = (by_key(a), by_key(b));
    let keys: BTreeSet<GenerationKey> = a.keys().chain(b.keys()).copied().collect();
    let mut joined = Joined::default();
    let mut prompts = BTreeMap::<u32, Vec<Pair<'_>>>::new();
    let mut seeds = BTreeSet::new();
    for key in keys {
        match (a.get(&key), b.get(&key)) {
            (Some(a), Some(b)) if a.prompt == b.prompt => {
                joined.pictures += 1;
                seeds.insert(key.seed);
                prompts.entry(key.prompt).or_default().push(Pair { a, b });
            }
            (Some(_), Some(_)) => joined.other_text.push(key),
            (Some(_), None) => joined.only_a.push(key),
            (None, _) => joined.only_b.push(key),
        }
    }
    joined.prompts = prompts.len();
    joined.seeds = seeds.len();
    (joined, prompts.into_values().collect())
}

/// A ratio of sums over pictures, with its interval over prompts. `part` gives numerator and denominator of a
/// picture, or `None` when the picture does not count.
pub(super) fn ratio(
    prompts: &[Vec<Pair<'_>>],
    bootstrap: &Bootstrap,
    part: impl Fn(&Pair<'_>) -> Option<(f64, f64)>,
) -> Estimate {
    let mut estimate = Estimate::default();
    let mut seeds = BTreeSet::new();
    let mut sums = Vec::new();
    for pairs in prompts {
        let mut sum = None;
        for pair in pairs {
            if let Some((n, d)) = part(pair) {
                let (sn, sd) = sum.unwrap_or((0.0, 0.0));
                sum = Some((sn + n, sd + d));
                estimate.pictures += 1;
                seeds.insert(pair.a.key.seed);
            }
        }
        sums.extend(sum);
    }
    let (n, d) = sums
        .iter()
        .fold((0.0, 0.0), |(n, d), part| (n + part.0, d + part.1));
    estimate.value = (d > 0.0).then(|| n / d);
    estimate.interval = bootstrap.ratio(&sums);
    estimate.prompts = sums.len();
    estimate.seeds = seeds.len();
    estimate
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
