//! JSON lines: one object per line.

use serde_json::{Map, Value};

/// One line of a JSON-lines file.
#[derive(Clone, Debug)]
pub struct JsonLine {
    /// Line number, from 1.
    pub line: u64,
    /// The object, or why there is none.
    pub object: Result<Map<String, Value>, String>,
}

/// The objects of a JSON-lines text; blank lines are passed over.
pub fn json_lines(text: &str) -> impl Iterator<Item = JsonLine> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| JsonLine {
            line: at as u64 + 1,
            object: match serde_json::from_str::<Value>(line) {
                Ok(Value::Object(map)) => Ok(map),
                Ok(_) => Err("not a JSON object in braces".to_owned()),
                Err(e) => Err(format!("not JSON, at column {}", e.column())),
            },
        })
}

/// Trimmed text of the first of `names` that the object has, without regard to case.
pub fn text_of<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names
        .iter()
        .find_map(|name| {
            object
                .iter()
                .find(|(key, value)| key.eq_ignore_ascii_case(name) && value.is_string())
        })
        .and_then(|(_, value)| value.as_str())
        .map(str::trim)
        .filter(|text| !text.is_empty())
}
