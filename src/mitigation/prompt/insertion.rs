//! Disturbing a prompt with words that mean nothing: what Somepalli et al. and Wen et al. compare with.

use crate::{diffusion::ClipTokenizer, mitigation::MitigationError};
use std::{fmt, str::FromStr};

/// What is inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Insertion {
    /// Whole numbers below 100 000.
    Numbers,
    /// Tokens of the vocabulary.
    Tokens,
    /// Words of the prompt itself.
    Repeats,
}

impl fmt::Display for Insertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Numbers => "numbers",
            Self::Tokens => "tokens",
            Self::Repeats => "repeats",
        })
    }
}

impl FromStr for Insertion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "numbers" => Ok(Self::Numbers),
            "tokens" => Ok(Self::Tokens),
            "repeats" => Ok(Self::Repeats),
            other => Err(format!("“{other}” is not one of numbers, tokens, repeats")),
        }
    }
}

/// One above the largest inserted number.
const NUMBERS: u32 = 100_000;
/// Most insertions.
const MOST: usize = 1000;

/// The prompt with `count` insertions at random places between its words. The same seed gives the same prompt (not the
/// one that NumPy's generator would give).
///
/// # Errors
/// More than 1000 insertions; failures of the tokenizer library.
pub fn insert(
    tokenizer: &ClipTokenizer,
    prompt: &str,
    what: Insertion,
    count: usize,
    seed: u64,
) -> Result<String, MitigationError> {
    if count > MOST {
        return Err(MitigationError::Request(format!(
            "{count} insertions; at most {MOST} are possible"
        )));
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let own: Vec<String> = prompt.split(' ').map(str::to_owned).collect();
    let mut words = own.clone();
    for _ in 0..count {
        let word = match what {
            Insertion::Numbers => random.u32(..NUMBERS).to_string(),
            Insertion::Repeats => own[random.usize(..own.len())].clone(),
            Insertion::Tokens => {
                let id = random.u32(..tokenizer.ordinary_tokens());
                tokenizer.text_of(id).map_err(MitigationError::Request)?
            }
        };
        words.insert(random.usize(..=words.len()), word);
    }
    Ok(words.join(" "))
}
