//! The keyboard's way through the window: what it skips, and a ring around what it has reached.
//!
//! Borders between panes, empty ground behind tabs and scroll bars are for the pointer only: egui and egui_tiles let
//! them take the focus without a name or an answer to keys. They are hidden from assistive technology and skipped;
//! lists scroll with the focus, and *Maximize pane* does with keys what the borders do.

use super::theme::{self, Theme};
use egui::{
    Context, CornerRadius, FocusDirection, FullOutput, Id, LayerId, Order, Stroke, StrokeKind,
    accesskit::{Action, Role},
};
use std::collections::HashSet;

/// Knows the nameless places of the frame before.
#[derive(Default)]
struct Silent(HashSet<u64>);

impl egui::Plugin for Silent {
    fn debug_name(&self) -> &'static str {
        "silent places"
    }

    fn output_hook(&mut self, _ctx: &Context, output: &mut FullOutput) {
        let Some(update) = &mut output.platform_output.accesskit_update else {
            return;
        };
        self.0.clear();
        for (id, node) in &mut update.nodes {
            let named = node.label().is_some_and(|label| !label.trim().is_empty());
            if !named && matches!(node.role(), Role::Unknown | Role::ScrollBar) {
                if node.supports_action(Action::Focus) {
                    self.0.insert(id.0);
                }
                node.set_hidden();
                for action in [Action::Focus, Action::Click] {
                    node.remove_action(action);
                }
            }
        }
    }
}

/// Begins to watch for places to skip.
pub fn install(ctx: &Context) {
    ctx.add_plugin(Silent::default());
}

/// Moves the focus on from where keys do nothing. To be called before anything is drawn.
pub fn skip(ctx: &Context) {
    let Some(focused) = ctx.memory(|m| m.focused()) else {
        return;
    };
    let silent = ctx
        .plugin_opt::<Silent>()
        .is_some_and(|silent| silent.lock().0.contains(&focused.value()));
    if silent {
        let back = ctx.input(|i| i.modifiers.shift);
        let direction = if back {
            FocusDirection::Previous
        } else {
            FocusDirection::Next
        };
        ctx.memory_mut(|m| m.move_focus(direction));
        ctx.request_repaint();
    }
}

/// A ring around what has the focus, drawn over everything. Fields for text show it by themselves.
pub fn ring(ctx: &Context, theme: &Theme) {
    let Some(focused) = ctx.memory(|m| m.focused()) else {
        return;
    };
    if ctx.text_edit_focused() {
        return;
    }
    let Some(response) = ctx.read_response(focused) else {
        return;
    };
    let layer = LayerId::new(Order::Tooltip, Id::unique("focus ring"));
    ctx.layer_painter(layer).rect_stroke(
        response.interact_rect.expand(1.0),
        CornerRadius::same(theme::RADIUS),
        Stroke::new(1.5, theme.accent),
        StrokeKind::Outside,
    );
}
