//! Which tokens the text-conditional noise hangs on.

use super::{PromptSettings, noise_norm::NoiseNorm, optimisation::no_gradient};
use crate::{
    diffusion::Pipeline,
    mitigation::{MitigationError, Watch},
};
use candle_core::{D, Tensor, Var};

/// A token and how much the noise norm changes with its embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenScore {
    /// The token's text.
    pub token: String,
    /// Length of the gradient, mean over the pictures.
    pub score: f32,
}

/// Gradient of the first step's noise norm, over all pictures together, with respect to each picture's own copy of the
/// prompt's embedding: `[n, tokens, d]`.
///
/// # Errors
/// As [`optimise`](super::optimise).
pub fn gradient(
    pipeline: &Pipeline,
    prompt: &str,
    settings: &PromptSettings,
    watch: &dyn Watch,
) -> Result<Tensor, MitigationError> {
    watch.go_on()?;
    let norm = NoiseNorm::new(pipeline, prompt, settings)?;
    let variable = Var::from_tensor(&norm.repeated(&pipeline.text_embeddings(prompt, None)?)?)?;
    watch.go_on()?;
    let gradients = norm.of(variable.as_tensor())?.backward()?;
    Ok(gradients.get(&variable).ok_or_else(no_gradient)?.clone())
}

/// Gradient of the first step's noise norm with respect to every token's embedding: its length, mean over the pictures.
/// Start, end and padding are left out.
///
/// # Errors
/// As [`optimise`](super::optimise).
pub fn significance(
    pipeline: &Pipeline,
    prompt: &str,
    settings: &PromptSettings,
    watch: &dyn Watch,
) -> Result<Vec<TokenScore>, MitigationError> {
    let gradient = gradient(pipeline, prompt, settings, watch)?;
    let lengths = gradient
        .sqr()?
        .sum(D::Minus1)?
        .sqrt()?
        .mean(0)?
        .to_vec1::<f32>()?;
    let pieces = pipeline
        .tokenizer()
        .pieces(prompt)
        .map_err(MitigationError::Request)?;
    let scores = pieces
        .into_iter()
        .zip(lengths.into_iter().skip(1))
        .map(|(token, score)| TokenScore { token, score });
    Ok(scores.collect())
}
