//! What a variant changes in a checkpoint: one type for each kind of edit.

use super::{BitMask, ClusterEdit};
use std::{fmt, str::FromStr, sync::Arc};

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Scales value neurons of a cross-attention (NeMo).
    Neurons(NeuronEdit),
    /// Sets weights of the UNet to zero (Wanda, ConceptPrune).
    Mask(MaskEdit),
    /// Replaces the embedding of a prompt (Wen et al.).
    Embedding(EmbeddingEdit),
    /// Changes when guidance sets in (Jain et al.).
    Guidance(GuidanceSchedule),
    /// Changes for the prompts of one cluster (FB-Mem).
    Cluster(ClusterEdit),
}

impl Edit {
    /// When the edit is in force, for the kinds that can be limited.
    pub fn when(&self) -> Option<When> {
        match self {
            Self::Neurons(edit) => edit.when,
            Self::Mask(edit) => edit.when,
            Self::Embedding(_) | Self::Guidance(_) | Self::Cluster(_) => None,
        }
    }

    /// Whether the edit is a change of weights that holds at every step: only then a checkpoint can carry it.
    pub fn is_in_weights(&self) -> bool {
        matches!(self, Self::Neurons(_) | Self::Mask(_)) && self.when().is_none()
    }

    /// The edit in a few words: “3 neurons of layer 2 off”.
    pub fn words(&self) -> String {
        let when = self.when().map_or_else(String::new, |w| format!(", {w}"));
        match self {
            Self::Neurons(NeuronEdit {
                layer,
                neurons,
                factor,
                ..
            }) => {
                let change = if *factor == 0.0 {
                    "off".to_owned()
                } else {
                    format!("× {factor}")
                };
                format!("{} value neurons of layer {layer} {change}{when}", neurons.len())
            }
            Self::Mask(MaskEdit { weight, zero, .. }) => {
                format!(
                    "{} of {} values of {weight} set to zero{when}",
                    zero.count(),
                    zero.len()
                )
            }
            Self::Embedding(EmbeddingEdit { prompt, .. }) => match prompt {
                Some(prompt) => format!("another embedding for “{prompt}”"),
                None => "another embedding for every prompt".to_owned(),
            },
            Self::Guidance(schedule) => schedule.to_string(),
            Self::Cluster(cluster) => {
                let edits: Vec<String> = cluster.edits.iter().map(Self::words).collect();
                format!(
                    "cluster {} ({} prompts): {}",
                    cluster.cluster,
                    cluster.prompts,
                    if edits.is_empty() {
                        "left as it is".to_owned()
                    } else {
                        edits.join(", ")
                    }
                )
            }
        }
    }
}

/// Multiplies output channels of a cross-attention's value projection (`attn2.to_v`), for the unconditional and
/// the conditional half alike.
#[derive(Clone, Debug, PartialEq)]
pub struct NeuronEdit {
    /// The transformer block.
    pub layer: LayerRef,
    /// Output channels, from 0; a channel named twice is scaled once.
    pub neurons: Vec<u32>,
    /// Factor on their output; 0 switches them off.
    pub factor: f32,
    /// When; always if `None`.
    pub when: Option<When>,
}

/// Names a transformer block of the UNet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerRef {
    /// Place in order of execution: down, middle, up. NeMo's seven layers are the first seven of SD 1.x.
    Index(u32),
    /// Name in diffusers, as `down_blocks.0.attentions.1.transformer_blocks.0`; `.attn2.to_v` may follow.
    Name(String),
}

impl fmt::Display for LayerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// Sets entries of one weight of the UNet to zero.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskEdit {
    /// Name of the weight in diffusers, as `mid_block.attentions.0.transformer_blocks.0.ff.net.2.weight`.
    pub weight: String,
    /// Set where the weight becomes zero; of the weight's shape.
    pub zero: BitMask,
    /// When; always if `None`.
    pub when: Option<When>,
}

/// Another output of the text encoder. Of several edits that fit a prompt, the last one holds; the negative prompt
/// is never replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingEdit {
    /// The prompt it stands for, letter by letter; every prompt if `None`.
    pub prompt: Option<String>,
    /// The embedding.
    pub embedding: Embedding,
}

/// Output of a text encoder for one prompt.
#[derive(Clone, PartialEq)]
pub struct Embedding {
    /// Number of tokens, padding included.
    pub tokens: usize,
    /// Width.
    pub width: usize,
    /// `tokens × width` values, token by token.
    pub values: Arc<[f32]>,
}

impl Embedding {
    /// Checks shape and values.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub fn validate(&self) -> Result<(), String> {
        let expected = self.tokens.checked_mul(self.width);
        if expected != Some(self.values.len()) || self.values.is_empty() {
            return Err(format!(
                "an embedding of {} tokens × {} has {} values",
                self.tokens,
                self.width,
                self.values.len()
            ));
        }
        match self.values.iter().position(|v| !v.is_finite()) {
            Some(at) => Err(format!("value {at} of the embedding is not finite")),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedding({} × {})", self.tokens, self.width)
    }
}

/// Guidance that changes once while a picture forms (Jain et al., “Classifier-Free Guidance inside the Attraction
/// Basin May Cause Memorization”, CVPR 2025). From the transition on, the run's own guidance holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuidanceSchedule {
    /// Guidance before the transition: 0 draws without the prompt, 1 with the prompt alone, −2 away from it (opposite
    /// guidance).
    pub before: f32,
    /// Where it changes.
    pub transition: Transition,
}

/// Where guidance sets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// At this step, counted from 0.
    Step(u32),
    /// At the first step whose timestep is not above this one (the authors' `guidance_change_step`).
    Timestep(u32),
    /// At the step after the first local minimum of `‖ε_c − ε_∅‖₂` (the authors' dynamic transition point: the norm has
    /// just risen after it had fallen). Each picture has its own.
    FirstMinimum,
}

impl fmt::Display for GuidanceSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "guidance {} ", self.before)?;
        match self.transition {
            Transition::Step(step) => write!(f, "before step {step}"),
            Transition::Timestep(timestep) => write!(f, "above timestep {timestep}"),
            Transition::FirstMinimum => f.write_str("up to the first minimum of the noise norm"),
        }
    }
}

/// When an edit is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// At these steps, counted from 0.
    Steps(Span),
    /// At steps with these timesteps.
    Timesteps(Span),
}

impl When {
    /// Whether the edit is in force at a step.
    pub fn holds(self, step: usize, timestep: usize) -> bool {
        match self {
            Self::Steps(span) => span.contains(step),
            Self::Timesteps(span) => span.contains(timestep),
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(span) => write!(f, "steps {span}"),
            Self::Timesteps(span) => write!(f, "timesteps {span}"),
        }
    }
}

/// Whole numbers in a row, written `0..10` (end excluded), `501..` or `..10`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// First.
    pub from: u32,
    /// One after the last; `None` for no end.
    pub end: Option<u32>,
}

impl Span {
    /// Whether a number lies in it.
    pub fn contains(self, number: usize) -> bool {
        number >= self.from as usize && self.end.is_none_or(|end| number < end as usize)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", self.from)?;
        self.end.map_or(Ok(()), |end| end.fmt(f))
    }
}

impl FromStr for Span {
    type Err = String;

    /// Reads `3`, `0..10`, `0..=9`, `10..` or `..10`.
    fn from_str(text: &str) -> Result<Self, String> {
        let number = |s: &str| {
            s.trim()
                .parse::<u32>()
                .map_err(|_| format!("“{s}” in “{text}” is not a whole number"))
        };
        let after = |s: &str| number(s).map(|n| n.saturating_add(1));
        let span = match text.split_once("..") {
            None => Self {
                from: number(text)?,
                end: Some(after(text)?),
            },
            Some((from, end)) => Self {
                from: if from.trim().is_empty() { 0 } else { number(from)? },
                end: match (end.trim(), end.trim().strip_prefix('=')) {
                    ("", _) => None,
                    (_, Some(last)) => Some(after(last)?),
                    (end, None) => Some(number(end)?),
                },
            },
        };
        if span.end.is_some_and(|end| end <= span.from) {
            return Err(format!("“{text}” holds no number"));
        }
        Ok(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_in_all_forms_and_written_in_one() {
        let span = |text: &str| text.parse::<Span>();
        for (text, written) in [
            ("7", "7..8"),
            ("0..10", "0..10"),
            ("0..=9", "0..10"),
            ("501..", "501.."),
            ("..3", "0..3"),
        ] {
            assert_eq!(span(text).unwrap().to_string(), written);
            assert_eq!(span(written), span(text));
        }
        assert!(span("501..").unwrap().contains(501) && !span("501..").unwrap().contains(500));
        assert!(span("0..2").unwrap().contains(1) && !span("0..2").unwrap().contains(2));
        assert!(span("5..5").unwrap_err().contains("no number"));
        assert!(span("a..4").unwrap_err().contains("“a”"));
        assert!(span("").is_err() && span("-1").is_err());
    }
}
