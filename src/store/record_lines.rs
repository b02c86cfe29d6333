//! Reading `generations.jsonl`, also one that is being written or was torn by a crash.

use super::record::Record;
use crate::{study::GenerationKey, tables::Complaints};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, Read},
};

/// Longest line that is read, in bytes: a prompt of 10 000 characters and 1000 steps fit several times.
pub(super) const MAX_LINE: u64 = 1 << 20;

/// Whole lines read from some position on.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Usable records, in order.
    pub records: Vec<Record>,
    /// Bytes up to and including the last line end, counted from where reading began.
    pub length: u64,
    /// Whether something followed the last line end.
    pub torn: bool,
    /// Lines read.
    pub count: u64,
    /// Lines that are no records.
    pub bad: Complaints,
}

/// Reads to the end. `first_line` is the number of the first line, for complaints.
pub(super) fn read(source: impl Read, first_line: u64) -> io::Result<Lines> {
    let mut reader = BufReader::new(source);
    let mut lines = Lines::default();
    let mut offset = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = reader.by_ref().take(MAX_LINE);
        let read = bounded.read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            return Ok(lines);
        }
        offset += read;
        let whole = line.last() == Some(&b'\n');
        if !whole {
            match skip_line(&mut reader)? {
                Some(skipped) => offset += skipped,
                None => {
                    lines.torn = true;
                    return Ok(lines);
                }
            }
        }
        lines.length = offset;
        let number = first_line + lines.count;
        lines.count += 1;
        if !whole {
            lines.bad.add(number, "longer than any record");
            continue;
        }
        match serde_json::from_slice::<Record>(&line) {
            Ok(record) => match record.validate() {
                Ok(()) => lines.records.push(record),
                Err(reason) => lines.bad.add(number, reason),
            },
            Err(e) => lines.bad.add(number, format!("not a record ({e})")),
        }
    }
}

/// Bytes up to and including the next line end; `None` when the file ends before.
fn skip_line(reader: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let end = buffer.iter().position(|&b| b == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        skipped += used as u64;
        if end.is_some() {
            return Ok(Some(skipped));
        }
    }
}

/// One line of `timings.jsonl`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Timing {
    pub key: GenerationKey,
    /// Seconds spent drawing the picture.
    pub seconds: f32,
}

/// Reads the timings; they are a convenience, so whatever cannot be read is passed over.
pub(super) fn read_timings(source: impl Read) -> HashMap<GenerationKey, f32> {
    let mut reader = BufReader::new(source);
    let mut found = HashMap::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(4096).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return found,
            Ok(_) => {}
        }
        if let Ok(timing) = serde_json::from_slice::<Timing>(&line)
            && timing.seconds.is_finite()
        {
            found.insert(timing.key, timing.seconds);
        }
    }
}
