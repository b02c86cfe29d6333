//! Wakes the window when the engine has something to tell: the window sleeps otherwise, and the engine
//! knows no window.

use crate::engine::Event;
use crossbeam_channel::{Receiver, Select};
use std::{
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

/// Keeps the watching thread alive; it ends soon after this is dropped.
pub struct Wake {
    _alive: Arc<()>,
}

impl Wake {
    /// Watches `events`, without taking any, and asks for a repaint when some wait.
    pub fn new(ctx: &egui::Context, events: &Receiver<Event>) -> Self {
        let alive = Arc::new(());
        let (ctx, events, still) = (ctx.clone(), events.clone(), Arc::downgrade(&alive));
        let started = thread::Builder::new()
            .name("wake".into())
            .spawn(move || watch(&ctx, &events, &still));
        if let Err(error) = started {
            log::error!("the window will not be woken by the engine: {error}");
        }
        Self { _alive: alive }
    }
}

fn watch(ctx: &egui::Context, events: &Receiver<Event>, still: &Weak<()>) {
    /// A frame's time: time for the window to take what there is.
    const FRAME: Duration = Duration::from_millis(12);
    /// An engine that is gone leaves a channel that is always ready and always empty.
    const GONE: Duration = Duration::from_millis(200);
    while still.strong_count() > 0 {
        let mut select = Select::new();
        select.recv(events);
        select.ready();
        if events.is_empty() {
            thread::sleep(GONE);
        } else {
            ctx.request_repaint();
            thread::sleep(FRAME);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EngineHandle;
    use std::{sync::mpsc, time::Instant};

    #[test]
    fn an_event_wakes_the_window_and_is_left_to_it() {
        let ctx = egui::Context::default();
        let (woken, wakes) = mpsc::channel();
        ctx.set_request_repaint_callback(move |_| {
            woken.send(()).ok();
        });
        let (handle, engine) = EngineHandle::pair();
        let wake = Wake::new(&ctx, handle.events());
        engine.events.send(Event::GalleryReady).unwrap();
        wakes.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(matches!(handle.events().try_recv(), Ok(Event::GalleryReady)));
        let alive = Arc::downgrade(&wake._alive);
        drop(wake);
        drop(engine);
        let since = Instant::now();
        while alive.strong_count() > 0 {
            assert!(since.elapsed() < Duration::from_secs(20));
        }
    }
}
