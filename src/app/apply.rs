//! What panels and keys asked for, carried out.

use super::{
    action::{Action, Pick},
    autoplay,
    command::Command,
    comparing::Bench,
    copy_picture,
    dialogs::Wanted,
    history::Moment,
    layout::{self, Pane},
    region::Tool,
    state::{Camera, Palette, PathFor, RunningJob, State},
    tour,
    weights_dialog::WeightsWish,
    window::App,
};
use crate::{
    engine::{GenerateJob, Job, ReportJob, ViewRequest},
    memorization::null::{DEFAULT_RATE, Null},
    study::{GenerationKey, Problem, Prompt, Region, parse_seeds},
};
use egui::Context;
use std::path::PathBuf;

impl State {
    /// What an undo would bring back.
    pub(super) fn moment(&self) -> Moment {
        Moment {
            thresholds: self.thresholds,
            selection: self.selection.clone(),
            bench: self.bench.clone(),
            lasso: self.lasso.clone(),
            regions: self.region.edits.clone(),
        }
    }

    /// Puts a folder on top of the recent ones.
    pub fn remember(&mut self, path: PathBuf) {
        const KEPT: usize = 8;
        self.recent.retain(|p| *p != path);
        self.recent.insert(0, path);
        self.recent.truncate(KEPT);
    }

    /// Moves the thresholds to the suggested ones; says why where there is none.
    pub(super) fn take_suggestion(&mut self, null: &Null) {
        let (thresholds, missing) = null.suggest(DEFAULT_RATE, self.thresholds);
        let reasons = Region::ALL.into_iter().zip(missing);
        let told: Vec<String> = reasons
            .filter_map(|(region, why)| Some(format!("{}: {}", region.name(), why?)))
            .collect();
        if !told.is_empty() {
            let mut problem = Problem::new(
                "The gallery cannot tell a threshold at 1 % for every region",
                "Where there is none, the former threshold stays. A larger gallery can tell finer rates.",
            );
            problem.details = told;
            self.notice(problem, false);
        }
        self.history.before(self.moment(), None);
        self.thresholds = thresholds;
    }

    fn bring_back(&mut self, moment: Moment) {
        self.thresholds = moment.thresholds;
        self.selection = moment.selection;
        self.lasso = moment.lasso;
        if moment.bench != self.bench {
            self.set_bench(moment.bench);
        }
        self.bring_back_regions(moment.regions);
    }

    /// Prompts the filters let through, by index.
    fn listed(&mut self) -> Vec<u32> {
        self.derive();
        let prompts = self.study.prompts();
        let visible = self.derived.visible.iter();
        visible.map(|&i| prompts[i].index).collect()
    }

    fn pick_prompt(&mut self, prompt: u32, pick: Pick) {
        self.history.before(self.moment(), None);
        match pick {
            Pick::Only => self.selection.prompts = [prompt].into(),
            Pick::Toggle => {
                if !self.selection.prompts.remove(&prompt) {
                    self.selection.prompts.insert(prompt);
                }
                if self.selection.prompts.is_empty() {
                    self.selection.prompts.insert(prompt);
                }
            }
            Pick::Range => {
                let listed = self.listed();
                let place = |p: u32| listed.iter().position(|&l| l == p);
                if let (Some(a), Some(b)) = (self.selection.prompt.and_then(place), place(prompt)) {
                    self.selection.prompts.extend(&listed[a.min(b)..=a.max(b)]);
                }
            }
        }
        if self.selection.prompts.contains(&prompt) && self.selection.prompt != Some(prompt) {
            self.look_at_prompt(prompt);
        }
    }

    fn step_prompt(&mut self, by: isize) {
        let listed = self.listed();
        let here = self
            .selection
            .prompt
            .and_then(|p| listed.iter().position(|&l| l == p));
        let next = match here {
            Some(here) => here.saturating_add_signed(by).min(listed.len().saturating_sub(1)),
            None => 0,
        };
        if let Some(&prompt) = listed.get(next).filter(|p| Some(**p) != self.selection.prompt) {
            self.pick_prompt(prompt, Pick::Only);
        }
    }

    fn step_seed(&mut self, by: isize) {
        let Some(prompt) = self.selection.prompt else {
            return;
        };
        let seeds = self.seeds_of(prompt);
        let here = self
            .selection
            .seed
            .and_then(|s| seeds.iter().position(|&k| k == s));
        let next = here.map_or(0, |here| {
            here.saturating_add_signed(by).min(seeds.len().saturating_sub(1))
        });
        if let Some(&seed) = seeds.get(next).filter(|s| Some(**s) != self.selection.seed) {
            self.history.before(self.moment(), None);
            self.selection.seed = Some(seed);
            self.selection.pinned = true;
            self.selection.evidence = 0;
        }
    }

    fn step_evidence(&mut self, by: isize) {
        let count = self.current().map_or(0, |g| g.matches.len());
        let next = self
            .selection
            .evidence
            .saturating_add_signed(by)
            .min(count.saturating_sub(1));
        if next != self.selection.evidence {
            self.history.before(self.moment(), None);
            self.selection.evidence = next;
        }
    }

    /// The next training image of the list shows through; after the last the first.
    fn reveal_next(&mut self) {
        let count = self.current().map_or(0, |g| g.matches.len());
        if count == 0 {
            return;
        }
        // The first press reveals the one that is chosen.
        if self.overlay.mode == crate::render::Mode::Reveal {
            self.history.before(self.moment(), None);
            self.training = None;
            self.selection.evidence = (self.selection.evidence + 1) % count;
        }
        self.overlay.mode = crate::render::Mode::Reveal;
    }

    /// Closes the topmost thing that is open.
    fn escape(&mut self) {
        let open = &mut self.open;
        if open.palette.take().is_some() || open.tour.take().is_some() {
        } else if open.keys {
            open.keys = false;
        } else if self.import.take().is_some() {
        } else if open.path {
            open.path = false;
            open.path_for = PathFor::default();
        } else if open.run_settings {
            open.run_settings = false;
        } else if open.present {
            open.present = false;
        } else if self.region.draft.take().is_some() {
            // The region as it was before the stroke.
            self.reread_pair();
        } else if self.region.tool.take().is_some() {
        } else if open.alone.is_some() {
            open.alone = None;
        } else if self.lasso.is_some() {
            self.history.before(self.moment(), None);
            self.lasso = None;
        } else if let Some(prompt) = self.selection.prompt {
            self.selection.prompts = [prompt].into();
        }
    }
}

/// Opacity of a layer that is switched on or off.
fn switched(opacity: f32) -> f32 {
    if opacity > 0.0 { 0.0 } else { 0.7 }
}

impl App {
    /// Carries out one wish.
    pub(super) fn apply(&mut self, ctx: &Context, action: Action) {
        let state = &mut self.state;
        match action {
            Action::Command(command) => self.run_command(ctx, command),
            Action::Open(path) => self.open(path),
            Action::Mattes(folder) => self.submit(Job::Mattes(folder)),
            Action::GeneratedMattes(folder) => self.submit(Job::GeneratedMattes(folder)),
            Action::Survey(folder) => self.submit(Job::Survey(folder)),
            Action::Import(job) => {
                state.import = None;
                self.submit(Job::Import(job));
            }
            Action::OpenGallery(folder) => {
                state.import = None;
                state.remember(folder.clone());
                self.submit(Job::OpenGallery(folder));
            }
            Action::SetImport(dialog) => {
                state.import = dialog.map(|mut dialog| {
                    dialog.look();
                    dialog
                });
            }
            Action::Choose(wanted) => self.dialogs.ask(ctx, wanted),
            Action::PickPrompt(prompt, pick) => state.pick_prompt(prompt, pick),
            Action::PickGeneration(key) => {
                state.history.before(state.moment(), None);
                if state.selection.prompt != Some(key.prompt) {
                    state.selection.prompts = [key.prompt].into();
                }
                state.selection.prompt = Some(key.prompt);
                state.selection.seed = Some(key.seed);
                state.selection.pinned = true;
                state.selection.evidence = 0;
            }
            Action::PickTraining(gallery) => {
                state.history.before(state.moment(), None);
                state.pick_training(gallery);
            }
            Action::LayOut => {
                state.map_asked = true;
                self.submit(Job::Map);
            }
            Action::PickEvidence(place) => {
                state.history.before(state.moment(), None);
                state.training = None;
                state.selection.evidence = place;
            }
            Action::SetThresholds(thresholds, gesture) => {
                state.history.before(state.moment(), gesture);
                state.thresholds = thresholds;
            }
            Action::Lasso(lasso) => {
                state.history.before(state.moment(), None);
                state.lasso = lasso;
            }
            Action::SetOverlay(overlay) => state.overlay = overlay.clamped(),
            Action::SetCamera(camera) => state.camera = camera,
            Action::Region(action) => state.edit_region(action),
            Action::Search(text) => state.search = text,
            Action::ToggleClass(verdict) => {
                if !state.wanted.remove(&verdict) {
                    state.wanted.insert(verdict);
                }
                // All four is the same as none.
                if state.wanted.len() == 4 {
                    state.wanted.clear();
                }
            }
            Action::Draft(text) => state.draft = text,
            Action::AddPrompt => {
                let text = std::mem::take(&mut state.draft);
                if !text.trim().is_empty() {
                    let prompt = state.study.add_prompt(&text);
                    state.pick_prompt(prompt, Pick::Only);
                }
            }
            Action::Seeds(text) => state.seeds = text,
            Action::SetSampling(sampling) => state.sampling = sampling,
            Action::SetVariant(variant) => self.put_on_bench(Bench::of(variant)),
            Action::SetBench(bench) => self.put_on_bench(bench),
            Action::PickFirst(first) => {
                state.study.set_first(first);
                state.compare.cell = None;
                state.asked = None;
            }
            Action::PickSecond(second) => {
                state.set_bench(Bench::default());
                state.set_second(Some(second));
            }
            Action::PickCell(cell) => state.compare.cell = cell,
            Action::SetSearch(choice) => state.search_choice = choice,
            Action::SavePath(text) => state.compare.save_path = text,
            Action::PathDraft(text) => state.path_draft = text,
            Action::ShowPath(open) => {
                state.open.path = open;
                state.open.path_for = PathFor::default();
            }
            Action::ShowRunSettings(open) => state.open.run_settings = open,
            Action::Hover(key) => state.hovered = key,
            Action::ShowInFolder(path) => self.show_in_folder(&path),
            Action::SetSignals(shown) => state.signals.shown = shown,
            Action::SetHighlight(highlight) => state.highlight = highlight,
            Action::SetPalette(palette) => state.open.palette = palette,
            Action::ShowKeys(open) => state.open.keys = open,
            Action::Tour(card) => self.show_tour(card),
            Action::Weights(wish) => self.weights(ctx, wish),
            Action::Escape => {
                let presenting = state.open.present;
                state.escape();
                if presenting && !state.open.present {
                    autoplay::end(state);
                    ctx.send_viewport_cmd(egui::ViewportCommand::Fullscreen(false));
                }
            }
            Action::Dismiss(id) => state.notices.retain(|n| n.id != id),
        }
    }

    /// Asks the system's file manager for the folder of a file.
    fn show_in_folder(&mut self, path: &std::path::Path) {
        if let Err(error) = super::file_manager::show(path) {
            let advice = "Open the folder by hand.";
            let problem = Problem::new("The file manager cannot be started", advice);
            self.state
                .notice(problem.at(path).detail(error.to_string()), false);
        }
    }

    /// Shows a card of the tour, with its pane in front.
    fn show_tour(&mut self, card: Option<usize>) {
        self.state.open.tour = card.filter(|&card| card < tour::CARDS);
        if let Some(pane) = self.state.open.tour.and_then(tour::pane) {
            self.state.open.alone = None;
            self.bring_forward(pane);
        }
    }

    fn present(&mut self, ctx: &Context, on: bool) {
        if !on {
            autoplay::end(&mut self.state);
        }
        self.state.open.present = on;
        ctx.send_viewport_cmd(egui::ViewportCommand::Fullscreen(on));
    }

    /// Takes a variant as B, undoably, and asks for what it has given before.
    fn put_on_bench(&mut self, bench: Bench) {
        let state = &mut self.state;
        state.history.before(state.moment(), None);
        state.set_bench(bench);
        self.load_earlier_results();
    }

    /// Asks for the pictures that B's variant has given with the present settings, once.
    pub(super) fn load_earlier_results(&mut self) {
        let state = &mut self.state;
        let Some((name, variant)) = state.compare.second.clone().zip(state.variant.clone()) else {
            return;
        };
        if state.study.outline().is_none() || !state.compare.loaded.insert(name.clone()) {
            return;
        }
        let sampling = state.sampling.clone();
        state.compare.drawn_with.insert(Some(name), sampling.clone());
        self.submit(Job::EarlierResults {
            sampling,
            variant: Some(variant),
        });
    }

    /// Draws with B what A has and B lacks.
    fn run_same_seeds(&mut self) {
        let state = &mut self.state;
        let Some(variant) = state.variant.clone() else {
            let advice = "Choose one at B in the bar, or open a variant file.";
            return state.notice(Problem::new("There is no variant to draw with", advice), false);
        };
        let jobs = state.same_seeds();
        if jobs.is_empty() {
            let advice = "Nothing is missing. Run more seeds of the original to compare more.";
            let headline = if state.study.is_empty() {
                "The original has no pictures yet"
            } else {
                "B has every prompt and seed that A has"
            };
            return state.notice(Problem::new(headline, advice), false);
        }
        // The settings A was drawn with, as far as known: nothing but the variant may differ.
        let first = state.study.first().clone();
        let sampling = state
            .compare
            .drawn_with
            .get(&first)
            .unwrap_or(&state.sampling)
            .clone();
        let name: std::sync::Arc<str> = variant.name.as_str().into();
        state.compare.drawn_with.insert(Some(name), sampling.clone());
        state.selection.pinned = false;
        for (prompts, seeds) in jobs {
            self.submit(Job::Generate(GenerateJob {
                prompts,
                seeds,
                sampling: sampling.clone(),
                variant: Some(variant.clone()),
                redraw: false,
                shard: None,
            }));
        }
    }

    /// Searches for what remembers, once at a time.
    fn search(&mut self) {
        if self.state.jobs.iter().any(|j| j.searches) {
            return;
        }
        match self.state.search_job() {
            Ok(job) => self.submit(Job::Locate(Box::new(job))),
            Err(problem) => self.state.notice(problem, false),
        }
    }

    fn save_variant(&mut self) {
        let state = &mut self.state;
        let path = state.compare.save_path.trim().to_owned();
        match state.variant.clone() {
            Some(variant) if !path.is_empty() => self.submit(Job::SaveVariant(path.into(), variant)),
            Some(_) => state.notice(
                Problem::new(
                    "The variant has no file name",
                    "Write one in the Bench, then save.",
                ),
                false,
            ),
            None => state.notice(
                Problem::new("There is no variant to save", "Choose one at B in the bar."),
                false,
            ),
        }
    }

    fn open(&mut self, path: PathBuf) {
        self.state.open.path = false;
        self.state.remember(path.clone());
        self.submit(Job::Open(path));
    }

    /// Measures the gallery's null, once.
    fn calibrate(&mut self) {
        let state = &mut self.state;
        // One that is still being prepared is waited for: jobs run one after the other.
        if state.study.outline().is_none_or(|o| o.gallery.is_empty()) {
            state.suggest_when_measured = false;
            let advice = "Open a folder of training images, or a study that has one.";
            return state.notice(Problem::new("There is no gallery to calibrate on", advice), false);
        }
        if !state.jobs.iter().any(|j| j.calibrates) {
            self.submit(Job::Calibrate);
        }
    }

    /// Moves the thresholds to where the null suggests them; measures it first if need be.
    fn suggest_thresholds(&mut self) {
        let state = &mut self.state;
        let Some(null) = state.null.clone() else {
            state.suggest_when_measured = true;
            return self.calibrate();
        };
        state.take_suggestion(&null);
    }

    /// Hands the engine the regions that were drawn, and the questions for SAM.
    pub(super) fn send_regions(&mut self) {
        for request in std::mem::take(&mut self.state.region.waiting) {
            self.engine.view(ViewRequest::Region(request));
        }
        if let Some(job) = self.state.region.asking.take() {
            self.submit(Job::Refine(job));
        }
    }

    pub(super) fn submit(&mut self, job: Job) {
        let (id, cancel) = self.engine.submit(job.clone());
        self.state.jobs.push(RunningJob::new(id, cancel, &job));
    }

    fn generate(&mut self, prompts: Vec<Prompt>) {
        let state = &mut self.state;
        let seeds = match parse_seeds(&state.seeds) {
            Ok(seeds) => seeds,
            Err(trouble) => {
                state.open.run_settings = true;
                return state.notice(Problem::new("No seeds to draw with", trouble), false);
            }
        };
        if let Err(trouble) = state.sampling.validate() {
            state.open.run_settings = true;
            return state.notice(
                Problem::new("These settings cannot be drawn with", trouble),
                false,
            );
        }
        if state.study.outline().is_none_or(|o| o.model.is_none()) {
            let advice = "Open a checkpoint folder in diffusers layout, or a study that names one.";
            return state.notice(Problem::new("There is no checkpoint to draw with", advice), false);
        }
        if prompts.is_empty() {
            let advice = "Choose one in the list, or write your own.";
            return state.notice(Problem::new("There is no prompt to draw", advice), false);
        }
        // Whoever starts a run wants to see it.
        state.selection.pinned = false;
        let sampling = state.sampling.clone();
        let variant = state.variant.clone();
        let name: Option<std::sync::Arc<str>> = variant.as_ref().map(|v| v.name.as_str().into());
        state.compare.drawn_with.insert(name.clone(), sampling.clone());
        state.compare.show_second = name.is_some();
        // Asking for nothing but what is there means: let me see it form again.
        let there = |p: &Prompt, seed: u64| {
            let key = GenerationKey {
                prompt: p.index,
                seed,
            };
            let known = match &name {
                Some(name) => state.study.generation_of(name, key),
                None => state.study.generation(key).filter(|g| g.variant.is_none()),
            };
            known.is_some_and(|g| !g.matches.is_empty())
        };
        let redraw = prompts.iter().all(|p| seeds.iter().all(|&seed| there(p, seed)));
        self.submit(Job::Generate(GenerateJob {
            prompts,
            seeds,
            sampling,
            variant,
            redraw,
            shard: None,
        }));
    }

    fn run_command(&mut self, ctx: &Context, command: Command) {
        let state = &mut self.state;
        match command {
            Command::OpenFolder => self.dialogs.ask(ctx, Wanted::Folder),
            Command::OpenFile => self.dialogs.ask(ctx, Wanted::File),
            Command::ImportImages => self.dialogs.ask(ctx, Wanted::ImportFolder),
            Command::OpenPath => {
                state.open.path = !state.open.path;
                state.open.path_for = PathFor::default();
            }
            Command::Run => {
                let chosen = &state.selection.prompts;
                let prompts = state
                    .study
                    .prompts()
                    .iter()
                    .filter(|p| chosen.contains(&p.index))
                    .cloned()
                    .collect();
                self.generate(prompts);
            }
            Command::RunAll => {
                let prompts = state.study.prompts().to_vec();
                self.generate(prompts);
            }
            Command::RunSameSeeds => self.run_same_seeds(),
            Command::Search => self.search(),
            Command::SaveVariant => self.save_variant(),
            Command::ShowVariant => {
                state.compare.show_second = !state.compare.show_second && state.compare.second.is_some();
            }
            Command::AgainstVariant => {
                state.compare.against_second =
                    !state.compare.against_second && state.compare.second.is_some();
            }
            Command::SideBySide => state.compare.side_by_side = !state.compare.side_by_side,
            Command::Stop => state.jobs.iter().for_each(|j| j.cancel.cancel()),
            Command::ExportReport | Command::ExportTables => {
                let thresholds = Some(state.thresholds);
                self.submit(Job::Report(ReportJob {
                    thresholds,
                    tables: command == Command::ExportTables,
                    ..ReportJob::default()
                }));
            }
            Command::CopyPicture => copy_picture::copy(ctx, state, &self.theme),
            Command::RevealGif | Command::RevealWebp => {
                let ending = if command == Command::RevealGif {
                    "gif"
                } else {
                    "webp"
                };
                match copy_picture::reveal(state, &self.theme, ending) {
                    Some(request) => self.engine.view(ViewRequest::Reveal(Box::new(request))),
                    None => state.notice(
                        Problem::new(
                            "There is no Reveal to export",
                            "Look at a picture that has a training image beside it, then export again.",
                        ),
                        false,
                    ),
                }
            }
            Command::RunSettings => state.open.run_settings = !state.open.run_settings,
            Command::NextPrompt => state.step_prompt(1),
            Command::PreviousPrompt => state.step_prompt(-1),
            Command::SelectAllPrompts => {
                state.history.before(state.moment(), None);
                let listed = state.listed();
                state.selection.prompts = listed.into_iter().collect();
                state.selection.prompts.extend(state.selection.prompt);
            }
            // With the brush at hand, the same keys change its size.
            Command::NextSeed if state.region.tool == Some(Tool::Brush) => state.step_brush(1.0),
            Command::PreviousSeed if state.region.tool == Some(Tool::Brush) => state.step_brush(-1.0),
            Command::NextSeed => state.step_seed(1),
            Command::PreviousSeed => state.step_seed(-1),
            Command::Region(tool) => {
                let region = &mut state.region;
                region.tool = if region.tool == Some(tool) {
                    None
                } else {
                    Some(tool)
                };
            }
            Command::EraseRegion => state.region.erase = !state.region.erase,
            Command::SoftBrush => state.region.soft = !state.region.soft,
            Command::ResetRegion => state.reset_region(),
            Command::ToggleInspector => state.open.inspector = !state.open.inspector,
            Command::ToggleNearest => state.overlay.nearest = !state.overlay.nearest,
            Command::ToggleEnding => state.overlay.ending = switched(state.overlay.ending),
            Command::ToggleChange => state.overlay.change = switched(state.overlay.change),
            Command::NextEvidence => state.step_evidence(1),
            Command::PreviousEvidence => state.step_evidence(-1),
            Command::Filter(verdict) => {
                let alone = state.wanted.len() == 1 && state.wanted.contains(&verdict);
                state.wanted.clear();
                if !alone {
                    state.wanted.insert(verdict);
                }
            }
            Command::ClearFilter => state.wanted.clear(),
            Command::Show(mode) => {
                // Who compares two variants wants to see these two in turn.
                if mode == crate::render::Mode::Blink
                    && state.selection.key().is_some_and(|k| state.second(k).is_some())
                {
                    state.compare.against_second = true;
                }
                state.overlay.mode = mode;
            }
            Command::ToggleSplit => state.overlay.split = !state.overlay.split,
            Command::ToggleControls => state.open.controls = !state.open.controls,
            Command::ZoomIn => state.camera.zoom_about(1.25, egui::Vec2::ZERO),
            Command::ZoomOut => state.camera.zoom_about(0.8, egui::Vec2::ZERO),
            Command::ZoomFit => state.camera = Camera::default(),
            Command::ResetThresholds => {
                state.history.before(state.moment(), None);
                state.thresholds = state
                    .study
                    .outline()
                    .map_or_else(Default::default, |o| o.thresholds);
            }
            Command::ReferenceThresholds => {
                state.history.before(state.moment(), None);
                state.thresholds = crate::study::Thresholds::default();
            }
            Command::SuggestedThresholds => self.suggest_thresholds(),
            Command::Calibrate => self.calibrate(),
            Command::Repeats => self.submit(Job::Repeats(crate::memorization::WITHIN)),
            Command::Signals => {
                state.signals.shown.on = true;
                self.bring_forward(Pane::Calibration);
            }
            Command::Undo => {
                let now = state.moment();
                if let Some(moment) = state.history.undo(now) {
                    state.bring_back(moment);
                    self.load_earlier_results();
                }
            }
            Command::Redo => {
                let now = state.moment();
                if let Some(moment) = state.history.redo(now) {
                    state.bring_back(moment);
                    self.load_earlier_results();
                }
            }
            Command::Palette => {
                state.open.palette = match state.open.palette {
                    Some(_) => None,
                    None => Some(Palette::default()),
                };
            }
            Command::Keys => state.open.keys = !state.open.keys,
            Command::Present => {
                let on = !state.open.present;
                self.present(ctx, on);
            }
            Command::Autoplay if state.autoplay.is_some() => self.present(ctx, false),
            Command::Autoplay => {
                autoplay::begin(state, ctx.input(|i| i.time));
                self.present(ctx, true);
            }
            Command::Tour => self.show_tour(Some(0)),
            Command::Weights => self.weights(ctx, WeightsWish::Open),
            Command::Listen => self.toggle_listening(ctx, 0),
            Command::ToggleTheme => self.set_theme(ctx, !self.theme.dark),
            Command::LargerType => ctx.set_zoom_factor((ctx.zoom_factor() * 1.1).min(3.0)),
            Command::SmallerType => ctx.set_zoom_factor((ctx.zoom_factor() / 1.1).max(0.5)),
            Command::Pane(pane) => {
                // One that has the whole window gives it to the next.
                state.open.alone = state.open.alone.map(|_| pane);
                self.bring_forward(pane);
            }
            Command::Maximize => {
                let pointed = self.pointed.unwrap_or(Pane::Stage);
                state.open.alone = match state.open.alone {
                    Some(_) => None,
                    None => Some(pointed),
                };
            }
            Command::ResetLayout => {
                self.layout = layout::default_layout();
                self.state.open.alone = None;
            }
            Command::Figures => state.open.figures = !state.open.figures,
            Command::RevealNext => state.reveal_next(),
            Command::ShowInFolder => {
                let chosen = state.chosen_training();
                let outline = state.study.outline().cloned();
                let image = chosen.and_then(|i| outline.as_ref()?.gallery.get(i as usize).cloned());
                if let Some(image) = image {
                    self.show_in_folder(&image.path);
                }
            }
            Command::DismissNotices => state.notices.clear(),
            Command::Quit => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
        }
    }
}
