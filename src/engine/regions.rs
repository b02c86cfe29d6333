//! The thread that compares a picture anew when a person has edited its region: beside the running job, so that the
//! scores follow at once.

use super::{
    Event, approximate::Approximate, pool::lower_priority, session::PreparedGallery, shelf::Shelf,
    teller::Teller,
};
use crate::{
    gallery::decode_rgb,
    memorization::TOP_K,
    similarity::Prepared,
    store::{EditRecord, RecordMatch, RunParameters, save_region_edit},
    study::{Generation, Match, Problem, RegionEdit},
};
use crossbeam_channel::Receiver;
use image::GrayImage;
use rayon::ThreadPool;
use std::{path::Path, sync::Arc, time::Instant};

/// A region that a person has edited.
#[derive(Clone, Debug)]
pub struct RegionRequest {
    /// The picture, as it is known.
    pub generation: Arc<Generation>,
    /// The region, of the picture's size (255 = foreground); `None` for the segmenter's own again.
    pub matte: Option<Arc<GrayImage>>,
    /// What it was drawn with: “brush”, “lasso”, “clicks”.
    pub tools: Vec<String>,
    /// When the person was done with it; the answer brings it back, so that the wait is measured and an answer to a
    /// former stroke is told from that to the last.
    pub since: Instant,
}

/// What a picture's region is compared with.
#[derive(Clone)]
pub(super) struct Comparer {
    pub gallery: PreparedGallery,
    pub approximate: Option<Arc<Approximate>>,
}

/// Answers until the sender is dropped; of waiting requests for one picture only the newest.
pub(super) fn serve(requests: &Receiver<RegionRequest>, shelf: &Shelf, pool: &ThreadPool, teller: &Teller) {
    lower_priority();
    while let Ok(first) = requests.recv() {
        let mut waiting: Vec<RegionRequest> = Vec::new();
        for request in std::iter::once(first).chain(requests.try_iter()) {
            let of = |r: &RegionRequest| (r.generation.key, r.generation.variant.clone());
            waiting.retain(|w| of(w) != of(&request));
            waiting.push(request);
        }
        for request in waiting {
            match answer(&request, shelf, pool, teller) {
                Ok(generation) => {
                    let generation = Arc::new(generation);
                    shelf.put(generation.clone());
                    teller.tell(Event::Rescored(generation, request.since));
                }
                Err(problem) => {
                    log::warn!("{problem}");
                    teller.tell(Event::Notice(problem));
                    let known = &request.generation;
                    let known = shelf.generation(known.key, known.variant.clone());
                    teller.tell(Event::Rescored(
                        known.unwrap_or(request.generation),
                        request.since,
                    ));
                }
            }
        }
    }
}

pub(super) fn answer(
    request: &RegionRequest,
    shelf: &Shelf,
    pool: &ThreadPool,
    teller: &Teller,
) -> Result<Generation, Problem> {
    // The newest record of it: an edit may have been answered since the request was made.
    let asked = &request.generation;
    let known = shelf.generation(asked.key, asked.variant.clone());
    let mut generation = Generation::clone(known.as_ref().unwrap_or(asked));
    // Back to what the segmenter gave, from where every edit starts.
    if let Some(former) = generation.edit.take() {
        generation.matte.clone_from(&former.matte);
        generation.matches.clone_from(&former.matches);
        generation.measures.clone_from(&former.measures);
    }
    let run = generation.image.parent().and_then(Path::parent);
    let run = run.unwrap_or(Path::new("")).to_owned();
    let comparer = shelf.comparer();
    let segmenter = RunParameters::read(&run).ok().and_then(|p| p.segmenter);
    let mut record = EditRecord {
        key: generation.key,
        matte: None,
        sha256: None,
        segmenter: segmenter.clone(),
        tools: request.tools.clone(),
        matches: Vec::new(),
    };
    if let Some(matte) = &request.matte {
        let failed = |detail: String| {
            Problem::new(
                "The edited region could not be compared",
                "The former scores stay. Edit it again once the picture and the gallery can be read.",
            )
            .at(&generation.image)
            .detail(detail)
        };
        let image = decode_rgb(&generation.image).map_err(|e| failed(e.to_string()))?;
        if image.dimensions() != matte.dimensions() {
            return Err(failed("the region has another size than the picture".to_owned()));
        }
        let matches = match &comparer {
            None => Vec::new(),
            Some(c) => {
                let arithmetic = shelf.outline().arithmetic;
                let found = pool.install(|| {
                    let rows = c.approximate.as_ref().and_then(|a| a.candidates(&image));
                    let query = Prepared::query(&image, matte, arithmetic).map_err(|e| e.to_string())?;
                    let index = &c.gallery.index;
                    let found = match rows {
                        Some(rows) => index.search_among(&query, TOP_K, &rows, &|| false),
                        None => index.search(&query, TOP_K, &|| false),
                    };
                    found.ok_or_else(|| index.failure().map_or_else(String::new, |f| f.to_string()))
                });
                let mut found = found.map_err(failed)?;
                for m in &mut found {
                    m.gallery = c.gallery.rows[m.gallery as usize];
                }
                found
            }
        };
        record.matches = matches.iter().map(|m| named(m, comparer.as_ref())).collect();
        let base = (
            generation.matte.take(),
            std::mem::replace(&mut generation.matches, matches),
        );
        generation.edit = Some(Arc::new(RegionEdit {
            segmenter,
            tools: request.tools.clone(),
            matte: base.0,
            matches: base.1,
            measures: std::mem::take(&mut generation.measures),
        }));
    }
    match save_region_edit(&run, record, request.matte.as_deref()) {
        Ok(path) => {
            if path.is_some() {
                generation.matte = path;
            }
        }
        // The scores are good without the file.
        Err(problem) => teller.tell(Event::Notice(problem)),
    }
    Ok(generation)
}

fn named(found: &Match, comparer: Option<&Comparer>) -> RecordMatch {
    let names = comparer.map(|c| &c.gallery.names);
    RecordMatch {
        name: names
            .and_then(|n| n.get(found.gallery as usize))
            .cloned()
            .unwrap_or_default(),
        gallery: found.gallery,
        scores: found.scores,
    }
}
