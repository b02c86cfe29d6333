//! When guidance sets in (Jain et al., “Classifier-Free Guidance inside the Attraction Basin May Cause Memorization”,
//! CVPR 2025): without guidance until a transition point, then as usual. The point is given, or found where the
//! difference of conditional and unconditional noise on an unconditional trajectory has its first minimum.

use super::{MitigationError, Watch};
use crate::{
    diffusion::{DiffusionError, InitialNoise, Observer, Pipeline, SampleRequest, Step},
    study::{Edit, GuidanceSchedule, Sampling, Transition, Variant},
};
use std::ops::ControlFlow;

/// `‖ε_c − ε_∅‖₂` along trajectories that the prompt does not steer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnguidedTrace {
    /// Timesteps of the steps.
    pub timesteps: Vec<f64>,
    /// For each seed, the norm at each step.
    pub norms: Vec<Vec<f32>>,
}

impl UnguidedTrace {
    /// Strict local minima of each seed's curve, as steps from 0: the candidates for a transition point.
    pub fn candidates(&self) -> Vec<Vec<usize>> {
        self.norms.iter().map(|curve| local_minima(curve)).collect()
    }

    /// The timestep of the median first candidate, over the seeds that have one.
    pub fn transition(&self) -> Option<u32> {
        let mut first: Vec<usize> = self
            .candidates()
            .iter()
            .filter_map(|c| c.first().copied())
            .collect();
        first.sort_unstable();
        let middle = *first.get(first.len().checked_sub(1)? / 2)?;
        Some(self.timesteps[middle] as u32)
    }
}

/// Steps at which a curve is lower than before and after.
pub fn local_minima(curve: &[f32]) -> Vec<usize> {
    let lower = |w: &[f32]| w[1] < w[0] && w[1] < w[2];
    curve
        .windows(3)
        .enumerate()
        .filter(|(_, w)| lower(w))
        .map(|(i, _)| i + 1)
        .collect()
}

/// Draws without guidance (or with `before`, for opposite guidance) to the end and records the norms.
///
/// # Errors
/// Settings out of range; [`MitigationError::Stopped`].
pub fn trace(
    pipeline: &Pipeline,
    prompt: &str,
    sampling: &Sampling,
    seeds: &[u64],
    before: f32,
    watch: &mut dyn Watch,
) -> Result<UnguidedTrace, MitigationError> {
    let never = Variant {
        name: "unguided".to_owned(),
        edits: vec![Edit::Guidance(GuidanceSchedule {
            before,
            transition: Transition::Step(u32::MAX),
        })],
        ..Variant::default()
    };
    let pipeline = pipeline.with_variant(&never)?;
    let mut found = UnguidedTrace::default();
    for (i, seed) in seeds.iter().enumerate() {
        let request = SampleRequest {
            prompt: prompt.to_owned(),
            sampling: sampling.clone(),
            noise: InitialNoise::Seeds(vec![*seed]),
        };
        let mut eye = Eye {
            timesteps: Vec::new(),
            norms: Vec::new(),
            done: i as f64,
            total: seeds.len() as f64,
            finished: false,
            watch,
        };
        match pipeline.sample(&request, &mut eye) {
            Err(DiffusionError::Stopped) if eye.finished => {}
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        found.timesteps = eye.timesteps;
        found.norms.push(eye.norms);
    }
    Ok(found)
}

struct Eye<'a> {
    timesteps: Vec<f64>,
    norms: Vec<f32>,
    done: f64,
    total: f64,
    finished: bool,
    watch: &'a mut dyn Watch,
}

impl Observer for Eye<'_> {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        self.timesteps.push(step.timestep);
        let norm = step.noise_norms().ok().flatten().and_then(|n| n.first().copied());
        self.norms.push(norm.unwrap_or(f32::NAN));
        self.watch.at(
            self.done + (step.index + 1) as f64 / step.count as f64,
            self.total,
        );
        self.finished = step.index + 1 == step.count;
        // The picture itself is not needed: nothing is decoded.
        if self.finished || self.watch.is_stopped() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minima_are_strict_and_inside() {
        assert_eq!(local_minima(&[3.0, 2.0, 4.0, 4.0, 4.0, 1.0, 5.0]), [1, 5]);
        assert!(local_minima(&[1.0, 2.0, 3.0]).is_empty());
        assert!(local_minima(&[2.0, 1.0]).is_empty());
        assert!(local_minima(&[3.0, 2.0, 2.0, 3.0]).is_empty());
    }

    #[test]
    fn the_median_first_minimum_is_the_transition() {
        let trace = UnguidedTrace {
            timesteps: vec![900.0, 700.0, 500.0, 300.0],
            norms: vec![
                vec![3.0, 2.0, 4.0, 5.0],
                vec![3.0, 2.5, 2.0, 5.0],
                vec![1.0, 2.0, 3.0, 4.0],
            ],
        };
        assert_eq!(trace.candidates(), [vec![1], vec![2], vec![]]);
        assert_eq!(trace.transition(), Some(700));
        assert_eq!(UnguidedTrace::default().transition(), None);
    }
}
