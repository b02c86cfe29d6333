//! One HTTP request whose body comes in pieces, on a thread of its own so that waiting for a slow server never keeps a
//! stop from acting.

use crossbeam_channel::{Receiver, bounded};
use std::{io::Read, thread, time::Duration};
use ureq::Agent;

/// Bytes of one piece.
const PIECE: usize = 256 << 10;
/// Pieces that wait to be written.
const WAITING: usize = 16;
/// Redirects followed.
const REDIRECTS: u32 = 8;

/// What to ask for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub url: String,
    /// First byte wanted; 0 asks for the whole.
    pub from: u64,
    /// Validator of what is there already, for `If-Range`.
    pub validator: Option<String>,
    /// How long to wait for a connection, an answer, or the next piece.
    pub patience: Duration,
}

/// The head of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub status: u16,
    /// Bytes of the body, if it says.
    pub length: Option<u64>,
    /// First byte and bytes in all, of a partial answer.
    pub range: Option<(u64, Option<u64>)>,
    /// A strong entity tag, else a date, by which the same file is known again.
    pub validator: Option<String>,
}

/// What comes, in this order: a head, pieces, the end.
#[derive(Debug)]
pub(super) enum Part {
    Head(Head),
    Piece(Vec<u8>),
    End,
    /// The connection failed, in words.
    Broken(String),
}

/// Sends the request. Proxies are those of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`. An https address is
/// never left for an http one.
pub(super) fn send(ask: Ask) -> Receiver<Part> {
    let (tell, parts) = bounded(WAITING);
    let work = move || {
        let told = get(&ask, &|part| tell.send(part).is_ok());
        // Nobody listens any more when this fails.
        match told {
            Ok(()) => tell.send(Part::End).ok(),
            Err(reason) => tell.send(Part::Broken(reason)).ok(),
        };
    };
    // Without a thread the channel closes at once, which reads as a broken connection.
    thread::Builder::new().name("fetch".into()).spawn(work).ok();
    parts
}

fn get(ask: &Ask, tell: &dyn Fn(Part) -> bool) -> Result<(), String> {
    let agent: Agent = Agent::config_builder()
        .https_only(ask.url.starts_with("https:"))
        .http_status_as_error(false)
        .max_redirects(REDIRECTS)
        .timeout_resolve(Some(ask.patience))
        .timeout_connect(Some(ask.patience))
        .timeout_recv_response(Some(ask.patience))
        .timeout_per_read(Some(ask.patience))
        .user_agent(concat!("pentimento/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.get(&ask.url);
    if ask.from > 0 {
        request = request.header("Range", format!("bytes={}-", ask.from));
        if let Some(validator) = &ask.validator {
            request = request.header("If-Range", validator);
        }
    }
    let answer = request.call().map_err(|e| e.to_string())?;
    let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok());
    let strong = header("etag").filter(|tag| !tag.starts_with("W/"));
    let head = Head {
        status: answer.status().as_u16(),
        length: header("content-length").and_then(|n| n.trim().parse().ok()),
        range: header("content-range").and_then(range),
        validator: strong.or(header("last-modified")).map(str::to_owned),
    };
    if !tell(Part::Head(head)) {
        return Ok(());
    }
    let mut body = answer.into_body().into_reader();
    loop {
        let mut piece = vec![0; PIECE];
        let read = body.read(&mut piece).map_err(|e| e.to_string())?;
        if read == 0 {
            return Ok(());
        }
        piece.truncate(read);
        if !tell(Part::Piece(piece)) {
            return Ok(());
        }
    }
}

/// `bytes 5-9/10`: first byte and bytes in all.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (span, all) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, _) = span.split_once('-')?;
    Some((first.trim().parse().ok()?, all.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, None)));
        for odd in ["", "bytes", "bytes */10", "items 5-9/10", "bytes x-9/10"] {
            assert_eq!(range(odd), None, "{odd}");
        }
    }
}
