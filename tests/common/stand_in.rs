//! A stand-in for a server of weights on the loopback interface: it serves one file, and misbehaves as told.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// What the server does to one request after another; the last one is repeated.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Serves, with ranges.
    Well,
    /// Serves, and does not know ranges or tags.
    Plainly,
    /// Serves, closes after so many bytes of the body.
    Cut(usize),
    /// Answers with this status and no body.
    Status(u16),
    /// Sends elsewhere: to this path of its own.
    Elsewhere(&'static str),
    /// Serves so many bytes, then one piece of them at a time with pauses.
    Slowly(usize, Duration),
    /// Accepts, says nothing.
    Silent,
    /// Says another size than it has.
    Boasts(u64),
}

/// Path, `Range` and `If-Range` of requests.
type Seen = Mutex<Vec<(String, Option<String>, Option<String>)>>;

/// The server; ends with the process.
pub struct StandIn {
    pub address: String,
    /// Requests so far.
    pub requests: Arc<Seen>,
}

impl StandIn {
    /// Serves `body` under every path, tagged `tag`.
    pub fn start(body: Vec<u8>, tag: &'static str, manners: Vec<Manner>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, count, body) = (requests.clone(), AtomicUsize::new(0), Arc::new(body));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let place = count.fetch_add(1, SeqCst).min(manners.len() - 1);
                let (manner, seen, body) = (manners[place].clone(), seen.clone(), body.clone());
                thread::spawn(move || answer(stream, &manner, &seen, &body, tag));
            }
        });
        Self { address, requests }
    }
}

fn answer(stream: TcpStream, manner: &Manner, seen: &Seen, body: &[u8], tag: &str) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let (mut range, mut only_if) = (None, None);
    for line in lines.map_while(Result::ok).take_while(|l| !l.is_empty()) {
        let (name, value) = line.split_once(':')?;
        match name.to_lowercase().as_str() {
            "range" => range = Some(value.trim().to_owned()),
            "if-range" => only_if = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    seen.lock().unwrap().push((path, range.clone(), only_if.clone()));
    let mut stream = stream;
    let tagged = format!("\"{tag}\"");
    let from = range
        .filter(|_| !matches!(manner, Manner::Plainly) && only_if.is_none_or(|t| t == tagged))
        .and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let rest = &body[from.unwrap_or(0).min(body.len())..];
    let mut head = match from {
        Some(from) if from >= body.len() => {
            "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n".to_owned()
        }
        Some(from) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\n",
            body.len() - 1,
            body.len(),
            rest.len()
        ),
        None => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", rest.len()),
    };
    if !matches!(manner, Manner::Plainly) {
        head += &format!("ETag: {tagged}\r\nAccept-Ranges: bytes\r\n");
    }
    let end = "Connection: close\r\n\r\n";
    match manner {
        Manner::Well | Manner::Plainly => {
            stream.write_all(format!("{head}{end}").as_bytes()).ok()?;
            stream.write_all(rest).ok()
        }
        Manner::Cut(after) => {
            stream.write_all(format!("{head}{end}").as_bytes()).ok()?;
            stream.write_all(&rest[..(*after).min(rest.len())]).ok()
        }
        Manner::Status(status) => {
            let text = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n{end}");
            stream.write_all(text.as_bytes()).ok()
        }
        Manner::Elsewhere(path) => {
            let text = format!("HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\n{end}");
            stream.write_all(text.as_bytes()).ok()
        }
        Manner::Slowly(first, pause) => {
            stream.write_all(format!("{head}{end}").as_bytes()).ok()?;
            let (first, rest) = rest.split_at((*first).min(rest.len()));
            stream.write_all(first).ok()?;
            for piece in rest.chunks(1000) {
                thread::sleep(*pause);
                stream.write_all(piece).ok()?;
            }
            Some(())
        }
        Manner::Silent => {
            thread::sleep(Duration::from_secs(60));
            Some(())
        }
        Manner::Boasts(bytes) => {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n{end}");
            stream.write_all(text.as_bytes()).ok()?;
            stream.write_all(rest).ok()
        }
    }
}
