//! A look at the pickle of a `.pth` file before candle's reader builds its objects.
//!
//! That reader executes nothing, but believes the lengths a file claims and copies objects whenever they are
//! remembered or recalled: a file of a kilobyte can ask for gigabytes. This walks the same opcodes over sizes instead
//! of objects. Whatever it does not understand is left to the reader, which refuses it.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

/// Most bytes of a pickle. That of a network with thousands of tensors has less than one MB.
const MOST_PICKLE: u64 = 32 << 20;
/// Most bytes that the objects may hold at a time.
const MOST_HELD: u64 = 256 << 20;
/// Most bytes copied in all: more would take seconds.
const MOST_COPIED: u64 = 1 << 30;
/// About what an object takes besides its content.
const OBJECT: u64 = 64;

/// Checks every pickle in the archive.
///
/// # Errors
/// A sentence that says why the file is refused.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    // No archive is no pickle of ours: the reader says so.
    let Ok(mut archive) = zip::ZipArchive::new(BufReader::new(file)) else {
        return Ok(());
    };
    for at in 0..archive.len() {
        let Ok(entry) = archive.by_index(at) else { continue };
        let mut pickle = Vec::new();
        if entry.take(MOST_PICKLE + 1).read_to_end(&mut pickle).is_err() {
            continue;
        }
        // Data of tensors is no pickle; it ends at the first unknown opcode.
        if pickle.len() as u64 <= MOST_PICKLE {
            Walk::new(&pickle).walk()?;
        }
    }
    Ok(())
}

enum Slot {
    Mark,
    Size(u64),
}

struct Walk<'a> {
    rest: &'a [u8],
    stack: Vec<Slot>,
    memo: HashMap<u32, u64>,
    held: u64,
    copied: u64,
}

impl<'a> Walk<'a> {
    fn new(pickle: &'a [u8]) -> Self {
        Self {
            rest: pickle,
            stack: Vec::new(),
            memo: HashMap::new(),
            held: 0,
            copied: 0,
        }
    }

    fn walk(mut self) -> Result<(), String> {
        while self.step() == Some(true) && self.held <= MOST_HELD && self.copied <= MOST_COPIED {}
        if self.held == u64::MAX {
            return Err(TOO_LONG.to_owned());
        }
        if self.held > MOST_HELD || self.copied > MOST_COPIED {
            return Err("its pickle asks for far more memory than a checkpoint needs".to_owned());
        }
        Ok(())
    }

    /// One opcode; `None` where the reader will stop with an error, `Some(false)` at the end.
    fn step(&mut self) -> Option<bool> {
        match self.take(1)?[0] {
            b'.' => Some(false),
            0x80 => self.take(1).map(|_| true),
            b'c' => {
                let size = self.line()? + self.line()?;
                self.push(OBJECT + size)
            }
            b'X' => {
                let length = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
                self.unicode(length)
            }
            b'q' => {
                let id = self.take(1)?[0];
                self.put(id.into())
            }
            b'r' => {
                let id = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
                self.put(id)
            }
            b'h' => {
                let id = self.take(1)?[0];
                self.get(id.into())
            }
            b'j' => {
                let id = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
                self.get(id)
            }
            b'K' => self.take(1).and_then(|_| self.push(OBJECT)),
            b'M' => self.take(2).and_then(|_| self.push(OBJECT)),
            b'J' => self.take(4).and_then(|_| self.push(OBJECT)),
            b'G' => self.take(8).and_then(|_| self.push(OBJECT)),
            0x8a => {
                let length = self.take(1)?[0];
                self.take(length.into())?;
                self.push(OBJECT)
            }
            b')' | b']' | b'}' | b'd' | b'N' | 0x88 | 0x89 => self.push(OBJECT),
            b'(' => {
                self.stack.push(Slot::Mark);
                Some(true)
            }
            b't' => {
                let inside = self.down_to_mark()?;
                self.push(inside + OBJECT)
            }
            b'e' | b'u' => {
                let inside = self.down_to_mark()?;
                self.grow(inside)
            }
            b'a' => {
                let value = self.pop()?;
                self.grow(value)
            }
            b's' => {
                let both = self.pop()? + self.pop()?;
                self.grow(both)
            }
            0x85 | b'Q' => {
                let one = self.pop()?;
                self.push(one + OBJECT)
            }
            0x86 | b'R' | b'b' | 0x81 => {
                let both = self.pop()? + self.pop()?;
                self.push(both + OBJECT)
            }
            0x87 => {
                let all = self.pop()? + self.pop()? + self.pop()?;
                self.push(all + OBJECT)
            }
            _ => None,
        }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(front)
    }

    fn line(&mut self) -> Option<u64> {
        let end = self.rest.iter().position(|&b| b == b'\n')?;
        self.take(end + 1).map(|l| l.len() as u64)
    }

    fn unicode(&mut self, length: u32) -> Option<bool> {
        if length as usize > self.rest.len() {
            // The reader reserves what is claimed before it looks.
            self.held = u64::MAX;
            return None;
        }
        self.take(length as usize)?;
        self.push(OBJECT + u64::from(length))
    }

    fn push(&mut self, size: u64) -> Option<bool> {
        self.stack.push(Slot::Size(size));
        self.held = self.held.saturating_add(size);
        Some(true)
    }

    fn pop(&mut self) -> Option<u64> {
        match self.stack.pop()? {
            Slot::Mark => Some(OBJECT),
            Slot::Size(size) => {
                self.held = self.held.saturating_sub(size);
                Some(size)
            }
        }
    }

    fn down_to_mark(&mut self) -> Option<u64> {
        let mark = self.stack.iter().rposition(|s| matches!(s, Slot::Mark))?;
        let mut inside = 0_u64;
        while self.stack.len() > mark + 1 {
            inside = inside.saturating_add(self.pop()?);
        }
        self.stack.pop();
        Some(inside)
    }

    fn grow(&mut self, by: u64) -> Option<bool> {
        let Some(Slot::Size(size)) = self.stack.last_mut() else {
            return None;
        };
        *size = size.saturating_add(by);
        self.held = self.held.saturating_add(by);
        Some(true)
    }

    fn put(&mut self, id: u32) -> Option<bool> {
        let Some(Slot::Size(size)) = self.stack.last() else {
            return Some(true);
        };
        let before = self.memo.insert(id, *size).unwrap_or(0);
        self.copied = self.copied.saturating_add(*size);
        self.held = self.held.saturating_add(*size).saturating_sub(before);
        Some(true)
    }

    fn get(&mut self, id: u32) -> Option<bool> {
        let size = *self.memo.get(&id)?;
        self.copied = self.copied.saturating_add(size);
        self.push(size)
    }
}

const TOO_LONG: &str = "its pickle claims a text that is longer than the file";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_files_pass_and_bombs_do_not() {
        let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/pth/small.pth");
        assert_eq!(check(&seed), Ok(()));
        // A text of 4 GB in ten bytes.
        let text = [b"\x80\x02X".as_slice(), &u32::MAX.to_le_bytes(), b"abc."].concat();
        assert_eq!(Walk::new(&text).walk(), Err(TOO_LONG.to_owned()));
        // A pair of the former pair, sixty times.
        let mut bomb = b"\x80\x02N".to_vec();
        for _ in 0..60 {
            bomb.extend(b"q\x00h\x00\x86");
        }
        bomb.push(b'.');
        assert!(Walk::new(&bomb).walk().unwrap_err().contains("far more memory"));
        // A list remembered again after every element: quadratic copying.
        let mut slow = b"\x80\x02]".to_vec();
        for _ in 0..20_000 {
            slow.extend(b"Naq\x00");
        }
        assert!(Walk::new(&slow).walk().is_err());
    }
}
