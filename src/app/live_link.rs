//! The window's side of pictures that other programs push: starts and stops the socket, takes what comes.

use super::{App, state::Listening};
use crate::{
    engine::{Job, StepPreview, TakeJob, user_data},
    gallery::decode_rgb_bytes,
    live::{Message, Pushed, Server, Sink, Still},
    study::{GenerationKey, Problem},
};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use egui::Context;
use image::RgbImage;
use std::{path::Path, sync::Arc, thread};

/// Name that pushed pictures go by: beside the study's own, as B.
pub const NAME: &str = "pushed";
/// Messages that may wait for the window; a client whose message does not fit waits with it.
const WAITING: usize = 64;
/// File in the data folder by which clients of the same user find the window.
const FILE: &str = "live.json";

/// What a client told, decoded on its own thread.
enum Heard {
    Picture(Pushed, RgbImage),
    Still(Still, RgbImage),
}

/// How starting to listen ended.
type Start = Result<Server, String>;

/// The socket and what it hears.
pub struct LiveLink {
    heard: Receiver<Heard>,
    sink: Sink,
    started: (Sender<Start>, Receiver<Start>),
    server: Option<Server>,
}

impl LiveLink {
    /// Nothing listens yet.
    pub fn new(ctx: &Context) -> Self {
        let (told, heard) = bounded(WAITING);
        let ctx = ctx.clone();
        let sink: Sink = Arc::new(move |message| {
            let decode =
                |file: &[u8]| decode_rgb_bytes(Path::new("the picture"), file).map_err(|e| e.to_string());
            let heard = match message {
                Message::Picture(mut pushed) => {
                    if pushed.prompt.trim().is_empty() {
                        return Err("the prompt is empty".to_owned());
                    }
                    let image = decode(&std::mem::take(&mut pushed.file))?;
                    Heard::Picture(pushed, image)
                }
                Message::Still(mut still) => {
                    let image = decode(&std::mem::take(&mut still.file))?;
                    Heard::Still(still, image)
                }
            };
            let sent = match heard {
                // A picture that forms is of no use later; a finished one waits.
                Heard::Still(..) => match told.try_send(heard) {
                    Err(TrySendError::Disconnected(_)) => Err(()),
                    _ => Ok(()),
                },
                Heard::Picture(..) => told.send(heard).map_err(|_| ()),
            };
            ctx.request_repaint();
            sent.map_err(|()| "the window is closing".to_owned())
        });
        Self {
            heard,
            sink,
            started: bounded(1),
            server: None,
        }
    }

    /// Starts to listen, on a thread of its own: it writes a file.
    pub fn start(&self, ctx: &Context, port: u16) {
        let (sink, tell, ctx) = (self.sink.clone(), self.started.0.clone(), ctx.clone());
        let work = move || {
            let result = Server::start(port, sink)
                .map_err(|e| e.to_string())
                .inspect(write_file);
            tell.send(result).ok();
            ctx.request_repaint();
        };
        // Without a thread nothing is started, and the bar goes on saying so.
        thread::Builder::new().name("live start".into()).spawn(work).ok();
    }

    /// Stops listening; connections end.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            // Joins threads and removes a file.
            thread::Builder::new()
                .name("live stop".into())
                .spawn(move || {
                    drop(server);
                    if let Some(folder) = user_data() {
                        std::fs::remove_file(folder.join(FILE)).ok();
                    }
                })
                .ok();
        }
    }
}

/// Says where the window listens, readable for the user alone. Clients can be told by hand where it cannot be written.
fn write_file(server: &Server) {
    let Some(folder) = user_data() else { return };
    let text = serde_json::json!({
        "address": server.address().to_string(),
        "token": server.token().as_str(),
    });
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(&folder)?;
        // The temporary file is made for the user alone, and keeps that when it gets its name.
        let file = tempfile::NamedTempFile::new_in(&folder)?;
        std::fs::write(file.path(), text.to_string())?;
        file.persist(folder.join(FILE)).map_err(|e| e.error)?;
        Ok(())
    };
    if let Err(error) = write() {
        log::warn!("{}: {error}", folder.join(FILE).display());
    }
}

impl App {
    /// Starts or stops listening for pictures.
    pub(super) fn toggle_listening(&mut self, ctx: &Context, port: u16) {
        if self.live.server.is_some() {
            self.live.stop();
            self.state.listening = None;
        } else {
            self.live.start(ctx, port);
        }
    }

    /// Takes what clients told since the last frame.
    pub(super) fn hear_live(&mut self) {
        while let Ok(result) = self.live.started.1.try_recv() {
            match result {
                Ok(server) => {
                    self.state.listening = Some(Listening {
                        address: server.address().to_string(),
                        token: server.token().as_str().to_owned(),
                    });
                    self.live.server = Some(server);
                }
                Err(reason) => {
                    let advice = "Choose another port with --listen, or let the system choose one.";
                    let problem = Problem::new("Pictures cannot be listened for", advice).detail(reason);
                    self.state.notice(problem, true);
                }
            }
        }
        // Bounded, so that a flood cannot hold up a frame.
        for _ in 0..WAITING {
            let Ok(heard) = self.live.heard.try_recv() else {
                return;
            };
            match heard {
                Heard::Picture(pushed, image) => {
                    let prompt = self.state.study.add_prompt(&pushed.prompt);
                    let key = GenerationKey {
                        prompt,
                        seed: pushed.seed,
                    };
                    self.state.show_pushed(key);
                    self.submit(Job::Take(TakeJob {
                        key,
                        prompt: pushed.prompt.trim().to_owned(),
                        name: NAME.into(),
                        image: Arc::new(image),
                        noise_norm: pushed.noise_norm,
                    }));
                }
                Heard::Still(still, image) => {
                    let prompt = self.state.study.add_prompt(&still.prompt);
                    let key = GenerationKey {
                        prompt,
                        seed: still.seed,
                    };
                    self.state.show_pushed(key);
                    self.state.study.step(StepPreview {
                        key,
                        step: still.step,
                        steps: still.steps,
                        preview: Arc::new(image),
                        noise_norm: still.noise_norm,
                    });
                }
            }
        }
    }
}
