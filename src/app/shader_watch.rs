//! Shaders that reload while the program runs: debug builds look at the files they were built from and draw with what
//! is written there. A thread of its own reads, checks and builds; the window only exchanges the finished pipeline.

use crate::{
    render::{LocalMapPass, OverlayRenderer},
    study::Problem,
};
use crossbeam_channel::{Receiver, Sender, unbounded};
use eframe::egui_wgpu;
use egui::Context;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    thread,
    time::{Duration, SystemTime},
};

/// How long after a file was saved the picture changes at most.
const PERIOD: Duration = Duration::from_millis(300);
/// No shader of ours is as long.
const MAX_BYTES: u64 = 1 << 20;
/// The files, and which are one shader together.
const FILES: [&str; 3] = ["colormap.wgsl", "overlay.wgsl", "local_map.wgsl"];

/// What became of shaders that were saved.
pub struct ShaderWatch {
    told: Receiver<Result<(), Problem>>,
    /// The thread ends when this is gone.
    _alive: Arc<()>,
}

/// The shaders as they are on disk.
#[derive(Clone, Debug, PartialEq)]
struct Sources {
    overlay: String,
    local_map: String,
}

impl ShaderWatch {
    /// Watches the files in `folder`. `None` when they are not there: the program was moved away from its sources.
    pub fn start(ctx: &Context, gpu: &egui_wgpu::RenderState, folder: PathBuf) -> Option<Self> {
        let (ctx, gpu) = (ctx.clone(), gpu.clone());
        Self::start_with(folder, move |sources| {
            let made = use_shaders(&gpu, sources);
            ctx.request_repaint();
            made
        })
    }

    fn start_with(
        folder: PathBuf,
        mut show: impl FnMut(&Sources) -> Result<(), String> + Send + 'static,
    ) -> Option<Self> {
        let saved = times(&folder)?;
        let (tell, told) = unbounded();
        let alive = Arc::new(());
        let watched = Arc::downgrade(&alive);
        let started = thread::Builder::new().name("shaders".into()).spawn(move || {
            watch(&folder, saved, &watched, &tell, &mut show);
        });
        started.ok().map(|_| Self { told, _alive: alive })
    }

    /// What became of the shaders saved since the last call.
    pub fn told(&self) -> impl Iterator<Item = Result<(), Problem>> {
        self.told.try_iter()
    }
}

fn watch(
    folder: &Path,
    mut saved: [SystemTime; 3],
    alive: &Weak<()>,
    tell: &Sender<Result<(), Problem>>,
    show: &mut dyn FnMut(&Sources) -> Result<(), String>,
) {
    while alive.strong_count() > 0 {
        thread::sleep(PERIOD);
        // An editor may take a file away before it puts the new one there.
        let Some(now) = times(folder).filter(|now| *now != saved) else {
            continue;
        };
        saved = now;
        let made = read(folder)
            .map_err(|e| e.to_string())
            .and_then(|sources| show(&sources));
        let problem = |detail| {
            Problem::new(
                "The saved shaders cannot be used",
                "The former ones stay in use. Mend the place that is named and save again.",
            )
            .at(folder)
            .detail(detail)
        };
        if tell.send(made.map_err(problem)).is_err() {
            return;
        }
    }
}

fn times(folder: &Path) -> Option<[SystemTime; 3]> {
    let time = |name: &&str| fs::metadata(folder.join(name)).and_then(|m| m.modified()).ok();
    let times: Option<Vec<_>> = FILES.iter().map(time).collect();
    times?.try_into().ok()
}

fn read(folder: &Path) -> io::Result<Sources> {
    let read = |name: &str| {
        let path = folder.join(name);
        if fs::metadata(&path)?.len() > MAX_BYTES {
            return Err(io::Error::other(format!("{name} is larger than 1 MB")));
        }
        fs::read_to_string(path)
    };
    let [ramps, overlay, local_map] = FILES.map(read);
    Ok(Sources {
        overlay: ramps? + &overlay?,
        local_map: local_map?,
    })
}

/// Builds both shaders and draws with them from the next frame on.
fn use_shaders(gpu: &egui_wgpu::RenderState, sources: &Sources) -> Result<(), String> {
    let workshop = {
        let renderer = gpu.renderer.read();
        let overlay = renderer.callback_resources.get::<OverlayRenderer>();
        overlay.map(OverlayRenderer::workshop)
    };
    let workshop = workshop.ok_or_else(|| "there is no Stage to draw".to_owned())?;
    // Without the renderer's lock, which every frame takes.
    let pipeline = workshop.build(&gpu.device, &sources.overlay)?;
    let local_map = LocalMapPass::from_source(&gpu.device, &sources.local_map)?;
    let mut renderer = gpu.renderer.write();
    if let Some(overlay) = renderer.callback_resources.get_mut::<OverlayRenderer>() {
        overlay.exchange(pipeline, local_map);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            fs::write(folder.path().join(name), format!("// {name}\n")).unwrap();
        }
        folder
    }

    #[test]
    fn a_saved_shader_is_shown_and_one_that_fails_is_told() {
        let folder = folder();
        let (shown, seen) = unbounded();
        let watch = ShaderWatch::start_with(folder.path().to_owned(), move |sources| {
            shown.send(sources.clone()).unwrap();
            if sources.overlay.contains("bad") {
                Err("line 1: bad".to_owned())
            } else {
                Ok(())
            }
        });
        let watch = watch.unwrap();
        let wait = Duration::from_secs(20);
        let later = SystemTime::now() + Duration::from_secs(5);
        let save = |text: &str, time: SystemTime| {
            let path = folder.path().join("overlay.wgsl");
            fs::write(&path, text).unwrap();
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        save("good", later);
        // The two halves of a save may be seen one by one.
        let sources = loop {
            let sources = seen.recv_timeout(wait).unwrap();
            if sources.overlay.ends_with("good") {
                break sources;
            }
        };
        assert_eq!(sources.overlay, "// colormap.wgsl\ngood");
        assert_eq!(sources.local_map, "// local_map.wgsl\n");
        save("bad", later + Duration::from_secs(5));
        let problem = loop {
            if let Err(problem) = watch.told.recv_timeout(wait).unwrap() {
                break problem;
            }
        };
        assert!(problem.to_string().contains("line 1: bad"), "{problem}");
    }

    #[test]
    fn away_from_its_sources_nothing_is_watched() {
        let folder = folder();
        fs::remove_file(folder.path().join("overlay.wgsl")).unwrap();
        assert!(ShaderWatch::start_with(folder.path().to_owned(), |_| Ok(())).is_none());
    }
}
