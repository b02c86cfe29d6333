//! The parts of the document.

use super::{
    facts::{PictureFacts, PromptFacts, Report, RunFacts, Sources},
    figure::Figure,
    page::Figures,
    plots::{self, class, percent},
    summary::Summary,
};
use crate::study::{Arithmetic, Thresholds, Verdict};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};

/// Most training images named for one group of the gallery.
const MOST_MEMBERS: usize = 12;

/// Shares, groups and Field of a run.
pub(super) fn summary(run: &RunFacts, thresholds: &Thresholds) -> Markup {
    let summary = &run.summary;
    html! {
        h3 { (run.name) }
        p {
            (summary.pictures) " pictures of " (run.prompts.len()) " prompts; " (summary.compared)
            " were compared with the training images."
        }
        div.columns {
            div {
                (plots::shares(summary))
                (share_table(summary))
                @if !run.groups.is_empty() { (group_table(&run.groups)) }
            }
            (plots::field(run, thresholds))
        }
        @let many = one_to_many(run);
        @if !many.is_empty() {
            p {
                "One to many: how many different training images the memorized pictures of a prompt come from. "
                @for (i, (images, prompts)) in many.into_iter().enumerate() {
                    (if i > 0 { ", " } else { "" }) (images) (if images == 1 { " image: " } else { " images: " }) (prompts) (if prompts == 1 { " prompt" } else { " prompts" })
                }
                "."
            }
        }
    }
}

fn share_table(summary: &Summary) -> Markup {
    html! {
        table {
            thead { tr { th { "class" } th.n { "pictures" } th.n { "share" } th.n { "95 % interval" } th { "meaning" } } }
            tbody {
                @for share in &summary.shares {
                    tr {
                        td { (badge(Some(share.verdict))) }
                        td.n { (share.count) }
                        td.n { (percent(share.share)) }
                        td.n { (interval(share.interval)) }
                        td.weak { (share.verdict.meaning()) }
                    }
                }
            }
        }
    }
}

fn group_table(groups: &[(String, Summary)]) -> Markup {
    html! {
        table {
            thead { tr { th { "group of prompts" } @for v in Verdict::ALL { th.n { (v.letters()) } } } }
            tbody {
                @for (group, summary) in groups {
                    tr {
                        td { (group) }
                        @for share in &summary.shares { td.n { (share.count) } }
                    }
                }
            }
        }
    }
}

fn interval(interval: Option<[f64; 2]>) -> String {
    match interval {
        Some([low, high]) => format!("{:.1} to {:.1} %", low * 100.0, high * 100.0),
        None => "n/a".to_owned(),
    }
}

fn badge(verdict: Option<Verdict>) -> Markup {
    html! { span.badge.(class(verdict)) { (verdict.map_or("n/a", Verdict::letters)) } }
}

/// Prompts by the number of training images their memorized pictures come from.
fn one_to_many(run: &RunFacts) -> BTreeMap<usize, usize> {
    let mut counts = BTreeMap::new();
    for prompt in run.prompts.iter().filter(|p| p.one_to_many > 0) {
        *counts.entry(prompt.one_to_many).or_default() += 1;
    }
    counts
}

/// How many pictures are shown.
pub(super) fn shown(report: &Report, shown: usize) -> String {
    let all: usize = report.runs.iter().map(|r| r.summary.pictures).sum();
    if shown == all {
        "Every picture is shown beside its best training image.".to_owned()
    } else {
        format!(
            "{shown} of {all} pictures are shown beside their best training image: those with the highest average of \
             each prompt. The tables list all of them."
        )
    }
}

/// One prompt with its pictures.
pub(super) fn prompt(run: usize, prompt: &PromptFacts, figures: &Figures) -> Markup {
    html! {
        article.prompt {
            h3 { (prompt.index) ". " (prompt.text) }
            p.weak {
                @if let Some(group) = &prompt.group { "group " (group) " · " }
                @for (verdict, count) in Verdict::ALL.into_iter().zip(prompt.counts) {
                    @if count > 0 { (badge(Some(verdict))) " " (count) " " }
                }
                @if prompt.one_to_many > 0 {
                    "· copied from " (prompt.one_to_many) " training image" (if prompt.one_to_many == 1 { "" } else { "s" })
                    @if let Some(groups) = prompt.one_to_many_groups { ", " (groups) " with repeated ones counted once" }
                }
            }
            @for picture in &prompt.pictures {
                @if let Some(figure) = figures.get(&(run, picture.name.clone())) { (pair(picture, figure)) }
            }
            (plots::noise(prompt).unwrap_or_default())
            (picture_table(prompt))
        }
    }
}

fn pair(picture: &PictureFacts, figure: &Figure) -> Markup {
    let best = picture.matches.first();
    html! {
        figure.pair data-pair[figure.training.is_some()] {
            div.frames {
                div.generated { img src=(figure.generated) alt={ "generated, seed " (picture.seed) }; span { "generated" } }
                @if let Some(heat) = &figure.heat { div { img src=(heat) alt="heat map"; span { "alike" } } }
                @if let (Some(training), Some(best)) = (&figure.training, best) {
                    div.training { img src=(training) alt={ "training image " (best.name) }; span { "training image" } }
                }
            }
            @if figure.training.is_some() {
                div.tools {
                    input type="range" min="0" max="100" value="50" aria-label="Slide between the pictures";
                    button type="button" { "Blink" }
                }
            }
            figcaption {
                (badge(picture.verdict)) " seed " (picture.seed) ", F " (score(picture.foreground)) ", B " (score(picture.background)) (edited(picture))
                @if let Some(best) = best { ": " (best.name) }
            }
        }
    }
}

/// Says that a person drew the region, and with what.
fn edited(picture: &PictureFacts) -> Markup {
    html! {
        @if !picture.edited_mask.is_empty() {
            " " small title={ "the region was edited by hand: " (picture.edited_mask.join(", ")) } { "edited mask" }
        }
    }
}

fn picture_table(prompt: &PromptFacts) -> Markup {
    html! {
        table {
            thead {
                tr { th { "picture" } th { "class" } th.n { "F" } th.n { "B" } th.n { "mean" } th { "best training images (F, B)" } th { "SHA-256" } }
            }
            tbody {
                @for picture in &prompt.pictures {
                    tr {
                        td { (picture.name) }
                        td { (badge(picture.verdict)) (edited(picture)) }
                        td.n { (score(picture.foreground)) }
                        td.n { (score(picture.background)) }
                        td.n { (score(picture.average)) }
                        td {
                            @for (i, m) in picture.matches.iter().enumerate() {
                                @if i > 0 { br; }
                                (m.name) " " small { "(" (score(m.foreground)) ", " (score(m.background)) ")"
                                    @if i == 0 { @if let Some(caption) = &m.caption { " “" (caption) "”" } } }
                            }
                        }
                        td.hash.short { (picture.sha256.get(..16).unwrap_or_default()) "…" }
                    }
                }
            }
        }
    }
}

fn score(score: Option<f32>) -> String {
    score.map_or("n/a".to_owned(), |s| format!("{s:.3}"))
}

/// The groups of the gallery that memorized pictures come from.
pub(super) fn copied_groups(report: &Report) -> BTreeSet<u32> {
    report
        .runs
        .iter()
        .flat_map(|r| &r.prompts)
        .flat_map(|p| &p.pictures)
        .filter(|p| p.verdict.is_some_and(|v| v != Verdict::NotMemorized))
        .filter_map(|p| p.matches.first()?.cluster)
        .collect()
}

/// What these groups hold.
pub(super) fn clusters(hit: &BTreeSet<u32>, sources: &Sources) -> Markup {
    let all = sources.outline.gallery_names();
    let named = |members: &[u32]| {
        let names = members.iter().take(MOST_MEMBERS);
        let name = |m: &u32| all.get(*m as usize).cloned();
        names.filter_map(name).collect::<Vec<_>>().join(", ")
    };
    html! {
        @if !hit.is_empty() {
            section id="clusters" {
                h2 { "Groups of training images" }
                p.weak { "Training images that repeat each other, wholly or in one region, and that a memorized picture comes from." }
                table {
                    thead { tr { th.n { "images" } th { "what they share" } th { "files" } } }
                    tbody {
                        @for cluster in sources.clusters.iter().filter(|c| hit.contains(&c.id)) {
                            tr {
                                td.n { (cluster.members.len()) }
                                td { (cluster.kind.words()) }
                                td { (named(&cluster.members)) @if cluster.members.len() > MOST_MEMBERS { ", …" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Parameters, hashes and the command of a run.
pub(super) fn parameters(run: &RunFacts) -> Markup {
    html! {
        h3 { (run.name) }
        table {
            tbody { @for (name, value) in &run.parameters { tr { th { (name) } td.hash { (value) } } } }
        }
        p { "The same pictures and scores come from this command (words in capitals are yours to fill in):" }
        pre { (run.command.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ")) }
    }
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What the numbers mean and do not mean.
pub(super) fn limits(report: &Report, sources: &Sources) -> Markup {
    let arithmetic = match sources.outline.arithmetic {
        Arithmetic::Corrected => {
            "“corrected”: MS-SSIM on RGB with the fixed range 0 to 1. Scores are lower than those of the FB-Mem code for \
             unlike pictures; its thresholds of 0.8 do not carry over."
        }
        Arithmetic::Torchmetrics => {
            "“torchmetrics”: MS-SSIM on RGBA with the range taken from each pair, as torchmetrics from 1.4.2 on computes it."
        }
        Arithmetic::Reference => {
            "“reference”: MS-SSIM as the FB-Mem code computes it, on RGBA, with the range taken from each pair and the \
             cropping of torchmetrics up to 1.4.1."
        }
    };
    html! {
        section id="limits" {
            h2 { "How to read this, and its limits" }
            ul {
                li { "A picture is compared with every training image of the gallery; the one with the highest mean of foreground and \
                    background score decides its class. VM: both scores reach their threshold (foreground "
                    (format!("{:.3}", report.thresholds.foreground)) ", background " (format!("{:.3}", report.thresholds.background))
                    "); FM, BM: only one does; NM: neither. A missing region is never memorized." }
                li { "Arithmetic " (arithmetic) }
                li { "The scores measure alike pixels at the same place. A copy that is mirrored, moved, cropped or redrawn in another \
                    style scores low: NM does not prove that nothing was remembered." }
                li { "The split into foreground and background comes from a segmenter. A poor matte lowers both scores; pictures with a \
                    low confidence deserve a look." }
                li { "Only the training images in the gallery can be found. A picture copied from an image that is not in it is NM." }
                li { "Two plain pictures can be alike by chance, above all in flat backgrounds. Look at the pairs before you call a \
                    score a copy." }
                li { "Intervals are 95 % percentile bootstrap intervals over prompts (2000 resamples, fixed seed). They speak of other \
                    prompts like these with the same seeds, not of the choice of thresholds, segmenter or gallery." }
                li { "The noise norm is ‖ε" sub { "c" } " − ε" sub { "∅" } "‖₂ of the latent at each step (Wen et al., ICLR 2024). It is \
                    high where the prompt pulls hard, which memorized prompts tend to do." }
            }
            p.weak { "FB-Mem: arXiv 2508.12148. Written by " (report.program) "." }
        }
    }
}
