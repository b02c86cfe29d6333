//! The search itself: which neurons of a prompt.

use super::{
    ActivationStatistics, NeuronLists, NoiseDifferences, NoiseProbe, NoiseSettings, ValueLayers,
    largest_to_another, pairwise, similarity,
};
use crate::{
    diffusion::Pipeline,
    mitigation::{MitigationError, Watch},
};

/// Thresholds of the search. The defaults are those of NeMo's paper for Stable Diffusion 1.4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NemoSettings {
    /// What similarities are computed from.
    pub noise: NoiseSettings,
    /// Factor on the output of a neuron that is switched off.
    pub factor: f32,
    /// A sample counts when its noise difference is more similar than this to that of another sample.
    /// Below 0, all samples count.
    pub pairwise: f64,
    /// Neurons are added until no sample's similarity to the undisturbed one is above this.
    pub initial: f64,
    /// Neurons are needed when without them a similarity reaches this.
    pub refinement: f64,
    /// First distance from the mean, in standard deviations, from which a neuron stands out; `None` for none.
    pub theta: Option<f32>,
    /// By how much it is lowered each round.
    pub theta_step: f32,
    /// Where lowering ends.
    pub theta_min: f32,
    /// First number of strongest neurons of each layer that are added besides; `None` for none at all.
    pub top: Option<usize>,
    /// Compare relative changes instead (NeMo's `rel_threshold_refinement`): a neuron is not needed when the largest
    /// relative change of a similarity is below this.
    pub relative: Option<f64>,
}

impl Default for NemoSettings {
    fn default() -> Self {
        Self {
            noise: NoiseSettings::default(),
            factor: 0.0,
            pairwise: 0.428,
            initial: 0.428,
            refinement: 0.428,
            theta: Some(5.0),
            theta_step: 0.25,
            theta_min: 1.0,
            top: Some(0),
            relative: None,
        }
    }
}

impl NemoSettings {
    /// From this many strongest neurons on the search ends: the widest layer of Stable Diffusion.
    const MOST_TOP: usize = 1280;

    /// Checks the ranges.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn validate(&self) -> Result<(), String> {
        let range = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name} is {value}; {low} to {high} is possible"))
            }
        };
        range("the number of samples", self.noise.samples as f64, 2.0, 64.0)?;
        range("the pairwise threshold", self.pairwise, -1.0, 1.0)?;
        range("the initial threshold", self.initial, 0.0, 1.0)?;
        range("the refinement threshold", self.refinement, 0.0, 1.0)?;
        range("the factor", f64::from(self.factor), -10.0, 10.0)?;
        range("theta's step", f64::from(self.theta_step), 0.01, 10.0)?;
        range("theta's end", f64::from(self.theta_min), 0.0, 100.0)?;
        if let Some(theta) = self.theta {
            range("theta", f64::from(theta), 0.0, 100.0)?;
        }
        if self.theta.is_none() && self.top.is_none() {
            return Err(
                "neither outliers nor strongest neurons are to be taken; choose one of them".to_owned(),
            );
        }
        Ok(())
    }
}

/// What was found for a prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Located {
    /// Neurons of the initial selection, per layer: outliers ascending, then the strongest ones. A neuron can be in
    /// both, and is then listed twice, as in NeMo's results.
    pub initial: NeuronLists,
    /// Largest similarity to the undisturbed prediction with them off.
    pub initial_ssim: f64,
    /// Neurons that are left after refinement.
    pub refined: NeuronLists,
    /// Largest similarity with only these off.
    pub refined_ssim: f64,
    /// Samples that counted; 0 means that the prompt does not seem to be memorized and nothing was searched.
    pub kept: usize,
    /// Passes through the network, in samples.
    pub evaluations: usize,
}

impl Located {
    /// Number of neurons in a list, each counted once per layer.
    pub fn count(lists: &[Vec<u32>]) -> usize {
        let distinct = |list: &Vec<u32>| list.iter().collect::<std::collections::BTreeSet<_>>().len();
        lists.iter().map(distinct).sum()
    }
}

/// Searches the neurons of one prompt. `size` is width and height of the picture.
///
/// # Errors
/// Settings out of range; statistics of another architecture; [`MitigationError::Stopped`].
pub fn locate(
    pipeline: &Pipeline,
    prompt: &str,
    size: (u32, u32),
    statistics: &ActivationStatistics,
    settings: &NemoSettings,
    watch: &mut dyn Watch,
) -> Result<Located, MitigationError> {
    settings.validate().map_err(MitigationError::Request)?;
    let layers = ValueLayers::of(pipeline)?;
    statistics
        .check(&layers.widths())
        .map_err(MitigationError::Request)?;
    let probe = NoiseProbe::new(pipeline, prompt, size, settings.noise)?;
    let everything: Vec<usize> = (0..probe.samples()).collect();
    let untouched = probe.differences(pipeline, &everything, watch)?;
    let largest = largest_to_another(&pairwise(&untouched)?, everything.len());
    let kept: Vec<usize> = everything
        .into_iter()
        .filter(|&i| largest[i] > settings.pairwise)
        .collect();
    let mut evaluations = probe.samples();
    if kept.is_empty() {
        return Ok(Located {
            initial: vec![Vec::new(); layers.len()],
            refined: vec![Vec::new(); layers.len()],
            evaluations,
            ..Located::default()
        });
    }
    let embedding = pipeline.text_embeddings(prompt, None)?;
    let mut search = Search {
        pipeline,
        layers: &layers,
        untouched: untouched.at(&kept),
        probe: &probe,
        kept: &kept,
        settings,
        watch,
        evaluations: 0,
    };
    let activations = layers.activations(&embedding)?;
    let (initial, initial_ssim, threshold) = search.select(&activations, statistics)?;
    let refined = search.refine(&initial, threshold)?;
    let refined_ssim = search.largest(&refined)?;
    evaluations += search.evaluations;
    Ok(Located {
        initial,
        initial_ssim,
        refined,
        refined_ssim,
        kept: kept.len(),
        evaluations,
    })
}

struct Search<'a> {
    pipeline: &'a Pipeline,
    layers: &'a ValueLayers,
    probe: &'a NoiseProbe,
    kept: &'a [usize],
    untouched: NoiseDifferences,
    settings: &'a NemoSettings,
    watch: &'a mut dyn Watch,
    evaluations: usize,
}

/// Share of the progress bar that the initial selection takes.
const SELECTION: f64 = 0.3;

impl Search<'_> {
    /// Similarities of all samples to the undisturbed ones, with these neurons off.
    fn similarities(&mut self, neurons: &[Vec<u32>]) -> Result<Vec<f64>, MitigationError> {
        self.watch.go_on()?;
        let trial = self.layers.scaled(self.pipeline, neurons, self.settings.factor)?;
        self.evaluations += self.kept.len();
        let changed = self.probe.differences(&trial, self.kept, &*self.watch)?;
        similarity(&self.untouched, &changed)
    }

    fn largest(&mut self, neurons: &[Vec<u32>]) -> Result<f64, MitigationError> {
        Ok(self.similarities(neurons)?.into_iter().fold(0.0, f64::max))
    }

    /// Neurons that stand out: more and more of them until the prediction changes. Gives the neurons, the similarity
    /// they lead to, and the threshold for the refinement.
    fn select(
        &mut self,
        activations: &[Vec<f32>],
        statistics: &ActivationStatistics,
    ) -> Result<(NeuronLists, f64, f64), MitigationError> {
        let settings = *self.settings;
        let (mut theta, mut top) = (settings.theta, settings.top);
        let rounds = settings.theta.map_or(64.0, |theta| {
            f64::from((theta - settings.theta_min) / settings.theta_step).max(1.0)
        });
        let mut round = 0.0;
        loop {
            let selected: NeuronLists = activations
                .iter()
                .enumerate()
                .map(|(layer, a)| stand_out(a, statistics, layer, theta, top.unwrap_or(0)))
                .collect();
            let ssim = self.largest(&selected)?;
            let enough = ssim <= settings.initial;
            if !enough {
                if let Some(theta) = theta.as_mut().filter(|t| **t > settings.theta_min) {
                    *theta -= settings.theta_step;
                }
                if let Some(top) = &mut top {
                    *top += 1;
                }
            }
            round += 1.0;
            self.watch.at(SELECTION * f64::min(round / rounds, 1.0), 1.0);
            // NeMo's code ends here without a trial at the last threshold, and refines to what was reached.
            let exhausted = theta == Some(1.0) || top.is_some_and(|k| k >= NemoSettings::MOST_TOP);
            // Beyond NeMo: lowering that can lead nowhere ends as well.
            let stuck = !enough && top.is_none() && theta.is_none_or(|t| t <= settings.theta_min);
            if exhausted || stuck {
                return Ok((selected, ssim, ssim));
            }
            if enough {
                return Ok((selected, ssim, settings.refinement));
            }
        }
    }

    /// Switches on again what is not needed: first whole layers, then single neurons, from the last to the first.
    fn refine(&mut self, initial: &NeuronLists, threshold: f64) -> Result<NeuronLists, MitigationError> {
        let all_off = match self.settings.relative {
            Some(_) => self.similarities(initial)?,
            None => Vec::new(),
        };
        let mut neurons = initial.clone();
        let total = (initial.len() + Located::count(initial)) as f64;
        let mut done = 0.0;
        for layer in (0..neurons.len()).rev() {
            done += 1.0;
            if neurons[layer].is_empty() {
                continue;
            }
            let mut trial = neurons.clone();
            trial[layer].clear();
            if self.is_not_needed(&trial, threshold, &all_off)? {
                done += neurons[layer].len() as f64;
                neurons = trial;
            }
            self.watch
                .at(SELECTION + (1.0 - SELECTION) * f64::min(done / total, 1.0), 1.0);
        }
        for layer in (0..neurons.len()).rev() {
            for neuron in neurons[layer].clone() {
                let mut trial = neurons.clone();
                // The first of two equal ones, as Python's `remove`.
                if let Some(at) = trial[layer].iter().position(|n| *n == neuron) {
                    trial[layer].remove(at);
                }
                if self.is_not_needed(&trial, threshold, &all_off)? {
                    neurons = trial;
                }
                done += 1.0;
                self.watch
                    .at(SELECTION + (1.0 - SELECTION) * f64::min(done / total, 1.0), 1.0);
            }
        }
        Ok(neurons)
    }

    /// Whether the prediction stays changed with only these neurons off.
    fn is_not_needed(
        &mut self,
        trial: &NeuronLists,
        threshold: f64,
        all_off: &[f64],
    ) -> Result<bool, MitigationError> {
        let similarities = self.similarities(trial)?;
        Ok(match self.settings.relative {
            None => similarities.into_iter().fold(0.0, f64::max) < threshold,
            Some(relative) => {
                let change = |(s, all): (f64, &f64)| ((s - all) / (all.abs() + 1e-9)).abs();
                similarities
                    .into_iter()
                    .zip(all_off)
                    .map(change)
                    .fold(0.0, f64::max)
                    < relative
            }
        })
    }
}

/// Neurons of a layer whose activation is further than `theta` standard deviations from the mean, ascending, and then
/// the `top` strongest ones.
fn stand_out(
    activations: &[f32],
    statistics: &ActivationStatistics,
    layer: usize,
    theta: Option<f32>,
    top: usize,
) -> Vec<u32> {
    let (mean, deviation) = (&statistics.mean[layer], &statistics.deviation[layer]);
    let outlier =
        |i: &usize| theta.is_some_and(|theta| (activations[*i] - mean[*i]).abs() / deviation[*i] > theta);
    let mut strongest: Vec<usize> = (0..activations.len()).collect();
    strongest.sort_by(|&a, &b| activations[b].total_cmp(&activations[a]));
    let outliers = (0..activations.len()).filter(outlier);
    outliers
        .chain(strongest.into_iter().take(top))
        .map(|i| i as u32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_come_first_and_strongest_ones_may_repeat_them() {
        let statistics = ActivationStatistics {
            mean: vec![vec![1.0, 1.0, 1.0, 1.0]],
            deviation: vec![vec![0.5, 0.5, 0.5, 0.0]],
            prompts: 2,
        };
        let a = [4.0, 1.2, 2.1, 1.0];
        assert_eq!(stand_out(&a, &statistics, 0, Some(2.0), 0), [0, 2]);
        assert_eq!(stand_out(&a, &statistics, 0, Some(2.0), 2), [0, 2, 0, 2]);
        assert_eq!(stand_out(&a, &statistics, 0, Some(2.1), 1), [0, 2, 0]);
        assert_eq!(stand_out(&a, &statistics, 0, None, 9), [0, 2, 1, 3]);
    }

    #[test]
    fn settings_that_lead_nowhere_are_refused() {
        let wrong = NemoSettings {
            theta: None,
            top: None,
            ..NemoSettings::default()
        };
        assert!(wrong.validate().unwrap_err().contains("choose one"));
        let wrong = NemoSettings {
            pairwise: 1.5,
            ..NemoSettings::default()
        };
        assert!(wrong.validate().unwrap_err().contains("pairwise"));
        assert!(NemoSettings::default().validate().is_ok());
    }
}
