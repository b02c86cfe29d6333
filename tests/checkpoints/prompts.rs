//! Odd and long prompts against transformers (`tools/fixtures/prompts.py`).

use super::common::tensors::json_file;
use pentimento::diffusion::{ClipTokenizer, TextConfig};
use std::path::PathBuf;

#[test]
fn odd_and_long_prompts_become_the_same_tokens() {
    // The whole vocabulary of Stable Diffusion is too large for the repository.
    let folder = std::env::var_os("PENTIMENTO_PROMPTS")
        .map_or_else(|| super::fixtures().join("prompts"), PathBuf::from);
    let file = json_file(&folder.join("ids.json"));
    let text = TextConfig {
        vocab_size: file["vocabulary"].as_u64().unwrap() as usize,
        max_position_embeddings: 77,
        ..TextConfig::read(&super::root("sd1").join("text_encoder/config.json")).unwrap()
    };
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 150);
    let mut wrong = Vec::new();
    for (form, place) in [("pieces", 1), ("ready", 2)] {
        let tokenizer = ClipTokenizer::open(&folder.join(form), &text).unwrap();
        for case in cases {
            let prompt = case[0].as_str().unwrap();
            let ids: Vec<u64> = case[place]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_u64().unwrap())
                .collect();
            let got: Vec<u64> = tokenizer
                .encode(prompt)
                .unwrap()
                .into_iter()
                .map(u64::from)
                .collect();
            if got != ids {
                wrong.push(format!("{form}: {prompt:?}\n  here {got:?}\n  there {ids:?}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} prompts differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
