//! The document as a whole.

use super::{
    facts::{Report, RunFacts, Sources},
    figure::{Figure, overlaid},
    plots, sections,
};
use crate::study::GalleryImage;
use maud::{DOCTYPE, PreEscaped, html};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// How much of the pictures goes into the document.
#[derive(Clone, Copy, Debug)]
pub struct PageOptions {
    /// Pictures shown for each prompt: those with the highest average score.
    pub per_prompt: usize,
    /// Pictures shown in all.
    pub most: usize,
    /// Longest side of a shown picture, in pixels.
    pub side: u32,
}

impl Default for PageOptions {
    fn default() -> Self {
        Self {
            per_prompt: 2,
            most: 400,
            side: 320,
        }
    }
}

/// Figures by run and picture name.
pub(super) type Figures = HashMap<(usize, String), Figure>;

/// The whole document: one file that loads nothing. `stop` is asked between pictures; `None` when it said so.
pub fn page(
    report: &Report,
    sources: &Sources,
    options: PageOptions,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<String> {
    let figures = figures(report, sources, options, stop)?;
    let title = format!("{} · what the model remembers", report.study);
    let groups = sections::copied_groups(report);
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                // Nothing is loaded from anywhere, whatever a prompt contains.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                meta name="generator" content=(report.program);
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { (report.study) }
                    p.lead { "What a text-to-image model remembers of its training images: FB-Mem classes of "
                        (report.runs.iter().map(|r| r.summary.pictures).sum::<usize>()) " pictures." }
                    nav {
                        a href="#summary" { "Summary" }
                        @if !report.transitions.is_empty() { a href="#transitions" { "Transitions" } }
                        a href="#prompts" { "Prompts" }
                        @if !groups.is_empty() { a href="#clusters" { "Groups of training images" } }
                        a href="#parameters" { "Parameters" }
                        a href="#limits" { "Limits" }
                    }
                }
                section id="summary" {
                    h2 { "Summary" }
                    @for run in &report.runs { (sections::summary(run, &report.thresholds)) }
                }
                @if !report.transitions.is_empty() {
                    section id="transitions" {
                        h2 { "Transitions" }
                        div.columns { @for change in &report.transitions { (plots::transitions(change)) } }
                    }
                }
                section id="prompts" {
                    h2 { "Prompts" }
                    p.weak { (sections::shown(report, figures.len())) }
                    @for (at, run) in report.runs.iter().enumerate() {
                        @if report.runs.len() > 1 { h3 { (run.name) } }
                        @for prompt in &run.prompts { (sections::prompt(at, prompt, &figures)) }
                    }
                }
                (sections::clusters(&groups, sources))
                section id="parameters" {
                    h2 { "Parameters and hashes" }
                    @for run in &report.runs { (sections::parameters(run)) }
                }
                (sections::limits(report, sources))
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    Some(document.into_string())
}

fn figures(
    report: &Report,
    sources: &Sources,
    options: PageOptions,
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Figures> {
    let gallery: BTreeMap<String, &GalleryImage> = sources
        .outline
        .gallery_names()
        .into_iter()
        .zip(&sources.outline.gallery)
        .collect();
    let chosen: Vec<(usize, &RunFacts, &super::PictureFacts)> = report
        .runs
        .iter()
        .enumerate()
        .flat_map(|(at, run)| {
            run.prompts
                .iter()
                .flat_map(move |prompt| best(&prompt.pictures, options.per_prompt).map(move |p| (at, run, p)))
        })
        .take(options.most)
        .collect();
    let drawn = chosen.par_iter().map(|(at, run, picture)| {
        if stop() {
            return None;
        }
        let best = picture.matches.first();
        let training = best.and_then(|m| gallery.get(&m.name).copied());
        let matte = picture.matte.as_ref().map(|m| run.folder.join(m));
        // A picture that cannot be read keeps its row in the table.
        let pair = overlaid(&run.folder.join(&picture.image), matte.as_deref(), training)
            .inspect_err(|e| log::warn!("{}: {e}", picture.image))
            .ok();
        Some(pair.map(|pair| ((*at, picture.name.clone()), pair.figure(options.side))))
    });
    let drawn: Option<Vec<_>> = drawn.collect();
    Some(drawn?.into_iter().flatten().collect())
}

/// The pictures with the highest average, in their order by seed.
fn best(pictures: &[super::PictureFacts], count: usize) -> impl Iterator<Item = &super::PictureFacts> {
    let mut order: Vec<usize> = (0..pictures.len()).collect();
    let rank = |i: usize| pictures[i].average.unwrap_or(-1.0);
    order.sort_by(|&a, &b| rank(b).total_cmp(&rank(a)).then(a.cmp(&b)));
    order.truncate(count);
    order.sort_unstable();
    order.into_iter().map(|i| &pictures[i])
}
