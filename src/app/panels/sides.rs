//! The choice of A and B in the bar.

use crate::app::{action::Action, comparing::Bench, context::Cx, controls::shortened, marks, theme::UNIT};
use egui::{Button, RichText, Ui, WidgetInfo, vec2};

/// The checkpoint as it is.
pub const ORIGINAL: &str = "Original";

/// Draws both choices; nothing before a study is open.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    if cx.state.study.outline().is_none() {
        return;
    }
    let first = cx.state.study.first().clone();
    let name = first.as_deref().unwrap_or(ORIGINAL).to_owned();
    menu(ui, cx, "A", &name, "Whose pictures are compared", |ui, cx| {
        let sources: Vec<_> = cx.state.study.sources().cloned().collect();
        let all = std::iter::once(None).chain(sources.into_iter().filter(Option::is_some));
        for source in all.filter(|s| s.is_none() || *s != cx.state.compare.second) {
            let words = source.as_deref().unwrap_or(ORIGINAL);
            if ui
                .selectable_label(first == source, shortened(words, 60))
                .clicked()
            {
                cx.ask(Action::PickFirst(source));
                ui.close();
            }
        }
    });
    let second = cx.state.variant.clone();
    let name = cx.state.compare.second.as_deref().unwrap_or("none").to_owned();
    let tip = "The variant that is drawn with and compared; open or drop a variant file to add one";
    menu(ui, cx, "B", &name, tip, |ui, cx| {
        if ui
            .selectable_label(cx.state.compare.second.is_none(), "none")
            .clicked()
        {
            cx.ask(Action::SetVariant(None));
            ui.close();
        }
        for variant in cx.state.variants.clone() {
            let entry = ui.selectable_label(second.as_ref() == Some(&variant), shortened(&variant.name, 60));
            if entry
                .on_hover_text(super::run_settings::about(&variant))
                .clicked()
            {
                cx.ask(Action::SetBench(Bench::of(Some(variant))));
                ui.close();
            }
        }
        let runs: Vec<_> = cx
            .state
            .study
            .sources()
            .flatten()
            .filter(|s| cx.state.variants.iter().all(|v| *v.name != ***s) && Some(*s) != first.as_ref())
            .cloned()
            .collect();
        for run in runs {
            let chosen = cx.state.compare.second.as_ref() == Some(&run);
            if ui.selectable_label(chosen, shortened(&run, 60)).clicked() {
                cx.ask(Action::PickSecond(run));
                ui.close();
            }
        }
        if cx.state.variants.is_empty() {
            let words = "This study has no variants. Open a variant file or the folder of another run (Ctrl Shift O).";
            ui.label(RichText::new(words).small().color(cx.theme.weak));
        }
    });
}

fn menu(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    letter: &str,
    name: &str,
    tip: &str,
    content: impl FnOnce(&mut Ui, &mut Cx<'_>),
) {
    let text = format!("{letter}  {}      ", shortened(name, 18));
    let button =
        egui::containers::menu::MenuButton::from_button(Button::new(text).min_size(vec2(0.0, 7.0 * UNIT)));
    let (response, _) = button.ui(ui, |ui| {
        ui.set_min_width(180.0);
        content(ui, cx);
    });
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, format!("{letter}: {name}")));
    marks::chevron(
        ui.painter(),
        response.rect.right_center() - vec2(4.0 * UNIT, 0.0),
        true,
        cx.theme.weak,
    );
    response.on_hover_text(format!("{letter}: {name}\n{tip}"));
}
