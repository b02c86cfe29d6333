//! A look through a `.pth` file's pickle before candle reads it. candle's reader copies an object each time it is
//! remembered or recalled, so that a few bytes can ask for any amount of memory or depth; here the same steps are
//! gone through with sizes and depths in place of the objects.

use candle_core::{Result, bail};
use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

/// The pickle of a network of a thousand tensors has some 200 kB.
const MOST_BYTES: u64 = 16 << 20;
/// Objects that may exist at once, all copies counted.
const MOST_OBJECTS: u64 = 4 << 20;
/// Containers inside containers.
const MOST_DEPTH: u32 = 64;

/// Goes through every `data.pkl` of the file.
///
/// # Errors
/// When the file is no zip archive, or a pickle is malformed, too large, too deep, or copies itself too often.
pub fn check(path: &Path) -> Result<()> {
    let mut archive = zip::ZipArchive::new(BufReader::new(File::open(path)?))?;
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        if !entry.name()?.ends_with("data.pkl") {
            continue;
        }
        let mut bytes = Vec::new();
        entry.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_BYTES {
            bail!("its pickle has more than {MOST_BYTES} bytes");
        }
        check_one(&bytes)?;
    }
    Ok(())
}

/// Goes through the pickle at the front of `bytes`; gives its length.
///
/// # Errors
/// As [`check`].
pub fn check_one(bytes: &[u8]) -> Result<usize> {
    let rest = Machine::default().run(bytes)?;
    Ok(bytes.len() - rest.len())
}

/// What is known of an object.
#[derive(Clone, Copy)]
enum Size {
    Mark,
    Of { objects: u64, depth: u32 },
}

const ONE: Size = Size::Of { objects: 1, depth: 1 };

/// A text of some bytes: it takes as much memory as so many objects, also in each of its copies.
fn text(bytes: usize) -> Size {
    Size::Of {
        objects: 1 + (bytes / 64) as u64,
        depth: 1,
    }
}

#[derive(Default)]
struct Machine {
    stack: Vec<Size>,
    memo: HashMap<u32, Size>,
    /// Objects on the stack and in the memo.
    live: u64,
}

impl Machine {
    /// What follows the pickle.
    fn run(mut self, mut bytes: &[u8]) -> Result<&[u8]> {
        loop {
            let [code] = take(&mut bytes)?;
            match code {
                b'.' => return Ok(bytes),
                0x80 => {
                    take::<1>(&mut bytes)?;
                }
                b'c' => {
                    let length = line(&mut bytes)? + line(&mut bytes)?;
                    self.push(text(length))?;
                }
                b'K' => self.constant::<1>(&mut bytes)?,
                b'M' => self.constant::<2>(&mut bytes)?,
                b'J' => self.constant::<4>(&mut bytes)?,
                b'G' => self.constant::<8>(&mut bytes)?,
                b'X' => {
                    let length = u32::from_le_bytes(take(&mut bytes)?) as usize;
                    skip(&mut bytes, length)?;
                    self.push(text(length))?;
                }
                0x8a => {
                    let [length] = take(&mut bytes)?;
                    if length > 8 {
                        bail!("an integer has {length} bytes");
                    }
                    skip(&mut bytes, length.into())?;
                    self.push(ONE)?;
                }
                0x88 | 0x89 | b'N' | b')' | b']' | b'}' => self.push(ONE)?,
                b'(' => self.push(Size::Mark)?,
                b'Q' | 0x85 => self.combine(1)?,
                b'R' | 0x81 | 0x86 => self.combine(2)?,
                0x87 => self.combine(3)?,
                b'a' | b'b' => self.grow(1)?,
                b's' => self.grow(2)?,
                b't' | b'd' => {
                    let count = self.above_mark()?;
                    self.combine(count + 1)?;
                }
                b'u' | b'e' => {
                    let count = self.above_mark()?;
                    self.grow(count + 1)?;
                }
                b'q' => {
                    let [id] = take(&mut bytes)?;
                    self.remember(id.into())?;
                }
                b'r' => {
                    let id = u32::from_le_bytes(take(&mut bytes)?);
                    self.remember(id)?;
                }
                b'h' => {
                    let [id] = take(&mut bytes)?;
                    self.recall(id.into())?;
                }
                b'j' => {
                    let id = u32::from_le_bytes(take(&mut bytes)?);
                    self.recall(id)?;
                }
                _ => bail!("its pickle does more than list tensors (code {code:#04x})"),
            }
        }
    }

    fn constant<const N: usize>(&mut self, bytes: &mut &[u8]) -> Result<()> {
        take::<N>(bytes)?;
        self.push(ONE)
    }

    fn push(&mut self, size: Size) -> Result<()> {
        self.live += match size {
            Size::Mark => 1,
            Size::Of { objects, depth } if depth <= MOST_DEPTH => objects,
            Size::Of { .. } => bail!("its pickle nests more than {MOST_DEPTH} containers"),
        };
        if self.live > MOST_OBJECTS {
            bail!("its pickle makes more than {MOST_OBJECTS} objects");
        }
        self.stack.push(size);
        Ok(())
    }

    fn pop(&mut self) -> Result<Size> {
        let Some(size) = self.stack.pop() else {
            bail!("its pickle takes more than it made");
        };
        self.live -= match size {
            Size::Mark => 1,
            Size::Of { objects, .. } => objects,
        };
        Ok(size)
    }

    /// Puts the top `count` objects into one.
    fn combine(&mut self, count: usize) -> Result<()> {
        let (objects, depth) = self.pop_all(count)?;
        self.push(Size::Of {
            objects: objects + 1,
            depth: depth + 1,
        })
    }

    /// Puts the top `count` objects into the container below them.
    fn grow(&mut self, count: usize) -> Result<()> {
        let (more, inside) = self.pop_all(count)?;
        let (objects, depth) = self.pop_all(1)?;
        self.push(Size::Of {
            objects: objects + more,
            depth: depth.max(inside + 1),
        })
    }

    /// Objects and greatest depth of the top `count`.
    fn pop_all(&mut self, count: usize) -> Result<(u64, u32)> {
        let (mut all, mut deepest) = (0, 0);
        for _ in 0..count {
            if let Size::Of { objects, depth } = self.pop()? {
                (all, deepest) = (all + objects, deepest.max(depth));
            }
        }
        Ok((all, deepest))
    }

    fn above_mark(&self) -> Result<usize> {
        match self.stack.iter().rev().position(|s| matches!(s, Size::Mark)) {
            Some(above) => Ok(above),
            None => bail!("its pickle ends a list that it did not begin"),
        }
    }

    fn remember(&mut self, id: u32) -> Result<()> {
        let Some(&top) = self.stack.last() else {
            bail!("its pickle remembers nothing");
        };
        // Counted as if both copies stayed: an overwritten one is freed, which only makes this stricter.
        self.push(top)?;
        self.stack.pop();
        self.memo.insert(id, top);
        Ok(())
    }

    fn recall(&mut self, id: u32) -> Result<()> {
        match self.memo.get(&id) {
            Some(&size) => self.push(size),
            None => bail!("its pickle recalls what it did not remember"),
        }
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    match bytes.split_first_chunk::<N>() {
        Some((taken, rest)) => {
            *bytes = rest;
            Ok(*taken)
        }
        None => bail!("its pickle is cut short"),
    }
}

fn skip(bytes: &mut &[u8], length: usize) -> Result<()> {
    match bytes.split_at_checked(length) {
        Some((_, rest)) => {
            *bytes = rest;
            Ok(())
        }
        None => bail!("its pickle is cut short"),
    }
}

fn line(bytes: &mut &[u8]) -> Result<usize> {
    match bytes.iter().position(|&b| b == b'\n') {
        Some(end) => skip(bytes, end + 1).map(|()| end),
        None => bail!("its pickle is cut short"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(pickle: &[u8]) -> String {
        let result = Machine::default().run(pickle);
        result.err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn bombs_are_refused() {
        // A pair of itself, again and again: 2³⁰ objects from 150 bytes.
        let mut doubling = vec![b')', b'q', 0];
        doubling.extend([b'h', 0, b'h', 0, 0x86, b'q', 0].repeat(30));
        assert!(says(&doubling).contains("objects"), "{}", says(&doubling));
        let mut deep = vec![b')'];
        deep.extend([0x85].repeat(100_000));
        assert!(says(&deep).contains("nests"));
        let long = [b"X\xff\xff\xff\xff".as_slice(), b"short"].concat();
        assert!(says(&long).contains("cut short"));
        assert!(says(b"cos\nsystem\nX\x01\0\0\0a\x93.").contains("more than list tensors"));
    }

    #[test]
    fn long_texts_count_in_each_copy() {
        let text = [b"X\0\0\x10\0".as_slice(), &[b'a'; 1 << 20], b"q\0"].concat();
        let copies = |count| [text.clone(), b"h\0".repeat(count), vec![b'.']].concat();
        assert_eq!(says(&copies(10)), "");
        assert!(says(&copies(1000)).contains("objects"));
    }

    #[test]
    fn a_whole_file_passes() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/pth/small.pth");
        check(&file).unwrap();
    }

    #[test]
    fn a_dictionary_may_grow_in_many_steps() {
        let mut pickle = vec![b'}', b'q', 0];
        for _ in 0..500 {
            pickle.extend(b"(K\x01K\x02u");
        }
        pickle.push(b'.');
        assert_eq!(says(&pickle), "");
    }
}
