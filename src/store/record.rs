//! One line of `generations.jsonl`: a generated picture and what was found out about it.

use crate::study::{
    ClusterPlace, EmbeddingCosine, GalleryImage, Generation, GenerationKey, Match, Measures, PairMeasures,
    RegionScores, Signals, gallery_names, recorded_names,
};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    path::{Component, Path},
    sync::Arc,
};

/// A training image that a picture resembles, named so that it is found again in a gallery that grew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordMatch {
    /// Name of the training image, see [`gallery_names`].
    pub name: String,
    /// Its index in the gallery at the time.
    pub gallery: u32,
    /// Scores of the pair.
    pub scores: RegionScores,
}

/// What was seen while a picture formed, besides its noise norm; see [`Signals`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordSignals {
    /// Mean of the bright-ending map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<f32>,
    /// The noise norm where the ending is bright, at each step; a value that is not finite is written as `null`.
    #[serde(default, with = "finite_or_null", skip_serializing_if = "Vec::is_empty")]
    pub localised: Vec<f32>,
    /// `D` of the attention's entropy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy_late: Option<f32>,
    /// `E` of the attention's entropy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entropy_first: Option<f32>,
    /// The file with the maps, relative to the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maps: Option<String>,
}

impl RecordSignals {
    /// For a record whose maps lie at a place in the run's folder.
    pub fn new(signals: &Signals, maps: Option<String>) -> Self {
        let finite = |v: Option<f32>| v.filter(|v| v.is_finite());
        Self {
            ending: finite(signals.ending),
            localised: signals.localised.clone(),
            entropy_late: finite(signals.entropy_late),
            entropy_first: finite(signals.entropy_first),
            maps,
        }
    }

    fn signals(&self, folder: &Path) -> Signals {
        Signals {
            ending: self.ending,
            localised: self.localised.clone(),
            entropy_late: self.entropy_late,
            entropy_first: self.entropy_first,
            maps: self.maps.as_ref().map(|m| folder.join(m)),
        }
    }
}

/// A finished picture. Says nothing that differs between two runs of the same parameters: the time it took
/// is kept beside it, in `timings.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which prompt and seed.
    pub key: GenerationKey,
    /// The prompt's text.
    pub prompt: String,
    /// The picture, relative to the run's folder, with `/` between the parts.
    pub image: String,
    /// SHA-256 of the picture's file, in hexadecimal.
    pub sha256: String,
    /// The matte, relative to the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matte: Option<String>,
    /// Highest value of the matte before scaling, in `[0, 1]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Best training images, best average first.
    #[serde(default)]
    pub matches: Vec<RecordMatch>,
    /// `‖ε_cond − ε_uncond‖₂` per denoising step; a value that is not finite is written as `null`.
    #[serde(default, with = "finite_or_null")]
    pub noise_norm: Vec<f32>,
    /// Similarity of the whole picture to its best training image by an embedder; not part of the verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingCosine>,
    /// Other measures beside the best training image; not part of the verdict. Missing in lines of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measures: Option<PairMeasures>,
    /// Other signs seen while drawing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<RecordSignals>,
    /// The cluster whose edits it was drawn with, for variants with clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterPlace>,
}

impl Record {
    /// Checks what a line from a file may not say.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn validate(&self) -> Result<(), String> {
        check_relative("image", &self.image)?;
        if let Some(matte) = &self.matte {
            check_relative("matte", matte)?;
        }
        if let Some(maps) = self.signals.as_ref().and_then(|s| s.maps.as_ref()) {
            check_relative("signals.maps", maps)?;
        }
        if self.sha256.len() != 64 || !self.sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err("sha256 is not a SHA-256 hash".to_owned());
        }
        let scores = self
            .matches
            .iter()
            .flat_map(|m| [m.scores.foreground, m.scores.background]);
        if scores.chain([self.confidence]).flatten().any(|s| !s.is_finite()) {
            return Err("a score is not finite".to_owned());
        }
        let place = self.cluster.iter().flat_map(|c| [c.distance, c.margin]);
        if place.into_iter().any(|v| !v.is_finite()) {
            return Err("the place among the variant's clusters is not finite".to_owned());
        }
        if self.embedding.as_ref().is_some_and(|e| !e.cosine.is_finite()) {
            return Err("the embedding's cosine is not finite".to_owned());
        }
        let values = self.measures.iter().flat_map(|m| m.named());
        if values.filter_map(|(_, v)| v).any(|v| !v.is_finite()) {
            return Err("a measure is not finite".to_owned());
        }
        Ok(())
    }

    /// The picture as the rest of the program knows it. Matches are found again by name.
    pub(super) fn generation(
        &self,
        folder: &Path,
        gallery: &mut GalleryNames,
        seconds: f32,
        thumbnail: RgbImage,
        variant: Option<Arc<str>>,
    ) -> Generation {
        Generation {
            key: self.key,
            prompt: self.prompt.clone(),
            image: folder.join(&self.image),
            matte: self.matte.as_ref().map(|m| folder.join(m)),
            confidence: self.confidence,
            matches: self
                .matches
                .iter()
                .filter_map(|m| {
                    let gallery = gallery.index(m)?;
                    Some(Match {
                        gallery,
                        scores: m.scores,
                    })
                })
                .collect(),
            measures: Measures {
                pair: self.measures,
                embedding: self.embedding.clone(),
            },
            noise_norm: self.noise_norm.clone(),
            signals: self.signals.as_ref().map(|s| Arc::new(s.signals(folder))),
            seconds,
            thumbnail: Arc::new(thumbnail),
            variant,
            cluster: self.cluster,
            edit: None,
        }
    }
}

/// Gallery indices by file name, to find the training images of records again.
#[derive(Clone, Debug, Default)]
pub struct GalleryNames {
    names: Vec<String>,
    by_name: HashMap<String, u32>,
    /// By file name alone, for images that were put into other folders; `None` where several have it.
    by_file: HashMap<String, Option<u32>>,
    /// Index of the next name that is not in the gallery; `None` leaves matches with such names out.
    next: Option<u32>,
}

impl GalleryNames {
    /// The names of a gallery that is there. Matches with images that are not in it are left out.
    pub fn new(gallery: &[GalleryImage]) -> Self {
        let names = gallery_names(gallery);
        let by_name = names.iter().cloned().zip(0..).collect();
        let mut by_file: HashMap<String, Option<u32>> = HashMap::new();
        for (name, at) in names.iter().zip(0..) {
            by_file
                .entry(file_of(name).to_owned())
                .and_modify(|other| *other = None)
                .or_insert(Some(at));
        }
        Self {
            names,
            by_name,
            by_file,
            next: None,
        }
    }

    /// The names of a gallery that is not at hand, as far as they are known: others are numbered as they come, so that
    /// scores still count.
    pub fn growing(known: &[GalleryImage]) -> Self {
        let names = recorded_names(known);
        Self {
            by_name: names.iter().cloned().zip(0..).collect(),
            next: Some(names.len() as u32),
            names,
            by_file: HashMap::new(),
        }
    }

    pub(super) fn index(&mut self, found: &RecordMatch) -> Option<u32> {
        if self.names.get(found.gallery as usize) == Some(&found.name) {
            return Some(found.gallery);
        }
        if let Some(&at) = self.by_name.get(&found.name) {
            return Some(at);
        }
        if let Some(&at) = self.by_file.get(file_of(&found.name)) {
            return at;
        }
        let at = self.next?;
        self.next = Some(at + 1);
        self.by_name.insert(found.name.clone(), at);
        Some(at)
    }
}

fn file_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// A record may come from anywhere: its paths stay inside the run's folder.
pub(super) fn check_relative(field: &str, path: &str) -> Result<(), String> {
    let refused = || {
        Err(format!(
            "{field} “{}” does not lie in the run's folder",
            shorten(path)
        ))
    };
    if path.is_empty() || path.len() > 1024 || path.contains(['\\', '\0', ':']) {
        return refused();
    }
    if Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        Ok(())
    } else {
        refused()
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

/// JSON has no word for NaN and infinity.
mod finite_or_null {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|v| v.is_finite().then_some(*v)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        let values = Vec::<Option<f32>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|v| v.unwrap_or(f32::NAN)).collect())
    }
}
