//! The diagrams, as SVG elements: they print, scale and need no script.

use super::{
    facts::{PictureFacts, PromptFacts, RunFacts},
    summary::Summary,
    transitions::Transitions,
};
use crate::study::{Thresholds, Verdict};
use maud::{Markup, html};

/// Dots drawn at most; beyond, every n-th picture is drawn, which the caption then says.
const MOST_DOTS: usize = 6000;

/// Class of an element in the style sheet.
pub(super) fn class(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Verbatim) => "vm",
        Some(Verdict::ForegroundOnly) => "fm",
        Some(Verdict::BackgroundOnly) => "bm",
        Some(Verdict::NotMemorized) => "nm",
        None => "na",
    }
}

/// One decimal: enough for a place on paper, and the same on every machine.
fn at(value: f64) -> String {
    format!("{value:.1}")
}

/// Shares of the classes with their intervals, as bars.
pub(super) fn shares(summary: &Summary) -> Markup {
    const WIDTH: f64 = 460.0;
    const ROW: f64 = 26.0;
    let x = |share: f64| 60.0 + share * (WIDTH - 180.0);
    html! {
        svg.plot viewBox={ "0 0 " (at(WIDTH)) " " (at(ROW * 4.0 + 4.0)) } role="img" aria-label="Shares of the classes" {
            @for (i, share) in summary.shares.iter().enumerate() {
                @let y = i as f64 * ROW + 4.0;
                text x="0" y=(at(y + 14.0)) { (share.verdict.letters()) }
                rect class=(class(Some(share.verdict))) x=(at(x(0.0))) y=(at(y)) height="18"
                    width=(at((x(share.share) - x(0.0)).max(0.5))) {}
                @if let Some([low, high]) = share.interval {
                    path.whisker d={ "M" (at(x(low))) " " (at(y + 9.0)) "H" (at(x(high)))
                        "M" (at(x(low))) " " (at(y + 5.0)) "v8M" (at(x(high))) " " (at(y + 5.0)) "v8" } {}
                }
                text x=(at(WIDTH - 112.0)) y=(at(y + 14.0)) { (percent(share.share)) " · " (share.count) }
            }
        }
    }
}

/// `12.5 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Every picture at (background, foreground) score, with the threshold lines. Missing regions lie in the margin.
pub(super) fn field(run: &RunFacts, thresholds: &Thresholds) -> Markup {
    const SIDE: f64 = 420.0;
    const LEFT: f64 = 44.0;
    let place = |score: Option<f32>| score.map_or(-0.045, |s| f64::from(s).clamp(0.0, 1.0));
    let x = |score: Option<f32>| LEFT + 24.0 + place(score) * (SIDE - 30.0);
    let y = |score: Option<f32>| SIDE - 14.0 - place(score) * (SIDE - 30.0);
    let (bx, fy) = (x(Some(thresholds.background)), y(Some(thresholds.foreground)));
    let pictures: Vec<&PictureFacts> = run
        .prompts
        .iter()
        .flat_map(|p| &p.pictures)
        .filter(|p| p.verdict.is_some())
        .collect();
    let stride = pictures.len().div_ceil(MOST_DOTS).max(1);
    html! {
        figure {
            svg.plot viewBox={ "0 0 " (at(SIDE + LEFT + 8.0)) " " (at(SIDE + 34.0)) } role="img"
                aria-label="Foreground score over background score of every picture" {
                @for tick in 0..=5 {
                    @let score = Some(tick as f32 / 5.0);
                    path.grid d={ "M" (at(x(score))) " 4V" (at(SIDE)) "M" (at(LEFT)) " " (at(y(score))) "H" (at(SIDE + LEFT)) } {}
                    text.tick x=(at(x(score))) y=(at(SIDE + 14.0)) text-anchor="middle" { (format!("{:.1}", tick as f32 / 5.0)) }
                    text.tick x=(at(LEFT - 5.0)) y=(at(y(score) + 4.0)) text-anchor="end" { (format!("{:.1}", tick as f32 / 5.0)) }
                }
                text.tick x=(at(SIDE / 2.0 + LEFT)) y=(at(SIDE + 30.0)) text-anchor="middle" { "background score" }
                text.tick transform={ "translate(12 " (at(SIDE / 2.0)) ") rotate(-90)" } text-anchor="middle" { "foreground score" }
                @for picture in pictures.iter().step_by(stride) {
                    circle class=(class(picture.verdict)) r="3.2" cx=(at(x(picture.background))) cy=(at(y(picture.foreground))) {
                        title { (picture.name) }
                    }
                }
                path.threshold d={ "M" (at(bx)) " 4V" (at(SIDE)) "M" (at(LEFT)) " " (at(fy)) "H" (at(SIDE + LEFT)) } {}
            }
            figcaption {
                "Field of " (run.name) ": every picture at the scores of its best training image. Thresholds: foreground "
                (format!("{:.3}", thresholds.foreground)) ", background " (format!("{:.3}", thresholds.background))
                ". Pictures without one of the regions lie in the margin."
                @if stride > 1 { " Every " (stride) "th of " (pictures.len()) " pictures is drawn." }
            }
        }
    }
}

/// Classes before and after as a grid.
pub(super) fn transitions(change: &Transitions) -> Markup {
    const CELL: f64 = 62.0;
    let most = change
        .counts
        .cells()
        .map(|(_, _, count)| count)
        .max()
        .unwrap_or(0)
        .max(1) as f64;
    html! {
        figure {
            svg.plot.grid4 viewBox={ "0 0 " (at(CELL * 4.0 + 60.0)) " " (at(CELL * 4.0 + 44.0)) } role="img"
                aria-label="Classes before and after" {
                text.tick x=(at(CELL * 2.0 + 52.0)) y="14" text-anchor="middle" { "after: " (change.to) }
                text.tick transform={ "translate(14 " (at(CELL * 2.0 + 40.0)) ") rotate(-90)" } text-anchor="middle" {
                    "before: " (change.from)
                }
                @for (row, before) in Verdict::ALL.into_iter().enumerate() {
                    text x="24" y=(at(row as f64 * CELL + 40.0 + CELL / 2.0)) { (before.letters()) }
                    @for (column, after) in Verdict::ALL.into_iter().enumerate() {
                        @let count = change.counts.count(before, after);
                        @let (cx, cy) = (column as f64 * CELL + 52.0, row as f64 * CELL + 36.0);
                        @if row == 0 {
                            text x=(at(cx + CELL / 2.0)) y="31" text-anchor="middle" { (after.letters()) }
                        }
                        rect class=(class(Some(after))) x=(at(cx + 1.0)) y=(at(cy + 1.0)) width=(at(CELL - 2.0)) height=(at(CELL - 2.0))
                            fill-opacity=(format!("{:.2}", 0.06 + 0.8 * count as f64 / most)) {}
                        text.count x=(at(cx + CELL / 2.0)) y=(at(cy + CELL / 2.0 + 5.0)) text-anchor="middle" { (count) }
                    }
                }
            }
            figcaption {
                (change.pictures) " pictures with the same prompt and seed, by class before (row) and after (column)."
                @if let Some(delta) = change.foreground { " Mean change of the foreground score " (format!("{delta:+.3}")) "." }
                @if let Some(delta) = change.background { " Mean change of the background score " (format!("{delta:+.3}")) "." }
            }
        }
    }
}

/// The noise norm of a prompt's pictures over the steps.
pub(super) fn noise(prompt: &PromptFacts) -> Option<Markup> {
    const WIDTH: f64 = 300.0;
    const HEIGHT: f64 = 90.0;
    const MOST_CURVES: usize = 40;
    let curves: Vec<(&PictureFacts, Vec<f64>)> = prompt
        .pictures
        .iter()
        .take(MOST_CURVES)
        .map(|p| {
            (
                p,
                p.noise_norm
                    .iter()
                    .flatten()
                    .map(|n| f64::from(*n))
                    .collect::<Vec<_>>(),
            )
        })
        .filter(|(_, curve)| curve.len() > 1)
        .collect();
    let most = curves.iter().flat_map(|(_, c)| c).copied().fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let points = |curve: &[f64]| {
        let step = WIDTH / (curve.len() - 1) as f64;
        let point = |(i, n): (usize, &f64)| {
            format!("{:.1},{:.1}", i as f64 * step, HEIGHT - n / most * (HEIGHT - 4.0))
        };
        curve.iter().enumerate().map(point).collect::<Vec<_>>().join(" ")
    };
    Some(html! {
        figure.noise {
            svg.plot viewBox={ "0 0 " (at(WIDTH)) " " (at(HEIGHT)) } role="img" aria-label="Noise norm over the steps" {
                @for (picture, curve) in &curves {
                    polyline class=(class(picture.verdict)) points=(points(curve)) {}
                }
            }
            figcaption { "‖ε" sub { "c" } " − ε" sub { "∅" } "‖ at each step, up to " (format!("{most:.1}")) "." }
        }
    })
}
