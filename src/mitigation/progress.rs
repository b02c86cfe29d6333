//! How far a method came, as named lists of numbers that a later run takes up.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::{BTreeMap, HashMap};

/// Intermediate results. Numbers are f64, so that f32 comes back as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Lists by name.
    pub lists: BTreeMap<String, Vec<f64>>,
}

impl Progress {
    /// Adds a list of f32.
    pub fn put(&mut self, name: impl Into<String>, values: &[f32]) {
        let values = values.iter().map(|v| f64::from(*v)).collect();
        self.lists.insert(name.into(), values);
    }

    /// A list as f32; `None` when it is not there or has another length.
    pub fn floats(&self, name: &str, length: usize) -> Option<Vec<f32>> {
        let list = self.lists.get(name).filter(|l| l.len() == length)?;
        Some(list.iter().map(|v| *v as f32).collect())
    }

    /// A whole number, kept as a list of one.
    pub fn count(&self, name: &str) -> Option<usize> {
        match self.lists.get(name)?[..] {
            [n] if (0.0..1e9).contains(&n) && n.fract() == 0.0 => Some(n as usize),
            _ => None,
        }
    }

    /// Adds a whole number.
    pub fn put_count(&mut self, name: impl Into<String>, n: usize) {
        self.lists.insert(name.into(), vec![n as f64]);
    }

    /// As a safetensors file.
    ///
    /// # Errors
    /// Failures of the file format.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let data: Vec<(&str, Vec<u8>)> = self
            .lists
            .iter()
            .map(|(name, list)| (name.as_str(), list.iter().flat_map(|v| v.to_le_bytes()).collect()))
            .collect();
        let views = data
            .iter()
            .map(|(name, bytes)| Ok((*name, TensorView::new(Dtype::F64, vec![bytes.len() / 8], bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        let about = HashMap::from([("what".to_owned(), "progress of a search".to_owned())]);
        views
            .and_then(|views| safetensors::serialize(views, Some(about)))
            .map_err(|e| e.to_string())
    }

    /// From such a file; `None` for any other, or with numbers that are not finite.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let tensors = SafeTensors::deserialize(bytes).ok()?;
        let mut lists = BTreeMap::new();
        for (name, view) in tensors.tensors() {
            if view.dtype() != Dtype::F64 || view.shape().len() != 1 {
                return None;
            }
            let values: Vec<f64> = view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b))
                .collect();
            if values.iter().any(|v| !v.is_finite()) {
                return None;
            }
            lists.insert(name, values);
        }
        Some(Self { lists })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_bit_by_bit_and_other_files_are_passed_over() {
        let mut progress = Progress::default();
        progress.put("a", &[0.1, -0.0, 3.5e-42]);
        progress.put_count("n", 7);
        let back = Progress::read(&progress.bytes().unwrap()).unwrap();
        assert_eq!(back, progress);
        let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(back.floats("a", 3).unwrap()), bits(vec![0.1, -0.0, 3.5e-42]));
        assert_eq!((back.count("n"), back.floats("a", 2)), (Some(7), None));
        assert_eq!(Progress::read(b"no"), None);
        progress.lists.insert("x".into(), vec![f64::NAN]);
        assert_eq!(Progress::read(&progress.bytes().unwrap()), None);
    }
}
