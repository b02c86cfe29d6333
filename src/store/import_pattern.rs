//! Patterns for the names of pictures: `sample-{prompt}-s{seed}`.

use std::{collections::HashSet, fmt};

/// What a name says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameParts {
    /// Number of the prompt, from 0.
    pub prompt: Option<u32>,
    /// The prompt's text, underscores and dashes as in the name.
    pub text: Option<String>,
    /// Seed or number of the sample.
    pub seed: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Prompt,
    Text,
    Seed,
    Any,
}

/// A pattern for file names without their ending. `{prompt}` stands for the number of a prompt, `{text}` for its words,
/// `{seed}` for a seed or sample number, `*` for anything; everything else for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    written: String,
    parts: Vec<Part>,
}

/// Longest pattern, in bytes; matching tries at most its wildcards times the name's letters.
const MAX_BYTES: usize = 200;
const MAX_WILD: usize = 6;

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A sentence: unknown or repeated placeholder, none at all, too long, or an ending.
    pub fn parse(written: &str) -> Result<Self, String> {
        let written = written.trim();
        if written.len() > MAX_BYTES {
            return Err(format!("a pattern has at most {MAX_BYTES} letters"));
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut literal = String::new();
        let mut rest = written;
        while let Some(c) = rest.chars().next() {
            let part = if c == '{' {
                let end = rest.find('}').ok_or("a brace { is not closed")?;
                let name = &rest[1..end];
                rest = &rest[end + 1..];
                match name.trim().to_ascii_lowercase().as_str() {
                    "prompt" => Part::Prompt,
                    "text" => Part::Text,
                    "seed" => Part::Seed,
                    _ => {
                        return Err(format!(
                            "{{{name}}} is not known; {{prompt}}, {{text}} and {{seed}} are"
                        ));
                    }
                }
            } else {
                rest = &rest[c.len_utf8()..];
                if c != '*' {
                    literal.push(c);
                    continue;
                }
                Part::Any
            };
            if part != Part::Any && parts.contains(&part) {
                return Err("each placeholder may stand once".to_owned());
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(part);
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        if !parts.iter().any(|p| matches!(p, Part::Prompt | Part::Text)) {
            return Err("{prompt} or {text} is needed, to tell the prompts apart".to_owned());
        }
        if parts
            .iter()
            .filter(|p| matches!(p, Part::Any | Part::Text))
            .count()
            > MAX_WILD
        {
            return Err(format!("at most {MAX_WILD} of * and {{text}} are possible"));
        }
        Ok(Self {
            written: written.to_owned(),
            parts,
        })
    }

    /// What a name without its ending says; `None` when the pattern does not fit all of it.
    pub fn read(&self, stem: &str) -> Option<NameParts> {
        // Names longer than file systems allow are not tried.
        let mut found = NameParts::default();
        (stem.len() <= 1024 && fit(&self.parts, stem, &mut found, &mut Failed::new())).then_some(found)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// Parts left and bytes left from where no way leads to the end.
type Failed = HashSet<(usize, usize)>;

/// Tries the parts from left to right; words and `*` take as little as they can. No place is tried twice, so that the
/// time grows with parts times the square of the name at most.
fn fit(parts: &[Part], rest: &str, found: &mut NameParts, failed: &mut Failed) -> bool {
    let Some((part, more)) = parts.split_first() else {
        return rest.is_empty();
    };
    let place = (parts.len(), rest.len());
    if failed.contains(&place) {
        return false;
    }
    let fits = match part {
        Part::Literal(text) => rest
            .strip_prefix(text.as_str())
            .is_some_and(|rest| fit(more, rest, found, failed)),
        Part::Prompt | Part::Seed => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            // Longest first; shorter ones only matter before a literal of digits.
            (1..=digits).rev().any(|n| {
                let Ok(number) = rest[..n].parse::<u64>() else {
                    return false;
                };
                if *part == Part::Seed {
                    let fits = fit(more, &rest[n..], found, failed);
                    fits.then(|| found.seed = Some(number)).is_some()
                } else {
                    u32::try_from(number).is_ok_and(|number| {
                        let fits = fit(more, &rest[n..], found, failed);
                        fits.then(|| found.prompt = Some(number)).is_some()
                    })
                }
            })
        }
        Part::Text | Part::Any => {
            let least = usize::from(*part == Part::Text);
            let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.filter(|&at| at >= least).any(|at| {
                let fits = fit(more, &rest[at..], found, failed);
                if fits && *part == Part::Text {
                    found.text = Some(rest[..at].to_owned());
                }
                fits
            })
        }
    };
    if !fits {
        failed.insert(place);
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, stem: &str) -> Option<(Option<u32>, Option<String>, Option<u64>)> {
        NamePattern::parse(pattern)
            .unwrap()
            .read(stem)
            .map(|p| (p.prompt, p.text, p.seed))
    }

    #[test]
    fn names_are_read_by_pattern() {
        assert_eq!(
            read("sample-{prompt}-s{seed}", "sample-003-s12"),
            Some((Some(3), None, Some(12)))
        );
        assert_eq!(
            read("{text}_seed{seed}", "a red_fox_seed7"),
            Some((None, Some("a red_fox".into()), Some(7)))
        );
        assert_eq!(read("*_{prompt}", "run 4_17"), Some((Some(17), None, None)));
        assert_eq!(read("{prompt}_{seed}", "3_x"), None);
        assert_eq!(read("{prompt}_{seed}", "3_1_2"), None);
        assert_eq!(read("{prompt}", "99999999999"), None);
        assert_eq!(read("{prompt}{seed}", "123"), Some((Some(12), None, Some(3))));
        assert_eq!(read("ä{text}ß", "äöß"), Some((None, Some("ö".into()), None)));
    }

    #[test]
    fn patterns_that_cannot_work_are_explained() {
        for (pattern, reason) in [
            ("{seed}", "{prompt} or {text}"),
            ("{prompt", "not closed"),
            ("{promt}", "{promt}"),
            ("{prompt}{prompt}", "once"),
            ("{prompt}*******", "at most"),
            ("", "{prompt} or {text}"),
        ] {
            let said = NamePattern::parse(pattern).unwrap_err();
            assert!(said.contains(reason), "{pattern}: {said}");
        }
        assert!(NamePattern::parse(&"x".repeat(300)).is_err());
    }

    #[test]
    fn hostile_names_take_no_time() {
        // As many ways as 1000 over 5 if every one were tried.
        let pattern = NamePattern::parse("*a*a*a*a{text}b{prompt}").unwrap();
        assert_eq!(pattern.read(&"a".repeat(1000)), None);
        let name = format!("{}b7", "a".repeat(200));
        assert_eq!(pattern.read(&name).and_then(|p| p.prompt), Some(7));
    }
}
