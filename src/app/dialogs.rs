//! File dialogs, off the UI thread. The chosen path comes back over a channel.

use crossbeam_channel::{Receiver, Sender, unbounded};
use std::{
    future::Future,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

/// Opens dialogs and collects what was chosen.
pub struct Dialogs {
    chosen: Sender<(Wanted, Option<PathBuf>)>,
    inbox: Receiver<(Wanted, Option<PathBuf>)>,
}

/// Nobody sees a dialog and dismisses it faster than this: it was never shown. Without a portal and without zenity the
/// answer comes within 40 ms.
const UNSEEN: Duration = Duration::from_millis(250);

/// What a dialog is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A folder of generated pictures.
    ImportFolder,
    /// A table of what the names of generated pictures mean.
    ImportTable,
    /// The prompts of generated pictures.
    ImportPrompts,
    /// A folder of masks of generated pictures.
    ImportMattes,
    /// A folder of masks of the training images.
    Mattes,
    /// A folder of masks of the pictures of a run.
    GeneratedMattes,
}

impl Default for Dialogs {
    fn default() -> Self {
        let (chosen, inbox) = unbounded();
        Self { chosen, inbox }
    }
}

impl Dialogs {
    /// Opens a dialog. Nothing comes of it when it is cancelled; where this desktop cannot show one, no path comes
    /// of it (rfd does not tell the two apart, the time it takes does).
    pub fn ask(&self, ctx: &egui::Context, wanted: Wanted) {
        let dialog = rfd::AsyncFileDialog::new().set_title("Open in Pentimento");
        let (chosen, ctx) = (self.chosen.clone(), ctx.clone());
        let started = thread::Builder::new().name("file dialog".into()).spawn(move || {
            let asked = Instant::now();
            let picked = match wanted {
                Wanted::Folder
                | Wanted::ImportFolder
                | Wanted::ImportMattes
                | Wanted::Mattes
                | Wanted::GeneratedMattes => wait(dialog.pick_folder()),
                Wanted::File | Wanted::ImportTable | Wanted::ImportPrompts => wait(dialog.pick_file()),
            };
            let path = picked.map(|handle| handle.path().to_path_buf());
            if path.is_some() || asked.elapsed() < UNSEEN {
                chosen.send((wanted, path)).ok();
                ctx.request_repaint();
            }
        });
        if let Err(error) = started {
            log::warn!("no file dialog: {error}");
        }
    }

    /// Paths chosen since the last look, and what for; no path where no dialog could be shown.
    pub fn chosen(&self) -> impl Iterator<Item = (Wanted, Option<PathBuf>)> + '_ {
        self.inbox.try_iter()
    }
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_is_woken_later_is_waited_for() {
        let (send, receive) = crossbeam_channel::bounded::<Waker>(1);
        let mut polls = 0;
        thread::spawn(move || receive.recv().unwrap().wake());
        let value = wait(std::future::poll_fn(move |cx| {
            polls += 1;
            if polls == 1 {
                send.send(cx.waker().clone()).unwrap();
                Poll::Pending
            } else {
                Poll::Ready(7)
            }
        }));
        assert_eq!(value, 7);
    }
}
