//! What the window costs: time on our side per frame, why frames were drawn, and how much work was in them.

use super::thumbnails::ThumbnailFigures;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// Time that the means are taken over.
const SPAN: Duration = Duration::from_secs(5);
/// Frames kept at most.
const MOST: usize = 1200;

/// Watches the frames. Costs next to nothing, so it always runs.
#[derive(Debug, Default)]
pub struct Meter {
    begun: Option<Instant>,
    /// End and length of the latest frames.
    lengths: VecDeque<(Instant, Duration)>,
    causes: VecDeque<(Instant, String)>,
    frames: u64,
    rows: usize,
    rescored: Option<Rescored>,
}

/// The way from the end of a stroke on the Stage to the frame that shows the new verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rescored {
    /// Milliseconds of the last one.
    pub last: f32,
    /// Milliseconds of the longest one.
    pub most: f32,
    /// How many there were.
    pub count: usize,
}

/// What is told of the window's costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Frames drawn so far; one drawn again at once counts again.
    pub frames: u64,
    /// Frames of the last five seconds.
    pub recent: usize,
    /// Mean milliseconds on our side, over these.
    pub mean: f32,
    /// Milliseconds that 99 of 100 of them do not exceed.
    pub p99: f32,
    /// Milliseconds of the longest of them.
    pub max: f32,
    /// Places in the program that asked for these frames, most frequent first, with how often.
    pub causes: Vec<(String, usize)>,
    /// Rows and pictures of long lists laid out in the last frame.
    pub rows: usize,
    /// The small pictures.
    pub thumbnails: ThumbnailFigures,
    /// Events of the engine that wait.
    pub events: usize,
    /// Jobs handed in and not ended.
    pub jobs: usize,
    /// Milliseconds from the program's start to the end of its first frame.
    pub first_frame: Option<u32>,
    /// Strokes that changed a region, and how long their verdicts took.
    pub rescored: Option<Rescored>,
    /// Pictures laid out on the Field so far, and how often its density was coloured.
    pub field: (u64, u64),
}

impl Meter {
    /// A frame begins. One that is drawn again within the same begun frame goes on.
    pub fn begin(&mut self) {
        self.begun = Some(Instant::now());
    }

    /// A frame ends, in which `rows` rows of lists were laid out and which these places asked for.
    pub fn end(&mut self, rows: usize, causes: impl Iterator<Item = String>) {
        let Some(begun) = self.begun.take() else { return };
        let now = Instant::now();
        self.frames += 1;
        self.rows = rows;
        self.lengths.push_back((now, now - begun));
        self.causes.extend(causes.map(|cause| (now, cause)));
        let old = |at: &Instant| now - *at > SPAN;
        while self.lengths.len() > MOST || self.lengths.front().is_some_and(|(at, _)| old(at)) {
            self.lengths.pop_front();
        }
        while self.causes.len() > MOST || self.causes.front().is_some_and(|(at, _)| old(at)) {
            self.causes.pop_front();
        }
    }

    /// A frame shows the verdict of a region that was finished `wait` ago.
    pub fn verdict_shown(&mut self, wait: Duration) {
        let last = wait.as_secs_f32() * 1000.0;
        let former = self.rescored.unwrap_or(Rescored {
            last,
            most: last,
            count: 0,
        });
        self.rescored = Some(Rescored {
            last,
            most: former.most.max(last),
            count: former.count + 1,
        });
        log::info!("the edited region's verdict was shown {last:.0} ms after the stroke");
    }

    /// Times, causes and rows; the rest is for the caller to fill in.
    pub fn figures(&self) -> Figures {
        let mut lengths: Vec<f32> = self
            .lengths
            .iter()
            .map(|(_, length)| length.as_secs_f32() * 1000.0)
            .collect();
        lengths.sort_by(f32::total_cmp);
        let mut causes: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, cause) in &self.causes {
            *causes.entry(cause).or_default() += 1;
        }
        let mut causes: Vec<(String, usize)> = causes.into_iter().map(|(c, n)| (c.to_owned(), n)).collect();
        causes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let last = lengths.len().saturating_sub(1);
        Figures {
            frames: self.frames,
            recent: lengths.len(),
            mean: lengths.iter().sum::<f32>() / lengths.len().max(1) as f32,
            p99: lengths
                .get((last as f32 * 0.99).round() as usize)
                .copied()
                .unwrap_or(0.0),
            max: lengths.last().copied().unwrap_or(0.0),
            causes,
            rows: self.rows,
            rescored: self.rescored,
            ..Figures::default()
        }
    }
}

/// A place in the sources, from the package's folder on, and why it asked.
pub fn place(file: &str, line: u32, reason: &str) -> String {
    let parts: Vec<&str> = file.split(['/', '\\']).collect();
    let source = parts.iter().rposition(|part| *part == "src").unwrap_or(0);
    let short = parts[source.saturating_sub(1)..].join("/");
    format!("{short}:{line} {reason}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_and_their_causes_ranked() {
        let mut meter = Meter::default();
        for frame in 0..10 {
            meter.begin();
            let cause = if frame < 7 { "often" } else { "seldom" };
            meter.end(frame, std::iter::once(cause.to_owned()));
        }
        let figures = meter.figures();
        assert_eq!((figures.frames, figures.recent, figures.rows), (10, 10, 9));
        assert_eq!(
            figures.causes,
            vec![("often".to_owned(), 7), ("seldom".to_owned(), 3)]
        );
        assert!(figures.mean <= figures.p99 && figures.p99 <= figures.max);
    }

    #[test]
    fn a_place_is_told_from_its_package_on() {
        let file = "/home/someone/registry/src/index-0/egui-0.37.0/src/containers/area.rs";
        assert_eq!(place(file, 7, ""), "egui-0.37.0/src/containers/area.rs:7");
        assert_eq!(
            place("src/app/window.rs", 7, "wheel"),
            "src/app/window.rs:7 wheel"
        );
    }
}
