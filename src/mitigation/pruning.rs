//! Wanda pruning as ConceptPrune does it for memorized prompts (Chavhan et al., “Memorized Images in Diffusion Models
//! share a Subspace that can be Located and Deleted”, 2406.18566): weights of the feed-forwards' second layers
//! (`ff.net.2`) that matter to memorized prompts, and more to them than to others, are set to zero.

use super::{MitigationError, Progress, Watch};
use crate::{
    diffusion::{
        DiffusionError, InitialNoise, LayerSet, Observer, Pipeline, ProbeSet, SampleRequest, Site, Step,
    },
    study::{BitMask, Edit, MaskEdit, Sampling},
};
use candle_core::{D, DType, Device, Tensor};
use rayon::prelude::*;
use std::ops::ControlFlow;

/// How weights are chosen. The defaults are ConceptPrune's.
#[derive(Clone, Debug, PartialEq)]
pub struct PruningSettings {
    /// How the pictures are drawn while activations are observed.
    pub sampling: Sampling,
    /// Seed of every picture.
    pub seed: u64,
    /// Share of the weights of each output that is looked at: the highest scores.
    pub skill_ratio: f64,
    /// First steps that are observed; their masks are united.
    pub steps: usize,
    /// A weight is pruned when it is chosen at more than this share of the steps: 0 for any.
    pub select_ratio: f64,
}

impl Default for PruningSettings {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            seed: 0,
            skill_ratio: 0.01,
            steps: 10,
            select_ratio: 0.0,
        }
    }
}

impl PruningSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn validate(&self) -> Result<(), String> {
        self.sampling.validate()?;
        if !(self.skill_ratio > 0.0 && self.skill_ratio <= 1.0) {
            return Err(format!(
                "the skill ratio is {}; it must be above 0 and at most 1",
                self.skill_ratio
            ));
        }
        if !(0.0..1.0).contains(&self.select_ratio) {
            return Err(format!(
                "the select ratio is {}; it must be at least 0 and below 1",
                self.select_ratio
            ));
        }
        if self.steps == 0 || self.steps > self.sampling.steps as usize {
            return Err(format!(
                "{} steps are to be observed; 1 to {} are drawn",
                self.steps, self.sampling.steps
            ));
        }
        Ok(())
    }
}

/// Norms of the inputs of every `ff.net.2`, `[step][layer][column]`: each token's inputs scaled to length 1, then the
/// root of the sum of squares over tokens, both halves of the batch, and prompts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InputNorms {
    squares: Vec<Vec<Vec<f64>>>,
}

impl InputNorms {
    /// The norms of one step and layer.
    pub fn at(&self, step: usize, layer: usize) -> Vec<f32> {
        self.squares[step][layer]
            .iter()
            .map(|s| s.sqrt() as f32)
            .collect()
    }

    /// What is kept of them, after so many prompts.
    fn progress(&self, prompts: usize) -> Progress {
        let mut progress = Progress::default();
        progress.put_count("prompts", prompts);
        for (step, layers) in self.squares.iter().enumerate() {
            for (layer, squares) in layers.iter().enumerate() {
                progress.lists.insert(format!("{step}.{layer}"), squares.clone());
            }
        }
        progress
    }

    /// Takes up what was kept, with its number of prompts.
    fn take_up(kept: &Progress, steps: usize, layers: usize) -> Option<(usize, Self)> {
        let layer = |step: usize| {
            let list = |layer: usize| kept.lists.get(&format!("{step}.{layer}")).cloned();
            (0..layers).map(list).collect::<Option<Vec<_>>>()
        };
        let squares = (0..steps).map(layer).collect::<Option<Vec<_>>>()?;
        Some((kept.count("prompts")?, Self { squares }))
    }

    fn add(&mut self, other: &Self, times: f64) {
        if self.squares.is_empty() {
            self.squares.clone_from(&other.squares);
            self.squares
                .iter_mut()
                .flatten()
                .flatten()
                .for_each(|s| *s *= times);
            return;
        }
        let own = self.squares.iter_mut().flatten().flatten();
        own.zip(other.squares.iter().flatten().flatten())
            .for_each(|(own, other)| *own += times * other);
    }
}

/// What was chosen in one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct PrunedLayer {
    /// Name of the weight in diffusers.
    pub weight: String,
    /// Where it becomes zero; `None` where nothing was chosen.
    pub mask: Option<BitMask>,
    /// Share of its values chosen at each step.
    pub per_step: Vec<f64>,
    /// Share of its values that become zero.
    pub density: f64,
}

/// What was chosen in all layers, in order of execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned {
    /// The layers.
    pub layers: Vec<PrunedLayer>,
}

impl Pruned {
    /// One edit for every layer with pruned weights.
    pub fn edits(&self) -> Vec<Edit> {
        let edit = |layer: &PrunedLayer| {
            layer.mask.clone().map(|zero| {
                Edit::Mask(MaskEdit {
                    weight: layer.weight.clone(),
                    zero,
                    when: None,
                })
            })
        };
        self.layers.iter().filter_map(edit).collect()
    }
}

/// Chooses the weights. `base` holds as many prompts as `target`; ConceptPrune takes empty ones.
///
/// # Errors
/// Settings out of range, no prompt, lists of different lengths; [`MitigationError::Stopped`].
pub fn prune(
    pipeline: &Pipeline,
    target: &[&str],
    base: &[&str],
    settings: &PruningSettings,
    watch: &mut dyn Watch,
) -> Result<Pruned, MitigationError> {
    settings.validate().map_err(MitigationError::Request)?;
    if target.is_empty() || target.len() != base.len() {
        return Err(MitigationError::Request(format!(
            "{} memorized and {} base prompts; there must be as many of both, since norms grow with every prompt",
            target.len(),
            base.len()
        )));
    }
    let runs = (distinct(target).len() + distinct(base).len()) as f64;
    let mut done = 0.0;
    let target = observe(pipeline, ("memorized", target), settings, &mut done, runs, watch)?;
    let base = observe(pipeline, ("base", base), settings, &mut done, runs, watch)?;
    choose(pipeline, &target, &base, settings, watch)
}

fn distinct<'a>(prompts: &[&'a str]) -> Vec<(&'a str, f64)> {
    let mut found: Vec<(&str, f64)> = Vec::new();
    for prompt in prompts {
        match found.iter_mut().find(|(known, _)| known == prompt) {
            Some((_, times)) => *times += 1.0,
            None => found.push((prompt, 1.0)),
        }
    }
    found
}

/// Norms over all prompts. A prompt that is there several times is drawn once: every time gives the same.
fn observe(
    pipeline: &Pipeline,
    (part, prompts): (&str, &[&str]),
    settings: &PruningSettings,
    done: &mut f64,
    total: f64,
    watch: &mut dyn Watch,
) -> Result<InputNorms, MitigationError> {
    let mut all = InputNorms::default();
    let distinct = distinct(prompts);
    let layers = pipeline.unet().config().transformer_blocks().len();
    let mut seen = 0;
    let kept = watch
        .kept(part)
        .and_then(|k| InputNorms::take_up(&k, settings.steps, layers));
    if let Some((count, norms)) = kept.filter(|(count, _)| *count <= distinct.len()) {
        (seen, all) = (count, norms);
        *done += seen as f64;
    }
    for (prompt, times) in distinct.into_iter().skip(seen) {
        let request = SampleRequest {
            prompt: prompt.to_owned(),
            sampling: settings.sampling.clone(),
            noise: InitialNoise::Seeds(vec![settings.seed]),
        };
        let mut eye = Eye {
            steps: settings.steps,
            layers,
            norms: InputNorms::default(),
            trouble: None,
            seen: 0,
            before: *done,
            total,
            watch,
        };
        let result = pipeline.sample(&request, &mut eye);
        if let Some(error) = eye.trouble {
            return Err(error.into());
        }
        match result {
            // Enough was seen: the rest of the picture is not needed.
            Err(DiffusionError::Stopped) if eye.seen >= settings.steps => {}
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        all.add(&eye.norms, times);
        *done += 1.0;
        seen += 1;
        watch.keep(part, &all.progress(seen))?;
    }
    Ok(all)
}

struct Eye<'a> {
    steps: usize,
    layers: usize,
    norms: InputNorms,
    trouble: Option<candle_core::Error>,
    seen: usize,
    before: f64,
    total: f64,
    watch: &'a mut dyn Watch,
}

impl Observer for Eye<'_> {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        self.seen = step.index + 1;
        self.watch
            .at(self.before + self.seen as f64 / self.steps as f64, self.total);
        if self.seen >= self.steps || self.trouble.is_some() || self.watch.is_stopped() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn probe(&self) -> ProbeSet {
        ProbeSet {
            feed_forward: true,
            layers: LayerSet::All,
            steps: 0..self.steps,
            ..ProbeSet::none()
        }
    }

    fn feed_forward(&mut self, site: &Site<'_>, inputs: &Tensor) {
        let squares = || -> candle_core::Result<Vec<f64>> {
            let rows = inputs
                .to_dtype(DType::F32)?
                .reshape(((), inputs.dim(D::Minus1)?))?
                .to_device(&Device::Cpu)?;
            let (rows, columns) = (rows.flatten_all()?.to_vec1::<f32>()?, rows.dim(1)?);
            let mut sums = vec![0.0f64; columns];
            for row in rows.chunks(columns) {
                let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
                // As torch.nn.functional.normalize.
                let scale = 1.0 / length.max(1e-12);
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += (f64::from(*value) * scale).powi(2);
                }
            }
            Ok(sums)
        };
        match squares() {
            Ok(squares) => {
                self.norms.squares.resize(self.steps, Vec::new());
                let layers = &mut self.norms.squares[site.step];
                layers.resize(self.layers, Vec::new());
                layers[site.index] = squares;
            }
            Err(error) => self.trouble = Some(error),
        }
    }
}

fn choose(
    pipeline: &Pipeline,
    target: &InputNorms,
    base: &InputNorms,
    settings: &PruningSettings,
    watch: &mut dyn Watch,
) -> Result<Pruned, MitigationError> {
    let blocks = pipeline.unet().config().transformer_blocks();
    let mut layers = Vec::with_capacity(blocks.len());
    for (layer, block) in blocks.iter().enumerate() {
        watch.go_on()?;
        let weight = format!("{block}.ff.net.2.weight");
        let values = pipeline
            .unet_weights()
            .get(&weight)
            .ok_or_else(|| MitigationError::Request(format!("the network has no {weight}")))?
            .to_dtype(DType::F32)?
            .to_device(&Device::Cpu)?;
        let (rows, columns) = values.dims2()?;
        let values = values.flatten_all()?.to_vec1::<f32>()?;
        let keep = (settings.skill_ratio * columns as f64) as usize;
        let mut counts = vec![0u16; values.len()];
        let mut per_step = Vec::with_capacity(settings.steps);
        for step in 0..settings.steps {
            watch.go_on()?;
            let (target, base) = (target.at(step, layer), base.at(step, layer));
            let chosen: usize = counts
                .par_chunks_mut(columns)
                .zip(values.par_chunks(columns))
                .map(|(counts, weights)| {
                    let chosen = skilled(weights, &target, &base, keep);
                    chosen.iter().for_each(|&c| counts[c] += 1);
                    chosen.len()
                })
                .sum();
            per_step.push(chosen as f64 / values.len() as f64);
        }
        let enough = settings.select_ratio * settings.steps as f64;
        let entries: Vec<bool> = counts.iter().map(|c| f64::from(*c) > enough).collect();
        let mask = BitMask::from_bools(vec![rows, columns], &entries).map_err(MitigationError::Request)?;
        layers.push(PrunedLayer {
            weight,
            density: mask.count() as f64 / mask.len() as f64,
            mask: (mask.count() > 0).then_some(mask),
            per_step,
        });
    }
    Ok(Pruned { layers })
}

/// Columns of one output: the `keep` highest scores `|w|·norm` of the target, of these the ones above the base's.
fn skilled(weights: &[f32], target: &[f32], base: &[f32], keep: usize) -> Vec<usize> {
    let score = |c: usize| weights[c].abs() * target[c];
    let mut order: Vec<usize> = (0..weights.len()).collect();
    // Ties go to the earlier column.
    let by_score = |a: &usize, b: &usize| score(*b).total_cmp(&score(*a)).then(a.cmp(b));
    if keep < order.len() && keep > 0 {
        order.select_nth_unstable_by(keep - 1, by_score);
    }
    order.truncate(keep);
    order.retain(|&c| score(c) > weights[c].abs() * base[c]);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn high_scores_that_the_base_does_not_share_are_chosen() {
        let weights = [-4.0, 1.0, 3.0, 2.0];
        // Scores 4, 10, 3, 4: two are kept, the first of the equal ones.
        let target = [1.0, 10.0, 1.0, 2.0];
        assert_eq!(skilled(&weights, &target, &[0.5, 1.0, 0.0, 0.0], 2).len(), 2);
        let mut both = skilled(&weights, &target, &[0.5, 1.0, 0.0, 0.0], 2);
        both.sort_unstable();
        assert_eq!(both, [0, 1]);
        assert_eq!(skilled(&weights, &target, &[2.0, 1.0, 0.0, 0.0], 2), [1]);
        assert!(skilled(&weights, &target, &[0.0; 4], 0).is_empty());
        assert_eq!(skilled(&weights, &target, &[0.0; 4], 9).len(), 4);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let wrong = |change: fn(&mut PruningSettings)| {
            let mut settings = PruningSettings::default();
            change(&mut settings);
            settings.validate().unwrap_err()
        };
        assert!(wrong(|s| s.skill_ratio = 0.0).contains("skill ratio"));
        assert!(wrong(|s| s.skill_ratio = f64::NAN).contains("skill ratio"));
        assert!(wrong(|s| s.select_ratio = 1.0).contains("select ratio"));
        assert!(wrong(|s| s.steps = 51).contains("51 steps"));
    }
}
