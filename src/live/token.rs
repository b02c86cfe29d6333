//! The secret a client must know: whoever can read the user's files may push pictures, nobody else.

use sha2::{Digest, Sha256};
use std::fmt;

/// 128 random bits, written as 32 hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A fresh one from the operating system's generator.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn fresh() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Self(hex::encode(bytes)))
    }

    /// Whether this is what a client said. Digests are compared, so that the time taken tells nothing of the token.
    pub fn admits(&self, said: &str) -> bool {
        Sha256::digest(self.0.as_bytes()) == Sha256::digest(said.as_bytes())
    }

    /// For a person to copy.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    /// Logs do not repeat it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
