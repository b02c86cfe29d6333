//! Classifier-free guidance that may change while a picture forms.

use crate::study::{GuidanceSchedule, Transition};
use candle_core::{D, DType, Result, Tensor};

/// Guidance of one drawing, step by step and picture by picture.
pub(super) struct Guidance {
    /// The run's guidance.
    scale: f64,
    schedule: Option<GuidanceSchedule>,
    /// For the dynamic transition, one per picture.
    pictures: Vec<Watch>,
}

/// What the dynamic transition remembers of a picture.
#[derive(Clone, Copy, Default)]
struct Watch {
    /// Noise norms of the last step and of the one before it.
    last: Option<f32>,
    before_last: Option<f32>,
    passed: bool,
}

impl Guidance {
    /// The run's guidance scale, and the schedule of the variant if it has one.
    pub fn new(scale: f32, schedule: Option<GuidanceSchedule>) -> Self {
        Self {
            scale: f64::from(scale),
            schedule,
            pictures: Vec::new(),
        }
    }

    /// Whether the unconditional half is computed: as in diffusers a guidance of 1 or less switches it off, unless a
    /// schedule needs it.
    pub fn is_on(&self) -> bool {
        self.scale > 1.0 || self.schedule.is_some()
    }

    /// `u + w·(c − u)` for predictions `[n, c, h, w]` of one step, with each picture's weight at that step. Called once
    /// for each step, in order.
    pub fn combine(
        &mut self,
        unconditional: &Tensor,
        conditional: &Tensor,
        step: usize,
        timestep: usize,
    ) -> Result<Tensor> {
        let difference = (conditional - unconditional)?;
        let Some(GuidanceSchedule { before, transition }) = self.schedule else {
            return unconditional + (difference * self.scale)?;
        };
        let before = f64::from(before);
        let weight = match transition {
            Transition::Step(at) if step < at as usize => before,
            Transition::Timestep(at) if timestep > at as usize => before,
            Transition::Step(_) | Transition::Timestep(_) => self.scale,
            Transition::FirstMinimum => {
                let weights = self.after_minimum(&difference, before)?;
                let weights = weights.to_dtype(difference.dtype())?;
                return unconditional + difference.broadcast_mul(&weights)?;
            }
        };
        unconditional + (difference * weight)?
    }

    /// Weights `[n, 1, 1, 1]`: the run's guidance from the step on at which the norm of the difference has risen after
    /// it had fallen.
    fn after_minimum(&mut self, difference: &Tensor, before: f64) -> Result<Tensor> {
        let n = difference.dim(0)?;
        let norms = difference
            .to_dtype(DType::F32)?
            .sqr()?
            .flatten_from(1)?
            .sum(D::Minus1)?
            .sqrt()?;
        self.pictures.resize(n, Watch::default());
        let weights: Vec<f32> = norms
            .to_vec1::<f32>()?
            .into_iter()
            .zip(&mut self.pictures)
            .map(|(norm, watch)| {
                let weight = if watch.take(norm) { self.scale } else { before };
                weight as f32
            })
            .collect();
        Tensor::from_vec(weights, (n, 1, 1, 1), difference.device())
    }
}

impl Watch {
    /// Takes in the norm of a step; whether the transition has passed.
    fn take(&mut self, norm: f32) -> bool {
        if let (Some(last), Some(before_last)) = (self.last, self.before_last) {
            self.passed |= norm > last && before_last > last;
        }
        self.before_last = self.last.replace(norm);
        self.passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (values.len(), 1, 1, 1), &Device::Cpu).unwrap()
    }

    fn run(schedule: Option<GuidanceSchedule>, norms: &[[f32; 2]]) -> Vec<Vec<f32>> {
        let mut guidance = Guidance::new(7.0, schedule);
        let zero = tensor(&[0.0, 0.0]);
        norms
            .iter()
            .enumerate()
            .map(|(step, norms)| {
                let out = guidance
                    .combine(&zero, &tensor(norms), step, 900 - 100 * step)
                    .unwrap();
                let out = out.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                out.iter().zip(norms).map(|(o, n)| o / n).collect()
            })
            .collect()
    }

    #[test]
    fn static_transitions_are_at_their_step_or_timestep() {
        let norms = [[1.0, 2.0]; 4];
        let at = |transition| {
            let schedule = GuidanceSchedule {
                before: -2.0,
                transition,
            };
            run(Some(schedule), &norms)
                .iter()
                .map(|w| w[0])
                .collect::<Vec<_>>()
        };
        assert_eq!(at(Transition::Step(2)), [-2.0, -2.0, 7.0, 7.0]);
        assert_eq!(at(Transition::Step(0)), [7.0; 4]);
        // Timesteps are 900, 800, 700, 600; “above” is strict.
        assert_eq!(at(Transition::Timestep(800)), [-2.0, 7.0, 7.0, 7.0]);
        assert_eq!(at(Transition::Timestep(0)), [-2.0; 4]);
        assert_eq!(run(None, &norms)[3], [7.0, 7.0]);
    }

    #[test]
    fn each_picture_has_its_own_first_minimum() {
        let schedule = GuidanceSchedule {
            before: 1.0,
            transition: Transition::FirstMinimum,
        };
        let norms = [
            [5.0, 5.0],
            [4.0, 6.0],
            [4.0, 5.0],
            [5.0, 6.0],
            [3.0, 1.0],
            [3.5, 1.0],
        ];
        let weights = run(Some(schedule), &norms);
        // The first picture's fall to 4, 4 is no strict minimum; its fall to 3 is one.
        let first: Vec<f32> = weights.iter().map(|w| w[0]).collect();
        let second: Vec<f32> = weights.iter().map(|w| w[1]).collect();
        assert_eq!(first, [1.0, 1.0, 1.0, 1.0, 1.0, 7.0]);
        assert_eq!(second, [1.0, 1.0, 1.0, 7.0, 7.0, 7.0]);
    }

    #[test]
    fn a_schedule_needs_both_halves() {
        assert!(!Guidance::new(1.0, None).is_on());
        let schedule = GuidanceSchedule {
            before: 0.0,
            transition: Transition::Step(1),
        };
        assert!(Guidance::new(1.0, Some(schedule)).is_on());
    }
}
