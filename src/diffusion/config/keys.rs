//! Reading a JSON object key by key, so that nothing in it is overlooked.

use crate::diffusion::CheckpointError;
use serde_json::{Map, Value};
use std::{
    borrow::Cow,
    collections::BTreeSet,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Reads a text file of bounded size.
pub fn read_text(path: &Path, limit: u64) -> Result<String, CheckpointError> {
    let io = |source| CheckpointError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    if bytes > limit {
        return Err(CheckpointError::TooLarge {
            path: path.to_owned(),
            bytes,
            limit,
        });
    }
    let mut text = String::new();
    file.take(limit).read_to_string(&mut text).map_err(io)?;
    Ok(text)
}

/// Reads a JSON file of at most `limit` bytes.
pub fn read_json(path: &Path, limit: u64) -> Result<Value, CheckpointError> {
    serde_json::from_str(&quote_constants(&read_text(path, limit)?)).map_err(|e| CheckpointError::Json {
        path: path.to_owned(),
        message: format!("not valid JSON: {e}"),
    })
}

/// Python writes numbers that JSON does not have as `NaN`, `Infinity` and `-Infinity`: made texts, so that the key that
/// holds one can say what it wants instead.
fn quote_constants(text: &str) -> Cow<'_, str> {
    const CONSTANTS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];
    if !CONSTANTS.iter().any(|c| text.contains(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let (mut rest, mut quoted) = (text, false);
    while let Some(next) = rest.chars().next() {
        let found = CONSTANTS.iter().find(|c| !quoted && rest.starts_with(**c));
        let taken = match (found, next) {
            (Some(constant), _) => {
                out.extend(["\"", constant, "\""]);
                rest = &rest[constant.len()..];
                continue;
            }
            (None, '"') => {
                quoted = !quoted;
                1
            }
            // The character after a backslash does not end a text.
            (None, '\\') if quoted => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, other) => other.len_utf8(),
        };
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    Cow::Owned(out)
}

/// A configuration object that remembers which keys were asked for.
pub struct Keys {
    path: PathBuf,
    map: Map<String, Value>,
    seen: BTreeSet<String>,
}

impl Keys {
    const LIMIT: u64 = 4 << 20;

    /// Reads a configuration file; it must hold one JSON object.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        match read_json(path, Self::LIMIT)? {
            Value::Object(map) => Ok(Self::new(path, map)),
            other => Err(CheckpointError::Json {
                path: path.to_owned(),
                message: format!("expected an object of settings, found {}", kind(&other)),
            }),
        }
    }

    /// Settings already parsed; `path` is named in errors.
    pub fn new(path: &Path, map: Map<String, Value>) -> Self {
        Self {
            path: path.to_owned(),
            map,
            seen: BTreeSet::new(),
        }
    }

    /// Settings one level down in the same file.
    pub fn inner(&self, map: Map<String, Value>) -> Self {
        Self::new(&self.path, map)
    }

    /// The value of a key; `None` when absent or null.
    pub fn get(&mut self, key: &str) -> Option<Value> {
        self.seen.insert(key.to_owned());
        self.map.get(key).filter(|v| !v.is_null()).cloned()
    }

    /// An error about the present value of a key.
    pub fn refuse(&self, key: &str, expected: impl Into<String>) -> CheckpointError {
        let mut value = self
            .map
            .get(key)
            .map_or_else(|| "missing".to_owned(), Value::to_string);
        if value.len() > 120 {
            let cut = (0..=117).rev().find(|&i| value.is_char_boundary(i)).unwrap_or(0);
            value.truncate(cut);
            value.push('…');
        }
        CheckpointError::Config {
            path: self.path.clone(),
            key: key.to_owned(),
            value,
            expected: expected.into(),
        }
    }

    /// A whole number in `1..=most`, or the default when absent.
    pub fn count(&mut self, key: &str, default: usize, most: usize) -> Result<usize, CheckpointError> {
        self.whole(key, default, 1, most)
    }

    /// A whole number in `least..=most`, or the default when absent.
    pub fn whole(
        &mut self,
        key: &str,
        default: usize,
        least: usize,
        most: usize,
    ) -> Result<usize, CheckpointError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        as_whole(&value)
            .filter(|n| (least..=most).contains(n))
            .ok_or_else(|| self.refuse(key, format!("expected a whole number between {least} and {most}")))
    }

    /// A whole number for each of `levels`: one for all, or a list of that length.
    pub fn per_level(
        &mut self,
        key: &str,
        default: usize,
        levels: usize,
        most: usize,
    ) -> Result<Vec<usize>, CheckpointError> {
        let Some(value) = self.get(key) else {
            return Ok(vec![default; levels]);
        };
        let numbers = match &value {
            Value::Array(items) => items.iter().map(as_whole).collect(),
            one => as_whole(one).map(|n| vec![n; levels]),
        };
        numbers
            .filter(|n| n.len() == levels && n.iter().all(|n| (1..=most).contains(n)))
            .ok_or_else(|| {
                self.refuse(
                    key,
                    format!("expected a whole number between 1 and {most}, or {levels} of them"),
                )
            })
    }

    /// A list of whole numbers in `1..=most`, of 1 to `longest` entries.
    pub fn counts(
        &mut self,
        key: &str,
        default: &[usize],
        longest: usize,
        most: usize,
    ) -> Result<Vec<usize>, CheckpointError> {
        let Some(value) = self.get(key) else {
            return Ok(default.to_vec());
        };
        value
            .as_array()
            .and_then(|items| items.iter().map(as_whole).collect::<Option<Vec<_>>>())
            .filter(|n| (1..=longest).contains(&n.len()) && n.iter().all(|n| (1..=most).contains(n)))
            .ok_or_else(|| {
                self.refuse(
                    key,
                    format!("expected 1 to {longest} whole numbers between 1 and {most}"),
                )
            })
    }

    /// A list of names, each one of `known`.
    pub fn names(
        &mut self,
        key: &str,
        default: &[&str],
        known: &[&str],
    ) -> Result<Vec<String>, CheckpointError> {
        let Some(value) = self.get(key) else {
            return Ok(default.iter().map(|&s| s.to_owned()).collect());
        };
        value
            .as_array()
            .and_then(|items| {
                items
                    .iter()
                    .map(|v| v.as_str().map(str::to_owned))
                    .collect::<Option<Vec<_>>>()
            })
            .filter(|names| names.iter().all(|n| known.contains(&n.as_str())))
            .ok_or_else(|| self.refuse(key, format!("supported: a list of {}", known.join(", "))))
    }

    /// One name out of `known`, or the default when absent.
    pub fn name(&mut self, key: &str, default: &str, known: &[&str]) -> Result<String, CheckpointError> {
        let Some(value) = self.get(key) else {
            return Ok(default.to_owned());
        };
        value
            .as_str()
            .filter(|s| known.contains(s))
            .map(str::to_owned)
            .ok_or_else(|| self.refuse(key, format!("supported: {}", known.join(", "))))
    }

    /// What the name under a key stands for, or the default when absent.
    pub fn choice<T: Clone>(
        &mut self,
        key: &str,
        default: T,
        known: &[(&str, T)],
    ) -> Result<T, CheckpointError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let found = value
            .as_str()
            .and_then(|name| known.iter().find(|(n, _)| *n == name));
        found.map(|(_, meaning)| meaning.clone()).ok_or_else(|| {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
            self.refuse(key, format!("supported: {}", names.join(", ")))
        })
    }

    /// A finite number strictly between the bounds, or the default when absent.
    pub fn number(
        &mut self,
        key: &str,
        default: f64,
        above: f64,
        below: f64,
    ) -> Result<f64, CheckpointError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        value
            .as_f64()
            .filter(|&x| x > above && x < below)
            .ok_or_else(|| self.refuse(key, format!("expected a number between {above} and {below}")))
    }

    /// True or false, or the default when absent.
    pub fn flag(&mut self, key: &str, default: bool) -> Result<bool, CheckpointError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        value
            .as_bool()
            .ok_or_else(|| self.refuse(key, "expected true or false"))
    }

    /// Keys that we cannot honour unless they have the given (or no) value.
    pub fn only(&mut self, fixed: &[(&str, Value)]) -> Result<(), CheckpointError> {
        for (key, neutral) in fixed {
            match self.get(key) {
                Some(v) if !same(&v, neutral) => {
                    return Err(self.refuse(key, format!("only {neutral} is supported")));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keys that change nothing about drawing a picture.
    pub fn ignore(&mut self, keys: &[&str]) {
        self.seen.extend(keys.iter().map(|&k| k.to_owned()));
    }

    /// Refuses keys nobody asked for, unless they are private (`_…`) or switched off (null or false).
    pub fn finish(self) -> Result<(), CheckpointError> {
        let off = |v: &Value| v.is_null() || *v == Value::Bool(false);
        match self
            .map
            .iter()
            .find(|(k, v)| !self.seen.contains(*k) && !k.starts_with('_') && !off(v))
        {
            Some((key, _)) => Err(self.refuse(
                key,
                "this program does not know the setting and would draw other pictures than intended",
            )),
            None => Ok(()),
        }
    }
}

fn as_whole(value: &Value) -> Option<usize> {
    match value.as_u64() {
        Some(n) => usize::try_from(n).ok(),
        // Some writers store 8 as 8.0.
        None => value
            .as_f64()
            .filter(|x| x.fract() == 0.0 && (0.0..1e9).contains(x))
            .map(|x| x as usize),
    }
}

/// Equal as numbers, or equal as JSON.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_writes_beyond_json_becomes_text() {
        let text = r#"{"a": -Infinity, "b": [NaN, Infinity], "c": "NaN \" Infinity", "d": "\\"}"#;
        let value: Value = serde_json::from_str(&quote_constants(text)).unwrap();
        assert_eq!(value["a"], "-Infinity");
        assert_eq!(value["b"], serde_json::json!(["NaN", "Infinity"]));
        assert_eq!(value["c"], "NaN \" Infinity");
        assert_eq!(value["d"], "\\");
    }
}
