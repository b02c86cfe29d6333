//! Five cards for whoever sees the window for the first time.

use super::{
    action::Action,
    context::Cx,
    controls,
    layout::{Layout, Pane},
    theme::{self, UNIT},
};
use egui::{
    Area, Context, CornerRadius, Frame, Id, Key, Modifiers, Order, Pos2, Rect, RichText, Stroke, pos2, vec2,
};

/// A card and the pane it points at.
struct Card {
    pane: Pane,
    title: &'static str,
    text: &'static str,
}

/// Number of cards.
pub const CARDS: usize = 5;

const TOUR: [Card; CARDS] = [
    Card {
        pane: Pane::Prompts,
        title: "Prompts",
        text: "Each row is a prompt, each mark a picture drawn from it with another seed. Choose one and press Run \
               (Ctrl+Enter): the model draws it step by step.",
    },
    Card {
        pane: Pane::Stage,
        title: "The picture, and what is copied in it",
        text: "Heat shows where the foreground and the background repeat a training image. Drag the line to compare \
               with that image; R lets it show through; hold Space to see the picture alone.",
    },
    Card {
        pane: Pane::Evidence,
        title: "Where it came from",
        text: "The training images that match best, found by comparing foreground (F) and background (B) separately \
               with every image of the gallery. 1 is identical. Arrow keys walk through them.",
    },
    Card {
        pane: Pane::Verdict,
        title: "The class",
        text: "VM: both regions copied. FM: the foreground only. BM: the background only. NM: neither. The curve below \
               is the noise norm: it often gives a memorized prompt away before the picture can be seen.",
    },
    Card {
        pane: Pane::Field,
        title: "All pictures at once",
        text: "Every picture is a dot: background score to the right, foreground score upwards. Drag the two threshold \
               lines and everything is classed anew at once. Ctrl+K finds every command, F1 shows the keys.",
    },
];

/// The pane a card points at.
pub fn pane(card: usize) -> Option<Pane> {
    TOUR.get(card).map(|card| card.pane)
}

/// Draws the open card over everything, and a veil over all but its pane.
pub fn ui(ctx: &Context, cx: &mut Cx<'_>, layout: &Layout) {
    let Some(number) = cx.state.open.tour else { return };
    // There is nothing to point at before a study is open.
    if cx.state.study.outline().is_none() || cx.state.open.present {
        return;
    }
    let Some(Card { pane, title, text }) = TOUR.get(number) else {
        return;
    };
    let window = ctx.content_rect();
    let tile = layout.tiles.find_pane(pane);
    let shown = tile
        .and_then(|id| layout.tiles.rect(id))
        .unwrap_or_else(|| Rect::from_center_size(window.center(), vec2(0.0, 0.0)))
        .intersect(window);
    veil(ctx, cx, window, shown);

    const WIDTH: f32 = 320.0;
    let size = vec2(WIDTH, 190.0);
    Area::new(Id::unique("tour"))
        .order(Order::Tooltip)
        .fixed_pos(beside(shown, size, window))
        .show(ctx, |ui| {
            Frame::new()
                .fill(cx.theme.raised)
                .stroke(Stroke::new(1.0, cx.theme.accent))
                .corner_radius(CornerRadius::same(theme::RADIUS))
                .inner_margin(egui::Margin::same(14))
                .show(ui, |ui| {
                    ui.set_width(WIDTH - 28.0);
                    ui.label(RichText::new(*title).size(theme::HEADING));
                    ui.add_space(UNIT);
                    ui.label(RichText::new(*text).color(cx.theme.weak));
                    ui.add_space(2.0 * UNIT);
                    ui.horizontal(|ui| {
                        let words = format!("{} of {CARDS}", number + 1);
                        ui.label(RichText::new(words).small().color(cx.theme.faint));
                        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                            let last = number + 1 == CARDS;
                            let words = if last { "Done" } else { "Next" };
                            if controls::main_button(ui, cx.theme, true, words).clicked() {
                                cx.ask(Action::Tour(Some(number + 1)));
                            }
                            if number > 0 && ui.button("Back").clicked() {
                                cx.ask(Action::Tour(Some(number - 1)));
                            }
                            if !last && ui.button("Skip").clicked() {
                                cx.ask(Action::Tour(None));
                            }
                        });
                    });
                });
        });
    let (next, back) = ctx.input_mut(|i| {
        (
            i.consume_key(Modifiers::NONE, Key::ArrowRight),
            i.consume_key(Modifiers::NONE, Key::ArrowLeft),
        )
    });
    if next {
        cx.ask(Action::Tour(Some(number + 1)));
    }
    if back && number > 0 {
        cx.ask(Action::Tour(Some(number - 1)));
    }
}

/// Darkens all but one rectangle, and frames that.
fn veil(ctx: &Context, cx: &Cx<'_>, window: Rect, hole: Rect) {
    let layer = egui::LayerId::new(Order::Foreground, Id::unique("tour veil"));
    let painter = ctx.layer_painter(layer);
    let dark = cx.theme.stage.gamma_multiply(0.6);
    let parts = [
        Rect::from_min_max(window.min, pos2(window.right(), hole.top())),
        Rect::from_min_max(pos2(window.left(), hole.bottom()), window.max),
        Rect::from_min_max(pos2(window.left(), hole.top()), hole.left_bottom()),
        Rect::from_min_max(hole.right_top(), pos2(window.right(), hole.bottom())),
    ];
    for part in parts {
        painter.rect_filled(part, 0, dark);
    }
    painter.rect_stroke(
        hole,
        0,
        Stroke::new(1.5, cx.theme.accent),
        egui::StrokeKind::Inside,
    );
}

/// Where a card of this size stands beside a pane, inside the window: on the side with the most room.
fn beside(pane: Rect, size: egui::Vec2, window: Rect) -> Pos2 {
    const GAP: f32 = 12.0;
    let y = (pane.center().y - size.y * 0.5).clamp(window.top() + GAP, window.bottom() - size.y - GAP);
    let x = (pane.center().x - size.x * 0.5).clamp(window.left() + GAP, window.right() - size.x - GAP);
    if window.right() - pane.right() > size.x + 2.0 * GAP {
        pos2(pane.right() + GAP, y)
    } else if pane.left() - window.left() > size.x + 2.0 * GAP {
        pos2(pane.left() - size.x - GAP, y)
    } else if pane.top() - window.top() > size.y + 2.0 * GAP {
        pos2(x, pane.top() - size.y - GAP)
    } else {
        pos2(x, window.bottom() - size.y - GAP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_never_leaves_the_window() {
        let window = Rect::from_min_size(Pos2::ZERO, vec2(1280.0, 800.0));
        let size = vec2(320.0, 190.0);
        for pane in [
            Rect::from_min_size(pos2(0.0, 44.0), vec2(250.0, 500.0)),
            Rect::from_min_size(pos2(250.0, 44.0), vec2(700.0, 400.0)),
            Rect::from_min_size(pos2(980.0, 44.0), vec2(300.0, 500.0)),
            Rect::from_min_size(pos2(0.0, 560.0), vec2(980.0, 240.0)),
            window,
        ] {
            let card = Rect::from_min_size(beside(pane, size, window), size);
            assert!(window.contains_rect(card), "{card:?} beside {pane:?}");
        }
    }
}
