//! The command that draws a run again.

use crate::{
    store::{Run, StudyFile, read_prompts},
    study::StudyOutline,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The words of the command. What has no path any more is written in capitals: `STUDY`, `PROMPTS.jsonl`.
pub fn reproduce(run: &Run, outline: &StudyOutline) -> Vec<String> {
    let parameters = run.parameters();
    let mut words = vec!["pentimento".to_owned(), "scan".to_owned()];
    let study = parameters.places.study.as_deref().or(outline.root.as_deref());
    words.push(study.map_or("STUDY".to_owned(), |folder| folder.display().to_string()));
    let drawn: BTreeMap<u32, &str> = run
        .records()
        .iter()
        .map(|r| (r.key.prompt, r.prompt.as_str()))
        .collect();
    let listed = study.and_then(listed).unwrap_or_default();
    let same = drawn.len() == listed.len()
        && drawn
            .iter()
            .all(|(k, text)| listed.get(k).is_some_and(|t| t == text));
    if !same {
        words.extend(["--prompts".to_owned(), "PROMPTS.jsonl".to_owned()]);
    }
    let seeds: BTreeSet<u64> = run.records().iter().map(|r| r.key.seed).collect();
    if !seeds.is_empty() {
        words.extend(["--seeds".to_owned(), seed_words(&seeds)]);
    }
    let sampling = &parameters.sampling;
    words.extend(["--steps".to_owned(), sampling.steps.to_string()]);
    words.extend(["--guidance".to_owned(), sampling.guidance.to_string()]);
    if sampling.width == sampling.height {
        words.extend(["--size".to_owned(), sampling.width.to_string()]);
    }
    words.extend(["--scheduler".to_owned(), sampling.scheduler.to_string()]);
    words.extend(["--rng".to_owned(), sampling.rng.to_string()]);
    if let Some(variant) = &parameters.variant {
        words.extend(["--variant".to_owned(), format!("{}.toml", variant.name)]);
    }
    words.extend(["--out".to_owned(), "RUN".to_owned()]);
    words
}

/// The prompts of a study, as they are now.
fn listed(study: &Path) -> Option<BTreeMap<u32, String>> {
    let file = StudyFile::read(study).ok()?.prompts?;
    let (prompts, _) = read_prompts(&file).ok()?;
    Some(prompts.into_iter().map(|p| (p.index, p.text)).collect())
}

/// Seeds as the command line takes them: `0..4,7`.
pub fn seed_words(seeds: &BTreeSet<u64>) -> String {
    let mut parts: Vec<(u64, u64)> = Vec::new();
    for &seed in seeds {
        match parts.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(seed) => *last = seed,
            _ => parts.push((seed, seed)),
        }
    }
    let words = parts.into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        _ if last == u64::MAX => format!("{first}..={last}"),
        _ => format!("{first}..{}", last + 1),
    });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::parse_seeds;

    #[test]
    fn seeds_are_written_as_they_are_read() {
        for seeds in [vec![0, 1, 2, 3], vec![7], vec![0, 2, 3, 9, 10, 11]] {
            let words = seed_words(&seeds.iter().copied().collect());
            assert_eq!(parse_seeds(&words), Ok(seeds), "{words}");
        }
        assert_eq!(seed_words(&[0, 1, 2, 3, 7].into()), "0..4,7");
    }
}
