//! Original and variant: which two runs are compared, and what is known of both.

use super::state::State;
use crate::{
    engine::{Compared, ComparisonRequest, PairPlace, PairRequest, PairView},
    memorization::comparison::Comparison,
    study::{Edit, Generation, GenerationKey, Prompt, Sampling, TransitionMatrix, Variant, Verdict},
};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

/// What the window compares.
#[derive(Debug, Default)]
pub struct Comparing {
    /// Name of the variant whose pictures are B.
    pub second: Option<Arc<str>>,
    /// The Stage shows B's picture instead of A's.
    pub show_second: bool,
    /// The partner of Split, Blink and the like is B's picture instead of a training image.
    pub against_second: bool,
    /// The Stage shows A and B beside each other.
    pub side_by_side: bool,
    /// Cell of the transition matrix that filters prompts and marks: class in A, class in B.
    pub cell: Option<(Verdict, Verdict)>,
    /// The newest answer of the comparing thread.
    pub result: Option<Arc<Compared>>,
    /// Stamp of the request that was sent last.
    pub asked: Option<u64>,
    /// Variants whose earlier results were asked for.
    pub loaded: HashSet<Arc<str>>,
    /// The settings each variant's pictures were drawn with, where known; `None` is the original.
    pub drawn_with: HashMap<Option<Arc<str>>, Sampling>,
    /// The pair on the right canvas.
    pub pair: Option<Arc<PairView>>,
    /// The pair that was asked for last.
    pub asked_pair: Option<PairRequest>,
    /// Where the variant of the bench is saved to, as written.
    pub save_path: String,
}

/// The variant on the bench: as it was opened, without the parts switched off by hand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bench {
    /// As it was opened.
    pub base: Option<Arc<Variant>>,
    /// Parts switched off: place of the edit, and the neuron, or the whole edit.
    pub off: BTreeSet<(usize, Option<u32>)>,
}

impl Bench {
    /// A variant as it is.
    pub fn of(base: Option<Arc<Variant>>) -> Self {
        Self {
            base,
            off: BTreeSet::new(),
        }
    }

    /// Switches a part off, or on again.
    pub fn toggle(&mut self, part: (usize, Option<u32>)) {
        if !self.off.remove(&part) {
            self.off.insert(part);
        }
    }

    /// The variant without the parts that are off; its name tells it from the one it comes from.
    pub fn variant(&self) -> Option<Arc<Variant>> {
        let base = self.base.as_ref()?;
        if self.off.is_empty() {
            return Some(base.clone());
        }
        let edits = base.edits.iter().enumerate().filter_map(|(place, edit)| {
            let mut edit = edit.clone();
            if self.off.contains(&(place, None)) {
                // A cluster that is off still keeps its prompts from falling to another one.
                let Edit::Cluster(cluster) = &mut edit else {
                    return None;
                };
                cluster.edits.clear();
                return Some(edit);
            }
            if let Edit::Neurons(neurons) = &mut edit {
                neurons.neurons.retain(|&n| !self.off.contains(&(place, Some(n))));
                if neurons.neurons.is_empty() {
                    return None;
                }
            }
            Some(edit)
        });
        let mut variant = Variant {
            edits: edits.collect(),
            ..Variant::clone(base)
        };
        let hash = variant.content_hash();
        // Room for the ending within the longest name.
        let stem: String = base.name.chars().take(Variant::MAX_NAME - 20).collect();
        variant.name = format!("{stem}, edited {}", &hash[..6]);
        Some(Arc::new(variant))
    }
}

impl State {
    /// B's picture of a prompt and seed.
    pub fn second(&self, key: GenerationKey) -> Option<&Arc<Generation>> {
        self.study.generation_of(self.compare.second.as_ref()?, key)
    }

    /// Seeds of a prompt in A, in B, and forming.
    pub fn seeds_of(&self, prompt: u32) -> Vec<u64> {
        let mut all: Vec<u64> = self.study.seeds_of(self.study.first(), prompt).collect();
        let alone = all.len();
        if let Some(second) = &self.compare.second {
            all.extend(self.study.seeds_of(&Some(second.clone()), prompt));
        }
        all.extend(self.study.forming_of(prompt).map(|f| f.key.seed));
        if all.len() > alone {
            all.sort_unstable();
            all.dedup();
        }
        all
    }

    /// Class in A and class in B of every picture that both have.
    pub fn transitions(&self) -> TransitionMatrix {
        self.derived.transitions
    }

    /// Places in the prompt list that search, classes, the chosen cell and the lasso let through.
    pub fn visible_prompts(&self) -> &[usize] {
        &self.derived.visible
    }

    /// Class in A and class in B of one picture.
    pub fn transition(&self, key: GenerationKey) -> Option<(Verdict, Verdict)> {
        let (a, b) = (self.study.generation(key)?, self.second(key)?);
        Some((a.verdict(&self.thresholds)?, b.verdict(&self.thresholds)?))
    }

    /// Whether the chosen cell of the transition matrix lets a picture through.
    pub fn in_cell(&self, key: GenerationKey) -> bool {
        self.compare
            .cell
            .is_none_or(|cell| self.transition(key) == Some(cell))
    }

    /// B against A, as last computed.
    pub fn comparison(&self) -> Option<&Comparison> {
        let second = self.compare.second.as_ref()?;
        let result = self.compare.result.as_ref()?;
        result
            .comparisons
            .iter()
            .find(|(name, _)| name == second)
            .map(|(_, c)| c)
    }

    /// The comparison to ask for, when what is known is not up to date and no answer is awaited.
    pub fn wished_comparison(&self) -> Option<ComparisonRequest> {
        let answered = self.compare.result.as_ref().map(|r| r.stamp);
        if self.compare.asked.is_some() && self.compare.asked != answered {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        let t = &self.thresholds;
        (
            self.study.version(),
            t.foreground.to_bits(),
            t.background.to_bits(),
        )
            .hash(&mut hasher);
        self.study.first().hash(&mut hasher);
        let stamp = hasher.finish();
        let others: Vec<_> = self
            .study
            .sources()
            .filter(|name| *name != self.study.first())
            .filter_map(|name| name.clone())
            .map(|name| {
                let pictures = self.study.generations_of(&name).cloned().collect();
                (name, pictures)
            })
            .collect();
        (self.compare.asked != Some(stamp) && !others.is_empty() && !self.study.is_empty()).then(|| {
            ComparisonRequest {
                stamp,
                a: self.study.generations().cloned().collect(),
                others,
                thresholds: self.thresholds,
                embedder: self.study.outline().and_then(|o| o.embedder.clone()),
            }
        })
    }

    /// B's pair for the right canvas.
    pub fn wished_second_pair(&self) -> Option<PairRequest> {
        if !self.compare.side_by_side {
            return None;
        }
        let second = self.second(self.selection.key()?)?;
        Some(PairRequest {
            generation: second.key,
            gallery: second.matches.first().map(|m| m.gallery),
            variant: second.variant.clone(),
            against: None,
            place: PairPlace::Second,
        })
    }

    /// Whether A and B stand beside each other on the Stage.
    pub fn beside(&self) -> bool {
        self.compare.side_by_side
            && self
                .selection
                .key()
                .is_some_and(|k| self.second(k).is_some() && self.study.generation(k).is_some())
    }

    /// Prompts and seeds of A that B lacks, as jobs: prompts that lack the same seeds go together.
    pub fn same_seeds(&self) -> Vec<(Vec<Prompt>, Vec<u64>)> {
        let mut jobs: Vec<(Vec<Prompt>, Vec<u64>)> = Vec::new();
        for prompt in self.study.prompts() {
            let drawn = self.study.of_prompt(prompt.index);
            let seeds: Vec<u64> = drawn
                .filter(|g| {
                    g.prompt == prompt.text && self.second(g.key).is_none_or(|b| b.matches.is_empty())
                })
                .map(|g| g.key.seed)
                .collect();
            if seeds.is_empty() {
                continue;
            }
            match jobs.iter_mut().find(|(_, s)| *s == seeds) {
                Some((prompts, _)) => prompts.push(prompt.clone()),
                None => jobs.push((vec![prompt.clone()], seeds)),
            }
        }
        jobs
    }

    /// Makes the pictures of this name B, be it a variant or an earlier run.
    pub fn set_second(&mut self, second: Option<Arc<str>>) {
        if second.is_none() {
            self.compare.show_second = false;
            self.compare.against_second = false;
        }
        if second.is_some() && second == *self.study.first() {
            self.study.set_first(None);
        }
        self.compare.second = second;
        self.asked = None;
        self.compare.asked_pair = None;
    }

    /// Takes a variant as B, and onto the bench.
    pub fn set_bench(&mut self, bench: Bench) {
        let variant = bench.variant();
        if variant.as_ref().map(|v| &v.name) != self.variant.as_ref().map(|v| &v.name) {
            self.compare.cell = None;
        }
        self.bench = bench;
        self.set_second(variant.as_ref().map(|v| v.name.as_str().into()));

        self.compare.save_path = match (&variant, self.study.outline().and_then(|o| o.root.clone())) {
            (Some(variant), Some(root)) => {
                let file: String = variant
                    .name
                    .chars()
                    .map(|c| if c.is_alphanumeric() { c } else { '-' })
                    .collect();
                root.join("variants")
                    .join(format!("{file}.toml"))
                    .display()
                    .to_string()
            }
            _ => String::new(),
        };
        self.variant = variant;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{LayerRef, NeuronEdit};

    #[test]
    fn a_bench_without_changes_is_the_variant_itself() {
        let neurons = |neurons: &[u32]| {
            Edit::Neurons(NeuronEdit {
                layer: LayerRef::Index(0),
                neurons: neurons.to_vec(),
                factor: 0.0,
                when: None,
            })
        };
        let base = Arc::new(Variant {
            name: "three".into(),
            edits: vec![neurons(&[4, 9]), neurons(&[7])],
            ..Variant::default()
        });
        let mut bench = Bench::of(Some(base.clone()));
        assert_eq!(bench.variant(), Some(base.clone()));
        bench.toggle((0, Some(9)));
        bench.toggle((1, Some(7)));
        let edited = bench.variant().unwrap();
        // An edit that has lost its last neuron is gone.
        assert_eq!(edited.edits, vec![neurons(&[4])]);
        assert!(edited.name.starts_with("three, edited ") && edited.validate().is_ok());
        bench.toggle((0, Some(9)));
        bench.toggle((1, Some(7)));
        assert_eq!(bench.variant(), Some(base));
    }
}
