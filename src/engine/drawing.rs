//! Watches pictures form: previews, noise norms, progress, stop.

use super::{
    CancelToken, Event, StepPreview,
    teller::{ProgressLine, Teller},
};
use crate::{
    diffusion::{InitialNoise, Observer, Pipeline, ProbeSet, SampleRequest, Site, Step, scheduler},
    memorization::SignalWatch,
    study::{ClusterPlace, GenerationKey, Prompt, Sampling},
};
use candle_core::Tensor;
use std::{ops::ControlFlow, sync::Arc};

/// An eye on a drawing's signs of memorization; `None` where they cannot be gathered, which stops no picture.
pub(super) fn eye(pipeline: &Pipeline, prompt: &str, sampling: &Sampling) -> Option<SignalWatch> {
    let schedule = scheduler(sampling.scheduler, pipeline.schedule(), sampling.steps as usize).ok()?;
    SignalWatch::new(pipeline, prompt, schedule.timesteps().len()).ok()
}

/// Pictures of one prompt that form together.
pub(super) struct Drawing<'a> {
    pub keys: &'a [GenerationKey],
    pub prompt: &'a Prompt,
    pub sampling: &'a Sampling,
    pub teller: &'a Teller,
    pub cancel: &'a CancelToken,
    pub progress: &'a mut ProgressLine,
    /// Pictures that were done before these.
    pub done: usize,
    pub pipeline: &'a Pipeline,
    /// Noise norms by picture and step.
    pub norms: Vec<Vec<f32>>,
    /// Gathers the other signs of memorization.
    pub eye: Option<SignalWatch>,
    /// The variant's cluster whose edits hold for the prompt.
    pub cluster: Option<ClusterPlace>,
}

impl Drawing<'_> {
    /// What to ask the sampler for.
    pub fn request(&self) -> SampleRequest {
        SampleRequest {
            prompt: self.prompt.text.clone(),
            sampling: self.sampling.clone(),
            noise: InitialNoise::Seeds(self.keys.iter().map(|key| key.seed).collect()),
        }
    }
}

impl Observer for Drawing<'_> {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        if self.cancel.is_cancelled() {
            return ControlFlow::Break(());
        }
        if let Some(eye) = &mut self.eye {
            eye.step(step)?;
        }
        // A preview or a norm that cannot be made is no reason to stop the pictures.
        let norms = step.noise_norms().ok().flatten().unwrap_or_default();
        for (curve, norm) in self.norms.iter_mut().zip(&norms) {
            curve.push(*norm);
        }
        let previews = self.pipeline.preview(step.predicted_original).unwrap_or_default();
        for (i, (&key, preview)) in self.keys.iter().zip(previews).enumerate() {
            self.teller.tell(Event::Step(StepPreview {
                key,
                step: step.index + 1,
                steps: step.count,
                preview: Arc::new(preview),
                noise_norm: norms.get(i).copied(),
            }));
        }
        let part = (step.index + 1) as f64 / (step.count + 1) as f64;
        self.progress.at(self.done as f64 + self.keys.len() as f64 * part);
        ControlFlow::Continue(())
    }

    fn probe(&self) -> ProbeSet {
        self.eye.as_ref().map_or_else(ProbeSet::none, |eye| eye.probe())
    }

    fn attention(&mut self, site: &Site<'_>, probabilities: &Tensor) {
        if let Some(eye) = &mut self.eye {
            eye.attention(site, probabilities);
        }
    }
}
