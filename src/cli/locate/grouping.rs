//! `locate --method nemo-cluster`: into which clusters the prompts fall, and where new ones would.

use super::{LocateArgs, file_beside};
use crate::{
    cli::args::Common,
    engine::{Clustering, Grouped, Grouping, group},
    mitigation::prompt_clusters::PromptClusters,
    study::{Problem, Prompt},
};
use std::sync::Arc;

/// How the prompts are to be grouped: by the clusters of a file, by k-means, or as the list says (`listed`).
pub fn grouping(args: &LocateArgs, listed: Option<Vec<Option<u32>>>) -> Result<Grouping, Problem> {
    let how = match (&args.nemo.clusters, args.nemo.k_means, listed) {
        (Some(file), _, _) => Clustering::Given(Arc::new(PromptClusters::read(file)?)),
        (None, Some(k), _) => Clustering::KMeans {
            k: k as usize,
            restarts: args.nemo.restarts as usize,
            seed: args.seed.unwrap_or(1),
        },
        (None, None, Some(labels)) => Clustering::Labels(labels),
        (None, None, None) => {
            return Err(Problem::new(
                "There are no clusters",
                "Let k-means make them (--k-means 12), or name a prompt list with a column cluster.",
            ));
        }
    };
    Ok(Grouping {
        how,
        ask: args.nemo.ask.clone(),
    })
}

/// Only says where the prompts that are asked about fall.
pub fn ask(args: &LocateArgs, common: &Common, grouping: &Grouping) -> Result<(), Problem> {
    let (_, pipeline) = super::pipeline(args, common)?;
    let pool = crate::engine::compute_pool(common.threads)
        .map_err(|e| crate::cli::failed("Threads cannot be started", &e))?;
    let grouped = pool.install(|| group(&pipeline, &[], &grouping.how, &grouping.ask))?;
    tell(args, &grouped, &[])
}

/// Writes the clusters beside the variant, if they are new, and says what there is to say.
pub fn tell(args: &LocateArgs, grouped: &Grouped, prompts: &[Prompt]) -> Result<(), Problem> {
    let Grouped {
        labels,
        clusters,
        asked,
    } = grouped;
    if args.nemo.clusters.is_none() {
        let file = file_beside(args, "clusters.safetensors");
        clusters.write(&file)?;
        println!(
            "{}: middles of {} clusters",
            file.display(),
            clusters.members.len()
        );
    }
    match clusters.silhouette {
        Some(s) => println!("silhouette {s:.3} (1: well apart, 0: they run into each other)"),
        None => println!("no silhouette: it needs two clusters, and one with two prompts"),
    }
    for (label, (count, reach)) in &clusters.members {
        println!("cluster {label}: {count} prompts, up to {reach:.3} from its middle");
        for (prompt, _) in prompts.iter().zip(labels).filter(|(_, l)| **l == Some(*label)) {
            println!("  “{}”", prompt.text);
        }
    }
    for (text, place) in asked {
        println!(
            "“{text}”: cluster {} (distance {:.3}, margin {:.2} of 1{})",
            place.cluster,
            place.distance,
            place.margin,
            if place.outside {
                "; further away than every prompt of that cluster"
            } else {
                ""
            }
        );
    }
    Ok(())
}
