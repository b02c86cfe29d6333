//! From prompt and noise to pictures, as diffusers' `StableDiffusionPipeline` does it.

use super::{DiffusionError, NoiseSource, Observer, Pipeline, Step, Tap, guidance::Guidance, scheduler};
use crate::study::{Sampling, SchedulerKind};
use candle_core::{DType, Device, Tensor};
use image::RgbImage;
use std::ops::ControlFlow;

/// Most pictures drawn at once.
const MAX_PICTURES: usize = Sampling::MAX_AT_ONCE as usize;

/// What to draw.
#[derive(Clone, Debug)]
pub struct SampleRequest {
    /// The prompt, for all pictures.
    pub prompt: String,
    /// Steps, guidance, size, negative prompt.
    pub sampling: Sampling,
    /// Where the pictures start from; also says how many there are.
    pub noise: InitialNoise,
}

/// Initial noise.
#[derive(Clone, Debug)]
pub enum InitialNoise {
    /// One picture per seed, each with its own generator: a picture does not depend on its neighbours.
    Seeds(Vec<u64>),
    /// `count` pictures in a row from one generator, as diffusers' `[prompt] * count` with a single generator.
    Batch {
        /// Seed of the generator.
        seed: u64,
        /// Number of pictures.
        count: usize,
    },
    /// Noise `[n, channels, h, w]`, as it is.
    Given(Tensor),
}

/// Pictures and what they were made from.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The pictures in 8 bits, rounded as diffusers does (half to even).
    pub images: Vec<RgbImage>,
    /// The pictures `[n, 3, H, W]` in `[0, 1]`, f32, on the CPU.
    pub decoded: Tensor,
    /// Final latents `[n, channels, h, w]`, f32.
    pub latents: Tensor,
}

impl Pipeline {
    /// Draws pictures. The observer is called after every step and may stop the drawing; a pipeline made with
    /// [`until`](Self::until) stops inside a step too.
    ///
    /// # Errors
    /// [`DiffusionError::Stopped`] when it was stopped; requests out of range; numbers that are not finite.
    pub fn sample(
        &self,
        request: &SampleRequest,
        observer: &mut dyn Observer,
    ) -> Result<Sample, DiffusionError> {
        let Sampling {
            steps,
            guidance,
            scheduler: kind,
            ..
        } = request.sampling;
        request.sampling.validate().map_err(DiffusionError::Request)?;
        let mut schedule = scheduler(kind, &self.schedule, steps as usize)?;
        let (noise, mut source) = self.first_noise(request)?;
        if kind == SchedulerKind::EulerAncestral && source.is_none() {
            return Err(DiffusionError::Request(
                "euler-a adds noise at every step, and given noise has no generator to draw it from; choose seeds, or \
                 another scheduler"
                    .to_owned(),
            ));
        }
        let mut latents = (noise * schedule.initial_sigma())?;
        let n = latents.dim(0)?;

        let mut guidance = Guidance::new(guidance, self.edits.guidance);
        let guided = guidance.is_on();
        let negative = guided.then_some(request.sampling.negative.as_str());
        let embeddings = repeat_each(&self.text_embeddings(&request.prompt, negative)?, n)?;

        let cluster = self.cluster_of(&request.prompt)?.map(|place| place.cluster);
        let timesteps = schedule.timesteps().to_vec();
        for (index, &timestep) in timesteps.iter().enumerate() {
            let input = schedule.model_input(&latents, index)?.to_dtype(self.dtype)?;
            let input = if guided {
                Tensor::cat(&[&input, &input], 0)?
            } else {
                input
            };
            let tap = Tap::new(observer, index, timestep, guided);
            let output = self.unet_at(index, timestep, cluster)?.forward(
                &input,
                timestep,
                &embeddings,
                self.compute(),
                tap,
            );
            let output = self.told(output)?.to_dtype(DType::F32)?;
            let (unconditional, conditional) = if guided {
                (Some(output.narrow(0, 0, n)?), output.narrow(0, n, n)?)
            } else {
                (None, output)
            };
            let combined = match &unconditional {
                Some(u) => guidance.combine(u, &conditional, index, timestep)?,
                None => conditional.clone(),
            };
            let mut fresh = || match &mut source {
                Some(source) => source.draw(&self.device),
                None => latents.zeros_like(),
            };
            let stepped = schedule.step(&combined, index, &latents, &mut fresh)?;
            if !is_finite(&stepped.latents)? {
                return Err(DiffusionError::NotFinite(format!(
                    "at step {} of {}",
                    index + 1,
                    timesteps.len()
                )));
            }
            let noise_cond = schedule.noise(&conditional, index, &latents)?;
            let noise_uncond = unconditional
                .map(|u| schedule.noise(&u, index, &latents))
                .transpose()?;
            latents = stepped.latents;
            let step = Step {
                index,
                count: timesteps.len(),
                timestep,
                latents: &latents,
                noise_cond: &noise_cond,
                noise_uncond: noise_uncond.as_ref(),
                predicted_original: &stepped.original,
            };
            if let ControlFlow::Break(()) = observer.step(&step) {
                return Err(DiffusionError::Stopped);
            }
        }

        let decoded = self.decode(&latents)?.to_device(&Device::Cpu)?;
        if !is_finite(&decoded)? {
            return Err(DiffusionError::NotFinite("while decoding".to_owned()));
        }
        Ok(Sample {
            images: to_images(&decoded)?,
            decoded,
            latents,
        })
    }

    /// The initial noise of a request, `[n, channels, h, w]`, f32: as torch would draw it in the pipeline's element
    /// type.
    ///
    /// # Errors
    /// A size the network does not allow, no picture or too many, given noise of another shape.
    pub fn initial_noise(&self, request: &SampleRequest) -> Result<Tensor, DiffusionError> {
        Ok(self.first_noise(request)?.0)
    }

    /// The initial noise, and the generators that drew it; none for given noise.
    fn first_noise(&self, request: &SampleRequest) -> Result<(Tensor, Option<NoiseSource>), DiffusionError> {
        let refuse = |message: String| Err(DiffusionError::Request(message));
        let Sampling {
            width, height, rng, ..
        } = request.sampling;
        let factor = self.vae.config().factor();
        if !(width as usize).is_multiple_of(factor) || !(height as usize).is_multiple_of(factor) {
            return refuse(format!(
                "{width}×{height} pixels: this checkpoint needs multiples of {factor}"
            ));
        }
        let (h, w) = (height as usize / factor, width as usize / factor);
        let channels = self.unet.config().in_channels;
        let shape = [channels, h, w];
        let count = match &request.noise {
            InitialNoise::Seeds(seeds) => seeds.len(),
            InitialNoise::Batch { count, .. } => *count,
            InitialNoise::Given(noise) => {
                if noise.rank() != 4 || noise.dims()[1..] != shape {
                    return refuse(format!(
                        "the given noise has shape {:?}, expected [n, {channels}, {h}, {w}]",
                        noise.dims()
                    ));
                }
                noise.dim(0)?
            }
        };
        if !(1..=MAX_PICTURES).contains(&count) {
            return refuse(format!(
                "{count} pictures at once; 1 to {MAX_PICTURES} are possible"
            ));
        }
        let mut source = match &request.noise {
            InitialNoise::Seeds(seeds) => NoiseSource::per_picture(rng, seeds, shape, self.dtype),
            InitialNoise::Batch { seed, count } => NoiseSource::shared(rng, *seed, *count, shape, self.dtype),
            InitialNoise::Given(noise) => {
                let noise = noise.to_dtype(DType::F32)?.to_device(&self.device)?;
                if !is_finite(&noise)? {
                    return refuse("the given noise is not finite".to_owned());
                }
                return Ok((noise, None));
            }
        };
        Ok((source.draw(&self.device)?, Some(source)))
    }
}

/// Every entry of the first dimension `n` times in a row.
fn repeat_each(tensor: &Tensor, n: usize) -> candle_core::Result<Tensor> {
    let (entries, tokens, width) = tensor.dims3()?;
    tensor
        .unsqueeze(1)?
        .broadcast_as((entries, n, tokens, width))?
        .contiguous()?
        .reshape((entries * n, tokens, width))
}

fn is_finite(tensor: &Tensor) -> candle_core::Result<bool> {
    // A NaN or infinity anywhere makes the sum of squares one.
    Ok(tensor.sqr()?.sum_all()?.to_scalar::<f32>()?.is_finite())
}

/// 8-bit pictures from `[n, 3, H, W]` in `[0, 1]`.
fn to_images(decoded: &Tensor) -> candle_core::Result<Vec<RgbImage>> {
    let (n, _, h, w) = decoded.dims4()?;
    let values = decoded.flatten_all()?.to_vec1::<f32>()?;
    let area = h * w;
    let picture = |i: usize| {
        RgbImage::from_fn(w as u32, h as u32, |x, y| {
            let pixel = y as usize * w + x as usize;
            let byte = |c: usize| (255.0 * values[(i * 3 + c) * area + pixel]).round_ties_even() as u8;
            image::Rgb([byte(0), byte(1), byte(2)])
        })
    };
    Ok((0..n).map(picture).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even_as_in_numpy() {
        let values = [0.5 / 255.0, 1.5 / 255.0, 1.0];
        let tensor = Tensor::new(&values.map(|v: f32| v), &Device::Cpu)
            .unwrap()
            .reshape((1, 3, 1, 1))
            .unwrap();
        let byte = |v: f32| (255.0 * v).round_ties_even() as u8;
        assert_eq!(to_images(&tensor).unwrap()[0].as_raw(), &values.map(byte));
        assert_eq!([0.5f32, 1.5, 2.5].map(f32::round_ties_even), [0.0, 2.0, 2.0]);
    }

    #[test]
    fn embeddings_repeat_picture_by_picture() {
        let t = Tensor::new(&[[[1f32]], [[2.0]]], &Device::Cpu).unwrap();
        let r = repeat_each(&t, 3)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert_eq!(r, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    }
}
