//! The index file: everything a search needs of every training picture. The two coarsest scales of all
//! pictures lie together, so that a search reads them in one sweep; the finer ones are folded
//! (`planes_codec`), each region and scale by itself, and read for the few pictures that need them.
//!
//! ```text
//! header   4096 bytes: magic, version, byte order, arithmetic, count, capacity, length, SHA-256 of the key
//! records  64 bytes each: extent, coverage, where the folded parts lie and how long they are
//! scales 4 and 3   u16 sums, foreground planes then background planes, per picture
//! parts    per picture: scale 2 and scale 1 of both regions, then the cut at 512² (`composition::Cut`)
//! ```
//! The file is written under a temporary name in the same folder and renamed when complete; on opening,
//! every header field, every record and the length must be as expected, otherwise the file counts as
//! absent. It is read, not mapped: a mapped file that another program shortens ends the process, a read
//! fails and is told. It is machine-local: a byte-order mark guards the numbers.

use super::{
    SimilarityError,
    composition::{BACKGROUND, Cut, Extent, FOREGROUND, planes_kept, region, region_planes},
    planes_codec::{fold, from_png, to_png, unfold},
    pyramid::{AREA, pyramid, side_at},
};
use crate::{read_at::read_exact_at, study::Arithmetic};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

const MAGIC: [u8; 8] = *b"PENTIMSI";
const VERSION: u32 = 2;
const ORDER: u32 = 0x0102_0304;
const PAGE: usize = 4096;
const RECORD: usize = 64;
/// Scales that lie together, unfolded.
const COARSE: [usize; 2] = [4, 3];
/// Folded parts of a picture: scale 2 of both regions, scale 1 of both regions, full resolution.
const PARTS: usize = 5;
const FULL: usize = 4;
/// No folded part is longer: 8 planes of `u16` at scale 0, twice.
const LONGEST: u32 = 1 << 23;

/// Which part holds a region at scale 2 or 1.
fn part_of(scale: usize, region: usize) -> usize {
    2 * (2 - scale) + region
}

/// `u16` values of a region's planes at `scale`.
fn sums_len(arithmetic: Arithmetic, region: usize, scale: usize) -> usize {
    region_planes(arithmetic, region) * side_at(scale) * side_at(scale)
}

/// `u16` values of the coarse scales of a picture.
fn coarse_len(arithmetic: Arithmetic) -> usize {
    COARSE
        .iter()
        .map(|&s| sums_len(arithmetic, FOREGROUND, s) + sums_len(arithmetic, BACKGROUND, s))
        .sum()
}

fn bytes_len(arithmetic: Arithmetic) -> usize {
    planes_kept(arithmetic) * AREA
}

/// Where things lie in a file made for `capacity` pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    records: usize,
    coarse: usize,
    parts: usize,
}

impl Layout {
    fn new(arithmetic: Arithmetic, capacity: usize) -> Option<Self> {
        let records = PAGE;
        let coarse = capacity
            .checked_mul(RECORD)?
            .checked_add(records)?
            .checked_next_multiple_of(PAGE)?;
        let parts = capacity
            .checked_mul(2 * coarse_len(arithmetic))?
            .checked_add(coarse)?
            .checked_next_multiple_of(PAGE)?;
        Some(Self {
            records,
            coarse,
            parts,
        })
    }
}

/// Where a picture's folded parts lie.
#[derive(Clone, Copy, Debug)]
struct Parts {
    start: u64,
    lengths: [u32; PARTS],
}

impl Parts {
    fn range(&self, part: usize) -> (u64, usize) {
        let before: u64 = self.lengths[..part].iter().map(|&l| u64::from(l)).sum();
        (self.start + before, self.lengths[part] as usize)
    }

    fn end(&self) -> u64 {
        let (start, length) = self.range(FULL);
        start + length as u64
    }
}

fn header(arithmetic: Arithmetic, key: &str, count: usize, capacity: usize, length: u64) -> Vec<u8> {
    let position = Arithmetic::ALL.iter().position(|&a| a == arithmetic).unwrap_or(0);
    let mut out = Vec::with_capacity(PAGE);
    out.extend(MAGIC);
    out.extend(VERSION.to_ne_bytes());
    out.extend(ORDER.to_ne_bytes());
    out.extend((position as u64).to_ne_bytes());
    out.extend((count as u64).to_ne_bytes());
    out.extend((capacity as u64).to_ne_bytes());
    out.extend(length.to_ne_bytes());
    out.extend(Sha256::digest(key.as_bytes()));
    out.resize(PAGE, 0);
    out
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let raw = bytes.get(at..at + 8)?.try_into().ok()?;
    usize::try_from(u64::from_ne_bytes(raw)).ok()
}

/// Position of the count in the header.
const COUNT_AT: usize = 24;

/// An opened index file.
pub(super) struct Store {
    file: File,
    path: PathBuf,
    layout: Layout,
    pub arithmetic: Arithmetic,
    pub count: usize,
    pub extents: Vec<Extent>,
    pub coverages: Vec<f32>,
    parts: Vec<Parts>,
}

impl Store {
    /// Opens and checks a file; `None` when there is none or anything about it is not as expected.
    pub fn open(path: &Path, key: &str, arithmetic: Arithmetic) -> Option<Self> {
        let mut file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let mut head = vec![0; PAGE];
        file.read_exact(&mut head).ok()?;
        let (count, capacity) = (number(&head, COUNT_AT)?, number(&head, COUNT_AT + 8)?);
        let layout = Layout::new(arithmetic, capacity)?;
        let as_written = count <= capacity
            && layout.parts as u64 <= length
            && head == header(arithmetic, key, count, capacity, length);
        if !as_written {
            return None;
        }
        let mut records = vec![0; RECORD * count];
        read_exact_at(&file, &mut records, layout.records as u64).ok()?;
        let mut store = Self {
            file,
            path: path.to_owned(),
            layout,
            arithmetic,
            count,
            extents: Vec::with_capacity(count),
            coverages: Vec::with_capacity(count),
            parts: Vec::with_capacity(count),
        };
        for record in records.as_chunks::<RECORD>().0 {
            let word = |at: usize| record[at..at + 4].try_into().map(u32::from_ne_bytes).ok();
            store.extents.push(Extent::from_code(word(0)?)?);
            store.coverages.push(f32::from_bits(word(4)?));
            let mut lengths = [0; PARTS];
            for (i, length) in lengths.iter_mut().enumerate() {
                *length = word(16 + 4 * i).filter(|&l| l <= LONGEST)?;
            }
            let start = number(record, 8)? as u64;
            let parts = Parts { start, lengths };
            if start < layout.parts as u64 || start > length || parts.end() > length {
                return None;
            }
            store.parts.push(parts);
        }
        Some(store)
    }

    /// Reads the `u16` sums of one region of picture `i` at `scale` (1 to 4), planes one below the other.
    ///
    /// # Errors
    /// When the file was shortened or damaged since it was opened.
    pub fn sums<'b>(
        &self,
        i: usize,
        region: usize,
        scale: usize,
        buffers: &'b mut Buffers,
    ) -> Result<&'b [u16], SimilarityError> {
        let len = sums_len(self.arithmetic, region, scale);
        buffers.sums.resize(len, 0);
        if COARSE.contains(&scale) {
            let mut at = coarse_len(self.arithmetic) * i;
            for s in COARSE.into_iter().take_while(|&s| s != scale) {
                at += sums_len(self.arithmetic, FOREGROUND, s) + sums_len(self.arithmetic, BACKGROUND, s);
            }
            if region == BACKGROUND {
                at += sums_len(self.arithmetic, FOREGROUND, scale);
            }
            let from = (self.layout.coarse + 2 * at) as u64;
            read_exact_at(&self.file, bytemuck::cast_slice_mut(&mut buffers.sums), from)
                .map_err(|e| self.trouble(e))?;
        } else {
            self.read(i, part_of(scale, region), &mut buffers.folded)?;
            let planes = &mut buffers.sums[..];
            if !unfold(&buffers.folded, side_at(scale), &mut buffers.split, planes) {
                return Err(SimilarityError::Unreadable(self.path.clone()));
            }
        }
        Ok(&buffers.sums)
    }

    /// Reads the cut of picture `i` at full resolution.
    ///
    /// # Errors
    /// As [`sums`](Self::sums).
    pub fn bytes<'b>(&self, i: usize, buffers: &'b mut Buffers) -> Result<&'b [u8], SimilarityError> {
        self.read(i, FULL, &mut buffers.folded)?;
        buffers.split.resize(bytes_len(self.arithmetic), 0);
        if !from_png(&buffers.folded, &mut buffers.split) {
            return Err(SimilarityError::Unreadable(self.path.clone()));
        }
        Ok(&buffers.split)
    }

    fn read(&self, i: usize, part: usize, into: &mut Vec<u8>) -> Result<(), SimilarityError> {
        let (start, length) = self.parts[i].range(part);
        into.resize(length, 0);
        read_exact_at(&self.file, into, start).map_err(|e| self.trouble(e))
    }

    fn trouble(&self, source: io::Error) -> SimilarityError {
        SimilarityError::Io {
            path: self.path.clone(),
            source,
        }
    }

    /// Bytes the file takes on disk.
    pub fn file_bytes(&self) -> u64 {
        let end = self.parts.iter().map(Parts::end).max();
        end.unwrap_or(self.layout.parts as u64)
    }
}

/// Where one thread reads parts of the file; at most about 4 MB.
#[derive(Default)]
pub(super) struct Buffers {
    folded: Vec<u8>,
    split: Vec<u8>,
    sums: Vec<u16>,
}

/// One picture as stored: what [`IndexBuilder::prepare`](super::IndexBuilder::prepare) makes on any
/// thread.
#[derive(Clone, Debug)]
pub struct Row {
    pub(super) arithmetic: Arithmetic,
    extent: Extent,
    coverage: f32,
    coarse: Vec<u16>,
    parts: [Vec<u8>; PARTS],
}

impl Row {
    /// Forms the scales of a cut and folds them.
    pub(super) fn new(cut: &Cut, coverage: f32) -> Result<Self, SimilarityError> {
        let arithmetic = cut.arithmetic;
        let mut planes = Vec::with_capacity(4 * AREA);
        let levels = [FOREGROUND, BACKGROUND].map(|r| {
            region(arithmetic, &cut.planes, r, &mut planes);
            pyramid(&planes)
        });
        let mut coarse = Vec::with_capacity(coarse_len(arithmetic));
        for scale in COARSE {
            for region in &levels {
                coarse.extend_from_slice(&region[scale - 1]);
            }
        }
        let mut parts: [Vec<u8>; PARTS] = Default::default();
        for scale in [2, 1] {
            for (r, region) in levels.iter().enumerate() {
                parts[part_of(scale, r)] = fold(&region[scale - 1], side_at(scale));
            }
        }
        parts[FULL] = to_png(&cut.planes).map_err(|e| SimilarityError::Fold(e.to_string()))?;
        Ok(Self {
            arithmetic,
            extent: cut.extent,
            coverage,
            coarse,
            parts,
        })
    }
}

impl Row {
    /// Another picture's coarse scales, cheaply: mirrored, shifted, darkened. Without folded parts.
    pub(super) fn varied(&self, v: usize) -> Self {
        let mut coarse = Vec::with_capacity(self.coarse.len());
        let mut rest = &self.coarse[..];
        for scale in COARSE {
            let side = side_at(scale);
            // Whole pixels of the coarsest scale.
            let step = side / side_at(COARSE[0]);
            let (right, down) = (v / 2 % 13 * step, v / 26 % 11 * step);
            let planes =
                region_planes(self.arithmetic, FOREGROUND) + region_planes(self.arithmetic, BACKGROUND);
            for plane in 0..planes {
                let (own, more) = rest.split_at(side * side);
                rest = more;
                let gain = 70 + 3 * ((v * (plane % 3 + 3)) % 10) as u32;
                for y in 0..side {
                    let row = &own[(y + down) % side * side..][..side];
                    coarse.extend((0..side).map(|x| {
                        let x = (x + right) % side;
                        let x = if v % 2 == 1 { side - 1 - x } else { x };
                        (u32::from(row[x]) * gain / 100) as u16
                    }));
                }
            }
        }
        Self {
            arithmetic: self.arithmetic,
            extent: self.extent,
            coverage: self.coverage,
            coarse,
            parts: Default::default(),
        }
    }
}

/// Writes an index file picture by picture.
pub(super) struct Writer {
    file: NamedTempFile,
    target: PathBuf,
    layout: Layout,
    arithmetic: Arithmetic,
    key: String,
    capacity: usize,
    count: usize,
    end: u64,
}

impl Writer {
    pub fn create(
        path: &Path,
        key: &str,
        arithmetic: Arithmetic,
        capacity: usize,
    ) -> Result<Self, SimilarityError> {
        let layout = Layout::new(arithmetic, capacity).ok_or(SimilarityError::TooLarge(capacity))?;
        let io = |source| SimilarityError::Io {
            path: path.to_owned(),
            source,
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let file = tempfile::Builder::new()
            .prefix(".index-")
            .tempfile_in(folder)
            .map_err(io)?;
        file.as_file().set_len(layout.parts as u64).map_err(io)?;
        Ok(Self {
            file,
            target: path.to_owned(),
            layout,
            arithmetic,
            key: key.to_owned(),
            capacity,
            count: 0,
            end: layout.parts as u64,
        })
    }

    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    pub fn push(&mut self, row: &Row) -> Result<(), SimilarityError> {
        if row.arithmetic != self.arithmetic {
            return Err(SimilarityError::Arithmetic {
                row: row.arithmetic,
                index: self.arithmetic,
            });
        }
        if self.count == self.capacity {
            return Err(SimilarityError::Full(self.capacity));
        }
        let i = self.count;
        let mut record = [0u8; RECORD];
        record[..4].copy_from_slice(&row.extent.code().to_ne_bytes());
        record[4..8].copy_from_slice(&row.coverage.to_bits().to_ne_bytes());
        record[8..16].copy_from_slice(&self.end.to_ne_bytes());
        for (part, into) in row.parts.iter().zip(record[16..].chunks_exact_mut(4)) {
            into.copy_from_slice(&(part.len() as u32).to_ne_bytes());
        }
        let coarse: &[u8] = bytemuck::cast_slice(&row.coarse);
        let (records, levels) = (self.layout.records, self.layout.coarse);
        let written = self
            .write_at((records + RECORD * i) as u64, &record)
            .and_then(|()| self.write_at((levels + coarse.len() * i) as u64, coarse))
            .and_then(|()| self.write_at(self.end, &row.parts.concat()));
        written.map_err(|source| self.trouble(source))?;
        self.count += 1;
        self.end += row.parts.iter().map(|p| p.len() as u64).sum::<u64>();
        Ok(())
    }

    /// Appends a picture that shares the folded parts of picture `of`; its coarse scales are those of `coarse`, or
    /// black, which takes no disk where files may have holes.
    pub fn push_like(&mut self, of: usize, coarse: Option<&Row>) -> Result<(), SimilarityError> {
        if self.count == self.capacity || of >= self.count {
            return Err(SimilarityError::Full(self.capacity));
        }
        let (i, records) = (self.count, self.layout.records);
        let mut record = [0u8; RECORD];
        let from = (records + RECORD * of) as u64;
        let copied = read_exact_at(self.file.as_file(), &mut record, from)
            .and_then(|()| self.write_at((records + RECORD * i) as u64, &record));
        copied.map_err(|source| self.trouble(source))?;
        if let Some(row) = coarse {
            let bytes: &[u8] = bytemuck::cast_slice(&row.coarse);
            let at = (self.layout.coarse + bytes.len() * i) as u64;
            self.write_at(at, bytes).map_err(|source| self.trouble(source))?;
        }
        self.count += 1;
        Ok(())
    }

    /// Completes the file, moves it to its name and opens it.
    pub fn finish(mut self) -> Result<Store, SimilarityError> {
        let header = header(self.arithmetic, &self.key, self.count, self.capacity, self.end);
        let flushed = self
            .write_at(0, &header)
            .and_then(|()| self.file.as_file().sync_all());
        flushed.map_err(|source| self.trouble(source))?;
        let Self {
            file,
            target,
            key,
            arithmetic,
            ..
        } = self;
        file.persist(&target).map_err(|e| SimilarityError::Io {
            path: target.clone(),
            source: e.error,
        })?;
        Store::open(&target, &key, arithmetic).ok_or(SimilarityError::Unreadable(target))
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_file_mut();
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)
    }

    fn trouble(&self, source: io::Error) -> SimilarityError {
        SimilarityError::Io {
            path: self.target.clone(),
            source,
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
