//! Whether B's pictures still look like pictures, judged by A's. A stand-in for FID and QAlign that needs no
//! weights and no thousand pictures: it notices blur, noise, flat, washed-out and over-saturated pictures. It
//! cannot notice a neat picture of the wrong thing; that is what prompt alignment is for.

use super::{
    bootstrap::{Bootstrap, Estimate, median_low},
    compare::{Pair, ratio},
    picture::PictureSummary,
};
use serde::Serialize;

/// Half the width of what is ordinary, in robust standard deviations of A.
const REACH: f64 = 3.0;
/// A narrower spread than this (natural logarithm) is not believed of a handful of pictures.
const LEAST_SPREAD: f64 = 0.15;
/// Keeps logarithms finite: one grey level.
const SMALLEST: f64 = 1.0 / 255.0;

/// One statistic in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistic {
    /// `sharpness`, `contrast`, `saturation`, `brightness` or `grain`.
    pub name: &'static str,
    /// Median over A's pictures.
    pub a: f64,
    /// Median over B's pictures.
    pub b: f64,
}

/// Picture quality of B by the measure of A.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// Share of A's pictures that are ordinary: every statistic's logarithm within three robust standard
    /// deviations (1.4826 · median absolute deviation, at least 0.15) of A's median. Below 1 because of A's own
    /// outliers.
    pub a: Estimate,
    /// Share of B's pictures that are ordinary in that sense.
    pub b: Estimate,
    /// B's share over A's, at most 1: 1 as good as A, 0 ruined.
    pub score: f64,
    /// The statistics, for whoever wants to know what is off.
    pub statistics: Vec<Statistic>,
}

/// A statistic's name and where it is in a summary.
type Named = (&'static str, fn(&PictureSummary) -> f32);

const STATISTICS: [Named; 5] = [
    ("sharpness", |p| p.sharpness),
    ("contrast", |p| p.contrast),
    ("saturation", |p| p.saturation),
    ("brightness", |p| p.brightness),
    ("grain", |p| p.grain),
];

impl Quality {
    /// Below this score a variant counts as ruined.
    pub const RUINED: f64 = 0.5;

    /// Measures all pairs of which both pictures are known; `None` when there is none.
    pub(super) fn of(prompts: &[Vec<Pair<'_>>], bootstrap: &Bootstrap) -> Option<Self> {
        let log = |value: f32| f64::from(value).max(SMALLEST).ln();
        let pictures = |second: bool| {
            prompts.iter().flatten().filter_map(move |p| {
                let (a, b) = (p.a.picture.as_deref()?, p.b.picture.as_deref()?);
                Some(if second { b } else { a })
            })
        };
        let mut ranges = Vec::new();
        let mut statistics = Vec::new();
        for (name, of) in STATISTICS {
            let mut values: Vec<f64> = pictures(false).map(|p| log(of(p))).collect();
            let median = median_low(&mut values)?;
            let mut deviations: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
            let spread = (1.4826 * median_low(&mut deviations)?).max(LEAST_SPREAD);
            ranges.push((of, median, REACH * spread));
            let plain = |second: bool| {
                median_low(&mut pictures(second).map(|p| f64::from(of(p))).collect::<Vec<_>>())
            };
            statistics.push(Statistic {
                name,
                a: plain(false)?,
                b: plain(true)?,
            });
        }
        let ordinary = |p: &PictureSummary| {
            let all = ranges
                .iter()
                .all(|(of, median, reach)| (log(of(p)) - median).abs() <= *reach);
            f64::from(u8::from(all))
        };
        let side = |second: bool| {
            ratio(prompts, bootstrap, |p| {
                let (a, b) = (p.a.picture.as_deref()?, p.b.picture.as_deref()?);
                Some((ordinary(if second { b } else { a }), 1.0))
            })
        };
        let (a, b) = (side(false), side(true));
        let score = match (a.value, b.value) {
            (Some(a), Some(b)) if a > 0.0 => (b / a).min(1.0),
            _ => 0.0,
        };
        Some(Self {
            a,
            b,
            score,
            statistics,
        })
    }
}
