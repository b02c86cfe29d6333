//! FB-Mem's cluster mitigation: prompts are put into groups by their text embeddings, and with every prompt of a group
//! the neurons of all its prompts are switched off.

use super::{
    MitigationError, files,
    neurons::{NeuronLists, NeuronRow, ValueLayers},
};
use crate::{
    diffusion::Pipeline,
    study::{self, Assignment, Problem},
};
use candle_core::DType;
use std::{collections::BTreeMap, path::Path};

/// Neurons of every cluster: the union of the refined neurons of its prompts, per layer, in the order in which they are
/// first seen. `labels` are the clusters of the rows; rows without one are passed over.
///
/// # Errors
/// Rows with different numbers of layers.
pub fn unions(
    rows: &[NeuronRow],
    labels: &[Option<u32>],
) -> Result<BTreeMap<u32, NeuronLists>, MitigationError> {
    let mut unions: BTreeMap<u32, NeuronLists> = BTreeMap::new();
    let layers = rows.first().map_or(0, |row| row.refined.len());
    for (row, label) in rows.iter().zip(labels) {
        if row.refined.len() != layers {
            return Err(MitigationError::Request(format!(
                "“{}” has neurons of {} layers, the first prompt of {layers}; the table mixes architectures",
                row.caption,
                row.refined.len()
            )));
        }
        let Some(label) = label else { continue };
        let union = unions.entry(*label).or_insert_with(|| vec![Vec::new(); layers]);
        for (union, list) in union.iter_mut().zip(&row.refined) {
            for neuron in list {
                if !union.contains(neuron) {
                    union.push(*neuron);
                }
            }
        }
    }
    Ok(unions)
}

/// Reads `neurons_cluster_*.npz` and checks it against a network.
///
/// # Errors
/// A problem that names the file and the array, layer or neuron that is not as expected.
pub fn read_npz(path: &Path, layers: &ValueLayers) -> Result<NeuronLists, Problem> {
    let lists = files::read_arrays(path)?;
    layers.check(&lists).map_err(|reason| {
        Problem::new(
            "These neurons are not of this checkpoint",
            "Name the archive that was made for this checkpoint's architecture.",
        )
        .at(path)
        .detail(reason)
    })?;
    Ok(lists)
}

/// Writes neurons as FB-Mem's code does.
///
/// # Errors
/// A file that cannot be written.
pub fn write_npz(path: &Path, neurons: &[Vec<u32>]) -> Result<(), Problem> {
    files::write_arrays(path, neurons)
}

/// The text embedding of a prompt as clustering takes it: all tokens with padding, one after the other, not scaled.
///
/// # Errors
/// Failures of the tensor library.
pub fn flat_embedding(pipeline: &Pipeline, prompt: &str) -> Result<Vec<f32>, MitigationError> {
    let embedding = pipeline.encode_prompts(&[prompt])?.to_dtype(DType::F32)?;
    Ok(embedding.flatten_all()?.to_vec1::<f32>()?)
}

/// Middles of clusters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Centroids {
    /// Cluster and middle.
    pub of: BTreeMap<u32, Vec<f32>>,
}

impl Centroids {
    /// Means of the embeddings with the same label.
    pub fn of_labels(embeddings: &[Vec<f32>], labels: &[Option<u32>]) -> Self {
        let mut sums: BTreeMap<u32, (f64, Vec<f64>)> = BTreeMap::new();
        for (embedding, label) in embeddings.iter().zip(labels) {
            let Some(label) = label else { continue };
            let (count, sum) = sums
                .entry(*label)
                .or_insert_with(|| (0.0, vec![0.0; embedding.len()]));
            *count += 1.0;
            sum.iter_mut()
                .zip(embedding)
                .for_each(|(s, v)| *s += f64::from(*v));
        }
        let middle = |(label, (count, sum)): (u32, (f64, Vec<f64>))| {
            (label, sum.into_iter().map(|s| (s / count) as f32).collect())
        };
        Self {
            of: sums.into_iter().map(middle).collect(),
        }
    }

    /// The nearest middle, and how sure that is; `None` without clusters.
    pub fn nearest(&self, embedding: &[f32]) -> Option<Assignment> {
        study::nearest(self.of.iter().map(|(label, m)| (*label, &m[..])), embedding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(refined: NeuronLists) -> NeuronRow {
        NeuronRow {
            caption: "c".into(),
            refined,
            ..NeuronRow::default()
        }
    }

    #[test]
    fn unions_keep_the_order_of_first_sight() {
        let rows = [
            row(vec![vec![5, 1], vec![]]),
            row(vec![vec![9], vec![2]]),
            row(vec![vec![1, 7, 5], vec![2, 0]]),
        ];
        let unions = unions(&rows, &[Some(3), None, Some(3)]).unwrap();
        assert_eq!(unions, [(3, vec![vec![5, 1, 7], vec![2, 0]])].into());
        let odd = [row(vec![vec![1]]), row(vec![vec![1], vec![2]])];
        assert!(super::unions(&odd, &[Some(0); 2]).is_err());
    }

    #[test]
    fn new_prompts_fall_to_the_nearest_middle() {
        let embeddings = [vec![0.0, 0.0], vec![2.0, 0.0], vec![10.0, 0.0]];
        let middles = Centroids::of_labels(&embeddings, &[Some(0), Some(0), Some(4)]);
        assert_eq!(middles.of[&0], [1.0, 0.0]);
        let at = middles.nearest(&[1.0, 0.0]).unwrap();
        assert_eq!((at.cluster, at.distance, at.margin), (0, 0.0, 1.0));
        let between = middles.nearest(&[5.5, 0.0]).unwrap();
        assert!(between.margin < 1e-9);
        assert_eq!(middles.nearest(&[9.0, 0.0]).unwrap().cluster, 4);
        assert_eq!(Centroids::default().nearest(&[1.0]), None);
    }
}
