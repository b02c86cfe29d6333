//! Clusters of prompts by their text embeddings, kept in a file, so that a new prompt finds its cluster later.

use super::cluster_neurons::Centroids;
use crate::study::{ClusterEdit, ClusterPlace, Edit, Embedding, Problem, distance, is_outside};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    path::Path,
};

/// 4096 clusters of SD 1.x embeddings have 970 MB.
const MAX_BYTES: u64 = 1 << 30;

/// Clusters with what is needed to say how surely a new prompt belongs to one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptClusters {
    /// Their middles.
    pub centroids: Centroids,
    /// Prompts of each, and the largest distance of one of them to the middle.
    pub members: BTreeMap<u32, (u32, f32)>,
    /// Mean silhouette of the prompts, `[-1, 1]`, if it was measured: near 0 the clusters run into each other.
    pub silhouette: Option<f32>,
}

impl PromptClusters {
    /// Clusters of embeddings with labels.
    pub fn of_labels(embeddings: &[Vec<f32>], labels: &[Option<u32>], silhouette: Option<f64>) -> Self {
        let centroids = Centroids::of_labels(embeddings, labels);
        let mut members = BTreeMap::<u32, (u32, f32)>::new();
        for (embedding, label) in embeddings.iter().zip(labels) {
            if let Some((label, middle)) = label.and_then(|l| Some((l, centroids.of.get(&l)?))) {
                let entry = members.entry(label).or_default();
                entry.0 += 1;
                entry.1 = entry.1.max(distance(middle, embedding) as f32);
            }
        }
        Self {
            centroids,
            members,
            silhouette: silhouette.map(|s| s as f32),
        }
    }

    /// Where a prompt falls; `None` without clusters. The margin is the prompt's simplified silhouette.
    pub fn place(&self, embedding: &[f32]) -> Option<ClusterPlace> {
        let nearest = self.centroids.nearest(embedding)?;
        let reach = self.members.get(&nearest.cluster).map(|m| m.1);
        Some(ClusterPlace {
            cluster: nearest.cluster,
            distance: nearest.distance as f32,
            margin: nearest.margin as f32,
            outside: reach.is_some_and(|r| is_outside(nearest.distance, r)),
        })
    }

    /// The clusters as edits of a variant, each with its own of `edits`; `tokens` is the text encoder's length.
    pub fn variant_edits(&self, tokens: usize, mut edits: BTreeMap<u32, Vec<Edit>>) -> Vec<Edit> {
        let edit = |(&cluster, middle): (&u32, &Vec<f32>)| {
            let (prompts, reach) = self.members.get(&cluster).copied().unwrap_or((0, f32::INFINITY));
            Edit::Cluster(ClusterEdit {
                cluster,
                prompts,
                reach,
                middle: Embedding {
                    tokens,
                    width: middle.len() / tokens.max(1),
                    values: middle.as_slice().into(),
                },
                edits: edits.remove(&cluster).unwrap_or_default(),
            })
        };
        self.centroids.of.iter().map(edit).collect()
    }

    /// Values of an embedding; 0 without clusters.
    pub fn width(&self) -> usize {
        self.centroids.of.values().next().map_or(0, Vec::len)
    }

    /// Writes `centroids [k, width]`, `clusters [k]`, `prompts [k]`, `reach [k]` and, where known, `silhouette [1]` as
    /// safetensors.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Problem> {
        let floats =
            |values: &mut dyn Iterator<Item = f32>| values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
        let whole =
            |values: &mut dyn Iterator<Item = u32>| values.flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
        let (k, width) = (self.centroids.of.len(), self.width());
        let member = |l: &u32| self.members.get(l).copied().unwrap_or_default();
        let labels = || self.centroids.of.keys();
        let mut parts = vec![
            (
                "centroids",
                Dtype::F32,
                vec![k, width],
                floats(&mut self.centroids.of.values().flatten().copied()),
            ),
            ("clusters", Dtype::U32, vec![k], whole(&mut labels().copied())),
            (
                "prompts",
                Dtype::U32,
                vec![k],
                whole(&mut labels().map(|l| member(l).0)),
            ),
            (
                "reach",
                Dtype::F32,
                vec![k],
                floats(&mut labels().map(|l| member(l).1)),
            ),
        ];
        if let Some(silhouette) = self.silhouette {
            parts.push((
                "silhouette",
                Dtype::F32,
                vec![1],
                silhouette.to_le_bytes().to_vec(),
            ));
        }
        let failed = |reason: String| {
            Problem::new(
                "The clusters cannot be written",
                "Free space, or name another file.",
            )
            .at(path)
            .detail(reason)
        };
        let views = parts
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        let about = HashMap::from([("what".to_owned(), "clusters of prompts".to_owned())]);
        let bytes = views
            .and_then(|views| safetensors::serialize(views, Some(about)))
            .map_err(|e| failed(e.to_string()))?;
        std::fs::write(path, bytes).map_err(|e| failed(e.to_string()))
    }

    /// Reads them back.
    ///
    /// # Errors
    /// A problem that names the tensor which is missing or not as expected.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let refused = |reason: String| {
            Problem::new(
                "These clusters of prompts cannot be used",
                "Name a file that pentimento locate --method nemo-cluster wrote.",
            )
            .at(path)
            .detail(reason)
        };
        let io = |e: std::io::Error| Problem::io("The clusters cannot be read", path, &e);
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(io)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(refused(format!("the file is larger than {MAX_BYTES} bytes")));
        }
        let tensors =
            SafeTensors::deserialize(&bytes).map_err(|e| refused(format!("not a safetensors file: {e}")))?;
        let four = |name: &str, dtype: Dtype, dims: usize| -> Result<(Vec<usize>, Vec<[u8; 4]>), Problem> {
            let tensor = tensors
                .tensor(name)
                .map_err(|_| refused(format!("the tensor {name} is missing")))?;
            if tensor.dtype() != dtype || tensor.shape().len() != dims {
                return Err(refused(format!(
                    "{name} is {:?} {:?}; {dtype:?} with {dims} dimensions is needed",
                    tensor.dtype(),
                    tensor.shape()
                )));
            }
            let values = tensor.data().chunks_exact(4).map(|c| [c[0], c[1], c[2], c[3]]);
            Ok((tensor.shape().to_vec(), values.collect()))
        };
        let (shape, values) = four("centroids", Dtype::F32, 2)?;
        let (k, width) = (shape[0], shape[1]);
        let column = |name: &str, dtype: Dtype| -> Result<Vec<[u8; 4]>, Problem> {
            let (shape, values) = four(name, dtype, 1)?;
            if shape[0] != k {
                return Err(refused(format!(
                    "{name} has {} values for {k} clusters",
                    shape[0]
                )));
            }
            Ok(values)
        };
        let floats = |values: Vec<[u8; 4]>, name: &str| -> Result<Vec<f32>, Problem> {
            let values: Vec<f32> = values.into_iter().map(f32::from_le_bytes).collect();
            match values.iter().position(|v| !v.is_finite()) {
                Some(at) => Err(refused(format!("value {at} of {name} is not finite"))),
                None => Ok(values),
            }
        };
        if k == 0 || width == 0 {
            return Err(refused("there is no cluster in it".to_owned()));
        }
        let values = floats(values, "centroids")?;
        let labels: Vec<u32> = column("clusters", Dtype::U32)?
            .into_iter()
            .map(u32::from_le_bytes)
            .collect();
        let prompts = column("prompts", Dtype::U32)?.into_iter().map(u32::from_le_bytes);
        let reach = floats(column("reach", Dtype::F32)?, "reach")?;
        let members: BTreeMap<u32, (u32, f32)> = labels.iter().copied().zip(prompts.zip(reach)).collect();
        if members.len() != k {
            return Err(refused("a cluster is there twice".to_owned()));
        }
        let silhouette = match tensors.tensor("silhouette") {
            Ok(_) => floats(four("silhouette", Dtype::F32, 1)?.1, "silhouette")?
                .first()
                .copied(),
            Err(_) => None,
        };
        let middles = values.chunks_exact(width).map(<[f32]>::to_vec);
        Ok(Self {
            centroids: Centroids {
                of: labels.into_iter().zip(middles).collect(),
            },
            members,
            silhouette,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// scikit-learn's (`tools/fixtures/prompt_clusters.py`).
    #[derive(Deserialize)]
    struct Fixture {
        points: Vec<Vec<f32>>,
        labels: Vec<u32>,
        centroids: Vec<Vec<f32>>,
        reach: Vec<f64>,
        new: Vec<New>,
    }

    #[derive(Deserialize)]
    struct New {
        point: Vec<f32>,
        cluster: u32,
        distance: f64,
        margin: f64,
    }

    fn fixture() -> (Fixture, PromptClusters) {
        let text = include_str!("../../tests/fixtures/clustering/prompts.json");
        let fixture: Fixture = serde_json::from_str(text).unwrap();
        let labels: Vec<Option<u32>> = fixture.labels.iter().copied().map(Some).collect();
        let clusters = PromptClusters::of_labels(&fixture.points, &labels, Some(0.25));
        (fixture, clusters)
    }

    #[test]
    fn new_prompts_fall_where_scikit_learn_puts_them() {
        let (fixture, clusters) = fixture();
        for (label, middle) in &clusters.centroids.of {
            let theirs = &fixture.centroids[*label as usize];
            // Means in f64 on our side, f32 on theirs.
            assert!(
                middle.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-5),
                "{label}"
            );
            let reach = f64::from(clusters.members[label].1);
            assert!((reach - fixture.reach[*label as usize]).abs() < 1e-4, "{label}");
        }
        let mut outside = 0;
        for new in &fixture.new {
            let place = clusters.place(&new.point).unwrap();
            assert_eq!(place.cluster, new.cluster);
            assert!((f64::from(place.distance) - new.distance).abs() < 1e-4);
            assert!((f64::from(place.margin) - new.margin).abs() < 1e-4);
            assert_eq!(place.outside, new.distance > fixture.reach[new.cluster as usize]);
            outside += usize::from(place.outside);
        }
        assert!(outside > 0 && outside < fixture.new.len());
        // No prompt that made a cluster lies outside of it.
        let inside = |p: &Vec<f32>| !clusters.place(p).unwrap().outside;
        assert!(fixture.points.iter().all(inside));
    }

    #[test]
    fn clusters_come_back_from_their_file_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.safetensors");
        let (_, clusters) = fixture();
        clusters.write(&path).unwrap();
        assert_eq!(PromptClusters::read(&path).unwrap(), clusters);
        let mut broken = clusters.clone();
        broken.members.clear();
        if let Some(middle) = broken.centroids.of.get_mut(&0) {
            middle[3] = f32::NAN;
        }
        broken.write(&path).unwrap();
        let said = PromptClusters::read(&path).unwrap_err().to_string();
        assert!(said.contains("value 3 of centroids"), "{said}");
        PromptClusters::default().write(&path).unwrap();
        assert!(
            PromptClusters::read(&path)
                .unwrap_err()
                .to_string()
                .contains("no cluster")
        );
        std::fs::write(&path, "no").unwrap();
        assert!(
            PromptClusters::read(&path)
                .unwrap_err()
                .to_string()
                .contains("safetensors")
        );
        assert_eq!(PromptClusters::default().place(&[1.0]), None);
    }
}
