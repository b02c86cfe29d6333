//! Importing generated pictures: how their names say prompt and seed, with a preview of what comes of it.

use super::{action::Action, context::Cx, controls, dialogs::Wanted, theme::UNIT};
use crate::{
    engine::{ImportJob, ImportPrompts, Survey},
    store::{ImportNames, fb_mem_names},
};
use egui::{Context, RichText, TextEdit, Ui, WidgetInfo};
use std::{path::PathBuf, sync::Arc};

/// How the names are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// FB-Mem's names.
    #[default]
    FbMem,
    /// A pattern.
    Pattern,
    /// One prompt per file.
    OnePerFile,
    /// A table.
    Table,
}

/// Where the prompts come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PromptSource {
    /// The open study.
    #[default]
    Study,
    /// A list.
    List,
    /// Nowhere.
    Unknown,
}

/// The dialog's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportDialog {
    /// What the folder looks like.
    pub survey: Arc<Survey>,
    /// How names are read.
    pub way: Way,
    /// The pattern, as written.
    pub pattern: String,
    /// Path of the table, as written.
    pub table: String,
    /// Where the prompts come from.
    pub from: PromptSource,
    /// Path of the prompt list, as written.
    pub list: String,
    /// Whether their foregrounds come from masks.
    pub masked: bool,
    /// Folder of the masks, as written.
    pub mattes: String,
    /// What comes of it.
    pub preview: Preview,
}

/// What the first files would become.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    /// File name and what it says, a few of each kind.
    pub rows: Vec<(String, String)>,
    /// Files that fit, of those tried.
    pub fits: usize,
    /// Files tried.
    pub tried: usize,
    /// Prompts they belong to.
    pub prompts: usize,
    /// Why the way cannot be tried.
    pub trouble: Option<String>,
}

/// Names that the preview tries: it is made anew at every change.
const TRIED: usize = 2000;
const SHOWN: usize = 6;

impl ImportDialog {
    /// A dialog for a folder, with the way that seems to fit.
    pub fn new(survey: Arc<Survey>) -> Self {
        let tried: Vec<String> = survey.files.iter().take(TRIED).cloned().collect();
        let most = |n: usize| n * 5 >= tried.len() * 4;
        let mut dialog = Self {
            pattern: "{text}_{seed}".to_owned(),
            from: if survey.prompts.is_empty() {
                PromptSource::Unknown
            } else {
                PromptSource::Study
            },
            survey,
            ..Self::default()
        };
        dialog.way = if most(fb_mem_names(&tried)) {
            Way::FbMem
        } else {
            dialog.way = Way::Pattern;
            dialog.look();
            if most(dialog.preview.fits) {
                Way::Pattern
            } else {
                Way::OnePerFile
            }
        };
        dialog.look();
        dialog
    }

    /// The names as chosen.
    pub fn names(&self) -> ImportNames {
        match self.way {
            Way::FbMem => ImportNames::FbMem,
            Way::Pattern => ImportNames::Pattern(self.pattern.clone()),
            Way::OnePerFile => ImportNames::OnePerFile,
            Way::Table => ImportNames::Table(path_of(&self.table)),
        }
    }

    /// The job as chosen.
    pub fn job(&self) -> ImportJob {
        ImportJob {
            folder: self.survey.folder.clone(),
            names: self.names(),
            prompts: match self.from {
                PromptSource::Study => ImportPrompts::OfStudy,
                PromptSource::Unknown => ImportPrompts::Unknown,
                PromptSource::List => ImportPrompts::List(path_of(&self.list)),
            },
            mattes: self.masked.then(|| path_of(&self.mattes)),
        }
    }

    /// Makes the preview anew. Reads no file: what a table says shows when it is imported.
    pub fn look(&mut self) {
        self.preview = Preview::default();
        if self.way == Way::Table {
            return;
        }
        let reader = match self.names().resolve() {
            Ok((reader, _)) => reader,
            Err(problem) => {
                self.preview.trouble = Some(problem.details.join(" "));
                return;
            }
        };
        let files: Vec<String> = self.survey.files.iter().take(TRIED).cloned().collect();
        let listed = if self.from == PromptSource::Study {
            &self.survey.prompts[..]
        } else {
            &[]
        };
        let plan = reader.plan(&files, listed);
        let fitting = plan.pictures.iter().take(SHOWN).map(|p| {
            let says = format!("seed {} of {}: {}", p.key.seed, p.key.prompt, p.prompt);
            (files[p.file].clone(), says)
        });
        let others = plan.skipped.iter().take(SHOWN / 2);
        let others = others.map(|(file, reason)| (files[*file].clone(), format!("left out: {reason}")));
        let mut prompts: Vec<u32> = plan.pictures.iter().map(|p| p.key.prompt).collect();
        prompts.dedup();
        self.preview = Preview {
            rows: fitting.chain(others).collect(),
            fits: plan.pictures.len(),
            tried: files.len(),
            prompts: prompts.len(),
            trouble: None,
        };
    }

    fn can_import(&self) -> bool {
        let table = self.way != Way::Table || !self.table.trim().is_empty();
        let list = self.from != PromptSource::List || !self.list.trim().is_empty();
        let fits = self.way == Way::Table || self.preview.fits > 0;
        let mattes = !self.masked || !self.mattes.trim().is_empty();
        self.survey.gallery > 0 && table && list && mattes && fits
    }
}

fn path_of(written: &str) -> PathBuf {
    PathBuf::from(written.trim().trim_matches('"'))
}

/// Draws the dialog, if it is open.
pub fn ui(ctx: &Context, cx: &mut Cx<'_>) {
    let Some(now) = &cx.state.import else { return };
    let mut dialog = now.clone();
    let modal = egui::Modal::new(egui::Id::unique("import")).show(ctx, |ui| {
        ui.set_width(560.0);
        ui.spacing_mut().item_spacing.y = 1.5 * UNIT;
        ui.label(RichText::new("Import generated pictures").size(super::theme::HEADING));
        let survey = dialog.survey.clone();
        let words = format!("{} · {} pictures", survey.folder.display(), survey.files.len());
        ui.label(RichText::new(words).small().color(cx.theme.weak));
        if survey.gallery == 0 {
            let words = "There is no gallery to compare them with. Open the folder of training images first, then \
                         import these; or use these as the gallery.";
            ui.label(RichText::new(words).color(cx.theme.danger));
        } else {
            ways(ui, cx, &mut dialog);
            preview(ui, cx, &dialog);
            prompts(ui, cx, &mut dialog);
            masks(ui, cx, &mut dialog);
        }
        ui.add_space(UNIT);
        let mut ended = false;
        ui.horizontal(|ui| {
            let can = dialog.can_import();
            if controls::main_button(ui, cx.theme, can, "Import").clicked() {
                ended = true;
                cx.ask(Action::Import(dialog.job()));
            }
            let gallery = ui.button("Use as gallery");
            if gallery.on_hover_text("These are training images").clicked() {
                ended = true;
                cx.ask(Action::OpenGallery(survey.folder.clone()));
            }
            if ui.button("Cancel").clicked() {
                ended = true;
                cx.ask(Action::SetImport(None));
            }
        });
        ended
    });
    if cx.state.import.as_ref() != Some(&dialog) && !modal.inner {
        cx.ask(Action::SetImport(Some(dialog)));
    }
    if modal.should_close() {
        cx.ask(Action::SetImport(None));
    }
}

fn ways(ui: &mut Ui, cx: &mut Cx<'_>, dialog: &mut ImportDialog) {
    ui.label("The names of the files say prompt and seed");
    ui.radio_value(
        &mut dialog.way,
        Way::FbMem,
        "as FB-Mem writes them: img_0003_01.png, 3_1.jpg, 2_img_0003_01.jpg",
    );
    ui.horizontal(|ui| {
        ui.radio_value(&mut dialog.way, Way::Pattern, "by the pattern");
        let field = TextEdit::singleline(&mut dialog.pattern).desired_width(260.0);
        let response = ui.add_enabled(dialog.way == Way::Pattern, field);
        response.widget_info(|| WidgetInfo::labeled(egui::Role::TextInput, true, "Pattern"));
        response.on_hover_text(
            "{prompt}: the number of a prompt · {text}: its words · {seed}: the seed · *: anything",
        );
    });
    ui.radio_value(
        &mut dialog.way,
        Way::OnePerFile,
        "not at all: every file has a prompt of its own",
    );
    ui.horizontal(|ui| {
        ui.radio_value(
            &mut dialog.way,
            Way::Table,
            "as a table says (file, prompt, seed)",
        );
        path_field(
            ui,
            cx,
            dialog.way == Way::Table,
            &mut dialog.table,
            "Table",
            Wanted::ImportTable,
        );
    });
}

fn prompts(ui: &mut Ui, cx: &mut Cx<'_>, dialog: &mut ImportDialog) {
    ui.label("The prompts are");
    ui.horizontal(|ui| {
        let count = dialog.survey.prompts.len();
        let name = format!("those of the open study ({count})");
        ui.add_enabled_ui(count > 0, |ui| {
            ui.radio_value(&mut dialog.from, PromptSource::Study, name)
        });
        ui.radio_value(&mut dialog.from, PromptSource::Unknown, "not known");
        ui.radio_value(&mut dialog.from, PromptSource::List, "in a list");
        path_field(
            ui,
            cx,
            dialog.from == PromptSource::List,
            &mut dialog.list,
            "Prompt list",
            Wanted::ImportPrompts,
        );
    });
}

fn masks(ui: &mut Ui, cx: &mut Cx<'_>, dialog: &mut ImportDialog) {
    ui.horizontal(|ui| {
        let check = ui.checkbox(&mut dialog.masked, "Masks from a folder");
        check.on_hover_text(
            "White where the foreground is, named like their pictures; the segmenter makes the others",
        );
        let (on, wanted) = (dialog.masked, Wanted::ImportMattes);
        path_field(ui, cx, on, &mut dialog.mattes, "Folder of masks", wanted);
    });
}

fn path_field(ui: &mut Ui, cx: &mut Cx<'_>, on: bool, text: &mut String, name: &str, wanted: Wanted) {
    if !on {
        return;
    }
    let width = (ui.available_width() - 26.0 * UNIT).clamp(60.0, 220.0);
    let response = ui.add(TextEdit::singleline(text).desired_width(width).hint_text("path"));
    response.widget_info(|| WidgetInfo::labeled(egui::Role::TextInput, true, name));
    if ui.button("Choose…").clicked() {
        cx.ask(Action::Choose(wanted));
    }
}

fn preview(ui: &mut Ui, cx: &Cx<'_>, dialog: &ImportDialog) {
    let preview = &dialog.preview;
    let (words, color) = match (&preview.trouble, dialog.way) {
        (Some(trouble), _) => (trouble.clone(), cx.theme.danger),
        (None, Way::Table) => ("The table is read when you import.".to_owned(), cx.theme.weak),
        (None, _) => {
            let of = if preview.tried < dialog.survey.files.len() {
                format!("first {}", preview.tried)
            } else {
                preview.tried.to_string()
            };
            (
                format!("{} of {of} fit, {} prompts", preview.fits, preview.prompts),
                cx.theme.text,
            )
        }
    };
    ui.label(RichText::new(words).color(color));
    controls::dialog_list(130.0)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            for (file, says) in &preview.rows {
                ui.horizontal(|ui| {
                    let cut = |text: &str, most: usize| -> String {
                        let mut short: String = text.chars().take(most).collect();
                        if short.len() < text.len() {
                            short.push('…');
                        }
                        short
                    };
                    ui.label(
                        RichText::new(cut(file, 34))
                            .small()
                            .monospace()
                            .color(cx.theme.weak),
                    );
                    ui.label(RichText::new(cut(says, 58)).small().color(cx.theme.text));
                });
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog(files: &[&str]) -> ImportDialog {
        ImportDialog::new(Arc::new(Survey {
            folder: "pictures".into(),
            files: files.iter().map(|f| (*f).to_owned()).collect(),
            gallery: 10,
            prompts: Vec::new(),
        }))
    }

    #[test]
    fn the_way_that_fits_is_proposed() {
        assert_eq!(dialog(&["img_0000_00.png", "img_0000_01.png"]).way, Way::FbMem);
        let named = dialog(&["a red fox_1.png", "a red fox_2.png", "an owl_1.png"]);
        assert_eq!(
            (named.way, named.preview.fits, named.preview.prompts),
            (Way::Pattern, 3, 2)
        );
        let free = dialog(&["one.png", "two.png"]);
        assert_eq!((free.way, free.preview.prompts), (Way::OnePerFile, 2));
        let mut wrong = named;
        wrong.pattern = "{promt}".into();
        wrong.look();
        assert!(wrong.preview.trouble.is_some() && !wrong.can_import());
    }
}
