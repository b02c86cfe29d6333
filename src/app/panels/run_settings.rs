//! What the next run draws: seeds, steps, guidance, size, scheduler, generator. A small sheet under its button.

use crate::{
    app::{
        action::Action,
        context::Cx,
        controls, help,
        panels::{run_needs, segmenter_choice},
        theme::{Theme, UNIT},
    },
    study::{RngKind, Sampling, SchedulerKind, Variant, parse_seeds},
};
use egui::{
    Button, ComboBox, DragValue, Popup, PopupCloseBehavior, RichText, TextEdit, Ui, WidgetInfo, vec2,
};
use std::fmt::Display;

/// The button, at most `room` wide, with the settings in a few words, and the sheet it opens.
pub fn button(ui: &mut Ui, cx: &mut Cx<'_>, room: f32) {
    let sampling = &cx.state.sampling;
    let seeds = parse_seeds(&cx.state.seeds).map(|s| s.len());
    let words = match seeds {
        Ok(1) => "1 seed".to_owned(),
        Ok(n) => format!("{n} seeds"),
        Err(_) => "no seeds".to_owned(),
    };
    let variant = cx.state.variant.as_ref().map_or_else(String::new, |v| {
        format!(" · {}", controls::shortened(&v.name, 24))
    });
    let text = RichText::new(format!("{words} · {} steps{variant}", sampling.steps)).color(match seeds {
        Ok(_) => cx.theme.weak,
        Err(_) => cx.theme.danger,
    });
    let button = Button::new(text)
        .min_size(vec2(0.0, 7.0 * UNIT))
        .frame_when_inactive(false)
        .truncate();
    let response = ui
        .scope(|ui| {
            ui.set_max_width(room);
            ui.add(button)
        })
        .inner;
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, "Run settings"));
    let mut open = cx.state.open.run_settings;
    if response.clicked() {
        open = !open;
    }
    // A click into a list that hangs out of the sheet is not one beside it.
    let close = if Popup::is_any_open(ui.ctx()) {
        PopupCloseBehavior::IgnoreClicks
    } else {
        PopupCloseBehavior::CloseOnClickOutside
    };
    Popup::from_response(&response)
        .id(ui.scope_id().with("run settings"))
        .open_bool(&mut open)
        .close_behavior(close)
        .accessible_name("Run settings")
        .gap(UNIT)
        .show(|ui| sheet(ui, cx));
    if open != cx.state.open.run_settings {
        cx.ask(Action::ShowRunSettings(open));
    }
    response.on_hover_text("Seeds, steps, guidance, size and scheduler of the next run (Ctrl ,)");
}

/// The choice between the checkpoint as it is and its variants.
fn variants(ui: &mut Ui, cx: &mut Cx<'_>) {
    const ORIGINAL: &str = "Original";
    let name = ui.label("Variant");
    let chosen = cx.state.variant.clone();
    let shown = chosen
        .as_ref()
        .map_or(ORIGINAL.to_owned(), |v| controls::shortened(&v.name, 24));
    let response = ComboBox::from_id_salt("variant")
        .width(150.0)
        .selected_text(shown)
        .show_ui(ui, |ui| {
            if ui.selectable_label(chosen.is_none(), ORIGINAL).clicked() {
                cx.actions.push(Action::SetVariant(None));
            }
            for variant in &cx.state.variants {
                let entry = ui.selectable_label(
                    chosen.as_ref() == Some(variant),
                    controls::shortened(&variant.name, 60),
                );
                if entry.on_hover_text(about(variant)).clicked() {
                    cx.actions.push(Action::SetVariant(Some(variant.clone())));
                }
            }
        })
        .response
        .labelled_by(name.id);
    response.on_hover_text("Draw with edits of the checkpoint; open or drop a variant file to add one");
    ui.end_row();
}

/// A variant's note and edits, one per line.
pub fn about(variant: &Variant) -> String {
    const SHOWN: usize = 12;
    let mut lines = vec![variant.name.clone()];
    lines.extend(Some(variant.note.clone()).filter(|note| !note.is_empty()));
    lines.extend(
        variant
            .edits
            .iter()
            .take(SHOWN)
            .map(|e| controls::shortened(&e.words(), 80)),
    );
    if let Some(more) = variant.edits.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    let mut methods: Vec<&str> = variant.edits.iter().map(help::edit).collect();
    methods.sort_unstable();
    methods.dedup();
    lines.extend(methods.into_iter().map(str::to_owned));
    lines.join("\n")
}

fn sheet(ui: &mut Ui, cx: &mut Cx<'_>) {
    ui.set_width(276.0);
    let mut seeds = cx.state.seeds.clone();
    let mut sampling = cx.state.sampling.clone();
    let outline = cx.state.study.outline().cloned();
    let suggested = outline.as_ref().and_then(|o| o.suggested.as_ref());
    egui::Grid::new("run settings")
        .num_columns(3)
        .spacing(vec2(4.0, 2.0) * UNIT)
        .show(ui, |ui| {
            let name = ui.label("Seeds");
            let field = ui.add(
                TextEdit::singleline(&mut seeds)
                    .desired_width(150.0)
                    .hint_text("0..6"),
            );
            field
                .labelled_by(name.id)
                .on_hover_text("7, or 0..4 without its end, or 0..=4, joined by commas");
            ui.end_row();
            let rows = Rows { theme: cx.theme };
            let own = |value: fn(&Sampling) -> u32| suggested.map(value);
            rows.number(
                ui,
                "Steps",
                &mut sampling.steps,
                own(|s| s.steps),
                USUAL,
                |value| DragValue::new(value).range(1..=1000),
            );
            let guidance = suggested.map(|s| s.guidance);
            rows.number(ui, "Guidance", &mut sampling.guidance, guidance, USUAL, |value| {
                DragValue::new(value)
                    .range(-100.0..=100.0)
                    .speed(0.1)
                    .fixed_decimals(1)
            });
            rows.number(ui, "Width", &mut sampling.width, own(|s| s.width), OWN, side);
            rows.number(ui, "Height", &mut sampling.height, own(|s| s.height), OWN, side);
            let name = ui.label("Negative");
            let field = TextEdit::singleline(&mut sampling.negative)
                .desired_width(150.0)
                .hint_text("what it should not show");
            ui.add(field).labelled_by(name.id);
            ui.end_row();
            let own = suggested.map(|s| s.scheduler);
            let scheduler_words = |kind: SchedulerKind| match own {
                Some(own) if own == kind => format!("{} (the checkpoint's own)", kind.title()),
                _ => kind.title().to_owned(),
            };
            let all = &SchedulerKind::ALL;
            rows.choice(
                ui,
                "Scheduler",
                &mut sampling.scheduler,
                all,
                own,
                OWN,
                scheduler_words,
            );
            let own = suggested.map(|s| s.rng);
            rows.choice(
                ui,
                "Noise",
                &mut sampling.rng,
                &RngKind::ALL,
                own,
                USUAL,
                rng_words,
            );
            rows.number(
                ui,
                "At once",
                &mut sampling.at_once,
                own_number(suggested),
                USUAL,
                |value| DragValue::new(value).range(1..=Sampling::MAX_AT_ONCE),
            );
            if let Some(facts) = &cx.state.model {
                let all = run_needs::storages(facts);
                if !all.is_empty() {
                    let own = suggested.map(|s| s.weights);
                    let words = |storage| run_needs::storage_words(facts, storage);
                    rows.choice(ui, "Weights", &mut sampling.weights, all, own, USUAL, words);
                }
            }
            if !cx.state.variants.is_empty() {
                variants(ui, cx);
            }
        });
    let theme = cx.theme;
    let trouble = parse_seeds(&seeds).err().or_else(|| sampling.validate().err());
    match trouble {
        Some(trouble) => drop(ui.label(RichText::new(trouble).small().color(theme.danger))),
        None => run_needs::ui(ui, cx, &sampling),
    }
    if let Some(suggested) = suggested {
        let defaults = Sampling {
            negative: sampling.negative.clone(),
            ..suggested.clone()
        };
        if defaults != sampling && ui.button("Reset to the checkpoint's").clicked() {
            sampling = defaults;
        }
    }
    if let Some(outline) = &outline
        && (outline.sampling != sampling || controls::seed_text(&outline.seeds) != seeds)
        && ui.button("As the study says").clicked()
    {
        sampling = outline.sampling.clone();
        seeds = controls::seed_text(&outline.seeds);
    }
    segmenter_choice::ui(ui, cx);
    if seeds != cx.state.seeds {
        cx.ask(Action::Seeds(seeds));
    }
    if sampling != cx.state.sampling {
        // The side is dragged by pixels and kept to what the model can draw.
        sampling.width = sampling.width / 8 * 8;
        sampling.height = sampling.height / 8 * 8;
        cx.ask(Action::SetSampling(sampling));
    }
}

/// One picture at a time is usual.
fn own_number(suggested: Option<&Sampling>) -> Option<u32> {
    suggested.map(|s| s.at_once)
}

/// Said of a value that the checkpoint's files give.
const OWN: &str = "The checkpoint's own";
/// Said of a value that no file of a checkpoint gives.
const USUAL: &str = "The usual value; checkpoints do not say it";

/// Rows of the sheet: a name, a value, and whether it is the checkpoint's.
struct Rows<'a> {
    theme: &'a Theme,
}

impl Rows<'_> {
    /// A row with a number.
    fn number<T: Copy + PartialEq + Display>(
        &self,
        ui: &mut Ui,
        name: &str,
        value: &mut T,
        own: Option<T>,
        said: &str,
        field: impl Fn(&mut T) -> DragValue<'_>,
    ) {
        let label = ui.label(name);
        ui.add(field(value)).labelled_by(label.id);
        self.mark(ui, name, value, own, said, |own| own.to_string());
        ui.end_row();
    }

    /// A row with one of several things to choose.
    #[expect(clippy::too_many_arguments, reason = "one row of a form")]
    fn choice<T: Copy + PartialEq>(
        &self,
        ui: &mut Ui,
        name: &str,
        value: &mut T,
        all: &[T],
        own: Option<T>,
        said: &str,
        words: impl Fn(T) -> String,
    ) {
        let label = ui.label(name);
        ComboBox::from_id_salt(name)
            .width(150.0)
            .selected_text(words(*value))
            .show_ui(ui, |ui| {
                for &one in all {
                    if ui.selectable_value(value, one, words(one)).clicked() {
                        // By itself the list closes for the pointer only, not for keys.
                        ui.close();
                    }
                }
            })
            .response
            .labelled_by(label.id);
        self.mark(ui, name, value, own, said, words);
        ui.end_row();
    }

    /// A point beside the checkpoint's value; beside another one a button that brings it back.
    fn mark<T: Copy + PartialEq>(
        &self,
        ui: &mut Ui,
        name: &str,
        value: &mut T,
        own: Option<T>,
        said: &str,
        words: impl Fn(T) -> String,
    ) {
        let Some(own) = own else { return };
        if *value == own {
            ui.label(RichText::new("•").color(self.theme.faint))
                .on_hover_text(said);
            return;
        }
        let word = RichText::new("reset").small().color(self.theme.accent);
        let button = ui.add(Button::new(word).frame(false).small());
        button.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, format!("Reset {name}")));
        if button.on_hover_text(format!("{said}: {}", words(own))).clicked() {
            *value = own;
        }
    }
}

/// A side of the picture.
fn side(value: &mut u32) -> DragValue<'_> {
    DragValue::new(value)
        .range(64..=Sampling::MAX_SIDE)
        .speed(8.0)
        .suffix(" px")
}

fn rng_words(rng: RngKind) -> String {
    match rng {
        RngKind::TorchCpu => "as torch on the CPU",
        RngKind::TorchCuda => "as torch on a GPU",
    }
    .to_owned()
}
