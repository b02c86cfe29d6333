//! Signs of memorization that show without the training image, gathered while a picture forms.
//!
//! - *Noise norm* `‖ε_c − ε_∅‖₂` at each step (Wen et al., ICLR 2024).
//! - *Bright ending* (Chen et al., ICLR 2025, 2410.21665): at the last step, how much the cross-attentions of the way down
//!   at full latent resolution look at the end token; mean over heads and layers. And the noise norm under it as a mask:
//!   `LD`, the mean over the steps of `‖(ε_c − ε_∅)∘m‖₂ / mean(m)`.
//! - *Score difference* (2605.26756): `(ε_c − ε_∅)²` at the last step, summed over channels.
//! - *Attention entropy* (Ren et al., ECCV 2024): `D` and `E`, higher for memorized prompts.

use crate::diffusion::{LayerSet, Observer, Pipeline, ProbeSet, Site, Step};
use candle_core::{D, DType, Device, IndexOp, Result, Tensor};
use std::{collections::BTreeSet, ops::ControlFlow};

/// Numbers over the latents' pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LatentMap {
    /// Width in latents.
    pub width: usize,
    /// Height in latents.
    pub height: usize,
    /// Row-major.
    pub values: Vec<f32>,
}

/// What was gathered of one picture. Parts that need guidance, or attention at full resolution, can be absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    /// `‖ε_c − ε_∅‖₂` at each step; empty without guidance.
    pub noise_norm: Vec<f32>,
    /// Attention to the end token at the last step.
    pub ending: Option<LatentMap>,
    /// `LD`: the noise norm where the ending is bright.
    pub localised: Option<f32>,
    /// `(ε_c − ε_∅)²` at the last step, summed over channels.
    pub difference: Option<LatentMap>,
    /// Ren et al.'s `D`: entropy over the last fifth of the steps, and how it grew at the end and padding tokens.
    pub entropy_late: Option<f32>,
    /// Ren et al.'s `E`: entropy of the fourth cross-attention at the first step.
    pub entropy_first: Option<f32>,
}

/// Gathers signals of all pictures of one drawing. Another observer can be put behind it: it sees everything.
pub struct SignalWatch {
    steps: usize,
    /// Tokens of the prompt, start and end included.
    length: usize,
    full: BTreeSet<usize>,
    entropy: bool,
    next: usize,
    pictures: Vec<Picture>,
    trouble: Option<candle_core::Error>,
}

#[derive(Default)]
struct Picture {
    norms: Vec<f32>,
    /// `ε_c − ε_∅` of each step, for the mask that is known at the end.
    differences: Vec<Vec<f32>>,
    /// Latent height, width.
    size: (usize, usize),
    ending: Vec<LatentMap>,
    /// Sum over layers of the mean attention to each token, at the current step, and the number of layers.
    attention: (Vec<f32>, usize),
    entropies: Vec<(usize, f32, f32)>,
    first: Option<f32>,
}

/// Place of the cross-attention whose entropy at the first step is `E`.
const ENTROPY_LAYER: usize = 3;

impl SignalWatch {
    /// For a drawing of `prompt` in so many evaluations of the network. With `entropy`, attention of all layers is
    /// looked at in the first and the last fifth of the steps, which costs some time.
    ///
    /// # Errors
    /// A sentence of the tokenizer library.
    pub fn new(
        pipeline: &Pipeline,
        prompt: &str,
        steps: usize,
        entropy: bool,
    ) -> std::result::Result<Self, String> {
        let ids = pipeline.tokenizer().encode(prompt)?;
        let blocks = pipeline.unet().config().transformer_blocks();
        let full = blocks
            .iter()
            .enumerate()
            .filter(|(_, name)| name.starts_with("down_blocks.0."));
        Ok(Self {
            steps,
            length: pipeline.tokenizer().end_position(&ids) + 1,
            full: full.map(|(i, _)| i).collect(),
            entropy,
            next: 0,
            pictures: Vec::new(),
            trouble: None,
        })
    }

    /// First of the steps that count as late.
    fn late(&self) -> usize {
        self.steps - (self.steps / 5).max(1)
    }

    fn watches_entropy(&self, step: usize) -> bool {
        self.entropy && (step == 0 || step >= self.late())
    }

    /// What was gathered, picture by picture.
    ///
    /// # Errors
    /// What went wrong inside the tensor library on the way.
    pub fn finish(self) -> Result<Vec<Signals>> {
        if let Some(error) = self.trouble {
            return Err(error);
        }
        let late = self.late();
        Ok(self.pictures.into_iter().map(|p| p.finish(late)).collect())
    }

    fn see_step(&mut self, step: &Step<'_>) -> Result<()> {
        let (n, _, height, width) = step.latents.dims4()?;
        self.pictures.resize_with(n, Picture::default);
        let difference = match step.noise_uncond {
            Some(unconditional) => Some((step.noise_cond - unconditional)?.to_dtype(DType::F32)?),
            None => None,
        };
        for (i, picture) in self.pictures.iter_mut().enumerate() {
            picture.size = (height, width);
            if let Some(difference) = &difference {
                let values = difference
                    .i(i)?
                    .flatten_all()?
                    .to_device(&Device::Cpu)?
                    .to_vec1::<f32>()?;
                picture.norms.push(norm(values.iter().copied()));
                picture.differences.push(values);
            }
            let (sums, layers) = std::mem::take(&mut picture.attention);
            if layers > 0 {
                let mean: Vec<f32> = sums.iter().map(|s| s / layers as f32).collect();
                let rest = mean.get(self.length.saturating_sub(1)..).unwrap_or_default();
                picture
                    .entropies
                    .push((step.index, entropy(&mean), entropy(rest)));
            }
        }
        Ok(())
    }

    fn see_attention(&mut self, site: &Site<'_>, probabilities: &Tensor) -> Result<()> {
        let conditional = site
            .conditional(probabilities)?
            .to_dtype(DType::F32)?
            .to_device(&Device::Cpu)?;
        let (n, _, _, tokens) = conditional.dims4()?;
        self.pictures.resize_with(n, Picture::default);
        let end = (self.length - 1).min(tokens - 1);
        for (i, picture) in self.pictures.iter_mut().enumerate() {
            let one = conditional.i(i)?;
            if site.step + 1 == self.steps && self.full.contains(&site.index) {
                picture.ending.push(LatentMap {
                    width: site.width,
                    height: site.height,
                    values: one
                        .narrow(D::Minus1, end, 1)?
                        .squeeze(D::Minus1)?
                        .mean(0)?
                        .to_vec1()?,
                });
            }
            if self.entropy && (site.step == 0 || site.step >= self.steps - (self.steps / 5).max(1)) {
                let per_token = one.mean(1)?.mean(0)?.to_vec1::<f32>()?;
                if site.step == 0 && site.index == ENTROPY_LAYER {
                    picture.first = Some(entropy(&per_token));
                }
                picture.attention.0.resize(tokens, 0.0);
                picture
                    .attention
                    .0
                    .iter_mut()
                    .zip(&per_token)
                    .for_each(|(s, v)| *s += v);
                picture.attention.1 += 1;
            }
        }
        Ok(())
    }
}

impl Picture {
    fn finish(self, late: usize) -> Signals {
        let (height, width) = self.size;
        let area = height * width;
        let ending = (!self.ending.is_empty()).then(|| {
            let count = self.ending.len() as f32;
            let mut values = vec![0.0; area];
            for map in &self.ending {
                values
                    .iter_mut()
                    .zip(&map.values)
                    .for_each(|(s, v)| *s += v / count);
            }
            LatentMap {
                width,
                height,
                values,
            }
        });
        let localised = ending
            .as_ref()
            .filter(|_| !self.differences.is_empty())
            .map(|mask| {
                let mean = mask.values.iter().sum::<f32>() / area as f32;
                let masked = |values: &Vec<f32>| {
                    norm(
                        values
                            .chunks(area)
                            .flat_map(|plane| plane.iter().zip(&mask.values).map(|(v, m)| v * m)),
                    )
                };
                let sum: f32 = self.differences.iter().map(masked).sum();
                sum / self.differences.len() as f32 / mean
            });
        let difference = self.differences.last().map(|values| {
            let mut sums = vec![0.0; area];
            for plane in values.chunks(area) {
                sums.iter_mut().zip(plane).for_each(|(s, v)| *s += v * v);
            }
            LatentMap {
                width,
                height,
                values: sums,
            }
        });
        let end: Vec<&(usize, f32, f32)> = self.entropies.iter().filter(|e| e.0 >= late).collect();
        let first = self.entropies.iter().find(|e| e.0 == 0);
        let entropy_late = first.filter(|_| !end.is_empty()).map(|first| {
            let mean =
                |f: fn(&(usize, f32, f32)) -> f32| end.iter().map(|e| f(e)).sum::<f32>() / end.len() as f32;
            mean(|e| e.1) + mean(|e| e.2) - first.2
        });
        Signals {
            noise_norm: self.norms,
            ending,
            localised,
            difference,
            entropy_late,
            entropy_first: self.first,
        }
    }
}

impl Observer for SignalWatch {
    fn step(&mut self, step: &Step<'_>) -> ControlFlow<()> {
        self.next = step.index + 1;
        if self.trouble.is_none() {
            self.trouble = self.see_step(step).err();
        }
        ControlFlow::Continue(())
    }

    fn probe(&self) -> ProbeSet {
        let layers = if self.watches_entropy(self.next) {
            LayerSet::All
        } else if self.next + 1 == self.steps {
            LayerSet::Only(self.full.clone())
        } else {
            return ProbeSet::none();
        };
        ProbeSet {
            attention: true,
            layers,
            ..ProbeSet::none()
        }
    }

    fn attention(&mut self, site: &Site<'_>, probabilities: &Tensor) {
        if self.trouble.is_none() {
            self.trouble = self.see_attention(site, probabilities).err();
        }
    }
}

fn norm(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt() as f32
}

/// `−Σ a ln a`; zero counts nothing.
fn entropy(probabilities: &[f32]) -> f32 {
    let terms = probabilities.iter().filter(|p| **p > 0.0).map(|p| p * p.ln());
    -terms.sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_of_one_gives_the_mean_norm() {
        let map = LatentMap {
            width: 2,
            height: 1,
            values: vec![0.5, 0.5],
        };
        let picture = Picture {
            norms: vec![5.0, 1.0],
            differences: vec![vec![3.0, 0.0, 4.0, 0.0], vec![0.0, 1.0, 0.0, 0.0]],
            size: (1, 2),
            ending: vec![map.clone(), map.clone()],
            entropies: vec![(0, 1.0, 0.25), (8, 2.0, 0.5), (9, 3.0, 1.0)],
            ..Picture::default()
        };
        let signals = picture.finish(8);
        // A constant mask cancels out: the mean of the norms 5 and 1.
        assert_eq!(signals.localised, Some(3.0));
        assert_eq!(signals.ending, Some(map));
        assert_eq!(signals.difference.unwrap().values, [0.0, 1.0]);
        assert_eq!(signals.entropy_late, Some(2.5 + 0.75 - 0.25));
        assert!((entropy(&[0.5, 0.5, 0.0]) - std::f32::consts::LN_2).abs() < 1e-6);
    }
}
