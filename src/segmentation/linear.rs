//! Linear layers on tokens, optionally followed by GELU.

use super::conv::floats;
use crate::{
    ops::{Onto, Target, View, multiply},
    weights_file::Weights,
};
use candle_core::{
    CpuStorage, CustomOp3, DType, Device, Layout, Result, Shape, Tensor, bail, cpu::erf::erf_f32,
};
use rayon::prelude::*;

/// Rows a task takes at least.
const FEW: usize = 64;

/// `x · weightᵀ + bias`, then perhaps GELU (by erf, as PyTorch's default).
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
    gelu: bool,
}

impl Linear {
    /// Takes `name.weight` `[outputs, inputs]` and, if it `has_bias`, `name.bias`.
    pub fn load(
        w: &mut Weights,
        name: &str,
        (inputs, outputs): (usize, usize),
        has_bias: bool,
    ) -> Result<Self> {
        Ok(Self {
            weight: w.take(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: match has_bias {
                true => w.take(&format!("{name}.bias"), &[outputs])?,
                false => Tensor::zeros(outputs, DType::F32, &Device::Cpu)?,
            },
            gelu: false,
        })
    }

    /// The same, followed by GELU.
    pub fn with_gelu(self) -> Self {
        Self { gelu: true, ..self }
    }

    /// `[outputs]`.
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }

    /// `[tokens, inputs]` to `[tokens, outputs]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?
            .apply_op3_no_bwd(&self.weight, &self.bias, &Op { gelu: self.gelu })
    }
}

struct Op {
    gelu: bool,
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "segmentation-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((tokens, inputs), (outputs, expected)) =
            (x_layout.shape().dims2()?, weight_layout.shape().dims2()?);
        if inputs != expected || inputs == 0 || outputs == 0 {
            bail!("linear layer of {expected} inputs given {inputs}");
        }
        let (x, weight) = (floats(x, x_layout)?, floats(weight, weight_layout)?);
        let bias = floats(bias, bias_layout)?;
        let mut out = vec![0f32; tokens * outputs];
        let rows = tokens.div_ceil(2 * rayon::current_num_threads()).max(FEW);
        out.par_chunks_mut(rows * outputs)
            .zip(x.par_chunks(rows * inputs))
            .for_each(|(out, x)| {
                for row in out.chunks_exact_mut(outputs) {
                    row.copy_from_slice(bias);
                }
                let size = (x.len() / inputs, outputs, inputs);
                let (a, b) = (View::rows(x, inputs), View::columns(weight, inputs));
                multiply(size, Target::new(out), outputs, Onto::Add, a, b, false);
                if self.gelu {
                    for v in out {
                        *v *= 0.5 * (1.0 + erf_f32(*v * std::f32::consts::FRAC_1_SQRT_2));
                    }
                }
            });
        Ok((CpuStorage::F32(out), (tokens, outputs).into()))
    }
}
