//! What panels and keys asked for, carried out.

use super::{
    action::{Action, Pick},
    command::Command,
    copy_picture,
    dialogs::Wanted,
    history::Moment,
    layout,
    state::{Camera, Palette, RunningJob, State},
    window::App,
};
use crate::{
    engine::{GenerateJob, Job, ReportJob},
    study::{GenerationKey, Problem, Prompt, parse_seeds},
};
use egui::Context;
use std::path::PathBuf;

impl State {
    /// What an undo would bring back.
    fn moment(&self) -> Moment {
        Moment {
            thresholds: self.thresholds,
            selection: self.selection.clone(),
        }
    }

    /// Puts a folder on top of the recent ones.
    pub fn remember(&mut self, path: PathBuf) {
        const KEPT: usize = 8;
        self.recent.retain(|p| *p != path);
        self.recent.insert(0, path);
        self.recent.truncate(KEPT);
    }

    fn bring_back(&mut self, moment: Moment) {
        self.thresholds = moment.thresholds;
        self.selection = moment.selection;
    }

    /// Prompts the filters let through, by index.
    fn listed(&self) -> Vec<u32> {
        let prompts = self.study.prompts();
        let visible = self
            .study
            .visible_prompts(&self.search, &self.wanted(), &self.thresholds);
        visible.into_iter().map(|i| prompts[i].index).collect()
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
        let mut seeds: Vec<u64> = self.study.of_prompt(prompt).map(|g| g.key.seed).collect();
        if let Some(forming) = self.study.forming().filter(|f| f.key.prompt == prompt) {
            seeds.push(forming.key.seed);
            seeds.sort_unstable();
            seeds.dedup();
        }
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

    /// Closes the topmost thing that is open.
    fn escape(&mut self) {
        let open = &mut self.open;
        if open.palette.take().is_some() {
        } else if open.keys {
            open.keys = false;
        } else if open.path {
            open.path = false;
        } else if open.run_settings {
            open.run_settings = false;
        } else if open.present {
            open.present = false;
        } else if let Some(prompt) = self.selection.prompt {
            self.selection.prompts = [prompt].into();
        }
    }
}

impl App {
    /// Carries out one wish.
    pub(super) fn apply(&mut self, ctx: &Context, action: Action) {
        let state = &mut self.state;
        match action {
            Action::Command(command) => self.run_command(ctx, command),
            Action::Open(path) => self.open(path),
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
            Action::PickEvidence(place) => {
                state.history.before(state.moment(), None);
                state.selection.evidence = place;
            }
            Action::SetThresholds(thresholds, gesture) => {
                state.history.before(state.moment(), gesture);
                state.thresholds = thresholds;
            }
            Action::SetOverlay(overlay) => state.overlay = overlay.clamped(),
            Action::SetCamera(camera) => state.camera = camera,
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
            Action::SetVariant(variant) => state.variant = variant,
            Action::PathDraft(text) => state.path_draft = text,
            Action::ShowPath(open) => state.open.path = open,
            Action::ShowRunSettings(open) => state.open.run_settings = open,
            Action::Hover(key) => state.hovered = key,
            Action::SetHighlight(highlight) => state.highlight = highlight,
            Action::SetPalette(palette) => state.open.palette = palette,
            Action::ShowKeys(open) => state.open.keys = open,
            Action::Escape => {
                let presenting = state.open.present;
                state.escape();
                if presenting && !state.open.present {
                    ctx.send_viewport_cmd(egui::ViewportCommand::Fullscreen(false));
                }
            }
            Action::Dismiss(id) => state.notices.retain(|n| n.id != id),
        }
    }

    fn open(&mut self, path: PathBuf) {
        self.state.open.path = false;
        self.state.remember(path.clone());
        self.submit(Job::Open(path));
    }

    fn submit(&mut self, job: Job) {
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
        let variant_name = variant.as_ref().map(|v| v.name.as_str());
        // Asking for nothing but what is there means: let me see it form again.
        let there = |p: &Prompt, seed: u64| {
            state
                .study
                .generation(GenerationKey {
                    prompt: p.index,
                    seed,
                })
                .is_some_and(|g| !g.matches.is_empty() && g.variant.as_deref() == variant_name)
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
            Command::OpenPath => state.open.path = !state.open.path,
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
            Command::Stop => state.jobs.iter().for_each(|j| j.cancel.cancel()),
            Command::ExportReport => {
                let thresholds = Some(state.thresholds);
                self.submit(Job::Report(ReportJob {
                    thresholds,
                    ..ReportJob::default()
                }));
            }
            Command::CopyPicture => copy_picture::copy(ctx, state, &self.theme),
            Command::RunSettings => state.open.run_settings = !state.open.run_settings,
            Command::NextPrompt => state.step_prompt(1),
            Command::PreviousPrompt => state.step_prompt(-1),
            Command::SelectAllPrompts => {
                state.history.before(state.moment(), None);
                state.selection.prompts = state.listed().into_iter().collect();
                state.selection.prompts.extend(state.selection.prompt);
            }
            Command::NextSeed => state.step_seed(1),
            Command::PreviousSeed => state.step_seed(-1),
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
            Command::Show(mode) => state.overlay.mode = mode,
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
            Command::Undo => {
                let now = state.moment();
                if let Some(moment) = state.history.undo(now) {
                    state.bring_back(moment);
                }
            }
            Command::Redo => {
                let now = state.moment();
                if let Some(moment) = state.history.redo(now) {
                    state.bring_back(moment);
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
                state.open.present = !state.open.present;
                ctx.send_viewport_cmd(egui::ViewportCommand::Fullscreen(state.open.present));
            }
            Command::ToggleTheme => self.set_theme(ctx, !self.theme.dark),
            Command::LargerType => ctx.set_zoom_factor((ctx.zoom_factor() * 1.1).min(3.0)),
            Command::SmallerType => ctx.set_zoom_factor((ctx.zoom_factor() / 1.1).max(0.5)),
            Command::ResetLayout => self.layout = layout::default_layout(),
            Command::DismissNotices => state.notices.clear(),
            Command::Quit => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
        }
    }
}
