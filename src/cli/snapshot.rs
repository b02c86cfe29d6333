//! `pentimento snapshot`: the window on a study as a picture, without a display. The only command that knows the window.

use crate::{
    app::{Action, App, AppOptions, Command, Offscreen, Pane, Pick, View},
    engine,
    store::write_whole,
    study::{GenerationKey, Problem},
};
use clap::{Args, ValueEnum};
use std::{
    io::Cursor,
    path::{Path, PathBuf},
};

use super::args::Common;

/// Dark or light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Appearance {
    /// Quiet graphite.
    Dark,
    /// Paper.
    Light,
}

/// `pentimento snapshot`.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// What to open: whatever the window opens; the demo study when nothing is named
    pub study: Option<PathBuf>,
    /// The PNG file to write
    #[arg(long)]
    pub out: PathBuf,
    /// Size of the window in points, WIDTHxHEIGHT
    #[arg(long, default_value = "1440x900", value_parser = size)]
    pub size: Size,
    /// Pixels per point
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    pub scale: f32,
    /// Appearance
    #[arg(long, value_enum, default_value_t = Appearance::Dark)]
    pub theme: Appearance,
    /// Bring this pane to the front of its tabs; may be given several times
    #[arg(long, value_name = "PANE", value_parser = pane)]
    pub front: Vec<Pane>,
    /// Show this pane alone, without the bar
    #[arg(long, value_name = "PANE", value_parser = pane)]
    pub pane: Option<Pane>,
    /// Look at this prompt: its number, or its text
    #[arg(long)]
    pub prompt: Option<String>,
    /// Look at the picture of this seed
    #[arg(long)]
    pub seed: Option<u64>,
    /// Compare with this variant of the study, by its name
    #[arg(long)]
    pub variant: Option<String>,
    /// Open this too, after the study: a variant, labels, pictures to import; may be given several times
    #[arg(long, value_name = "PATH")]
    pub open: Vec<PathBuf>,
    /// Carry out a command of the palette by its name, such as "Reveal", "Keys" or "Present"; may be given several times
    #[arg(long = "do", value_name = "COMMAND", value_parser = command)]
    pub commands: Vec<Command>,
    /// Also write name, role and place of everything that can be reached on the screen, as JSON
    #[arg(long)]
    pub controls: Option<PathBuf>,
}

/// A parsed size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub [u32; 2]);

fn size(text: &str) -> Result<Size, String> {
    let side = |t: &str| t.trim().parse::<u32>().ok().filter(|s| (64..=16384).contains(s));
    let parts = text.split_once(['x', '×']);
    let both = parts.and_then(|(w, h)| Some([side(w)?, side(h)?]));
    both.map(Size)
        .ok_or_else(|| "a size is WIDTHxHEIGHT, each side 64 to 16384 points".to_owned())
}

fn scale(text: &str) -> Result<f32, String> {
    let value = text.parse::<f32>().ok().filter(|s| (0.5..=4.0).contains(s));
    value.ok_or_else(|| "a number from 0.5 to 4 is needed".to_owned())
}

fn pane(text: &str) -> Result<Pane, String> {
    let found = Pane::ALL
        .into_iter()
        .find(|p| p.title().eq_ignore_ascii_case(text));
    found.ok_or_else(|| {
        let names = Pane::ALL.map(Pane::title).join(", ").to_lowercase();
        format!("“{text}” is no pane; known: {names}")
    })
}

/// A command that a picture can show the outcome of, by its name in the palette.
fn command(text: &str) -> Result<Command, String> {
    let plain = |name: &str| name.trim_end_matches('…').to_lowercase();
    let found = Command::all()
        .into_iter()
        .find(|c| plain(c.words().0) == plain(text))
        .ok_or_else(|| format!("“{text}” is no command of the palette"))?;
    match found {
        Command::OpenFolder
        | Command::OpenFile
        | Command::ImportImages
        | Command::SaveVariant
        | Command::ExportReport
        | Command::ExportTables
        | Command::RevealGif
        | Command::RevealWebp
        | Command::CopyPicture
        | Command::Listen
        | Command::Quit => Err(format!("“{text}” does nothing that a picture could show")),
        shown => Ok(shown),
    }
}

/// Opens the study in a window without a display, brings it into the state asked for, and writes its picture.
pub fn run(args: &SnapshotArgs, common: &Common) -> Result<(), Problem> {
    let handle = super::start_engine(common, None, engine::default_segmenter())?;
    let open = args.study.clone().or_else(engine::demo_study);
    let app_options = AppOptions {
        open: open.clone(),
        ..AppOptions::default()
    };
    let view = View {
        size: args.size.0,
        scale: args.scale,
        dark: args.theme == Appearance::Dark,
    };
    let mut window = Offscreen::new(view, |ctx, gpu| {
        App::build(ctx, None, Some(gpu), handle, app_options)
    })?;
    settle(&mut window);
    if open.is_some() && window.app().state().study.outline().is_none() {
        let notices = &window.app().state().notices;
        let reason = notices.last().map(|n| n.problem.clone());
        return Err(reason.unwrap_or_else(|| Problem::new("Nothing was opened", "Name a study.")));
    }
    arrange(args, &mut window)?;
    settle(&mut window);
    for path in &args.open {
        window.app().ask(Action::Open(path.clone()));
        settle(&mut window);
    }
    for &command in &args.commands {
        window.app().ask(Action::Command(command));
        settle(&mut window);
    }
    let picture = match args.pane {
        Some(_) => window.picture_below_bar()?,
        None => window.picture()?,
    };
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(|e| super::failed("The picture cannot be written as PNG", &e))?;
    write_whole(&args.out, png.get_ref())?;
    if let Some(path) = &args.controls {
        write_controls(path, &window)?;
    }
    println!("{}", args.out.display());
    Ok(())
}

fn settle(window: &mut Offscreen) {
    if !window.settle() {
        eprintln!("pentimento: nothing has changed for half a minute; the picture shows what is there");
    }
}

/// Panes, variant, prompt and seed.
fn arrange(args: &SnapshotArgs, window: &mut Offscreen) -> Result<(), Problem> {
    let app = window.app();
    app.show_alone(args.pane);
    for &pane in &args.front {
        app.bring_forward(pane);
    }
    if let Some(name) = &args.variant {
        let variants = &app.state().variants;
        let found = variants.iter().find(|v| v.name == *name).cloned();
        let Some(found) = found else {
            let known: Vec<_> = variants.iter().map(|v| v.name.clone()).collect();
            let told = Problem::new("The study has no such variant", "Name one of its variants.");
            return Err(told.detail(format!("known: {}", known.join(", "))));
        };
        app.ask(Action::SetVariant(Some(found)));
    }
    if let Some(text) = &args.prompt {
        let prompts = app.state().study.prompts();
        let number = text.parse::<u32>().ok();
        let found = prompts
            .iter()
            .find(|p| Some(p.index) == number)
            .or_else(|| prompts.iter().find(|p| p.text == *text))
            .or_else(|| prompts.iter().find(|p| p.text.contains(text.as_str())));
        let Some(index) = found.map(|p| p.index) else {
            let advice = "Name it by its number in the list, counted from 0, or by its text.";
            return Err(Problem::new("The study has no such prompt", advice).detail(text.clone()));
        };
        app.ask(Action::PickPrompt(index, Pick::Only));
    }
    settle(window);
    let app = window.app();
    if let (Some(seed), Some(prompt)) = (args.seed, app.state().selection.prompt) {
        app.ask(Action::PickGeneration(GenerationKey { prompt, seed }));
    }
    Ok(())
}

fn write_controls(path: &Path, window: &Offscreen) -> Result<(), Problem> {
    let text = serde_json::to_string_pretty(window.controls())
        .map_err(|e| super::failed("The list of controls cannot be written", &e))?;
    write_whole(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_panes_and_commands_are_read_by_their_names() {
        assert_eq!(size("800x600"), Ok(Size([800, 600])));
        assert!(size("800").is_err() && size("1x1").is_err() && size("99999x600").is_err());
        assert!(scale("2").is_ok() && scale("0").is_err() && scale("nan").is_err());
        for each in Pane::ALL {
            assert_eq!(pane(each.title()), Ok(each));
        }
        assert!(pane("cellar").unwrap_err().contains("prompts"));
        assert_eq!(command("reveal"), Ok(Command::Show(crate::render::Mode::Reveal)));
        assert_eq!(command("commands"), Ok(Command::Palette));
        assert!(command("quit").is_err() && command("dance").is_err());
    }
}
