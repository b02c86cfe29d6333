//! An embedding whose first noise prediction depends less on the text.

use super::{adamw::AdamW, noise_norm::NoiseNorm};
use crate::{
    diffusion::{InitialNoise, Pipeline},
    mitigation::{MitigationError, Progress, Watch},
    study::{Embedding, Sampling},
};
use candle_core::{Device, Tensor, Var};

/// How an embedding is optimised. The numbers are those of Wen et al.'s code.
#[derive(Clone, Debug)]
pub struct PromptSettings {
    /// Steps, size, schedule and negative prompt: those the pictures will be drawn with. Guidance plays no part.
    pub sampling: Sampling,
    /// What the pictures begin with. The loss is taken over all of them together: four pictures double it.
    pub noise: InitialNoise,
    /// Learning rate of AdamW.
    pub learning_rate: f64,
    /// Weight decay of AdamW.
    pub weight_decay: f64,
    /// Most updates.
    pub iterations: usize,
    /// Stop as soon as the norm is not above this; `None` to use up all updates.
    pub target: Option<f64>,
}

impl Default for PromptSettings {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            noise: InitialNoise::Seeds(vec![0, 1, 2, 3]),
            learning_rate: 0.05,
            weight_decay: 0.01,
            iterations: 10,
            target: Some(3.0),
        }
    }
}

impl PromptSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// A sentence that names the setting.
    pub fn validate(&self) -> Result<(), String> {
        self.sampling.validate()?;
        let range = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name} is {value}; {low} to {high} is possible"))
            }
        };
        range("the learning rate", self.learning_rate, 1e-6, 10.0)?;
        range("the weight decay", self.weight_decay, 0.0, 1.0)?;
        range("the number of updates", self.iterations as f64, 0.0, 10_000.0)?;
        self.target.map_or(Ok(()), |t| range("the target", t, 0.0, 1e6))
    }
}

/// Name of the norms in what is kept.
const NORMS: &str = "norms";

/// What came out.
#[derive(Clone, Debug)]
pub struct Optimised {
    /// The embedding.
    pub embedding: Embedding,
    /// The norm before each update; the last entry is that of [`embedding`](Self::embedding).
    pub norms: Vec<f64>,
    /// Whether the target was reached.
    pub reached: bool,
}

/// Optimises the embedding of a prompt: AdamW on the noise norm of the first step, the start token's gradient set to
/// zero (weight decay still acts on it, as in the authors' code). Embedding and optimiser are kept after every update, under
/// the name `part`.
///
/// # Errors
/// Settings out of range, norms that are not finite; [`MitigationError::Stopped`].
pub fn optimise(
    pipeline: &Pipeline,
    prompt: &str,
    settings: &PromptSettings,
    part: &str,
    watch: &mut dyn Watch,
) -> Result<Optimised, MitigationError> {
    watch.go_on()?;
    let norm = NoiseNorm::new(pipeline, prompt, settings)?;
    let variable = Var::from_tensor(&pipeline.text_embeddings(prompt, None)?)?;
    let (_, tokens, width) = variable.dims3()?;
    let mut optimiser = AdamW::new(&variable, settings.learning_rate, settings.weight_decay)?;
    let start_token = start_token_mask(tokens, variable.device())?;
    let mut norms = Vec::new();
    if let Some(kept) = watch.kept(part)
        && let Some(former) = kept.lists.get(NORMS)
        && kept.count("updates") == Some(former.len())
        && optimiser.take_up(&variable, &kept)?
    {
        norms.clone_from(former);
    }
    loop {
        watch.go_on()?;
        watch.at(norms.len() as f64, settings.iterations as f64 + 1.0);
        let loss = norm.of(&norm.repeated(variable.as_tensor())?)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(MitigationError::Request(format!(
                "the noise norm is {value} after {} updates; lower the learning rate",
                norms.len()
            )));
        }
        norms.push(value);
        let reached = settings.target.is_some_and(|target| value <= target);
        if reached || norms.len() > settings.iterations {
            let values = variable
                .flatten_all()?
                .to_device(&Device::Cpu)?
                .to_vec1::<f32>()?;
            return Ok(Optimised {
                embedding: Embedding {
                    tokens,
                    width,
                    values: values.into(),
                },
                norms,
                reached,
            });
        }
        watch.go_on()?;
        let gradients = loss.backward()?;
        let gradient = gradients.get(&variable).ok_or_else(no_gradient)?;
        let gradient = gradient.broadcast_mul(&start_token)?;
        optimiser.step(&variable, &gradient)?;
        let mut progress = Progress::default();
        progress.lists.insert(NORMS.to_owned(), norms.clone());
        optimiser.keep(&variable, &mut progress)?;
        watch.keep(part, &progress)?;
    }
}

/// A failure of this program, not of its user: some operation has cut the gradient.
pub(super) fn no_gradient() -> MitigationError {
    MitigationError::Request("the noise norm does not depend on the embedding; please report this".to_owned())
}

/// `[1, tokens, 1]`: 0 for the start token, 1 for the rest.
fn start_token_mask(tokens: usize, device: &Device) -> candle_core::Result<Tensor> {
    let mask: Vec<f32> = (0..tokens).map(|i| if i == 0 { 0.0 } else { 1.0 }).collect();
    Tensor::from_vec(mask, (1, tokens, 1), device)
}
