//! The part of Python's pickle that a file of plain tensors needs, as data: nothing is imported or called, and every
//! name that is not a tensor's is refused.

use std::collections::HashMap;

/// A value, by its place in [`Pickle::values`]: shared values are not copied, and nothing is nested in memory.
pub type Place = usize;

/// A value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`, booleans, and dictionaries (which are always empty hooks here).
    Other,
    /// A whole number.
    Int(i64),
    /// Text.
    Text(String),
    /// A tuple or a list.
    Sequence(Vec<Place>),
    /// One of the names that are known.
    Name(&'static str),
    /// A storage: key of its bytes, number of elements.
    Storage { key: String, length: usize },
    /// A view of a storage.
    Tensor {
        key: String,
        offset: usize,
        shape: Vec<usize>,
        contiguous: bool,
    },
}

/// What was read.
pub struct Pickle {
    /// All values.
    pub values: Vec<Value>,
    /// The outermost one.
    pub root: Place,
}

const REBUILD: &str = "torch._utils _rebuild_tensor_v2";
const FLOATS: &str = "torch FloatStorage";
const DICTIONARY: &str = "collections OrderedDict";
const KNOWN: [&str; 3] = [REBUILD, FLOATS, DICTIONARY];
/// Most values: a file of statistics has some hundreds.
const MOST: usize = 100_000;

/// Reads a pickle of protocol 2, as `torch.save` writes it.
///
/// # Errors
/// What is damaged or not understood; by name, every import but those of plain f32 tensors.
pub fn read(bytes: &[u8]) -> Result<Pickle, String> {
    Reader {
        bytes,
        at: 0,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    }
    .run()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Place>,
    marks: Vec<usize>,
    memo: HashMap<u32, Place>,
}

impl<'a> Reader<'a> {
    fn run(mut self) -> Result<Pickle, String> {
        loop {
            if self.values.len() > MOST || self.stack.len() > MOST {
                return Err(format!("the pickle has more than {MOST} values"));
            }
            let code = self.take(1)?[0];
            match code {
                0x80 => {
                    let protocol = self.take(1)?[0];
                    if protocol != 2 {
                        return Err(format!(
                            "pickle protocol {protocol}; torch.save writes protocol 2"
                        ));
                    }
                }
                b'.' => {
                    let root = self.pop()?;
                    return Ok(Pickle {
                        values: self.values,
                        root,
                    });
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    let full = format!("{module} {name}");
                    match KNOWN.into_iter().find(|known| *known == full) {
                        Some(known) => self.push(Value::Name(known)),
                        None => {
                            return Err(format!(
                                "the pickle asks for {module}.{name}, which plain f32 tensors do not need; it is not \
                                 opened, since pickles can run code"
                            ));
                        }
                    }
                }
                b'(' => self.marks.push(self.stack.len()),
                b')' | b']' => self.push(Value::Sequence(Vec::new())),
                b'}' | b'N' | 0x88 | 0x89 => self.push(Value::Other),
                b'J' => {
                    let bytes = self.number::<4>()?;
                    self.push(Value::Int(i64::from(i32::from_le_bytes(bytes))));
                }
                b'K' => {
                    let byte = self.take(1)?[0];
                    self.push(Value::Int(i64::from(byte)));
                }
                b'M' => {
                    let bytes = self.number::<2>()?;
                    self.push(Value::Int(i64::from(u16::from_le_bytes(bytes))));
                }
                0x8a => {
                    let length = usize::from(self.take(1)?[0]);
                    let bytes = self.take(length)?;
                    let mut wide = [if bytes.last().is_some_and(|b| b & 0x80 != 0) {
                        0xff
                    } else {
                        0
                    }; 8];
                    if length > 8 {
                        return Err("a number has more than 64 bits".to_owned());
                    }
                    wide[..length].copy_from_slice(bytes);
                    self.push(Value::Int(i64::from_le_bytes(wide)));
                }
                b'X' => {
                    let length = u32::from_le_bytes(self.number()?) as usize;
                    let text = String::from_utf8_lossy(self.take(length)?).into_owned();
                    self.push(Value::Text(text));
                }
                b't' => {
                    let items = self.since_mark()?;
                    self.push(Value::Sequence(items));
                }
                0x85..=0x87 => {
                    let items = self.pop_many(usize::from(code - 0x84))?;
                    self.push(Value::Sequence(items));
                }
                b'a' => {
                    let item = self.pop()?;
                    self.extend(vec![item])?;
                }
                b'e' => {
                    let items = self.since_mark()?;
                    self.extend(items)?;
                }
                b'q' => {
                    let key = u32::from(self.take(1)?[0]);
                    self.remember(key)?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.number()?);
                    self.remember(key)?;
                }
                b'h' => {
                    let key = u32::from(self.take(1)?[0]);
                    self.recall(key)?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.number()?);
                    self.recall(key)?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    let storage = self.storage(id)?;
                    self.push(storage);
                }
                b'R' => {
                    let (arguments, callable) = (self.pop()?, self.pop()?);
                    let value = match &self.values[callable] {
                        Value::Name(DICTIONARY) => Value::Other,
                        Value::Name(REBUILD) => self.tensor(arguments)?,
                        _ => return Err("the pickle calls something that is no tensor".to_owned()),
                    };
                    self.push(value);
                }
                other => {
                    return Err(format!(
                        "pickle instruction 0x{other:02x} is not one of a file of tensors"
                    ));
                }
            }
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or("the pickle ends in the middle")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut number = [0; N];
        number.copy_from_slice(self.take(N)?);
        Ok(number)
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(200).position(|b| *b == b'\n');
        let length = length.ok_or("a name in the pickle does not end")?;
        let line = self.take(length + 1)?;
        Ok(String::from_utf8_lossy(&line[..length]).into_owned())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Place, String> {
        self.stack
            .pop()
            .ok_or_else(|| "the pickle takes a value that is not there".to_owned())
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Place>, String> {
        let from = self.stack.len().checked_sub(count);
        let from = from.ok_or("the pickle takes a value that is not there")?;
        Ok(self.stack.split_off(from))
    }

    fn since_mark(&mut self) -> Result<Vec<Place>, String> {
        let mark = self.marks.pop().filter(|m| *m <= self.stack.len());
        Ok(self
            .stack
            .split_off(mark.ok_or("the pickle closes what it did not open")?))
    }

    fn extend(&mut self, items: Vec<Place>) -> Result<(), String> {
        let list = self.stack.last().copied();
        match list.and_then(|list| self.values.get_mut(list)) {
            Some(Value::Sequence(list)) if list.len() + items.len() <= MOST => {
                list.extend(items);
                Ok(())
            }
            _ => Err("the pickle appends to what is no list".to_owned()),
        }
    }

    fn remember(&mut self, key: u32) -> Result<(), String> {
        let top = *self.stack.last().ok_or("the pickle remembers nothing")?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<(), String> {
        let place = *self
            .memo
            .get(&key)
            .ok_or("the pickle recalls what it did not remember")?;
        self.stack.push(place);
        Ok(())
    }

    fn sequence(&self, place: Place) -> Result<&[Place], String> {
        match &self.values[place] {
            Value::Sequence(items) => Ok(items),
            _ => Err("the pickle does not describe tensors as torch.save does".to_owned()),
        }
    }

    /// `('storage', FloatStorage, key, location, length)`.
    fn storage(&self, id: Place) -> Result<Value, String> {
        let parts: Vec<&Value> = self.sequence(id)?.iter().map(|p| &self.values[*p]).collect();
        match parts.as_slice() {
            [
                Value::Text(tag),
                Value::Name(FLOATS),
                Value::Text(key),
                Value::Text(_),
                Value::Int(length),
            ] if tag == "storage" && *length >= 0 => Ok(Value::Storage {
                key: key.clone(),
                length: *length as usize,
            }),
            _ => Err("a storage in the pickle is not one of f32 numbers".to_owned()),
        }
    }

    /// `(storage, offset, size, stride, requires_grad, hooks)`.
    fn tensor(&self, arguments: Place) -> Result<Value, String> {
        let wrong = || "a tensor in the pickle is not described as torch.save does".to_owned();
        let parts = self.sequence(arguments)?;
        let [storage, offset, size, stride, ..] = parts else {
            return Err(wrong());
        };
        let (Value::Storage { key, length }, Value::Int(offset)) =
            (&self.values[*storage], &self.values[*offset])
        else {
            return Err(wrong());
        };
        let numbers = |place: Place| -> Result<Vec<usize>, String> {
            let numbers = self.sequence(place)?.iter().map(|p| match &self.values[*p] {
                Value::Int(n) => usize::try_from(*n).map_err(|_| wrong()),
                _ => Err(wrong()),
            });
            numbers.collect()
        };
        let (shape, strides) = (numbers(*size)?, numbers(*stride)?);
        let offset = usize::try_from(*offset).map_err(|_| wrong())?;
        let count = shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
        let end = count.and_then(|count| offset.checked_add(count));
        if end.is_none_or(|end| end > *length) {
            return Err(format!(
                "a tensor of shape {shape:?} is larger than its storage of {length}"
            ));
        }
        let mut expected = 1;
        let contiguous = shape.len() == strides.len()
            && shape.iter().zip(&strides).rev().all(|(side, stride)| {
                let fits = *side == 1 || *stride == expected;
                expected *= side;
                fits
            });
        Ok(Value::Tensor {
            key: key.clone(),
            offset,
            shape,
            contiguous,
        })
    }
}
