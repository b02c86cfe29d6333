//! `‖ε_c − ε_∅‖₂` of a first step, as a function of the prompt's embedding that can be differentiated.

use super::PromptSettings;
use crate::{
    diffusion::{Kernels, Pipeline, SampleRequest, Scheduler, scheduler},
    mitigation::MitigationError,
};
use candle_core::Tensor;

/// Everything but the embedding.
pub struct NoiseNorm {
    pipeline: Pipeline,
    latents: Tensor,
    unconditional: Tensor,
    schedule: Box<dyn Scheduler>,
    step: usize,
}

impl NoiseNorm {
    /// Draws the initial latents and computes the unconditional half.
    ///
    /// # Errors
    /// Settings out of range, sizes the network does not allow.
    pub fn new(
        pipeline: &Pipeline,
        prompt: &str,
        settings: &PromptSettings,
    ) -> Result<Self, MitigationError> {
        settings.validate().map_err(MitigationError::Request)?;
        // Our own kernels cut gradients; candle's do not.
        let pipeline = pipeline.with_kernels(Kernels::Plain);
        let sampling = &settings.sampling;
        let schedule = scheduler(sampling.scheduler, pipeline.schedule(), sampling.steps as usize)?;
        let request = SampleRequest {
            prompt: prompt.to_owned(),
            sampling: sampling.clone(),
            noise: settings.noise.clone(),
        };
        let latents = (pipeline.initial_noise(&request)? * schedule.initial_sigma())?;
        let negative = pipeline.encode_prompts(&[&sampling.negative])?;
        let mut norm = Self {
            unconditional: latents.clone(),
            latents,
            schedule,
            step: 0,
            pipeline,
        };
        norm.unconditional = norm.noise(&norm.repeated(&negative)?)?.detach();
        Ok(norm)
    }

    /// Number of pictures.
    pub fn pictures(&self) -> Result<usize, MitigationError> {
        Ok(self.latents.dim(0)?)
    }

    /// An embedding `[1, tokens, d]` for every picture.
    pub fn repeated(&self, embedding: &Tensor) -> Result<Tensor, MitigationError> {
        let (_, tokens, width) = embedding.dims3()?;
        Ok(embedding
            .broadcast_as((self.pictures()?, tokens, width))?
            .contiguous()?)
    }

    fn noise(&self, embeddings: &Tensor) -> Result<Tensor, MitigationError> {
        let input = self.schedule.model_input(&self.latents, self.step)?;
        let timestep = self.schedule.timesteps()[self.step];
        let output = self.pipeline.predict(&input, timestep, embeddings)?;
        Ok(self.schedule.noise(&output, self.step, &self.latents)?)
    }

    /// The norm over all pictures together, for embeddings `[n, tokens, d]`; a scalar with its history.
    ///
    /// # Errors
    /// Embeddings of another shape.
    pub fn of(&self, embeddings: &Tensor) -> Result<Tensor, MitigationError> {
        let difference = (self.noise(embeddings)? - &self.unconditional)?;
        Ok(difference.sqr()?.sum_all()?.sqrt()?)
    }
}
