//! What `pentimento locate` can be told.

use super::super::{args::Seeds, sampling_args::SamplingArgs};
use crate::{
    mitigation::prompt::Insertion,
    study::{Transition, parse_seeds},
};
use clap::{Args, ValueEnum};
use std::{path::PathBuf, str::FromStr};

/// The methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MethodName {
    /// Value neurons of cross-attentions (Hintersdorf et al.)
    Nemo,
    /// The union of their neurons for every cluster of prompts (FB-Mem)
    NemoCluster,
    /// Weights of the feed-forwards that memorized prompts use more than others (Chavhan et al.)
    Wanda,
    /// Optimised prompt embeddings (Wen et al.), or random insertions
    Prompt,
    /// Guidance that sets in late (Jain et al.)
    Guidance,
}

/// Where guidance sets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransitionChoice {
    /// A given point, or each picture's own first minimum.
    At(Transition),
    /// The median of what unguided trajectories show.
    Measured,
}

impl FromStr for TransitionChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |n: &str| {
            n.parse::<u32>()
                .map_err(|_| format!("“{n}” is not a whole number"))
        };
        match text.split_once(':') {
            None if text == "dynamic" => Ok(Self::At(Transition::FirstMinimum)),
            None if text == "measured" => Ok(Self::Measured),
            Some(("step", n)) => Ok(Self::At(Transition::Step(number(n)?))),
            Some(("timestep", n)) => Ok(Self::At(Transition::Timestep(number(n)?))),
            _ => Err(format!(
                "“{text}” is not one of step:N, timestep:N, dynamic, measured"
            )),
        }
    }
}

/// What is inserted and how often, as `numbers:4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsertionChoice {
    /// What.
    pub what: Insertion,
    /// How often.
    pub count: usize,
}

impl FromStr for InsertionChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, count) = text.split_once(':').unwrap_or((text, "4"));
        Ok(Self {
            what: what.parse()?,
            count: count
                .parse()
                .map_err(|_| format!("“{count}” is not a whole number"))?,
        })
    }
}

fn seeds(text: &str) -> Result<Seeds, String> {
    parse_seeds(text).map(Seeds)
}

/// `pentimento locate`.
#[derive(Debug, Args)]
pub struct LocateArgs {
    /// Checkpoint: a folder in diffusers layout, or a single .safetensors file with tokenizer/ beside it
    #[arg(long)]
    pub model: PathBuf,
    /// How to search; only --stack is written when not given
    #[arg(long, value_enum)]
    pub method: Option<MethodName>,
    /// Prompt list
    #[arg(long)]
    pub prompts: Option<PathBuf>,
    /// A prompt; may be given several times
    #[arg(long)]
    pub prompt: Vec<String>,
    /// Only prompts of these groups of the list
    #[arg(long)]
    pub group: Vec<String>,
    /// Only the first so many prompts
    #[arg(long)]
    pub limit: Option<usize>,
    /// The variant to write (a .toml file); one of clusters holds them all, and each prompt gets the nearest one's edits
    #[arg(long)]
    pub out: PathBuf,
    /// Name of the variant; the file's when not given
    #[arg(long)]
    pub name: Option<String>,
    /// Variant files whose edits come first, in this order
    #[arg(long, num_args = 1..)]
    pub stack: Vec<PathBuf>,
    /// How pictures are drawn
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// Classifier-free guidance scale while activations or trajectories are observed
    #[arg(long, default_value_t = 7.5)]
    pub guidance: f32,
    /// Seeds of the pictures (prompt, guidance)
    #[arg(long, default_value = "0..4", value_parser = seeds)]
    pub seeds: Seeds,
    /// Seed of the generator (nemo 1, wanda and insertions 0 when not given)
    #[arg(long)]
    pub seed: Option<u64>,
    /// Thresholds and statistics of NeMo
    #[command(flatten)]
    pub nemo: NemoArgs,
    /// Settings of Wanda
    #[command(flatten)]
    pub wanda: WandaArgs,
    /// Settings of prompt embeddings
    #[command(flatten)]
    pub embedding: EmbeddingArgs,
    /// Guidance before the transition: 0 without the prompt, negative for opposite guidance
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub before: f32,
    /// Where guidance sets in: step:N, timestep:N, dynamic (each picture's first minimum of the noise norm) or measured
    /// (the median over unguided trajectories of the prompts)
    #[arg(long, default_value = "dynamic")]
    pub transition: TransitionChoice,
}

/// Thresholds and statistics of NeMo.
#[derive(Debug, Args)]
#[command(next_help_heading = "NeMo")]
pub struct NemoArgs {
    /// Activation statistics: our .safetensors, or NeMo's .pt (read without running it)
    #[arg(long)]
    pub statistics: Option<PathBuf>,
    /// Measure activation statistics on this prompt list
    #[arg(long)]
    pub statistics_from: Option<PathBuf>,
    /// Keep the measured statistics in this file (.safetensors or .pt)
    #[arg(long)]
    pub save_statistics: Option<PathBuf>,
    /// Take the thresholds from these prompts, which are not memorized
    #[arg(long)]
    pub calibrate: Option<PathBuf>,
    /// Calibrate as NeMo's code does: guidance 7, its halves swapped (otherwise as it searches: without guidance)
    #[arg(long)]
    pub calibrate_as_reference: bool,
    /// The three similarity thresholds at once
    #[arg(long)]
    pub threshold: Option<f64>,
    /// Similarity above which a sample counts
    #[arg(long)]
    pub pairwise: Option<f64>,
    /// Similarity down to which neurons are added
    #[arg(long)]
    pub initial: Option<f64>,
    /// Similarity up to which neurons are taken back
    #[arg(long)]
    pub refinement: Option<f64>,
    /// Relative change below which neurons are taken back, instead of --refinement
    #[arg(long)]
    pub relative: Option<f64>,
    /// Deviations from the mean at which the search begins
    #[arg(long, default_value_t = 5.0)]
    pub theta: f32,
    /// By how much it is lowered
    #[arg(long, default_value_t = 0.25)]
    pub theta_step: f32,
    /// Down to where
    #[arg(long, default_value_t = 1.0)]
    pub theta_min: f32,
    /// Do not look for outliers
    #[arg(long)]
    pub no_theta: bool,
    /// Strongest neurons per layer at the beginning
    #[arg(long, default_value_t = 0)]
    pub top_k: usize,
    /// Do not add strongest neurons
    #[arg(long)]
    pub no_top_k: bool,
    /// Samples for each prompt
    #[arg(long, default_value_t = 10)]
    pub samples: usize,
    /// Factor on the output of a neuron that is switched off
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    pub factor: f32,
    /// Guidance of the noise difference; 0 for the conditional prediction alone
    #[arg(long, default_value_t = 0.0)]
    pub noise_guidance: f32,
    /// With --noise-guidance, swap the halves as NeMo's code does
    #[arg(long)]
    pub swapped: bool,
    /// Take the initial selection instead of the refined neurons
    #[arg(long)]
    pub unrefined: bool,
    /// Table of located neurons (NeMo's result CSV): its prompts are not searched again
    #[arg(long)]
    pub results: Option<PathBuf>,
    /// Take the neurons from this archive (neurons_cluster_N.npz) instead of searching
    #[arg(long)]
    pub npz: Option<PathBuf>,
    /// Also write the neurons as .npz beside the variant, one file for each cluster
    #[arg(long)]
    pub export_npz: bool,
    /// nemo-cluster: group the prompts by k-means on their text embeddings into so many clusters (12 in FB-Mem); otherwise
    /// the list's column cluster says them
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub k_means: Option<u32>,
    /// nemo-cluster: restarts of k-means, of which the tightest is taken
    #[arg(long, default_value_t = 10, requires = "k_means", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub restarts: u32,
    /// nemo-cluster: put the prompts into the clusters of this file (OUT-clusters.safetensors of an earlier search)
    #[arg(long, value_name = "FILE", conflicts_with = "k_means")]
    pub clusters: Option<PathBuf>,
    /// nemo-cluster: say which cluster this prompt falls in, and how sure; may be given several times. With --clusters alone,
    /// without prompts, nothing is searched
    #[arg(long)]
    pub ask: Vec<String>,
}

/// Settings of Wanda.
#[derive(Debug, Args)]
#[command(next_help_heading = "Wanda")]
pub struct WandaArgs {
    /// Share of each output's weights that is looked at
    #[arg(long, default_value_t = 0.01)]
    pub skill_ratio: f64,
    /// First steps that are observed and united
    #[arg(long, default_value_t = 10)]
    pub timesteps: usize,
    /// Prune what is chosen at more than this share of these steps
    #[arg(long, default_value_t = 0.0)]
    pub select_ratio: f64,
    /// Prompts to compare with, as many as there are memorized ones; empty prompts when not given
    #[arg(long)]
    pub base: Option<PathBuf>,
}

/// Settings of prompt embeddings.
#[derive(Debug, Args)]
#[command(next_help_heading = "Prompt")]
pub struct EmbeddingArgs {
    /// Learning rate
    #[arg(long, default_value_t = 0.05)]
    pub learning_rate: f64,
    /// Weight decay
    #[arg(long, default_value_t = 0.01)]
    pub weight_decay: f64,
    /// Most updates
    #[arg(long, default_value_t = 10)]
    pub iterations: usize,
    /// Noise norm, over all seeds together, at which to stop (3 for Stable Diffusion 1.4); all updates when not given
    #[arg(long)]
    pub target: Option<f64>,
    /// Draw the seeds' noise from one generator, as the authors do: --seed and this many pictures
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub batch: Option<u32>,
    /// Also print how much the noise norm hangs on each token
    #[arg(long)]
    pub tokens: bool,
    /// Insert random numbers, tokens or repeats (as numbers:4) instead of optimising
    #[arg(long)]
    pub insert: Option<InsertionChoice>,
}
