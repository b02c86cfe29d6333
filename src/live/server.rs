//! The listening end: loopback only, a token first, a few clients at a time.

use super::{
    Message, Token,
    message::{Hello, PROTOCOL, Unreadable, read_line, read_message},
};
use serde_json::json;
use std::{
    io::{self, BufReader, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Most clients at a time.
const MAX_CLIENTS: usize = 8;
/// How long a client may take to say its token.
const HELLO_TIME: Duration = Duration::from_secs(10);
/// How long a client may be silent: a picture on a slow machine takes its time.
const SILENCE: Duration = Duration::from_secs(3600);
/// How long an answer may wait for a client that does not read.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// Takes what clients tell; an error is said to the client, which may go on. Called from the clients' threads; while
/// it blocks, its client waits.
pub type Sink = Arc<dyn Fn(Message) -> Result<(), String> + Send + Sync>;

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The port is taken, or the system refuses.
    #[error("port {port} of this machine cannot be listened on: {source}")]
    Bind {
        /// The port asked for.
        port: u16,
        /// The reason.
        source: io::Error,
    },
    /// No randomness, no thread.
    #[error("listening cannot be started: {0}")]
    Start(#[from] io::Error),
}

/// A listening socket. Dropping it closes it and every connection.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    token: Token,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    closing: AtomicBool,
    clients: Mutex<Vec<(u64, TcpStream)>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    fn clients(&self) -> std::sync::MutexGuard<'_, Vec<(u64, TcpStream)>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Listens on 127.0.0.1. Port 0 lets the system choose one.
    ///
    /// # Errors
    /// [`LiveError`]: the port is taken, or the system has no thread or randomness to give.
    pub fn start(port: u16, sink: Sink) -> Result<Self, LiveError> {
        let bind = |source| LiveError::Bind { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let token = Token::fresh()?;
        let shared = Arc::new(Shared::default());
        let (ours, secret) = (shared.clone(), token.clone());
        let thread = thread::Builder::new()
            .name("live".into())
            .spawn(move || accept(&listener, &ours, &secret, &sink))?;
        Ok(Self {
            address,
            token,
            shared,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a client must say first.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Clients connected now.
    pub fn clients(&self) -> usize {
        self.shared.clients().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        for (_, client) in self.shared.clients().iter() {
            client.shutdown(Shutdown::Both).ok();
        }
        // `accept` waits in the system; a connection of our own wakes it.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
        if let Some(thread) = self.thread.take()
            && woken
        {
            thread.join().ok();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, token: &Token, sink: &Sink) {
    let mut number = 0u64;
    for stream in listener.incoming() {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else {
            // Out of file descriptors, most likely; that passes.
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        if shared.clients().len() >= MAX_CLIENTS {
            answer(&stream, Err("too many clients")).ok();
            continue;
        }
        let Ok(copy) = stream.try_clone() else { continue };
        number += 1;
        let id = number;
        shared.clients().push((id, copy));
        let (ours, token, sink) = (shared.clone(), token.clone(), sink.clone());
        let spawned = thread::Builder::new().name("live client".into()).spawn(move || {
            if let Err(error) = serve(&stream, &token, &sink) {
                log::debug!("a live client ended: {error}");
            }
            stream.shutdown(Shutdown::Both).ok();
            ours.clients().retain(|(client, _)| *client != id);
        });
        if spawned.is_err() {
            shared.clients().retain(|(client, _)| *client != id);
        }
    }
}

fn serve(stream: &TcpStream, token: &Token, sink: &Sink) -> Result<(), Unreadable> {
    stream.set_read_timeout(Some(HELLO_TIME))?;
    stream.set_write_timeout(Some(ANSWER_TIME))?;
    let mut from = BufReader::new(stream);
    let Some(line) = read_line(&mut from)? else {
        return Ok(());
    };
    let refusal = match serde_json::from_str::<Hello>(&line) {
        // Says nothing of what a right line would be: this may be a browser sent here by a page.
        Err(_) => Some("not a client".to_owned()),
        Ok(hello) if !token.admits(&hello.token) => Some("wrong token".to_owned()),
        Ok(hello) if hello.pentimento != PROTOCOL => Some(format!(
            "protocol {} is not spoken here; {PROTOCOL} is",
            hello.pentimento
        )),
        Ok(_) => None,
    };
    answer(stream, refusal.as_deref().map_or(Ok(()), Err))?;
    if refusal.is_some() {
        return Ok(());
    }
    stream.set_read_timeout(Some(SILENCE))?;
    loop {
        match read_message(&mut from) {
            Ok(None) => return Ok(()),
            Ok(Some(message)) => answer(stream, sink(message).as_ref().copied().map_err(String::as_str))?,
            Err(Unreadable::Wrong(reason)) => {
                answer(stream, Err(&reason))?;
                return Ok(());
            }
            Err(broken) => return Err(broken),
        }
    }
}

fn answer(mut stream: &TcpStream, result: Result<(), &str>) -> io::Result<()> {
    let line = match result {
        Ok(()) => json!({ "ok": true }),
        Err(reason) => json!({ "ok": false, "error": reason }),
    };
    stream.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail where it stands")]
mod tests {
    use super::*;
    use std::io::BufRead;

    fn start() -> (Server, Arc<Mutex<Vec<Message>>>) {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ours = heard.clone();
        let sink: Sink = Arc::new(move |message| {
            if matches!(&message, Message::Picture(p) if p.prompt.is_empty()) {
                return Err("no prompt".to_owned());
            }
            ours.lock().unwrap().push(message);
            Ok(())
        });
        (Server::start(0, sink).unwrap(), heard)
    }

    struct Client(BufReader<TcpStream>);

    impl Client {
        fn new(server: &Server, hello: &str) -> Self {
            let stream = TcpStream::connect(server.address()).unwrap();
            let mut client = Self(BufReader::new(stream));
            client.say(format!("{hello}\n").as_bytes());
            client
        }
        fn say(&mut self, bytes: &[u8]) {
            self.0.get_mut().write_all(bytes).unwrap();
        }
        fn hear(&mut self) -> String {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            line
        }
    }

    fn hello(server: &Server) -> String {
        json!({ "pentimento": 1, "token": server.token().as_str() }).to_string()
    }

    #[test]
    fn a_client_with_the_token_is_heard_and_answered() {
        let (server, heard) = start();
        assert!(server.address().ip().is_loopback());
        let mut client = Client::new(&server, &hello(&server));
        assert_eq!(client.hear(), "{\"ok\":true}\n");
        client.say(
            b"{\"prompt\":\"a\",\"seed\":1,\"bytes\":3}\nabc{\"prompt\":\"\",\"seed\":1,\"bytes\":1}\nx",
        );
        assert_eq!(client.hear(), "{\"ok\":true}\n");
        // The sink's complaint does not end the conversation.
        assert!(client.hear().contains("no prompt"));
        client.say(b"{\"prompt\":\"b\",\"seed\":2,\"bytes\":1}\ny");
        assert_eq!(client.hear(), "{\"ok\":true}\n");
        assert_eq!(heard.lock().unwrap().len(), 2);
        // A line that cannot be read does.
        client.say(b"nonsense\n");
        assert!(client.hear().contains("no picture"));
        assert_eq!(client.hear(), "");
    }

    #[test]
    fn strangers_are_turned_away() {
        let (server, heard) = start();
        let wrong = json!({ "pentimento": 1, "token": "0123" }).to_string();
        for (said, word) in [
            (wrong.as_str(), "wrong token"),
            ("POST /push HTTP/1.1", "not a client"),
            (&hello(&server).replace(":1", ":9"), "protocol 9"),
        ] {
            let mut client = Client::new(&server, said);
            let answer = client.hear();
            assert!(answer.contains(word), "{answer}");
            assert_eq!(client.hear(), "", "the connection stays open");
        }
        assert!(heard.lock().unwrap().is_empty());
        let other = Server::start(server.address().port(), Arc::new(|_| Ok(())));
        assert!(matches!(other, Err(LiveError::Bind { .. })));
    }

    #[test]
    fn dropping_the_server_ends_the_connections() {
        let (server, _) = start();
        let mut client = Client::new(&server, &hello(&server));
        assert_eq!(client.hear(), "{\"ok\":true}\n");
        assert_eq!(server.clients(), 1);
        let address = server.address();
        drop(server);
        assert_eq!(client.hear(), "");
        assert!(TcpStream::connect(address).is_err());
    }
}
