//! What an onlooker sees while a picture forms.

use candle_core::{D, DType, Tensor};
use std::ops::{ControlFlow, Range};

/// Looks on while pictures are drawn. Only [`step`](Self::step) must be written; the inner views are called for what
/// [`probe`](Self::probe) asks for and cost nothing otherwise.
///
/// Tensors passed in share storage with the model's own and must not be changed. With guidance on, their first
/// dimension is twice the number of pictures, unconditional half first ([`Site::conditional`] picks the other half).
pub trait Observer {
    /// After every denoising step. [`ControlFlow::Break`] stops drawing.
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()>;

    /// What to show besides the steps. Asked anew before every step.
    fn probe(&self) -> ProbeSet {
        ProbeSet::none()
    }

    /// Cross-attention probabilities of one layer, `[n, heads, height·width, tokens]`; each row sums to 1.
    fn attention(&mut self, _site: &Site<'_>, _probabilities: &Tensor) {}

    /// Output of a cross-attention's `to_v`, `[n, tokens, channels]`: the value neurons of NeMo.
    fn value(&mut self, _site: &Site<'_>, _values: &Tensor) {}

    /// Input of a feed-forward's second linear layer (`ff.net.2`), `[n, height·width, 4·channels]`: what Wanda
    /// pruning weighs.
    fn feed_forward(&mut self, _site: &Site<'_>, _inputs: &Tensor) {}
}

/// An observer that sees nothing and stops nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn step(&mut self, _step: &Step<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Which inner views an observer wants, and at which steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSet {
    /// Call [`Observer::attention`].
    pub attention: bool,
    /// Call [`Observer::value`].
    pub value: bool,
    /// Call [`Observer::feed_forward`].
    pub feed_forward: bool,
    /// Step indices at which to call them.
    pub steps: Range<usize>,
}

impl ProbeSet {
    /// Nothing.
    pub const fn none() -> Self {
        Self {
            attention: false,
            value: false,
            feed_forward: false,
            steps: 0..usize::MAX,
        }
    }

    /// Everything, at every step.
    pub const fn all() -> Self {
        Self {
            attention: true,
            value: true,
            feed_forward: true,
            steps: 0..usize::MAX,
        }
    }

    /// Whether anything is to be shown at a step.
    pub fn is_on(&self, step: usize) -> bool {
        (self.attention || self.value || self.feed_forward) && self.steps.contains(&step)
    }
}

/// Where in the network, and when, an inner view was taken.
#[derive(Clone, Debug)]
pub struct Site<'a> {
    /// Name of the transformer block, as `down_blocks.0.attentions.1.transformer_blocks.0`; add `.attn2`,
    /// `.attn2.to_v` or `.ff.net.2` for the module's name in diffusers.
    pub layer: &'a str,
    /// Index of the transformer block in order of execution: down, middle, up.
    pub index: usize,
    /// Step index, from 0.
    pub step: usize,
    /// Timestep the network was given.
    pub timestep: f64,
    /// Height of the feature map.
    pub height: usize,
    /// Width of the feature map.
    pub width: usize,
    /// Whether the batch holds unconditional and conditional halves.
    pub guided: bool,
}

impl Site<'_> {
    /// The conditional part of a tensor passed with this site.
    ///
    /// # Errors
    /// None for tensors that came with the site.
    pub fn conditional(&self, tensor: &Tensor) -> candle_core::Result<Tensor> {
        let n = tensor.dim(0)?;
        if self.guided {
            tensor.narrow(0, n / 2, n / 2)
        } else {
            Ok(tensor.clone())
        }
    }
}

/// The state after one denoising step.
pub struct Step<'a> {
    /// Index of the network's evaluation, from 0.
    pub index: usize,
    /// Number of evaluations: with PNDM more than the steps asked for.
    pub count: usize,
    /// Timestep the network was given; between whole ones with Euler's schedules.
    pub timestep: f64,
    /// Latents after the step, `[n, channels, height, width]`.
    pub latents: &'a Tensor,
    /// Conditional noise prediction ε_c of the same shape (converted to ε for models that predict v or x₀).
    pub noise_cond: &'a Tensor,
    /// Unconditional noise prediction ε_∅; `None` without guidance.
    pub noise_uncond: Option<&'a Tensor>,
    /// Predicted original x₀, of the same shape: best for previews.
    pub predicted_original: &'a Tensor,
}

impl Step<'_> {
    /// `‖ε_c − ε_∅‖₂` of every picture, in latent units (Wen et al., ICLR 2024); `None` without guidance.
    ///
    /// # Errors
    /// None for tensors that came with the step.
    pub fn noise_norms(&self) -> candle_core::Result<Option<Vec<f32>>> {
        let Some(unconditional) = self.noise_uncond else {
            return Ok(None);
        };
        let difference = (self.noise_cond - unconditional)?.to_dtype(DType::F32)?;
        let squares = difference.sqr()?.flatten_from(1)?.sum(D::Minus1)?;
        squares.sqrt()?.to_vec1().map(Some)
    }
}

/// Carries an observer through the network. Layers report to it; it passes on what was asked for.
pub struct Tap<'a> {
    observer: &'a mut dyn Observer,
    set: ProbeSet,
    step: usize,
    timestep: f64,
    guided: bool,
    index: usize,
}

impl<'a> Tap<'a> {
    /// A tap for one pass through the network; `None` when nothing is to be shown at that step.
    pub fn new(observer: &'a mut dyn Observer, step: usize, timestep: f64, guided: bool) -> Option<Self> {
        let set = observer.probe();
        set.is_on(step).then_some(Self {
            observer,
            set,
            step,
            timestep,
            guided,
            index: 0,
        })
    }

    pub(super) fn wants_attention(&self) -> bool {
        self.set.attention
    }

    fn site<'s>(&self, layer: &'s str, (height, width): (usize, usize)) -> Site<'s> {
        let Self {
            step,
            timestep,
            guided,
            index,
            ..
        } = *self;
        Site {
            layer,
            index,
            step,
            timestep,
            height,
            width,
            guided,
        }
    }

    pub(super) fn attention(&mut self, layer: &str, size: (usize, usize), probabilities: &Tensor) {
        if self.set.attention {
            let site = self.site(layer, size);
            self.observer.attention(&site, probabilities);
        }
    }

    pub(super) fn value(&mut self, layer: &str, size: (usize, usize), values: &Tensor) {
        if self.set.value {
            let site = self.site(layer, size);
            self.observer.value(&site, values);
        }
    }

    pub(super) fn feed_forward(&mut self, layer: &str, size: (usize, usize), inputs: &Tensor) {
        if self.set.feed_forward {
            let site = self.site(layer, size);
            self.observer.feed_forward(&site, inputs);
        }
    }

    /// The next transformer block follows.
    pub(super) fn advance(&mut self) {
        self.index += 1;
    }
}
