//! The Bench: what a variant changes, layer by layer, with a switch for every part.

use crate::{
    app::{
        action::Action,
        command::Command,
        comparing::Bench,
        context::Cx,
        controls, help,
        theme::{self, UNIT},
    },
    study::{ClusterEdit, Edit},
};
use egui::{Align2, CornerRadius, Rect, RichText, ScrollArea, Sense, TextEdit, Ui, WidgetInfo, pos2, vec2};
use egui_tiles::UiResponse;

/// Widths of name and bar, where there is room.
const NAME: f32 = 190.0;
const BAR: f32 = 120.0;
/// Switches shown of one edit; more would fill the pane.
const MOST: usize = 400;

/// A few words beside the pane's title.
pub fn note(cx: &Cx<'_>) -> String {
    let touched = cx.state.variant.as_ref().map(|v| v.touched());
    touched.map_or_else(String::new, |t| t.to_string())
}

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let note = note(cx);
    let header = controls::header(ui, cx, "Bench", &note);
    if cx.state.study.outline().is_some_and(|o| o.model.is_some()) {
        super::search::ui(ui, cx);
    }
    let Some(base) = cx.state.bench.base.clone() else {
        let advice =
            "Choose a variant at B in the bar, or search for one: its edits show here, layer by layer.";
        controls::empty(ui, cx, "No variant on the bench", advice, |_, _| {});
        return controls::moved(&header);
    };
    ui.horizontal_wrapped(|ui| {
        let name = cx.state.variant.as_ref().map_or("", |v| v.name.as_str());
        ui.label(name);
        if !cx.state.bench.off.is_empty() && ui.button("All parts on").clicked() {
            cx.ask(Action::SetBench(Bench::of(Some(base.clone()))));
        }
        let run = Command::RunSameSeeds;
        let can_run = !cx.state.study.is_empty();
        if controls::main_button(ui, cx.theme, can_run, "Run the bench on the same seeds")
            .on_hover_text(run.words().1)
            .clicked()
        {
            cx.command(run);
        }
        let mut path = cx.state.compare.save_path.clone();
        let field = ui.add(
            TextEdit::singleline(&mut path)
                .desired_width(220.0)
                .hint_text("file.toml"),
        );
        field.widget_info(|| WidgetInfo::labeled(egui::Role::TextInput, true, "Save variant as"));
        if field.changed() {
            cx.ask(Action::SavePath(path));
        }
        if ui
            .button("Save as")
            .on_hover_text(Command::SaveVariant.words().1)
            .clicked()
        {
            cx.command(Command::SaveVariant);
        }
    });
    let most = base
        .edits
        .iter()
        .map(|e| match e {
            Edit::Neurons(e) => e.neurons.len(),
            Edit::Cluster(c) => neurons_of(c),
            _ => 0,
        })
        .max()
        .unwrap_or(0)
        .max(1);
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        for (place, edit) in base.edits.iter().enumerate() {
            edit_ui(ui, cx, place, edit, most);
        }
        if base.edits.is_empty() {
            ui.label(RichText::new("This variant has no edits.").color(cx.theme.weak));
        }
    });
    controls::moved(&header)
}

/// Value neurons of a cluster.
fn neurons_of(cluster: &ClusterEdit) -> usize {
    let count = |edit: &Edit| match edit {
        Edit::Neurons(e) => e.neurons.len(),
        _ => 0,
    };
    cluster.edits.iter().map(count).sum()
}

fn edit_ui(ui: &mut Ui, cx: &mut Cx<'_>, place: usize, edit: &Edit, most: usize) {
    let theme = cx.theme;
    let on = !cx.state.bench.off.contains(&(place, None));
    let words = edit.words();
    ui.horizontal(|ui| {
        let mut checked = on;
        let response = ui.checkbox(&mut checked, "");
        response.widget_info(|| {
            WidgetInfo::selected(
                egui::Role::CheckBox,
                true,
                on,
                format!("Edit {}: {words}", place + 1),
            )
        });
        if response.clicked() {
            toggle(cx, (place, None));
        }
        const NUMBER: f32 = 52.0;
        let room = (ui.available_width() - NUMBER - 3.0 * UNIT).max(120.0);
        let (name_width, bar) = (NAME.min(room * 0.6), BAR.min(room * 0.4));
        let (rect, name) = ui.allocate_exact_size(vec2(name_width, 5.0 * UNIT), Sense::hover());
        let ink = if on { theme.text } else { theme.faint };
        let short = match edit {
            Edit::Neurons(e) => format!("layer {}", e.layer),
            Edit::Mask(e) => e.weight.clone(),
            Edit::Embedding(_) => "prompt embedding".to_owned(),
            Edit::Guidance(_) => "guidance".to_owned(),
            Edit::Cluster(c) => format!("cluster {} · {} prompts", c.cluster, c.prompts),
        };
        controls::line(
            ui.painter(),
            rect.left_center(),
            &short,
            controls::small(),
            ink,
            name_width,
        );
        name.on_hover_text(format!("{words}\n{}", help::edit(edit)));
        let (share, number) = match edit {
            Edit::Neurons(e) => (e.neurons.len() as f32 / most as f32, e.neurons.len().to_string()),
            Edit::Mask(e) => {
                let share = e.zero.count() as f32 / e.zero.len().max(1) as f32;
                (share, format!("{:.2} %", 100.0 * share))
            }
            Edit::Cluster(c) => {
                let neurons = neurons_of(c);
                (neurons as f32 / most as f32, neurons.to_string())
            }
            Edit::Embedding(_) | Edit::Guidance(_) => (0.0, String::new()),
        };
        if number.is_empty() {
            ui.label(
                RichText::new(controls::shortened(&words, 90))
                    .small()
                    .color(theme.weak),
            );
        } else {
            let (rect, _) = ui.allocate_exact_size(vec2(bar + NUMBER, 5.0 * UNIT), Sense::hover());
            let rail = Rect::from_min_size(pos2(rect.left(), rect.center().y - 3.0), vec2(bar, 6.0));
            let color = if on { theme.accent } else { theme.faint };
            controls::bar(ui.painter(), theme, rail, share, color);
            ui.painter().text(
                pos2(rail.right() + 2.0 * UNIT, rect.center().y),
                Align2::LEFT_CENTER,
                number,
                controls::small(),
                theme.weak,
            );
        }
    });
    if let Edit::Neurons(neurons) = edit {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(2.0, 2.0);
            ui.add_space(6.0 * UNIT);
            for &neuron in neurons.neurons.iter().take(MOST) {
                let part = (place, Some(neuron));
                let lit = on && !cx.state.bench.off.contains(&part);
                let (rect, response) = ui.allocate_exact_size(vec2(34.0, 4.5 * UNIT), Sense::click());
                let name = format!("Neuron {neuron} of layer {}", neurons.layer);
                response.widget_info(|| WidgetInfo::selected(egui::Role::Button, true, lit, &name));
                let fill = if lit { theme.strong } else { theme.raised };
                let ink = if lit { theme.on_strong } else { theme.faint };
                ui.painter()
                    .rect_filled(rect, CornerRadius::same(theme::RADIUS / 2), fill);
                ui.painter().text(
                    rect.center(),
                    Align2::CENTER_CENTER,
                    neuron,
                    controls::small(),
                    ink,
                );
                if response.on_hover_text(name).clicked() {
                    toggle(cx, part);
                }
            }
            if let Some(more) = neurons.neurons.len().checked_sub(MOST).filter(|m| *m > 0) {
                ui.label(
                    RichText::new(format!("and {more} more"))
                        .small()
                        .color(theme.weak),
                );
            }
        });
    }
}

fn toggle(cx: &mut Cx<'_>, part: (usize, Option<u32>)) {
    let mut bench = cx.state.bench.clone();
    bench.toggle(part);
    cx.ask(Action::SetBench(bench));
}
