//! The class of the picture looked at, and why.

use super::signal;
use crate::{
    app::{
        context::Cx,
        controls::{self, score},
        help, marks,
        theme::{self, UNIT},
    },
    memorization::{MEMORIZED, Spread, null::FEWEST, one_to_many},
    study::{EmbeddingCosine, Generation, Measures, Region, Thresholds, Verdict},
};
use egui::{FontId, RichText, Sense, Ui, WidgetInfo, pos2, vec2};
use egui_tiles::UiResponse;

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let arithmetic = cx.state.study.outline().map_or("", |o| o.arithmetic.name());
    let note = if arithmetic.is_empty() {
        String::new()
    } else {
        format!("{arithmetic} arithmetic")
    };
    let header = controls::header(ui, cx, "Verdict", &note);
    let current = cx.state.current().cloned();
    let verdict = current.as_ref().and_then(|g| g.verdict(&cx.state.thresholds));
    match (&current, verdict) {
        (Some(generation), Some(verdict)) => statement(ui, cx, generation, verdict),
        _ => {
            let text = if cx.state.watching() {
                "Forming. The verdict follows when the picture is drawn and compared."
            } else if current.is_some() {
                "Drawn, not compared yet."
            } else if cx.state.study.outline().is_none() {
                "What a picture copies, and from where, is said here. Open a study first."
            } else {
                "Run a prompt or choose a picture to see what was copied, and from where."
            };
            ui.label(RichText::new(text).color(cx.theme.weak));
        }
    }
    signal::ui(ui, cx);
    controls::moved(&header)
}

fn statement(ui: &mut Ui, cx: &Cx<'_>, generation: &Generation, verdict: Verdict) {
    let theme = cx.theme;
    let color = theme.verdict(Some(verdict));
    let thresholds = &cx.state.thresholds;
    let why = why(generation, thresholds);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 13.0 * UNIT), Sense::hover());
    let mark = generation.edit_mark();
    let marked = mark.map_or(String::new(), |m| format!(" ({m})"));
    let words = format!("{}: {}{marked}. {why}", verdict.letters(), verdict.meaning());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Status, true, &words));
    let painter = ui.painter();
    let column = rect.left() + 20.0;
    marks::mark(
        painter,
        theme,
        pos2(column, rect.top() + 10.0),
        9.0,
        Some(verdict),
    );
    painter.text(
        pos2(column, rect.bottom() + 1.0),
        egui::Align2::CENTER_BOTTOM,
        verdict.letters(),
        FontId::proportional(theme::LARGE),
        color,
    );
    let left = rect.left() + 14.0 * UNIT;
    let room = rect.right() - left;
    let first = pos2(left, rect.top() + 15.0);
    controls::line(
        painter,
        first,
        &format!("{}{marked}", verdict.meaning()),
        controls::body(),
        theme.text,
        room,
    );
    let second = pos2(left, rect.top() + 36.0);
    controls::line(painter, second, &why, controls::small(), theme.weak, room);
    response.on_hover_ui(|ui| {
        ui.label(help::verdict(verdict));
        for region in [Region::Foreground, Region::Background] {
            ui.label(RichText::new(help::score(region)).color(theme.weak));
        }
    });
    let mut remarks = Vec::new();
    if let Some(variant) = &generation.variant {
        remarks.push(format!("drawn with {variant}"));
    }
    if let Some(cluster) = &generation.cluster {
        remarks.push(cluster.words());
    }
    if let Some(scores) = generation.scores() {
        if scores.foreground.is_none() {
            remarks.push("no foreground to compare".to_owned());
        }
        if scores.background.is_none() {
            remarks.push("no background to compare".to_owned());
        }
        if let Some(average) = scores.average() {
            remarks.push(format!("average {average:.3}"));
        }
    }
    if let Some(edit) = &generation.edit {
        let own = edit.matches.first().map_or("not compared".to_owned(), |m| {
            format!(
                "F {} B {}",
                score(m.scores.foreground),
                score(m.scores.background)
            )
        });
        remarks.push(format!(
            "mask edited by {}; the segmenter's: {own}",
            edit.tools.join(", ")
        ));
    }
    if let Some(confidence) = generation.confidence {
        remarks.push(format!("foreground found with {confidence:.2}"));
    }
    if let Some(cluster) = generation
        .matches
        .first()
        .and_then(|m| cx.state.study.cluster_of(m.gallery))
    {
        remarks.push(format!("{} training images of its kind", cluster.members.len()));
    }
    ui.label(RichText::new(remarks.join(" · ")).small().color(theme.faint));
    let beside = [
        measure_words(generation),
        spread_words(cx, generation),
        repeat_words(cx, generation),
    ];
    for (words, tip) in beside.into_iter().flatten() {
        let line = ui.label(RichText::new(words).small().color(theme.weak));
        line.on_hover_text(tip);
    }
    let others = in_force(cx, generation);
    if !others.is_empty() {
        let words = format!("drawn with other settings: {}", others.join(" · "));
        ui.label(RichText::new(words).small().color(theme.weak))
            .on_hover_text("What was in force for this picture and is another now, in the run settings");
    }
    if let Some((words, tip)) = null_words(cx, generation) {
        let line = ui.label(RichText::new(words).small().color(theme.weak));
        line.on_hover_text(tip);
    }
}

/// What was in force for the picture and is another in the run settings, as far as it is known.
fn in_force(cx: &Cx<'_>, generation: &Generation) -> Vec<String> {
    let known = &cx.state.compare.drawn_with;
    let mut words = known
        .get(&generation.variant)
        .map_or_else(Vec::new, |sampling| sampling.other_than(&cx.state.sampling));
    let now = cx.state.variant.as_ref().map(|v| v.name.as_str());
    if let (Some(own), Some(now)) = (generation.variant.as_deref(), now)
        && own != now
    {
        words.push(format!("variant {own} (now {now})"));
    }
    words
}

/// What other measures say of the pair, and where they come from.
fn measure_words(generation: &Generation) -> Option<(String, String)> {
    let Measures { pair, embedding } = &generation.measures;
    let mut words = Vec::new();
    let mut tip = "Other measures of the whole picture and its best training image; none enters the verdict."
        .to_owned();
    if let Some(pair) = pair {
        words.extend(
            pair.named()
                .into_iter()
                .filter_map(|(name, value)| Some(format!("{name} {:.3}", value?))),
        );
        tip += "\nSSIM: Wang et al. 2004, full resolution, range 1, 1 for equal pictures. Masked SSIM: the same under the \
                larger of the two mattes.\nTiled L2: Carlini et al. 2023, the most different of sixteen tiles, 0 for \
                equal pictures.";
    }
    if let Some(EmbeddingCosine { by, cosine }) = embedding {
        words.push(format!("{by} {cosine:.3}"));
        tip += &format!(
            "\n{by}: cosine of the embeddings; SSCD is Pizzi et al. 2022, DINOv2 Oquab et al. 2023, CLIP Radford et al. 2021."
        );
    }
    (!words.is_empty()).then(|| (words.join(" · "), tip))
}

/// From how many training images the prompt's pictures come.
fn spread_words(cx: &Cx<'_>, generation: &Generation) -> Option<(String, String)> {
    let study = &cx.state.study;
    let prompt = generation.key.prompt;
    let variant = generation
        .variant
        .clone()
        .filter(|_| generation.variant != *study.first());
    let own: Vec<_> = match &variant {
        Some(variant) => study.of_prompt_with(variant, prompt).collect(),
        None => study.of_prompt(prompt).collect(),
    };
    let own = own.into_iter().map(|g| &**g);
    let spread = one_to_many(own, &cx.state.thresholds, study.clusters());
    let Spread {
        samples,
        originals,
        groups,
        ..
    } = *spread.first().filter(|s| s.samples > 1)?;
    let plural = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let words = format!(
        "{} of this prompt: {} in {}",
        plural(samples, "picture"),
        plural(originals, "best training image"),
        plural(groups, "group")
    );
    let tip = "One-to-many count (FB-Mem): different best training images among the pictures of one prompt. One for \
               many pictures is a picture learned by heart; many are a template with variants.";
    Some((words, tip.to_owned()))
}

/// How many of the prompt's pictures repeat each other, once that was looked for.
fn repeat_words(cx: &Cx<'_>, generation: &Generation) -> Option<(String, String)> {
    let repeats = cx.state.repeats.as_ref()?;
    let found = repeats.of(generation)?;
    let mut words = found.words(repeats.within);
    if found.seeds.len() > 1 && found.seeds.contains(&generation.key.seed) {
        words += ", this one too";
    }
    let tip = format!(
        "The largest clique of this prompt's pictures: each at most {} from each other in the most different of sixteen \
         tiles (0 equal, 1 black to white). Carlini et al. 2023 call a prompt memorized from {MEMORIZED} of 500 on; no \
         gallery is needed, and no verdict follows from it.",
        repeats.within
    );
    Some((words, tip))
}

/// Where the scores stand among those of the gallery's own unrelated pictures.
fn null_words(cx: &Cx<'_>, generation: &Generation) -> Option<(String, String)> {
    let (null, scores) = (cx.state.null.as_ref()?, generation.scores()?);
    let [foreground, background] = null
        .standings(&scores)
        .map(|s| s.map_or("n/a".to_owned(), |s| s.words()));
    let counts = Region::ALL.map(|r| null.of(r).len());
    let mut tip = format!(
        "The null: each training image against all others that are not its near-duplicates ({} foreground and {} \
         background scores, so shares are known to one in that many).",
        counts[0], counts[1]
    );
    if counts.iter().any(|&n| n < FEWEST) {
        tip += &format!(" With fewer than {FEWEST} scores nothing is said.");
    }
    Some((format!("of the null: F {foreground} · B {background}"), tip))
}

/// The comparison that decides, in signs.
fn why(generation: &Generation, thresholds: &Thresholds) -> String {
    let side = |letter: &str, value: Option<f32>, threshold: f32| match value {
        Some(v) if v >= threshold => format!("{letter} {v:.3} ≥ {threshold:.2}"),
        Some(v) => format!("{letter} {v:.3} < {threshold:.2}"),
        None => format!("{letter} {}", score(None)),
    };
    generation.scores().map_or_else(String::new, |s| {
        format!(
            "{} · {}",
            side("F", s.foreground, thresholds.foreground),
            side("B", s.background, thresholds.background)
        )
    })
}
