//! The bar: study, run and stop, how far it is, device, search.

use super::run_settings;
use crate::app::{
    action::Action,
    command::Command,
    context::Cx,
    controls::{self, clock},
    marks,
    state::RunningJob,
    theme::{self, UNIT},
};
use egui::{Align, Button, Layout, RichText, Sense, Ui, WidgetInfo, vec2};

/// Windows narrower than this do without what can be found elsewhere.
const NARROW: f32 = 1000.0;

/// Width that the end of the bar takes: device and search.
fn end_width(ui: &Ui, cx: &Cx<'_>) -> f32 {
    let words = |text: &str| {
        let galley = ui
            .painter()
            .layout_no_wrap(text.to_owned(), controls::small(), cx.theme.weak);
        galley.size().x + 2.0 * UNIT
    };
    let device = if is_narrow(ui) {
        0.0
    } else {
        words(&cx.state.device)
    };
    let listening = cx.state.listening.as_ref().map_or(0.0, |_| words("Listening"));
    16.0 * UNIT + device + listening
}

fn is_narrow(ui: &Ui) -> bool {
    ui.ctx().content_rect().width() < NARROW
}

/// Draws the bar.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    ui.horizontal_centered(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0 * UNIT;
        ui.label(
            RichText::new("Pentimento")
                .size(theme::HEADING)
                .color(cx.theme.text),
        );
        ui.add_space(UNIT);
        study_menu(ui, cx);
        super::sides::ui(ui, cx);
        let end = end_width(ui, cx);
        run_buttons(ui, cx, end);
        progress(ui, cx, end);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let text = RichText::new("Ctrl K").color(cx.theme.weak);
            let search = ui.add(Button::new(text).min_size(vec2(0.0, 7.0 * UNIT)));
            search.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, "Commands"));
            if search.on_hover_text("Find any command (Ctrl K)").clicked() {
                cx.command(Command::Palette);
            }
            if let Some(listening) = &cx.state.listening {
                ui.label(RichText::new("Listening").small().color(cx.theme.accent))
                    .on_hover_text(format!(
                        "Other programs on this machine can push pictures.\naddress {}\ntoken {}",
                        listening.address, listening.token
                    ));
            }
            if !cx.state.device.is_empty() && !is_narrow(ui) {
                ui.label(RichText::new(&cx.state.device).small().color(cx.theme.weak))
                    .on_hover_text("Where the model computes");
            }
        });
    });
}

fn study_menu(ui: &mut Ui, cx: &mut Cx<'_>) {
    let name = cx.state.study.outline().map_or("Open…", |o| o.name.as_str());
    let button = egui::containers::menu::MenuButton::from_button(
        Button::new(format!("{name}      ")).min_size(vec2(0.0, 7.0 * UNIT)),
    );
    let (response, _) = button.ui(ui, |ui| {
        ui.set_min_width(220.0);
        let entry = |ui: &mut Ui, actions: &mut Vec<Action>, command: Command| {
            let (name, tip) = command.words();
            let mut button = Button::new(name);
            if let Some(key) = command.key_text() {
                button = button.shortcut_text(RichText::new(key).small());
            }
            if ui.add(button).on_hover_text(tip).clicked() {
                actions.push(Action::Command(command));
            }
        };
        for command in [
            Command::OpenFolder,
            Command::OpenFile,
            Command::OpenPath,
            Command::ImportImages,
            Command::Weights,
        ] {
            entry(ui, cx.actions, command);
        }
        if !cx.state.recent.is_empty() {
            ui.separator();
            ui.label(RichText::new("Recent").small().color(cx.theme.faint));
            for path in &cx.state.recent {
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                if ui
                    .button(name)
                    .on_hover_text(path.display().to_string())
                    .clicked()
                {
                    cx.actions.push(Action::Open(path.clone()));
                }
            }
        }
        ui.separator();
        for command in [
            Command::ExportReport,
            Command::ExportTables,
            Command::RevealWebp,
            Command::RevealGif,
        ] {
            entry(ui, cx.actions, command);
        }
        ui.separator();
        for command in [
            Command::Present,
            Command::ToggleTheme,
            Command::Maximize,
            Command::ResetLayout,
            Command::Keys,
        ] {
            entry(ui, cx.actions, command);
        }
        ui.separator();
        entry(ui, cx.actions, Command::Quit);
    });
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, "Study"));
    marks::chevron(
        ui.painter(),
        response.rect.right_center() - vec2(4.0 * UNIT, 0.0),
        true,
        cx.theme.weak,
    );
    if let Some(outline) = cx.state.study.outline() {
        let part = |what: &str, path: &Option<std::path::PathBuf>| {
            format!(
                "{what}: {}",
                path.as_ref()
                    .map_or("none".to_owned(), |p| p.display().to_string())
            )
        };
        response.on_hover_text(format!(
            "{}\n{} ({} images)\n{}{}\nscores: {}",
            part("model", &outline.model),
            part("gallery", &outline.gallery_root),
            outline.gallery.len(),
            part("segmenter", &outline.segmenter),
            match cx.state.segmenter.as_str() {
                "" => String::new(),
                words => format!(" ({words})"),
            },
            outline.arithmetic,
        ));
    }
}

fn run_buttons(ui: &mut Ui, cx: &mut Cx<'_>, end: f32) {
    let ready = cx.state.study.outline().is_some_and(|o| o.model.is_some());
    let chosen = cx.state.selection.prompts.len();
    let can_run = ready && chosen > 0;
    let name = if chosen > 1 {
        format!("Run {chosen}")
    } else {
        "Run".to_owned()
    };
    let run = controls::main_button(ui, cx.theme, can_run, &name);
    let run = if ready {
        run.on_hover_text("Draw the chosen prompts (Ctrl Enter); all of them: Ctrl Shift Enter")
    } else {
        run.on_disabled_hover_text("Open a study with a checkpoint first")
    };
    if run.clicked() {
        cx.command(Command::Run);
    }
    let busy = !cx.state.jobs.is_empty();
    let stop = ui.add_enabled(busy, Button::new("Stop").min_size(vec2(0.0, 7.0 * UNIT)));
    if stop
        .on_hover_text("Stop what runs and what waits (Ctrl .); finished pictures stay")
        .clicked()
    {
        cx.command(Command::Stop);
    }
    // The line of a running job needs a little room too.
    let job = if busy { 30.0 * UNIT } else { 0.0 };
    let room = (ui.available_width() - end - job).max(15.0 * UNIT);
    run_settings::button(ui, cx, room);
}

/// The running job's line: bar, numbers, time left.
fn progress(ui: &mut Ui, cx: &mut Cx<'_>, end: f32) {
    let Some(job) = cx.state.jobs.iter().find(|j| j.started).or(cx.state.jobs.first()) else {
        return;
    };
    let waiting = cx.state.jobs.len() - 1;
    let words = progress_words(job, waiting);
    let room = ui.available_width() - end;
    let width = (ui.available_width() - 330.0)
        .clamp(60.0, 240.0)
        .min(room.max(0.0));
    let (rect, response) = ui.allocate_exact_size(vec2(width, 5.0 * UNIT), Sense::hover());
    let share = job
        .progress
        .map_or(0.0, |p| p.done as f32 / p.total.max(1) as f32);
    let rail = egui::Rect::from_center_size(rect.center(), vec2(width, 4.0));
    controls::bar(ui.painter(), cx.theme, rail, share, cx.theme.accent);
    response.widget_info(|| WidgetInfo::labeled(egui::Role::ProgressIndicator, true, &words));
    let room = room - width - 2.0 * UNIT;
    if room > 8.0 * UNIT {
        ui.scope(|ui| {
            ui.set_max_width(room);
            let line = RichText::new(words).small().color(cx.theme.weak);
            ui.add(egui::Label::new(line).truncate());
        });
    }
}

fn progress_words(job: &RunningJob, waiting: usize) -> String {
    let mut words = match job.progress {
        Some(p) => {
            let mut words = format!("{} {} / {}", p.kind.words(), p.done, p.total);
            if let Some(left) = p.left {
                words += &format!(" · {} left", clock(left.as_secs()));
            }
            words
        }
        None if job.started => "Starting".to_owned(),
        None => "Waiting".to_owned(),
    };
    if let Some(rate) = job.rate() {
        words += &if rate >= 1.0 {
            format!(" · {rate:.1} / s")
        } else {
            format!(" · {:.1} s each", 1.0 / rate)
        };
    }
    if waiting > 0 {
        words += &format!(" · {waiting} waiting");
    }
    words
}
