//! AdamW (Loshchilov & Hutter, 2019) on one tensor, with a state that can be kept: candle's own does not show its moments.

use crate::mitigation::Progress;
use candle_core::{Device, Result, Tensor, Var};

/// Decay rates of the moments and the smallest divisor, PyTorch's defaults.
const BETAS: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// The optimiser of one variable.
pub(super) struct AdamW {
    rate: f64,
    decay: f64,
    updates: usize,
    /// Mean and mean square of the gradients, decaying; of the variable's shape.
    moments: (Tensor, Tensor),
}

impl AdamW {
    pub fn new(variable: &Var, rate: f64, decay: f64) -> Result<Self> {
        let zero = variable.as_tensor().zeros_like()?;
        Ok(Self {
            rate,
            decay,
            updates: 0,
            moments: (zero.clone(), zero),
        })
    }

    /// One update.
    pub fn step(&mut self, variable: &Var, gradient: &Tensor) -> Result<()> {
        self.updates += 1;
        let (first, second) = BETAS;
        let mean = ((&self.moments.0 * first)? + (gradient * (1.0 - first))?)?;
        let square = ((&self.moments.1 * second)? + (gradient.sqr()? * (1.0 - second))?)?;
        let unbiased = |beta: f64| 1.0 / (1.0 - beta.powi(self.updates as i32));
        let direction = ((&mean * unbiased(first))? / ((&square * unbiased(second))?.sqrt()? + EPSILON)?)?;
        let decayed = (variable.as_tensor() * (1.0 - self.rate * self.decay))?;
        variable.set(&(decayed - (direction * self.rate)?)?.detach())?;
        // The graph of a step must not hang on the next one's.
        self.moments = (mean.detach(), square.detach());
        Ok(())
    }

    /// Writes variable, moments and number of updates down.
    pub fn keep(&self, variable: &Var, progress: &mut Progress) -> Result<()> {
        let (mean, square) = &self.moments;
        for (name, tensor) in [
            ("value", variable.as_tensor()),
            ("mean", mean),
            ("square", square),
        ] {
            let values = tensor.flatten_all()?.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
            progress.put(name, &values);
        }
        progress.put_count("updates", self.updates);
        Ok(())
    }

    /// Takes them up again; `false` when they are of another variable, and nothing is changed.
    pub fn take_up(&mut self, variable: &Var, progress: &Progress) -> Result<bool> {
        let count = variable.elem_count();
        let list = |name: &str| progress.floats(name, count);
        let (Some(value), Some(mean), Some(square), Some(updates)) = (
            list("value"),
            list("mean"),
            list("square"),
            progress.count("updates"),
        ) else {
            return Ok(false);
        };
        let tensor = |values: Vec<f32>| Tensor::from_vec(values, variable.dims(), variable.device());
        self.moments = (tensor(mean)?, tensor(square)?);
        self.updates = updates;
        variable.set(&tensor(value)?)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_nn::{Optimizer, ParamsAdamW};

    #[test]
    fn it_gives_what_candles_gives_and_goes_on_from_what_was_kept() {
        let start = Tensor::new(&[0.5f32, -1.25, 2.0], &Device::Cpu).unwrap();
        let (ours, theirs) = (
            Var::from_tensor(&start).unwrap(),
            Var::from_tensor(&start).unwrap(),
        );
        let parameters = ParamsAdamW {
            lr: 0.05,
            weight_decay: 0.01,
            ..ParamsAdamW::default()
        };
        let mut reference = candle_nn::AdamW::new(vec![theirs.clone()], parameters).unwrap();
        let mut optimiser = AdamW::new(&ours, 0.05, 0.01).unwrap();
        let values = |v: &Var| v.to_vec1::<f32>().unwrap();
        let loss = |v: &Var| v.as_tensor().sqr().unwrap().sqr().unwrap().sum_all().unwrap();
        for step in 0..6 {
            if step == 3 {
                let mut kept = Progress::default();
                optimiser.keep(&ours, &mut kept).unwrap();
                ours.set(&start).unwrap();
                optimiser = AdamW::new(&ours, 0.05, 0.01).unwrap();
                assert!(!optimiser.take_up(&ours, &Progress::default()).unwrap());
                assert!(optimiser.take_up(&ours, &kept).unwrap());
            }
            reference.step(&loss(&theirs).backward().unwrap()).unwrap();
            let gradients = loss(&ours).backward().unwrap();
            optimiser.step(&ours, gradients.get(&ours).unwrap()).unwrap();
            assert_eq!(values(&ours), values(&theirs), "step {step}");
        }
    }
}
