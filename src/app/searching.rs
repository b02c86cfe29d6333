//! Searching for what remembers, from the Bench: a method, the prompts it is for, and the job that follows from both.

use super::state::State;
use crate::{
    diffusion::InitialNoise,
    engine::{Clustering, Grouping, LocateJob, Method, NemoJob, StatisticsSource},
    mitigation::{
        neurons::{NemoSettings, NoiseSettings},
        prompt::PromptSettings,
        pruning::PruningSettings,
    },
    study::{Problem, Prompt, Transition, Verdict, parse_seeds},
};
use std::collections::BTreeMap;

/// Prompts whose similarities give NeMo's thresholds at most: each is asked ten times.
const CALIBRATED: usize = 20;
/// Seeds that a search draws at most.
const SEEDS: usize = 4;

/// The methods, as the Bench offers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchMethod {
    /// Value neurons of all prompts together.
    #[default]
    Neurons,
    /// Value neurons, of each cluster of prompts apart.
    Clusters,
    /// Weights of the feed-forwards.
    Pruning,
    /// Prompt embeddings.
    Embeddings,
    /// Guidance that sets in late.
    Guidance,
}

impl SearchMethod {
    /// All methods.
    pub const ALL: [Self; 5] = [
        Self::Neurons,
        Self::Clusters,
        Self::Pruning,
        Self::Embeddings,
        Self::Guidance,
    ];

    /// Name, which the variant is given too, and what is done, with its source.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Neurons => (
                "NeMo",
                "Value neurons that act when these prompts are remembered, switched off. Thresholds and what is usual come from \
                 the study's NM prompts. (Hintersdorf et al., NeurIPS 2024)",
            ),
            Self::Clusters => (
                "NeMo-C",
                "As NeMo, for clusters of prompts: each prompt gets the neurons of the cluster its text is nearest to. \
                 (FB-Mem, arXiv 2508.12148)",
            ),
            Self::Pruning => (
                "Wanda",
                "Feed-forward weights that these prompts use more than others do, set to zero. (Chavhan et al., arXiv 2406.18566)",
            ),
            Self::Embeddings => (
                "Embedding",
                "Each prompt's text embedding, moved until it pulls less; needs gradients through the UNet and their memory. \
                 (Wen et al., ICLR 2024)",
            ),
            Self::Guidance => (
                "Guidance",
                "Guidance that sets in at each picture's first minimum of the noise norm; nothing is searched. \
                 (Jain et al., CVPR 2025)",
            ),
        }
    }
}

/// Which prompts a search is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those chosen in the list.
    #[default]
    Chosen,
    /// Those with a picture that is VM, FM or BM.
    Copied,
    /// All.
    All,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 3] = [Self::Chosen, Self::Copied, Self::All];

    /// As the Bench names it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Chosen => "chosen prompts",
            Self::Copied => "prompts with copies",
            Self::All => "all prompts",
        }
    }
}

/// What the Bench would search for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchChoice {
    /// How.
    pub method: SearchMethod,
    /// For which prompts.
    pub scope: Scope,
    /// Clusters of [`SearchMethod::Clusters`].
    pub clusters: usize,
}

impl Default for SearchChoice {
    fn default() -> Self {
        Self {
            method: SearchMethod::default(),
            scope: Scope::default(),
            clusters: 4,
        }
    }
}

impl State {
    /// Prompts of A with pictures: whether one of them was copied.
    fn copied_prompts(&self) -> BTreeMap<u32, bool> {
        let derived = &self.derived;
        let mut copied = BTreeMap::new();
        for (row, key) in derived.points.keys[..derived.points.alone].iter().enumerate() {
            if let Some(class) = derived.class(row) {
                *copied.entry(key.prompt).or_insert(false) |= class != Verdict::NotMemorized;
            }
        }
        copied
    }

    /// The prompts a search would be for.
    pub fn searched_prompts(&self) -> Vec<Prompt> {
        let scope = self.search_choice.scope;
        let copied = match scope {
            Scope::Copied => self.copied_prompts(),
            _ => BTreeMap::new(),
        };
        let all = self.study.prompts().iter();
        all.filter(|p| match scope {
            Scope::Chosen => self.selection.prompts.contains(&p.index),
            Scope::Copied => copied.get(&p.index) == Some(&true),
            Scope::All => true,
        })
        .cloned()
        .collect()
    }

    /// The job that searches.
    ///
    /// # Errors
    /// What is missing, and how to come by it.
    pub fn search_job(&self) -> Result<LocateJob, Problem> {
        let SearchChoice {
            method,
            scope,
            clusters,
        } = self.search_choice;
        if self.study.outline().is_none_or(|o| o.model.is_none()) {
            let advice = "Open a checkpoint, or a study that names one.";
            return Err(Problem::new("There is no checkpoint to search in", advice));
        }
        let prompts = self.searched_prompts();
        if prompts.is_empty() {
            let advice = match scope {
                Scope::Copied => "Run prompts first: those with a VM, FM or BM picture are searched for.",
                _ => "Choose prompts in the list.",
            };
            return Err(Problem::new("There are no prompts to search for", advice));
        }
        let seeds =
            parse_seeds(&self.seeds).map_err(|trouble| Problem::new("No seeds to search with", trouble))?;
        let seeds: Vec<u64> = seeds.into_iter().take(SEEDS).collect();
        let others = self.unmemorized(&prompts);
        let method = match method {
            SearchMethod::Neurons => self.nemo(others, None)?,
            SearchMethod::Clusters => {
                let how = Clustering::KMeans {
                    k: clusters.clamp(1, prompts.len()),
                    restarts: 10,
                    seed: 1,
                };
                self.nemo(others, Some(Grouping { how, ask: Vec::new() }))?
            }
            SearchMethod::Pruning => Method::Wanda {
                settings: PruningSettings::default(),
                base: if others.len() < prompts.len() {
                    Vec::new()
                } else {
                    others[..prompts.len()].to_vec()
                },
            },
            SearchMethod::Embeddings => Method::Prompt {
                settings: PromptSettings {
                    noise: InitialNoise::Seeds(seeds),
                    target: None,
                    ..PromptSettings::default()
                },
                tokens: false,
            },
            SearchMethod::Guidance => Method::Guidance {
                before: 0.0,
                transition: Some(Transition::FirstMinimum),
                seeds,
            },
        };
        let name = self.free_name();
        let root = self.study.outline().and_then(|o| o.root.as_ref());
        Ok(LocateJob {
            progress: root.map(|root| root.join("variants").join(format!("{name}.toml"))),
            write: root.is_some(),
            prompts,
            method,
            sampling: self.sampling.clone(),
            name,
            stack: Vec::new(),
        })
    }

    /// Texts of prompts with pictures none of which was copied, but for those searched for.
    fn unmemorized(&self, but: &[Prompt]) -> Vec<String> {
        let copied = self.copied_prompts();
        let calm = copied.into_iter().filter(|(_, copied)| !copied);
        calm.filter(|(index, _)| but.iter().all(|p| p.index != *index))
            .filter_map(|(index, _)| Some(self.study.prompt(index)?.text.clone()))
            .collect()
    }

    fn nemo(&self, others: Vec<String>, clusters: Option<Grouping>) -> Result<Method, Problem> {
        if others.len() < 2 {
            return Err(Problem::new(
                "NeMo needs prompts that are not memorized",
                "Run two prompts or more whose pictures are NM and that are not searched for: what is usual, and the \
                 thresholds, come from them. More tell more. `pentimento locate --statistics-from` takes a list instead.",
            ));
        }
        let noise = NoiseSettings {
            steps: self.sampling.steps as usize,
            ..NoiseSettings::default()
        };
        let some = others.iter().take(CALIBRATED).cloned().collect();
        Ok(Method::Nemo(Box::new(NemoJob {
            settings: NemoSettings {
                noise,
                ..NemoSettings::default()
            },
            calibrate: Some((some, noise)),
            statistics: StatisticsSource::Measure(others),
            known: Vec::new(),
            clusters,
            initial: false,
            journal: None,
        })))
    }

    /// A name that no variant has yet.
    fn free_name(&self) -> String {
        let stem = self.search_choice.method.words().0;
        let taken = |name: &str| self.variants.iter().any(|v| v.name == name);
        let numbered = (2..).map(|n| format!("{stem} {n}"));
        // The numbers have no end.
        std::iter::once(stem.to_owned())
            .chain(numbered)
            .find(|name| !taken(name))
            .unwrap_or_default()
    }
}
