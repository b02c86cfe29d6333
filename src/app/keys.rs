//! Keys: which command they give, and the sheet that lists them.

use super::{
    action::Action,
    command::{Chapter, Command},
    context::Cx,
    controls,
    theme::{self, UNIT},
};
use egui::{Align2, Context, CornerRadius, Id, Key, Modal, Modifiers, RichText, Sense, Ui, pos2, vec2};

/// Commands whose keys were pressed in this frame. While text is being written, only keys with Ctrl (and
/// function keys) count; while a control has the focus, the arrows are its own.
pub fn pressed(ctx: &Context, writing: bool) -> Vec<Action> {
    let focused = ctx.egui_wants_keyboard_input();
    let mut actions = Vec::new();
    if ctx.input_mut(|i| i.consume_key(Modifiers::NONE, Key::Escape)) {
        actions.push(Action::Escape);
    }
    // The platform's layer turns Ctrl C into an event of its own. Chosen text goes before the picture.
    let chosen = || {
        let labels = ctx.plugin_opt::<egui::text_selection::LabelSelectionState>();
        labels.is_some_and(|l| l.lock().has_selection())
    };
    if ctx.input(|i| i.events.contains(&egui::Event::Copy)) && !writing && !chosen() {
        actions.push(Action::Command(Command::CopyPicture));
    }
    let mut commands: Vec<(Command, egui::KeyboardShortcut)> = Command::all()
        .into_iter()
        .filter_map(|c| Some((c, c.shortcut()?)))
        .collect();
    // Ctrl Shift O before Ctrl O: the shorter one would take both.
    commands.sort_by_key(|(_, s)| !s.modifiers.shift);
    for (command, shortcut) in commands {
        let plain = shortcut.modifiers.is_none();
        let function = matches!(shortcut.logical_key, Key::F1 | Key::F5 | Key::F11 | Key::F12);
        let arrow = matches!(shortcut.logical_key, Key::ArrowUp | Key::ArrowDown);
        if (plain && !function && writing) || (arrow && focused) {
            continue;
        }
        // The text field's own keys.
        if writing
            && matches!(
                command,
                Command::SelectAllPrompts | Command::Undo | Command::Redo | Command::CopyPicture
            )
        {
            continue;
        }
        let hit = ctx.input_mut(|i| {
            // “+” may need Shift on the keyboard, and “=” is the key it sits on.
            let plus = shortcut.logical_key == Key::Plus
                && (i.consume_key(shortcut.modifiers, Key::Equals)
                    || i.consume_key(shortcut.modifiers | Modifiers::SHIFT, Key::Plus));
            plus || i.consume_shortcut(&shortcut)
        });
        if hit {
            actions.push(Action::Command(command));
        }
    }
    actions
}

/// Keys and gestures that are not commands.
const GESTURES: [(&str, &str); 8] = [
    ("Space (hold)", "See the picture without overlay"),
    ("Wheel, pinch", "Zoom at the pointer"),
    ("Drag", "Move the picture"),
    (
        "Double click",
        "Fit the picture; reset the thresholds on their handle",
    ),
    ("[ ], wheel", "Size of the region brush while it is at hand"),
    ("Middle drag", "Move the picture while a region tool is at hand"),
    ("Ctrl, Shift click", "Choose several prompts"),
    ("Esc", "Close what is open"),
];

/// Draws the key sheet over everything while it is open.
pub fn sheet(ctx: &Context, cx: &mut Cx<'_>) {
    if !cx.state.open.keys {
        return;
    }
    let modal = Modal::new(Id::unique("key sheet")).show(ctx, |ui| {
        ui.set_width(680.0);
        ui.label(RichText::new("Keys").size(theme::HEADING));
        ui.add_space(UNIT);
        ui.columns(2, |columns| {
            for (i, chapter) in Chapter::ALL.into_iter().enumerate() {
                let ui = &mut columns[usize::from(i >= 2)];
                chapter_ui(ui, cx, chapter);
            }
            let ui = &mut columns[0];
            heading(ui, cx, "Pointer");
            for (key, words) in GESTURES {
                entry(ui, cx, key, words);
            }
        });
        ui.add_space(UNIT);
        if ui.button("Close").clicked() {
            cx.ask(Action::ShowKeys(false));
        }
    });
    if modal.should_close() {
        cx.ask(Action::ShowKeys(false));
    }
}

fn chapter_ui(ui: &mut Ui, cx: &Cx<'_>, chapter: Chapter) {
    heading(ui, cx, chapter.name());
    for command in Command::all().into_iter().filter(|c| c.chapter() == chapter) {
        if let Some(key) = command.key_text() {
            entry(ui, cx, &key, command.words().0);
        }
    }
    ui.add_space(2.0 * UNIT);
}

fn heading(ui: &mut Ui, cx: &Cx<'_>, text: &str) {
    ui.label(RichText::new(text).small().color(cx.theme.weak));
}

fn entry(ui: &mut Ui, cx: &Cx<'_>, key: &str, words: &str) {
    ui.spacing_mut().item_spacing.y = 2.0;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 5.0 * UNIT), Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{key}: {words}")));
    let painter = ui.painter();
    let galley = painter.layout_no_wrap(key.to_owned(), controls::small(), cx.theme.text);
    let plate = Align2::LEFT_CENTER.anchor_size(rect.left_center(), galley.size() + vec2(10.0, 3.0));
    painter.rect_filled(plate, CornerRadius::same(4), cx.theme.raised);
    painter.galley(plate.center() - galley.size() * 0.5, galley, cx.theme.text);
    let at = pos2(rect.left() + 112.0, rect.center().y);
    controls::line(
        painter,
        at,
        words,
        controls::small(),
        cx.theme.weak,
        rect.right() - at.x,
    );
}
