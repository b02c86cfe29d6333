//! Into which clusters prompts fall, and where new ones would.

use crate::{
    diffusion::Pipeline,
    memorization::{kmeans, silhouette},
    mitigation::{cluster_neurons::flat_embedding, prompt_clusters::PromptClusters},
    study::{ClusterPlace, Problem},
};
use std::sync::Arc;

/// How prompts are grouped, and what else is to be said.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// How.
    pub how: Clustering,
    /// Prompts to say the cluster of.
    pub ask: Vec<String>,
}

/// How prompts are grouped.
#[derive(Clone, Debug)]
pub enum Clustering {
    /// Each prompt's cluster is known.
    Labels(Vec<Option<u32>>),
    /// By k-means on their text embeddings.
    KMeans {
        /// Number of clusters.
        k: usize,
        /// Restarts, of which the tightest is taken.
        restarts: usize,
        /// Seed of the first middles.
        seed: u64,
    },
    /// Into the nearest of these.
    Given(Arc<PromptClusters>),
}

/// Prompts in their clusters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grouped {
    /// Cluster of each prompt.
    pub labels: Vec<Option<u32>>,
    /// The clusters.
    pub clusters: PromptClusters,
    /// Where the prompts that were asked about fall.
    pub asked: Vec<(String, ClusterPlace)>,
}

/// Groups prompts; runs in the current pool.
///
/// # Errors
/// Prompts that cannot be encoded; clusters of another text encoder.
pub fn group(
    pipeline: &Pipeline,
    prompts: &[&str],
    how: &Clustering,
    ask: &[String],
) -> Result<Grouped, Problem> {
    let embed = |text: &str| {
        flat_embedding(pipeline, text).map_err(|e| {
            Problem::new(
                "A prompt cannot be encoded",
                "Change it, or take it out of the list.",
            )
            .detail(format!("“{text}”"))
            .detail(e.to_string())
        })
    };
    let embeddings = prompts.iter().map(|p| embed(p)).collect::<Result<Vec<_>, _>>()?;
    let of_labels = |labels: Vec<Option<u32>>| {
        let labelled = embeddings.iter().zip(&labels);
        let (inside, given): (Vec<_>, Vec<_>) = labelled
            .filter_map(|(point, label)| Some((&point[..], (*label)?)))
            .unzip();
        let dim = embeddings.first().map_or(0, Vec::len);
        let tight = silhouette(&inside.concat(), dim, &given);
        let clusters = PromptClusters::of_labels(&embeddings, &labels, tight);
        (labels, clusters)
    };
    let (labels, clusters) = match how {
        Clustering::Given(clusters) => {
            let width = pipeline.tokenizer().length() * pipeline.unet().config().cross_attention_dim;
            if clusters.width() != width {
                return Err(Problem::new(
                    "These clusters were made with another text encoder",
                    "Group the prompts anew with --k-means.",
                )
                .detail(format!(
                    "embeddings have {} values, this checkpoint's have {width}",
                    clusters.width()
                )));
            }
            let label = |e: &Vec<f32>| clusters.place(e).map(|p| p.cluster);
            let labels = embeddings.iter().map(label).collect();
            (labels, PromptClusters::clone(clusters))
        }
        Clustering::Labels(labels) => of_labels(labels.clone()),
        Clustering::KMeans { k, restarts, seed } => {
            let dim = embeddings.first().map_or(0, Vec::len);
            let found = kmeans(&embeddings.concat(), dim, *k, *restarts, *seed);
            of_labels(found.labels.into_iter().map(Some).collect())
        }
    };
    let place = |text: &String| Ok(clusters.place(&embed(text)?).map(|place| (text.clone(), place)));
    let asked: Vec<Option<(String, ClusterPlace)>> = ask.iter().map(place).collect::<Result<_, Problem>>()?;
    Ok(Grouped {
        asked: asked.into_iter().flatten().collect(),
        labels,
        clusters,
    })
}
