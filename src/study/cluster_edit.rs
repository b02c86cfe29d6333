//! Edits for the prompts of one cluster, and the cluster that a prompt falls in (FB-Mem's NeMo-C).

use super::{Edit, Embedding, Variant};
use serde::{Deserialize, Serialize};

/// Edits of weights for the prompts of one cluster. A variant's clusters belong together: a prompt gets the edits of the
/// one whose middle is nearest to its text embedding, and no other's.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterEdit {
    /// Its number.
    pub cluster: u32,
    /// Number of prompts it was made of.
    pub prompts: u32,
    /// Largest distance of one of them to the middle; infinite if unknown.
    pub reach: f32,
    /// Mean of their text embeddings, padding included, not scaled.
    pub middle: Embedding,
    /// Neurons and masks; may be empty, for a cluster that is left as it is.
    pub edits: Vec<Edit>,
}

/// The nearest of several middles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assignment {
    /// The nearest cluster.
    pub cluster: u32,
    /// Euclidean distance to its middle.
    pub distance: f64,
    /// How sure: the share by which the second nearest middle is further away, 0 (between two clusters) to 1 (in the
    /// middle of one); 1 when there is only one cluster. The simplified silhouette of a point that was not clustered.
    pub margin: f64,
}

/// Where a prompt falls, as records keep it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterPlace {
    /// The nearest cluster.
    pub cluster: u32,
    /// Distance to its middle.
    pub distance: f32,
    /// As [`Assignment::margin`], `[0, 1]`.
    pub margin: f32,
    /// It lies further away than every prompt that made the cluster.
    #[serde(default)]
    pub outside: bool,
}

impl ClusterPlace {
    /// “cluster 3, margin 0.41”, and that it lies outside where it does.
    pub fn words(&self) -> String {
        let outside = if self.outside {
            ", further away than its own prompts"
        } else {
            ""
        };
        format!("cluster {}, margin {:.2}{outside}", self.cluster, self.margin)
    }
}

/// Euclidean distance, summed in f64.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

/// The nearest of middles with their numbers; `None` without any. Of equally near ones the first.
pub fn nearest<'a>(middles: impl Iterator<Item = (u32, &'a [f32])>, embedding: &[f32]) -> Option<Assignment> {
    let mut all: Vec<(f64, u32)> = middles
        .map(|(label, middle)| (distance(middle, embedding), label))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (distance, cluster) = *all.first()?;
    let margin = match all.get(1) {
        Some((second, _)) if *second > 0.0 => 1.0 - distance / second,
        Some(_) => 0.0,
        None => 1.0,
    };
    Some(Assignment {
        cluster,
        distance,
        margin,
    })
}

/// Whether a distance is beyond a cluster's reach: one of its own prompts lies exactly there, give or take the rounding.
pub fn is_outside(distance: f64, reach: f32) -> bool {
    distance > f64::from(reach) * (1.0 + 1e-5)
}

/// Where an embedding falls among clusters.
pub fn place<'a>(
    clusters: impl Iterator<Item = &'a ClusterEdit> + Clone,
    embedding: &[f32],
) -> Option<ClusterPlace> {
    let found = nearest(
        clusters.clone().map(|c| (c.cluster, &*c.middle.values)),
        embedding,
    )?;
    let reach = clusters.into_iter().find(|c| c.cluster == found.cluster)?.reach;
    Some(ClusterPlace {
        cluster: found.cluster,
        distance: found.distance as f32,
        margin: found.margin as f32,
        outside: is_outside(found.distance, reach),
    })
}

impl Variant {
    /// Its clusters, in order.
    pub fn clusters(&self) -> impl Iterator<Item = &ClusterEdit> + Clone {
        self.edits.iter().filter_map(|edit| match edit {
            Edit::Cluster(cluster) => Some(cluster),
            _ => None,
        })
    }

    /// The variant as prompts of one cluster see it: that cluster's edits in its place, those of others left out.
    /// `None` if there is no such cluster.
    pub fn for_cluster(&self, number: u32) -> Option<Self> {
        self.clusters().find(|c| c.cluster == number)?;
        let edits = self.edits.iter().flat_map(|edit| match edit {
            Edit::Cluster(cluster) if cluster.cluster == number => cluster.edits.clone(),
            Edit::Cluster(_) => Vec::new(),
            other => vec![other.clone()],
        });
        // Room for the ending within the longest name.
        let stem: String = self.name.chars().take(Self::MAX_NAME - 20).collect();
        Some(Self {
            name: format!("{stem}, cluster {number}"),
            edits: edits.collect(),
            ..self.clone()
        })
    }

    /// Checks the clusters against one another.
    pub(super) fn validate_clusters(&self) -> Result<(), String> {
        let mut first: Option<&ClusterEdit> = None;
        let mut numbers = std::collections::BTreeSet::new();
        let mut edits = 0;
        for cluster in self.clusters() {
            edits += cluster.edits.len();
            if !numbers.insert(cluster.cluster) {
                return Err(format!(
                    "cluster {} is there twice; the clusters of a variant must come from one grouping",
                    cluster.cluster
                ));
            }
            let size = |c: &ClusterEdit| (c.middle.tokens, c.middle.width);
            let first = *first.get_or_insert(cluster);
            if size(first) != size(cluster) {
                return Err(format!(
                    "the middle of cluster {} is {:?}, that of cluster {} {:?}",
                    cluster.cluster,
                    size(cluster),
                    first.cluster,
                    size(first)
                ));
            }
        }
        if edits > Self::MAX_EDITS {
            return Err(format!(
                "the clusters have {edits} edits; at most {} are possible",
                Self::MAX_EDITS
            ));
        }
        Ok(())
    }
}

impl ClusterEdit {
    /// Checks what can be checked without the checkpoint.
    pub(super) fn validate(&self) -> Result<(), String> {
        let number = self.cluster;
        self.middle
            .validate()
            .map_err(|reason| format!("middle of cluster {number}: {reason}"))?;
        if self.reach.is_nan() || self.reach < 0.0 {
            return Err(format!("the reach of cluster {number} is {}", self.reach));
        }
        for (i, edit) in self.edits.iter().enumerate() {
            let said = |reason: &str| format!("cluster {number}, edit {}: {reason}", i + 1);
            if !matches!(edit, Edit::Neurons(_) | Edit::Mask(_)) {
                return Err(said("only neurons and masks can hold for a cluster"));
            }
            edit.validate().map_err(|reason| said(&reason))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{GuidanceSchedule, LayerRef, NeuronEdit, Transition};

    fn neurons(neuron: u32) -> Edit {
        Edit::Neurons(NeuronEdit {
            layer: LayerRef::Index(0),
            neurons: vec![neuron],
            factor: 0.0,
            when: None,
        })
    }

    fn cluster(number: u32, at: f32, edits: Vec<Edit>) -> Edit {
        Edit::Cluster(ClusterEdit {
            cluster: number,
            prompts: 2,
            reach: 1.0,
            middle: Embedding {
                tokens: 1,
                width: 2,
                values: [at, 0.0].into(),
            },
            edits,
        })
    }

    fn variant(edits: Vec<Edit>) -> Variant {
        Variant {
            name: "v".into(),
            edits,
            ..Variant::default()
        }
    }

    #[test]
    fn a_prompt_falls_to_the_nearest_middle_and_sees_its_edits_alone() {
        let v = variant(vec![
            neurons(9),
            cluster(3, 0.0, vec![neurons(1)]),
            cluster(5, 10.0, vec![]),
        ]);
        v.validate().unwrap();
        let at = place(v.clusters(), &[4.0, 0.0]).unwrap();
        assert_eq!((at.cluster, at.distance, at.outside), (3, 4.0, true));
        assert!((at.margin - 1.0 / 3.0).abs() < 1e-6);
        assert!(!place(v.clusters(), &[9.0, 0.0]).unwrap().outside);
        assert!(at.words().contains("cluster 3, margin 0.33, further"));
        let three = v.for_cluster(3).unwrap();
        assert_eq!(three.edits, [neurons(9), neurons(1)]);
        assert_eq!(v.for_cluster(5).unwrap().edits, [neurons(9)]);
        assert_eq!(v.for_cluster(4), None);
    }

    #[test]
    fn clusters_that_do_not_belong_together_are_refused_by_number() {
        let said = |edits| variant(edits).validate().unwrap_err();
        let twice = said(vec![cluster(3, 0.0, vec![]), cluster(3, 1.0, vec![])]);
        assert!(twice.contains("cluster 3 is there twice"), "{twice}");
        let schedule = Edit::Guidance(GuidanceSchedule {
            before: 0.0,
            transition: Transition::FirstMinimum,
        });
        let inner = said(vec![cluster(2, 0.0, vec![neurons(1), schedule])]);
        assert!(
            inner.contains("edit 1: cluster 2, edit 2: only neurons and masks"),
            "{inner}"
        );
        let nan = said(vec![cluster(2, f32::NAN, vec![])]);
        assert!(nan.contains("middle of cluster 2"), "{nan}");
    }
}
