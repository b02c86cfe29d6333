//! What the engine tells, taken into the state.

use super::{
    comparing::{Bench, Comparing},
    controls::seed_text,
    import_dialog::ImportDialog,
    pace::Pace,
    state::{Camera, RunningJob, State},
    thumbnails::Thumbnails,
};
use crate::{
    engine::{Event, JobId},
    study::{Generation, Problem, StudyOutline},
};
use std::sync::Arc;

/// Takes in one event; `now` is the window's clock in seconds.
pub fn take(state: &mut State, thumbnails: &mut Thumbnails, ctx: &egui::Context, event: Event, now: f64) {
    match event {
        Event::Queued(_) => {}
        Event::Started(id) => {
            if let Some(job) = job(state, id) {
                job.started = true;
            }
        }
        Event::Progress(id, progress) => {
            if let Some(job) = job(state, id) {
                job.started = true;
                // Another kind of work has another rate.
                if job
                    .progress
                    .is_none_or(|p| p.kind != progress.kind || progress.done < p.done)
                {
                    job.rate_from = None;
                }
                if job.rate_from.is_none() && progress.done > 0 {
                    job.rate_from = Some((now, progress.done));
                }
                job.progress = Some(progress);
                job.heard = now;
            }
        }
        Event::Opened(outline) => opened(state, thumbnails, outline),
        Event::GeneratedMattes(folder) => state.study.set_generated_mattes(folder),
        Event::Model(facts) => state.model = Some(facts),
        Event::Device(words) => state.device = words,
        Event::Variant(variant) => {
            let former = state.variants.iter().find(|v| v.name == variant.name);
            let name: Arc<str> = variant.name.as_str().into();
            if former.is_some_and(|f| f.edits != variant.edits) {
                // Pictures of the same name and another content.
                state.study.forget(&name);
                state.compare.loaded.remove(&name);
            }
            state.variants.retain(|v| v.name != variant.name);
            state.variants.push(variant.clone());
            // Whoever opens one wants to draw with it.
            state.set_bench(Bench::of(Some(variant)));
        }
        Event::Run { name, sampling } => {
            state.compare.drawn_with.insert(Some(name.clone()), sampling);
            // Whoever opens one wants to compare with it.
            state.set_bench(Bench::default());
            state.set_second(Some(name));
        }
        Event::Segmenter(words) => state.segmenter = words,
        Event::ClickSegmenter(words) => words.clone_into(&mut state.click_segmenter),
        Event::Refined(refined) => state.refined(&refined),
        Event::Rescored(generation, since) => state.rescored(generation, since),
        // Its variants came before it.
        Event::Located(..) => {}
        Event::GalleryReady => state.study.gallery_ready = true,
        Event::Clusters(clusters) => state.study.set_clusters(clusters),
        Event::Surveyed(survey) => state.import = Some(Box::new(ImportDialog::new(survey))),
        Event::Labels(labels) => state.labels = Some(labels),
        Event::Band(band) => state.band = Some(band),
        Event::Skipped(skipped) => state.skipped = skipped,
        // The window takes it: the panes are not part of the state.
        Event::Layout(_) => {}
        Event::Repeats(repeats) => state.repeats = Some(repeats),
        Event::Null(null) => {
            if std::mem::take(&mut state.suggest_when_measured) {
                state.take_suggestion(&null);
            }
            state.null = Some(null);
        }
        Event::RegionClusters(clusters) => state.study.set_region_clusters(&clusters),
        Event::Approximate(how) => state.study.approximation = Some(how),
        Event::Map(map) => state.study.set_map(map),
        Event::Step(step) => {
            let key = step.key;
            state.pace.heard(&step, now);
            state.study.step(step);
            // Of several that form together, the one looked at stays.
            if follows(state, key.prompt) && !state.watching() {
                state.selection.seed = Some(key.seed);
                state.selection.evidence = 0;
            }
        }
        Event::Drawn(generation) | Event::Judged(generation) => finished(state, generation),
        Event::Pair(pair) => {
            // An answer to an older wish is of no use any more.
            if state.asked.as_ref() == Some(&pair.request) {
                state.pair = Some(state.region.patched(pair));
            } else if state.compare.asked_pair.as_ref() == Some(&pair.request) {
                state.compare.pair = Some(pair);
            }
        }
        Event::Partner(partner) => state.ahead.take(partner),
        Event::Detected(detected) => {
            if state.signals.asked == Some(detected.stamp) {
                state.signals.result = Some(detected);
            }
        }
        Event::Compared(compared) => {
            // One of a former study is of no use any more.
            if state.compare.asked == Some(compared.stamp) {
                state.compare.result = Some(compared);
            }
        }
        Event::Thumbnail(small, image) => thumbnails.insert(ctx, small, &image),
        Event::Written(path) => {
            let page = path.extension().is_some_and(|e| e == "html");
            let told = match page {
                true => Problem::new("Written", "Open it in a browser; it needs no other file."),
                false => Problem::new("Written", "It is the same again for the same pictures."),
            };
            state.notice(told.at(path), false);
        }
        Event::Notice(problem) => state.notice(problem, false),
        Event::Finished(id) | Event::Cancelled(id) => ended(state, id),
        Event::Failed(id, problem) => {
            ended(state, id);
            state.notice(problem, true);
        }
    }
}

fn job(state: &mut State, id: JobId) -> Option<&mut RunningJob> {
    state.jobs.iter_mut().find(|j| j.id == id)
}

fn ended(state: &mut State, id: JobId) {
    if state.jobs.iter().any(|j| j.id == id && j.refines) {
        state.region.finding = state.jobs.iter().any(|j| j.id != id && j.refines);
    }
    state.jobs.retain(|j| j.id != id);
    if state.is_running() {
        return;
    }
    state.study.stop_forming();
    state.pace = Pace::default();
    // A picture that was never finished leaves the selection with nothing to show.
    if let Some(prompt) = state.selection.prompt
        && state.current().is_none()
    {
        state.look_at_prompt(prompt);
    }
}

/// Whether the Stage goes along with what is drawn of a prompt.
fn follows(state: &State, prompt: u32) -> bool {
    state.selection.prompt == Some(prompt) && !state.selection.pinned
}

fn opened(state: &mut State, thumbnails: &mut Thumbnails, outline: Arc<StudyOutline>) {
    thumbnails.clear();
    state.history.clear();
    state.selection = super::state::Selection::default();
    state.null = None;
    state.repeats = None;
    state.labels = None;
    state.band = None;
    state.signals = super::detecting::Detecting::default();
    state.skipped = Arc::default();
    state.import = None;
    state.suggest_when_measured = false;
    state.pair = None;
    state.ahead = super::ahead::Ahead::default();
    state.region.clear();
    state.click_segmenter.clear();
    state.asked = None;
    state.training = None;
    state.map_asked = false;
    state.hovered = None;
    state.lasso = None;
    state.camera = Camera::default();
    state.search.clear();
    state.wanted.clear();
    state.thresholds = outline.thresholds;
    state.sampling = outline.sampling.clone();
    state.seeds = seed_text(&outline.seeds);
    state.variants = outline.variants.clone();
    let compare = std::mem::take(&mut state.compare);
    state.compare = Comparing {
        side_by_side: compare.side_by_side,
        ..Comparing::default()
    };
    state.compare.drawn_with.insert(None, outline.sampling.clone());
    state.bench = Bench::default();
    state.variant = None;
    state.segmenter.clear();
    state.model = None;
    if let Some(root) = outline.root.clone() {
        state.remember(root);
    }
    state.study.open(outline);
    if let Some(first) = state.study.prompts().first().map(|p| p.index) {
        state.look_at_prompt(first);
        state.selection.prompts.insert(first);
    }
}

fn finished(state: &mut State, generation: Arc<Generation>) {
    let key = generation.key;
    let second = generation.variant.is_some() && generation.variant == state.compare.second;
    state.study.insert(generation);
    if state.selection.prompt == Some(key.prompt) {
        // While results of an earlier session come in, the first one is shown; during a run, the newest.
        let newest = state.is_running() && !state.selection.pinned;
        if state.selection.seed.is_none() || newest {
            state.selection.seed = Some(key.seed);
            state.selection.evidence = 0;
            // During a run, the variant that draws is the one to see.
            state.compare.show_second = newest && second;
        }
    } else if state.selection.prompt.is_none() {
        state.look_at_prompt(key.prompt);
        state.selection.prompts.insert(key.prompt);
    }
    if state.selection.key() == Some(key) {
        // Its matte and matches may be new: ask for the pair again.
        state.asked = None;
        state.ahead = super::ahead::Ahead::default();
        state.compare.asked_pair = None;
    }
}
