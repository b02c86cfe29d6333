//! `pentimento fetch`: published weights from the internet, after the person has seen what they are.

use super::args::{Common, FetchArgs};
use crate::{
    engine::weight_places,
    fetch::{CATALOG, Done, Model, Order, Progress, Shelf, fetch, model},
    study::Problem,
};
use std::{
    io::{BufRead, IsTerminal, Write},
    time::{Duration, Instant},
};

/// Time between lines of progress where there is no terminal.
const QUIET: Duration = Duration::from_secs(10);

/// Lists what there is, or fetches one.
pub fn run(args: &FetchArgs, common: &Common) -> Result<(), Problem> {
    let Some(name) = &args.name else {
        return list(args.json);
    };
    let names = || CATALOG.iter().map(|m| m.name).collect::<Vec<_>>().join(", ");
    let model = model(name).ok_or_else(|| {
        Problem::new(
            format!("No weights are known by the name {name:?}"),
            format!("Known are {}.", names()),
        )
    })?;
    let places = weight_places();
    let folder = match (&args.to, &places.own) {
        (Some(folder), _) => folder.clone(),
        (None, Some(own)) => own.join(model.name),
        (None, None) => {
            return Err(Problem::new(
                "There is no folder for weights",
                "Name one with --to FOLDER, or set PENTIMENTO_DATA.",
            ));
        }
    };
    if args.to.is_none()
        && let Some(found) = places.find(model).filter(|f| f.place != "fetched")
    {
        eprintln!(
            "pentimento: {} is in {} already: {}",
            model.title,
            found.place,
            found.path.display()
        );
        println!("{}", found.path.display());
        return Ok(());
    }
    let order = Order {
        sha256: args.sha256.clone(),
        mirror: args
            .mirror
            .clone()
            .or_else(|| std::env::var("PENTIMENTO_MIRROR").ok().filter(|m| !m.is_empty())),
        ..Order::new(model, folder)
    };
    introduce(model, &order);
    if !args.yes && !agreed()? {
        eprintln!("pentimento: nothing was fetched");
        return Ok(());
    }
    let mut meter = Lines::new(common.quiet);
    // Ctrl+C ends the process, at any instant; what came is kept.
    let done = fetch(&order, &|| false, &mut |p| meter.show(p));
    meter.end();
    match done? {
        Done::Fetched(path) => {
            eprintln!(
                "pentimento: fetched and checked. In study.toml:\n{}",
                model.purpose.study_line(model.name)
            );
            println!("{}", path.display());
        }
        Done::There(path) => {
            eprintln!("pentimento: already there, and what it should be");
            println!("{}", path.display());
        }
        Done::Stopped => eprintln!("pentimento: stopped; what came is kept"),
    }
    Ok(())
}

fn list(json: bool) -> Result<(), Problem> {
    let shelf = Shelf::look(&weight_places());
    if json {
        let rows: Vec<_> = shelf
            .models
            .iter()
            .map(|(m, found)| {
                serde_json::json!({
                    "name": m.name, "title": m.title, "for": m.purpose.words(), "note": m.note,
                    "bytes": m.bytes(), "licence": m.licence, "source": m.source, "pinned": m.pinned(),
                    "files": m.files.iter().map(|f| serde_json::json!({
                        "name": f.name, "url": f.url, "bytes": f.bytes, "sha256": f.sha256,
                    })).collect::<Vec<_>>(),
                    "found": found.as_ref().map(|f| &f.path),
                })
            })
            .collect();
        println!("{:#}", serde_json::json!(rows));
        return Ok(());
    }
    for (model, found) in &shelf.models {
        println!(
            "{:<14} {:<28} {:>10}  {}{}",
            model.name,
            model.title,
            model.size(),
            model.purpose.words(),
            if model.pinned() { "" } else { "; unpinned" },
        );
        println!("{:<14} {}; {}", "", model.note, model.licence);
        if let Some(found) = found {
            println!("{:<14} here: {} ({})", "", found.path.display(), found.place);
        }
    }
    Ok(())
}

/// What is about to come, and where it goes.
fn introduce(model: &Model, order: &Order) {
    eprintln!("{} ({}), for: {}", model.title, model.name, model.purpose.words());
    eprintln!("  size     {}", model.size());
    eprintln!("  licence  {}", model.licence);
    eprintln!("  source   {}", model.source);
    for file in model.files {
        let from = match &order.mirror {
            Some(mirror) => format!("{}/{}/{}", mirror.trim_end_matches('/'), model.name, file.name),
            None => file.url.to_owned(),
        };
        eprintln!("  from     {from}");
        eprintln!("  SHA-256  {}", file.sha256.unwrap_or("unpinned: none is known"));
    }
    eprintln!("  into     {}", order.folder.display());
}

fn agreed() -> Result<bool, Problem> {
    if !std::io::stdin().is_terminal() {
        return Err(Problem::new(
            "Nothing was fetched: nobody was there to agree",
            "Say --yes to fetch without being asked.",
        ));
    }
    eprint!("Fetch it? [y/N] ");
    std::io::stderr().flush().ok();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok();
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// Progress on standard error: one line that is written over, or a line now and then.
struct Lines {
    quiet: bool,
    terminal: bool,
    last: Option<Instant>,
}

impl Lines {
    fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: std::io::stderr().is_terminal(),
            last: None,
        }
    }

    fn show(&mut self, progress: Progress) {
        let pause = if self.terminal {
            Duration::from_millis(200)
        } else {
            QUIET
        };
        if self.quiet || self.last.is_some_and(|l| l.elapsed() < pause) {
            return;
        }
        self.last = Some(Instant::now());
        let words = progress.words();
        if self.terminal {
            eprint!("\r\x1b[2K{words}");
        } else {
            eprintln!("{words}");
        }
    }

    fn end(&self) {
        if self.terminal && self.last.is_some() {
            eprintln!();
        }
    }
}
