//! The program: a window, or a command without one.

use clap::Parser;
use pentimento::{app, cli, engine};
use std::{process::ExitCode, sync::Arc, time::Instant};

fn main() -> ExitCode {
    let started = Instant::now();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn,wgpu_hal=error")).init();
    let args = cli::Cli::parse();
    match args.command {
        Some(command) => cli::run(command, &args.common),
        None => window(&args, started),
    }
}

fn window(args: &cli::Cli, started: Instant) -> ExitCode {
    let open = args.study.clone().or_else(engine::demo_study);
    let engine_options = engine::EngineOptions {
        threads: args.common.threads,
        run_folder: None,
        default_segmenter: engine::default_segmenter(),
        device: args.common.device,
    };
    let result = eframe::run_native(
        "pentimento",
        app::native_options(),
        Box::new(move |cc| {
            let (handle, side) = engine::EngineHandle::pair();
            let ctx = cc.egui_ctx.clone();
            engine::start(side, engine_options, Arc::new(move || ctx.request_repaint()))?;
            let options = app::AppOptions {
                open,
                // The engine tells it, since opening a graphics processor takes a moment.
                device: String::new(),
                tour: args.study.is_none(),
                started: Some(started),
                listen: args.listen,
                shaders: cfg!(debug_assertions)
                    .then(|| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders")),
                weights: app::WeightOptions {
                    places: None,
                    mirror: std::env::var("PENTIMENTO_MIRROR").ok().filter(|m| !m.is_empty()),
                },
            };
            Ok(Box::new(app::App::new(cc, handle, options)))
        }),
    );
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "pentimento: the window cannot be opened: {error}\n\
                 A display and a graphics adapter (a software one such as Mesa's lavapipe is enough) are \
                 needed.\n`pentimento doctor` tells what this machine offers; `pentimento scan`, `score` and \
                 `generate` need no display."
            );
            ExitCode::FAILURE
        }
    }
}
