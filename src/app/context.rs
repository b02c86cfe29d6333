//! What a panel gets: the state to read, the actions to ask for, pictures to draw.

use super::{
    action::Action,
    command::Command,
    meter::Figures,
    panels::{FieldPoints, MapDots},
    state::State,
    theme::Theme,
    thumbnails::Thumbnails,
};
use crate::study::Tally;

/// Handed to every panel, every frame.
pub struct Cx<'a> {
    /// What is shown.
    pub state: &'a State,
    /// Colours.
    pub theme: &'a Theme,
    /// Small pictures.
    pub thumbnails: &'a mut Thumbnails,
    /// The Field's pictures, laid out.
    pub field: &'a mut FieldPoints,
    /// The Map's dots.
    pub map: &'a mut MapDots,
    /// What the window cost in the frames before.
    pub figures: &'a Figures,
    /// Wishes, carried out after the frame.
    pub actions: &'a mut Vec<Action>,
    /// Whether the overlay pipeline is there.
    pub has_gpu: bool,
    /// Whether the pane being drawn has its title on a tab.
    pub tabbed: bool,
    /// Rows of long lists laid out in this frame.
    pub rows: usize,
    /// Pictures per class under the thresholds of this frame.
    pub tally: Tally,
}

impl Cx<'_> {
    /// Asks for something.
    pub fn ask(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Asks for a command.
    pub fn command(&mut self, command: Command) {
        self.actions.push(Action::Command(command));
    }
}
