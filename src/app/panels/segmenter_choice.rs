//! What finds the foregrounds, in the run settings: the segmenter, masks of the training images, and SAM for clicks.

use crate::{
    app::{
        action::Action, command::Command, context::Cx, controls, dialogs::Wanted, theme::UNIT,
        weights_dialog::WeightsWish,
    },
    study::StudyOutline,
};
use egui::{RichText, Ui, WidgetInfo};
use std::path::Path;

/// Three rows, each with its button.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let Some(outline) = cx.state.study.outline().cloned() else {
        return;
    };
    ui.separator();
    ui.spacing_mut().item_spacing.y = UNIT;
    ui.label(RichText::new("Foregrounds").color(cx.theme.weak));
    let segmenter = match (&outline.segmenter, cx.state.segmenter.as_str()) {
        (None, _) => "none: pictures are drawn, not compared".to_owned(),
        (Some(path), "") => name_of(path),
        (Some(_), words) => words.to_owned(),
    };
    row(ui, cx, "Segmenter", &segmenter, |ui, cx| {
        let own = "Weights of U²-Net, IS-Net or BiRefNet; their results go into a run of their own";
        if ui.button("File…").on_hover_text(own).clicked() {
            cx.ask(Action::Choose(Wanted::File));
            ui.close();
        }
        if ui.button("Folder…").on_hover_text(own).clicked() {
            cx.ask(Action::Choose(Wanted::Folder));
            ui.close();
        }
        published(ui, cx);
    });
    row(ui, cx, "Masks", &masks_words(&outline), |ui, cx| {
        let folder = ui.button("Folder…");
        let tip = "The training images' foregrounds from masks: white inside, named like their images. To keep the \
                   choice, name the folder in study.toml as mattes = \"…\" below [gallery]";
        if folder.on_hover_text(tip).clicked() {
            cx.ask(Action::Choose(Wanted::Mattes));
            ui.close();
        }
        let some = outline.gallery.iter().any(|i| i.matte.is_some());
        let none = ui.add_enabled(some, egui::Button::new("None, by the segmenter"));
        if none.clicked() {
            cx.ask(Action::Mattes(None));
            ui.close();
        }
    });
    let clicks = match (&outline.click_segmenter, cx.state.click_segmenter.as_str()) {
        (None, "") => "none: the Stage's region tools cannot be clicked".to_owned(),
        (Some(path), "") => name_of(path),
        (_, words) => words.to_owned(),
    };
    row(ui, cx, "Clicks", &clicks, |ui, cx| {
        let tip = "Weights of SAM or MobileSAM: mobile_sam.pt, sam_vit_b_01ec64.pth";
        if ui.button("File…").on_hover_text(tip).clicked() {
            cx.ask(Action::Choose(Wanted::File));
            ui.close();
        }
        published(ui, cx);
    });
}

fn published(ui: &mut Ui, cx: &mut Cx<'_>) {
    let (name, tip) = Command::Weights.words();
    if ui.button(name).on_hover_text(tip).clicked() {
        cx.ask(Action::ShowRunSettings(false));
        cx.ask(Action::Weights(WeightsWish::Open));
        ui.close();
    }
}

fn row(ui: &mut Ui, cx: &mut Cx<'_>, name: &str, words: &str, menu: impl FnOnce(&mut Ui, &mut Cx<'_>)) {
    ui.horizontal(|ui| {
        let button = ui.menu_button(name, |ui| menu(ui, cx)).response;
        button.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, format!("{name}: {words}")));
        let shown = controls::shortened(words, 38);
        ui.label(RichText::new(shown).small().color(cx.theme.text))
            .on_hover_text(words);
    });
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Where the mattes of the training images come from.
fn masks_words(outline: &StudyOutline) -> String {
    let (all, ready) = (
        outline.gallery.len(),
        outline.gallery.iter().filter(|i| i.matte.is_some()).count(),
    );
    match (&outline.mattes, ready) {
        (_, 0) => "none: by the segmenter".to_owned(),
        (Some(folder), n) if n == all => format!("{}, all {all}", name_of(folder)),
        (Some(folder), n) => format!("{}, {n} of {all}", name_of(folder)),
        (None, n) => format!("{n} of {all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::GalleryImage;

    #[test]
    fn the_masks_say_where_they_come_from_and_how_many_there_are() {
        let image = |matte: bool| GalleryImage {
            path: "a.png".into(),
            matte: matte.then(|| "m/a.png".into()),
            caption: None,
        };
        let outline = |mattes: &[bool]| StudyOutline {
            gallery: mattes.iter().map(|m| image(*m)).collect(),
            mattes: Some("somewhere/masks".into()),
            ..StudyOutline::default()
        };
        assert_eq!(masks_words(&outline(&[true, true])), "masks, all 2");
        assert_eq!(masks_words(&outline(&[true, false])), "masks, 1 of 2");
        assert_eq!(masks_words(&outline(&[false])), "none: by the segmenter");
    }
}
