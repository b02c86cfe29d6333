//! The fields of a protobuf message, borrowed from its bytes. Some forty lines, where a protobuf library would build
//! a tree of everything in a file of a gigabyte, and much more than that from a hostile one.

use candle_core::{Result, bail};

/// Value of a field, by its wire type.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A variable-length integer.
    Integer(u64),
    /// Eight bytes.
    Eight,
    /// Bytes, text, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes.
    Four([u8; 4]),
}

impl<'a> Value<'a> {
    /// Its integers, whether they were written packed or one by one.
    pub fn integers(self) -> impl Iterator<Item = Result<u64>> + 'a {
        let (mut packed, mut single) = match self {
            Self::Bytes(bytes) => (bytes, None),
            Self::Integer(value) => (&[][..], Some(value)),
            Self::Eight | Self::Four(_) => (&[][..], None),
        };
        std::iter::from_fn(move || {
            if let Some(value) = single.take() {
                return Some(Ok(value));
            }
            (!packed.is_empty()).then(|| integer(&mut packed))
        })
    }
}

/// Iterates over numbers and values of a message's fields; ends after the first error.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Of these bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn read(&mut self) -> Result<(u64, Value<'a>)> {
        let tag = integer(&mut self.0)?;
        let value = match tag & 7 {
            0 => Value::Integer(integer(&mut self.0)?),
            1 => {
                take(&mut self.0, 8)?;
                Value::Eight
            }
            2 => {
                let length = integer(&mut self.0)?;
                Value::Bytes(take(&mut self.0, length)?)
            }
            5 => match take(&mut self.0, 4)? {
                &[a, b, c, d] => Value::Four([a, b, c, d]),
                _ => bail!("four bytes are cut short"),
            },
            kind => bail!("a field has the unknown wire type {kind}"),
        };
        Ok((tag >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Removes a variable-length integer from the front. On an error nothing is left, so that loops end.
fn integer(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 127) << (7 * i);
        if byte & 128 == 0 {
            *bytes = &bytes[i + 1..];
            return Ok(value);
        }
    }
    *bytes = &[];
    bail!("a number is cut short or too long")
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    match usize::try_from(length)
        .ok()
        .and_then(|n| bytes.split_at_checked(n))
    {
        Some((taken, rest)) => {
            *bytes = rest;
            Ok(taken)
        }
        None => bail!("a field of {length} bytes is cut short"),
    }
}
