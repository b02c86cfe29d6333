//! Prompts to token ids, exactly as transformers' `CLIPTokenizer` does.

use super::{
    CheckpointError, TextConfig,
    config::{read_json, read_text},
};
use serde_json::{Value, json};
use std::path::Path;
use tokenizers::{PaddingDirection, PaddingParams, PaddingStrategy, Tokenizer, TruncationParams};

const START: &str = "<|startoftext|>";
pub(super) const END: &str = "<|endoftext|>";
const LIMIT: u64 = 64 << 20;

/// CLIP's byte-pair encoder with the checkpoint's vocabulary, length and padding.
pub struct ClipTokenizer {
    inner: Tokenizer,
    length: usize,
    end: u32,
}

impl ClipTokenizer {
    /// Reads `tokenizer.json`, or else `vocab.json` and `merges.txt`; length and padding token from
    /// `tokenizer_config.json` and `special_tokens_map.json` where present. Where they name no padding token, it is
    /// the end token.
    ///
    /// # Errors
    /// The file that is damaged, a special token that is not in the vocabulary, ids beyond the text encoder's.
    pub fn open(folder: &Path, text: &TextConfig) -> Result<Self, CheckpointError> {
        Self::with_padding(folder, text, END)
    }

    /// As [`open`](Self::open), with the padding token where the files name none.
    pub(super) fn with_padding(
        folder: &Path,
        text: &TextConfig,
        padding: &str,
    ) -> Result<Self, CheckpointError> {
        let ready = folder.join("tokenizer.json");
        let (path, description) = if ready.is_file() {
            let text = read_text(&ready, LIMIT)?;
            (ready, text)
        } else {
            let vocabulary = folder.join("vocab.json");
            let description = assemble(folder, &vocabulary)?;
            (vocabulary, description)
        };
        let wrong = |message: String| CheckpointError::Tokenizer {
            path: path.clone(),
            message,
        };
        let mut inner: Tokenizer = description
            .parse()
            .map_err(|e: tokenizers::Error| wrong(format!("not a usable tokenizer: {e}")))?;

        let settings = |name: &str| {
            let path = folder.join(name);
            path.is_file().then(|| read_json(&path, LIMIT)).transpose()
        };
        let config = settings("tokenizer_config.json")?;
        // As transformers: the older file of special tokens goes first, and counts only beside configurations that do
        // not list their added tokens (SD 2 pads with “!”, and only that file says so).
        let map = match &config {
            Some(config) if config.get("added_tokens_decoder").is_some() => None,
            _ => settings("special_tokens_map.json")?,
        };
        let settings: Vec<&Value> = map.iter().chain(&config).collect();
        // A special token is a text, or an object that says more about it.
        let special = |key: &str, default: &str| {
            let found = settings.iter().find_map(|s| {
                let value = s.get(key)?;
                value.as_str().or_else(|| value.get("content")?.as_str())
            });
            let token = found.unwrap_or(default).to_owned();
            match inner.token_to_id(&token) {
                Some(id) => Ok((token, id)),
                None => Err(wrong(format!("its vocabulary lacks the {key} “{token}”"))),
            }
        };
        let (_, end) = special("eos_token", END)?;
        let (pad_token, pad_id) = special("pad_token", padding)?;
        // transformers writes 1e30 for “no limit”.
        let named = settings.iter().find_map(|s| s.get("model_max_length")?.as_f64());
        let longest = text.max_position_embeddings;
        let length = named.map_or(longest, |n| {
            if n >= 2.0 {
                (n as usize).min(longest)
            } else {
                longest
            }
        });

        if let Some((token, id)) = inner
            .get_vocab(true)
            .into_iter()
            .find(|(_, id)| *id as usize >= text.vocab_size)
        {
            return Err(wrong(format!(
                "token “{token}” has id {id}, but the text encoder knows only {} tokens",
                text.vocab_size
            )));
        }
        inner
            .with_truncation(Some(TruncationParams {
                max_length: length,
                ..TruncationParams::default()
            }))
            .map_err(|e| wrong(format!("cannot cut prompts to {length} tokens: {e}")))?;
        inner.with_padding(Some(PaddingParams {
            strategy: PaddingStrategy::Fixed(length),
            direction: PaddingDirection::Right,
            pad_id,
            pad_token,
            ..PaddingParams::default()
        }));
        Ok(Self { inner, length, end })
    }

    /// Number of ids of every prompt.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The ids of a prompt: start, text, end, padding; always [`length`](Self::length) of them. A longer prompt is
    /// cut and still ends in the end token.
    ///
    /// # Errors
    /// What the tokenizer library says; not expected for any text.
    pub fn encode(&self, prompt: &str) -> Result<Vec<u32>, String> {
        let encoding = self
            .inner
            .encode(prompt, true)
            .map_err(|e| format!("cannot tokenize the prompt: {e}"))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Position of the first end token, which is also the number of tokens before it (start token included).
    pub fn end_position(&self, ids: &[u32]) -> usize {
        ids.iter()
            .skip(1)
            .position(|&id| id == self.end)
            .map_or(ids.len().saturating_sub(1), |i| i + 1)
    }

    /// The tokens of a prompt as pieces of text, without start, end and padding.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn pieces(&self, prompt: &str) -> Result<Vec<String>, String> {
        let ids = self.encode(prompt)?;
        let end = self.end_position(&ids);
        let piece = |id: &u32| {
            self.inner
                .id_to_token(*id)
                .unwrap_or_default()
                .replace("</w>", "")
        };
        Ok(ids.get(1..end).unwrap_or_default().iter().map(piece).collect())
    }

    /// Number of tokens without the special ones, which CLIP's vocabularies have at their end.
    pub fn ordinary_tokens(&self) -> u32 {
        self.inner.get_vocab_size(false) as u32
    }

    /// The text of one token.
    ///
    /// # Errors
    /// What the tokenizer library says; not expected for ids of the vocabulary.
    pub fn text_of(&self, id: u32) -> Result<String, String> {
        let text = self.inner.decode(&[id], true);
        Ok(text
            .map_err(|e| format!("cannot write token {id} as text: {e}"))?
            .trim()
            .to_owned())
    }
}

/// The description of CLIP's tokenizer around a bare vocabulary and its merges
/// (transformers 5, `models/clip/tokenization_clip.py`).
fn assemble(folder: &Path, vocabulary: &Path) -> Result<String, CheckpointError> {
    let wrong = |path: &Path, message: &str| CheckpointError::Tokenizer {
        path: path.to_owned(),
        message: message.to_owned(),
    };
    let vocab = read_json(vocabulary, LIMIT)?;
    let id = |token: &str| {
        vocab.get(token).and_then(Value::as_u64).ok_or_else(|| {
            wrong(
                vocabulary,
                &format!("its vocabulary lacks “{token}”, or its id is not a whole number"),
            )
        })
    };
    let (start, end) = (id(START)?, id(END)?);
    let merges_path = folder.join("merges.txt");
    let text = read_text(&merges_path, LIMIT)?;
    let mut merges = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.starts_with("#version") && !l.is_empty())
    {
        match line.split_once(' ') {
            Some((a, b)) if !b.contains(' ') => merges.push(json!([a, b])),
            _ => {
                return Err(wrong(
                    &merges_path,
                    &format!("line {} is not a pair of pieces", number + 1),
                ));
            }
        }
    }
    let added = |id: u64, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let mut specials = [(start, START), (end, END)];
    specials.sort_unstable();
    let words =
        r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": specials.map(|(id, token)| added(id, token)),
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": words}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": {"type": "RobertaProcessing", "sep": [END, end], "cls": [START, start],
                           "trim_offsets": false, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": END, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                  "vocab": vocab, "merges": merges},
    })
    .to_string())
}
