//! What an onlooker sees while a picture forms.
//!
//! An [`Observer`] is handed to [`Pipeline::sample`](super::Pipeline::sample) and called after every step; with a
//! [`ProbeSet`] it also sees into the layers it names. This one adds up how strongly the value neurons of one layer
//! answer to a prompt:
//!
//! ```
//! use candle_core::Tensor;
//! use pentimento::diffusion::{LayerSet, Observer, ProbeSet, Site, Step};
//! use std::ops::ControlFlow;
//!
//! #[derive(Default)]
//! struct Activity {
//!     /// Mean |value| over tokens and pictures, per neuron, in the first step.
//!     neurons: Vec<f32>,
//!     trouble: Option<candle_core::Error>,
//! }
//!
//! impl Observer for Activity {
//!     // Called after every step; `ControlFlow::Break(())` would stop the drawing.
//!     fn step(&mut self, _: &Step<'_>) -> ControlFlow<()> {
//!         ControlFlow::Continue(())
//!     }
//!
//!     // What to show besides: values of layer 6 (the middle of SD 1.x), in the first step only.
//!     fn probe(&self) -> ProbeSet {
//!         ProbeSet {
//!             value: true,
//!             layers: LayerSet::only([6]),
//!             steps: 0..1,
//!             ..ProbeSet::none()
//!         }
//!     }
//!
//!     // `values` is `[n, tokens, channels]`; with guidance on, both halves.
//!     fn value(&mut self, site: &Site<'_>, values: &Tensor) {
//!         let mean = || site.conditional(values)?.abs()?.mean((0, 1))?.to_vec1();
//!         match mean() {
//!             Ok(neurons) => self.neurons = neurons,
//!             Err(error) => self.trouble = Some(error),
//!         }
//!     }
//! }
//! # let activity = Activity::default();
//! # assert!(activity.probe().is_on(0) && !activity.probe().is_on(1));
//! ```
//!
//! `sample(&request, &mut activity)` then leaves the numbers in `activity.neurons`. What is not asked for costs
//! nothing; see `benches/diffusion.rs` for what the rest costs.

use candle_core::{D, DType, Tensor};
use std::{
    collections::BTreeSet,
    ops::{ControlFlow, Range},
};

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

/// Which transformer blocks an observer looks into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LayerSet {
    /// All of them.
    #[default]
    All,
    /// Those at these places in order of execution, see [`Site::index`].
    Only(BTreeSet<usize>),
}

impl LayerSet {
    /// The layers at these places.
    pub fn only(places: impl IntoIterator<Item = usize>) -> Self {
        Self::Only(places.into_iter().collect())
    }

    /// Whether a layer is among them.
    pub fn contains(&self, place: usize) -> bool {
        match self {
            Self::All => true,
            Self::Only(places) => places.contains(&place),
        }
    }
}

/// Which inner views an observer wants, of which layers, and at which steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSet {
    /// Call [`Observer::attention`].
    pub attention: bool,
    /// Call [`Observer::value`].
    pub value: bool,
    /// Call [`Observer::feed_forward`].
    pub feed_forward: bool,
    /// Layers for which to call them.
    pub layers: LayerSet,
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
            layers: LayerSet::All,
            steps: 0..usize::MAX,
        }
    }

    /// Everything, at every step.
    pub const fn all() -> Self {
        Self {
            attention: true,
            value: true,
            feed_forward: true,
            layers: LayerSet::All,
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
    pub timestep: usize,
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
    /// Index of the step, from 0.
    pub index: usize,
    /// Number of steps.
    pub count: usize,
    /// Timestep the network was given.
    pub timestep: usize,
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
    sink: Sink<'a>,
    set: ProbeSet,
    step: usize,
    timestep: usize,
    guided: bool,
    index: usize,
}

/// Where views go.
enum Sink<'a> {
    Observer(&'a mut dyn Observer),
    /// Kept, for a part of a batch that is computed beside others.
    Kept(Vec<View>),
}

#[derive(Clone, Copy)]
enum Kind {
    Attention,
    Value,
    FeedForward,
}

/// A view of a part of a batch.
pub(super) struct View {
    kind: Kind,
    layer: String,
    index: usize,
    size: (usize, usize),
    tensor: Tensor,
}

impl<'a> Tap<'a> {
    /// A tap for one pass through the network; `None` when nothing is to be shown at that step.
    pub fn new(observer: &'a mut dyn Observer, step: usize, timestep: usize, guided: bool) -> Option<Self> {
        let set = observer.probe();
        set.is_on(step).then_some(Self {
            sink: Sink::Observer(observer),
            set,
            step,
            timestep,
            guided,
            index: 0,
        })
    }

    /// A tap of the same kind that keeps what it is shown, for a part of the batch.
    pub(super) fn for_part(set: ProbeSet) -> Tap<'static> {
        Tap {
            sink: Sink::Kept(Vec::new()),
            set,
            step: 0,
            timestep: 0,
            guided: false,
            index: 0,
        }
    }

    /// What was asked for.
    pub(super) fn set(&self) -> &ProbeSet {
        &self.set
    }

    /// What was kept.
    pub(super) fn into_kept(self) -> Vec<View> {
        match self.sink {
            Sink::Observer(_) => Vec::new(),
            Sink::Kept(views) => views,
        }
    }

    /// Shows what the parts of a batch have kept, joined, in the order in which one pass would have shown it.
    pub(super) fn show(&mut self, parts: Vec<Vec<View>>) -> candle_core::Result<()> {
        let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
        loop {
            let views: Vec<View> = parts.iter_mut().filter_map(Iterator::next).collect();
            let Some(first) = views.first() else {
                return Ok(());
            };
            let joined = Tensor::cat(&views.iter().map(|v| &v.tensor).collect::<Vec<_>>(), 0)?;
            self.index = first.index;
            self.report(first.kind, &first.layer, first.size, &joined);
        }
    }

    fn wants(&self, kind: Kind) -> bool {
        let asked = match kind {
            Kind::Attention => self.set.attention,
            Kind::Value => self.set.value,
            Kind::FeedForward => self.set.feed_forward,
        };
        asked && self.set.layers.contains(self.index)
    }

    fn report(&mut self, kind: Kind, layer: &str, size: (usize, usize), tensor: &Tensor) {
        if !self.wants(kind) {
            return;
        }
        match &mut self.sink {
            Sink::Observer(observer) => {
                let site = Site {
                    layer,
                    index: self.index,
                    step: self.step,
                    timestep: self.timestep,
                    height: size.0,
                    width: size.1,
                    guided: self.guided,
                };
                match kind {
                    Kind::Attention => observer.attention(&site, tensor),
                    Kind::Value => observer.value(&site, tensor),
                    Kind::FeedForward => observer.feed_forward(&site, tensor),
                }
            }
            Sink::Kept(views) => views.push(View {
                kind,
                layer: layer.to_owned(),
                index: self.index,
                size,
                tensor: tensor.clone(),
            }),
        }
    }

    pub(super) fn wants_attention(&self) -> bool {
        self.wants(Kind::Attention)
    }

    pub(super) fn attention(&mut self, layer: &str, size: (usize, usize), probabilities: &Tensor) {
        self.report(Kind::Attention, layer, size, probabilities);
    }

    pub(super) fn value(&mut self, layer: &str, size: (usize, usize), values: &Tensor) {
        self.report(Kind::Value, layer, size, values);
    }

    pub(super) fn feed_forward(&mut self, layer: &str, size: (usize, usize), inputs: &Tensor) {
        self.report(Kind::FeedForward, layer, size, inputs);
    }

    /// The next transformer block follows.
    pub(super) fn advance(&mut self) {
        self.index += 1;
    }
}
