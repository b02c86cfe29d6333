//! Editing the foreground region on the Stage: tools, the stroke being drawn, and the regions drawn so far.

use super::state::State;
use crate::{
    engine::{PairView, RefineJob, Refined, RegionRequest},
    segmentation::{Brush, Click, Clicks, lasso, stroke},
    study::{Generation, GenerationKey},
};
use image::GrayImage;
use std::{collections::BTreeMap, sync::Arc, time::Instant};

/// Names a picture of A or B.
pub type Subject = (GenerationKey, Option<Arc<str>>);

/// What the pointer does on the Stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// A round brush.
    Brush,
    /// A line around an area.
    Lasso,
    /// Points and boxes that SAM finds an object by.
    Click,
}

impl Tool {
    /// All tools.
    pub const ALL: [Self; 3] = [Self::Brush, Self::Lasso, Self::Click];

    /// What is written about a region drawn with it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brush => "brush",
            Self::Lasso => "lasso",
            Self::Click => "clicks",
        }
    }
}

/// What a panel asks for; coordinates are picture pixels.
#[derive(Clone, Debug, PartialEq)]
pub enum RegionAction {
    /// Brush or lasso goes down here, for the other of adding and erasing when `flip`.
    Begin([f32; 2], bool),
    /// It moves here.
    Move([f32; 2]),
    /// It is lifted.
    End,
    /// A point of the object, or one beside it.
    Point([f32; 2], bool),
    /// A box around the object: left, top, right, bottom.
    Frame([f32; 4]),
    /// Radius of the brush.
    Radius(f32),
}

/// A region as it was drawn, packed: what an undo keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    size: (u32, u32),
    bytes: Arc<[u8]>,
}

impl Packed {
    /// Packs a region without loss.
    pub fn new(matte: &GrayImage) -> Self {
        Self {
            size: matte.dimensions(),
            bytes: lz4_flex::compress_prepend_size(matte.as_raw()).into(),
        }
    }

    /// The region again.
    pub fn matte(&self) -> Option<GrayImage> {
        let raw = lz4_flex::decompress_size_prepended(&self.bytes).ok()?;
        GrayImage::from_raw(self.size.0, self.size.1, raw)
    }
}

/// The region of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edited {
    /// The region; `None` for the segmenter's own.
    pub matte: Option<Packed>,
    /// What SAM was asked.
    pub clicks: Clicks,
    /// What it was drawn with, in order of first use.
    pub tools: Vec<Tool>,
    /// Tools of an earlier session.
    pub earlier: Vec<String>,
}

impl Edited {
    fn used(&mut self, tool: Tool) {
        if !self.tools.contains(&tool) {
            self.tools.push(tool);
        }
    }

    /// Names of all tools.
    fn names(&self) -> Vec<String> {
        let mut names = self.earlier.clone();
        names.extend(self.tools.iter().map(|t| t.name().to_owned()));
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|n| seen.insert(n.clone()));
        names
    }
}

/// Regions of the pictures that were edited in this session, as undo and redo move them. Cheap to clone.
pub type Edits = Arc<BTreeMap<Subject, Edited>>;

/// A stroke or a line being drawn.
#[derive(Clone, Debug)]
pub struct Draft {
    subject: Subject,
    erase: bool,
    tool: Tool,
    /// Line of the lasso so far, or the brush's last place.
    pub line: Vec<[f32; 2]>,
    matte: GrayImage,
}

/// Everything about regions that the window holds.
#[derive(Debug)]
pub struct RegionState {
    /// The tool at hand; `None` moves the picture.
    pub tool: Option<Tool>,
    /// Takes away instead of adding.
    pub erase: bool,
    /// Whether the brush has a soft edge.
    pub soft: bool,
    /// Radius of the brush in picture pixels.
    pub radius: f32,
    /// The stroke in the making.
    pub draft: Option<Draft>,
    /// What was drawn.
    pub edits: Edits,
    /// Grows whenever the region on the Stage changes.
    pub version: u64,
    /// Regions to be compared, on their way to the engine.
    pub waiting: Vec<RegionRequest>,
    /// Questions for SAM, on their way to the engine.
    pub asking: Option<RefineJob>,
    /// Pictures whose new scores are not there yet, and since when they are awaited.
    pub pending: BTreeMap<Subject, Instant>,
    /// Strokes whose scores are shown in this frame: when each ended.
    pub answered: Vec<Instant>,
    /// Whether a question for SAM is out.
    pub finding: bool,
    /// The region on the Stage does not count any more: the pair is to be read anew, not put together from what is shown.
    pub reread: bool,
}

impl Default for RegionState {
    fn default() -> Self {
        Self {
            tool: None,
            erase: false,
            soft: false,
            radius: 12.0,
            draft: None,
            edits: Edits::default(),
            version: 0,
            waiting: Vec::new(),
            asking: None,
            pending: BTreeMap::new(),
            answered: Vec::new(),
            finding: false,
            reread: false,
        }
    }
}

/// Smallest and largest radius of the brush, in picture pixels.
pub const RADII: std::ops::RangeInclusive<f32> = 1.0..=256.0;

fn subject_of(generation: &Generation) -> Subject {
    (generation.key, generation.variant.clone())
}

impl RegionState {
    /// Forgets everything of the former study; tool and brush stay.
    pub fn clear(&mut self) {
        *self = Self {
            tool: self.tool,
            erase: self.erase,
            soft: self.soft,
            radius: self.radius,
            version: self.version + 1,
            ..Self::default()
        };
    }

    /// The pair with the region as it is drawn now, which may be newer than the one on disk.
    pub fn patched(&self, pair: Arc<PairView>) -> Arc<PairView> {
        let subject = (pair.request.generation, pair.request.variant.clone());
        let draft = self.draft.as_ref().filter(|d| d.subject == subject);
        let matte = match draft {
            Some(draft) => Some(draft.matte.clone()),
            None => self.edits.get(&subject).and_then(|e| e.matte.as_ref()?.matte()),
        };
        match matte.filter(|m| m.dimensions() == pair.generated.dimensions()) {
            Some(matte) => with_matte(&pair, matte),
            None => pair,
        }
    }
}

fn with_matte(pair: &PairView, matte: GrayImage) -> Arc<PairView> {
    Arc::new(PairView {
        matte: Some(Arc::new(matte)),
        ..pair.clone()
    })
}

impl State {
    /// The pair on the Stage, when it is that of the picture looked at and can be edited.
    pub fn editable(&self) -> Option<(&Arc<Generation>, &Arc<PairView>)> {
        let (current, pair) = (self.current()?, self.pair.as_ref()?);
        let same = pair.request.generation == current.key && pair.request.variant == current.variant;
        (same && !self.watching()).then_some((current, pair))
    }

    /// Whether a tool edits the region of the picture on the Stage.
    pub fn is_editing(&self) -> bool {
        self.region.tool.is_some() && !self.open.present && self.editable().is_some()
    }

    /// What SAM was asked about the picture looked at.
    pub fn clicks(&self) -> Option<&Clicks> {
        let edited = self.region.edits.get(&subject_of(self.current()?))?;
        Some(&edited.clicks)
    }

    /// The entry of the picture looked at, made from what is shown if there is none, so that an undo finds it.
    fn ensure_entry(&mut self) -> Option<Subject> {
        let (current, pair) = self.editable()?;
        let subject = subject_of(current);
        if !self.region.edits.contains_key(&subject) {
            let entry = match &current.edit {
                None => Edited::default(),
                Some(edit) => Edited {
                    matte: pair.matte.as_deref().map(Packed::new),
                    earlier: edit.tools.clone(),
                    ..Edited::default()
                },
            };
            Arc::make_mut(&mut self.region.edits).insert(subject.clone(), entry);
        }
        Some(subject)
    }

    /// Carries out what a panel asked for about the region.
    pub(super) fn edit_region(&mut self, action: RegionAction) {
        match action {
            RegionAction::Begin(at, flip) => self.begin_stroke(at, flip),
            RegionAction::Move(at) => self.move_stroke(at),
            RegionAction::End => self.end_stroke(),
            RegionAction::Point(at, inside) => self.ask_sam(|clicks| {
                clicks.points.push(Click {
                    x: at[0],
                    y: at[1],
                    inside,
                });
            }),
            RegionAction::Frame(rect) => self.ask_sam(|clicks| clicks.rect = Some(rect)),
            RegionAction::Radius(radius) => {
                self.region.radius =
                    if radius.is_finite() { radius } else { 12.0 }.clamp(*RADII.start(), *RADII.end());
            }
        }
    }

    fn begin_stroke(&mut self, at: [f32; 2], flip: bool) {
        let Some(tool) = self.region.tool.filter(|t| *t != Tool::Click) else {
            return;
        };
        let Some((current, pair)) = self.editable() else {
            return;
        };
        // Without a segmenter nothing is foreground yet.
        let (width, height) = pair.generated.dimensions();
        let matte = pair.matte.as_deref().cloned();
        self.region.draft = Some(Draft {
            subject: subject_of(current),
            erase: self.region.erase != flip,
            tool,
            line: vec![at],
            matte: matte.unwrap_or_else(|| GrayImage::new(width, height)),
        });
        if tool == Tool::Brush {
            self.paint(at, at);
        }
    }

    fn move_stroke(&mut self, at: [f32; 2]) {
        let Some(draft) = &mut self.region.draft else {
            return;
        };
        let Some(&last) = draft.line.last().filter(|last| **last != at) else {
            return;
        };
        match draft.tool {
            Tool::Brush => {
                draft.line = vec![at];
                self.paint(last, at);
            }
            _ => draft.line.push(at),
        }
    }

    fn paint(&mut self, from: [f32; 2], to: [f32; 2]) {
        let Some(draft) = &mut self.region.draft else {
            return;
        };
        let brush = Brush {
            radius: self.region.radius,
            soft: self.region.soft,
            erase: draft.erase,
        };
        stroke(&mut draft.matte, from, to, brush);
        let matte = draft.matte.clone();
        self.show_region(matte);
    }

    fn show_region(&mut self, matte: GrayImage) {
        self.region.version += 1;
        if let Some(pair) = &self.pair {
            self.pair = Some(with_matte(pair, matte));
        }
    }

    fn end_stroke(&mut self) {
        let since = Instant::now();
        let Some(mut draft) = self.region.draft.take() else {
            return;
        };
        let still = self
            .editable()
            .is_some_and(|(g, _)| subject_of(g) == draft.subject);
        if !still {
            return;
        }
        if draft.tool == Tool::Lasso {
            lasso(&mut draft.matte, &draft.line, draft.erase);
        }
        let Some(subject) = self.ensure_entry() else {
            return;
        };
        self.history.before(self.moment(), None);
        let packed = Packed::new(&draft.matte);
        if let Some(entry) = Arc::make_mut(&mut self.region.edits).get_mut(&subject) {
            entry.matte = Some(packed);
            entry.used(draft.tool);
        }
        self.show_region(draft.matte);
        self.send_region(&subject, since);
    }

    /// Back to the segmenter's own region, undoably.
    pub(super) fn reset_region(&mut self) {
        let since = Instant::now();
        let Some(subject) = self.ensure_entry() else {
            return;
        };
        let reset = Edited::default();
        if self.region.edits.get(&subject) == Some(&reset) {
            return;
        }
        self.history.before(self.moment(), None);
        Arc::make_mut(&mut self.region.edits).insert(subject.clone(), reset);
        self.send_region(&subject, since);
    }

    /// Grows or shrinks the brush by a step.
    pub(super) fn step_brush(&mut self, steps: f32) {
        self.edit_region(RegionAction::Radius(self.region.radius * 1.2_f32.powf(steps)));
    }

    fn ask_sam(&mut self, change: impl FnOnce(&mut Clicks)) {
        let Some(subject) = self.ensure_entry() else {
            return;
        };
        self.history.before(self.moment(), None);
        let Some(entry) = Arc::make_mut(&mut self.region.edits).get_mut(&subject) else {
            return;
        };
        change(&mut entry.clicks);
        self.region.asking = Some(RefineJob {
            generation: subject.0,
            variant: subject.1,
            clicks: entry.clicks.clone(),
        });
        self.region.finding = true;
    }

    /// SAM's answer becomes the region, unless another question was asked since.
    pub(super) fn refined(&mut self, refined: &Refined) {
        let since = Instant::now();
        self.region.finding = false;
        let subjects = self.region.edits.iter();
        let mut subjects = subjects.filter(|(s, e)| s.0 == refined.generation && e.clicks == refined.clicks);
        let Some(subject) = subjects.next().map(|(s, _)| s.clone()) else {
            return;
        };
        if let Some(entry) = Arc::make_mut(&mut self.region.edits).get_mut(&subject) {
            entry.matte = Some(Packed::new(&refined.matte));
            entry.used(Tool::Click);
        }
        if self.current().is_some_and(|g| subject_of(g) == subject) {
            self.show_region(GrayImage::clone(&refined.matte));
        }
        self.send_region(&subject, since);
    }

    /// Sends a picture's region, which a person finished at `since`, to be compared and saved.
    fn send_region(&mut self, subject: &Subject, since: Instant) {
        let known = match &subject.1 {
            Some(variant) => self.study.generation_of(variant, subject.0),
            None => self.study.generation_as_is(subject.0),
        };
        let (Some(generation), Some(edited)) = (known, self.region.edits.get(subject)) else {
            return;
        };
        let matte = edited.matte.as_ref().and_then(Packed::matte);
        self.region.waiting.push(RegionRequest {
            generation: generation.clone(),
            matte: matte.map(Arc::new),
            tools: edited.names(),
            since,
        });
        self.region.pending.insert(subject.clone(), since);
    }

    /// Takes the regions of another moment; those that differ are compared anew.
    pub(super) fn bring_back_regions(&mut self, edits: Edits) {
        let since = Instant::now();
        let former = std::mem::replace(&mut self.region.edits, edits);
        self.region.draft = None;
        let now = self.region.edits.clone();
        for (subject, edited) in now.iter() {
            let before = former.get(subject);
            if before.is_some_and(|b| b.matte == edited.matte) {
                continue;
            }
            let shown = self.current().is_some_and(|g| subject_of(g) == *subject);
            if let Some(matte) = edited.matte.as_ref().and_then(Packed::matte).filter(|_| shown) {
                self.show_region(matte);
            }
            self.send_region(subject, since);
        }
        // What was first edited after that moment stays as that edit's own undo has left it.
        let edits = Arc::make_mut(&mut self.region.edits);
        for (subject, edited) in former.iter() {
            edits.entry(subject.clone()).or_insert_with(|| edited.clone());
        }
    }

    /// Asks for the pair on the Stage again: what is drawn over it does not count any more.
    pub(super) fn reread_pair(&mut self) {
        self.asked = None;
        self.region.reread = true;
        self.region.version += 1;
    }

    /// Takes in a picture that was compared anew with the region that was finished at `since`.
    pub(super) fn rescored(&mut self, generation: Arc<Generation>, since: Instant) {
        let subject = subject_of(&generation);
        // The answer to a former stroke is shown, but the last one's is still awaited.
        if self.region.pending.get(&subject) == Some(&since) {
            self.region.pending.remove(&subject);
            self.region.answered.push(since);
        }
        // The Stage shows what was drawn; the segmenter's matte, or one from a file, has to be read again.
        let drawn = self.region.edits.get(&subject).is_some_and(|e| e.matte.is_some());
        let reread = generation.edit.is_none() || !drawn;
        self.study.insert(generation);
        if reread {
            self.reread_pair();
        }
    }
}
