//! A text file as a string, whatever its encoding mark says.

use crate::study::Problem;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Text of a file, without a byte order mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// First line (from 1) with bytes that are not UTF-8; they were replaced by `�`.
    pub unreadable: Option<u64>,
}

/// Reads a text file of at most `most` bytes: UTF-8 with or without byte order mark, or UTF-16 with one
/// (as spreadsheet programs save “Unicode text”).
///
/// # Errors
/// A problem that names the file: not readable, not a regular file, too large, or not text at all.
pub fn read_text(path: &Path, most: u64) -> Result<Text, Problem> {
    let failed = |e: &io::Error| Problem::io("This file cannot be read", path, e);
    // A named pipe or a device would block or never end.
    let about = std::fs::metadata(path).map_err(|e| failed(&e))?;
    if !about.is_file() {
        return Err(
            Problem::new("This is not a file that can be read", "Name a regular text file.").at(path),
        );
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| failed(&e))?;
    file.take(most.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|e| failed(&e))?;
    if bytes.len() as u64 > most {
        return Err(Problem::new(
            "This text file is too large",
            "Split it, and open the parts one by one.",
        )
        .at(path)
        .detail(format!("at most {} MB are read", most >> 20)));
    }
    decode(&bytes).ok_or_else(|| {
        Problem::new(
            "This file is not text",
            "Save it as CSV, JSON lines or plain text in UTF-8.",
        )
        .at(path)
        .detail("it contains zero bytes")
    })
}

/// Text of bytes that were read elsewhere; `None` for binary data.
pub fn decode_text(bytes: &[u8]) -> Option<Text> {
    decode(bytes)
}

/// `None` for binary data.
fn decode(bytes: &[u8]) -> Option<Text> {
    if let Some(rest) = bytes.strip_prefix(&[0xFF, 0xFE]) {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(&[0xFE, 0xFF]) {
        return utf16(rest, u16::from_be_bytes);
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.contains(&0) {
        return None;
    }
    Some(match std::str::from_utf8(bytes) {
        Ok(text) => Text {
            text: text.to_owned(),
            unreadable: None,
        },
        Err(e) => Text {
            unreadable: Some(line_of(bytes, e.valid_up_to())),
            text: String::from_utf8_lossy(bytes).into_owned(),
        },
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Text> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let text: String = char::decode_utf16(pairs.iter().map(|&p| unit(p)))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect();
    let bad = text
        .find(char::REPLACEMENT_CHARACTER)
        .or((!rest.is_empty()).then_some(text.len()));
    (!text.contains('\0')).then(|| Text {
        unreadable: bad.map(|at| line_of(text.as_bytes(), at)),
        text,
    })
}

fn line_of(bytes: &[u8], at: usize) -> u64 {
    bytes.iter().take(at).filter(|&&b| b == b'\n').count() as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_encodings_are_understood() {
        let plain = |bytes: &[u8]| decode(bytes).map(|t| (t.text, t.unreadable));
        assert_eq!(plain(b"\xEF\xBB\xBFa"), Some(("a".into(), None)));
        assert_eq!(plain(b"\xFF\xFEa\0\xE4\0"), Some(("aä".into(), None)));
        assert_eq!(plain(b"\xFE\xFF\0a\0\xE4"), Some(("aä".into(), None)));
        assert_eq!(plain(b"a\nb\nc\xE4d"), Some(("a\nb\nc\u{FFFD}d".into(), Some(3))));
        assert_eq!(plain(b"\xFF\xFEa\0b"), Some(("a".into(), Some(1))));
        assert_eq!(plain(b"PK\0\x03"), None);
    }
}
