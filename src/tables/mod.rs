//! Lenient reading of the text files that people and other programs write: CSV in any of its dialects,
//! JSON lines, plain lines. A bad line is reported with its number and never stops the rest.
//! Used by `gallery` (captions) and `store` (prompt lists, score tables).

mod complaints;
mod delimited;
mod json_lines;
mod text;

pub use complaints::Complaints;
pub use delimited::{Delimited, Row, column};
pub use json_lines::{JsonLine, json_lines, text_of};
pub use text::{Text, decode_text, read_text};
