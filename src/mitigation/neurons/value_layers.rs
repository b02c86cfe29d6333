//! The layers whose neurons NeMo looks at.

use crate::{
    diffusion::{DiffusionError, Pipeline},
    mitigation::MitigationError,
    study::{Edit, LayerRef, NeuronEdit, Variant},
};
use candle_core::{DType, Tensor};

/// Neurons per layer, in the order in which they were found.
pub type NeuronLists = Vec<Vec<u32>>;

/// The value projections (`attn2.to_v`) of all transformer blocks on the way down and in the middle, in order of
/// execution: seven for Stable Diffusion 1 and 2. Other networks have as many as they have such blocks; the way up is
/// never touched.
#[derive(Clone, Debug)]
pub struct ValueLayers {
    names: Vec<String>,
    /// Transposed weights, `[context, channels]`, f32.
    weights: Vec<Tensor>,
}

impl ValueLayers {
    /// The layers of a network.
    ///
    /// # Errors
    /// None for a pipeline that was loaded, but for failures of the tensor library.
    pub fn of(pipeline: &Pipeline) -> Result<Self, MitigationError> {
        let names: Vec<String> = pipeline
            .unet()
            .config()
            .transformer_blocks()
            .into_iter()
            .filter(|name| !name.starts_with("up_blocks."))
            .collect();
        let weight = |name: &String| {
            let full = format!("{name}.attn2.to_v.weight");
            let found = pipeline.unet_weights().get(&full);
            let weight =
                found.ok_or_else(|| MitigationError::Request(format!("the network has no {full}")))?;
            Ok(weight.to_dtype(DType::F32)?.t()?.contiguous()?)
        };
        let weights = names
            .iter()
            .map(weight)
            .collect::<Result<Vec<_>, MitigationError>>()?;
        Ok(Self { names, weights })
    }

    /// Number of layers.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none; never for a network that has a middle.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names of the transformer blocks in diffusers.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Neurons of every layer.
    pub fn widths(&self) -> Vec<usize> {
        self.weights
            .iter()
            .map(|w| w.dims().last().copied().unwrap_or(0))
            .collect()
    }

    /// Mean |value| over all tokens (padding included), per layer and neuron, for an embedding `[1, tokens, d]`.
    /// Values depend on neither latents nor timestep.
    ///
    /// # Errors
    /// Embeddings of another width.
    pub fn activations(&self, embedding: &Tensor) -> Result<Vec<Vec<f32>>, DiffusionError> {
        let tokens = embedding.to_dtype(DType::F32)?.squeeze(0)?.contiguous()?;
        let mean = |weight: &Tensor| tokens.matmul(weight)?.abs()?.mean(0)?.to_vec1::<f32>();
        let all: candle_core::Result<Vec<_>> = self.weights.iter().map(mean).collect();
        Ok(all?)
    }

    /// Checks that neuron lists fit this network.
    ///
    /// # Errors
    /// A sentence that names the layer and the neuron it does not have.
    pub fn check(&self, neurons: &[Vec<u32>]) -> Result<(), String> {
        if neurons.len() != self.len() {
            return Err(format!(
                "the list has {} layers, this checkpoint {} ({} to {}); it was made for another architecture",
                neurons.len(),
                self.len(),
                self.names.first().map_or("", String::as_str),
                self.names.last().map_or("", String::as_str)
            ));
        }
        for (layer, (list, width)) in neurons.iter().zip(self.widths()).enumerate() {
            if let Some(neuron) = list.iter().find(|n| **n as usize >= width) {
                return Err(format!(
                    "layer {layer} ({}) has neurons 0 to {}, but {neuron} is named; the list was made for another \
                     architecture",
                    self.names[layer],
                    width - 1
                ));
            }
        }
        Ok(())
    }

    /// One edit for every layer with neurons. A neuron listed twice is named once.
    pub fn edits(&self, neurons: &[Vec<u32>], factor: f32) -> Vec<Edit> {
        let edit = |(list, name): (&Vec<u32>, &String)| {
            let mut once: Vec<u32> = Vec::with_capacity(list.len());
            for &neuron in list {
                if !once.contains(&neuron) {
                    once.push(neuron);
                }
            }
            (!once.is_empty()).then(|| {
                Edit::Neurons(NeuronEdit {
                    layer: LayerRef::Name(name.clone()),
                    neurons: once,
                    factor,
                    when: None,
                })
            })
        };
        neurons.iter().zip(&self.names).filter_map(edit).collect()
    }

    /// A pipeline with these neurons scaled, sharing everything else.
    pub(super) fn scaled(
        &self,
        pipeline: &Pipeline,
        neurons: &[Vec<u32>],
        factor: f32,
    ) -> Result<Pipeline, MitigationError> {
        let edits = self.edits(neurons, factor);
        if edits.is_empty() {
            return Ok(pipeline.clone());
        }
        let variant = Variant {
            name: "trial".to_owned(),
            edits,
            ..Variant::default()
        };
        Ok(pipeline.with_variant(&variant)?)
    }
}

/// Most layers and most neurons in one cell.
const MOST_LAYERS: usize = 1024;
const MOST_NEURONS: usize = 1 << 20;

/// Reads Python's form of lists of whole numbers, as `[[1, 2], [], [7]]`.
///
/// # Errors
/// A sentence saying what is not of this form.
pub fn parse_lists(text: &str) -> Result<NeuronLists, String> {
    let inner = text
        .trim()
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .ok_or("a list of lists in brackets was expected")?;
    let mut lists = Vec::new();
    let (mut rest, mut total) = (inner.trim(), 0);
    while !rest.is_empty() {
        let body = rest
            .strip_prefix('[')
            .ok_or("an inner list must begin with “[”")?;
        let (list, after) = body.split_once(']').ok_or("an inner list does not end")?;
        let numbers = list
            .split(',')
            .map(str::trim)
            .filter(|n| !n.is_empty())
            .map(|n| {
                n.parse::<u32>().map_err(|_| {
                    format!(
                        "“{}” is not a neuron's number",
                        n.chars().take(20).collect::<String>()
                    )
                })
            })
            .collect::<Result<Vec<u32>, _>>()?;
        total += numbers.len();
        if lists.len() >= MOST_LAYERS || total > MOST_NEURONS {
            return Err(format!(
                "more than {MOST_LAYERS} layers or {MOST_NEURONS} neurons"
            ));
        }
        lists.push(numbers);
        rest = after.trim();
        if !rest.is_empty() {
            rest = rest
                .strip_prefix(',')
                .ok_or("inner lists must be separated by commas")?
                .trim();
        }
    }
    Ok(lists)
}

/// Writes lists as Python prints them.
pub fn write_lists(lists: &[Vec<u32>]) -> String {
    let inner: Vec<String> = lists
        .iter()
        .map(|list| {
            let numbers: Vec<String> = list.iter().map(u32::to_string).collect();
            format!("[{}]", numbers.join(", "))
        })
        .collect();
    format!("[{}]", inner.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_python_prints_them() {
        let text = "[[12, 3], [], [7]]";
        let lists = parse_lists(text).unwrap();
        assert_eq!(lists, [vec![12, 3], vec![], vec![7]]);
        assert_eq!(write_lists(&lists), text);
        assert_eq!(parse_lists("[]").unwrap(), Vec::<Vec<u32>>::new());
        for wrong in [
            "",
            "[",
            "[[1]",
            "[[1] [2]]",
            "[[1.5]]",
            "[[-1]]",
            "[1]",
            "[[99999999999]]",
        ] {
            assert!(parse_lists(wrong).is_err(), "{wrong}");
        }
    }
}
