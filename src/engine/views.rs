//! The viewing thread: loads what a person looks at, beside the running job.

use super::{
    ComparisonRequest, DetectionRequest, Event, PairRequest, PairView, RegionRequest, ViewRequest, layouts,
    partners::Waiting,
    reporting::write_reveal,
    shelf::Shelf,
    small::{Wanted, is_only_a_name},
    teller::Teller,
};
use crate::{
    gallery::{decode_matte, decode_rgb},
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

/// Answers requests until the handle is dropped. Of waiting pair requests only the newest is answered; training images
/// that may be chosen next come after it. Small pictures, comparisons and edited regions are passed on to threads of
/// their own.
pub(super) fn serve(
    requests: &Receiver<ViewRequest>,
    comparing: &Sender<ComparisonRequest>,
    regions: &Sender<RegionRequest>,
    detecting: &Sender<DetectionRequest>,
    small: &Wanted,
    shelf: &Shelf,
    teller: &Teller,
) {
    let mut failed = HashSet::new();
    let mut ahead = Waiting::default();
    loop {
        let first = if ahead.is_empty() {
            match requests.recv() {
                Ok(request) => Some(request),
                Err(_) => break,
            }
        } else {
            None
        };
        let mut pairs: Vec<PairRequest> = Vec::new();
        for request in first.into_iter().chain(requests.try_iter()) {
            match request {
                ViewRequest::Pair(request) => {
                    pairs.retain(|p| p.place != request.place);
                    pairs.push(request);
                }
                ViewRequest::Partners(request) => ahead = Waiting::new(request),
                // A closed channel means that the program ends.
                ViewRequest::Compare(request) => {
                    comparing.send(request).ok();
                }
                ViewRequest::Region(request) => {
                    regions.send(request).ok();
                }
                ViewRequest::Detect(request) => {
                    detecting.send(request).ok();
                }
                ViewRequest::Reveal(request) => write_reveal(*request, shelf.outline().root.clone(), teller),
                ViewRequest::Thumbnails(wishes) => small.replace(wishes),
                ViewRequest::Layout(root) => {
                    if let Some(text) = layouts::read(&root) {
                        teller.tell(Event::Layout(text));
                    }
                }
                ViewRequest::KeepLayout(root, text) => layouts::keep(&root, &text),
            }
        }
        if !pairs.is_empty() {
            for request in pairs {
                answer_pair(request, shelf, teller, &mut failed);
            }
        } else if !ahead.is_empty()
            && let Some(partner) = ahead.next(shelf)
        {
            teller.tell(Event::Partner(Arc::new(partner)));
        }
    }
    small.close();
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

/// A file that cannot be read is told once, not at every look.
pub(super) fn tell_once(
    path: &Path,
    error: &dyn std::error::Error,
    teller: &Teller,
    failed: &mut HashSet<PathBuf>,
) {
    if failed.insert(path.to_owned()) {
        let advice = "Put the file back or run the prompt again; everything else goes on.";
        let problem = Problem::new("A picture cannot be shown", advice)
            .at(path)
            .detail(error.to_string());
        teller.tell(Event::Notice(problem));
    }
}
