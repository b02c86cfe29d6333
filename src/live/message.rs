//! What may be said over the socket: a line of JSON, and after it the bytes it announces.

use serde::Deserialize;
use std::io::{self, BufRead, Read};

/// Version of the protocol.
pub(super) const PROTOCOL: u64 = 1;
/// Longest line, in bytes.
const MAX_LINE: u64 = 64 << 10;
/// Largest encoded picture, in bytes.
pub const MAX_PICTURE_BYTES: u64 = 64 << 20;
/// Longest prompt, in bytes.
const MAX_PROMPT: usize = 16 << 10;
/// Most denoising steps.
const MAX_STEPS: usize = 1000;

/// The first line of a client: `{"pentimento": 1, "token": "…"}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hello {
    pub pentimento: u64,
    pub token: String,
}

/// One thing a client tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// A finished picture.
    Picture(Pushed),
    /// A picture that forms.
    Still(Still),
}

/// A finished picture, still encoded (PNG, JPEG, WebP…).
#[derive(Clone, Debug, PartialEq)]
pub struct Pushed {
    /// The prompt it was drawn from.
    pub prompt: String,
    /// Its seed.
    pub seed: u64,
    /// `‖ε_c − ε_∅‖₂` per step, when the client measured it.
    pub noise_norm: Vec<f32>,
    /// The file's bytes.
    pub file: Vec<u8>,
}

/// A picture that forms, still encoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Still {
    /// The prompt.
    pub prompt: String,
    /// The seed.
    pub seed: u64,
    /// Steps done, 1..=`steps`.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// `‖ε_c − ε_∅‖₂` of this step, when the client measured it.
    pub noise_norm: Option<f32>,
    /// The file's bytes.
    pub file: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    prompt: String,
    seed: u64,
    /// Bytes that follow the line.
    bytes: u64,
    #[serde(default)]
    step: Option<usize>,
    #[serde(default)]
    steps: Option<usize>,
    #[serde(default)]
    noise_norm: Norms,
}

#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Norms {
    #[default]
    None,
    One(f32),
    Many(Vec<f32>),
}

/// Why a client is not listened to any more. What follows an unreadable line cannot be told from a line.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("{0}")]
    Wrong(String),
}

/// Reads one line of at most [`MAX_LINE`] bytes; `None` at the end.
pub(super) fn read_line(from: &mut impl BufRead) -> Result<Option<String>, Unreadable> {
    let mut line = Vec::new();
    from.take(MAX_LINE + 1).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        let reason = if line.len() as u64 > MAX_LINE {
            format!("a line has more than {MAX_LINE} bytes")
        } else {
            "the connection ended inside a line".to_owned()
        };
        return Err(Unreadable::Wrong(reason));
    }
    line.pop();
    String::from_utf8(line)
        .map(Some)
        .map_err(|_| Unreadable::Wrong("a line is not UTF-8".to_owned()))
}

/// Reads one message; `None` when the client has said all.
pub(super) fn read_message(from: &mut impl BufRead) -> Result<Option<Message>, Unreadable> {
    let Some(text) = read_line(from)? else {
        return Ok(None);
    };
    let wrong = |reason: String| Err(Unreadable::Wrong(reason));
    let line: Line = match serde_json::from_str(&text) {
        Ok(line) => line,
        Err(error) => return wrong(format!("this line says no picture: {error}")),
    };
    let Line {
        prompt,
        seed,
        bytes,
        step,
        steps,
        noise_norm,
    } = line;
    if prompt.len() > MAX_PROMPT {
        return wrong(format!("prompt has more than {MAX_PROMPT} bytes"));
    }
    if !(1..=MAX_PICTURE_BYTES).contains(&bytes) {
        return wrong(format!(
            "bytes is {bytes}; it must be between 1 and {MAX_PICTURE_BYTES}"
        ));
    }
    let norms = match noise_norm {
        Norms::None => Vec::new(),
        Norms::One(norm) => vec![norm],
        Norms::Many(norms) => norms,
    };
    if norms.len() > MAX_STEPS || norms.iter().any(|n| !n.is_finite() || *n < 0.0) {
        return wrong(format!(
            "noise_norm must be at most {MAX_STEPS} finite numbers that are not negative"
        ));
    }
    // Grows with what really comes, not with what was announced.
    let mut file = Vec::new();
    from.take(bytes).read_to_end(&mut file)?;
    if file.len() as u64 != bytes {
        return wrong(format!("{} of {bytes} announced bytes came", file.len()));
    }
    Ok(Some(match (step, steps) {
        (None, None) => Message::Picture(Pushed {
            prompt,
            seed,
            noise_norm: norms,
            file,
        }),
        (Some(step), Some(steps)) if (1..=steps).contains(&step) && steps <= MAX_STEPS => {
            Message::Still(Still {
                prompt,
                seed,
                step,
                steps,
                noise_norm: norms.first().copied(),
                file,
            })
        }
        _ => {
            return wrong(format!(
                "step and steps must both be there, with 1 ≤ step ≤ steps ≤ {MAX_STEPS}"
            ));
        }
    }))
}

/// Reads what a client says after it was admitted, to its end.
///
/// # Errors
/// Why the client is not listened to any more, in words.
pub fn read_messages(from: &mut impl BufRead, mut each: impl FnMut(Message)) -> Result<(), String> {
    while let Some(message) = read_message(from).map_err(|e| e.to_string())? {
        each(message);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Message>, String> {
        read_message(&mut &bytes[..]).map_err(|e| e.to_string())
    }

    #[test]
    fn pictures_and_stills_are_read_with_their_bytes() {
        let mut stream = &b"{\"prompt\":\"a\",\"seed\":3,\"bytes\":2,\"noise_norm\":[1,2.5]}\nPN\
            {\"prompt\":\"a\",\"seed\":3,\"bytes\":1,\"step\":2,\"steps\":9,\"noise_norm\":0.5}\nX"[..];
        let Some(Message::Picture(picture)) = read_message(&mut stream).unwrap() else {
            panic!("no picture")
        };
        assert_eq!((picture.seed, &*picture.file), (3, &b"PN"[..]));
        assert_eq!(picture.noise_norm, [1.0, 2.5]);
        let Some(Message::Still(still)) = read_message(&mut stream).unwrap() else {
            panic!("no still")
        };
        assert_eq!((still.step, still.steps, still.noise_norm), (2, 9, Some(0.5)));
        assert_eq!(read_message(&mut stream).unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (bytes, word) in [
            (&b"GET / HTTP/1.1\r\n"[..], "no picture"),
            (b"{\"prompt\":\"a\",\"seed\":-1,\"bytes\":2}\n", "no picture"),
            (b"{\"prompt\":\"a\",\"seed\":1,\"bytes\":0}\n", "bytes is 0"),
            (
                b"{\"prompt\":\"a\",\"seed\":1,\"bytes\":99999999999}\n",
                "bytes is 99999999999",
            ),
            (b"{\"prompt\":\"a\",\"seed\":1,\"bytes\":4}\nab", "2 of 4"),
            (
                b"{\"prompt\":\"a\",\"seed\":1,\"bytes\":1,\"step\":4,\"steps\":3}\na",
                "step ≤ steps",
            ),
            (
                b"{\"prompt\":\"a\",\"seed\":1,\"bytes\":1,\"step\":4}\na",
                "both be there",
            ),
            (
                b"{\"prompt\":\"a\",\"seed\":1,\"bytes\":1,\"noise_norm\":-1}\na",
                "noise_norm",
            ),
            (
                b"{\"prompt\":\"a\",\"seed\":1,\"bytes\":1,\"color\":1}\na",
                "color",
            ),
            (b"{\"prompt\":\"a\"", "inside a line"),
            (b"\xff\n", "UTF-8"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let long = vec![b' '; MAX_LINE as usize + 10];
        assert!(read(&long).unwrap_err().contains("more than"));
    }
}
