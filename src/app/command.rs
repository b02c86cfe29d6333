//! Every command without an argument, once: menu, palette, keys, key sheet and tests read this list.

use super::{layout, region::Tool};
use crate::{render::Mode, study::Verdict};
use egui::{Key, KeyboardShortcut, Modifiers};

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// File dialog for a folder.
    OpenFolder,
    /// File dialog for a file.
    OpenFile,
    /// File dialog for a folder of generated pictures.
    ImportImages,
    /// Field to type a path into.
    OpenPath,
    /// Draw the chosen prompts.
    Run,
    /// Draw all prompts.
    RunAll,
    /// Draw with the variant what A has.
    RunSameSeeds,
    /// Stop running and waiting jobs.
    Stop,
    /// Show or hide seeds, steps, guidance, size.
    RunSettings,
    /// Look at the next prompt.
    NextPrompt,
    /// Look at the previous prompt.
    PreviousPrompt,
    /// Choose all prompts in the list.
    SelectAllPrompts,
    /// Look at the next seed.
    NextSeed,
    /// Look at the previous seed.
    PreviousSeed,
    /// Next training image.
    NextEvidence,
    /// Previous training image.
    PreviousEvidence,
    /// Show only this class, or stop doing so.
    Filter(Verdict),
    /// Show all classes.
    ClearFilter,
    /// Draw the Stage in this mode.
    Show(Mode),
    /// Training image past a line.
    ToggleSplit,
    /// The variant's picture on the Stage, or the original's.
    ShowVariant,
    /// The variant's picture as the partner, or a training image.
    AgainstVariant,
    /// Original and variant beside each other.
    SideBySide,
    /// Search for what remembers, as the Bench is set.
    Search,
    /// Write the variant on the bench to its file.
    SaveVariant,
    /// Overlay controls on the Stage.
    ToggleControls,
    /// Take a tool that edits the region, or put it away.
    Region(Tool),
    /// Tools add, or take away.
    EraseRegion,
    /// The brush has a soft edge, or a hard one.
    SoftBrush,
    /// The segmenter's own region again.
    ResetRegion,
    /// Numbers of the pixel under the pointer.
    ToggleInspector,
    /// Hard pixel edges, or smooth between pixels.
    ToggleNearest,
    /// Where the last step's attention to the end token was bright, over the picture.
    ToggleEnding,
    /// Where guidance changed the last step, over the picture.
    ToggleChange,
    /// Closer.
    ZoomIn,
    /// Farther.
    ZoomOut,
    /// Whole picture.
    ZoomFit,
    /// Back to the study's thresholds.
    ResetThresholds,
    /// The reference's fixed thresholds.
    ReferenceThresholds,
    /// Thresholds at a false-alarm rate of 1 % of the gallery's null; measures it first if need be.
    SuggestedThresholds,
    /// Measure the gallery's null.
    Calibrate,
    /// Look for pictures of a prompt that repeat each other.
    Repeats,
    /// Shows how well signs of memorization tell.
    Signals,
    /// Undo.
    Undo,
    /// Redo.
    Redo,
    /// This list.
    Palette,
    /// The sheet of keys.
    Keys,
    /// Full-screen stage.
    Present,
    /// Full-screen stage that plays by itself.
    Autoplay,
    /// Five cards that explain the window.
    Tour,
    /// Published weights: what there is, and getting some.
    Weights,
    /// Take pictures that other programs push, or stop that.
    Listen,
    /// Dark or light.
    ToggleTheme,
    /// Larger type.
    LargerType,
    /// Smaller type.
    SmallerType,
    /// Bring a pane to the front.
    Pane(layout::Pane),
    /// One pane in the whole window, or all of them again.
    Maximize,
    /// Panes where they were at first.
    ResetLayout,
    /// What the window costs, over the panes.
    Figures,
    /// The next training image, showing through.
    RevealNext,
    /// The training image in the system's file manager.
    ShowInFolder,
    /// Take all cards away.
    DismissNotices,
    /// Write a report of what is shown.
    ExportReport,
    /// Write the report and its tables.
    ExportTables,
    /// Write the Reveal as an animated GIF.
    RevealGif,
    /// Write the Reveal as an animated WebP.
    RevealWebp,
    /// The shown picture with its overlay, to paste elsewhere.
    CopyPicture,
    /// Leave.
    Quit,
}

/// Chapters of the key sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chapter {
    /// Opening and running.
    Study,
    /// Prompts, seeds, evidence.
    Walk,
    /// The Stage.
    Stage,
    /// The window.
    Window,
}

impl Chapter {
    /// All chapters.
    pub const ALL: [Self; 4] = [Self::Study, Self::Walk, Self::Stage, Self::Window];

    /// Heading on the key sheet.
    pub fn name(self) -> &'static str {
        match self {
            Self::Study => "Study",
            Self::Walk => "Prompts and evidence",
            Self::Stage => "Stage",
            Self::Window => "Window",
        }
    }
}

impl Command {
    /// All commands, in the order of the palette.
    pub fn all() -> Vec<Self> {
        use Command::*;
        let mut all = vec![
            OpenFolder,
            OpenFile,
            OpenPath,
            ImportImages,
            Run,
            RunAll,
            RunSameSeeds,
            Stop,
            RunSettings,
            Search,
            SaveVariant,
            ExportReport,
            ExportTables,
        ];
        all.extend([
            NextPrompt,
            PreviousPrompt,
            SelectAllPrompts,
            NextSeed,
            PreviousSeed,
            NextEvidence,
            PreviousEvidence,
            RevealNext,
            ShowInFolder,
        ]);
        all.extend(Verdict::ALL.map(Filter));
        all.push(ClearFilter);
        all.extend(Mode::ALL.map(Show));
        all.extend(Tool::ALL.map(Region));
        all.extend([EraseRegion, SoftBrush, ResetRegion]);
        all.extend([
            ToggleSplit,
            ShowVariant,
            AgainstVariant,
            SideBySide,
            ToggleControls,
            ToggleInspector,
            ToggleNearest,
            ToggleEnding,
            ToggleChange,
            CopyPicture,
            RevealGif,
            RevealWebp,
            ZoomIn,
            ZoomOut,
            ZoomFit,
            ResetThresholds,
            ReferenceThresholds,
            SuggestedThresholds,
            Calibrate,
            Repeats,
            Signals,
            Undo,
            Redo,
        ]);
        all.extend([
            Palette,
            Keys,
            Present,
            Autoplay,
            Tour,
            Weights,
            Listen,
            ToggleTheme,
            LargerType,
            SmallerType,
            Maximize,
            ResetLayout,
            Figures,
            DismissNotices,
            Quit,
        ]);
        all.extend(layout::Pane::ALL.map(Pane));
        all
    }

    /// Its name, and what it does in a sentence.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::OpenFolder => (
                "Open folder…",
                "A study, a checkpoint or a gallery of training images",
            ),
            Self::OpenFile => (
                "Open file…",
                "A list of prompts (CSV, JSONL or plain lines) or a study.toml",
            ),
            Self::ImportImages => (
                "Import images…",
                "A folder of finished pictures, to compare with the open gallery without any model",
            ),
            Self::OpenPath => ("Open by path…", "Type or paste the path of a folder or file"),
            Self::Run => (
                "Run",
                "Draw the chosen prompts with the seeds of the run settings",
            ),
            Self::RunAll => ("Run all prompts", "Draw every prompt of the study"),
            Self::RunSameSeeds => (
                "Run on the same seeds",
                "Draw with variant B every prompt and seed that A has",
            ),
            Self::Search => (
                "Find what remembers",
                "Search with the Bench's method for its prompts; what comes out is a variant, at B and in the study's folder variants",
            ),
            Self::SaveVariant => ("Save variant", "Write the variant on the bench to its file"),
            Self::ShowVariant => ("Show B", "The variant's picture on the Stage, or A's again"),
            Self::AgainstVariant => (
                "Against B",
                "Split, blink and compare with the variant's picture instead of a training image",
            ),
            Self::SideBySide => (
                "Side by side",
                "A and B beside each other, moved and zoomed together",
            ),
            Self::Stop => ("Stop", "Stop running and waiting jobs; what is finished stays"),
            Self::RunSettings => ("Run settings", "Seeds, steps, guidance, size, scheduler"),
            Self::ExportReport => (
                "Export report",
                "One HTML file with everything the shown runs say, at these thresholds",
            ),
            Self::ExportTables => (
                "Export report and tables",
                "The report, and beside it scores as CSV in the reference's columns, everything as JSON, a row a picture as Parquet",
            ),
            Self::RevealGif => (
                "Export Reveal as GIF",
                "The training image coming through the picture and going again, 256 colours, beside the reports",
            ),
            Self::RevealWebp => (
                "Export Reveal as WebP",
                "The training image coming through the picture and going again, without loss, beside the reports",
            ),
            Self::CopyPicture => (
                "Copy picture",
                "The shown picture with its overlay, to paste elsewhere",
            ),
            Self::NextPrompt => ("Next prompt", "Look at the next prompt of the list"),
            Self::PreviousPrompt => ("Previous prompt", "Look at the previous prompt of the list"),
            Self::SelectAllPrompts => (
                "Select all prompts",
                "Choose every prompt the filters let through",
            ),
            Self::NextSeed => ("Next seed", "Look at the next picture of this prompt"),
            Self::PreviousSeed => ("Previous seed", "Look at the previous picture of this prompt"),
            Self::NextEvidence => ("Next training image", "Compare with the next best training image"),
            Self::PreviousEvidence => (
                "Previous training image",
                "Compare with the training image before",
            ),
            Self::Filter(Verdict::Verbatim) => ("Show VM only", "Foreground and background copied"),
            Self::Filter(Verdict::ForegroundOnly) => ("Show FM only", "Foreground copied, background new"),
            Self::Filter(Verdict::BackgroundOnly) => ("Show BM only", "Background copied, foreground new"),
            Self::Filter(Verdict::NotMemorized) => ("Show NM only", "Neither region copied"),
            Self::ClearFilter => ("Show all classes", "Take the class filter away"),
            Self::Show(Mode::Plain) => ("Plain", "The generated picture alone"),
            Self::Show(Mode::Heat) => ("Heat", "Similarity of foreground and background as heat maps"),
            Self::Show(Mode::Isolate) => ("Isolate", "What is not copied goes grey and dark"),
            Self::Show(Mode::Outline) => ("Outline", "A line around what is copied"),
            Self::Show(Mode::Reveal) => (
                "Reveal",
                "The training image shows through where the match is strong",
            ),
            Self::Show(Mode::Difference) => ("Difference", "Signed difference in lightness"),
            Self::Show(Mode::Blink) => (
                "Blink",
                "Generated picture and training image (or A and B) in turn",
            ),
            Self::ToggleSplit => ("Split", "Training image past a line that can be dragged"),
            Self::ToggleControls => (
                "Overlay controls",
                "Opacity, threshold, softness and colours of the overlay",
            ),
            Self::Region(Tool::Brush) => ("Region brush", "Draw the foreground with a round brush"),
            Self::Region(Tool::Lasso) => ("Region lasso", "Draw a line around what is foreground, or is not"),
            Self::Region(Tool::Click) => (
                "Region by clicks",
                "SAM finds the object that is clicked, or framed by a drag",
            ),
            Self::EraseRegion => (
                "Region: add or take away",
                "What the region tools do; Alt does the other",
            ),
            Self::SoftBrush => ("Soft brush", "The brush fades out towards its edge"),
            Self::ResetRegion => ("Reset region", "The segmenter's own region and its scores again"),
            Self::ToggleInspector => (
                "Pixel inspector",
                "Colours, similarity and region of the pixel under the pointer, enlarged",
            ),
            Self::ToggleNearest => (
                "Hard pixels",
                "Draw pixels with hard edges, or smooth between them",
            ),
            Self::ToggleEnding => (
                "Bright ending",
                "Layer: attention to the end token at the last step, where it was recorded; bright where pictures are \
                 remembered (Chen et al. 2025)",
            ),
            Self::ToggleChange => (
                "Score difference",
                "Layer: where the prompt changed the last step's noise most, where it was recorded",
            ),
            Self::ZoomIn => ("Zoom in", "Closer to the picture"),
            Self::ZoomOut => ("Zoom out", "Away from the picture"),
            Self::ZoomFit => ("Fit picture", "The whole picture in the canvas"),
            Self::ResetThresholds => ("Reset thresholds", "Back to the thresholds of the study"),
            Self::ReferenceThresholds => (
                "Reference thresholds 0.80",
                "The fixed thresholds of the FB-Mem code, for foreground and background",
            ),
            Self::SuggestedThresholds => (
                "Suggested thresholds at 1 %",
                "At most 1 % of the gallery's own unrelated pictures reach each of them",
            ),
            Self::Calibrate => (
                "Calibrate on the gallery",
                "Measure what the gallery's own unrelated pictures score (its null)",
            ),
            Self::Repeats => (
                "Compare pictures with each other",
                "The largest group of each prompt's pictures that all repeat each other (Carlini et al.'s cliques)",
            ),
            Self::Signals => (
                "Detection signals",
                "How well noise norm, bright ending and the like tell copied pictures, step by step (Calibration, Signals)",
            ),
            Self::Undo => ("Undo", "Take back a change of thresholds or selection"),
            Self::Redo => ("Redo", "Do again what was undone"),
            Self::Palette => ("Commands…", "Find any command by name"),
            Self::Keys => ("Keys", "All keys on one sheet"),
            Self::Present => ("Present", "Full-screen stage with large type"),
            Self::Autoplay => (
                "Play",
                "Full-screen stage that shows one picture after the other by itself",
            ),
            Self::Tour => ("Tour", "Five cards that explain the window"),
            Self::Weights => (
                "Weights…",
                "Published segmenters and embedders: which are here, and getting one from the internet",
            ),
            Self::Listen => (
                "Listen for pictures",
                "Take pictures that other programs on this machine push, or stop taking them",
            ),
            Self::ToggleTheme => ("Dark or light", "Change the appearance"),
            Self::LargerType => ("Larger type", "Make everything larger"),
            Self::SmallerType => ("Smaller type", "Make everything smaller"),
            Self::Pane(pane) => pane.command(),
            Self::Maximize => (
                "Maximize pane",
                "The pane under the pointer in the whole window, or all panes again",
            ),
            Self::ResetLayout => ("Reset layout", "Panes where they were at first"),
            Self::Figures => (
                "Figures of the window",
                "Time per frame, why it draws, memory of small pictures, what waits",
            ),
            Self::RevealNext => ("Reveal next", "The next training image shows through the picture"),
            Self::ShowInFolder => (
                "Show in file manager",
                "Open the folder of the chosen training image",
            ),
            Self::DismissNotices => ("Dismiss notices", "Take all notice cards away"),
            Self::Quit => ("Quit", "Close the window"),
        }
    }

    /// Its key, if it has one.
    pub fn shortcut(self) -> Option<KeyboardShortcut> {
        let plain = |key| Some(KeyboardShortcut::new(Modifiers::NONE, key));
        let command = |key| Some(KeyboardShortcut::new(Modifiers::COMMAND, key));
        let both = |key| Some(KeyboardShortcut::new(Modifiers::COMMAND | Modifiers::SHIFT, key));
        match self {
            Self::OpenFolder => command(Key::O),
            Self::OpenPath => both(Key::O),
            Self::ExportReport => command(Key::E),
            Self::CopyPicture => command(Key::C),
            Self::Run => command(Key::Enter),
            Self::RunAll => both(Key::Enter),
            Self::Stop => command(Key::Period),
            Self::RunSettings => command(Key::Comma),
            Self::NextPrompt => plain(Key::J),
            Self::PreviousPrompt => plain(Key::K),
            Self::SelectAllPrompts => command(Key::A),
            Self::NextSeed => plain(Key::CloseBracket),
            Self::PreviousSeed => plain(Key::OpenBracket),
            Self::Figures => plain(Key::F12),
            Self::RevealNext => plain(Key::N),
            Self::NextEvidence => plain(Key::ArrowDown),
            Self::PreviousEvidence => plain(Key::ArrowUp),
            Self::Filter(Verdict::Verbatim) => plain(Key::Num1),
            Self::Filter(Verdict::ForegroundOnly) => plain(Key::Num2),
            Self::Filter(Verdict::BackgroundOnly) => plain(Key::Num3),
            Self::Filter(Verdict::NotMemorized) => plain(Key::Num4),
            Self::Show(Mode::Plain) => plain(Key::P),
            Self::Show(Mode::Heat) => plain(Key::H),
            Self::Show(Mode::Isolate) => plain(Key::I),
            Self::Show(Mode::Outline) => plain(Key::O),
            Self::Show(Mode::Reveal) => plain(Key::R),
            Self::Show(Mode::Difference) => plain(Key::D),
            Self::Show(Mode::Blink) => plain(Key::B),
            Self::ToggleSplit => plain(Key::S),
            Self::ShowVariant => plain(Key::M),
            Self::AgainstVariant => plain(Key::V),
            Self::SideBySide => plain(Key::X),
            Self::RunSameSeeds => both(Key::B),
            Self::ToggleControls => plain(Key::C),
            Self::Region(Tool::Brush) => plain(Key::E),
            Self::Region(Tool::Lasso) => plain(Key::L),
            Self::Region(Tool::Click) => plain(Key::W),
            Self::EraseRegion => plain(Key::A),
            Self::ToggleInspector => plain(Key::G),
            Self::ToggleNearest => plain(Key::T),
            Self::ToggleEnding => plain(Key::Y),
            Self::ToggleChange => plain(Key::U),
            Self::ZoomIn => plain(Key::Plus),
            Self::ZoomOut => plain(Key::Minus),
            Self::ZoomFit => plain(Key::Num0),
            Self::Undo => command(Key::Z),
            Self::Redo => both(Key::Z),
            Self::Palette => command(Key::K),
            Self::Keys => plain(Key::F1),
            Self::Present => plain(Key::F11),
            Self::Autoplay => plain(Key::F5),
            Self::LargerType => command(Key::Plus),
            Self::SmallerType => command(Key::Minus),
            Self::Maximize => command(Key::M),
            Self::Pane(pane) => pane.key().and_then(command),
            Self::Quit => command(Key::Q),
            Self::OpenFile
            | Self::ImportImages
            | Self::Search
            | Self::SaveVariant
            | Self::SoftBrush
            | Self::ResetRegion
            | Self::ClearFilter
            | Self::ResetThresholds
            | Self::Tour
            | Self::Weights
            | Self::Listen
            | Self::ReferenceThresholds
            | Self::SuggestedThresholds
            | Self::Calibrate
            | Self::Repeats
            | Self::Signals
            | Self::ToggleTheme
            | Self::ResetLayout
            | Self::ShowInFolder
            | Self::ExportTables
            | Self::RevealGif
            | Self::RevealWebp
            | Self::DismissNotices => None,
        }
    }

    /// Its key in words, as the platform writes it.
    pub fn key_text(self) -> Option<String> {
        self.shortcut().map(|s| key_text(&s))
    }

    /// Where the key sheet lists it.
    pub fn chapter(self) -> Chapter {
        match self {
            Self::OpenFolder | Self::OpenFile | Self::OpenPath | Self::ImportImages => Chapter::Study,
            Self::Run | Self::RunAll | Self::Stop | Self::RunSettings => Chapter::Study,
            Self::RunSameSeeds | Self::Search | Self::SaveVariant => Chapter::Study,
            Self::ExportReport | Self::ExportTables | Self::Weights => Chapter::Study,
            Self::CopyPicture | Self::RevealGif | Self::RevealWebp => Chapter::Stage,
            Self::NextPrompt | Self::PreviousPrompt | Self::SelectAllPrompts => Chapter::Walk,
            Self::RevealNext | Self::ShowInFolder => Chapter::Walk,
            Self::NextSeed | Self::PreviousSeed | Self::NextEvidence | Self::PreviousEvidence => {
                Chapter::Walk
            }
            Self::Filter(_) | Self::ClearFilter => Chapter::Walk,
            Self::Show(_) | Self::ToggleSplit | Self::ToggleControls => Chapter::Stage,
            Self::Region(_) | Self::EraseRegion | Self::SoftBrush | Self::ResetRegion => Chapter::Stage,
            Self::ToggleInspector | Self::ToggleNearest => Chapter::Stage,
            Self::ToggleEnding | Self::ToggleChange => Chapter::Stage,
            Self::ZoomIn | Self::ZoomOut | Self::ZoomFit | Self::Present | Self::Autoplay => Chapter::Stage,
            Self::ShowVariant | Self::AgainstVariant | Self::SideBySide => Chapter::Stage,
            _ => Chapter::Window,
        }
    }
}

/// A key in words: “Ctrl Shift O”.
fn key_text(shortcut: &KeyboardShortcut) -> String {
    let mut words = Vec::new();
    if shortcut.modifiers.command {
        words.push(if cfg!(target_os = "macos") { "Cmd" } else { "Ctrl" });
    }
    if shortcut.modifiers.shift {
        words.push("Shift");
    }
    words.push(match shortcut.logical_key {
        Key::ArrowDown => "Down",
        Key::ArrowUp => "Up",
        Key::Plus => "+",
        Key::Minus => "-",
        Key::OpenBracket => "[",
        Key::CloseBracket => "]",
        Key::Period => ".",
        Key::Comma => ",",
        key => key.name(),
    });
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_key_means_two_things() {
        let mut seen = HashSet::new();
        for command in Command::all() {
            if let Some(key) = command.key_text() {
                assert!(seen.insert(key.clone()), "{command:?} shares {key}");
            }
        }
    }

    #[test]
    fn every_command_has_its_own_name() {
        let names: HashSet<_> = Command::all().into_iter().map(|c| c.words().0).collect();
        assert_eq!(names.len(), Command::all().len());
    }
}
