//! What goes into the engine and what comes out. Small and typed; large data crosses as `Arc`.

use crate::report::PageOptions;
use crate::study::{
    Cluster, Generation, GenerationKey, Problem, Prompt, Sampling, Shard, StudyOutline, Thresholds, Variant,
};
use image::{GrayImage, RgbImage};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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
}

/// Work for the engine.
#[derive(Clone, Debug)]
pub enum Job {
    /// Open a study folder, a checkpoint folder, a gallery folder or a prompt file; loose parts replace
    /// that part of the open study. Reads earlier results of the study, prepares the gallery. A variant file joins
    /// the open study, see [`Event::Variant`].
    Open(PathBuf),
    /// Draw, segment and compare pictures of the open study.
    Generate(GenerateJob),
    /// Write a report; answered by [`Event::Written`].
    Report(ReportJob),
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

/// The kinds of work a progress line can speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Reading a study.
    Open,
    /// Segmenting gallery images and building their pyramids.
    PrepareGallery,
    /// Finding the groups in the gallery.
    Cluster,
    /// Drawing, segmenting and comparing pictures.
    Generate,
    /// Writing a report.
    Report,
}

impl JobKind {
    /// A few words for the progress line.
    pub fn words(self) -> &'static str {
        match self {
            Self::Open => "Opening",
            Self::PrepareGallery => "Preparing the gallery",
            Self::Cluster => "Grouping the gallery",
            Self::Generate => "Generating",
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

/// A generated picture beside a training image, ready for the Stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PairRequest {
    /// The generated picture.
    pub generation: GenerationKey,
    /// Gallery index of the training image; `None` shows the picture alone.
    pub gallery: Option<u32>,
}

/// Answer to a [`PairRequest`].
#[derive(Clone, Debug)]
pub struct PairView {
    /// What was asked for.
    pub request: PairRequest,
    /// The generated picture, full size.
    pub generated: Arc<RgbImage>,
    /// The training image, stretched to the generated picture's size as the metric stretches it.
    pub training: Option<Arc<RgbImage>>,
    /// Matte of the generated picture, same size (255 = foreground); `None` until segmented.
    pub matte: Option<Arc<GrayImage>>,
    /// Local similarity of the pair (0 = unlike, 255 = alike), same size.
    pub similarity: Option<Arc<GrayImage>>,
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
    /// A variant file was opened: the open study has this variant too, in place of one of the same name.
    Variant(Arc<Variant>),
    /// The gallery is prepared: pictures can be compared.
    GalleryReady,
    /// The groups of the gallery, largest first.
    Clusters(Arc<Vec<Cluster>>),
    /// A picture while it forms.
    Step(StepPreview),
    /// A picture is drawn and on disk; not compared yet.
    Drawn(Arc<Generation>),
    /// A picture is segmented and compared, and its record is on disk (also sent for the results that
    /// an opened study already had).
    Judged(Arc<Generation>),
    /// A pair for the Stage.
    Pair(Arc<PairView>),
    /// Small copy of a gallery image, at most 128 px on a side.
    Thumbnail(u32, Arc<RgbImage>),
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
