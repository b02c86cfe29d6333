//! How much of a checkpoint a variant touches.

use super::{Edit, Variant};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// What the edits of a variant touch; a part touched by several edits counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Touched {
    /// Value neurons scaled.
    pub neurons: usize,
    /// Weights set to zero.
    pub weights: usize,
    /// Prompt embeddings replaced.
    pub embeddings: usize,
    /// Whether guidance follows a schedule.
    pub guidance: bool,
}

impl Variant {
    /// What the edits touch. The same layer written by number and by name counts as two.
    pub fn touched(&self) -> Touched {
        let mut neurons = BTreeSet::new();
        let mut masks = BTreeMap::<&str, Vec<u8>>::new();
        let mut embeddings = BTreeSet::new();
        let mut guidance = false;
        let parts = self.edits.iter().flat_map(|edit| match edit {
            Edit::Cluster(cluster) => &cluster.edits[..],
            other => std::slice::from_ref(other),
        });
        for edit in parts {
            match edit {
                Edit::Neurons(edit) => {
                    let layer = edit.layer.to_string();
                    neurons.extend(edit.neurons.iter().map(|&n| (layer.clone(), n)));
                }
                Edit::Mask(edit) => {
                    let bits = edit.zero.packed();
                    let known = masks.entry(&edit.weight).or_default();
                    known.resize(known.len().max(bits.len()), 0);
                    known.iter_mut().zip(bits).for_each(|(k, b)| *k |= b);
                }
                Edit::Embedding(edit) => {
                    embeddings.insert(edit.prompt.as_deref());
                }
                Edit::Guidance(_) => guidance = true,
                // A cluster holds none.
                Edit::Cluster(_) => {}
            }
        }
        Touched {
            neurons: neurons.len(),
            weights: masks.values().flatten().map(|b| b.count_ones() as usize).sum(),
            embeddings: embeddings.len(),
            guidance,
        }
    }
}

impl fmt::Display for Touched {
    /// “3 neurons, 120 weights, guidance schedule”.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (count, one) in [
            (self.neurons, "neuron"),
            (self.weights, "weight"),
            (self.embeddings, "embedding"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {one}{}", if count == 1 { "" } else { "s" }));
            }
        }
        if self.guidance {
            parts.push("guidance schedule".to_owned());
        }
        f.write_str(&if parts.is_empty() {
            "nothing".to_owned()
        } else {
            parts.join(", ")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{BitMask, LayerRef, MaskEdit, NeuronEdit};

    #[test]
    fn parts_touched_twice_count_once() {
        let neurons = |layer, neurons: &[u32]| {
            Edit::Neurons(NeuronEdit {
                layer: LayerRef::Index(layer),
                neurons: neurons.to_vec(),
                factor: 0.0,
                when: None,
            })
        };
        let mask = |bits: u8| {
            Edit::Mask(MaskEdit {
                weight: "w".into(),
                zero: BitMask::from_packed(vec![2, 4], vec![bits]).unwrap(),
                when: None,
            })
        };
        let variant = Variant {
            name: "v".into(),
            edits: vec![
                neurons(1, &[1, 2]),
                neurons(1, &[2, 2, 3]),
                neurons(2, &[2]),
                mask(0xC0),
                mask(0x60),
            ],
            ..Variant::default()
        };
        let touched = variant.touched();
        assert_eq!((touched.neurons, touched.weights), (4, 3));
        assert_eq!(touched.to_string(), "4 neurons, 3 weights");
        assert_eq!(Variant::default().touched().to_string(), "nothing");
    }
}
