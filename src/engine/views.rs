//! The viewing thread: loads what a person looks at, beside the running job.

use super::{
    ComparisonRequest, Event, PairRequest, PairView, ViewRequest, partners::Waiting, shelf::Shelf,
    teller::Teller,
};
use crate::{
    gallery::{decode_matte, decode_rgb, thumbnail},
    similarity::{local_map, resize_lanczos_rgb},
    store::read_signal_maps,
    study::Problem,
};
use crossbeam_channel::{Receiver, Sender};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Longest side of a thumbnail, in pixels.
pub const THUMBNAIL_SIDE: u32 = 128;

/// Answers requests until the handle is dropped. Of waiting pair requests only the newest is answered;
/// training images that may be
/// chosen next come after it, then thumbnails. Comparisons are passed on to their own thread.
pub fn serve(
    requests: &Receiver<ViewRequest>,
    comparing: &Sender<ComparisonRequest>,
    shelf: &Shelf,
    teller: &Teller,
) {
    let mut failed = HashSet::new();
    let mut waiting: Vec<u32> = Vec::new();
    let mut ahead = Waiting::default();
    loop {
        let mut pairs = Vec::new();
        let mut sort_in = |request, waiting: &mut Vec<u32>, ahead: &mut Waiting| match request {
            ViewRequest::Partners(request) => *ahead = Waiting::new(request),
            request => sort_in(request, &mut pairs, waiting, comparing),
        };
        if waiting.is_empty() && ahead.is_empty() {
            match requests.recv() {
                Ok(request) => sort_in(request, &mut waiting, &mut ahead),
                Err(_) => return,
            }
        }
        while let Ok(request) = requests.try_recv() {
            sort_in(request, &mut waiting, &mut ahead);
        }
        if !pairs.is_empty() {
            for request in pairs {
                answer_pair(request, shelf, teller, &mut failed);
            }
        } else if !ahead.is_empty() {
            if let Some(partner) = ahead.next(shelf) {
                teller.tell(Event::Partner(Arc::new(partner)));
            }
        } else if let Some(index) = waiting.pop() {
            answer_thumbnail(index, shelf, teller, &mut failed);
        }
    }
}

fn sort_in(
    request: ViewRequest,
    pairs: &mut Vec<PairRequest>,
    waiting: &mut Vec<u32>,
    comparing: &Sender<ComparisonRequest>,
) {
    match request {
        ViewRequest::Pair(request) => {
            pairs.retain(|p| p.place != request.place);
            pairs.push(request);
        }
        // A closed channel means that the program ends.
        ViewRequest::Compare(request) => {
            comparing.send(request).ok();
        }
        ViewRequest::Thumbnail(index) if !waiting.contains(&index) => waiting.push(index),
        ViewRequest::Thumbnail(_) | ViewRequest::Partners(_) => {}
    }
}

fn answer_pair(request: PairRequest, shelf: &Shelf, teller: &Teller, failed: &mut HashSet<PathBuf>) {
    let Some(generation) = shelf.generation(request.generation, request.variant.clone()) else {
        return;
    };
    if is_only_a_name(&generation.image) {
        return;
    }
    let generated = match decode_rgb(&generation.image) {
        Ok(image) => image,
        Err(error) => return tell_once(&generation.image, &error, teller, failed),
    };
    let matte = generation
        .matte
        .as_deref()
        .and_then(|path| match decode_matte(path) {
            Ok(matte) if matte.dimensions() == generated.dimensions() => Some(Arc::new(matte)),
            Ok(_) => None,
            Err(error) => {
                tell_once(path, &error, teller, failed);
                None
            }
        });
    let outline = shelf.outline();
    let partner = match &request.against {
        Some(variant) => {
            let other = shelf.generation(request.generation, variant.clone());
            other.map(|g| g.image.clone())
        }
        None => {
            let entry = request.gallery.and_then(|i| outline.gallery.get(i as usize));
            let entry = entry.filter(|entry| !is_only_a_name(&entry.path));
            entry.map(|entry| entry.path.clone())
        }
    };
    let training = partner.and_then(|path| match decode_rgb(&path) {
        Ok(image) => Some(image),
        Err(error) => {
            tell_once(&path, &error, teller, failed);
            None
        }
    });
    let similarity = training.as_ref().map(|t| Arc::new(local_map(&generated, t)));
    let (width, height) = generated.dimensions();
    let training = training.map(|t| Arc::new(resize_lanczos_rgb(&t, width, height)));
    let maps = generation.signals.as_ref().and_then(|s| s.maps.as_ref());
    let signals = maps.and_then(|path| match read_signal_maps(path) {
        Ok(maps) => Some(Arc::new(maps)),
        Err(problem) => {
            if failed.insert(path.clone()) {
                teller.tell(Event::Notice(problem));
            }
            None
        }
    });
    let view = PairView {
        request,
        generated: Arc::new(generated),
        training,
        matte,
        similarity,
        compared: None,
        signals,
    };
    teller.tell(Event::Pair(Arc::new(view)));
}

fn answer_thumbnail(index: u32, shelf: &Shelf, teller: &Teller, failed: &mut HashSet<PathBuf>) {
    let outline = shelf.outline();
    let Some(entry) = outline.gallery.get(index as usize) else {
        return;
    };
    if is_only_a_name(&entry.path) {
        return;
    }
    match decode_rgb(&entry.path) {
        Ok(image) => {
            let small = Arc::new(thumbnail(&image, THUMBNAIL_SIDE));
            teller.tell(Event::Thumbnail(index, small));
        }
        Err(error) => tell_once(&entry.path, &error, teller, failed),
    }
}

/// Whether only the name of a picture is known, as in a score table whose pictures are elsewhere.
pub(super) fn is_only_a_name(path: &Path) -> bool {
    path.parent().is_none_or(|folder| folder.as_os_str().is_empty())
}

/// A file that cannot be read is told once, not at every look.
fn tell_once(path: &Path, error: &dyn std::error::Error, teller: &Teller, failed: &mut HashSet<PathBuf>) {
    if failed.insert(path.to_owned()) {
        let advice = "Put the file back or run the prompt again; everything else goes on.";
        let problem = Problem::new("A picture cannot be shown", advice)
            .at(path)
            .detail(error.to_string());
        teller.tell(Event::Notice(problem));
    }
}
