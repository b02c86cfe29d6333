//! Which run a picture belongs to: one folder per set of parameters, so that results of different
//! parameters never mix and the same parameters resume.

use super::{
    Event, import::import_folders, places::user_data, session::Session, shelf::Shelf, teller::Teller,
};
use crate::{
    segmentation::Segmenter,
    store::{Places, Record, RecordMatch, RecordSignals, Run, RunParameters, WrittenPicture},
    study::{Generation, GenerationKey, Problem, Sampling, Variant},
};
use image::RgbImage;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Puts a judged picture on the shelf and tells it.
pub(super) fn tell_judged(shelf: &Shelf, teller: &Teller, generation: Generation) {
    let generation = Arc::new(generation);
    shelf.put(generation.clone());
    teller.tell(Event::Judged(generation));
}

/// No small copy: pictures of a run are read when they are in view, since a run may hold a hundred thousand.
pub(super) fn small(_: &Path) -> Option<RgbImage> {
    Some(RgbImage::default())
}

/// What a record keeps of a picture's signals; the maps lie in the run's folder already.
fn signals_of(generation: &Generation) -> Option<RecordSignals> {
    let signals = generation.signals.as_ref()?;
    let maps = signals.maps.as_ref().and_then(|path| {
        let parts: Vec<_> = path.iter().rev().take(2).collect();
        let [file, folder] = parts[..] else { return None };
        Some(format!("{}/{}", folder.to_str()?, file.to_str()?))
    });
    Some(RecordSignals::new(signals, maps))
}

/// A path that still means the same from another working folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Session {
    /// Opens the run for these settings, or begins it.
    pub(super) fn run_for(&self, sampling: &Sampling, variant: Option<&Variant>) -> Result<Run, Problem> {
        let parameters = self.parameters(sampling, variant);
        if let Some(folder) = &self.options.run_folder {
            return Run::open_or_create(folder, &parameters);
        }
        begin(self.run_folders(&parameters), &parameters)
    }

    /// Opens the run of imported pictures, or begins it. `root` is the folder of the study it was asked from.
    pub(super) fn run_for_import(&self, source: String, root: Option<PathBuf>) -> Result<Run, Problem> {
        let mut parameters = self.parameters(&Sampling::default(), None);
        parameters.import = Some(source);
        // The study that gave gallery and mattes; what is open now is the import itself.
        parameters.places.study = root.as_deref().map(absolute);
        if let Some(folder) = &self.options.run_folder {
            return Run::open_or_create(folder, &parameters);
        }
        let RunParameters {
            segmenter,
            gallery,
            arithmetic,
            import,
            ..
        } = &parameters;
        let text = serde_json::json!([segmenter, gallery, arithmetic, import]).to_string();
        let mut id = hex::encode(Sha256::digest(text));
        id.truncate(12);
        begin(import_folders([root, user_data()], &id), &parameters)
    }

    /// Tells what these settings have already given. Reads, never writes.
    pub(super) fn tell_earlier_results(&mut self, sampling: &Sampling, variant: Option<&Variant>) {
        let parameters = self.parameters(sampling, variant);
        let folders = match &self.options.run_folder {
            Some(folder) => vec![folder.clone()],
            None => self.run_folders(&parameters),
        };
        let Some(folder) = folders.into_iter().find(|f| f.join("run.toml").is_file()) else {
            return;
        };
        match Run::open_read(&folder) {
            Ok(run) if run.parameters().differences(&parameters).is_empty() => {
                run.notices().iter().for_each(|n| self.notice(n.clone()));
                for generation in self.held_by(&run).into_values() {
                    self.tell_judged(generation);
                }
                self.show(&folder);
            }
            Ok(_) => {}
            Err(problem) => self.notice(problem),
        }
    }

    /// The pictures a run holds, by key.
    pub(super) fn held_by(&self, run: &Run) -> HashMap<GenerationKey, Generation> {
        run.generations(&self.outline.gallery, small)
            .into_iter()
            .map(|g| (g.key, g))
            .collect()
    }

    /// Puts a judged picture on the shelf and tells it.
    pub(super) fn tell_judged(&self, generation: Generation) {
        tell_judged(&self.shelf, &self.teller, generation);
    }

    /// The line that a judged picture leaves in its run.
    pub(super) fn record(
        &self,
        generation: &Generation,
        image: &WrittenPicture,
        matte: Option<&WrittenPicture>,
    ) -> Record {
        let names = self.gallery.as_ref().map(|g| &g.names);
        let name = |index: u32| names.and_then(|n| n.get(index as usize)).cloned();
        Record {
            key: generation.key,
            prompt: generation.prompt.clone(),
            image: image.relative.clone(),
            sha256: image.sha256.clone(),
            matte: matte.map(|m| m.relative.clone()),
            confidence: generation.confidence,
            matches: generation
                .matches
                .iter()
                .map(|m| RecordMatch {
                    name: name(m.gallery).unwrap_or_default(),
                    gallery: m.gallery,
                    scores: m.scores,
                })
                .collect(),
            noise_norm: generation.noise_norm.clone(),
            embedding: generation.measures.embedding.clone(),
            measures: generation.measures.pair,
            signals: signals_of(generation),
            cluster: generation.cluster,
        }
    }

    /// What differs between a run and the open study's own settings, besides the variant.
    pub(super) fn other_than_study(&self, run: &RunParameters) -> Vec<String> {
        let mut own = self.parameters(&self.outline.sampling, None);
        own.variant.clone_from(&run.variant);
        run.differences(&own)
    }

    pub(super) fn parameters(&self, sampling: &Sampling, variant: Option<&Variant>) -> RunParameters {
        let present = |hash: &String| (!hash.is_empty()).then(|| hash.clone());
        RunParameters {
            study: self.outline.name.clone(),
            program: RunParameters::this_program(),
            model: present(&self.hashes.model),
            segmenter: present(&self.hashes.segmenter),
            network: self.segmenter.as_ref().map(Segmenter::describe),
            gallery: present(&self.hashes.gallery),
            variant: variant.map(Variant::id),
            import: None,
            sampling: sampling.clone(),
            arithmetic: self.outline.arithmetic,
            thresholds: self.outline.thresholds,
            approximation: self.approximation(),
            places: Places {
                study: self.outline.root.as_deref().map(absolute),
                gallery: self.outline.gallery_root.as_deref().map(absolute),
            },
        }
    }

    /// Where a run with these parameters may lie: in the study, else in the user's data folder.
    fn run_folders(&self, parameters: &RunParameters) -> Vec<PathBuf> {
        let RunParameters {
            model,
            segmenter,
            gallery,
            variant,
            sampling,
            arithmetic,
            approximation,
            ..
        } = parameters;
        let mut text = serde_json::json!([model, segmenter, gallery, sampling, arithmetic]).to_string();
        if let Some(variant) = variant {
            text += &serde_json::json!([variant]).to_string();
        }
        if let Some(approximation) = approximation {
            text += &serde_json::json!([approximation.method]).to_string();
        }
        let mut id = hex::encode(Sha256::digest(text));
        id.truncate(12);
        let places = [self.outline.root.clone(), user_data()];
        places
            .into_iter()
            .flatten()
            .map(|place| place.join("runs").join(&id))
            .collect()
    }
}

/// The run in the first of these folders that can be made.
fn begin(folders: Vec<PathBuf>, parameters: &RunParameters) -> Result<Run, Problem> {
    let mut refused = None;
    for folder in folders {
        match fs::create_dir_all(&folder) {
            Ok(()) => return Run::open_or_create(&folder, parameters),
            Err(error) => refused = Some((folder, error)),
        }
    }
    let advice = "Set PENTIMENTO_DATA to a folder that can be written to.";
    let mut problem = Problem::new("There is no place to keep results", advice);
    if let Some((folder, error)) = refused {
        problem = problem.at(folder).detail(error.to_string());
    }
    Err(problem)
}
