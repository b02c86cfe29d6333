//! What goes into the engine and what comes out. Small and typed; large data crosses as `Arc`.

use super::{BandFile, Compared, Detected, Findings, LocateJob, ModelFacts, Partner, Repeats, Small};
use crate::{
    memorization::null::Null,
    report::PageOptions,
    segmentation::Clicks,
    store::ImportNames,
    study::{
        Approximation, Cluster, Generation, GenerationKey, Labels, Match, Problem, Prompt, RegionClusters,
        Sampling, Shard, SignalMaps, Skipped, StudyOutline, Thresholds, Variant,
    },
};
use image::{GrayImage, RgbImage};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Numbers the jobs of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// Asks a job to stop. Checked at least at every denoising step and every 50 ms of other work.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks for the stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// What [`cancel`](Self::cancel) sets, for arithmetic that looks at it on its way.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

/// Work for the engine.
#[derive(Clone, Debug)]
pub enum Job {
    /// Open a study folder, a checkpoint folder, a gallery folder or a prompt file; loose parts replace
    /// that part of the open study. Reads earlier results of the study, prepares the gallery. A variant file joins
    /// the open study, see [`Event::Variant`]; so does the folder of another run, see [`Event::Run`].
    Open(PathBuf),
    /// Draw, segment and compare pictures of the open study.
    Generate(GenerateJob),
    /// Open a folder as the gallery, whatever its names look like.
    OpenGallery(PathBuf),
    /// Take the foregrounds of the training images from the masks in a folder (`NAME.png`), or from the segmenter again.
    Mattes(Option<PathBuf>),
    /// Take the foregrounds of generated pictures from masks in a folder, each named like the picture in its run
    /// (`img_0000_00.png`; for a variant's in a subfolder of its name), or from the segmenter again. Answered by
    /// [`Event::GeneratedMattes`], then by [`Event::Rescored`] for every picture that changed; pictures drawn later are
    /// given theirs as they are judged.
    GeneratedMattes(Option<PathBuf>),
    /// Look at a folder of generated pictures; answered by [`Event::Surveyed`].
    Survey(PathBuf),
    /// Segment and compare a folder of generated pictures, into a run of their own.
    Import(ImportJob),
    /// Measure the null of the open gallery: what its own unrelated pictures score. Kept in the cache and resumed.
    Calibrate,
    /// Find the region of a picture that a person points at; see [`Event::Refined`].
    Refine(RefineJob),
    /// Look for pictures of a prompt that repeat each other, at most this tiled distance apart; see [`Event::Repeats`].
    Repeats(f32),
    /// Lay the open study's gallery out on a plane, see [`Event::Map`].
    Map,
    /// Segment and compare a finished picture that another program pushed, into a run of pushed pictures.
    Take(TakeJob),
    /// Search for what remembers, with the open study's checkpoint. The variants that come out join the open study.
    Locate(Box<LocateJob>),
    /// Tell the pictures that an earlier run with these settings and this variant has given. Draws nothing.
    EarlierResults {
        /// How they were drawn.
        sampling: Sampling,
        /// The variant they were drawn with.
        variant: Option<Arc<Variant>>,
    },
    /// Write a variant to a file; it then counts as opened from there.
    SaveVariant(PathBuf, Arc<Variant>),
    /// Write a report; answered by [`Event::Written`].
    Report(ReportJob),
}

/// A finished picture that another program pushed.
#[derive(Clone, Debug)]
pub struct TakeJob {
    /// Its prompt and seed.
    pub key: GenerationKey,
    /// The prompt's text.
    pub prompt: String,
    /// What it is told as: the variant's place of its [`Generation`].
    pub name: Arc<str>,
    /// The picture.
    pub image: Arc<RgbImage>,
    /// `‖ε_cond − ε_uncond‖₂` per step, if the other program measured it.
    pub noise_norm: Vec<f32>,
}

/// A region to find in a generated picture.
#[derive(Clone, Debug)]
pub struct RefineJob {
    /// The picture.
    pub generation: GenerationKey,
    /// Variant it was drawn with.
    pub variant: Option<Arc<str>>,
    /// Where the region is, and is not.
    pub clicks: Clicks,
}

/// The region that a person pointed at. Nothing of it is stored.
#[derive(Clone, Debug)]
pub struct Refined {
    /// The picture.
    pub generation: GenerationKey,
    /// What was pointed at.
    pub clicks: Clicks,
    /// The region, of the picture's size (255 = inside).
    pub matte: Arc<GrayImage>,
    /// Overlap with the true region that the network expects, in `[0, 1]`.
    pub confidence: f32,
    /// The best training images with this region as the foreground, best average first; empty without a gallery.
    pub matches: Vec<Match>,
}

/// A report to write.
#[derive(Clone, Debug, Default)]
pub struct ReportJob {
    /// Run folders; empty for the runs whose pictures the open study shows.
    pub runs: Vec<PathBuf>,
    /// The HTML file; `None` for `reports/RUN.html` in the study's folder (or the user's data folder).
    pub out: Option<PathBuf>,
    /// What counts as memorized; `None` for the study's thresholds.
    pub thresholds: Option<Thresholds>,
    /// How many pictures the document shows.
    pub pictures: PageOptions,
    /// The scores of the (one) run in the reference's columns.
    pub csv: Option<PathBuf>,
    /// Everything the report says as JSON.
    pub json: Option<PathBuf>,
    /// One row a picture as Parquet.
    pub parquet: Option<PathBuf>,
    /// All three tables beside the document, under its name; the scores of several runs as `RUN.csv` each.
    pub tables: bool,
}

/// Pictures to draw: every prompt with every seed, prompts in order.
#[derive(Clone, Debug, Default)]
pub struct GenerateJob {
    /// What to draw.
    pub prompts: Vec<Prompt>,
    /// One picture per seed; each picture has its own generator.
    pub seeds: Vec<u64>,
    /// How to draw.
    pub sampling: Sampling,
    /// The variant to draw with; `None` for the checkpoint as it is. Its pictures go into a run of their own.
    pub variant: Option<Arc<Variant>>,
    /// Draw pictures again that the run already holds (they come out the same; the first record stays).
    /// Otherwise their results are told at once.
    pub redraw: bool,
    /// Only this part of the pictures.
    pub shard: Option<Shard>,
}

impl GenerateJob {
    /// The seeds that are drawn together, prompt by prompt: [`Sampling::at_once`] of them, of the shard's groups only.
    /// A shard takes whole groups, so that each picture comes out as without shards.
    pub fn groups(&self) -> Vec<(&Prompt, &[u64])> {
        let together = self.sampling.at_once.max(1) as usize;
        let all = self
            .prompts
            .iter()
            .flat_map(|p| self.seeds.chunks(together).map(move |seeds| (p, seeds)));
        all.enumerate()
            .filter(|(place, _)| self.shard.is_none_or(|s| s.holds(*place)))
            .map(|(_, group)| group)
            .collect()
    }
}

/// Finished pictures to audit, from wherever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportJob {
    /// Their folder; sub-folders are not looked into.
    pub folder: PathBuf,
    /// How their names say prompt and seed.
    pub names: ImportNames,
    /// What the prompts are.
    pub prompts: ImportPrompts,
    /// Folder of ready-made mattes (same names up to the ending); the segmenter makes the others.
    pub mattes: Option<PathBuf>,
}

/// Which prompts the names of imported pictures point at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ImportPrompts {
    /// Those of the open study.
    #[default]
    OfStudy,
    /// Those of a list.
    List(PathBuf),
    /// Unknown: only their numbers or names are.
    Unknown,
}

/// What a folder of pictures looks like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// The folder.
    pub folder: PathBuf,
    /// Names of its pictures, in natural order.
    pub files: Vec<String>,
    /// Training images to compare with in the open study.
    pub gallery: usize,
    /// Prompts of the open study.
    pub prompts: Vec<Prompt>,
}

/// The kinds of work a progress line can speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Reading a study.
    Open,
    /// Segmenting gallery images.
    Segment,
    /// Building the gallery's pyramids.
    PrepareGallery,
    /// Finding the groups in the gallery.
    Cluster,
    /// Drawing, segmenting and comparing pictures.
    Generate,
    /// Measuring the gallery's null.
    Calibrate,
    /// Segmenting and comparing imported pictures.
    Import,
    /// Giving generated pictures their masks.
    Masks,
    /// Finding a region that was pointed at.
    Refine,
    /// Turning gallery images into vectors.
    Embed,
    /// Comparing the pictures of a prompt with each other.
    Repeats,
    /// Laying the gallery out.
    Map,
    /// Making and measuring the shortlist of a large gallery.
    Shortlist,
    /// Searching for what remembers.
    Locate,
    /// Taking a picture that was pushed.
    Take,
    /// Reading the results of an earlier run.
    EarlierResults,
    /// Writing a variant.
    SaveVariant,
    /// Writing a report.
    Report,
}

impl JobKind {
    /// A few words for the progress line.
    pub fn words(self) -> &'static str {
        match self {
            Self::Open => "Opening",
            Self::Segment => "Segmenting the gallery",
            Self::Masks => "Comparing pictures with their masks",
            Self::Refine => "Finding the region",
            Self::PrepareGallery => "Preparing the gallery",
            Self::Cluster => "Grouping the gallery",
            Self::Generate => "Generating",
            Self::Import => "Comparing imported pictures",
            Self::Calibrate => "Calibrating on the gallery",
            Self::Embed => "Embedding the gallery",
            Self::Repeats => "Comparing pictures with each other",
            Self::Map => "Laying out the gallery",
            Self::Shortlist => "Making the shortlist",
            Self::Locate => "Locating",
            Self::Take => "Comparing a pushed picture",
            Self::EarlierResults => "Reading earlier results",
            Self::SaveVariant => "Saving the variant",
            Self::Report => "Writing the report",
        }
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being done.
    pub kind: JobKind,
    /// Units done.
    pub done: usize,
    /// Units in all.
    pub total: usize,
    /// Time left, once it can be told.
    pub left: Option<Duration>,
}

/// A picture while it forms.
#[derive(Clone, Debug)]
pub struct StepPreview {
    /// Which picture.
    pub key: GenerationKey,
    /// Steps done, 1..=`steps`.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Linear approximation of the picture at latent resolution (an eighth of its sides).
    pub preview: Arc<RgbImage>,
    /// `‖ε_cond − ε_uncond‖₂` of this step; `None` when guidance is off.
    pub noise_norm: Option<f32>,
}

/// Which canvas of the Stage a pair is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PairPlace {
    /// The one canvas, or the left one of two.
    #[default]
    First,
    /// The right one of two.
    Second,
}

/// A generated picture beside a training image or another variant's picture, ready for the Stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PairRequest {
    /// The generated picture.
    pub generation: GenerationKey,
    /// Gallery index of the training image; `None` shows the picture alone.
    pub gallery: Option<u32>,
    /// Variant that drew the picture; `None` for the checkpoint as it is.
    pub variant: Option<Arc<str>>,
    /// Show the same prompt and seed drawn by this variant (inside; `None` there for the checkpoint as it is)
    /// in place of a training image.
    pub against: Option<Option<Arc<str>>>,
    /// Where it is shown.
    pub place: PairPlace,
}

/// Answer to a [`PairRequest`].
#[derive(Clone, Debug)]
pub struct PairView {
    /// What was asked for.
    pub request: PairRequest,
    /// The generated picture, full size.
    pub generated: Arc<RgbImage>,
    /// The training image, or the other variant's picture, stretched to the generated picture's size as the metric stretches it.
    pub training: Option<Arc<RgbImage>>,
    /// Matte of the generated picture, same size (255 = foreground); `None` until segmented.
    pub matte: Option<Arc<GrayImage>>,
    /// Local similarity of the pair (0 = unlike, 255 = alike), same size.
    pub similarity: Option<Arc<GrayImage>>,
    /// Both pictures at the metric's 512², for the graphics card to make the similarity of until it is there.
    pub compared: Option<[Arc<RgbImage>; 2]>,
    /// Where the generated picture showed signs of memorization while it formed; see
    /// [`LatentMap::picture`](crate::study::LatentMap::picture) for a layer of the picture's size.
    pub signals: Option<Arc<SignalMaps>>,
}

/// The gallery on a plane: images with near embeddings are neighbours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GalleryMap {
    /// What made the embeddings.
    pub source: String,
    /// Gallery index per place; images that could not be read have none.
    pub gallery: Vec<u32>,
    /// Places in `[0, 1]²`.
    pub places: Vec<[f32; 2]>,
}

/// What the engine tells.
#[derive(Clone, Debug)]
pub enum Event {
    /// A job was accepted and waits.
    Queued(JobId),
    /// A job runs.
    Started(JobId),
    /// How far a running job is.
    Progress(JobId, Progress),
    /// A study is open: everything of the former one is gone. Sent before its gallery is prepared.
    Opened(Arc<StudyOutline>),
    /// What can be told of the open checkpoint before its weights are read. Sent after [`Opened`](Self::Opened).
    Model(Arc<ModelFacts>),
    /// What computes, in a few words. Sent once, when the engine starts.
    Device(String),
    /// A variant file was opened: the open study has this variant too, in place of one of the same name.
    Variant(Arc<Variant>),
    /// What a folder of generated pictures looks like, for a person to say how its names are to be read.
    Surveyed(Arc<Survey>),
    /// Labels of pictures, in place of earlier ones.
    Labels(Arc<Labels>),
    /// A band of noise norms of unmemorized pictures of another run, in place of the study's own.
    Band(Arc<BandFile>),
    /// All files left out so far of what is open, with reasons.
    Skipped(Arc<Vec<Skipped>>),
    /// The study's segmenter is ready: its network, size and scaling, for people.
    Segmenter(String),
    /// Weights of this network were opened, to answer clicks.
    ClickSegmenter(&'static str),
    /// Answer to a [`RefineJob`].
    Refined(Arc<Refined>),
    /// A search has ended; its variants were told before.
    Located(JobId, Arc<Findings>),
    /// Another run was opened beside the study's own; its pictures follow, with this name for their variant.
    Run {
        /// The name.
        name: Arc<str>,
        /// How its pictures were drawn.
        sampling: Sampling,
    },
    /// The gallery is prepared: pictures can be compared.
    GalleryReady,
    /// The groups of the gallery, largest first.
    Clusters(Arc<Vec<Cluster>>),
    /// The null of the gallery under the study's arithmetic.
    Null(Arc<Null>),
    /// The same by each region alone.
    RegionClusters(Arc<RegionClusters>),
    /// The gallery is large: pictures are compared with a shortlist.
    Approximate(Arc<Approximation>),
    /// The gallery, laid out.
    Map(Arc<GalleryMap>),
    /// A picture while it forms.
    Step(StepPreview),
    /// A picture is drawn and on disk; not compared yet.
    Drawn(Arc<Generation>),
    /// A picture is segmented and compared, and its record is on disk (also sent for the results that
    /// an opened study already had).
    Judged(Arc<Generation>),
    /// The layout of the window kept for the open study, as text that nobody has checked.
    Layout(String),
    /// Pictures of a prompt that repeat each other, of all that are shown.
    Repeats(Arc<Repeats>),
    /// Where masks of generated pictures come from, from now on.
    GeneratedMattes(Option<PathBuf>),
    /// Answer to an edited region: the picture, compared anew and saved beside its record; as it was when that failed.
    /// With the request's [`RegionRequest::since`](super::RegionRequest::since).
    Rescored(Arc<Generation>, Instant),
    /// A pair for the Stage.
    Pair(Arc<PairView>),
    /// A training image was made ready before it was chosen.
    Partner(Arc<Partner>),
    /// Variants against the original.
    Compared(Arc<Compared>),
    /// How well signs of memorization tell.
    Detected(Arc<Detected>),
    /// A small picture, at most 128 px on a side; empty where there is none to be had.
    Thumbnail(Small, Arc<RgbImage>),
    /// A file that was asked for is written.
    Written(PathBuf),
    /// Something to tell that does not stop the job (a broken image in the gallery, a torn last line).
    Notice(Problem),
    /// A job is done.
    Finished(JobId),
    /// A job was stopped as asked.
    Cancelled(JobId),
    /// A job could not be done.
    Failed(JobId, Problem),
}
