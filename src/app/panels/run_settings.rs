//! What the next run draws: seeds, steps, guidance, size, scheduler, generator. A small sheet under its button.

use crate::{
    app::{action::Action, context::Cx, controls, theme::UNIT},
    study::{RngKind, Sampling, SchedulerKind, Variant, parse_seeds},
};
use egui::{
    Button, ComboBox, DragValue, Popup, PopupCloseBehavior, RichText, TextEdit, Ui, WidgetInfo, vec2,
};

/// The button, with the settings in a few words, and the sheet it opens.
pub fn button(ui: &mut Ui, cx: &mut Cx<'_>) {
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
    let response = ui.add(
        Button::new(text)
            .min_size(vec2(0.0, 7.0 * UNIT))
            .frame_when_inactive(false),
    );
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
    lines.join("\n")
}

fn sheet(ui: &mut Ui, cx: &mut Cx<'_>) {
    ui.set_width(260.0);
    let mut seeds = cx.state.seeds.clone();
    let mut sampling = cx.state.sampling.clone();
    let outline = cx.state.study.outline().cloned();
    let suggested = outline.as_ref().and_then(|o| o.suggested.as_ref());
    egui::Grid::new("run settings")
        .num_columns(2)
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
            let number = |ui: &mut Ui, name: &str, value: DragValue<'_>| {
                let label = ui.label(name);
                ui.add(value).labelled_by(label.id);
                ui.end_row();
            };
            number(ui, "Steps", DragValue::new(&mut sampling.steps).range(1..=1000));
            let guidance = DragValue::new(&mut sampling.guidance)
                .range(-100.0..=100.0)
                .speed(0.1)
                .fixed_decimals(1);
            number(ui, "Guidance", guidance);
            let side = |value| {
                DragValue::new(value)
                    .range(64..=Sampling::MAX_SIDE)
                    .speed(8.0)
                    .suffix(" px")
            };
            number(ui, "Width", side(&mut sampling.width));
            number(ui, "Height", side(&mut sampling.height));
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
            choice(
                ui,
                "Scheduler",
                &mut sampling.scheduler,
                &SchedulerKind::ALL,
                scheduler_words,
            );
            choice(ui, "Noise", &mut sampling.rng, &RngKind::ALL, rng_words);
            if !cx.state.variants.is_empty() {
                variants(ui, cx);
            }
        });
    let theme = cx.theme;
    let trouble = parse_seeds(&seeds).err().or_else(|| sampling.validate().err());
    match trouble {
        Some(trouble) => ui.label(RichText::new(trouble).small().color(theme.danger)),
        None => {
            let note = circumstances(cx);
            ui.label(RichText::new(note).small().color(theme.faint))
        }
    };
    if let Some(suggested) = suggested {
        let defaults = Sampling {
            negative: sampling.negative.clone(),
            ..suggested.clone()
        };
        if defaults != sampling && ui.button("As the checkpoint suggests").clicked() {
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

/// A row with one of several things to choose.
fn choice<T: Copy + PartialEq>(
    ui: &mut Ui,
    name: &str,
    value: &mut T,
    all: &[T],
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
    ui.end_row();
}

fn rng_words(rng: RngKind) -> String {
    match rng {
        RngKind::TorchCpu => "as torch on the CPU",
        RngKind::TorchCuda => "as torch on a GPU",
    }
    .to_owned()
}

/// What computes, and how long a step took in the pictures drawn so far.
fn circumstances(cx: &Cx<'_>) -> String {
    let mut parts: Vec<String> = Some(cx.state.device.clone()).into_iter().collect();
    parts.retain(|device| !device.is_empty());
    let drawn = cx.state.study.generations();
    let timed = drawn.filter(|g| g.seconds > 0.0 && !g.noise_norm.is_empty());
    let (seconds, steps) = timed.fold((0.0, 0), |(seconds, steps), g| {
        (seconds + g.seconds, steps + g.noise_norm.len())
    });
    if steps > 0 {
        parts.push(format!(
            "{:.2} s a step so far, decoding included",
            seconds / steps as f32
        ));
    }
    parts.join(" · ")
}
