//! Layers with two sets of kernels: candle's own operations, and [`ops`](crate::ops).

use super::weights::Scope;
use crate::ops::{self, Stored, Weights};
use candle_core::{D, DType, Device, Result, Storage, Tensor};
use std::sync::atomic::{AtomicBool, Ordering};

/// Which operations a pass through the network uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernels {
    /// Candle's operations: any device, any element type, differentiable.
    Plain,
    /// Our operations: f32 on the CPU, with weights of any kind; results differ from plain only by rounding. Cuts
    /// gradients.
    Fast,
}

impl Kernels {
    /// Fast where possible.
    pub fn best(device: &Device, dtype: DType) -> Self {
        if device.is_cpu() && dtype == DType::F32 {
            Self::Fast
        } else {
            Self::Plain
        }
    }
}

/// How a pass through a network is computed.
#[derive(Clone, Copy, Debug)]
pub struct Compute<'a> {
    /// Operations to use.
    pub kernels: Kernels,
    /// Spread single operations over the current rayon pool (fast kernels; candle decides for itself).
    pub parallel: bool,
    /// Once another thread sets this, the pass ends with an error at the next layer.
    pub stop: Option<&'a AtomicBool>,
}

impl Compute<'_> {
    /// Operations spread over the pool, not to be stopped.
    pub fn new(kernels: Kernels) -> Self {
        Self {
            kernels,
            parallel: true,
            stop: None,
        }
    }

    /// An error once the pass is to stop; every layer that takes long asks before it begins.
    pub(super) fn go_on(self) -> Result<()> {
        match self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => candle_core::bail!("stopped"),
            _ => Ok(()),
        }
    }

    pub(super) fn fast(self) -> bool {
        self.kernels == Kernels::Fast
    }
}

/// Calls `f` with the values of contiguous f32 CPU tensors, and makes a tensor of what it returns.
pub(super) fn on_slices<const N: usize>(
    tensors: [&Tensor; N],
    shape: &[usize],
    f: impl FnOnce([&[f32]; N]) -> Vec<f32>,
) -> Result<Tensor> {
    let tensors = tensors.map(Tensor::contiguous);
    let mut owned = Vec::with_capacity(N);
    for tensor in tensors {
        owned.push(tensor?);
    }
    let guards: Vec<_> = owned.iter().map(Tensor::storage_and_layout).collect();
    let mut slices = [&[][..]; N];
    for (slot, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let (Storage::Cpu(storage), Some((from, to))) = (&**storage, layout.contiguous_offsets()) else {
            candle_core::bail!("fast kernels need contiguous tensors on the CPU")
        };
        *slot = &storage.as_slice::<f32>()?[from..to];
    }
    let out = f(slices);
    drop(guards);
    Tensor::from_vec(out, shape, &Device::Cpu)
}

/// As [`on_slices`], with a weight tensor as it is stored.
fn on_weight<const N: usize>(
    tensors: [&Tensor; N],
    weight: &Tensor,
    shape: &[usize],
    f: impl FnOnce([&[f32]; N], Stored<'_>) -> Vec<f32>,
) -> Result<Tensor> {
    let weight = weight.contiguous()?;
    let (storage, layout) = weight.storage_and_layout();
    let (Storage::Cpu(storage), Some((from, to))) = (&*storage, layout.contiguous_offsets()) else {
        candle_core::bail!("fast kernels need contiguous weights on the CPU")
    };
    let stored = match weight.dtype() {
        DType::F16 => Stored::F16(&storage.as_slice()?[from..to]),
        DType::BF16 => Stored::Bf16(&storage.as_slice()?[from..to]),
        _ => Stored::F32(&storage.as_slice()?[from..to]),
    };
    on_slices(tensors, shape, |slices| f(slices, stored))
}

/// 2-D convolution.
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    padding: usize,
}

impl Conv2d {
    /// A convolution with a square kernel; 3×3 has padding 1, 1×1 has none.
    pub fn new(scope: &Scope<'_>, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Self {
        let weight = scope.stored("weight", &[outputs, inputs, kernel, kernel]);
        Self {
            weight,
            bias: scope.get("bias", &[outputs]),
            stride,
            padding: kernel / 2,
        }
    }

    /// `[n, inputs, h, w]` to `[n, outputs, h', w']`.
    pub fn forward(&self, x: &Tensor, compute: Compute) -> Result<Tensor> {
        self.forward_with(x, None, None, compute)
    }

    /// As [`forward`](Self::forward), plus `shift[n, outputs]` on all pixels and `residual` of the output's shape.
    pub fn forward_with(
        &self,
        x: &Tensor,
        shift: Option<&Tensor>,
        residual: Option<&Tensor>,
        compute: Compute,
    ) -> Result<Tensor> {
        compute.go_on()?;
        if !compute.fast() {
            let weight = self.weight.to_dtype(x.dtype())?;
            let mut y = x.conv2d(&weight, self.padding, self.stride, 1, 1)?;
            y = y.broadcast_add(&self.bias.reshape((1, (), 1, 1))?)?;
            if let Some(shift) = shift {
                y = y.broadcast_add(&shift.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)?)?;
            }
            return match residual {
                Some(residual) => y + residual,
                None => Ok(y),
            };
        }
        let (batch, inputs, height, width) = x.dims4()?;
        let (outputs, _, kernel, _) = self.weight.dims4()?;
        let (stride, padding) = (self.stride, self.padding);
        let shape = ops::Conv {
            batch,
            inputs,
            outputs,
            height,
            width,
            kernel,
            stride,
            padding,
            dilation: 1,
        };
        let (rows, columns) = shape.output_size();
        let out = [batch, outputs, rows, columns];
        // Absent parts are stood for by the bias, which is always there.
        let parts = [
            x,
            &self.bias,
            shift.unwrap_or(&self.bias),
            residual.unwrap_or(&self.bias),
        ];
        on_weight(parts, &self.weight, &out, |[x, b, s, r], w| {
            let (s, r) = (shift.map(|_| s), residual.map(|_| r));
            ops::conv2d(x, shape, w, Some(b), s, r, compute.parallel)
        })
    }
}

/// Linear layer on the last dimension.
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    outputs: usize,
    inputs: usize,
}

impl Linear {
    /// A layer with bias.
    pub fn new(scope: &Scope<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        let bias = Some(scope.get("bias", &[outputs]));
        Ok(Self {
            weight: scope.matrix("weight", outputs, inputs)?,
            bias,
            outputs,
            inputs,
        })
    }

    /// A layer without bias.
    pub fn without_bias(scope: &Scope<'_>, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            weight: scope.matrix("weight", outputs, inputs)?,
            bias: None,
            outputs,
            inputs,
        })
    }

    fn matrix<'a>(&self, values: Stored<'a>) -> Weights<'a> {
        Weights {
            values,
            outputs: self.outputs,
            inputs: self.inputs,
        }
    }

    /// `[…, inputs]` to `[…, outputs]`.
    pub fn forward(&self, x: &Tensor, compute: Compute) -> Result<Tensor> {
        self.forward_with(x, None, compute)
    }

    /// As [`forward`](Self::forward), plus a residual of the output's shape.
    pub fn forward_with(&self, x: &Tensor, residual: Option<&Tensor>, compute: Compute) -> Result<Tensor> {
        compute.go_on()?;
        if !compute.fast() {
            let y = self.plain(x)?;
            return match residual {
                Some(residual) => y + residual,
                None => Ok(y),
            };
        }
        let mut out = x.dims().to_vec();
        if let Some(last) = out.last_mut() {
            *last = self.outputs;
        }
        let bias = self.bias.as_ref();
        // Absent parts are stood for by the input.
        let parts = [x, bias.unwrap_or(x), residual.unwrap_or(x)];
        on_weight(parts, &self.weight, &out, |[x, b, r], w| {
            let (b, r) = (bias.map(|_| b), residual.map(|_| r));
            ops::linear(x, self.matrix(w), b, r, compute.parallel)
        })
    }

    fn plain(&self, x: &Tensor) -> Result<Tensor> {
        // candle 0.11 multiplies a permuted batch wrongly (huggingface/candle issue 3744): contiguous first.
        let x = x.contiguous()?;
        let mut out = x.dims().to_vec();
        if let Some(last) = out.last_mut() {
            *last = self.outputs;
        }
        let y = x
            .reshape(((), self.inputs))?
            .matmul(&self.weight.to_dtype(x.dtype())?.t()?)?
            .reshape(out)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// Planes `[n, inputs, h, w]` to tokens `[n, h·w, outputs]`.
    pub fn planes_to_tokens(&self, x: &Tensor, compute: Compute) -> Result<Tensor> {
        compute.go_on()?;
        let (n, c, h, w) = x.dims4()?;
        if !compute.fast() {
            return self.plain(&x.reshape((n, c, h * w))?.transpose(1, 2)?);
        }
        let bias = self.bias.as_ref();
        let parts = [x, bias.unwrap_or(x)];
        on_weight(
            parts,
            &self.weight,
            &[n, h * w, self.outputs],
            |[x, b], weight| {
                ops::linear_from_planes(x, h * w, self.matrix(weight), bias.map(|_| b), compute.parallel)
            },
        )
    }

    /// Tokens `[n, h·w, inputs]` to planes, plus `residual[n, outputs, h, w]`.
    pub fn tokens_to_planes(&self, x: &Tensor, residual: &Tensor, compute: Compute) -> Result<Tensor> {
        compute.go_on()?;
        let (n, c, h, w) = residual.dims4()?;
        if !compute.fast() {
            return self
                .plain(x)?
                .transpose(1, 2)?
                .contiguous()?
                .reshape((n, c, h, w))?
                + residual;
        }
        let bias = self.bias.as_ref();
        let parts = [x, bias.unwrap_or(x), residual];
        on_weight(parts, &self.weight, &[n, c, h, w], |[x, b, r], weight| {
            let weight = self.matrix(weight);
            ops::linear_to_planes(x, h * w, weight, bias.map(|_| b), r, compute.parallel)
        })
    }
}

/// Group normalisation.
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    /// Normalises `channels` in `groups`.
    pub fn new(scope: &Scope<'_>, channels: usize, groups: usize, epsilon: f64) -> Self {
        let (weight, bias) = (scope.get("weight", &[channels]), scope.get("bias", &[channels]));
        Self {
            weight,
            bias,
            groups,
            epsilon,
        }
    }

    /// `[n, channels, h, w]` to the same, followed by SiLU on request.
    pub fn forward(&self, x: &Tensor, silu: bool, compute: Compute) -> Result<Tensor> {
        compute.go_on()?;
        let (_, channels, h, w) = x.dims4()?;
        if !compute.fast() {
            let norm = candle_nn::GroupNorm::new(
                self.weight.clone(),
                self.bias.clone(),
                channels,
                self.groups,
                self.epsilon,
            )?;
            let y = candle_nn::Module::forward(&norm, &x.contiguous()?)?;
            return if silu { y.silu() } else { Ok(y) };
        }
        let shape = ops::GroupNormShape {
            channels,
            pixels: h * w,
            groups: self.groups,
            epsilon: self.epsilon,
        };
        on_slices([x, &self.weight, &self.bias], x.dims(), |[x, weight, bias]| {
            ops::group_norm(x, shape, weight, bias, silu, compute.parallel)
        })
    }
}

/// Layer normalisation of the last dimension.
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl LayerNorm {
    /// Normalises `channels` values.
    pub fn new(scope: &Scope<'_>, channels: usize, epsilon: f64) -> Self {
        Self {
            weight: scope.get("weight", &[channels]),
            bias: scope.get("bias", &[channels]),
            epsilon,
        }
    }

    /// `[…, channels]` to the same.
    pub fn forward(&self, x: &Tensor, compute: Compute) -> Result<Tensor> {
        if !compute.fast() {
            // candle's fused layer norm has no gradient; the slow one does.
            return candle_nn::ops::layer_norm_slow(
                &x.contiguous()?,
                &self.weight,
                &self.bias,
                self.epsilon as f32,
            );
        }
        on_slices([x, &self.weight, &self.bias], x.dims(), |[x, weight, bias]| {
            ops::layer_norm(x, weight, bias, self.epsilon, compute.parallel)
        })
    }
}

/// Nearest-neighbour upsampling to the given height and width.
pub fn upsample(x: &Tensor, (rows, columns): (usize, usize), compute: Compute) -> Result<Tensor> {
    let (n, c, h, w) = x.dims4()?;
    if !compute.fast() {
        return x.upsample_nearest2d(rows, columns);
    }
    on_slices([x], &[n, c, rows, columns], |[x]| {
        ops::upsample_nearest(x, (h, w), (rows, columns), compute.parallel)
    })
}

#[cfg(test)]
mod tests;
