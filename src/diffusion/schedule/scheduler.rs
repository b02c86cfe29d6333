//! What the sampler asks of every schedule.

use super::{Ddim, DpmSolver, Euler, Pndm};
use crate::{
    diffusion::{DiffusionError, ScheduleConfig},
    study::SchedulerKind,
};
use candle_core::{Result, Tensor};

/// What one step makes of a prediction.
pub struct Stepped {
    /// Latents of the next step.
    pub latents: Tensor,
    /// Predicted original x₀, clamped if the checkpoint says so.
    pub original: Tensor,
}

/// The way from noise to a picture, for one drawing. The network is evaluated once for each of
/// [`timesteps`](Self::timesteps), in order; `index` counts these evaluations from 0.
pub trait Scheduler {
    /// Timesteps of the evaluations, noisiest first. Not always whole, and not always as many as the steps asked for.
    fn timesteps(&self) -> &[f64];

    /// Standard deviation of the initial latents.
    fn initial_sigma(&self) -> f64 {
        1.0
    }

    /// What the network is given for `latents`.
    ///
    /// # Errors
    /// Failures of the tensor library.
    fn model_input(&self, latents: &Tensor, _index: usize) -> Result<Tensor> {
        Ok(latents.clone())
    }

    /// The noise ε in the network's output for `latents`.
    ///
    /// # Errors
    /// Shapes that do not agree.
    fn noise(&self, output: &Tensor, index: usize, latents: &Tensor) -> Result<Tensor>;

    /// One step on from `latents`. `fresh` draws noise of the latents' shape from the generators that drew the initial
    /// noise; only ancestral schedules call it.
    ///
    /// # Errors
    /// Shapes that do not agree; whatever `fresh` cannot do.
    fn step(
        &mut self,
        output: &Tensor,
        index: usize,
        latents: &Tensor,
        fresh: &mut dyn FnMut() -> Result<Tensor>,
    ) -> Result<Stepped>;
}

/// The schedule of a kind for `steps` sampling steps, with the settings that diffusers' `from_config` would give it.
///
/// # Errors
/// Fewer than one step or more than training had, settings that this schedule would have to honour and cannot, and
/// timesteps beyond the end of training.
pub fn scheduler(
    kind: SchedulerKind,
    config: &ScheduleConfig,
    steps: usize,
) -> std::result::Result<Box<dyn Scheduler>, DiffusionError> {
    let train = config.train_steps;
    if steps == 0 || steps > train {
        return Err(DiffusionError::Request(format!(
            "{steps} steps were asked for; this checkpoint's schedule allows 1 to {train}"
        )));
    }
    config.allows(kind).map_err(DiffusionError::Request)?;
    Ok(match kind {
        SchedulerKind::Ddim => Box::new(Ddim::new(config, steps)?),
        SchedulerKind::Pndm => Box::new(Pndm::new(config, steps)?),
        SchedulerKind::DpmPlusPlus => Box::new(DpmSolver::new(config, steps)?),
        SchedulerKind::Euler => Box::new(Euler::new(config, steps)),
        SchedulerKind::EulerAncestral => Box::new(Euler::ancestral(config, steps)),
    })
}

/// Refuses a timestep that training never saw.
pub(super) fn within(
    timesteps: impl IntoIterator<Item = usize>,
    config: &ScheduleConfig,
    steps: usize,
) -> std::result::Result<(), DiffusionError> {
    let train = config.train_steps;
    match timesteps.into_iter().find(|&t| t >= train) {
        None => Ok(()),
        Some(beyond) => Err(DiffusionError::Request(format!(
            "{steps} steps with steps_offset {} reach timestep {beyond}, but training had only {train}; choose fewer \
             steps",
            config.steps_offset
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BetaSchedule, Prediction, Spacing};
    use super::*;

    fn stable_diffusion() -> ScheduleConfig {
        ScheduleConfig {
            betas: BetaSchedule::ScaledLinear {
                start: 0.00085,
                end: 0.012,
            },
            steps_offset: 1,
            set_alpha_to_one: Some(false),
            clip_sample: None,
            skip_prk_steps: true,
            ..ScheduleConfig::default()
        }
    }

    #[test]
    fn fifty_steps_are_those_of_the_papers() {
        let ddim = scheduler(SchedulerKind::Ddim, &stable_diffusion(), 50).unwrap();
        assert_eq!(ddim.timesteps()[..2], [981.0, 961.0]);
        assert_eq!(ddim.timesteps().last(), Some(&1.0));
        let pndm = scheduler(SchedulerKind::Pndm, &stable_diffusion(), 50).unwrap();
        assert_eq!(pndm.timesteps()[..3], [981.0, 961.0, 961.0]);
        assert_eq!(pndm.timesteps().len(), 51);
    }

    #[test]
    fn too_many_steps_are_refused_in_words() {
        let refused = |kind, config: &ScheduleConfig, steps| {
            let error = scheduler(kind, config, steps).err().map(|e| e.to_string());
            assert!(error.as_ref().is_some_and(|e| e.contains("steps")), "{error:?}");
        };
        for kind in SchedulerKind::ALL {
            refused(kind, &stable_diffusion(), 0);
            refused(kind, &stable_diffusion(), 1001);
        }
        refused(SchedulerKind::Ddim, &stable_diffusion(), 1000);
        refused(SchedulerKind::Pndm, &stable_diffusion(), 1000);
        let all = ScheduleConfig {
            steps_offset: 0,
            ..stable_diffusion()
        };
        let ddim = scheduler(SchedulerKind::Ddim, &all, 1000).unwrap();
        assert_eq!(ddim.timesteps().len(), 1000);
    }

    /// Every schedule must see the same noise and original in three descriptions of one prediction.
    #[test]
    fn predictions_of_the_same_thing_lead_to_the_same_place() {
        let device = candle_core::Device::Cpu;
        let x = Tensor::new(&[0.3f32, -1.2, 0.7], &device).unwrap();
        let noise = Tensor::new(&[1.1f32, 0.2, -0.4], &device).unwrap();
        for kind in SchedulerKind::ALL {
            let config = ScheduleConfig {
                spacing: Some(Spacing::Leading),
                ..stable_diffusion()
            };
            let mut fresh = || x.zeros_like();
            let mut by_noise = scheduler(kind, &config, 20).unwrap();
            let first = by_noise.step(&noise, 0, &x, &mut fresh).unwrap();
            let velocity = {
                // v from x₀ and ε, at the α and σ that x itself shows.
                let t = by_noise.timesteps()[0] as usize;
                let alpha = f64::from(super::super::betas::alphas(&config, false)[t]);
                ((&noise * alpha.sqrt()).unwrap() - (&first.original * (1.0 - alpha).sqrt()).unwrap())
                    .unwrap()
            };
            for (prediction, output) in [
                (Prediction::Velocity, velocity),
                (Prediction::Original, first.original.clone()),
            ] {
                let config = ScheduleConfig {
                    prediction,
                    ..config.clone()
                };
                let Ok(mut other) = scheduler(kind, &config, 20) else {
                    // diffusers' PNDM and Euler ancestral do not know it either.
                    assert!(prediction == Prediction::Original);
                    continue;
                };
                let seen = other.noise(&output, 0, &x).unwrap();
                let got = other.step(&output, 0, &x, &mut fresh).unwrap();
                for (a, b) in [
                    (got.latents, &first.latents),
                    (got.original, &first.original),
                    (seen, &noise),
                ] {
                    let off = (a - b).unwrap().abs().unwrap().max(0).unwrap();
                    let off = off.to_scalar::<f32>().unwrap();
                    let most = b
                        .abs()
                        .unwrap()
                        .max(0)
                        .unwrap()
                        .to_scalar::<f32>()
                        .unwrap()
                        .max(1.0);
                    assert!(off < 5e-5 * most, "{kind} {prediction}: off by {off} of {most}");
                }
            }
        }
    }
}
