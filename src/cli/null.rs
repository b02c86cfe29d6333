//! The null of a gallery for the commands: measured, told, and as columns.

use super::console::Console;
use crate::{
    engine::Eta,
    memorization::{
        ClusterLimits, cluster,
        null::{Null, Stranger, groups_of_rows, measure},
    },
    similarity::{Index, Prepared},
    study::{Arithmetic, Region, RegionScores, Thresholds, Verdict},
};
use rayon::ThreadPool;

/// Measures the null of an index. `generated` prepares the picture of a row as a generated one; it is asked only
/// under the arithmetics that treat generated pictures differently.
pub fn of_gallery(
    index: &Index,
    generated: &(dyn Fn(usize) -> Option<Prepared> + Sync),
    pool: &ThreadPool,
    console: &mut Console,
) -> Null {
    let limits = ClusterLimits::default();
    let never = || false;
    let links = pool
        .install(|| index.links(limits.foreground, limits.background, &never, &|_, _| {}))
        .unwrap_or_default();
    let rows: Vec<u32> = (0..index.len() as u32).collect();
    let groups = groups_of_rows(&cluster(index.len(), &links, limits, &[]), &rows);
    let corrected = index.arithmetic() == Arithmetic::Corrected;
    let mut eta = Eta::new(index.len() as f64);
    let mut tell = |done: &[Stranger]| {
        let left = eta.left(done.len() as f64);
        console.progress("Calibrating on the gallery", done.len(), index.len(), left);
    };
    let query = |row: usize| if corrected { None } else { generated(row) };
    let nearest = pool.install(|| measure(index, &groups, Vec::new(), &query, &never, &mut tell));
    console.end();
    Null::new(&nearest.unwrap_or_default())
}

/// Percentile of each region's score, foreground first.
pub fn percentiles(null: &Null, scores: &RegionScores) -> [Option<f64>; 2] {
    null.standings(scores).map(|s| s.map(|s| s.percentile()))
}

/// The same as JSON.
pub fn json(measured: &Null, rate: f64) -> serde_json::Value {
    let region = |region: Region| {
        let found = measured.threshold(region, rate);
        serde_json::json!({
            "scores": measured.of(region).len(),
            "threshold": found.ok(),
            "none": found.err().map(|e| e.to_string()),
            "share": found.ok().and_then(|t| measured.false_alarms(region, t)),
        })
    };
    serde_json::json!({
        "rate": rate,
        "pictures": measured.scores().len(),
        "foreground": region(Region::Foreground),
        "background": region(Region::Background),
    })
}

/// Says what the null is and what thresholds it suggests.
pub fn print(null: &Null, rate: f64) {
    for line in lines(null, rate) {
        println!("{line}");
    }
}

fn lines(null: &Null, rate: f64) -> Vec<String> {
    let mut lines = vec![format!(
        "null: {} training images against those that are not their near-duplicates{}",
        null.scores().len(),
        match (null.kin(), null.alone()) {
            (0, 0) => String::new(),
            (kin, alone) =>
                format!(" ({kin} have near-duplicates beyond their groups, {alone} more have no others)"),
        }
    )];
    for region in Region::ALL {
        let values = null.of(region);
        let at = |q: f64| {
            let place = q * values.len().saturating_sub(1) as f64;
            values.get(place.round() as usize).copied().unwrap_or(f32::NAN)
        };
        if values.is_empty() {
            lines.push(format!("  {}: no scores", region.name()));
            continue;
        }
        let suggestion = match null.threshold(region, rate) {
            Ok(t) => format!(
                "{t:.2} at {} % ({:.2} % of the null reach it)",
                rate * 100.0,
                100.0 * null.false_alarms(region, t).unwrap_or(0.0)
            ),
            Err(reason) => format!("none: {reason}"),
        };
        lines.push(format!(
            "  {}: median {:.3}, 95 % {:.3}, highest {:.3}; suggested threshold {suggestion}",
            region.name(),
            at(0.5),
            at(0.95),
            at(1.0)
        ));
    }
    let (suggested, missing) = null.suggest(rate, Thresholds::default());
    if missing == [None, None] {
        let false_alarms = 1.0 - null.share(Verdict::NotMemorized, &suggested).unwrap_or(1.0);
        lines.push(format!(
            "  with both: {:.2} % of the null are classed as memorized",
            100.0 * false_alarms
        ));
    }
    lines
}
