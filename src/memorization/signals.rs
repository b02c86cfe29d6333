//! Signs of memorization that show without the training image, gathered while a picture forms.
//!
//! - *Noise norm* `‖ε_c − ε_∅‖₂` at each step (Wen et al., ICLR 2024).
//! - *Bright ending* (Chen et al., ICLR 2025, 2410.21665): at the last step, how much the cross-attentions of the way down
//!   at full latent resolution look at the end token; mean over heads and layers. And the noise norm under it as a mask:
//!   `LD`, the mean over the steps of `‖(ε_c − ε_∅)∘m‖₂ / mean(m)`.
//! - *Score difference* (2605.26756): `(ε_c − ε_∅)²` at the last step, summed over channels.
//! - *Attention entropy* (Ren et al., ECCV 2024): `D` and `E`, higher for memorized prompts.

use crate::{
    diffusion::{LayerSet, Observer, Pipeline, ProbeSet, Site, Step},
    study::{LatentMap, SignalMaps, Signals},
};
use candle_core::{D, DType, Device, IndexOp, Result, Tensor};
use std::{collections::BTreeSet, ops::ControlFlow};

/// What was gathered of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gathered {
    /// `‖ε_c − ε_∅‖₂` at each step; empty without guidance.
    pub noise_norm: Vec<f32>,
    /// Numbers that are kept with the picture; without their file.
    pub signals: Signals,
    /// Maps that are kept beside it.
    pub maps: SignalMaps,
}

/// Gathers signals of all pictures of one drawing. Another observer can be put behind it: it sees everything.
pub struct SignalWatch {
    steps: usize,
    /// Tokens of the prompt, start and end included.
    length: usize,
    full: BTreeSet<usize>,
    /// Whether attention means anything.
    attention: bool,
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
    /// For a drawing of `prompt` in so many evaluations of the network. Attention of all layers is looked at in the
    /// first step and the last fifth of the steps; never where a variant replaces the prompt's embedding, since nobody
    /// knows which of its tokens is the end.
    ///
    /// # Errors
    /// A sentence of the tokenizer library.
    pub fn new(pipeline: &Pipeline, prompt: &str, steps: usize) -> std::result::Result<Self, String> {
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
            attention: !pipeline.replaces_embedding(prompt),
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
        self.attention && (step == 0 || step >= self.late())
    }

    /// What was gathered, picture by picture.
    ///
    /// # Errors
    /// What went wrong inside the tensor library on the way.
    pub fn finish(self) -> Result<Vec<Gathered>> {
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
        let watches_entropy = self.watches_entropy(site.step);
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
            if watches_entropy {
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
    fn finish(self, late: usize) -> Gathered {
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
        let localised = match &ending {
            Some(mask) => {
                let mean = mask.values.iter().sum::<f32>() / area as f32;
                let masked = |values: &Vec<f32>| {
                    let products = values
                        .chunks(area)
                        .flat_map(|plane| plane.iter().zip(&mask.values).map(|(v, m)| v * m));
                    norm(products) / mean
                };
                self.differences.iter().map(masked).collect()
            }
            None => Vec::new(),
        };
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
        Gathered {
            noise_norm: self.norms,
            signals: Signals {
                ending: ending.as_ref().and_then(LatentMap::mean),
                localised,
                entropy_late,
                entropy_first: self.first,
                maps: None,
            },
            maps: SignalMaps { ending, difference },
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
        } else if self.attention && self.next + 1 == self.steps {
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
        let Gathered { signals, maps, .. } = picture.finish(8);
        // A constant mask cancels out: the norms 5 and 1.
        assert_eq!(signals.localised, [5.0, 1.0]);
        assert_eq!(signals.localised_mean(), Some(3.0));
        assert_eq!((signals.ending, maps.ending), (Some(0.5), Some(map)));
        assert_eq!(maps.difference.unwrap().values, [0.0, 1.0]);
        assert_eq!(signals.entropy_late, Some(2.5 + 0.75 - 0.25));
        assert!((entropy(&[0.5, 0.5, 0.0]) - std::f32::consts::LN_2).abs() < 1e-6);
    }
}
