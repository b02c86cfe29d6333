//! NumPy's `.npz` archives of one-dimensional arrays of whole numbers, as `np.savez(file, *lists)` writes them.

use super::{names, open_archive, part, write_archive};
use crate::study::Problem;
use std::path::Path;

const HEADLINE: &str = "This NumPy archive cannot be used";
const ADVICE: &str = "One-dimensional arrays of whole numbers called arr_0, arr_1, … are read, one for each layer, as \
                      np.savez(FILE, *lists) writes them.";
const MAGIC: &[u8] = b"\x93NUMPY";

/// Reads `arr_0`, `arr_1`, … as whole numbers of 32 bits. An empty array may be of any type: NumPy makes it float64.
///
/// # Errors
/// A problem that names the file and the array that is not of this kind.
pub fn read_arrays(path: &Path) -> Result<Vec<Vec<u32>>, Problem> {
    read(path).map_err(|reason| Problem::new(HEADLINE, ADVICE).at(path).detail(reason))
}

fn read(path: &Path) -> Result<Vec<Vec<u32>>, String> {
    let mut archive = open_archive(path)?;
    let names = names(&archive)?;
    let count = names.len();
    for name in &names {
        let index = name
            .strip_prefix("arr_")
            .and_then(|n| n.strip_suffix(".npy"))
            .and_then(|n| n.parse::<usize>().ok());
        if index.is_none_or(|index| index >= count) {
            return Err(format!(
                "it holds {name}; expected are arr_0.npy to arr_{}.npy",
                count.max(1) - 1
            ));
        }
    }
    (0..count)
        .map(|i| {
            let name = format!("arr_{i}.npy");
            let bytes = part(&mut archive, &name)?;
            array(&bytes).map_err(|reason| format!("{name}: {reason}"))
        })
        .collect()
}

fn array(bytes: &[u8]) -> Result<Vec<u32>, String> {
    let ends = "it ends in the middle";
    let rest = bytes.strip_prefix(MAGIC).ok_or("it is not a NumPy array")?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or(ends)?;
    let (length, rest) = if major == 1 {
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(ends)?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    } else {
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(ends)?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    let header = rest.get(..length).ok_or(ends)?;
    let data = &rest[length..];
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text")?;
    let kind = quoted(header, "descr").ok_or("its header names no type")?;
    let shape = after(header, "shape").ok_or("its header names no shape")?;
    let shape = shape
        .trim_start()
        .strip_prefix('(')
        .and_then(|s| s.split_once(')'))
        .ok_or("its shape is not understood")?
        .0;
    let sides: Vec<usize> = shape
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(|s| s.parse().map_err(|_| "its shape is not understood".to_owned()))
        .collect::<Result<_, String>>()?;
    let &[count] = sides.as_slice() else {
        return Err(format!("its shape is ({shape}); one dimension was expected"));
    };
    numbers(kind, data, count)
}

fn after<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let at = header.find(&format!("'{key}'"))?;
    let rest = header[at..].split_once(':')?.1;
    Some(rest.trim_start())
}

fn quoted<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let rest = after(header, key)?.strip_prefix('\'')?;
    Some(rest.split_once('\'')?.0)
}

fn numbers(kind: &str, data: &[u8], count: usize) -> Result<Vec<u32>, String> {
    fn each<const N: usize>(data: &[u8], count: usize, read: fn([u8; N]) -> f64) -> Result<Vec<u32>, String> {
        let cells = data.as_chunks::<N>().0;
        let cells = cells
            .get(..count)
            .ok_or_else(|| format!("it has {} of {count} values", cells.len()))?;
        cells
            .iter()
            .map(|cell| {
                let value = read(*cell);
                let whole = value >= 0.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0;
                whole
                    .then_some(value as u32)
                    .ok_or_else(|| format!("{value} is not a neuron's number"))
            })
            .collect()
    }
    match kind {
        "<i8" => each(data, count, |b| i64::from_le_bytes(b) as f64),
        "<u8" => each(data, count, |b| u64::from_le_bytes(b) as f64),
        "<i4" => each(data, count, |b| f64::from(i32::from_le_bytes(b))),
        "<u4" => each(data, count, |b| f64::from(u32::from_le_bytes(b))),
        "<i2" => each(data, count, |b| f64::from(i16::from_le_bytes(b))),
        "<u2" => each(data, count, |b| f64::from(u16::from_le_bytes(b))),
        "|u1" => each(data, count, |[b]: [u8; 1]| f64::from(b)),
        "|i1" => each(data, count, |b| f64::from(i8::from_le_bytes(b))),
        "<f8" => each(data, count, f64::from_le_bytes),
        "<f4" => each(data, count, |b| f64::from(f32::from_le_bytes(b))),
        other => Err(format!("its type is {other}; whole numbers were expected")),
    }
}

/// Writes `arr_0`, `arr_1`, … as `np.savez` does: int64, and float64 where empty.
///
/// # Errors
/// A file that cannot be written.
pub fn write_arrays(path: &Path, lists: &[Vec<u32>]) -> Result<(), Problem> {
    let parts: Vec<(String, Vec<u8>)> = lists
        .iter()
        .enumerate()
        .map(|(i, list)| {
            let kind = if list.is_empty() { "<f8" } else { "<i8" };
            let mut header = format!(
                "{{'descr': '{kind}', 'fortran_order': False, 'shape': ({},), }}",
                list.len()
            );
            // Magic, version and length take ten bytes; all of it fills blocks of 64 and ends in a new line.
            while (10 + header.len() + 1) % 64 != 0 {
                header.push(' ');
            }
            header.push('\n');
            let mut bytes = MAGIC.to_vec();
            bytes.extend_from_slice(&[1, 0]);
            bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend(list.iter().flat_map(|n| i64::from(*n).to_le_bytes()));
            (format!("arr_{i}.npy"), bytes)
        })
        .collect();
    write_archive(path, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.npz");
        let lists = vec![vec![7, 3, 1279], vec![], vec![0]];
        write_arrays(&path, &lists).unwrap();
        assert_eq!(read_arrays(&path).unwrap(), lists);
    }

    #[test]
    fn what_is_no_list_of_neurons_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.npz");
        let header = |text: &str, data: &[u8]| {
            let mut bytes = MAGIC.to_vec();
            bytes.extend_from_slice(&[1, 0]);
            bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
            bytes.extend_from_slice(data);
            bytes
        };
        let minus = (-1i64).to_le_bytes();
        for (name, bytes, words) in [
            ("arr_0.npy", b"hello".to_vec(), "not a NumPy array"),
            ("arr_0.npy", MAGIC.to_vec(), "ends"),
            ("weights.npy", Vec::new(), "weights.npy"),
            ("arr_7.npy", Vec::new(), "arr_7.npy"),
            (
                "arr_0.npy",
                header("{'descr': '<i8', 'shape': (2, 2), }", &[0; 32]),
                "one dimension",
            ),
            (
                "arr_0.npy",
                header("{'descr': '<i8', 'shape': (9,), }", &[0; 8]),
                "1 of 9",
            ),
            (
                "arr_0.npy",
                header("{'descr': '<i8', 'shape': (99999999999999999999,), }", &[]),
                "not understood",
            ),
            (
                "arr_0.npy",
                header("{'descr': '<i8', 'shape': (1,), }", &minus),
                "-1 is not",
            ),
            (
                "arr_0.npy",
                header("{'descr': '|O', 'shape': (1,), }", &[0; 8]),
                "|O",
            ),
            (
                "arr_0.npy",
                header("{'descr': '<f8', 'shape': (1,), }", &1.5f64.to_le_bytes()),
                "1.5 is not",
            ),
        ] {
            write_archive(&path, &[(name.to_owned(), bytes)]).unwrap();
            let problem = read_arrays(&path).unwrap_err().to_string();
            assert!(problem.contains(words), "{problem}");
        }
        std::fs::write(&path, "no zip").unwrap();
        assert!(read_arrays(&path).unwrap_err().to_string().contains("zip"));
        let empty = header("{'descr': '<f8', 'shape': (0,), }", &[]);
        write_archive(&path, &[("arr_0.npy".to_owned(), empty)]).unwrap();
        assert_eq!(read_arrays(&path).unwrap(), [Vec::<u32>::new()]);
    }
}
