//! A variant: a checkpoint with changes, as a value.

use super::{Edit, LayerRef, NeuronEdit, edit::MaskEdit};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// A checkpoint and a list of edits. Nothing is changed by making one; `diffusion` applies it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Variant {
    /// A short name, for lists and file names.
    pub name: String,
    /// What it is for and how it was made.
    pub note: String,
    /// The checkpoint it was made for.
    pub base: BaseCheckpoint,
    /// The changes, in order.
    pub edits: Vec<Edit>,
}

/// Which checkpoint a variant was made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseCheckpoint {
    /// Its name, for people.
    pub name: String,
    /// Hash of its folder as runs record it (`hashes.model` in `run.toml`), if known.
    pub hash: Option<String>,
}

/// What names a variant in the parameters of a run: pictures of different variants never mix.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VariantId {
    /// [`Variant::name`].
    pub name: String,
    /// [`Variant::content_hash`].
    pub hash: String,
}

impl fmt::Display for VariantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.hash.get(..12).unwrap_or(&self.hash))
    }
}

impl Variant {
    /// Most edits.
    pub const MAX_EDITS: usize = 4096;
    /// Most letters of a name.
    pub const MAX_NAME: usize = 120;

    /// Checks what can be checked without the checkpoint.
    ///
    /// # Errors
    /// A sentence that names the edit, counted from 1, and what is wrong with it.
    pub fn validate(&self) -> Result<(), String> {
        check_name(&self.name)?;
        if self.edits.len() > Self::MAX_EDITS {
            return Err(format!(
                "the variant has {} edits; at most {} are possible",
                self.edits.len(),
                Self::MAX_EDITS
            ));
        }
        for (i, edit) in self.edits.iter().enumerate() {
            edit.validate()
                .map_err(|reason| format!("edit {}: {reason}", i + 1))?;
        }
        let schedules = self.edits.iter().filter(|e| matches!(e, Edit::Guidance(_)));
        if schedules.count() > 1 {
            return Err("the variant has more than one guidance schedule".to_owned());
        }
        self.validate_clusters()
    }

    /// SHA-256, in hexadecimal, over the edits in their order: what decides the pictures. Name, note and base are not
    /// part of it.
    pub fn content_hash(&self) -> String {
        let mut hash = Sha256::new();
        // Every part is preceded by its length: no two lists give the same stream.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(b"variant 1");
        hash_edits(&self.edits, &mut part);
        hex::encode(hash.finalize())
    }

    /// Name and content hash.
    pub fn id(&self) -> VariantId {
        VariantId {
            name: self.name.clone(),
            hash: self.content_hash(),
        }
    }

    /// Whether it says that it was made for another checkpoint than the one with this hash.
    pub fn is_for_another(&self, model_hash: &str) -> bool {
        self.base
            .hash
            .as_deref()
            .is_some_and(|hash| !hash.eq_ignore_ascii_case(model_hash))
    }
}

/// Feeds what decides pictures to a hash, part by part.
fn hash_edits(edits: &[Edit], part: &mut dyn FnMut(&[u8])) {
    for edit in edits {
        let when = edit.when().map_or_else(String::new, |w| w.to_string());
        match edit {
            Edit::Neurons(edit) => {
                part(b"neurons");
                part(edit.layer.to_string().as_bytes());
                let neurons: Vec<u8> = edit.neurons.iter().flat_map(|n| n.to_le_bytes()).collect();
                part(&neurons);
                part(&edit.factor.to_le_bytes());
            }
            Edit::Mask(edit) => {
                part(b"mask");
                part(edit.weight.as_bytes());
                part(format!("{:?}", edit.zero.shape()).as_bytes());
                part(edit.zero.packed());
            }
            Edit::Embedding(edit) => {
                part(b"embedding");
                part(if edit.prompt.is_some() { b"one" } else { b"all" });
                part(edit.prompt.as_deref().unwrap_or_default().as_bytes());
                part(&edit.embedding.tokens.to_le_bytes());
                let values: Vec<u8> = edit
                    .embedding
                    .values
                    .iter()
                    .flat_map(|v| v.to_le_bytes())
                    .collect();
                part(&values);
            }
            Edit::Guidance(schedule) => {
                part(b"guidance");
                part(schedule.to_string().as_bytes());
            }
            Edit::Cluster(cluster) => {
                part(b"cluster");
                part(&cluster.cluster.to_le_bytes());
                // Records say whether a prompt lies outside.
                part(&cluster.reach.to_le_bytes());
                let values = cluster.middle.values.iter().flat_map(|v| v.to_le_bytes());
                part(&values.collect::<Vec<u8>>());
                part(&(cluster.edits.len() as u64).to_le_bytes());
                hash_edits(&cluster.edits, part);
            }
        }
        part(when.as_bytes());
    }
}

/// Checks a variant's name.
///
/// # Errors
/// A sentence when it is empty, too long, or not one line.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        Err("the variant has no name".to_owned())
    } else if name.chars().count() > Variant::MAX_NAME || name.chars().any(char::is_control) {
        Err(format!(
            "the variant's name must be one line of at most {} letters",
            Variant::MAX_NAME
        ))
    } else {
        Ok(())
    }
}

impl Edit {
    /// Checks what can be checked without the checkpoint.
    ///
    /// # Errors
    /// A sentence that names the value and its range.
    pub fn validate(&self) -> Result<(), String> {
        let number = |what: &str, value: f32| {
            if value.is_finite() && value.abs() <= 100.0 {
                Ok(())
            } else {
                Err(format!("{what} is {value}; it must be between −100 and 100"))
            }
        };
        match self {
            Edit::Neurons(NeuronEdit {
                layer,
                neurons,
                factor,
                ..
            }) => {
                if neurons.is_empty() {
                    return Err(format!("no neuron of layer {layer} is named"));
                }
                match layer {
                    LayerRef::Name(name) if name.trim().is_empty() => Err("the layer has no name".to_owned()),
                    _ => number("factor", *factor),
                }
            }
            Edit::Mask(MaskEdit { weight, .. }) if weight.trim().is_empty() => {
                Err("the weight has no name".to_owned())
            }
            Edit::Mask(_) => Ok(()),
            Edit::Embedding(edit) => edit.embedding.validate(),
            Edit::Cluster(cluster) => cluster.validate(),
            Edit::Guidance(schedule) => number("guidance before the transition", schedule.before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{BitMask, Embedding, EmbeddingEdit, GuidanceSchedule, Transition, When};

    fn neurons(factor: f32) -> Edit {
        Edit::Neurons(NeuronEdit {
            layer: LayerRef::Index(2),
            neurons: vec![1, 5],
            factor,
            when: None,
        })
    }

    fn variant(edits: Vec<Edit>) -> Variant {
        Variant {
            name: "v".into(),
            edits,
            ..Variant::default()
        }
    }

    #[test]
    fn the_hash_tells_every_change_of_the_pictures_and_nothing_else() {
        let base = variant(vec![neurons(0.0)]);
        let mut renamed = base.clone();
        renamed.name = "other".into();
        renamed.note = "note".into();
        renamed.base.hash = Some("aa".into());
        assert_eq!(base.content_hash(), renamed.content_hash());
        let limited = |when| {
            let Edit::Neurons(mut edit) = neurons(0.0) else {
                unreachable!()
            };
            edit.when = Some(when);
            Edit::Neurons(edit)
        };
        let span = "0..3".parse().unwrap();
        let embedding = |prompt: Option<&str>| {
            Edit::Embedding(EmbeddingEdit {
                prompt: prompt.map(str::to_owned),
                embedding: Embedding {
                    tokens: 1,
                    width: 2,
                    values: [0.5, 1.0].into(),
                },
            })
        };
        let guidance = |before, transition| Edit::Guidance(GuidanceSchedule { before, transition });
        let mask = |bits: u8| {
            Edit::Mask(MaskEdit {
                weight: "w".into(),
                zero: BitMask::from_packed(vec![2, 2], vec![bits]).unwrap(),
                when: None,
            })
        };
        let lists = [
            vec![],
            vec![neurons(0.0)],
            vec![neurons(0.5)],
            vec![neurons(0.0), neurons(0.0)],
            vec![limited(When::Steps(span))],
            vec![limited(When::Timesteps(span))],
            vec![embedding(None)],
            vec![embedding(Some(""))],
            vec![embedding(Some("a"))],
            vec![guidance(0.0, Transition::Step(3))],
            vec![guidance(0.0, Transition::Timestep(3))],
            vec![guidance(-2.0, Transition::FirstMinimum)],
            vec![mask(0x80)],
            vec![mask(0x40)],
        ];
        let hashes: std::collections::BTreeSet<String> =
            lists.iter().map(|l| variant(l.clone()).content_hash()).collect();
        assert_eq!(hashes.len(), lists.len());
    }

    #[test]
    fn mistakes_are_named_with_their_edit() {
        assert!(variant(vec![neurons(0.0)]).validate().is_ok());
        let wrong = |v: &Variant| v.validate().unwrap_err();
        assert!(wrong(&Variant::default()).contains("no name"));
        assert!(wrong(&variant(vec![neurons(0.0), neurons(f32::NAN)])).starts_with("edit 2: factor is NaN"));
        let schedule = Edit::Guidance(GuidanceSchedule {
            before: 0.0,
            transition: Transition::FirstMinimum,
        });
        assert!(wrong(&variant(vec![schedule.clone(), schedule])).contains("more than one"));
    }
}
