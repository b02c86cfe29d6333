//! Applying a variant to a pipeline: everything that is not touched is shared.

use super::{
    DiffusionError, Pipeline, UNet, WeightMap,
    weight_edit::{Change, WeightEdit, changed, misfit, resolve},
};
use crate::study::{
    self, ClusterEdit, ClusterPlace, Edit, Embedding, EmbeddingEdit, GuidanceSchedule, Variant,
};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Networks of time-limited edits that are kept: two, so that edits which come and go are not made at each step anew.
const STAGES_KEPT: usize = 2;

/// Edits that act while sampling. Those that hold at every step are in the pipeline's weights already.
#[derive(Default)]
pub(super) struct Edits {
    /// Guidance over the steps.
    pub guidance: Option<GuidanceSchedule>,
    /// Prompt (every prompt if `None`) and embedding `[1, tokens, d]`; the last that fits holds.
    embeddings: Vec<(Option<String>, Tensor)>,
    /// Clusters, without their edits: those are in `timed`.
    clusters: Vec<ClusterEdit>,
    /// Changes of weights that hold at some steps or for some prompts only.
    timed: Vec<WeightEdit>,
    /// Networks made for sets of `timed`, newest last.
    stages: Mutex<Vec<(Vec<usize>, Arc<UNet>)>>,
}

impl Edits {
    /// The same edits, for a pipeline whose weights have changed.
    pub fn for_other_weights(&self) -> Self {
        Self {
            guidance: self.guidance,
            embeddings: self.embeddings.clone(),
            clusters: self.clusters.clone(),
            timed: self.timed.clone(),
            stages: Mutex::default(),
        }
    }

    fn embedding(&self, prompt: &str) -> Option<&Tensor> {
        let fits = |p: &Option<String>| p.as_deref().is_none_or(|p| p == prompt);
        let last = self.embeddings.iter().rev().find(|(p, _)| fits(p));
        last.map(|(_, embedding)| embedding)
    }
}

impl Pipeline {
    /// Whether an edit puts another embedding in the place of this prompt's.
    pub fn replaces_embedding(&self, prompt: &str) -> bool {
        self.edits.embedding(prompt).is_some()
    }

    /// A pipeline with the edits of a variant, on top of any it has. All weights that no edit touches are shared, and
    /// the touched ones copied, so that the cost does not depend on the size of the checkpoint. Edits limited to some
    /// steps are applied at the first of these steps.
    ///
    /// The variant's base is not compared with this checkpoint; see [`Variant::is_for_another`].
    ///
    /// # Errors
    /// [`DiffusionError::Variant`] names the edit and the layer, neuron or weight that this network does not have, or
    /// the shapes that do not fit.
    pub fn with_variant(&self, variant: &Variant) -> Result<Self, DiffusionError> {
        variant.validate().map_err(DiffusionError::Variant)?;
        let mut edits = self.edits.for_other_weights();
        if !edits.clusters.is_empty() && variant.clusters().next().is_some() {
            return Err(DiffusionError::Variant(
                "there are clusters already; a prompt can fall into one grouping only".to_owned(),
            ));
        }
        for (i, edit) in variant.edits.iter().enumerate() {
            match edit {
                Edit::Embedding(edit) => {
                    edits.embeddings.push(self.replacement(edit).map_err(|e| match e {
                        DiffusionError::Request(reason) => misfit(i, &reason),
                        other => other,
                    })?)
                }
                Edit::Guidance(schedule) => edits.guidance = Some(*schedule),
                Edit::Cluster(cluster) => {
                    self.check_embedding(&cluster.middle).map_err(|reason| {
                        misfit(i, &format!("middle of cluster {}: {reason}", cluster.cluster))
                    })?;
                    edits.clusters.push(ClusterEdit {
                        edits: Vec::new(),
                        ..cluster.clone()
                    });
                }
                Edit::Neurons(_) | Edit::Mask(_) => {}
            }
        }
        let shape = |name: &str| self.unet_weights().stored(name).map(|t| t.dims().to_vec());
        let changes = resolve(&variant.edits, self.unet().config(), &shape)?;
        let (timed, lasting): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .partition(|c| c.when.is_some() || c.cluster.is_some());
        edits.timed.extend(timed);
        let mut edited = self.with_unet_tensors(changed_weights(self.unet_weights(), &lasting)?)?;
        edited.edits = Arc::new(edits);
        Ok(edited)
    }

    /// Whether an embedding has this text encoder's shape.
    fn check_embedding(&self, embedding: &Embedding) -> Result<(), String> {
        let expected = (
            self.tokenizer().length(),
            self.unet().config().cross_attention_dim,
        );
        if (embedding.tokens, embedding.width) == expected {
            return Ok(());
        }
        Err(format!(
            "the embedding is {} tokens × {}; this checkpoint's are {} × {}",
            embedding.tokens, embedding.width, expected.0, expected.1
        ))
    }

    /// Which of the variant's clusters a prompt falls in, by the text encoder's own embedding; `None` without clusters.
    ///
    /// # Errors
    /// As [`encode_prompts`](Self::encode_prompts).
    pub fn cluster_of(&self, prompt: &str) -> Result<Option<ClusterPlace>, DiffusionError> {
        if self.edits.clusters.is_empty() {
            return Ok(None);
        }
        let embedding = self.encode_prompts(&[prompt])?.to_dtype(DType::F32)?;
        let embedding = embedding.flatten_all()?.to_vec1::<f32>()?;
        Ok(study::place(self.edits.clusters.iter(), &embedding))
    }

    /// The embedding of an edit as a tensor `[1, tokens, d]`.
    fn replacement(&self, edit: &EmbeddingEdit) -> Result<(Option<String>, Tensor), DiffusionError> {
        let embedding = &edit.embedding;
        self.check_embedding(embedding).map_err(DiffusionError::Request)?;
        let tensor = Tensor::from_slice(
            &embedding.values,
            (1, embedding.tokens, embedding.width),
            &Device::Cpu,
        )?
        .to_dtype(self.dtype)?
        .to_device(&self.device)?;
        Ok((edit.prompt.clone(), tensor))
    }

    /// What the network is given for a prompt: with a negative prompt `[2, tokens, d]`, unconditional first, else
    /// `[1, tokens, d]`. Embeddings that a variant replaces are replaced.
    ///
    /// # Errors
    /// As [`encode_prompts`](Self::encode_prompts).
    pub fn text_embeddings(&self, prompt: &str, negative: Option<&str>) -> Result<Tensor, DiffusionError> {
        let conditional = match self.edits.embedding(prompt) {
            None => {
                let prompts: Vec<&str> = negative.into_iter().chain([prompt]).collect();
                return self.encode_prompts(&prompts);
            }
            Some(embedding) => embedding.clone(),
        };
        Ok(match negative {
            Some(negative) => Tensor::cat(&[&self.encode_prompts(&[negative])?, &conditional], 0)?,
            None => conditional,
        })
    }

    /// The network as the variant has it at a step, for prompts of a cluster. Spans of timesteps hold for the whole part of
    /// the timestep.
    pub(super) fn unet_at(
        &self,
        step: usize,
        timestep: f64,
        cluster: Option<u32>,
    ) -> Result<Arc<UNet>, DiffusionError> {
        let edits = &self.edits;
        let holds = |e: &WeightEdit| {
            e.when.is_none_or(|w| w.holds(step, timestep as usize))
                && (e.cluster.is_none() || e.cluster == cluster)
        };
        let places = 0..edits.timed.len();
        let active: Vec<usize> = places.filter(|&i| holds(&edits.timed[i])).collect();
        if active.is_empty() {
            return Ok(self.unet.clone());
        }
        // A panic elsewhere leaves whole networks behind.
        let mut stages = edits.stages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, unet)) = stages.iter().find(|(places, _)| *places == active) {
            return Ok(unet.clone());
        }
        let changes: Vec<WeightEdit> = active.iter().map(|&i| edits.timed[i].clone()).collect();
        let weights = self
            .unet_weights()
            .with(changed_weights(self.unet_weights(), &changes)?);
        let unet = Arc::new(UNet::new(self.unet.config(), &weights)?);
        if stages.len() >= STAGES_KEPT {
            stages.remove(0);
        }
        stages.push((active, unet.clone()));
        Ok(unet)
    }
}

/// Changed copies of the weights that the changes touch, each copied once.
fn changed_weights(
    weights: &WeightMap,
    changes: &[WeightEdit],
) -> Result<Vec<(String, Tensor)>, DiffusionError> {
    let mut of_weight: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in changes {
        of_weight.entry(&change.weight).or_default().push(&change.change);
    }
    let copies: candle_core::Result<Vec<_>> = of_weight
        .into_par_iter()
        .map(|(name, changes)| match weights.get(name) {
            Some(tensor) => Ok((name.to_owned(), changed(&tensor, &changes)?)),
            None => candle_core::bail!("there is no weight {name}"),
        })
        .collect();
    Ok(copies?)
}
