//! `torch.save((list of 1-D tensors, …))`: NeMo's statistics are two lists, means and deviations.

use super::{
    names, open_archive, part,
    pickle::{self, Pickle, Place, Value},
    write_archive,
};
use crate::study::Problem;
use std::path::Path;

const HEADLINE: &str = "This PyTorch file cannot be used";
const ADVICE: &str = "Only plain lists of f32 tensors are read, as NeMo's statistics_*.pt. Other files can be made so in \
                      Python: torch.save(([means], [deviations]), FILE).";

/// Reads a tuple or list of lists of one-dimensional f32 tensors. Nothing in the file is executed.
///
/// # Errors
/// A problem that names the file and what in it is foreign or damaged.
pub fn read_tensor_lists(path: &Path) -> Result<Vec<Vec<Vec<f32>>>, Problem> {
    read(path).map_err(|reason| Problem::new(HEADLINE, ADVICE).at(path).detail(reason))
}

fn read(path: &Path) -> Result<Vec<Vec<Vec<f32>>>, String> {
    let mut archive = open_archive(path)?;
    let names = names(&archive)?;
    let root = names
        .iter()
        .find_map(|name| {
            name.strip_suffix("data.pkl")
                .filter(|root| root.matches('/').count() <= 1)
        })
        .ok_or("it holds no data.pkl")?
        .to_owned();
    if let Ok(order) = part(&mut archive, &format!("{root}byteorder"))
        && order.trim_ascii() != b"little"
    {
        return Err("its numbers are big-endian".to_owned());
    }
    let pickle = pickle::read(&part(&mut archive, &format!("{root}data.pkl"))?)?;
    let mut lists = Vec::new();
    for list in sequence(&pickle, pickle.root)? {
        let mut tensors = Vec::new();
        for tensor in sequence(&pickle, *list)? {
            let Value::Tensor {
                key,
                offset,
                shape,
                contiguous: true,
            } = &pickle.values[*tensor]
            else {
                return Err("an entry of its lists is not a contiguous tensor".to_owned());
            };
            let [length] = shape.as_slice() else {
                return Err(format!(
                    "a tensor has shape {shape:?}; one dimension was expected"
                ));
            };
            let bytes = part(&mut archive, &format!("{root}data/{key}"))?;
            let cells = bytes.as_chunks::<4>().0;
            let cells = cells.get(*offset..offset + length);
            let cells = cells.ok_or_else(|| format!("{root}data/{key} is shorter than its tensor"))?;
            tensors.push(cells.iter().map(|cell| f32::from_le_bytes(*cell)).collect());
        }
        lists.push(tensors);
    }
    Ok(lists)
}

fn sequence(pickle: &Pickle, place: Place) -> Result<&[Place], String> {
    match &pickle.values[place] {
        Value::Sequence(items) => Ok(items),
        _ => Err("it is not a list of lists of tensors".to_owned()),
    }
}

/// Writes a tuple of lists of one-dimensional tensors as `torch.load` reads it.
///
/// # Errors
/// A file that cannot be written.
pub fn write_tensor_lists(path: &Path, lists: &[Vec<Vec<f32>>]) -> Result<(), Problem> {
    let mut pickle = vec![0x80, 2, b'('];
    let mut parts = Vec::new();
    for list in lists {
        pickle.extend_from_slice(b"](");
        for values in list {
            let key = parts.len().to_string();
            pickle.extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text(&mut pickle, "storage");
            pickle.extend_from_slice(b"ctorch\nFloatStorage\n");
            text(&mut pickle, &key);
            text(&mut pickle, "cpu");
            number(&mut pickle, values.len());
            pickle.extend_from_slice(b"tQK\x00");
            number(&mut pickle, values.len());
            pickle.extend_from_slice(b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR");
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            parts.push((format!("archive/data/{key}"), bytes));
        }
        pickle.push(b'e');
    }
    pickle.extend_from_slice(b"t.");
    let mut all = vec![
        ("archive/data.pkl".to_owned(), pickle),
        ("archive/byteorder".to_owned(), b"little".to_vec()),
    ];
    all.extend(parts);
    all.push(("archive/version".to_owned(), b"3\n".to_vec()));
    write_archive(path, &all)
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend_from_slice(&(text.len() as u32).to_le_bytes());
    pickle.extend_from_slice(text.as_bytes());
}

fn number(pickle: &mut Vec<u8>, number: usize) {
    pickle.push(b'J');
    // Lengths of layers are far below 2³¹.
    pickle.extend_from_slice(&i32::try_from(number).unwrap_or(i32::MAX).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(pickle: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.pt");
        let parts = [
            ("archive/data.pkl".to_owned(), pickle.to_vec()),
            ("archive/data/0".to_owned(), vec![0; 8]),
        ];
        write_archive(&path, &parts).unwrap();
        (folder, path)
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.pt");
        let lists = vec![
            vec![vec![1.5, -2.0], vec![0.25]],
            vec![vec![3.0, 4.0], vec![f32::MAX]],
        ];
        write_tensor_lists(&path, &lists).unwrap();
        assert_eq!(read_tensor_lists(&path).unwrap(), lists);
    }

    #[test]
    fn foreign_imports_are_refused_by_name() {
        let (_folder, path) = file(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.");
        let problem = read_tensor_lists(&path).unwrap_err().to_string();
        assert!(problem.contains("posix.system"), "{problem}");
    }

    #[test]
    fn damaged_pickles_are_errors() {
        let tensor = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n";
        let rest = b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x09tQK\x00K\x09\x85K\x01\x85\x89Nt";
        let mut large = b"\x80\x02]](".to_vec();
        large.extend_from_slice(tensor);
        large.extend_from_slice(rest);
        large.extend_from_slice(b"Rea.");
        for (pickle, words) in [
            (b"".as_slice(), "ends"),
            (b"\x80\x02", "ends"),
            (b"\x80\x04.", "protocol 4"),
            (b"\x80\x02R.", "not there"),
            (b"\x80\x02t.", "did not open"),
            (b"\x80\x02X\xff\xff\xff\xffabc", "ends"),
            (b"\x80\x02h\x07.", "did not remember"),
            (b"\x80\x02K\x01.", "not a list"),
            (b"\x80\x02]K\x01a.", "not a list"),
            (b"\x80\x02]](K\x01ea.", "not a contiguous tensor"),
            (b"\x80\x02\x81.", "0x81"),
            (&large, "shorter than its tensor"),
        ] {
            let (_folder, path) = file(pickle);
            let problem = read_tensor_lists(&path).unwrap_err().to_string();
            assert!(problem.contains(words), "{problem}");
        }
        // Doubling by memory stays small: values are shared, not copied.
        let mut bomb = b"\x80\x02]q\x00".to_vec();
        for _ in 0..40 {
            bomb.extend_from_slice(b"h\x00h\x00\x86q\x00");
        }
        bomb.push(b'.');
        let (_folder, path) = file(&bomb);
        assert!(read_tensor_lists(&path).is_err());
    }
}
