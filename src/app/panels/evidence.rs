//! The training images a picture may come from, one card per group of the gallery.

use super::{caption_diff, prompts::open_buttons};
use crate::{
    app::{
        action::Action,
        command::Command,
        context::Cx,
        controls::{self, line, score},
        help,
        theme::{self, UNIT},
    },
    render::Highlight,
    study::{Cluster, ClusterKind, Match, Region, RegionScores},
};
use egui::{
    Align2, Color32, CornerRadius, Rect, ScrollArea, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};
use egui_tiles::UiResponse;

const PICTURE: f32 = 72.0;
const FAN: f32 = 8.0;
const SMALL_PICTURE: f32 = 30.0;
/// Height of the caption's line.
const CAPTION: f32 = 16.0;
/// Siblings that show behind a card's picture.
const FANNED: usize = 2;

/// Matches of one group of the gallery, by their place in the list.
struct Group {
    cluster: Option<u32>,
    places: Vec<usize>,
}

/// Draws the pane.
pub fn ui(ui: &mut Ui, cx: &mut Cx<'_>) -> UiResponse {
    let generation = cx.state.current().cloned();
    let matches = generation.as_ref().map_or(&[][..], |g| &g.matches);
    let groups = groups(cx, matches);
    let note = match (matches.len(), groups.len()) {
        (0, _) => String::new(),
        (n, g) if n == g => format!("{n} best"),
        (n, 1) => format!("{n} best, in 1 group"),
        (n, g) => format!("{n} best, in {g} groups"),
    };
    let header = controls::header(ui, cx, "Evidence", &note);
    if let Some(how) = &cx.state.study.approximation {
        ui.label(
            egui::RichText::new(how.to_string())
                .small()
                .color(cx.theme.danger),
        );
    }
    if matches.is_empty() {
        nothing(ui, cx, generation.is_some());
        return controls::moved(&header);
    }
    let mut highlight = Highlight::Both;
    ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0 * UNIT;
        ui.add_space(1.0);
        for group in &groups {
            card(ui, cx, matches, group, &mut highlight);
        }
    });
    if highlight != cx.state.highlight {
        cx.ask(Action::SetHighlight(highlight));
    }
    controls::moved(&header)
}

fn nothing(ui: &mut Ui, cx: &mut Cx<'_>, drawn: bool) {
    let outline = cx.state.study.outline();
    match outline {
        None => {
            let advice = "Open a study, or a folder of training images: those that match best show here.";
            controls::empty(ui, cx, "No gallery", advice, open_buttons);
        }
        Some(o) if o.gallery.is_empty() => {
            let advice = "Open the folder of training images to compare with them.";
            controls::empty(ui, cx, "No gallery", advice, open_buttons);
        }
        Some(o) => {
            let advice = if !cx.state.study.gallery_ready {
                format!("{} training images are being prepared.", o.gallery.len())
            } else if drawn {
                "This picture is being compared.".to_owned()
            } else {
                format!("{} training images are ready. Run a prompt.", o.gallery.len())
            };
            controls::empty(ui, cx, "Nothing compared yet", &advice, |_, _| {});
        }
    }
}

fn groups(cx: &Cx<'_>, matches: &[Match]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (place, m) in matches.iter().enumerate() {
        let cluster = cx.state.study.cluster_of(m.gallery).map(|c| c.id);
        match groups
            .iter_mut()
            .find(|g| cluster.is_some() && g.cluster == cluster)
        {
            Some(group) => group.places.push(place),
            None => groups.push(Group {
                cluster,
                places: vec![place],
            }),
        }
    }
    groups
}

fn card(ui: &mut Ui, cx: &mut Cx<'_>, matches: &[Match], group: &Group, highlight: &mut Highlight) {
    let theme = cx.theme;
    let chosen_place = cx.state.selection.evidence;
    let chosen = group.places.contains(&chosen_place);
    let shown = if chosen { chosen_place } else { group.places[0] };
    let Match { gallery, scores } = matches[shown];
    let state = cx.state;
    let cluster = state.study.cluster_of(gallery);
    let image = state
        .study
        .outline()
        .and_then(|o| o.gallery.get(gallery as usize));
    let name = image.map_or_else(|| format!("image {gallery}"), |i| i.name());
    let copies = cx.state.study.copies_of(gallery);
    let title = match &cluster {
        Some(c) if c.kind == ClusterKind::Duplicates && copies == 1 => "1 copy in the gallery".to_owned(),
        Some(c) if c.kind == ClusterKind::Duplicates => format!("{copies} copies in the gallery"),
        Some(c) if copies > 1 => {
            let words = c.kind.words();
            format!("{} images, {words}, {copies} copies of this one", c.members.len())
        }
        Some(c) => format!("{} images, {}", c.members.len(), c.kind.words()),
        None => "single image".to_owned(),
    };
    let several = group.places.len() > 1;
    let caption = image.and_then(|i| i.caption.as_deref());
    let siblings = if chosen {
        siblings(cluster, matches, group)
    } else {
        Vec::new()
    };
    let row = SMALL_PICTURE + 2.0 * UNIT;
    let below = [caption.is_some(), several, !siblings.is_empty()];
    let height = PICTURE
        + 4.0 * UNIT
        + below
            .into_iter()
            .zip([CAPTION, row, row])
            .map(|(there, height)| if there { height } else { 0.0 })
            .sum::<f32>();
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::click());
    // Out of view nothing is laid out and no picture asked for.
    if !ui.is_rect_visible(rect) {
        return;
    }
    cx.rows += 1;
    let label = format!("Evidence {}: {name}", shown + 1);
    response.widget_info(|| WidgetInfo::selected(egui::Role::ListItem, true, chosen, &label));
    let painter = ui
        .painter()
        .with_clip_rect(rect.expand(2.0).intersect(ui.clip_rect()));
    let radius = CornerRadius::same(theme::RADIUS);
    let fill = if response.hovered() || chosen {
        theme.raised
    } else {
        theme.raised.gamma_multiply(0.55)
    };
    painter.rect_filled(rect, radius, fill);
    if chosen {
        painter.rect_stroke(rect, radius, Stroke::new(1.5, theme.accent), StrokeKind::Inside);
    }

    let picture = Rect::from_min_size(rect.min + vec2(2.0, 2.0) * UNIT, vec2(PICTURE, PICTURE));
    let fanned: Vec<u32> = cluster
        .iter()
        // The exemplar is the nearest behind.
        .flat_map(|c| {
            std::iter::once(c.exemplar).chain(c.members.iter().copied().filter(|m| *m != c.exemplar))
        })
        .filter(|&m| m != gallery)
        .take(FANNED)
        .collect();
    for (depth, &sibling) in fanned.iter().enumerate().rev() {
        let behind = picture
            .translate(vec2(FAN * (depth + 1) as f32, 0.0))
            .shrink(4.0 * (depth + 1) as f32);
        let texture = cx.thumbnails.gallery(sibling);
        controls::thumbnail(&painter, theme, behind, texture, 4);
        painter.rect_filled(
            behind,
            CornerRadius::same(4),
            fill.gamma_multiply(0.2 + 0.2 * depth as f32),
        );
    }
    let texture = cx.thumbnails.gallery(gallery);
    controls::thumbnail(&painter, theme, picture, texture, 4);

    let left = picture.right() + 2.0 * FAN + 2.0 * UNIT;
    let right = rect.right() - 2.5 * UNIT;
    let room = right - left;
    let mut y = rect.top() + 4.0 * UNIT;
    line(&painter, pos2(left, y), &name, controls::body(), theme.text, room);
    y += 4.25 * UNIT;
    line(
        &painter,
        pos2(left, y),
        &title,
        controls::small(),
        theme.weak,
        room,
    );
    y += 5.25 * UNIT;
    region_bars(
        ui,
        cx,
        &painter,
        Rect::from_min_max(pos2(left, y - 2.0 * UNIT), pos2(right, y + 6.0 * UNIT)),
        scores,
        highlight,
    );

    let mut top = picture.bottom() + UNIT;
    if let Some(caption) = caption {
        let prompt = state.current().map_or("", |g| g.prompt.as_str());
        let at = pos2(picture.left(), top);
        let job = caption_diff::job(caption, prompt, theme, rect.width() - 4.0 * UNIT);
        painter.galley(at, painter.layout_job(job), theme.weak);
        top += CAPTION;
    }
    top += UNIT;
    if several {
        small_pictures(ui, cx, matches, group, pos2(picture.left(), top));
        top += row;
    }
    if !siblings.is_empty() {
        glowing(
            ui,
            cx,
            gallery,
            &siblings,
            pos2(picture.left(), top),
            rect.right() - UNIT,
        );
    }
    if response.clicked() {
        cx.ask(Action::PickEvidence(shown));
    }
    response.context_menu(|ui| {
        if let Some(image) = image
            && ui.button(Command::ShowInFolder.words().0).clicked()
        {
            cx.ask(Action::ShowInFolder(image.path.clone()));
        }
        if ui.button(Command::RevealNext.words().0).clicked() {
            cx.command(Command::RevealNext);
        }
    });
    response.on_hover_ui(|ui| {
        ui.label(&name);
        if let Some(caption) = caption {
            ui.label(egui::RichText::new(format!("“{caption}”")).color(theme.weak));
        }
        if let Some(c) = &cluster {
            let words = format!(
                "group {}: {} training images, {}",
                c.id,
                c.members.len(),
                c.kind.words()
            );
            ui.label(egui::RichText::new(words).color(theme.weak));
        }
        ui.label(egui::RichText::new(format!("average {}", score(scores.average()))).color(theme.weak));
        let region = match *highlight {
            Highlight::Both => return,
            Highlight::Foreground => Region::Foreground,
            Highlight::Background => Region::Background,
        };
        ui.label(egui::RichText::new(help::score(region)).color(theme.weak));
    });
}

fn region_bars(
    ui: &Ui,
    cx: &Cx<'_>,
    painter: &egui::Painter,
    area: Rect,
    scores: RegionScores,
    highlight: &mut Highlight,
) {
    const NUMBER: f32 = 36.0;
    let theme = cx.theme;
    for (i, (letter, value, threshold, color, region)) in [
        (
            "F",
            scores.foreground,
            cx.state.thresholds.foreground,
            theme.foreground(),
            Highlight::Foreground,
        ),
        (
            "B",
            scores.background,
            cx.state.thresholds.background,
            theme.background(),
            Highlight::Background,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let row = Rect::from_min_size(
            area.min + vec2(0.0, 4.0 * UNIT * i as f32),
            vec2(area.width(), 4.0 * UNIT),
        );
        let y = row.center().y;
        let copied = value.is_some_and(|v| v >= threshold);
        let ink = if copied { theme.text } else { theme.weak };
        painter.text(
            pos2(row.left(), y),
            Align2::LEFT_CENTER,
            letter,
            controls::small(),
            ink,
        );
        painter.text(
            pos2(row.right(), y),
            Align2::RIGHT_CENTER,
            score(value),
            controls::small(),
            ink,
        );
        let rail = Rect::from_min_max(
            pos2(row.left() + 3.5 * UNIT, y - 2.0),
            pos2(row.right() - NUMBER - UNIT, y + 2.0),
        );
        let fill = if copied { color } else { color.gamma_multiply(0.55) };
        controls::bar(painter, theme, rail, value.unwrap_or(0.0), fill);
        let tick = rail.left() + rail.width() * threshold;
        painter.vline(tick, rail.y_range().expand(2.0), Stroke::new(1.0, theme.weak));
        if ui.rect_contains_pointer(row) {
            *highlight = region;
        }
    }
}

/// Images of the same group that are not among the matches: what the chosen one could be confused with.
fn siblings(cluster: Option<&Cluster>, matches: &[Match], group: &Group) -> Vec<u32> {
    const MOST: usize = 8;
    let listed = |m: u32| group.places.iter().any(|&place| matches[place].gallery == m);
    let members = cluster.iter().flat_map(|c| c.members.iter().copied());
    members.filter(|&m| !listed(m)).take(MOST).collect()
}

/// Siblings on which what differs from the shown image glows; a click puts one onto the Stage.
fn glowing(ui: &mut Ui, cx: &mut Cx<'_>, shown: u32, siblings: &[u32], at: egui::Pos2, right: f32) {
    for (i, &sibling) in siblings.iter().enumerate() {
        let at = at + vec2((SMALL_PICTURE + UNIT) * i as f32, 0.0);
        let rect = Rect::from_min_size(at, vec2(SMALL_PICTURE, SMALL_PICTURE));
        if rect.right() > right {
            break;
        }
        let response = ui.interact(rect, ui.scope_id().with(("sibling", sibling)), Sense::click());
        let image = cx
            .state
            .study
            .outline()
            .and_then(|o| o.gallery.get(sibling as usize));
        let name = image.map_or_else(|| format!("image {sibling}"), |i| i.name());
        let label = format!("Sibling {name}");
        response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, &label));
        let texture = cx.thumbnails.difference(sibling, shown);
        controls::thumbnail(ui.painter(), cx.theme, rect, texture, 3);
        if response.hovered() {
            let stroke = Stroke::new(1.0, cx.theme.weak);
            ui.painter()
                .rect_stroke(rect, CornerRadius::same(3), stroke, StrokeKind::Outside);
        }
        if response.clicked() {
            cx.ask(Action::PickTraining(sibling));
        }
        response.on_hover_text(format!(
            "{name}, of the same group. What differs from the shown image glows."
        ));
    }
}

fn small_pictures(ui: &mut Ui, cx: &mut Cx<'_>, matches: &[Match], group: &Group, from: egui::Pos2) {
    for (i, &place) in group.places.iter().enumerate() {
        let at = from + vec2((SMALL_PICTURE + UNIT) * i as f32, 0.0);
        let rect = Rect::from_min_size(at, vec2(SMALL_PICTURE, SMALL_PICTURE));
        let response = ui.interact(rect, ui.scope_id().with(("match", place)), Sense::click());
        let chosen = cx.state.selection.evidence == place;
        let label = format!("Evidence {}", place + 1);
        response.widget_info(|| WidgetInfo::selected(egui::Role::Button, true, chosen, &label));
        let texture = cx.thumbnails.gallery(matches[place].gallery);
        controls::thumbnail(ui.painter(), cx.theme, rect, texture, 3);
        let stroke = match (chosen, response.hovered()) {
            (true, _) => Stroke::new(1.5, cx.theme.accent),
            (_, true) => Stroke::new(1.0, cx.theme.weak),
            _ => Stroke::new(0.0, Color32::TRANSPARENT),
        };
        ui.painter()
            .rect_stroke(rect, CornerRadius::same(3), stroke, StrokeKind::Outside);
        if response.clicked() {
            cx.ask(Action::PickEvidence(place));
        }
        let scores = matches[place].scores;
        response.on_hover_text(format!(
            "F {} · B {}",
            score(scores.foreground),
            score(scores.background)
        ));
    }
}
