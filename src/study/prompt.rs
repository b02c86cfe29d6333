//! Prompts and the seeds they are drawn with.

use serde::{Deserialize, Serialize};

/// One prompt of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// Position in the prompt list: FB-Mem's `k`, the first number of a picture's name.
    pub index: u32,
    /// The caption, as given to the text encoder.
    pub text: String,
    /// What the list says about the prompt: a planned class (`VM`, `FM`, `BM`, `NM`) or NeMo's type
    /// (`VM`, `TM`). Shown, never used to decide anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// Reads a seed list: `7`, `0..4` (end excluded), `0..=4`, or several of these joined by commas.
///
/// # Errors
/// A sentence naming the part that is not a number or a range; at most 1 000 000 seeds.
pub fn parse_seeds(text: &str) -> Result<Vec<u64>, String> {
    const MOST: u64 = 1_000_000;
    let mut seeds = Vec::new();
    for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let number = |s: &str| {
            s.trim()
                .parse::<u64>()
                .map_err(|_| format!("“{s}” in “{text}” is not a whole number"))
        };
        let (first, end) = match part.split_once("..") {
            Some((first, last)) => match last.strip_prefix('=') {
                Some(last) => (number(first)?, number(last)?.saturating_add(1)),
                None => (number(first)?, number(last)?),
            },
            None => (number(part)?, number(part)?.saturating_add(1)),
        };
        if end.saturating_sub(first).saturating_add(seeds.len() as u64) > MOST {
            return Err(format!("“{text}” asks for more than {MOST} seeds"));
        }
        seeds.extend(first..end);
    }
    if seeds.is_empty() {
        Err(format!("“{text}” names no seed"))
    } else {
        Ok(seeds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_in_all_forms() {
        assert_eq!(parse_seeds("7"), Ok(vec![7]));
        assert_eq!(parse_seeds("0..3, 5..=6"), Ok(vec![0, 1, 2, 5, 6]));
        assert!(parse_seeds("").is_err());
        assert!(parse_seeds("3..3").is_err());
        assert!(parse_seeds("a..4").unwrap_err().contains("“a”"));
        assert!(parse_seeds("0..99999999999").is_err());
    }
}
