//! The window. Panels read one [`State`] and ask for [`Action`]s; the engine is heard once a frame; no
//! file, model or metric is touched on this thread.

mod action;
mod ahead;
mod apply;
mod autoplay;
mod command;
mod comparing;
mod context;
mod controls;
mod copy_picture;
mod dialogs;
mod events;
mod focus;
mod history;
mod import_dialog;
mod keys;
mod layout;
mod live_link;
mod marks;
mod offscreen;
mod on_stage;
mod pace;
mod paint;
mod palette;
mod panels;
mod present;
mod state;
mod study_view;
mod theme;
mod thumbnails;
mod tour;
mod weights_dialog;
mod window;

pub use action::{Action, Pick};
pub use command::{Chapter, Command};
pub use layout::{Layout, Pane, default_layout, is_complete};
pub use offscreen::{Control, Offscreen, View};
pub use state::{Camera, Notice, OverlaySettings, Selection, State};
pub use study_view::{Band, StudyView};
pub use theme::{BAR_HEIGHT, Theme};
pub use weights_dialog::{WeightOptions, WeightsDialog, WeightsWish};
pub use window::{App, AppOptions, native_options};
