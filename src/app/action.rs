//! What panels ask for. Panels only read the state; everything they want to change goes through here,
//! so that a whole frame is drawn from one state.

use super::{
    command::Command,
    comparing::Bench,
    detecting::SignalsShown,
    dialogs::Wanted,
    import_dialog::ImportDialog,
    lasso::Lasso,
    region::RegionAction,
    searching::SearchChoice,
    state::{Camera, OverlaySettings, Palette},
    weights_dialog::WeightsWish,
};
use crate::{
    engine::ImportJob,
    render::Highlight,
    study::{GenerationKey, Sampling, Thresholds, Variant, Verdict},
};
use std::{path::PathBuf, sync::Arc};

/// How a click on a prompt changes the choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This one alone.
    Only,
    /// This one more, or one less.
    Toggle,
    /// From the prompt looked at to this one.
    Range,
}

/// A wish of a panel.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A command.
    Command(Command),
    /// Open a study, checkpoint, gallery or prompt file.
    Open(PathBuf),
    /// Look into a folder of generated pictures.
    Survey(PathBuf),
    /// Import generated pictures.
    Import(ImportJob),
    /// Open a folder as the gallery.
    OpenGallery(PathBuf),
    /// Change what the import dialog holds, or close it.
    SetImport(Option<Box<ImportDialog>>),
    /// Look at published weights, get some.
    Weights(WeightsWish),
    /// Open a file dialog.
    Choose(Wanted),
    /// Look at a prompt.
    PickPrompt(u32, Pick),
    /// Look at a picture.
    PickGeneration(GenerationKey),
    /// Compare with another training image of the list.
    PickEvidence(usize),
    /// Put a training image beside the picture, from anywhere in the gallery.
    PickTraining(u32),
    /// Lay the gallery out on a plane.
    LayOut,
    /// Move the thresholds; changes with one gesture number are undone together.
    SetThresholds(Thresholds, Option<u64>),
    /// Take the foregrounds of the training images from the masks in a folder, or from the segmenter.
    Mattes(Option<PathBuf>),
    /// Take the foregrounds of generated pictures from the masks in a folder, or from the segmenter.
    GeneratedMattes(Option<PathBuf>),
    /// Choose pictures on the Field, or let them go.
    Lasso(Option<Arc<Lasso>>),
    /// Change how the Stage draws.
    SetOverlay(OverlaySettings),
    /// Look elsewhere on the picture.
    SetCamera(Camera),
    /// Edit the region on the Stage.
    Region(RegionAction),
    /// Search the prompts.
    Search(String),
    /// Show a class or not.
    ToggleClass(Verdict),
    /// Write at the own prompt.
    Draft(String),
    /// Add the own prompt and look at it.
    AddPrompt,
    /// Write at the seeds.
    Seeds(String),
    /// Change how pictures are drawn.
    SetSampling(Sampling),
    /// Draw with a variant, or with the checkpoint as it is.
    SetVariant(Option<Arc<Variant>>),
    /// Change what the bench holds: a variant, without the parts switched off.
    SetBench(Bench),
    /// What the Bench would search for.
    SetSearch(SearchChoice),
    /// Compare with the pictures of this variant, or of the checkpoint as it is.
    PickFirst(Option<Arc<str>>),
    /// Compare these pictures: an earlier run's.
    PickSecond(Arc<str>),
    /// Let through only what went from one class to another.
    PickCell(Option<(Verdict, Verdict)>),
    /// Write at the path to save the variant to.
    SavePath(String),
    /// Write at the path to open.
    PathDraft(String),
    /// Show or hide the path field.
    ShowPath(bool),
    /// Show or hide the run settings.
    ShowRunSettings(bool),
    /// Point at a picture.
    Hover(Option<GenerationKey>),
    /// Show a file in the system's file manager.
    ShowInFolder(PathBuf),
    /// Show how well signs of memorization tell, at a step and for a class.
    SetSignals(SignalsShown),
    /// Let a region stand out.
    SetHighlight(Highlight),
    /// Change what the palette holds, or close it.
    SetPalette(Option<Palette>),
    /// Show or hide the key sheet.
    ShowKeys(bool),
    /// Show a card of the tour; one past the last, or none, ends it.
    Tour(Option<usize>),
    /// Close the topmost thing that is open.
    Escape,
    /// Take a card away.
    Dismiss(u64),
}
