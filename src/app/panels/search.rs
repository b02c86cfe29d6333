//! The Bench's first row: a method, the prompts it is for, and the search that makes a variant of both.

use crate::app::{
    action::Action,
    command::Command,
    context::Cx,
    controls,
    searching::{Scope, SearchChoice, SearchMethod},
};
use egui::{ComboBox, DragValue, RichText, Ui, WidgetInfo};

/// Draws the row.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let mut choice = cx.state.search_choice;
    ui.horizontal_wrapped(|ui| {
        let (name, tip) = choice.method.words();
        let methods = ComboBox::from_id_salt("search method")
            .selected_text(name)
            .width(96.0)
            .show_ui(ui, |ui| {
                for method in SearchMethod::ALL {
                    let (name, tip) = method.words();
                    ui.selectable_value(&mut choice.method, method, name)
                        .on_hover_text(tip);
                }
            });
        named(&methods.response, "Search method");
        methods.response.on_hover_text(tip);
        let scopes = ComboBox::from_id_salt("search scope")
            .selected_text(choice.scope.words())
            .width(140.0)
            .show_ui(ui, |ui| {
                for scope in Scope::ALL {
                    ui.selectable_value(&mut choice.scope, scope, scope.words());
                }
            });
        named(&scopes.response, "Search for");
        if choice.method == SearchMethod::Clusters {
            let clusters = ui.add(
                DragValue::new(&mut choice.clusters)
                    .range(1..=64)
                    .suffix(" clusters"),
            );
            clusters.on_hover_text(
                "By k-means on the prompts' text embeddings; at most as many as there are prompts",
            );
        }
        let searching = cx.state.jobs.iter().any(|j| j.searches);
        let (words, tip) = Command::Search.words();
        if controls::main_button(ui, cx.theme, !searching, words)
            .on_hover_text(tip)
            .clicked()
        {
            cx.command(Command::Search);
        }
        let prompts = cx.state.searched_prompts().len();
        let words = match (searching, prompts) {
            (true, _) => {
                "searching; Stop keeps what was found, the same search goes on from there".to_owned()
            }
            (false, 1) => "1 prompt".to_owned(),
            (false, n) => format!("{n} prompts"),
        };
        ui.label(RichText::new(words).small().color(cx.theme.weak));
    });
    if choice != cx.state.search_choice {
        cx.ask(Action::SetSearch(SearchChoice {
            clusters: choice.clusters.max(1),
            ..choice
        }));
    }
}

fn named(response: &egui::Response, name: &str) {
    response.widget_info(|| WidgetInfo::labeled(egui::Role::ComboBox, true, name));
}
