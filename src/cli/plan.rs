//! What a scan will take, told before it starts.

use crate::{
    engine::{EngineHandle, Event, GenerateJob, Job},
    store::Run,
    study::{GenerationKey, Problem},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Steps of the picture that is drawn to measure.
const MEASURED_STEPS: u32 = 4;
/// Bytes of a record and its timing, besides a noise norm of about 12 bytes a step.
const RECORD: u64 = 1600;

/// The pictures of a scan.
pub struct Plan {
    /// Pictures to draw.
    pub open: usize,
    /// Pictures the run holds already.
    pub there: usize,
    /// Most bytes the open pictures take on disk.
    pub bytes: u64,
}

impl Plan {
    /// Counts what a job will draw into a run folder that may hold some of it. Sizes are those of uncompressed
    /// pictures: a lossless file is smaller, by how much is not known before.
    pub fn of(job: &GenerateJob, run: &Path) -> Self {
        let held = Run::open_read(run).ok();
        let groups = job.groups();
        let keys = groups.iter().flat_map(|(p, seeds)| {
            seeds.iter().map(|&seed| GenerationKey {
                prompt: p.index,
                seed,
            })
        });
        let (mut open, mut there) = (0, 0);
        for key in keys {
            if held.as_ref().is_some_and(|r| r.has(&key)) {
                there += 1;
            } else {
                open += 1;
            }
        }
        let s = &job.sampling;
        let pixels = u64::from(s.width) * u64::from(s.height);
        // Three bytes of picture and one of matte for each pixel.
        let each = pixels * 4 + RECORD + 12 * u64::from(s.steps);
        Self {
            open,
            there,
            bytes: open as u64 * each,
        }
    }

    /// One line for the start of a scan.
    pub fn words(&self) -> String {
        let there = match self.there {
            0 => String::new(),
            n => format!(", {n} are there"),
        };
        format!(
            "{} pictures to draw{there}; at most {} of disk",
            self.open,
            size(self.bytes)
        )
    }
}

/// Seconds for each picture, from one that is drawn with few steps into a folder that is thrown away.
///
/// # Errors
/// A problem when it cannot be drawn.
pub fn seconds_each(handle: &EngineHandle, job: &GenerateJob) -> Result<f64, Problem> {
    let mut small = job.clone();
    small.prompts.truncate(1);
    small.seeds.truncate(1);
    small.shard = None;
    small.redraw = true;
    small.sampling.steps = job.sampling.steps.min(MEASURED_STEPS);
    let start = Instant::now();
    let (id, _) = handle.submit(Job::Generate(small));
    let (mut first, mut last) = (None, None);
    loop {
        let event = handle
            .events()
            .recv()
            .map_err(|_| Problem::new("The engine ended early", "Try again."))?;
        match event {
            Event::Step(step) => {
                first.get_or_insert((Instant::now(), step.step));
                last = Some((Instant::now(), step.step));
            }
            Event::Finished(done) if done == id => break,
            Event::Failed(failed, problem) if failed == id => return Err(problem),
            _ => {}
        }
    }
    let whole = start.elapsed().as_secs_f64();
    let step = match (first, last) {
        (Some((a, from)), Some((b, to))) if to > from => {
            b.duration_since(a).as_secs_f64() / (to - from) as f64
        }
        _ => 0.0,
    };
    let rest = f64::from(job.sampling.steps.saturating_sub(MEASURED_STEPS));
    Ok(whole + rest * step)
}

/// `3 h 20 min`, `4 days 2 h`.
pub fn long(duration: Duration) -> String {
    let minutes = duration.as_secs().div_ceil(60);
    let (days, hours) = (minutes / 1440, minutes / 60 % 24);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, h) => format!("{h} h {} min", minutes % 60),
        (1, h) => format!("1 day {h} h"),
        (d, h) => format!("{d} days {h} h"),
    }
}

/// `1.2 GB`.
pub fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    for (unit, factor) in [("TB", 1e12), ("GB", 1e9), ("MB", 1e6)] {
        if bytes >= factor {
            return format!("{:.1} {unit}", bytes / factor);
        }
    }
    format!("{:.0} kB", bytes / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_times_and_sizes_read_easily() {
        assert_eq!(long(Duration::from_secs(61)), "2 min");
        assert_eq!(long(Duration::from_secs(3600 * 5 + 120)), "5 h 2 min");
        assert_eq!(long(Duration::from_secs(3600 * 53)), "2 days 5 h");
        assert_eq!(
            (size(900), size(1_500_000), size(2_340_000_000)),
            ("1 kB".into(), "1.5 MB".into(), "2.3 GB".into())
        );
    }
}
