//! Where the panes are. Movable and remembered; a remembered layout that misses a pane is not used.

use super::{
    context::Cx,
    panels,
    theme::{PANE_MARGIN, Theme},
};
use egui::{Color32, Frame, Key, Margin, Stroke, Ui, Visuals, WidgetText};
use egui_tiles::{
    Container, Linear, LinearDir, ResizeState, SimplificationOptions, Tile, TileId, Tiles, Tree, UiResponse,
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Pane {
    /// The prompts.
    Prompts,
    /// The picture.
    Stage,
    /// The seeds of the prompt.
    Strip,
    /// The training images.
    Evidence,
    /// The class and why.
    Verdict,
    /// Every picture as a dot.
    Field,
    /// What scores mean: labels, null, curves.
    Calibration,
    /// The gallery on a plane.
    Map,
    /// A against B.
    Compare,
    /// The edits of the variant.
    Bench,
    /// What was told.
    Log,
}

impl Pane {
    /// All panes.
    pub const ALL: [Self; 11] = [
        Self::Prompts,
        Self::Stage,
        Self::Strip,
        Self::Evidence,
        Self::Verdict,
        Self::Field,
        Self::Calibration,
        Self::Map,
        Self::Compare,
        Self::Bench,
        Self::Log,
    ];

    /// Title of the pane and its tab.
    pub fn title(self) -> &'static str {
        match self {
            Self::Prompts => "Prompts",
            Self::Stage => "Stage",
            Self::Strip => "Seeds",
            Self::Evidence => "Evidence",
            Self::Verdict => "Verdict",
            Self::Field => "Field",
            Self::Calibration => "Calibration",
            Self::Map => "Map",
            Self::Compare => "Compare",
            Self::Bench => "Bench",
            Self::Log => "Log",
        }
    }

    /// Name of the command that brings it to the front, and what it shows in a sentence.
    pub fn command(self) -> (&'static str, &'static str) {
        match self {
            Self::Prompts => ("Pane: Prompts", "The prompts and the classes of their pictures"),
            Self::Stage => ("Pane: Stage", "The picture, large, with its overlays"),
            Self::Strip => ("Pane: Seeds", "The pictures of the prompt, seed by seed"),
            Self::Evidence => ("Pane: Evidence", "The training images the picture came from"),
            Self::Verdict => ("Pane: Verdict", "The class of the picture and what it rests on"),
            Self::Field => (
                "Pane: Field",
                "Every picture by its background and foreground score",
            ),
            Self::Calibration => (
                "Pane: Calibration",
                "What scores and signals mean: null, labels, ROC",
            ),
            Self::Map => ("Pane: Map", "The gallery on a plane, by likeness"),
            Self::Compare => ("Pane: Compare", "A against B, and all variants on a scoreboard"),
            Self::Bench => ("Pane: Bench", "What the variant changes, part by part"),
            Self::Log => ("Pane: Log", "What the engine has told"),
        }
    }

    /// The key that, with Ctrl, brings it to the front.
    pub fn key(self) -> Option<Key> {
        const KEYS: [Key; 9] = [
            Key::Num1,
            Key::Num2,
            Key::Num3,
            Key::Num4,
            Key::Num5,
            Key::Num6,
            Key::Num7,
            Key::Num8,
            Key::Num9,
        ];
        let place = Self::ALL.iter().position(|p| *p == self)?;
        KEYS.get(place).copied()
    }
}

/// The tree of panes.
pub type Layout = Tree<Pane>;

/// Under this name the layout is remembered; a new number when [`Pane`] changes.
pub const STORAGE_KEY: &str = "layout-4";

/// The layout at first: the picture in the middle, evidence beside it, the field below.
pub fn default_layout() -> Layout {
    let mut tiles = Tiles::default();
    let [
        prompts,
        stage,
        strip,
        evidence,
        verdict,
        field,
        calibration,
        map,
        compare,
        bench,
        log,
    ] = Pane::ALL.map(|p| tiles.insert_pane(p));
    let mut split = |dir, parts: &[(TileId, f32)]| {
        let mut linear = Linear::new(dir, parts.iter().map(|p| p.0).collect());
        for &(id, share) in parts {
            linear.shares.set_share(id, share);
        }
        tiles.insert_container(Container::Linear(linear))
    };
    let middle = split(LinearDir::Vertical, &[(stage, 0.765), (strip, 0.235)]);
    let top = split(LinearDir::Horizontal, &[(prompts, 0.255), (middle, 0.745)]);
    let right = split(LinearDir::Vertical, &[(evidence, 0.62), (verdict, 0.38)]);
    let field = tiles.insert_tab_tile(vec![field, compare, bench, calibration, map, log]);
    let mut split = |dir, parts: &[(TileId, f32)]| {
        let mut linear = Linear::new(dir, parts.iter().map(|p| p.0).collect());
        for &(id, share) in parts {
            linear.shares.set_share(id, share);
        }
        tiles.insert_container(Container::Linear(linear))
    };
    let left = split(LinearDir::Vertical, &[(top, 0.70), (field, 0.30)]);
    let root = split(LinearDir::Horizontal, &[(left, 0.765), (right, 0.235)]);
    Tree::new(egui::Id::unique("panes"), root, tiles)
}

/// Whether every pane is in the tree exactly once and can be reached from its root.
pub fn is_complete(layout: &Layout) -> bool {
    fn collect(layout: &Layout, id: TileId, depth: usize, found: &mut Vec<Pane>) -> bool {
        if depth > 32 {
            return false;
        }
        match layout.tiles.get(id) {
            Some(Tile::Pane(pane)) => {
                found.push(*pane);
                found.len() <= Pane::ALL.len()
            }
            Some(Tile::Container(container)) => container
                .children()
                .all(|&child| collect(layout, child, depth + 1, found)),
            None => false,
        }
    }
    let mut found = Vec::new();
    layout
        .root()
        .is_some_and(|root| collect(layout, root, 0, &mut found))
        && found.len() == Pane::ALL.len()
        && found.iter().collect::<HashSet<_>>().len() == Pane::ALL.len()
        && Pane::ALL
            .iter()
            .all(|p| layout.tiles.find_pane(p).is_some_and(|id| layout.is_visible(id)))
}

/// Draws one pane with its margins into the whole of `ui`.
pub fn pane_ui(ui: &mut Ui, cx: &mut Cx<'_>, pane: Pane) -> UiResponse {
    let side = PANE_MARGIN as i8;
    let margin = match pane {
        Pane::Stage => Margin::symmetric(side, 6),
        _ => Margin {
            left: side,
            right: side,
            // Below a tab bar that already takes a line.
            top: if cx.tabbed { 0 } else { 6 },
            bottom: 8,
        },
    };
    ui.painter().rect_filled(ui.max_rect(), 0, cx.theme.pane);
    Frame::new()
        .inner_margin(margin)
        .show(ui, |ui| {
            ui.set_min_size(ui.available_size());
            panels::ui(ui, cx, pane)
        })
        .inner
}

/// Draws the panes for egui_tiles.
pub struct Panes<'a, 'b> {
    /// What the panels get.
    pub cx: &'a mut Cx<'b>,
    /// Panes that share their place with others, and so have their title on a tab.
    pub tabbed: HashSet<Pane>,
    /// Takes the pane under the pointer.
    pub pointed: &'a mut Option<Pane>,
}

/// The panes whose title is on a tab.
pub fn tabbed(layout: &Layout) -> HashSet<Pane> {
    let tabs = layout.tiles.tiles().filter_map(|tile| match tile {
        Tile::Container(Container::Tabs(tabs)) => Some(&tabs.children),
        _ => None,
    });
    tabs.flatten()
        .filter_map(|id| layout.tiles.get_pane(id).copied())
        .collect()
}

impl egui_tiles::Behavior<Pane> for Panes<'_, '_> {
    fn pane_ui(&mut self, ui: &mut Ui, _tile: TileId, pane: &mut Pane) -> UiResponse {
        self.cx.tabbed = self.tabbed.contains(pane);
        if ui.rect_contains_pointer(ui.max_rect()) {
            *self.pointed = Some(*pane);
        }
        pane_ui(ui, self.cx, *pane)
    }

    fn tab_title_for_pane(&mut self, pane: &Pane) -> WidgetText {
        match pane {
            Pane::Log if !self.cx.state.notices.is_empty() => {
                format!("Log · {}", self.cx.state.notices.len()).into()
            }
            pane => pane.title().into(),
        }
    }

    fn top_bar_right_ui(
        &mut self,
        tiles: &Tiles<Pane>,
        ui: &mut Ui,
        _tile: TileId,
        tabs: &egui_tiles::Tabs,
        _scroll: &mut f32,
    ) {
        let active = tabs.active.and_then(|id| tiles.get_pane(&id));
        let note = active.map_or_else(String::new, |pane| panels::note(self.cx, *pane));
        ui.add_space(PANE_MARGIN);
        ui.label(egui::RichText::new(note).small().color(self.cx.theme.weak));
    }

    fn gap_width(&self, _style: &egui::Style) -> f32 {
        1.0
    }

    fn min_size(&self) -> f32 {
        64.0
    }

    fn tab_bar_height(&self, _style: &egui::Style) -> f32 {
        28.0
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions {
            all_panes_must_have_tabs: false,
            ..SimplificationOptions::default()
        }
    }

    fn resize_stroke(&self, _style: &egui::Style, state: ResizeState) -> Stroke {
        let theme = self.cx.theme;
        match state {
            ResizeState::Idle => Stroke::new(1.0, theme.line),
            ResizeState::Hovering | ResizeState::Dragging => Stroke::new(2.0, theme.accent),
        }
    }

    fn tab_bar_color(&self, _visuals: &Visuals) -> Color32 {
        self.cx.theme.pane
    }

    fn tab_bg_color(
        &self,
        _visuals: &Visuals,
        _tiles: &Tiles<Pane>,
        _tile: TileId,
        _state: &egui_tiles::TabState,
    ) -> Color32 {
        self.cx.theme.pane
    }

    fn tab_outline_stroke(
        &self,
        _visuals: &Visuals,
        _tiles: &Tiles<Pane>,
        _tile: TileId,
        _state: &egui_tiles::TabState,
    ) -> Stroke {
        Stroke::NONE
    }

    fn tab_bar_hline_stroke(&self, _visuals: &Visuals) -> Stroke {
        Stroke::NONE
    }

    fn tab_text_color(
        &self,
        _visuals: &Visuals,
        _tiles: &Tiles<Pane>,
        _tile: TileId,
        state: &egui_tiles::TabState,
    ) -> Color32 {
        let Theme { text, weak, .. } = *self.cx.theme;
        if state.active { text } else { weak }
    }

    fn drag_preview_stroke(&self, _visuals: &Visuals) -> Stroke {
        Stroke::new(1.0, self.cx.theme.accent)
    }

    fn drag_preview_color(&self, _visuals: &Visuals) -> Color32 {
        self.cx.theme.accent.gamma_multiply(0.15)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_layout_is_complete_and_survives_the_disk() {
        let layout = default_layout();
        assert!(is_complete(&layout));
        let text = serde_json::to_string(&layout).unwrap();
        let back: Layout = serde_json::from_str(&text).unwrap();
        assert!(is_complete(&back));
    }

    #[test]
    fn a_layout_that_lost_a_pane_is_refused() {
        let mut layout = default_layout();
        let field = layout.tiles.find_pane(&Pane::Field).unwrap();
        layout.remove_recursively(field);
        assert!(!is_complete(&layout));
        assert!(!is_complete(&Tree::empty(egui::Id::unique("nothing"))));
    }
}
