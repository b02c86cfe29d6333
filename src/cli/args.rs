//! What can be written on the command line.

use super::{bootstrap_args::BootstrapArgs, sampling_args::SamplingArgs};
use crate::engine::DeviceChoice;
use crate::render::Mode;
use crate::report::PageOptions;
use crate::study::{Arithmetic, RngKind, SchedulerKind, Shard, Thresholds, WeightStorage, parse_seeds};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Shows what a text-to-image diffusion model remembers of its training images, and where.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to open in the window: a study folder, a checkpoint (a folder in diffusers layout or a
    /// single .safetensors file), a folder of training images, or a prompt file. The demo study when nothing is named.
    pub study: Option<PathBuf>,
    /// Take pictures that other programs on this machine push into the window (docs/live.md); on a port of the
    /// system's choice when none is given
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0", require_equals = true)]
    pub listen: Option<u16>,
    /// Parameters that every command knows.
    #[command(flatten)]
    pub common: Common,
    /// A command that needs no window.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Parameters that every command knows.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Compute threads; 0 means one per core
    #[arg(long, global = true, default_value_t = 0)]
    pub threads: usize,
    /// Where pictures are drawn: auto, cpu, cuda:N or metal
    #[arg(long, global = true, default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// No progress on standard error
    #[arg(long, global = true)]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Draw pictures from a checkpoint
    Generate(GenerateArgs),
    /// Write the foreground mattes of a folder of pictures
    Segment(SegmentArgs),
    /// Compare generated pictures with a gallery and write scores.csv
    Score(ScoreArgs),
    /// Run a study: draw, segment, compare, into a run folder
    Scan(ScanArgs),
    /// Find what remembers, and write the variant that switches it off
    Locate(Box<super::locate::LocateArgs>),
    /// Compare two runs at the same prompts and seeds: did the mitigation work?
    Compare(CompareArgs),
    /// Which signs of memorization tell a run's memorized pictures from the others, at which step?
    Detect(super::detect::DetectArgs),
    /// Join the runs of several machines into one
    Merge(MergeArgs),
    /// Write a report of one or more runs: one HTML file, and tables
    Report(ReportArgs),
    /// Write one picture of a run as the Stage shows it, still or as an animated Reveal
    Picture(PictureArgs),
    /// Write a picture of the window, drawn without a display
    Snapshot(super::snapshot::SnapshotArgs),
    /// Write a checkpoint with a variant's edits in its weights, in diffusers layout
    Export(ExportArgs),
    /// Tell what will work on this machine
    Doctor(DoctorArgs),
    /// Get published weights from the internet, or list them
    Fetch(FetchArgs),
    /// Lay out the folder of a new study
    Init(InitArgs),
    /// Print the completions for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

/// A parsed list of seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Vec<u64>);

/// A share in `(0, 1)` from a number in percent.
fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim().parse::<f64>() {
        Ok(value) if value > 0.0 && value < 100.0 => Ok(value / 100.0),
        _ => Err("a number of percent between 0 and 100 is needed".to_owned()),
    }
}

fn seeds(text: &str) -> Result<Seeds, String> {
    parse_seeds(text).map(Seeds)
}

/// Parsed points: x, y, and whether the object is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Points(pub Vec<(f32, f32, bool)>);

/// A parsed box: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect(pub [f32; 4]);

fn numbers(text: &str) -> Option<Vec<f32>> {
    let numbers = text.split(',').map(|n| n.trim().parse::<f32>().ok());
    numbers.map(|n| n.filter(|n| n.is_finite())).collect()
}

fn points(text: &str) -> Result<Points, String> {
    let point = |part: &str| match numbers(part).as_deref() {
        Some(&[x, y]) => Ok((x, y, true)),
        Some(&[x, y, kind]) if kind == 0.0 || kind == 1.0 => Ok((x, y, kind == 1.0)),
        _ => Err(format!("“{part}” is no point; a point is x,y,1 or x,y,0")),
    };
    let parts = text.split(';').filter(|p| !p.trim().is_empty());
    parts.map(point).collect::<Result<_, _>>().map(Points)
}

fn rect(text: &str) -> Result<Rect, String> {
    match numbers(text).as_deref() {
        Some(&[left, top, right, bottom]) if left < right && top < bottom => {
            Ok(Rect([left, top, right, bottom]))
        }
        _ => Err("a box is left,top,right,bottom".to_owned()),
    }
}

/// `pentimento generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Checkpoint: a folder in diffusers layout, or a single .safetensors file with tokenizer/ beside it
    #[arg(long)]
    pub model: PathBuf,
    /// The prompt; may be given several times
    #[arg(long, required = true)]
    pub prompt: Vec<String>,
    /// Seeds: 7, 0..4, or a list of these; each picture has its own generator
    #[arg(long, default_value = "0..1", value_parser = seeds)]
    pub seeds: Seeds,
    /// Draw this many pictures from each seed's one generator, as diffusers' `[prompt] * N` does
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub batch: Option<u32>,
    /// Send this many seeds of a prompt through the model together, each with its own generator
    #[arg(long, default_value_t = 1, conflicts_with_all = ["batch", "noise"], value_parser = clap::value_parser!(u32).range(1..=64))]
    pub at_once: u32,
    /// How pictures are drawn
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// Classifier-free guidance scale
    #[arg(long, default_value_t = 7.0)]
    pub guidance: f32,
    /// How half-precision weights are held in memory: auto, as-stored or widened (to f32)
    #[arg(long, default_value_t = WeightStorage::Auto)]
    pub weights: WeightStorage,
    /// What the picture should not show
    #[arg(long, default_value = "")]
    pub negative: String,
    /// Initial noise from this file (tensor `noise`, [n, 4, h/8, w/8]) instead of the seeds
    #[arg(long)]
    pub noise: Option<PathBuf>,
    /// Also write embeddings, noise, timesteps, latents of every step and the picture before
    /// quantization to this safetensors file (one prompt, one seed or noise file)
    #[arg(long)]
    pub dump: Option<PathBuf>,
    /// Also write signs of memorization beside each picture, as NAME.signals.safetensors: noise norms, bright ending,
    /// score difference, attention entropy
    #[arg(long)]
    pub signals: bool,
    /// Draw with this variant of the checkpoint (a .toml file)
    #[arg(long)]
    pub variant: Option<PathBuf>,
    /// Folder for the pictures
    #[arg(long)]
    pub out: PathBuf,
}

/// `pentimento segment`.
#[derive(Debug, Args)]
pub struct SegmentArgs {
    /// Folder of pictures
    #[arg(long)]
    pub images: PathBuf,
    /// Segmenter folder or weights file (U²-Net, IS-Net, BiRefNet; with --points or --rect SAM or MobileSAM); the demo
    /// study's when not given
    #[arg(long)]
    pub segmenter: Option<PathBuf>,
    /// Arithmetic of the mattes, where the segmenter does not say: corrected, torchmetrics or reference
    #[arg(long, default_value_t = Arithmetic::Corrected)]
    pub arithmetic: Arithmetic,
    /// Only the object at these pixels: x,y,1 on it, x,y,0 beside it, separated by semicolons; same for all pictures
    #[arg(long, value_parser = points)]
    pub points: Option<Points>,
    /// Only the object inside this box: left,top,right,bottom in pixels
    #[arg(long, value_parser = rect)]
    pub rect: Option<Rect>,
    /// Folder for the mattes (8-bit PNG, 255 = foreground)
    #[arg(long)]
    pub out: PathBuf,
}

/// `pentimento score`.
#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// Folder of generated pictures
    #[arg(long)]
    pub generated: PathBuf,
    /// Folder of training images
    #[arg(long)]
    pub gallery: PathBuf,
    /// Folder of ready-made mattes for the generated pictures (NAME.png)
    #[arg(long)]
    pub masks_generated: Option<PathBuf>,
    /// Folder of ready-made mattes for the gallery (NAME.png)
    #[arg(long)]
    pub masks_gallery: Option<PathBuf>,
    /// Segmenter folder or weights file for pictures without a matte; the demo study's when not given
    #[arg(long)]
    pub segmenter: Option<PathBuf>,
    /// Arithmetic of the scores: corrected, torchmetrics or reference
    #[arg(long, default_value_t = Arithmetic::Corrected)]
    pub arithmetic: Arithmetic,
    /// Training images kept per generated picture
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top_k: u16,
    /// Also measure the gallery's null (what its own unrelated pictures score): each score's percentile becomes two
    /// further columns, and thresholds are suggested at this false-alarm rate in percent
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, default_missing_value = "1", value_parser = percent)]
    pub null: Option<f64>,
    /// Also write SSIM, SSIM under the mattes and tiled L2 of each pair as further columns; they never enter a verdict
    #[arg(long)]
    pub measures: bool,
    /// With --measures: pictures of a prompt at most this far apart (tiled L2) repeat each other; the size of the
    /// largest group (clique) that a picture belongs to is a further column
    #[arg(long, value_name = "DISTANCE", requires = "measures", default_value_t = crate::memorization::WITHIN)]
    pub alike_within: f32,
    /// Weights of SSCD (a file), or a folder of DINOv2 or CLIP: adds a column with the cosine of the pictures' embeddings
    #[arg(long)]
    pub embedder: Option<PathBuf>,
    /// Size of pictures for SSCD: small-288 (its own evaluation) or skew-320
    #[arg(long, default_value = "small-288", value_parser = ["small-288", "skew-320"])]
    pub embedder_size: String,
    /// The file to write, in the columns of the reference's scores.csv
    #[arg(long)]
    pub out: PathBuf,
}

/// `pentimento scan`.
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// Study folder; with --generated it gives gallery, segmenter and prompts
    #[arg(required_unless_present = "generated")]
    pub study: Option<PathBuf>,
    /// Compare the finished pictures in this folder instead of drawing any; no model is needed
    #[arg(long, conflicts_with_all = ["seeds", "steps", "guidance", "size", "scheduler", "rng", "variant", "shard", "plan"])]
    pub generated: Option<PathBuf>,
    /// Folder of training images, for --generated without a study
    #[arg(long, requires = "generated", conflicts_with = "study")]
    pub gallery: Option<PathBuf>,
    /// Segmenter folder or weights file, for --generated without a study; the demo study's when not given
    #[arg(long, requires = "gallery")]
    pub segmenter: Option<PathBuf>,
    /// Folder of ready-made mattes for the generated pictures (NAME.png); for pictures drawn here named as the run
    /// stores them (img_0003_01.png), with --variant in a subfolder of the variant's name
    #[arg(long)]
    pub masks_generated: Option<PathBuf>,
    /// How the names of the generated pictures say prompt and seed, like {prompt}_{seed} or {text}-{seed}; as FB-Mem
    /// writes them (img_0003_01.png, 3_1.jpg, 2_img_0003_01.jpg) when not given
    #[arg(long, requires = "generated")]
    pub pattern: Option<String>,
    /// Every generated picture has a prompt of its own
    #[arg(long, requires = "generated", conflicts_with = "pattern")]
    pub one_per_file: bool,
    /// A table that says which generated picture has which prompt and seed (columns file, prompt or prompt index, seed)
    #[arg(long, requires = "generated", conflicts_with_all = ["pattern", "one_per_file"])]
    pub table: Option<PathBuf>,
    /// Another prompt file than the study's
    #[arg(long)]
    pub prompts: Option<PathBuf>,
    /// Other seeds than the study's
    #[arg(long, value_parser = seeds)]
    pub seeds: Option<Seeds>,
    /// Another number of denoising steps than the study's
    #[arg(long)]
    pub steps: Option<u32>,
    /// Another guidance scale than the study's
    #[arg(long)]
    pub guidance: Option<f32>,
    /// Another side of the pictures than the study's, in pixels
    #[arg(long)]
    pub size: Option<u32>,
    /// Another denoising schedule than the study's: ddim, pndm, dpm++, euler or euler-a
    #[arg(long)]
    pub scheduler: Option<SchedulerKind>,
    /// Another generator of the noise than the study's: torch-cpu or torch-cuda
    #[arg(long)]
    pub rng: Option<RngKind>,
    /// Send this many seeds of a prompt through the model together; the study's number when not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub at_once: Option<u32>,
    /// How half-precision weights are held in memory: auto, as-stored or widened (to f32)
    #[arg(long)]
    pub weights: Option<WeightStorage>,
    /// Draw with this variant of the study's checkpoint (a .toml file)
    #[arg(long)]
    pub variant: Option<PathBuf>,
    /// Also measure the gallery's null (kept in the cache): each score's percentile becomes two further columns of
    /// scores.csv, and thresholds are suggested at this false-alarm rate in percent
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, default_missing_value = "1", value_parser = percent)]
    pub null: Option<f64>,
    /// Also write SSIM, SSIM under the mattes, tiled L2 and, with an embedder, its cosine of each picture and its best
    /// training image as further columns of scores.csv and in --json; they never enter a verdict
    #[arg(long)]
    pub measures: bool,
    /// With --measures: pictures of a prompt at most this far apart (tiled L2) repeat each other; the size of the
    /// largest group (clique) that a picture belongs to is a further column
    #[arg(long, value_name = "DISTANCE", requires = "measures", default_value_t = crate::memorization::WITHIN)]
    pub alike_within: f32,
    /// Only this part of the pictures: 2/16 for the second of sixteen. The run lies in OUT/shard-02-of-16;
    /// `pentimento merge OUT --out RUN` joins the parts
    #[arg(long)]
    pub shard: Option<Shard>,
    /// Tell how many pictures, how much time and how much disk it takes, and stop
    #[arg(long)]
    pub plan: bool,
    /// Run folder; a run with the same parameters is resumed
    #[arg(long)]
    pub out: PathBuf,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// `pentimento compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Run folder of the original
    pub run_a: PathBuf,
    /// Run folder of the variant, with the same prompts and seeds
    pub run_b: PathBuf,
    /// Foreground and background threshold, as 0.8,0.8; those of run A when not given
    #[arg(long, value_parser = thresholds)]
    pub thresholds: Option<ThresholdPair>,
    /// File of run B's variant: then neurons and weights touched are told
    #[arg(long)]
    pub variant: Option<PathBuf>,
    /// Folder of CLIP with its tokenizer.json: then it is measured whether pictures still show their prompts
    #[arg(long, value_name = "FOLDER")]
    pub clip: Option<PathBuf>,
    /// Weights of SSCD (a file), or a folder of DINOv2 or CLIP: distance and diversity are those of its embeddings, instead of
    /// SSIM of small copies
    #[arg(long)]
    pub embedder: Option<PathBuf>,
    /// How intervals are drawn
    #[command(flatten)]
    pub bootstrap: BootstrapArgs,
    /// Print everything as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Two thresholds as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThresholdPair(pub Thresholds);

pub(super) fn thresholds(text: &str) -> Result<ThresholdPair, String> {
    let number = |t: &str| {
        let value = t.trim().parse::<f32>().ok();
        value
            .filter(|v| (0.0..=1.0).contains(v))
            .ok_or_else(|| format!("“{t}” is not a number from 0 to 1"))
    };
    let (foreground, background) = text
        .split_once(',')
        .ok_or("two numbers are needed, as 0.8,0.8: foreground, background")?;
    Ok(ThresholdPair(Thresholds {
        foreground: number(foreground)?,
        background: number(background)?,
    }))
}

/// `pentimento merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Run folders, or folders that hold them
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// Folder of the joined run; called again, it is completed
    #[arg(long)]
    pub out: PathBuf,
}

/// `pentimento report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Run folders; further ones are compared with the first
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// The HTML file to write
    #[arg(long)]
    pub out: PathBuf,
    /// The study, if the run does not find its own
    #[arg(long)]
    pub study: Option<PathBuf>,
    /// Threshold of the foreground score; the run's own when not given
    #[arg(long, value_parser = threshold)]
    pub foreground: Option<f32>,
    /// Threshold of the background score; the run's own when not given
    #[arg(long, value_parser = threshold)]
    pub background: Option<f32>,
    /// Pictures shown for each prompt
    #[arg(long, default_value_t = PageOptions::default().per_prompt)]
    pub per_prompt: usize,
    /// Pictures shown in all
    #[arg(long, default_value_t = PageOptions::default().most)]
    pub most: usize,
    /// Also write the scores in the columns of the reference's scores.csv (one run)
    #[arg(long)]
    pub csv: Option<PathBuf>,
    /// Also write everything as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Also write one row a picture as Parquet
    #[arg(long)]
    pub parquet: Option<PathBuf>,
}

fn threshold(text: &str) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| format!("“{text}” is not a number"))?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(format!("“{text}” does not lie between 0 and 1"))
    }
}

/// `pentimento picture`.
#[derive(Debug, Args)]
pub struct PictureArgs {
    /// Run folder
    pub run: PathBuf,
    /// Name of the picture: img_0003_01
    pub name: String,
    /// How it is drawn: plain, heat, isolate, outline, reveal or difference
    #[arg(long, default_value = "heat", value_parser = mode)]
    pub mode: Mode,
    /// The study, if the run does not find its own
    #[arg(long)]
    pub study: Option<PathBuf>,
    /// The file: .png or .webp; of a Reveal, .gif and .webp come and go
    #[arg(long)]
    pub out: PathBuf,
    /// A .webp that does not move, of a Reveal too
    #[arg(long)]
    pub still: bool,
}

fn mode(text: &str) -> Result<Mode, String> {
    let known = |m: &&Mode| m.name().eq_ignore_ascii_case(text);
    let names = || Mode::ALL.map(Mode::name).join(", ").to_lowercase();
    Mode::ALL
        .iter()
        .find(known)
        .copied()
        .ok_or_else(|| format!("“{text}” is no mode; known: {}", names()))
}

/// `pentimento export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Checkpoint folder in diffusers layout
    #[arg(long)]
    pub model: PathBuf,
    /// The variant (a .toml file)
    #[arg(long)]
    pub variant: PathBuf,
    /// The folder to write; must not exist, or be empty
    #[arg(long)]
    pub out: PathBuf,
    /// Link files that no edit touches to the original instead of copying them
    #[arg(long)]
    pub link: bool,
    /// Leave out edits that weights cannot carry, instead of refusing them
    #[arg(long)]
    pub weights_only: bool,
    /// Of a variant with clusters, the one whose edits the checkpoint is to carry
    #[arg(long, value_name = "NUMBER")]
    pub cluster: Option<u32>,
}

/// `pentimento init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The folder; made if need be
    pub folder: PathBuf,
    /// Checkpoint to name in study.toml
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Folder of training images to name in study.toml
    #[arg(long)]
    pub gallery: Option<PathBuf>,
}

/// `pentimento completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    pub shell: clap_complete::Shell,
}

/// `pentimento man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Folder for the pages, one for the program and one for each command
    #[arg(long)]
    pub out: PathBuf,
}

/// `pentimento doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// A checkpoint to look at: is it complete, what is in it, how much memory does it need?
    pub model: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// `pentimento fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Which weights; all that are known are listed when none are named
    pub name: Option<String>,
    /// Fetch without being asked
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// SHA-256 that the file must have, for weights without a published one
    #[arg(long, value_name = "HEX", requires = "name")]
    pub sha256: Option<String>,
    /// Take the files from URL/NAME/FILE instead; what is pinned stays pinned
    #[arg(long, value_name = "URL", requires = "name")]
    pub mirror: Option<String>,
    /// Put the files into this folder instead of the program's own
    #[arg(long, value_name = "FOLDER", requires = "name")]
    pub to: Option<PathBuf>,
    /// Print the list as JSON
    #[arg(long, conflicts_with = "name")]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_path_and_a_command_are_told_apart() {
        let cli = Cli::try_parse_from(["pentimento", "some/folder"]).unwrap();
        assert_eq!(cli.study, Some(PathBuf::from("some/folder")));
        let cli = Cli::try_parse_from(["pentimento", "scan", "s", "--seeds", "0..3", "--out", "r"]).unwrap();
        let Some(Command::Scan(args)) = cli.command else {
            panic!("not a scan")
        };
        assert_eq!(args.seeds, Some(Seeds(vec![0, 1, 2])));
        assert!(Cli::try_parse_from(["pentimento", "scan", "s", "--seeds", "x", "--out", "r"]).is_err());
        let cli = Cli::try_parse_from(["pentimento", "--device", "cuda:1"]).unwrap();
        assert_eq!(cli.common.device, DeviceChoice::Cuda(1));
        assert!(Cli::try_parse_from(["pentimento", "--device", "tpu"]).is_err());
        assert_eq!(
            points("1,2,1; 3,4.5,0;"),
            Ok(Points(vec![(1.0, 2.0, true), (3.0, 4.5, false)]))
        );
        assert!(points("1,2,3").is_err() && points("1").is_err() && rect("5,0,1,9").is_err());
    }
}
