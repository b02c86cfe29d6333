//! What the next run draws: seeds, steps, guidance, size. A small sheet under its button.

use crate::{
    app::{action::Action, context::Cx, controls, theme::UNIT},
    study::{Sampling, Variant, parse_seeds},
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
    let variant = cx
        .state
        .variant
        .as_ref()
        .map_or_else(String::new, |v| format!(" · {}", shortened(&v.name, 24)));
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
    Popup::from_response(&response)
        .id(ui.scope_id().with("run settings"))
        .open_bool(&mut open)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .accessible_name("Run settings")
        .gap(UNIT)
        .show(|ui| sheet(ui, cx));
    if open != cx.state.open.run_settings {
        cx.ask(Action::ShowRunSettings(open));
    }
    response.on_hover_text("Seeds, steps, guidance and size of the next run (Ctrl ,)");
}

/// The choice between the checkpoint as it is and its variants.
fn variants(ui: &mut Ui, cx: &mut Cx<'_>) {
    const ORIGINAL: &str = "Original";
    let name = ui.label("Variant");
    let chosen = cx.state.variant.clone();
    let shown = chosen
        .as_ref()
        .map_or(ORIGINAL.to_owned(), |v| shortened(&v.name, 24));
    let response = ComboBox::from_id_salt("variant")
        .width(150.0)
        .selected_text(shown)
        .show_ui(ui, |ui| {
            if ui.selectable_label(chosen.is_none(), ORIGINAL).clicked() {
                cx.actions.push(Action::SetVariant(None));
            }
            for variant in &cx.state.variants {
                let entry =
                    ui.selectable_label(chosen.as_ref() == Some(variant), shortened(&variant.name, 60));
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
fn about(variant: &Variant) -> String {
    const SHOWN: usize = 12;
    let mut lines = vec![variant.name.clone()];
    lines.extend(Some(variant.note.clone()).filter(|note| !note.is_empty()));
    lines.extend(
        variant
            .edits
            .iter()
            .take(SHOWN)
            .map(|e| shortened(&e.words(), 80)),
    );
    if let Some(more) = variant.edits.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        lines.push(format!("and {more} more"));
    }
    lines.join("\n")
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let start: String = text.chars().take(most - 1).collect();
    format!("{start}…")
}

fn sheet(ui: &mut Ui, cx: &mut Cx<'_>) {
    ui.set_width(260.0);
    let mut seeds = cx.state.seeds.clone();
    let mut sampling = cx.state.sampling.clone();
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
            if !cx.state.variants.is_empty() {
                variants(ui, cx);
            }
        });
    let theme = cx.theme;
    let trouble = parse_seeds(&seeds).err().or_else(|| sampling.validate().err());
    match trouble {
        Some(trouble) => ui.label(RichText::new(trouble).small().color(theme.danger)),
        None => {
            let scheduler = sampling.scheduler.name().to_uppercase();
            let note = format!("{scheduler} · noise as torch draws it on the CPU");
            ui.label(RichText::new(note).small().color(theme.faint))
        }
    };
    if let Some(outline) = cx.state.study.outline()
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
