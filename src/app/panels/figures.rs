//! What the window costs, over the panes while it is asked for; and in a line of the Log.

use crate::app::{
    context::Cx,
    controls,
    meter::{Figures, Rescored},
    theme::UNIT,
    thumbnails::BUDGET,
};
use egui::{Align2, Frame, RichText, Ui, vec2};

fn megabytes(bytes: usize) -> f32 {
    bytes as f32 / f32::from(1_u16 << 10) / f32::from(1_u16 << 10)
}

fn lines(figures: &Figures) -> Vec<String> {
    let small = figures.thumbnails;
    let mut lines = vec![
        format!(
            "frame {:.1} ms mean, {:.1} ms p99, {:.1} ms most",
            figures.mean, figures.p99, figures.max
        ),
        format!(
            "{} frames in 5 s, {} since the start",
            figures.recent, figures.frames
        ),
        format!(
            "small pictures {:.0} of {:.0} MB, {} held, {} awaited, {} made room",
            megabytes(small.bytes),
            megabytes(BUDGET),
            small.held,
            small.awaited,
            small.evicted
        ),
        format!(
            "{} list rows laid out · {} jobs · {} events waiting",
            figures.rows, figures.jobs, figures.events
        ),
        format!(
            "Field laid out {} times, coloured {} times",
            figures.field.0, figures.field.1
        ),
    ];
    lines.extend(figures.rescored.map(rescored));
    lines.extend(figures.first_frame.map(first_frame));
    let causes = figures.causes.iter().take(4);
    lines.extend(causes.map(|(cause, count)| format!("{count} × {cause}")));
    lines
}

fn first_frame(milliseconds: u32) -> String {
    format!("first frame {milliseconds} ms after the start")
}

fn rescored(figures: Rescored) -> String {
    let Rescored { last, most, count } = figures;
    format!("verdict {last:.0} ms after the last stroke, {most:.0} ms most of {count}")
}

/// Draws the figures over the panes.
pub fn overlay(ctx: &egui::Context, cx: &Cx<'_>) {
    if !cx.state.open.figures {
        return;
    }
    egui::Area::new(egui::Id::unique("figures"))
        .anchor(Align2::RIGHT_TOP, vec2(-2.0 * UNIT, 13.0 * UNIT))
        .order(egui::Order::Foreground)
        .interactable(false)
        .show(ctx, |ui| {
            Frame::new()
                .fill(cx.theme.float)
                .corner_radius(crate::app::theme::RADIUS)
                .inner_margin(8)
                .show(ui, |ui| {
                    ui.spacing_mut().item_spacing.y = 1.0;
                    for line in lines(cx.figures) {
                        let text = RichText::new(line).font(controls::small()).color(cx.theme.text);
                        ui.label(text);
                    }
                });
        });
}

/// A line for the Log: how fast the window came up, and what its small pictures take.
pub fn in_log(ui: &mut Ui, cx: &Cx<'_>) {
    let small = cx.figures.thumbnails;
    let mut words = format!(
        "Small pictures on the graphics card: {:.0} of at most {:.0} MB",
        megabytes(small.bytes),
        megabytes(BUDGET)
    );
    if let Some(first) = cx.figures.first_frame {
        words += &format!(" · {}", first_frame(first));
    }
    if let Some(figures) = cx.figures.rescored {
        words += &format!(" · {}", rescored(figures));
    }
    ui.label(RichText::new(words).small().color(cx.theme.faint));
}
