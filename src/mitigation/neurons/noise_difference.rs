//! How far the first noise prediction is from the noise it was made from.

use crate::{
    diffusion::{InitialNoise, Pipeline, SampleRequest, Scheduler, scheduler},
    mitigation::{MitigationError, Watch},
    study::{Sampling, SchedulerKind},
};
use candle_core::{DType, Device, Tensor};

/// Which half of a guided prediction is taken for which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convention {
    /// `ε_∅ + g·(ε_c − ε_∅)`.
    #[default]
    Corrected,
    /// `ε_c + g·(ε_∅ − ε_c)`, as NeMo's code computes it: the halves are read in the wrong order.
    Reference,
}

/// What a noise difference is computed from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseSettings {
    /// Samples, drawn from one generator.
    pub samples: usize,
    /// Seed of the generator.
    pub seed: u64,
    /// Steps of the DDIM schedule.
    pub steps: usize,
    /// The step whose timestep the network is given; latents are the initial noise in any case. NeMo's code uses the
    /// second, 1 (timestep 961 of 50 steps).
    pub step: usize,
    /// Guidance; 0 for the conditional prediction alone.
    pub guidance: f32,
    /// Order of the halves, where guidance is on.
    pub convention: Convention,
}

impl Default for NoiseSettings {
    fn default() -> Self {
        Self {
            samples: 10,
            seed: 1,
            steps: 50,
            step: 1,
            guidance: 0.0,
            convention: Convention::Corrected,
        }
    }
}

/// Pictures in one pass through the network: bounds memory, and how long a stop can take.
const TOGETHER: usize = 4;

/// Everything a noise difference of one prompt needs, but for the network.
pub struct NoiseProbe {
    settings: NoiseSettings,
    latents: Tensor,
    embeddings: Tensor,
    schedule: Box<dyn Scheduler>,
}

impl NoiseProbe {
    /// Draws the initial noise and encodes the prompt. `width` and `height` are those of the picture.
    ///
    /// # Errors
    /// No sample, a step beyond the schedule, a size the network does not allow.
    pub fn new(
        pipeline: &Pipeline,
        prompt: &str,
        (width, height): (u32, u32),
        settings: NoiseSettings,
    ) -> Result<Self, MitigationError> {
        let schedule = scheduler(SchedulerKind::Ddim, pipeline.schedule(), settings.steps)?;
        if settings.step >= schedule.timesteps().len() {
            return Err(MitigationError::Request(format!(
                "step {} was asked for; the schedule has steps 0 to {}",
                settings.step,
                schedule.timesteps().len() - 1
            )));
        }
        let request = SampleRequest {
            prompt: prompt.to_owned(),
            sampling: Sampling {
                width,
                height,
                ..Sampling::default()
            },
            noise: InitialNoise::Batch {
                seed: settings.seed,
                count: settings.samples,
            },
        };
        let guided = settings.guidance != 0.0;
        Ok(Self {
            latents: pipeline.initial_noise(&request)?,
            embeddings: pipeline.text_embeddings(prompt, guided.then_some(""))?,
            schedule,
            settings,
        })
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.settings.samples
    }

    /// `ε − latents` of the samples at these places, each channel of each sample scaled to 0 … 1.
    ///
    /// Networks that predict v or x₀ are asked for the ε in their prediction.
    ///
    /// # Errors
    /// [`MitigationError::Stopped`]; numbers that are not finite.
    pub fn differences(
        &self,
        pipeline: &Pipeline,
        places: &[usize],
        watch: &dyn Watch,
    ) -> Result<NoiseDifferences, MitigationError> {
        let (_, channels, height, width) = self.latents.dims4()?;
        let mut values = Vec::with_capacity(places.len() * channels * height * width);
        for some in places.chunks(TOGETHER) {
            watch.go_on()?;
            let places: Vec<u32> = some.iter().map(|&p| p as u32).collect();
            let places = Tensor::from_vec(places, some.len(), self.latents.device())?;
            let latents = self.latents.index_select(&places, 0)?;
            let noise = self.noise(pipeline, &latents)?;
            let difference = (noise - &latents)?.to_device(&Device::Cpu)?;
            values.extend(difference.flatten_all()?.to_vec1::<f32>()?);
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(MitigationError::Request(
                "the noise prediction holds numbers that are not finite; the weights may be damaged, or need f32"
                    .to_owned(),
            ));
        }
        values.chunks_mut(height * width).for_each(scale);
        Ok(NoiseDifferences {
            channels,
            height,
            width,
            values,
        })
    }

    fn noise(&self, pipeline: &Pipeline, latents: &Tensor) -> Result<Tensor, MitigationError> {
        let step = self.settings.step;
        let timestep = self.schedule.timesteps()[step];
        let n = latents.dim(0)?;
        let half = |half: usize| {
            let embedding = self.embeddings.narrow(0, half, 1)?;
            let output = pipeline.predict(latents, timestep, &embedding.repeat((n, 1, 1))?)?;
            Ok::<_, MitigationError>(
                self.schedule
                    .noise(&output, step, latents)?
                    .to_dtype(DType::F32)?,
            )
        };
        let guidance = f64::from(self.settings.guidance);
        if guidance == 0.0 {
            return half(0);
        }
        let (unconditional, conditional) = (half(0)?, half(1)?);
        let (from, to) = match self.settings.convention {
            Convention::Corrected => (unconditional, conditional),
            Convention::Reference => (conditional, unconditional),
        };
        Ok((&from + ((to - &from)? * guidance)?)?)
    }
}

/// Scales a plane to 0 … 1. One that is constant becomes zero (NeMo's code would make it NaN).
fn scale(plane: &mut [f32]) {
    let (low, high) = plane
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| {
            (low.min(v), high.max(v))
        });
    let range = high - low;
    for value in plane {
        *value = if range > 0.0 { (*value - low) / range } else { 0.0 };
    }
}

/// Scaled noise differences of some samples.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseDifferences {
    /// Channels of a sample.
    pub channels: usize,
    /// Height.
    pub height: usize,
    /// Width.
    pub width: usize,
    /// Row-major, `[samples, channels, height, width]`.
    pub values: Vec<f32>,
}

impl NoiseDifferences {
    /// Values of one sample.
    pub fn sample_size(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The samples.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks(self.sample_size().max(1))
    }

    /// Some of the samples.
    #[must_use]
    pub fn at(&self, places: &[usize]) -> Self {
        let size = self.sample_size();
        let values = places
            .iter()
            .flat_map(|&p| &self.values[p * size..(p + 1) * size]);
        Self {
            values: values.copied().collect(),
            channels: self.channels,
            height: self.height,
            width: self.width,
        }
    }
}
