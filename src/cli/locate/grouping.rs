//! `locate --method nemo-cluster`: into which clusters the prompts fall, and where new ones would.

use super::{LocateArgs, file_beside};
use crate::{
    cli::args::Common,
    memorization::{kmeans, silhouette},
    mitigation::{
        cluster_neurons::flat_embedding,
        prompt_clusters::{Place, PromptClusters},
    },
    study::{Problem, Prompt},
};

/// The prompts' clusters.
pub struct Grouping {
    /// Cluster of each prompt.
    pub labels: Vec<Option<u32>>,
    /// For new prompts.
    clusters: PromptClusters,
    /// What was asked about.
    asked: Vec<(String, Place)>,
}

/// Groups prompts: by the clusters of a file, by k-means, or as the list says (`listed`). The pipeline that encodes them is
/// gone when this returns.
pub fn group(
    args: &LocateArgs,
    common: &Common,
    prompts: &[Prompt],
    listed: Option<Vec<Option<u32>>>,
) -> Result<Grouping, Problem> {
    let (_, pipeline) = super::pipeline(args, common)?;
    let embed = |text: &str| {
        flat_embedding(&pipeline, text).map_err(|e| crate::cli::failed("A prompt cannot be encoded", &e))
    };
    let pool = crate::engine::compute_pool(common.threads)
        .map_err(|e| crate::cli::failed("Threads cannot be started", &e))?;
    pool.install(|| {
        let embeddings = prompts.iter().map(|p| embed(&p.text)).collect::<Result<Vec<_>, _>>()?;
        let (labels, clusters) = match &args.nemo.clusters {
            Some(file) => {
                let clusters = PromptClusters::read(file)?;
                let width = pipeline.tokenizer().length() * pipeline.unet().config().cross_attention_dim;
                if clusters.width() != width {
                    return Err(Problem::new(
                        "These clusters were made with another text encoder",
                        "Group the prompts anew with --k-means.",
                    )
                    .at(file)
                    .detail(format!("embeddings have {} values, this checkpoint's have {width}", clusters.width())));
                }
                let label = |e: &Vec<f32>| clusters.place(e).map(|p| p.nearest.cluster);
                (embeddings.iter().map(label).collect(), clusters)
            }
            None => {
                let dim = embeddings.first().map_or(0, Vec::len);
                let points: Vec<f32> = embeddings.iter().flatten().copied().collect();
                let labels: Vec<Option<u32>> = match args.nemo.k_means {
                    Some(k) => {
                        let seed = args.seed.unwrap_or(1);
                        let found = kmeans(&points, dim, k as usize, args.nemo.restarts as usize, seed);
                        found.labels.into_iter().map(Some).collect()
                    }
                    None => listed.ok_or_else(|| {
                        Problem::new(
                            "There are no clusters",
                            "Let k-means make them (--k-means 12), or name a prompt list with a column cluster.",
                        )
                    })?,
                };
                let (inside, given): (Vec<_>, Vec<_>) = labels
                    .iter()
                    .zip(points.chunks_exact(dim.max(1)))
                    .filter_map(|(label, point)| Some((point, (*label)?)))
                    .unzip();
                let tight = silhouette(&inside.concat(), dim, &given);
                let clusters = PromptClusters::of_labels(&embeddings, &labels, tight);
                (labels, clusters)
            }
        };
        let place = |text: &String| Ok(clusters.place(&embed(text)?).map(|place| (text.clone(), place)));
        let asked: Vec<Option<(String, Place)>> =
            args.nemo.ask.iter().map(place).collect::<Result<_, Problem>>()?;
        Ok(Grouping {
            asked: asked.into_iter().flatten().collect(),
            labels,
            clusters,
        })
    })
}

impl Grouping {
    /// Writes the clusters beside the variant, if they are new, and says what there is to say.
    pub fn tell(&self, args: &LocateArgs, prompts: &[Prompt]) -> Result<(), Problem> {
        if args.nemo.clusters.is_none() {
            let file = file_beside(args, "clusters.safetensors");
            self.clusters.write(&file)?;
            println!(
                "{}: middles of {} clusters",
                file.display(),
                self.clusters.members.len()
            );
        }
        match self.clusters.silhouette {
            Some(s) => println!("silhouette {s:.3} (1: well apart, 0: they run into each other)"),
            None => println!("no silhouette: it needs two clusters, and one with two prompts"),
        }
        for (label, (count, reach)) in &self.clusters.members {
            println!("cluster {label}: {count} prompts, up to {reach:.3} from its middle");
            for (prompt, _) in prompts
                .iter()
                .zip(&self.labels)
                .filter(|(_, l)| **l == Some(*label))
            {
                println!("  “{}”", prompt.text);
            }
        }
        for (text, place) in &self.asked {
            let nearest = place.nearest;
            println!(
                "“{text}”: cluster {} (distance {:.3}, margin {:.2} of 1{})",
                nearest.cluster,
                nearest.distance,
                nearest.margin,
                if place.outside {
                    "; further away than every prompt of that cluster"
                } else {
                    ""
                }
            );
        }
        Ok(())
    }
}
