//! The command palette: every command and every prompt by a few letters of its name.

use super::{
    action::{Action, Pick},
    command::Command,
    context::Cx,
    controls,
    state::Palette,
    theme::{self, UNIT},
};
use egui::{Align2, CornerRadius, Id, Key, Modal, Modifiers, Sense, TextEdit, Ui, WidgetInfo, vec2};

const ROW: f32 = 30.0;
const MOST_PROMPTS: usize = 12;

/// A row of the palette.
struct Row {
    name: String,
    detail: String,
    key: Option<String>,
    action: Action,
}

/// Draws the palette over everything while it is open.
pub fn ui(ctx: &egui::Context, cx: &mut Cx<'_>) {
    let Some(palette) = cx.state.open.palette.clone() else {
        return;
    };
    let frame = egui::Frame::window(&ctx.global_style()).inner_margin(8);
    let modal = Modal::new(Id::unique("palette"))
        .frame(frame)
        .area(Modal::default_area(Id::unique("palette")).anchor(Align2::CENTER_TOP, vec2(0.0, 96.0)))
        .show(ctx, |ui| contents(ui, cx, palette));
    if modal.should_close() {
        cx.ask(Action::SetPalette(None));
    }
}

fn contents(ui: &mut Ui, cx: &mut Cx<'_>, mut palette: Palette) {
    ui.set_width(460.0);
    let before = palette.clone();
    let rows = rows(cx, &palette.query);
    // The text field would take these keys for itself.
    let (down, up, enter) = ui.input_mut(|i| {
        (
            i.consume_key(Modifiers::NONE, Key::ArrowDown),
            i.consume_key(Modifiers::NONE, Key::ArrowUp),
            i.consume_key(Modifiers::NONE, Key::Enter),
        )
    });
    let field = TextEdit::singleline(&mut palette.query)
        .hint_text("Type a command or a prompt")
        .desired_width(f32::INFINITY)
        .margin(egui::Margin::symmetric(10, 8));
    let response = ui.add(field);
    response.widget_info(|| WidgetInfo::labeled(egui::Role::SearchInput, true, "Find a command"));
    response.request_focus();
    if response.changed() {
        palette.row = 0;
    }
    let last = rows.len().saturating_sub(1);
    if down {
        palette.row = (palette.row + 1).min(last);
    }
    if up {
        palette.row = palette.row.saturating_sub(1);
    }
    palette.row = palette.row.min(last);
    ui.add_space(UNIT);
    let mut done = enter.then_some(palette.row);
    controls::dialog_list(ROW * 11.0).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for (i, row) in rows.iter().enumerate() {
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
            let chosen = i == palette.row;
            response.widget_info(|| WidgetInfo::selected(egui::Role::MenuItem, true, chosen, &row.name));
            if chosen || response.hovered() {
                let fill = if chosen { cx.theme.chosen } else { cx.theme.raised };
                ui.painter()
                    .rect_filled(rect, CornerRadius::same(theme::RADIUS), fill);
            }
            if chosen && (up || down) {
                response.scroll_to_me(None);
            }
            let painter = ui.painter();
            let at = rect.left_center() + vec2(2.5 * UNIT, 0.0);
            let mut right = rect.right() - 2.5 * UNIT;
            if let Some(key) = &row.key {
                let at = egui::pos2(right, rect.center().y);
                let shown = painter.text(at, Align2::RIGHT_CENTER, key, controls::small(), cx.theme.weak);
                right = shown.left() - 3.0 * UNIT;
            }
            let room = right - at.x;
            let name = controls::line(painter, at, &row.name, controls::body(), cx.theme.text, room);
            let at = egui::pos2(name.right() + 2.5 * UNIT, rect.center().y);
            controls::line(
                painter,
                at,
                &row.detail,
                controls::small(),
                cx.theme.faint,
                right - at.x,
            );
            if response.clicked() {
                done = Some(i);
            }
        }
        if rows.is_empty() {
            ui.label(egui::RichText::new("Nothing of that name").color(cx.theme.weak));
        }
    });
    if let Some(row) = done.and_then(|i| rows.into_iter().nth(i)) {
        cx.ask(Action::SetPalette(None));
        cx.ask(row.action);
    } else if palette != before {
        cx.ask(Action::SetPalette(Some(palette)));
    }
}

fn rows(cx: &Cx<'_>, query: &str) -> Vec<Row> {
    let mut found: Vec<(i32, Row)> = Command::all()
        .into_iter()
        .filter(|c| *c != Command::Palette)
        .filter_map(|command| {
            let (name, detail) = command.words();
            let rank = rank(query, name)?;
            let row = Row {
                name: name.to_owned(),
                detail: detail.to_owned(),
                key: command.key_text(),
                action: Action::Command(command),
            };
            Some((rank, row))
        })
        .collect();
    if !query.trim().is_empty() {
        let prompts = cx.state.study.prompts().iter().filter_map(|prompt| {
            let rank = rank(query, &prompt.text)?;
            let row = Row {
                name: prompt.text.clone(),
                detail: "prompt".to_owned(),
                key: None,
                action: Action::PickPrompt(prompt.index, Pick::Only),
            };
            Some((rank + 10, row))
        });
        let mut prompts: Vec<_> = prompts.collect();
        prompts.sort_by_key(|(rank, _)| *rank);
        found.extend(prompts.into_iter().take(MOST_PROMPTS));
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, row)| row).collect()
}

/// How well a name answers a query, smaller is better: at its start, at a word's start, inside, or with
/// its letters in order. `None` when it does not.
fn rank(query: &str, name: &str) -> Option<i32> {
    let (query, name) = (query.trim().to_lowercase(), name.to_lowercase());
    if query.is_empty() {
        return Some(0);
    }
    match name.find(&query) {
        Some(0) => return Some(0),
        Some(at) if name[..at].ends_with(' ') => return Some(1),
        Some(_) => return Some(2),
        None => {}
    }
    let mut letters = name.chars();
    query
        .chars()
        .filter(|c| !c.is_whitespace())
        .all(|q| letters.any(|c| c == q))
        .then_some(20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn better_answers_come_first() {
        assert_eq!(rank("run", "Run all prompts"), Some(0));
        assert_eq!(rank("all", "Run all prompts"), Some(1));
        assert_eq!(rank("ompt", "Run all prompts"), Some(2));
        assert_eq!(rank("rap", "Run all prompts"), Some(20));
        assert_eq!(rank("xyz", "Run all prompts"), None);
    }
}
