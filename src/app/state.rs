//! What the window shows right now: selection, camera, overlay, filters. Verdicts are never in here:
//! they always follow from scores and the thresholds.

use super::{
    autoplay::Autoplay,
    comparing::{Bench, Comparing},
    derived::Derived,
    detecting::Detecting,
    history::History,
    import_dialog::ImportDialog,
    lasso::Lasso,
    layout::Pane,
    pace::Pace,
    region::RegionState,
    searching::SearchChoice,
    study_view::StudyView,
    weights_dialog::WeightsDialog,
};
use crate::{
    engine::{BandFile, CancelToken, Job, JobId, ModelFacts, PairRequest, PairView, Progress, Repeats},
    fetch::Progress as Fetched,
    memorization::null::Null,
    render::{Highlight, Mode, Ramp},
    study::{
        Generation, GenerationKey, Labels, Problem, RegionLabels, Sampling, Skipped, Thresholds, Variant,
        Verdict,
    },
};
use egui::Vec2;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// Everything the panels read.
#[derive(Debug, Default)]
pub struct State {
    /// The open study.
    pub study: StudyView,
    /// What follows from the rest and is not worth a walk in every frame; see [`State::derive`].
    pub derived: Derived,
    /// What is chosen.
    pub selection: Selection,
    /// Pictures chosen on the Field.
    pub lasso: Option<Arc<Lasso>>,
    /// What counts as memorized.
    pub thresholds: Thresholds,
    /// What the gallery's own unrelated pictures score, once measured.
    pub null: Option<Arc<Null>>,
    /// Pictures of a prompt that repeat each other, once looked for.
    pub repeats: Option<Arc<Repeats>>,
    /// Labels of pictures, in place of the classes of the prompt list.
    pub labels: Option<Arc<Labels>>,
    /// How well signs of memorization tell, and what is shown of it.
    pub signals: Detecting,
    /// Band of noise norms of another run, in place of the study's own.
    pub band: Option<Arc<BandFile>>,
    /// Files left out of what is open.
    pub skipped: Arc<Vec<Skipped>>,
    /// How pictures are imported, while it is asked.
    pub import: Option<Box<ImportDialog>>,
    /// Whether the thresholds follow its suggestion as soon as it is measured.
    pub suggest_when_measured: bool,
    /// How the Stage draws.
    pub overlay: OverlaySettings,
    /// Where the Stage looks.
    pub camera: Camera,
    /// A training image chosen outside the list of matches.
    pub training: Option<TrainingPick>,
    /// Whether the map of this study's gallery was asked for.
    pub map_asked: bool,
    /// Text of the prompt search.
    pub search: String,
    /// Classes shown; all of them when empty.
    pub wanted: BTreeSet<Verdict>,
    /// A prompt being written.
    pub draft: String,
    /// Path being written into the Open field.
    pub path_draft: String,
    /// Seeds of the next run, as written.
    pub seeds: String,
    /// Parameters of the next run.
    pub sampling: Sampling,
    /// The study's variants and those opened here.
    pub variants: Vec<Arc<Variant>>,
    /// The variant of the next run; `None` for the checkpoint as it is.
    pub variant: Option<Arc<Variant>>,
    /// What that variant was made from by hand.
    pub bench: Bench,
    /// Original and variant side by side.
    pub compare: Comparing,
    /// What the Bench would search for.
    pub search_choice: SearchChoice,
    /// Jobs handed in and not ended yet, oldest first.
    pub jobs: Vec<RunningJob>,
    /// Troubles told, newest last.
    pub notices: Vec<Notice>,
    /// Number of the next notice.
    pub next_notice: u64,
    /// What can be undone.
    pub history: History,
    /// The pair on the Stage, once loaded.
    pub pair: Option<Arc<PairView>>,
    /// Training images made ready before they are chosen.
    pub ahead: super::ahead::Ahead,
    /// The pair that was asked for last.
    pub asked: Option<PairRequest>,
    /// The generation under the pointer in the Field or the Strip.
    pub hovered: Option<GenerationKey>,
    /// Editing the region on the Stage.
    pub region: RegionState,
    /// What answers clicks, in words; empty while its weights were not opened.
    pub click_segmenter: String,
    /// Region that stands out while its score is pointed at.
    pub highlight: Highlight,
    /// What is open on top of the panes.
    pub open: Open,
    /// The tour that plays by itself on the full-screen stage.
    pub autoplay: Option<Autoplay>,
    /// Folders opened lately, newest first.
    pub recent: Vec<PathBuf>,
    /// The study's segmenter: network, size, scaling; empty while there is none.
    pub segmenter: String,
    /// What is known of the open checkpoint before its weights are read; `None` without one.
    pub model: Option<Arc<ModelFacts>>,
    /// How fast the picture that forms advances.
    pub pace: Pace,
    /// Words about the arithmetic device, for the bar.
    pub device: String,
    /// Published weights, while they are looked at.
    pub weights: Option<Box<WeightsDialog>>,
    /// The weights that are being fetched, and how far.
    pub fetching: Option<(&'static str, Fetched)>,
    /// Where other programs can push pictures; `None` while nothing listens.
    pub listening: Option<Listening>,
}

/// Where the window listens, and what a client must say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listening {
    /// Address and port.
    pub address: String,
    /// The token.
    pub token: String,
}

/// What is open on top of the panes.
#[derive(Debug, Default)]
pub struct Open {
    /// The command palette, with what was typed into it and the chosen row.
    pub palette: Option<Palette>,
    /// The sheet of keys.
    pub keys: bool,
    /// The card of the tour.
    pub tour: Option<usize>,
    /// The field for a path.
    pub path: bool,
    /// What the path is for.
    pub path_for: PathFor,
    /// Seeds, steps, guidance, size.
    pub run_settings: bool,
    /// Full-screen stage.
    pub present: bool,
    /// The overlay controls on the Stage.
    pub controls: bool,
    /// The pane that has the whole window below the bar.
    pub alone: Option<Pane>,
    /// What the window costs.
    pub figures: bool,
    /// The numbers of the pixel under the pointer.
    pub inspector: bool,
}

/// What a path that is written is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathFor {
    /// To be opened, whatever it is.
    #[default]
    Open,
    /// Pictures to import.
    Import,
    /// Masks of the training images.
    Mattes,
    /// Masks of generated pictures.
    GeneratedMattes,
}

/// State of the command palette.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    /// What was typed.
    pub query: String,
    /// Chosen row.
    pub row: usize,
}

/// What is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The prompt looked at.
    pub prompt: Option<u32>,
    /// Prompts chosen for a run; holds `prompt` too.
    pub prompts: BTreeSet<u32>,
    /// The seed looked at.
    pub seed: Option<u64>,
    /// Whether the user chose the seed: then no finished picture takes its place.
    pub pinned: bool,
    /// Position in the evidence list.
    pub evidence: usize,
}

impl Selection {
    /// The generation looked at.
    pub fn key(&self) -> Option<GenerationKey> {
        Some(GenerationKey {
            prompt: self.prompt?,
            seed: self.seed?,
        })
    }
}

/// A training image beside a picture whose list of matches does not hold it. It goes out of use with the picture or
/// the place in the list that it was chosen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingPick {
    /// The picture looked at.
    pub generation: GenerationKey,
    /// [`Selection::evidence`] at the time.
    pub evidence: usize,
    /// Gallery index.
    pub gallery: u32,
}

/// How the Stage draws.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct OverlaySettings {
    /// The mode.
    pub mode: Mode,
    /// Past a line the training image is drawn.
    pub split: bool,
    /// Where the line stands, `0..=1`.
    pub split_at: f32,
    /// Angle of the line, degrees, 0 is upright.
    pub split_angle: f32,
    /// Opacity of the foreground map, `0..=1`.
    pub foreground: f32,
    /// Opacity of the background map, `0..=1`.
    pub background: f32,
    /// Local similarity that counts half, `0..=1`.
    pub threshold: f32,
    /// Width of the step around the threshold, `0..=1`.
    pub softness: f32,
    /// Ramp of the foreground.
    pub foreground_ramp: Ramp,
    /// Ramp of the background.
    pub background_ramp: Ramp,
    /// How far the training image shows through, `0..=1`.
    pub reveal: f32,
    /// Factor on differences, `1..=8`.
    pub gain: f32,
    /// Blinks per second, `1..=5`.
    pub blink_hz: f32,
    /// Hard edges between pixels at any zoom.
    pub nearest: bool,
    /// Opacity of the bright-ending layer, `0..=1`; 0 is off.
    pub ending: f32,
    /// Opacity of the score-difference layer, `0..=1`; 0 is off.
    pub change: f32,
}

impl Default for OverlaySettings {
    fn default() -> Self {
        Self {
            mode: Mode::Heat,
            split: true,
            split_at: 0.56,
            split_angle: 0.0,
            foreground: 0.72,
            background: 0.6,
            threshold: 0.5,
            softness: 0.15,
            foreground_ramp: Ramp::Magma,
            background_ramp: Ramp::Viridis,
            reveal: 1.0,
            gain: 2.0,
            blink_hz: 2.0,
            nearest: false,
            ending: 0.0,
            change: 0.0,
        }
    }
}

impl OverlaySettings {
    /// The same with every number inside its range; for settings read from disk.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        let unit = |v: f32, or: f32| if v.is_finite() { v.clamp(0.0, 1.0) } else { or };
        let d = Self::default();
        self.split_at = unit(self.split_at, d.split_at);
        self.foreground = unit(self.foreground, d.foreground);
        self.background = unit(self.background, d.background);
        self.threshold = unit(self.threshold, d.threshold);
        self.softness = unit(self.softness, d.softness);
        self.reveal = unit(self.reveal, d.reveal);
        self.ending = unit(self.ending, d.ending);
        self.change = unit(self.change, d.change);
        let within =
            |v: f32, low: f32, high: f32, or: f32| if v.is_finite() { v.clamp(low, high) } else { or };
        self.split_angle = within(self.split_angle, -90.0, 90.0, 0.0);
        self.gain = within(self.gain, 1.0, 8.0, d.gain);
        self.blink_hz = within(self.blink_hz, 1.0, 5.0, d.blink_hz);
        self
    }
}

/// Where the Stage looks: relative to the picture fitted into the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// 1 fits the picture.
    pub zoom: f32,
    /// Shift of the picture's centre from the canvas' centre, in points.
    pub offset: Vec2,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            zoom: 1.0,
            offset: Vec2::ZERO,
        }
    }
}

impl Camera {
    /// Zooms by `factor`, keeping the place at `anchor` (from the canvas' centre, points) where it is.
    pub fn zoom_about(&mut self, factor: f32, anchor: Vec2) {
        let zoom = (self.zoom * factor).clamp(0.25, 64.0);
        let factor = zoom / self.zoom;
        self.offset = anchor + (self.offset - anchor) * factor;
        self.zoom = zoom;
    }
}

/// A job that was handed in.
#[derive(Debug)]
pub struct RunningJob {
    /// Its number.
    pub id: JobId,
    /// Stops it.
    pub cancel: CancelToken,
    /// Whether it draws pictures (and is shown as a run).
    pub draws: bool,
    /// Whether it measures the null.
    pub calibrates: bool,
    /// Whether it searches for what remembers.
    pub searches: bool,
    /// Whether it lays the gallery out.
    pub maps: bool,
    /// Whether it asks SAM for a region.
    pub refines: bool,
    /// Variant it draws with.
    pub variant: Option<Arc<str>>,
    /// Whether it began.
    pub started: bool,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Seconds of the window's clock at which `progress.done` was first seen above 0, with that number:
    /// the rate is counted from there.
    pub rate_from: Option<(f64, usize)>,
    /// Seconds of the window's clock of the last progress.
    pub heard: f64,
}

impl RunningJob {
    /// A job just handed in.
    pub fn new(id: JobId, cancel: CancelToken, job: &Job) -> Self {
        Self {
            id,
            cancel,
            draws: matches!(job, Job::Generate(_)),
            calibrates: matches!(job, Job::Calibrate),
            searches: matches!(job, Job::Locate(_)),
            maps: matches!(job, Job::Map),
            refines: matches!(job, Job::Refine(_)),
            variant: match job {
                Job::Generate(job) => job.variant.as_ref().map(|v| v.name.as_str().into()),
                _ => None,
            },
            started: false,
            progress: None,
            rate_from: None,
            heard: 0.0,
        }
    }

    /// Units a second since the first was done.
    pub fn rate(&self) -> Option<f64> {
        let (since, from) = self.rate_from?;
        let done = self.progress?.done.checked_sub(from)?;
        let seconds = self.heard - since;
        (done > 0 && seconds > 0.2).then(|| done as f64 / seconds)
    }
}

/// A trouble told.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Names the card.
    pub id: u64,
    /// What happened.
    pub problem: Problem,
    /// Whether a job failed of it.
    pub failed: bool,
    /// Whether the card still floats; the Log keeps it afterwards.
    pub floating: bool,
}

impl State {
    /// The generation looked at, if it is drawn: A's or B's, as is shown; the other where that is missing.
    pub fn current(&self) -> Option<&Arc<Generation>> {
        let key = self.selection.key()?;
        let (first, second) = (self.study.generation(key), self.second(key));
        if self.compare.show_second && !self.beside() {
            second.or(first)
        } else {
            first.or(second)
        }
    }

    /// What is known of a picture beforehand: its label, else the class its prompt is listed with.
    pub fn label(&self, key: GenerationKey) -> Option<RegionLabels> {
        match &self.labels {
            Some(labels) => labels.get(&key).copied(),
            None => self.study.planned(key.prompt),
        }
    }

    /// The classes shown, for filters.
    pub fn wanted(&self) -> Vec<Verdict> {
        self.wanted.iter().copied().collect()
    }

    /// The training image beside the picture looked at.
    pub fn chosen_training(&self) -> Option<u32> {
        let current = self.current()?;
        let picked = self
            .training
            .filter(|t| t.generation == current.key && t.evidence == self.selection.evidence)
            .map(|t| t.gallery);
        picked.or_else(|| current.matches.get(self.selection.evidence).map(|m| m.gallery))
    }

    /// Puts a training image beside the picture looked at, whether it is among its matches or not.
    pub fn pick_training(&mut self, gallery: u32) {
        let Some(current) = self.current() else { return };
        let (key, place) = (
            current.key,
            current.matches.iter().position(|m| m.gallery == gallery),
        );
        match place {
            Some(place) => {
                self.selection.evidence = place;
                self.training = None;
            }
            None => {
                self.training = Some(TrainingPick {
                    generation: key,
                    evidence: self.selection.evidence,
                    gallery,
                });
            }
        }
    }

    /// The pair that should be on the Stage.
    pub fn wished_pair(&self) -> Option<PairRequest> {
        let current = self.current()?;
        // The other one of A and B, when that is the wished partner and there.
        let other = if current.variant == *self.study.first() {
            self.second(current.key)
        } else {
            self.study.generation(current.key)
        };
        let against = other.filter(|_| self.compare.against_second && !self.beside());
        Some(PairRequest {
            generation: current.key,
            gallery: match against {
                Some(_) => None,
                None => self.chosen_training(),
            },
            variant: current.variant.clone(),
            against: against.map(|g| g.variant.clone()),
            ..PairRequest::default()
        })
    }

    /// Whether the picture looked at is the one that forms.
    pub fn watching(&self) -> bool {
        self.selection
            .key()
            .is_some_and(|key| self.study.forming(key).is_some())
    }

    /// Whether a run was handed in and has not ended.
    pub fn is_running(&self) -> bool {
        self.jobs.iter().any(|j| j.draws)
    }

    /// Looks at a pushed picture, unless the user looks at one of their choice; the first one becomes B.
    pub fn show_pushed(&mut self, key: GenerationKey) {
        let name: Arc<str> = super::live_link::NAME.into();
        if self.compare.second.is_none() {
            self.set_second(Some(name));
        }
        if !self.selection.pinned && !self.watching() {
            self.selection.prompt = Some(key.prompt);
            self.selection.prompts = [key.prompt].into();
            self.selection.seed = Some(key.seed);
            self.selection.evidence = 0;
        }
    }

    /// Adds a card.
    pub fn notice(&mut self, problem: Problem, failed: bool) {
        const KEPT: usize = 200;
        self.notices.push(Notice {
            id: self.next_notice,
            problem,
            failed,
            floating: true,
        });
        self.next_notice += 1;
        if self.notices.len() > KEPT {
            self.notices.drain(..self.notices.len() - KEPT);
        }
    }

    /// Looks at a prompt: its first picture, or what forms of it.
    pub fn look_at_prompt(&mut self, prompt: u32) {
        let forming = self.study.forming_of(prompt).next().map(|f| f.key);
        let seed = forming
            .map(|k| k.seed)
            .or_else(|| self.seeds_of(prompt).first().copied());
        self.selection.prompt = Some(prompt);
        self.selection.seed = seed;
        self.selection.pinned = false;
        self.selection.evidence = 0;
    }
}
