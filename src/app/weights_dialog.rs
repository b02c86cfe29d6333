//! Published weights: what there is, what is here, and getting one. Nothing is fetched before a person has seen name, size,
//! licence and address, and has pressed *Get*.

use super::{App, action::Action, context::Cx, controls, theme, theme::UNIT};
use crate::{
    engine::weight_places,
    fetch::{Done, Found, Getting, Model, Order, Places, Shelf, State as Fetching, Use, is_sha256},
    study::Problem,
};
use crossbeam_channel::{Receiver, Sender, bounded};
use egui::{Context, ProgressBar, RichText, TextEdit, Ui, WidgetInfo};
use std::thread;

/// Where weights come from and go to.
#[derive(Clone, Debug, Default)]
pub struct WeightOptions {
    /// Folders to look into; those of the user when none are given.
    pub places: Option<Places>,
    /// Take files from `MIRROR/NAME/FILE`.
    pub mirror: Option<String>,
}

/// What the dialog shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightsDialog {
    /// What there is; empty until the folders were looked into.
    pub shelf: Shelf,
    /// The one that is looked at before it is fetched.
    pub chosen: Option<&'static str>,
    /// SHA-256 of one without a published one, as written.
    pub sha256: String,
}

/// A wish of the dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightsWish {
    /// Open it.
    Open,
    /// Close it; what is being fetched goes on.
    Close,
    /// Look at one, or go back to the list.
    Look(Option<&'static str>),
    /// Write at the SHA-256.
    Sha256(String),
    /// Fetch the one that is looked at.
    Get,
    /// Stop fetching.
    Stop,
}

/// The threads behind the dialog.
pub(super) struct WeightsLink {
    options: WeightOptions,
    looked: (Sender<Shelf>, Receiver<Shelf>),
    getting: Option<Getting>,
}

impl WeightsLink {
    pub fn new(options: WeightOptions) -> Self {
        Self {
            options,
            looked: bounded(4),
            getting: None,
        }
    }

    fn places(&self) -> Places {
        self.options.places.clone().unwrap_or_else(weight_places)
    }

    /// Looks into the folders, on a thread of its own.
    fn look(&self, ctx: &Context) {
        let (tell, places, ctx) = (self.looked.0.clone(), self.places(), ctx.clone());
        let work = move || {
            tell.send(Shelf::look(&places)).ok();
            ctx.request_repaint();
        };
        // Without a thread the list stays empty.
        thread::Builder::new().name("weights".into()).spawn(work).ok();
    }
}

impl App {
    /// Carries out what the dialog asks for.
    pub(super) fn weights(&mut self, ctx: &Context, wish: WeightsWish) {
        let open = &mut self.state.weights;
        match wish {
            WeightsWish::Open => {
                *open = Some(Box::default());
                self.weights.look(ctx);
            }
            WeightsWish::Close => *open = None,
            WeightsWish::Stop => {
                if let Some(getting) = &self.weights.getting {
                    getting.stop();
                }
            }
            WeightsWish::Look(chosen) => {
                if let Some(open) = open {
                    open.chosen = chosen;
                    open.sha256.clear();
                }
            }
            WeightsWish::Sha256(text) => {
                if let Some(open) = open {
                    open.sha256 = text;
                }
            }
            WeightsWish::Get => self.get_weights(ctx),
        }
    }

    fn get_weights(&mut self, ctx: &Context) {
        let Some(open) = &mut self.state.weights else {
            return;
        };
        let model = open.chosen.and_then(crate::fetch::model);
        let (Some(model), Some(own), None) = (model, &open.shelf.own, &self.weights.getting) else {
            return;
        };
        let sha256 = open.sha256.trim().to_owned();
        let order = Order {
            sha256: (!sha256.is_empty()).then_some(sha256),
            mirror: self.weights.options.mirror.clone(),
            ..Order::new(model, own.join(model.name))
        };
        open.chosen = None;
        let ctx = ctx.clone();
        self.weights.getting = Some(Getting::start(order, move || ctx.request_repaint()));
    }

    /// Takes what the threads told since the last frame.
    pub(super) fn hear_weights(&mut self, ctx: &Context) {
        while let Ok(shelf) = self.weights.looked.1.try_recv() {
            if let Some(open) = &mut self.state.weights {
                open.shelf = shelf;
            }
        }
        let Some(getting) = &self.weights.getting else {
            return;
        };
        let (name, state) = (getting.name, getting.state());
        self.state.fetching = match state {
            Fetching::Begun => Some((name, Default::default())),
            Fetching::Going(progress) => Some((name, progress)),
            Fetching::Ended(result) => {
                self.weights.getting = None;
                self.weights.look(ctx);
                self.fetched(name, result);
                None
            }
        };
    }

    fn fetched(&mut self, name: &str, result: Result<Done, Problem>) {
        let Some(model) = crate::fetch::model(name) else {
            return;
        };
        match result {
            Ok(Done::Fetched(path) | Done::There(path)) => {
                let advice = format!(
                    "Open the file to judge this study with it, or name it in study.toml: {}.",
                    model.purpose.study_line(name).replace('\n', " ")
                );
                let headline = format!("{} is here and checked", model.title);
                self.state.notice(Problem::new(headline, advice).at(path), false);
            }
            Ok(Done::Stopped) => {
                let headline = format!("Fetching {} was stopped", model.title);
                let problem = Problem::new(headline, "What came is kept; Get goes on with it.");
                self.state.notice(problem, false);
            }
            Err(problem) => self.state.notice(problem, true),
        }
    }
}

fn wish(cx: &mut Cx<'_>, wish: WeightsWish) {
    cx.ask(Action::Weights(wish));
}

/// Draws the dialog, if it is open.
pub fn ui(ctx: &Context, cx: &mut Cx<'_>) {
    let state = cx.state;
    let Some(open) = &state.weights else { return };
    let frame = egui::Frame::popup(&ctx.global_style()).inner_margin(4.0 * UNIT);
    let modal = egui::Modal::new(egui::Id::unique("weights"))
        .frame(frame)
        .show(ctx, |ui| {
            ui.set_width(620.0);
            ui.spacing_mut().item_spacing.y = 1.5 * UNIT;
            ui.label(RichText::new("Published weights").size(theme::HEADING));
            match open.chosen.and_then(crate::fetch::model) {
                Some(model) => confirm(ui, cx, open, model),
                None => list(ui, cx, open),
            }
        });
    if modal.should_close() {
        wish(cx, WeightsWish::Close);
    }
}

/// Width kept for a line's button, beside the scroll bar.
const BUTTON_COLUMN: f32 = 80.0;
/// Height of the list where the window is tall enough.
const LIST: f32 = 420.0;

fn list(ui: &mut Ui, cx: &mut Cx<'_>, open: &WeightsDialog) {
    let words = "Get asks first, and shows where the file comes from. Nothing is fetched otherwise.";
    ui.label(RichText::new(words).small().color(cx.theme.weak));
    let fetching = cx.state.fetching;
    // Tall from the first frame on: the shelf arrives later, and nothing may move under the pointer.
    let room = (ui.ctx().content_rect().height() - 170.0).clamp(80.0, LIST);
    controls::dialog_list(room)
        .auto_shrink([true, false])
        .show(ui, |ui| {
            if open.shelf.models.is_empty() {
                ui.label(RichText::new("Looking into the usual folders…").color(cx.theme.weak));
            }
            for (model, found) in &open.shelf.models {
                ui.horizontal(|ui| {
                    let under_way = fetching.is_some_and(|(name, _)| name == model.name);
                    ui.vertical(|ui| {
                        ui.set_width((ui.available_width() - BUTTON_COLUMN).max(BUTTON_COLUMN));
                        ui.label(format!("{} · {}", model.title, model.purpose.words()));
                        let words = match found {
                            Some(found) => format!("{} ({})", found.path.display(), found.place),
                            None => format!("{} · {} · {}", model.size(), model.licence, model.note),
                        };
                        let words = RichText::new(words).small().color(cx.theme.weak);
                        ui.add(egui::Label::new(words).truncate());
                    });
                    if let Some(found) = found {
                        used(ui, cx, model, found);
                    } else if !under_way {
                        let button = ui.add_enabled(fetching.is_none(), egui::Button::new("Get"));
                        let name = format!("Get {}", model.name);
                        button.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, &name));
                        if button.clicked() {
                            wish(cx, WeightsWish::Look(Some(model.name)));
                        }
                    }
                });
            }
        });
    // One line, so that nothing moves when fetching begins or ends.
    ui.horizontal(|ui| {
        if ui.button("Close").clicked() {
            wish(cx, WeightsWish::Close);
        }
        let Some((name, progress)) = fetching else { return };
        let share = progress
            .total
            .map_or(0.0, |all| progress.done as f32 / all.max(1) as f32);
        let words = format!("{name}: {}", progress.words());
        ui.add(ProgressBar::new(share).desired_width(440.0).text(words));
        let stop = ui.button("Stop");
        stop.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, "Stop fetching"));
        if stop.clicked() {
            wish(cx, WeightsWish::Stop);
        }
    });
}

/// Weights that are here: taken into the open study, or named as here.
fn used(ui: &mut Ui, cx: &mut Cx<'_>, model: &Model, found: &Found) {
    let study = cx.state.study.outline();
    if study.is_none() || model.purpose == Use::Embedder {
        ui.label(RichText::new("here").color(cx.theme.accent));
        return;
    }
    let button = ui.button("Use");
    let name = format!("Use {}", model.name);
    button.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, &name));
    if button.on_hover_text("Take it into the open study").clicked() {
        cx.ask(Action::Open(found.path.clone()));
        wish(cx, WeightsWish::Close);
    }
}

fn confirm(ui: &mut Ui, cx: &mut Cx<'_>, open: &WeightsDialog, model: &'static Model) {
    ui.label(format!("{} ({})", model.title, model.name));
    ui.label(RichText::new(model.note).color(cx.theme.weak));
    egui::Grid::new("facts").num_columns(2).show(ui, |ui| {
        let mut row = |name: &str, value: &str| {
            ui.label(RichText::new(name).color(cx.theme.weak));
            ui.add(egui::Label::new(value).wrap());
            ui.end_row();
        };
        row("Size", &model.size());
        row("Licence", model.licence);
        row("Source", model.source);
        for file in model.files {
            row("From", file.url);
            row(
                "SHA-256",
                file.sha256.unwrap_or("unpinned: no published one is known"),
            );
        }
        if let Some(own) = &open.shelf.own {
            row("Into", &own.join(model.name).display().to_string());
        }
    });
    let mut ready = open.shelf.own.is_some();
    if !model.pinned() {
        ui.label("Without a SHA-256 what comes could not be checked. Paste the one you trust:");
        let mut text = open.sha256.clone();
        let response = ui.add(TextEdit::singleline(&mut text).desired_width(f32::INFINITY));
        response.widget_info(|| WidgetInfo::labeled(egui::Role::TextInput, true, "SHA-256"));
        if response.changed() {
            wish(cx, WeightsWish::Sha256(text.clone()));
        }
        ready &= is_sha256(text.trim());
    }
    ui.horizontal(|ui| {
        if controls::main_button(ui, cx.theme, ready, "Get").clicked() {
            wish(cx, WeightsWish::Get);
        }
        if ui.button("Back").clicked() {
            wish(cx, WeightsWish::Look(None));
        }
    });
}
