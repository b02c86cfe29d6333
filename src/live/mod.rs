//! Pictures that other programs push into a running window: a loopback socket, off unless asked for.
//! The protocol is described in `docs/live.md`; `tools/pentimento_live.py` is a client for it.

mod message;
mod server;
mod token;

pub use message::{MAX_PICTURE_BYTES, Message, Pushed, Still, read_messages};
pub use server::{LiveError, Server, Sink};
pub use token::Token;
