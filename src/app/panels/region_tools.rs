//! The tools that edit the region on the Stage: the card at the upper right, and what the pointer does with a tool.

use crate::app::{
    action::Action,
    command::Command,
    context::Cx,
    controls::{self, slider},
    marks,
    on_stage::Placement,
    region::{RADII, RegionAction, Tool},
    theme::{self, UNIT},
    weights_dialog::WeightsWish,
};
use egui::{
    Color32, CornerRadius, CursorIcon, Id, PointerButton, Rect, Response, RichText, Sense, Stroke, Ui,
    UiBuilder, WidgetInfo, pos2, vec2,
};

/// Width of the card while it is open.
const WIDTH: f32 = 196.0;

/// The card, at the upper right below the caption; folded to a word while no tool is at hand. Gives its place.
pub fn card(ui: &mut Ui, cx: &mut Cx<'_>, canvas: Rect) -> Option<Rect> {
    if cx.state.editable().is_none() || canvas.width() < 2.0 * WIDTH || canvas.height() < 240.0 {
        return None;
    }
    let theme = cx.theme;
    let tool = cx.state.region.tool;
    let open = tool.is_some();
    let words = status(cx);
    let size = if open {
        let lines = match tool {
            Some(Tool::Brush) => 5.0,
            _ if lacks_sam(cx) => 6.5,
            _ => 4.0,
        };
        vec2(WIDTH, (lines * 6.5 + 13.0) * UNIT)
    } else {
        vec2(92.0, 7.0 * UNIT)
    };
    let right_top = canvas.right_top() + vec2(-2.0, 9.0) * UNIT;
    let rect = Rect::from_min_size(pos2(right_top.x - size.x, right_top.y), size);
    ui.interact(rect, ui.scope_id().with("region card"), Sense::click_and_drag());
    ui.painter()
        .rect_filled(rect, CornerRadius::same(theme::RADIUS + 2), theme.float);
    ui.scope_builder(
        UiBuilder::new().max_rect(rect.shrink2(vec2(2.0, 1.0) * UNIT)),
        |ui| {
            ui.spacing_mut().item_spacing = vec2(UNIT, UNIT);
            ui.spacing_mut().button_padding.x = 6.0;
            let (line, fold) = ui.allocate_exact_size(vec2(ui.available_width(), 5.0 * UNIT), Sense::click());
            fold.widget_info(|| WidgetInfo::selected(egui::Role::Button, true, open, "Edit region"));
            let ink = if fold.hovered() { theme.text } else { theme.weak };
            let title = if open { "Region" } else { "Edit region" };
            controls::line(
                ui.painter(),
                line.left_center(),
                title,
                controls::small(),
                ink,
                line.width() - 12.0,
            );
            marks::chevron(ui.painter(), line.right_center() - vec2(5.0, 0.0), open, ink);
            if fold.on_hover_text("Draw the foreground yourself (E)").clicked() {
                cx.command(match tool {
                    Some(tool) => Command::Region(tool),
                    None => Command::Region(Tool::Brush),
                });
            }
            if open {
                open_card(ui, cx, &words);
            }
        },
    );
    Some(rect)
}

fn open_card(ui: &mut Ui, cx: &mut Cx<'_>, words: &str) {
    let theme = cx.theme;
    let region = &cx.state.region;
    let (tool, erase, soft) = (region.tool, region.erase, region.soft);
    let button = |ui: &mut Ui, cx: &mut Cx<'_>, command: Command, on: bool, name: &str| {
        let (long, tip) = command.words();
        let response = controls::toggle(ui, theme, on, name);
        response.widget_info(|| WidgetInfo::selected(egui::Role::Button, true, on, long));
        let key = command.key_text().map_or(String::new(), |k| format!(" ({k})"));
        if response.on_hover_text(format!("{tip}{key}")).clicked() {
            cx.command(command);
        }
    };
    ui.horizontal(|ui| {
        for t in Tool::ALL {
            let name = match t {
                Tool::Brush => "Brush",
                Tool::Lasso => "Lasso",
                Tool::Click => "Click",
            };
            button(ui, cx, Command::Region(t), tool == Some(t), name);
        }
    });
    ui.horizontal(|ui| {
        let name = match (tool, erase) {
            (Some(Tool::Click), false) => "On it",
            (Some(Tool::Click), true) => "Beside it",
            (_, false) => "Adds",
            (_, true) => "Takes away",
        };
        button(ui, cx, Command::EraseRegion, erase, name);
        if tool == Some(Tool::Brush) {
            button(ui, cx, Command::SoftBrush, soft, "Soft");
        }
    });
    if tool == Some(Tool::Brush) {
        let mut radius = cx.state.region.radius;
        if slider(ui, theme, "Radius", &mut radius, RADII, 0) {
            cx.ask(Action::Region(RegionAction::Radius(radius)));
        }
    }
    ui.horizontal(|ui| button(ui, cx, Command::ResetRegion, false, "Reset to the segmenter's"));
    ui.label(RichText::new(words).small().color(theme.weak));
    if lacks_sam(cx) {
        ui.horizontal(|ui| {
            let get = ui.button("Get MobileSAM…");
            if get
                .on_hover_text("Shows where it comes from before anything is fetched")
                .clicked()
            {
                cx.ask(Action::Weights(WeightsWish::Open));
                cx.ask(Action::Weights(WeightsWish::Look(Some("mobilesam"))));
            }
            if ui.button("Open…").clicked() {
                cx.command(Command::OpenFile);
            }
        });
    }
}

/// Whether the click tool is at hand and nothing would answer.
fn lacks_sam(cx: &Cx<'_>) -> bool {
    let state = cx.state;
    state.region.tool == Some(Tool::Click)
        && state.click_segmenter.is_empty()
        && state.study.outline().is_none_or(|o| o.click_segmenter.is_none())
}

/// What is going on, or how the tool works.
fn status(cx: &Cx<'_>) -> String {
    let state = cx.state;
    let waits = !state.region.pending.is_empty();
    let hint = match state.region.tool {
        None => return String::new(),
        Some(Tool::Click) if lacks_sam(cx) => {
            return "SAM's weights are missing. Get MobileSAM (41 MB), or open mobile_sam.pt or sam_vit_b_01ec64.pth; \
                    study.toml names it as click = \"…\" below [segmenter]."
                .to_owned();
        }
        Some(Tool::Click) => "Click the object; drag a box around it. Alt: beside it.",
        Some(Tool::Brush) => "Drag to draw, Alt for the other way. [ ] or wheel: radius.",
        Some(Tool::Lasso) => "Drag around an area, Alt for the other way.",
    };
    if state.region.finding {
        return if state.is_running() {
            "SAM answers when the run is done.".to_owned()
        } else {
            "Finding the region…".to_owned()
        };
    }
    if waits {
        return "Comparing…".to_owned();
    }
    hint.to_owned()
}

/// Lets a tool draw; true when the pointer is the tool's and does not move the picture.
pub fn pointer(ui: &Ui, cx: &mut Cx<'_>, response: &Response, placement: &Placement) -> bool {
    let Some(tool) = cx.state.region.tool.filter(|_| cx.state.is_editing()) else {
        return false;
    };
    let at = |p: egui::Pos2| -> [f32; 2] { ((p - placement.picture.min) / placement.scale).into() };
    let (down, pressed, flip, place) = ui.input(|i| {
        (
            i.pointer.button_down(PointerButton::Primary),
            i.pointer.button_pressed(PointerButton::Primary),
            i.modifiers.alt,
            i.pointer.interact_pos(),
        )
    });
    match tool {
        Tool::Brush | Tool::Lasso => {
            let drawing = cx.state.region.draft.is_some();
            if pressed
                && response.is_pointer_button_down_on()
                && let Some(place) = place
            {
                cx.ask(Action::Region(RegionAction::Begin(at(place), flip)));
            } else if drawing && let Some(place) = place {
                cx.ask(Action::Region(RegionAction::Move(at(place))));
                if !down {
                    cx.ask(Action::Region(RegionAction::End));
                }
            }
        }
        Tool::Click => {
            if response.clicked()
                && let Some(place) = response
                    .interact_pointer_pos()
                    .filter(|p| placement.picture.contains(*p))
            {
                let inside = cx.state.region.erase == flip;
                cx.ask(Action::Region(RegionAction::Point(at(place), inside)));
            }
            let origin = ui.input(|i| i.pointer.press_origin());
            let id = Id::unique("region box");
            if response.dragged_by(PointerButton::Primary) {
                ui.data_mut(|d| d.insert_temp(id, origin));
            } else if response.drag_stopped_by(PointerButton::Primary)
                && let Some(from) = ui.data_mut(|d| d.remove_temp::<Option<egui::Pos2>>(id)).flatten()
                && let Some(to) = place
            {
                let frame = Rect::from_two_pos(from, to).intersect(placement.picture);
                if frame.is_positive() {
                    let ([l, t], [r, b]) = (at(frame.min), at(frame.max));
                    cx.ask(Action::Region(RegionAction::Frame([l, t, r, b])));
                }
            }
        }
    }
    if tool == Tool::Brush && response.hovered() {
        let (wheel, zooming) = ui.input(|i| (i.smooth_scroll_delta().y, i.modifiers.command));
        if wheel != 0.0 && !zooming {
            let radius = cx.state.region.radius * (wheel / 160.0).exp();
            cx.ask(Action::Region(RegionAction::Radius(radius)));
        }
    }
    true
}

/// Marks of the tool over the picture: brush ring, lasso line, points and box.
pub fn marks_over(ui: &Ui, cx: &Cx<'_>, response: &Response, placement: &Placement) {
    let Some(tool) = cx.state.region.tool.filter(|_| cx.state.is_editing()) else {
        return;
    };
    let painter = ui.painter().with_clip_rect(placement.canvas);
    let (white, dark) = (Color32::WHITE, theme::Theme::dark().pane);
    let on = |p: [f32; 2]| placement.picture.min + vec2(p[0], p[1]) * placement.scale;
    match tool {
        Tool::Brush => {
            if let Some(place) = response.hover_pos() {
                ui.ctx().set_cursor_icon(CursorIcon::None);
                let radius = cx.state.region.radius * placement.scale;
                painter.circle_stroke(place, radius + 1.0, Stroke::new(1.0, dark));
                painter.circle_stroke(place, radius, Stroke::new(1.0, white));
                painter.circle_filled(place, 1.5, white);
            }
        }
        Tool::Lasso => {
            if response.hovered() {
                ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
            }
            if let Some(draft) = &cx.state.region.draft {
                let mut line: Vec<_> = draft.line.iter().map(|p| on(*p)).collect();
                line.extend(line.first().copied());
                painter.add(egui::Shape::line(line.clone(), Stroke::new(3.0, dark)));
                painter.add(egui::Shape::line(line, Stroke::new(1.5, white)));
            }
        }
        Tool::Click => {
            if response.hovered() {
                ui.ctx().set_cursor_icon(CursorIcon::Crosshair);
            }
            if let Some(clicks) = cx.state.clicks() {
                for click in &clicks.points {
                    let place = on([click.x, click.y]);
                    let color = if click.inside {
                        cx.theme.foreground()
                    } else {
                        cx.theme.background()
                    };
                    painter.circle(place, 5.0, color, Stroke::new(1.5, white));
                    let arm = vec2(2.5, 0.0);
                    painter.line_segment([place - arm, place + arm], Stroke::new(1.5, white));
                    if click.inside {
                        painter.line_segment(
                            [place - arm.rot90(), place + arm.rot90()],
                            Stroke::new(1.5, white),
                        );
                    }
                }
                if let Some([l, t, r, b]) = clicks.rect {
                    let frame = Rect::from_min_max(on([l, t]), on([r, b]));
                    painter.rect_stroke(frame, 0, Stroke::new(1.5, white), egui::StrokeKind::Middle);
                }
            }
            if response.dragged_by(PointerButton::Primary)
                && let (Some(from), Some(to)) =
                    ui.input(|i| (i.pointer.press_origin(), i.pointer.interact_pos()))
            {
                let frame = Rect::from_two_pos(from, to);
                painter.rect_stroke(frame, 0, Stroke::new(1.0, white), egui::StrokeKind::Middle);
            }
        }
    }
}
