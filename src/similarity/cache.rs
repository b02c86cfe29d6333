//! The index file: everything a search needs of every training picture, laid out level by level so that
//! the coarse scales of all pictures lie together.
//!
//! ```text
//! header   4096 bytes: magic, version, byte order, arithmetic, count, capacity, SHA-256 of the key
//! records  16 bytes each: extent (u32), coverage (f32), reserved
//! scale 4, scale 3, scale 2   u16 sums, foreground planes then background planes, per picture
//! scale 0  bytes: the cut at 512² (see `composition::Cut`), per picture
//! ```
//! Sections start at multiples of 4096. The file is written under a temporary name in the same folder
//! and renamed when complete; on opening, every header field and the length must be as expected,
//! otherwise the file counts as absent. It is machine-local: a byte-order mark guards the numbers.

#![allow(unsafe_code, reason = "maps the cache file, which only this program writes")]

use super::{
    SimilarityError,
    composition::{Cut, Extent, planes_kept, region_planes},
    pyramid::{AREA, SCALES, side_at},
};
use crate::study::Arithmetic;
use memmap2::Mmap;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

const MAGIC: [u8; 8] = *b"PENTIMSI";
const VERSION: u32 = 1;
const ORDER: u32 = 0x0102_0304;
const PAGE: usize = 4096;
const RECORD: usize = 16;
/// The finest scale that is stored; scales 1 and 0 are formed from the bytes.
pub(super) const FINEST_STORED: usize = 2;

/// Where things lie in a file of `capacity` pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    records: usize,
    /// Of scales 2, 3, 4.
    sums: [usize; SCALES - FINEST_STORED],
    bytes: usize,
    end: usize,
}

/// `u16` values of all planes of a picture at `scale`.
fn sums_len(arithmetic: Arithmetic, scale: usize) -> usize {
    (region_planes(arithmetic, 0) + region_planes(arithmetic, 1)) * side_at(scale) * side_at(scale)
}

fn bytes_len(arithmetic: Arithmetic) -> usize {
    planes_kept(arithmetic) * AREA
}

impl Layout {
    fn new(arithmetic: Arithmetic, capacity: usize) -> Option<Self> {
        let mut end = PAGE;
        let mut section = |each: usize| {
            let start = end;
            end = capacity
                .checked_mul(each)?
                .checked_add(start)?
                .checked_next_multiple_of(PAGE)?;
            Some(start)
        };
        let records = section(RECORD)?;
        let mut sums = [0; SCALES - FINEST_STORED];
        for scale in (FINEST_STORED..SCALES).rev() {
            sums[scale - FINEST_STORED] = section(2 * sums_len(arithmetic, scale))?;
        }
        let bytes = section(bytes_len(arithmetic))?;
        Some(Self {
            records,
            sums,
            bytes,
            end,
        })
    }
}

fn header(arithmetic: Arithmetic, key: &str, count: usize, capacity: usize) -> Vec<u8> {
    let position = Arithmetic::ALL.iter().position(|&a| a == arithmetic).unwrap_or(0);
    let mut out = Vec::with_capacity(PAGE);
    out.extend(MAGIC);
    out.extend(VERSION.to_ne_bytes());
    out.extend(ORDER.to_ne_bytes());
    out.extend((position as u64).to_ne_bytes());
    out.extend((count as u64).to_ne_bytes());
    out.extend((capacity as u64).to_ne_bytes());
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
    map: Mmap,
    layout: Layout,
    pub arithmetic: Arithmetic,
    pub count: usize,
    pub extents: Vec<Extent>,
    pub coverages: Vec<f32>,
}

impl Store {
    /// Opens and checks a file; `None` when there is none or anything about it is not as expected.
    pub fn open(path: &Path, key: &str, arithmetic: Arithmetic) -> Option<Self> {
        let file = File::open(path).ok()?;
        let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
        if length < PAGE {
            return None;
        }
        // SAFETY: the file is written once under another name and then renamed, never changed in
        // place, by this program; its length was just read and every access is bounds-checked against
        // the mapping. A foreign process that truncates it in the cache folder while it is mapped is
        // outside what a reader can guard against.
        let map = unsafe { Mmap::map(&file) }.ok()?;
        let (count, capacity) = (number(&map, COUNT_AT)?, number(&map, COUNT_AT + 8)?);
        let layout = Layout::new(arithmetic, capacity)?;
        let as_written = map.len() == layout.end
            && count <= capacity
            && map.get(..PAGE)? == header(arithmetic, key, count, capacity);
        if !as_written {
            return None;
        }
        let mut extents = Vec::with_capacity(count);
        let mut coverages = Vec::with_capacity(count);
        for record in map[layout.records..].chunks_exact(RECORD).take(count) {
            let word = |at: usize| record[at..at + 4].try_into().map(u32::from_ne_bytes).ok();
            extents.push(Extent::from_code(word(0)?)?);
            coverages.push(f32::from_bits(word(4)?));
        }
        Some(Self {
            map,
            layout,
            arithmetic,
            count,
            extents,
            coverages,
        })
    }

    /// The `u16` sums of one region of picture `i` at `scale` (2, 3 or 4), planes one below the other.
    pub fn sums(&self, i: usize, region: usize, scale: usize) -> &[u16] {
        let all = sums_len(self.arithmetic, scale);
        let plane = side_at(scale) * side_at(scale);
        let first = region_planes(self.arithmetic, 0) * plane;
        let start = self.layout.sums[scale - FINEST_STORED] + 2 * all * i;
        let picture: &[u16] = bytemuck::cast_slice(&self.map[start..start + 2 * all]);
        let (foreground, background) = picture.split_at(first);
        if region == 0 { foreground } else { background }
    }

    /// The cut of picture `i` at full resolution.
    pub fn bytes(&self, i: usize) -> &[u8] {
        let each = bytes_len(self.arithmetic);
        &self.map[self.layout.bytes + each * i..][..each]
    }
}

/// One picture as stored: what [`IndexBuilder::prepare`](super::IndexBuilder::prepare) makes on any
/// thread. About 1.3 MB (2.3 MB under the RGBA arithmetics).
#[derive(Clone, Debug)]
pub struct Row {
    pub(super) cut: Cut,
    pub(super) coverage: f32,
    /// Scales 2, 3, 4 of foreground and background, one after the other.
    pub(super) sums: [Vec<u16>; SCALES - FINEST_STORED],
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
        file.as_file().set_len(layout.end as u64).map_err(io)?;
        Ok(Self {
            file,
            target: path.to_owned(),
            layout,
            arithmetic,
            key: key.to_owned(),
            capacity,
            count: 0,
        })
    }

    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    pub fn push(&mut self, row: &Row) -> Result<(), SimilarityError> {
        if row.cut.arithmetic != self.arithmetic {
            return Err(SimilarityError::Arithmetic {
                row: row.cut.arithmetic,
                index: self.arithmetic,
            });
        }
        if self.count == self.capacity {
            return Err(SimilarityError::Full(self.capacity));
        }
        let i = self.count;
        let mut record = [0u8; RECORD];
        record[..4].copy_from_slice(&row.cut.extent.code().to_ne_bytes());
        record[4..8].copy_from_slice(&row.coverage.to_bits().to_ne_bytes());
        let written = self
            .write_at(self.layout.records + RECORD * i, &record)
            .and_then(|()| {
                for (start, sums) in self.layout.sums.into_iter().zip(&row.sums) {
                    let bytes: &[u8] = bytemuck::cast_slice(sums);
                    self.write_at(start + bytes.len() * i, bytes)?;
                }
                let bytes = &row.cut.planes;
                self.write_at(self.layout.bytes + bytes.len() * i, bytes)
            });
        written.map_err(|source| self.trouble(source))?;
        self.count += 1;
        Ok(())
    }

    /// Completes the file, moves it to its name and opens it.
    pub fn finish(mut self) -> Result<Store, SimilarityError> {
        let header = header(self.arithmetic, &self.key, self.count, self.capacity);
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

    fn write_at(&mut self, at: usize, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_file_mut();
        file.seek(SeekFrom::Start(at as u64))?;
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
mod tests {
    use super::*;

    fn row(seed: u8) -> Row {
        let arithmetic = Arithmetic::Corrected;
        let cut = Cut {
            arithmetic,
            extent: Extent::Both,
            planes: vec![seed; bytes_len(arithmetic)],
        };
        let sums = [2, 3, 4].map(|s| vec![u16::from(seed); sums_len(arithmetic, s)]);
        Row {
            cut,
            coverage: 0.25,
            sums,
        }
    }

    fn write(path: &Path) {
        let mut writer = Writer::create(path, "key", Arithmetic::Corrected, 3).unwrap();
        writer.push(&row(1)).unwrap();
        writer.push(&row(2)).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn rows_come_back_and_anything_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper").join("index");
        write(&path);
        let open = |key, arithmetic| Store::open(&path, key, arithmetic);
        let store = open("key", Arithmetic::Corrected).unwrap();
        assert_eq!((store.count, store.coverages[1]), (2, 0.25));
        assert!(store.bytes(1).iter().all(|&b| b == 2));
        assert!(store.sums(0, 1, 4).iter().all(|&v| v == 1));
        assert_eq!(store.sums(1, 0, 2).len(), 3 * 128 * 128);
        drop(store);
        assert!(open("other", Arithmetic::Corrected).is_none());
        assert!(open("key", Arithmetic::Reference).is_none());
        let names: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(names.len(), 1, "the temporary file is gone");

        let whole = std::fs::read(&path).unwrap();
        for length in [0, 8, 4095, 4096, 9000, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(open("key", Arithmetic::Corrected).is_none(), "{length} bytes");
        }
        for at in [0, 8, 12, 16, COUNT_AT, COUNT_AT + 8, COUNT_AT + 15, 40, PAGE] {
            let mut broken = whole.clone();
            broken[at] ^= 0x80;
            std::fs::write(&path, &broken).unwrap();
            assert!(open("key", Arithmetic::Corrected).is_none(), "byte {at} flipped");
        }
    }

    #[test]
    fn a_builder_takes_no_more_than_promised() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut writer = Writer::create(&path, "key", Arithmetic::Corrected, 1).unwrap();
        writer.push(&row(1)).unwrap();
        assert!(matches!(writer.push(&row(1)), Err(SimilarityError::Full(1))));
    }
}
