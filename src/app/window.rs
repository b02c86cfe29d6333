//! The application: hears the engine, draws the panes, carries out what they ask for.

use super::{
    action::Action,
    autoplay,
    context::Cx,
    dialogs::{Dialogs, Wanted},
    events, focus, import_dialog, keys,
    layout::{self, Layout, Pane, Panes},
    live_link::LiveLink,
    meter::{self, Figures, Meter},
    on_stage::{Fingerprint, OnStage},
    paint, palette,
    panels::{FieldPoints, MapDots, bar, figures, log},
    present,
    shader_watch::ShaderWatch,
    state::{OverlaySettings, PathFor, State},
    theme::{self, Theme},
    thumbnails::Thumbnails,
    tour,
    weights_dialog::{self, WeightOptions, WeightsLink},
};
use crate::{
    engine::{EngineHandle, PairRequest, PairView, ViewRequest},
    study::Problem,
};
use eframe::egui_wgpu;
use egui::{
    Context, Frame, Panel, TextEdit, Ui, UiBuilder, WidgetInfo, text::CCursorRange, text_edit::TextEditState,
    vec2,
};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// What the window starts with.
#[derive(Clone, Debug, Default)]
pub struct AppOptions {
    /// Opened at start.
    pub open: Option<PathBuf>,
    /// Where the model computes, in a few words for the bar.
    pub device: String,
    /// Whether the tour opens for whoever has not seen it.
    pub tour: bool,
    /// When the program started; its first frame is measured from there.
    pub started: Option<Instant>,
    /// Port to listen on for pictures of other programs from the start; 0 lets the system choose.
    pub listen: Option<u16>,
    /// Folder of shaders to draw with as they are saved, for those who write them.
    pub shaders: Option<PathBuf>,
    /// Where published weights come from and go to.
    pub weights: WeightOptions,
}

/// The application.
pub struct App {
    pub(super) state: State,
    pub(super) engine: EngineHandle,
    pub(super) theme: Theme,
    pub(super) layout: Layout,
    pub(super) dialogs: Dialogs,
    thumbnails: Thumbnails,
    field: FieldPoints,
    map: MapDots,
    meter: Meter,
    /// When the program started, and how long its first frame took to be drawn.
    started: Option<Instant>,
    first_frame: Option<u32>,
    /// Rows of long lists laid out in this frame.
    rows: usize,
    /// The layout that is kept for the open study.
    kept: Option<Layout>,
    actions: Vec<Action>,
    /// The pane the pointer was over last.
    pub(super) pointed: Option<Pane>,
    /// Whether the tour was offered, in this session or before.
    toured: bool,
    pub(super) live: LiveLink,
    pub(super) weights: WeightsLink,
    gpu: Option<egui_wgpu::RenderState>,
    shaders: Option<ShaderWatch>,
    /// Whether the graphics card makes local maps itself.
    makes_maps: bool,
    uploaded: Option<Fingerprint>,
    uploaded_second: Option<Fingerprint>,
    /// Version of the region that was handed to the graphics card.
    uploaded_region: u64,
}

/// What is remembered between sessions, besides egui's own memory.
#[derive(Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct Remembered {
    light: bool,
    overlay: OverlaySettings,
    recent: Vec<PathBuf>,
    toured: bool,
}

const REMEMBERED: &str = "window-1";

impl App {
    /// Builds the application. Without a graphics adapter in `cc` the Stage shows pictures without
    /// overlays.
    pub fn new(cc: &eframe::CreationContext<'_>, engine: EngineHandle, options: AppOptions) -> Self {
        Self::build(
            &cc.egui_ctx,
            cc.storage,
            cc.wgpu_render_state.clone(),
            engine,
            options,
        )
    }

    /// Builds the application without eframe's context: `storage` is what was remembered between sessions, `gpu` what
    /// draws the Stage.
    pub fn build(
        ctx: &Context,
        storage: Option<&dyn eframe::Storage>,
        gpu: Option<egui_wgpu::RenderState>,
        engine: EngineHandle,
        options: AppOptions,
    ) -> Self {
        let remembered: Remembered = storage
            .and_then(|s| eframe::get_value(s, REMEMBERED))
            .unwrap_or_default();
        let layout = storage
            .and_then(|s| eframe::get_value(s, layout::STORAGE_KEY))
            .filter(layout::is_complete)
            .unwrap_or_else(layout::default_layout);
        let makes_maps = gpu.as_ref().is_some_and(paint::install);
        let folder = options.shaders.zip(gpu.as_ref());
        let shaders = folder.and_then(|(folder, gpu)| ShaderWatch::start(ctx, gpu, folder));
        let state = State {
            overlay: remembered.overlay.clamped(),
            recent: remembered.recent,
            device: options.device,
            seeds: "0..4".to_owned(),
            open: super::state::Open {
                controls: true,
                inspector: true,
                tour: (options.tour && !remembered.toured).then_some(0),
                ..Default::default()
            },
            ..State::default()
        };
        let theme = if remembered.light {
            Theme::light()
        } else {
            Theme::dark()
        };
        theme.apply(ctx);
        focus::install(ctx);
        let mut app = Self {
            state,
            engine,
            theme,
            layout,
            dialogs: Dialogs::default(),
            thumbnails: Thumbnails::default(),
            field: FieldPoints::default(),
            map: MapDots::default(),
            meter: Meter::default(),
            started: options.started,
            first_frame: None,
            rows: 0,
            kept: None,
            actions: Vec::new(),
            pointed: None,
            toured: options.tour || remembered.toured,
            live: LiveLink::new(ctx),
            weights: WeightsLink::new(options.weights),
            gpu,
            shaders,
            makes_maps,
            uploaded: None,
            uploaded_second: None,
            uploaded_region: 0,
        };
        if let Some(port) = options.listen {
            app.live.start(ctx, port);
        }
        if let Some(path) = options.open {
            app.apply(ctx, Action::Open(path));
        }
        app
    }

    /// What the window shows right now.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Asks for something, as a panel would; carried out in the next frame.
    pub fn ask(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Changes the appearance.
    pub fn set_theme(&mut self, ctx: &Context, dark: bool) {
        self.theme = if dark { Theme::dark() } else { Theme::light() };
        self.theme.apply(ctx);
    }

    /// Brings a pane to the front of its tabs.
    pub fn bring_forward(&mut self, pane: Pane) {
        self.layout
            .make_active(|_, tile| matches!(tile, egui_tiles::Tile::Pane(p) if *p == pane));
    }

    /// Gives a pane the whole window below the bar, or all panes their places again.
    pub fn show_alone(&mut self, pane: Option<Pane>) {
        self.state.open.alone = pane;
    }

    /// Takes the floating cards away; the Log keeps them.
    pub fn sink_notices(&mut self) {
        self.state.notices.iter_mut().for_each(|n| n.floating = false);
    }

    /// Whether the engine still owes something that is on the screen, or works.
    pub fn is_waiting(&self) -> bool {
        let state = &self.state;
        let pair = |wish: Option<PairRequest>, there: &Option<std::sync::Arc<PairView>>| {
            wish.is_some_and(|w| there.as_ref().is_none_or(|p| p.request != w))
        };
        !state.jobs.is_empty()
            || !self.actions.is_empty()
            || self.thumbnails.are_missing()
            || pair(state.wished_pair(), &state.pair)
            || pair(state.wished_second_pair(), &state.compare.pair)
            || state.wished_comparison().is_some()
            || state.wished_detection().is_some()
            || state.signals.asked != state.signals.result.as_ref().map(|r| r.stamp)
            || state.compare.asked != state.compare.result.as_ref().map(|r| r.stamp)
    }

    /// One frame: hears the engine, draws, carries out what was asked for.
    pub fn frame(&mut self, ui: &mut Ui) {
        self.listen(&ui.ctx().clone());
        self.show(ui);
    }

    /// Hears the engine and the dialogs, and carries out what is waiting.
    fn listen(&mut self, ctx: &Context) {
        let now = ctx.input(|i| i.time);
        // Bounded, so that a flood of events cannot hold up a frame.
        const MOST: Duration = Duration::from_millis(4);
        let begun = Instant::now();
        while let Ok(event) = self.engine.events().try_recv() {
            if let crate::engine::Event::Layout(text) = &event {
                self.take_layout(text);
            }
            let opened = matches!(event, crate::engine::Event::Opened(_));
            events::take(&mut self.state, &mut self.thumbnails, ctx, event, now);
            if opened {
                self.ask_for_layout();
            }
            if begun.elapsed() > MOST {
                ctx.request_repaint();
                break;
            }
        }
        self.hear_live();
        self.hear_shaders();
        self.hear_weights(ctx);
        self.load_earlier_results();
        let dropped = ctx.input(|i| i.raw.dropped_files.clone());
        let chosen: Vec<(Wanted, Option<PathBuf>)> = self.dialogs.chosen().collect();
        for (wanted, path) in chosen {
            let Some(path) = path else {
                self.ask_for_path(wanted);
                continue;
            };
            let mut dialog = self.state.import.clone();
            match (wanted, &mut dialog) {
                (Wanted::ImportFolder, _) => self.actions.push(Action::Survey(path)),
                (Wanted::ImportTable, Some(open)) => open.table = path.display().to_string(),
                (Wanted::ImportPrompts, Some(open)) => open.list = path.display().to_string(),
                (Wanted::ImportMattes, Some(open)) => open.mattes = path.display().to_string(),
                (Wanted::Mattes, _) => self.actions.push(Action::Mattes(Some(path))),
                (Wanted::GeneratedMattes, _) => self.actions.push(Action::GeneratedMattes(Some(path))),
                (Wanted::ImportTable | Wanted::ImportPrompts | Wanted::ImportMattes, None) => {}
                (Wanted::Folder | Wanted::File, _) => self.actions.push(Action::Open(path)),
            }
            if dialog != self.state.import {
                self.actions.push(Action::SetImport(dialog));
            }
        }
        self.actions
            .extend(dropped.iter().map(|f| Action::Open(f.path().to_path_buf())));
        self.carry_out(ctx);
    }

    /// Says what became of shaders that were saved.
    fn hear_shaders(&mut self) {
        let told: Vec<_> = self.shaders.iter().flat_map(ShaderWatch::told).collect();
        for told in told {
            match told {
                // The pictures are handed over again, so that a map is made by the new shader too.
                Ok(()) => (self.uploaded, self.uploaded_second) = (None, None),
                Err(problem) => self.state.notice(problem, false),
            }
        }
    }

    /// Where no file dialog can be shown: a field for the path instead.
    fn ask_for_path(&mut self, wanted: Wanted) {
        match wanted {
            // The import dialog has fields of its own for these.
            Wanted::ImportTable | Wanted::ImportPrompts | Wanted::ImportMattes => {}
            Wanted::Folder | Wanted::File => self.state.open.path = true,
            Wanted::Mattes => {
                self.state.open.path = true;
                self.state.open.path_for = PathFor::Mattes;
            }
            Wanted::GeneratedMattes => {
                self.state.open.path = true;
                self.state.open.path_for = PathFor::GeneratedMattes;
            }
            Wanted::ImportFolder => {
                self.state.open.path = true;
                self.state.open.path_for = PathFor::Import;
            }
        }
        let advice =
            "Write the path instead. Installing xdg-desktop-portal or zenity brings the dialog back.";
        let told = Problem::new("This desktop shows no file dialogs", advice);
        // Once is enough.
        if !self.state.notices.iter().any(|n| n.problem == told) {
            self.state.notice(told, false);
        }
    }

    /// Carries out everything asked for; true when there was something.
    fn carry_out(&mut self, ctx: &Context) -> bool {
        let actions = std::mem::take(&mut self.actions);
        let any = !actions.is_empty();
        for action in actions {
            self.apply(ctx, action);
        }
        self.send_regions();
        self.ask_for_pair();
        self.ask_for_comparison();
        self.ask_for_detection();
        any
    }

    /// Asks the engine for the pair the selection points at, once.
    fn ask_for_pair(&mut self) {
        let wish = self.state.wished_pair();
        if let Some(request) = wish.filter(|w| self.state.asked.as_ref() != Some(w)) {
            // What was made ready shows in this frame; the engine's own map follows where there is none yet.
            let reread = std::mem::take(&mut self.state.region.reread);
            let shown = self.state.pair.as_deref().filter(|_| !reread);
            let ready = self.state.ahead.pair(&request, shown);
            if ready.as_ref().is_none_or(|pair| pair.similarity.is_none()) {
                self.engine.view(ViewRequest::Pair(request.clone()));
            }
            self.state.pair = ready.or(self.state.pair.take());
            self.state.asked = Some(request);
        }
        if let Some(request) = self.state.wished_partners(self.makes_maps) {
            self.engine.view(ViewRequest::Partners(request.clone()));
            self.state.ahead.asked(request);
        }
        let wish = self.state.wished_second_pair();
        let compare = &mut self.state.compare;
        if let Some(request) = wish.filter(|w| compare.asked_pair.as_ref() != Some(w)) {
            self.engine.view(ViewRequest::Pair(request.clone()));
            compare.asked_pair = Some(request);
        }
    }

    /// Asks the engine for the comparison of all variants with A, when something changed.
    fn ask_for_comparison(&mut self) {
        if let Some(request) = self.state.wished_comparison() {
            self.state.compare.asked = Some(request.stamp);
            self.engine.view(ViewRequest::Compare(request));
        }
    }

    /// Asks the engine how well signs of memorization tell, when they are shown and something changed.
    fn ask_for_detection(&mut self) {
        if let Some(request) = self.state.wished_detection() {
            self.state.signals.asked = Some(request.stamp);
            self.engine.view(ViewRequest::Detect(request));
        }
    }

    /// Hands the graphics card the Stage's pictures when they changed.
    fn upload(&mut self) {
        let Some(gpu) = &self.gpu else { return };
        let shown = OnStage::of(&self.state);
        let print = shown.fingerprint();
        let region = self.state.region.version;
        let matte = shown.pair().and_then(|pair| pair.matte.as_deref());
        let current = self.uploaded == Some(print)
            && (self.uploaded_region == region || paint::upload_matte(gpu, paint::STAGE, matte));
        if !current {
            paint::upload(gpu, paint::STAGE, &shown.pictures());
        }
        (self.uploaded, self.uploaded_region) = (Some(print), region);
        if self.state.beside() {
            let shown = OnStage::second(&self.state);
            let print = shown.fingerprint();
            if self.uploaded_second != Some(print) {
                paint::upload(gpu, paint::STAGE_SECOND, &shown.pictures());
                self.uploaded_second = Some(print);
            }
        }
    }

    /// Takes keys, draws, and carries out what panels asked for.
    fn show(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        focus::skip(&ctx);
        // A field that opens has the focus a frame later; letters that come before are none the less meant for it.
        let asking = self.state.open.path || self.state.open.palette.is_some();
        let pressed = keys::pressed(&ctx, asking || ctx.text_edit_focused());
        self.actions.extend(pressed);
        self.carry_out(&ctx);
        if let Some(wait) = autoplay::advance(&mut self.state, ctx.input(|i| i.time)) {
            self.ask_for_pair();
            ctx.request_repaint_after(wait);
        }
        self.upload();
        self.draw(ui);
        if self.carry_out(&ctx) {
            // Draw this frame again from the changed state, so that no pane lags behind another.
            self.upload();
            ctx.request_discard("the state changed");
            ctx.request_repaint();
        }
        if let Some(wishes) = self.thumbnails.end_frame() {
            self.engine.view(ViewRequest::Thumbnails(wishes));
        }
        self.keep_layout(&ctx);
        let causes = ctx.repaint_causes();
        let causes = causes.iter().map(|c| meter::place(c.file, c.line, &c.reason));
        self.meter.end(self.rows, causes);
        for ended in std::mem::take(&mut self.state.region.answered) {
            self.meter.verdict_shown(ended.elapsed());
        }
        if let Some(started) = self.started.take() {
            let first = started.elapsed().as_millis() as u32;
            ::log::info!("first frame {first} ms after the start");
            self.first_frame = Some(first);
        }
    }

    /// What the window costs.
    pub fn figures(&self) -> Figures {
        Figures {
            thumbnails: self.thumbnails.figures(),
            events: self.engine.events().len(),
            jobs: self.state.jobs.len(),
            first_frame: self.first_frame,
            field: (self.field.laid_out, self.field.coloured),
            ..self.meter.figures()
        }
    }

    /// Asks for the layout that was kept for the study just opened.
    fn ask_for_layout(&mut self) {
        self.kept = None;
        if let Some(root) = self.state.study.outline().and_then(|o| o.root.clone()) {
            self.engine.view(ViewRequest::Layout(root));
        }
    }

    /// Takes over a layout that was kept, if it holds every pane.
    fn take_layout(&mut self, text: &str) {
        match serde_json::from_str::<Layout>(text) {
            Ok(layout) if layout::is_complete(&layout) => {
                self.layout = layout;
                self.kept = None;
            }
            Ok(_) => ::log::warn!("the study's kept layout misses a pane and is not used"),
            Err(error) => ::log::warn!("the study's kept layout cannot be read: {error}"),
        }
    }

    /// Keeps the layout for the open study when a pane was moved.
    fn keep_layout(&mut self, ctx: &Context) {
        if ctx.input(|i| i.pointer.any_down()) || self.kept.as_ref() == Some(&self.layout) {
            return;
        }
        let root = self.state.study.outline().and_then(|o| o.root.clone());
        if let (Some(root), Some(_)) = (root, &self.kept)
            && let Ok(text) = serde_json::to_string(&self.layout)
        {
            self.engine.view(ViewRequest::KeepLayout(root, text));
        }
        self.kept = Some(self.layout.clone());
    }

    fn draw(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        // Sorting times and causes is only worth it where they are shown.
        let figures = if self.state.open.figures {
            self.figures()
        } else {
            Figures {
                thumbnails: self.thumbnails.figures(),
                first_frame: self.first_frame,
                ..Figures::default()
            }
        };
        self.state.derive();
        let mut cx = Cx {
            state: &self.state,
            theme: &self.theme,
            thumbnails: &mut self.thumbnails,
            field: &mut self.field,
            map: &mut self.map,
            figures: &figures,
            actions: &mut self.actions,
            has_gpu: self.gpu.is_some(),
            tabbed: false,
            rows: 0,
            tally: self.state.derived.tally,
        };
        if self.state.open.present {
            present::ui(ui, &mut cx);
        } else {
            let bar_frame = Frame::new()
                .fill(self.theme.pane)
                .inner_margin(egui::Margin::symmetric(12, 0));
            Panel::top("bar")
                .exact_size(theme::BAR_HEIGHT)
                .frame(bar_frame)
                .show(ui, |ui| bar::ui(ui, &mut cx));
            egui::CentralPanel::no_frame().show(ui, |ui| {
                // Shows through the gaps between the panes as thin lines.
                ui.painter().rect_filled(ui.max_rect(), 0, self.theme.line);
                if let Some(pane) = self.state.open.alone {
                    let area = ui.max_rect().with_min_y(ui.max_rect().top() + 1.0);
                    ui.scope_builder(UiBuilder::new().max_rect(area), |ui| {
                        layout::pane_ui(ui, &mut cx, pane)
                    });
                    return;
                }
                let tabbed = layout::tabbed(&self.layout);
                let mut panes = Panes {
                    cx: &mut cx,
                    tabbed,
                    pointed: &mut self.pointed,
                };
                self.layout.ui(&mut panes, ui);
            });
        }
        path_field(&ctx, &mut cx);
        import_dialog::ui(&ctx, &mut cx);
        weights_dialog::ui(&ctx, &mut cx);
        palette::ui(&ctx, &mut cx);
        keys::sheet(&ctx, &mut cx);
        tour::ui(&ctx, &mut cx, &self.layout);
        log::floating(&ctx, &mut cx);
        focus::ring(&ctx, cx.theme);
        drop_target(&ctx, &cx);
        figures::overlay(&ctx, &cx);
        self.rows = cx.rows;
    }
}

/// A field for a path: works where no file dialog can be shown.
fn path_field(ctx: &Context, cx: &mut Cx<'_>) {
    if !cx.state.open.path {
        return;
    }
    let modal = egui::Modal::new(egui::Id::unique("open by path")).show(ctx, |ui| {
        ui.set_width(460.0);
        let wanted = cx.state.open.path_for;
        ui.label(match wanted {
            PathFor::Open => "Folder or file to open",
            PathFor::Import => "Folder of pictures to import",
            PathFor::Mattes => "Folder of masks of the training images",
            PathFor::GeneratedMattes => "Folder of masks of generated pictures",
        });
        let mut text = cx.state.path_draft.clone();
        let hint = match wanted {
            PathFor::Open => "a study, a checkpoint, a gallery, or a list of prompts",
            PathFor::Import => "finished pictures, compared with the open gallery",
            PathFor::Mattes => "white where the foreground is, named like their images",
            PathFor::GeneratedMattes => "white inside, named as the run stores them: img_0000_00.png",
        };
        let id = egui::Id::unique("path to open");
        // A field that does not own the keyboard yet drops its selection: it is made until then.
        let fresh = !ui.memory(|m| m.owns_ime_events(id));
        let field = TextEdit::singleline(&mut text)
            .id(id)
            .hint_text(hint)
            .desired_width(f32::INFINITY);
        let response = ui.add(field.margin(egui::Margin::symmetric(10, 8)));
        response.widget_info(|| WidgetInfo::labeled(egui::Role::TextInput, true, "Path"));
        let enter = response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
        if response.changed() {
            cx.ask(Action::PathDraft(text.clone()));
        } else if fresh {
            // What was written before goes with the first letter typed.
            let mut edit = TextEditState::load(ui.ctx(), id).unwrap_or_default();
            let all = CCursorRange::select_all_str(&text);
            edit.cursor.set_char_range(Some(all));
            edit.store(ui.ctx(), id);
        }
        if !enter {
            response.request_focus();
        }
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            let path = text.trim().trim_matches('"');
            let can = !path.is_empty();
            if super::controls::main_button(ui, cx.theme, can, "Open").clicked() || (enter && can) {
                let path = PathBuf::from(path);
                cx.ask(Action::ShowPath(false));
                cx.ask(match wanted {
                    PathFor::Open => Action::Open(path),
                    PathFor::Import => Action::Survey(path),
                    PathFor::Mattes => Action::Mattes(Some(path)),
                    PathFor::GeneratedMattes => Action::GeneratedMattes(Some(path)),
                });
            }
            if ui.button("Cancel").clicked() {
                cx.ask(Action::ShowPath(false));
            }
        });
    });
    if modal.should_close() {
        cx.ask(Action::ShowPath(false));
    }
}

/// Says what happens when the files held over the window are let go.
fn drop_target(ctx: &Context, cx: &Cx<'_>) {
    if ctx.input(|i| i.raw.hovered_files.is_empty()) {
        return;
    }
    let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop"));
    let painter = ctx.layer_painter(layer);
    let rect = ctx.content_rect();
    painter.rect_filled(rect, 0, cx.theme.float);
    painter.text(
        rect.center(),
        egui::Align2::CENTER_CENTER,
        "Drop to open",
        egui::FontId::proportional(theme::LARGE),
        cx.theme.text,
    );
    painter.rect_stroke(
        rect.shrink2(vec2(16.0, 16.0)),
        8,
        egui::Stroke::new(1.5, cx.theme.accent),
        egui::StrokeKind::Inside,
    );
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.meter.begin();
        self.listen(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.show(ui);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        let remembered = Remembered {
            light: !self.theme.dark,
            overlay: self.state.overlay,
            recent: self.state.recent.clone(),
            toured: self.toured,
        };
        eframe::set_value(storage, REMEMBERED, &remembered);
        eframe::set_value(storage, layout::STORAGE_KEY, &self.layout);
    }
}
/// Size, title and identity of the window.
pub fn native_options() -> eframe::NativeOptions {
    eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_app_id("pentimento")
            .with_title("Pentimento")
            .with_inner_size([1440.0, 900.0])
            .with_min_inner_size([800.0, 520.0])
            .with_drag_and_drop(true),
        ..eframe::NativeOptions::default()
    }
}
