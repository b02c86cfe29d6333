//! What a study consists of, once opened: the parts a person named, read and checked.

use super::{Prompt, Sampling, Thresholds, Variant, sampling::by_name};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// The three named arithmetics of the FB-Mem score. Results of different ones are never mixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// RGB, data range 1, true white background: the default.
    #[default]
    Corrected,
    /// As the reference's inputs (RGBA, data-dependent range), with torchmetrics ≥ 1.4.2.
    Torchmetrics,
    /// As the reference: RGBA, data-dependent range, torchmetrics ≤ 1.4.1 cropping.
    Reference,
}

impl Arithmetic {
    /// All arithmetics.
    pub const ALL: [Self; 3] = [Self::Corrected, Self::Torchmetrics, Self::Reference];

    /// The name used in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Corrected => "corrected",
            Self::Torchmetrics => "torchmetrics",
            Self::Reference => "reference",
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Arithmetic {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        by_name("arithmetic", s, &Self::ALL, Self::name)
    }
}

/// One training image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GalleryImage {
    /// The file; a bare name without any folder where only the name is known (a score table without its gallery).
    pub path: PathBuf,
    /// Ready-made matte (255 = foreground), if the study brings one.
    pub matte: Option<PathBuf>,
    /// Caption it was trained with, if known.
    pub caption: Option<String>,
}

impl GalleryImage {
    /// The file's name, for lists and `scores.csv`.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default()
    }
}

/// Names of a gallery's images that tell them apart: paths below the folder that holds all of them, `/` between the
/// parts. For images of one folder these are the file names.
pub fn gallery_names(gallery: &[GalleryImage]) -> Vec<String> {
    let folder = |image: &GalleryImage| image.path.parent().unwrap_or(Path::new("")).to_owned();
    let mut common = gallery.first().map(folder).unwrap_or_default();
    for image in gallery {
        while !image.path.starts_with(&common) && common.pop() {}
    }
    gallery
        .iter()
        .map(|image| {
            let below = image.path.strip_prefix(&common).unwrap_or(&image.path);
            let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
            parts.join("/")
        })
        .collect()
}

/// Names of a gallery that is known by its names only, as a run recorded them.
pub fn recorded_names(gallery: &[GalleryImage]) -> Vec<String> {
    let whole = |image: &GalleryImage| {
        let parts: Vec<_> = image.path.iter().map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    };
    gallery.iter().map(whole).collect()
}

/// How a gallery is searched when not every image is compared with a picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Approximation {
    /// How the images that are compared are chosen.
    pub method: String,
    /// Measured share of the exact best matches that are found, in `[0, 1]`; `None` before it is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<f32>,
    /// Searches that measured it.
    #[serde(default)]
    pub queries: usize,
}

impl fmt::Display for Approximation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "approximate: {}", self.method)?;
        match self.recall {
            Some(recall) => write!(f, ", recall {recall:.3} in {} searches", self.queries),
            None => f.write_str(", recall not measured"),
        }
    }
}

/// The parts of a study. Any part may be missing: a gallery without a model can still judge pictures,
/// a model without a gallery can still draw them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StudyOutline {
    /// Name for the window's bar.
    pub name: String,
    /// Folder of `study.toml`; `None` for a study put together from loose parts.
    pub root: Option<PathBuf>,
    /// Checkpoint folder in diffusers layout.
    pub model: Option<PathBuf>,
    /// Training images, sorted by file name.
    pub gallery: Vec<GalleryImage>,
    /// Folder the gallery was read from.
    pub gallery_root: Option<PathBuf>,
    /// Folder the ready-made mattes of the training images come from; the segmenter makes the others.
    pub mattes: Option<PathBuf>,
    /// Folder of masks of the generated pictures, named like the stored pictures; the segmenter makes the others.
    pub generated_mattes: Option<PathBuf>,
    /// Segmenter: a folder or a weights file.
    pub segmenter: Option<PathBuf>,
    /// Weights of SAM or MobileSAM, for regions that a person points at.
    pub click_segmenter: Option<PathBuf>,
    /// Weights of an embedder (SSCD, DINOv2, CLIP); the built-in descriptor stands in without.
    pub embedder: Option<PathBuf>,
    /// Gallery size from which an embedding shortlist is searched instead of everything; the program's default when
    /// `None`.
    pub shortlist_from: Option<usize>,
    /// Prompts, by index.
    pub prompts: Vec<Prompt>,
    /// How pictures are drawn.
    pub sampling: Sampling,
    /// How the open checkpoint itself would be drawn with; `None` without one.
    pub suggested: Option<Sampling>,
    /// Seeds drawn for each prompt by default.
    pub seeds: Vec<u64>,
    /// Thresholds to start with.
    pub thresholds: Thresholds,
    /// Arithmetic of the scores.
    pub arithmetic: Arithmetic,
    /// Variants of the checkpoint, to draw with in its place.
    pub variants: Vec<Arc<Variant>>,
}

impl StudyOutline {
    /// Names of the training images as records of runs have them, by gallery index.
    pub fn gallery_names(&self) -> Vec<String> {
        match self.gallery_root {
            Some(_) => gallery_names(&self.gallery),
            None => recorded_names(&self.gallery),
        }
    }
}
