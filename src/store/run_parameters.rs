//! `run.toml`: everything that decides what a run's pictures and scores are.

use super::toml_keys::Source;
use crate::{
    study::{Approximation, Arithmetic, Problem, Sampling, Thresholds, VariantId},
    tables,
};
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Version of the format that is written and the newest one that is read.
pub const RUN_FORMAT: u64 = 1;
/// Name of the file in a run's folder.
pub(super) const RUN_FILE: &str = "run.toml";

const MAX_BYTES: u64 = 1 << 20;
const HEADLINE: &str = "The run's parameters cannot be read";

/// Parameters of a run. All pictures of a run share them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunParameters {
    /// Name of the study.
    pub study: String,
    /// Program and version that began the run: “pentimento 0.1.0”.
    pub program: String,
    /// Hash of the checkpoint's files; `None` without a model (imported pictures).
    pub model: Option<String>,
    /// Hash of the segmenter's files.
    pub segmenter: Option<String>,
    /// The segmenter for people: network, size, scaling. Its hash decides.
    pub network: Option<String>,
    /// Fingerprint of the gallery.
    pub gallery: Option<String>,
    /// The variant the pictures are drawn with; `None` for the checkpoint as it is.
    pub variant: Option<VariantId>,
    /// Where imported pictures came from and how their names were read; `None` for pictures drawn here.
    pub import: Option<String>,
    /// How pictures are drawn.
    pub sampling: Sampling,
    /// Arithmetic of the scores.
    pub arithmetic: Arithmetic,
    /// Thresholds at the beginning. They class what is shown and decide nothing that is stored.
    pub thresholds: Thresholds,
    /// How the gallery was searched, when not exactly. Its method decides results, its recall only tells of them.
    pub approximation: Option<Approximation>,
    /// Where the parts lay when the run was begun, to find them again. They decide nothing that is stored.
    pub places: Places,
}

/// Where the parts of a study lay when a run was begun: a hint for those who look at the run later, perhaps on
/// another machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// Folder of the study; `None` for one put together from loose parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub study: Option<PathBuf>,
    /// Folder of the training images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gallery: Option<PathBuf>,
}

impl Places {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The file's layout.
#[derive(Serialize, Deserialize)]
struct File {
    format: u64,
    #[serde(default)]
    study: String,
    #[serde(default)]
    program: String,
    #[serde(default)]
    arithmetic: Arithmetic,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    import: Option<String>,
    network: Option<String>,
    #[serde(default)]
    hashes: Hashes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant: Option<VariantId>,
    #[serde(default)]
    sampling: Sampling,
    #[serde(default)]
    thresholds: Thresholds,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approximation: Option<Approximation>,
    #[serde(default, skip_serializing_if = "Places::is_empty")]
    places: Places,
}

#[derive(Default, Serialize, Deserialize)]
struct Hashes {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    segmenter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gallery: Option<String>,
}

impl RunParameters {
    /// Name and version of this program, for [`RunParameters::program`].
    pub fn this_program() -> String {
        format!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    }

    /// The text of `run.toml`.
    pub(super) fn to_toml(&self) -> io::Result<String> {
        toml::to_string(&File {
            format: RUN_FORMAT,
            study: self.study.clone(),
            program: self.program.clone(),
            arithmetic: self.arithmetic,
            import: self.import.clone(),
            network: self.network.clone(),
            hashes: Hashes {
                model: self.model.clone(),
                segmenter: self.segmenter.clone(),
                gallery: self.gallery.clone(),
            },
            variant: self.variant.clone(),
            sampling: self.sampling.clone(),
            thresholds: self.thresholds,
            approximation: self.approximation.clone(),
            places: self.places.clone(),
        })
        .map_err(io::Error::other)
    }

    /// Reads the `run.toml` of a run's folder.
    ///
    /// # Errors
    /// A problem that names the file, when it cannot be read or says something unknown.
    pub fn read(folder: &Path) -> Result<Self, Problem> {
        let path = folder.join(RUN_FILE);
        let text = tables::read_text(&path, MAX_BYTES)?.text;
        let source = Source {
            path: &path,
            text: &text,
        };
        // The version comes first: a newer file may have any other shape.
        let table: toml::Table = toml::from_str(&text).map_err(|e| source.syntax(HEADLINE, &e))?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(format) if format == i64::try_from(RUN_FORMAT).unwrap_or(i64::MAX) => {}
            Some(format) if format > 0 => {
                return Err(Problem::new(
                    "This run was written by a newer version of the program",
                    "Update the program to open it.",
                )
                .at(path)
                .detail(format!(
                    "its format is {format}; this version reads up to {RUN_FORMAT}"
                )));
            }
            _ => {
                return Err(Problem::new(
                    HEADLINE,
                    "Restore the file from a copy; the pictures are still there.",
                )
                .at(path)
                .detail("it has no format number"));
            }
        }
        let file: File = toml::from_str(&text).map_err(|e| source.syntax(HEADLINE, &e))?;
        file.sampling.validate().map_err(|reason| {
            Problem::new(
                HEADLINE,
                "Restore the file from a copy; the pictures are still there.",
            )
            .at(&path)
            .detail(reason)
        })?;
        Ok(Self {
            study: file.study,
            program: file.program,
            model: file.hashes.model,
            segmenter: file.hashes.segmenter,
            network: file.network,
            gallery: file.hashes.gallery,
            variant: file.variant,
            import: file.import,
            sampling: file.sampling,
            arithmetic: file.arithmetic,
            thresholds: file.thresholds,
            approximation: file.approximation,
            places: file.places,
        })
    }

    /// The parameters that keep a run from being continued with `wanted`, one line each: whatever changes a
    /// picture, a matte or a score. Study name, thresholds, places and program
    /// version do not count.
    pub fn differences(&self, wanted: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut compare = |name: &str, here: String, there: String| {
            if here != there {
                lines.push(format!("{name}: the run has {here}, now it is {there}"));
            }
        };
        let hash = |h: &Option<String>| {
            h.as_deref()
                .map_or("none".to_owned(), |h| h.chars().take(16).collect())
        };
        // Hashes are compared in full and shown in short.
        let mut compare_hash = |name: &str, here: &Option<String>, there: &Option<String>| {
            if here != there {
                let (a, b) = (hash(here), hash(there));
                compare(
                    name,
                    a,
                    if hash(here) == hash(there) {
                        format!("{b}…, another one")
                    } else {
                        b
                    },
                );
            }
        };
        compare_hash("model", &self.model, &wanted.model);
        compare_hash("segmenter", &self.segmenter, &wanted.segmenter);
        compare_hash("gallery", &self.gallery, &wanted.gallery);
        let words = |v: &Option<VariantId>| v.as_ref().map_or("none".to_owned(), VariantId::to_string);
        compare("variant", words(&self.variant), words(&wanted.variant));
        let words = |i: &Option<String>| i.clone().unwrap_or_else(|| "none".to_owned());
        compare("import", words(&self.import), words(&wanted.import));
        let (a, b) = (&self.sampling, &wanted.sampling);
        compare("steps", a.steps.to_string(), b.steps.to_string());
        compare("guidance", a.guidance.to_string(), b.guidance.to_string());
        compare("width", a.width.to_string(), b.width.to_string());
        compare("height", a.height.to_string(), b.height.to_string());
        compare("scheduler", a.scheduler.to_string(), b.scheduler.to_string());
        compare(
            "negative",
            format!("“{}”", a.negative),
            format!("“{}”", b.negative),
        );
        compare("rng", a.rng.to_string(), b.rng.to_string());
        compare("at_once", a.at_once.to_string(), b.at_once.to_string());
        compare("weights", a.weights.to_string(), b.weights.to_string());
        compare(
            "arithmetic",
            self.arithmetic.to_string(),
            wanted.arithmetic.to_string(),
        );
        let search = |a: &Option<Approximation>| a.as_ref().map_or("exact".to_owned(), |a| a.method.clone());
        compare(
            "search",
            search(&self.approximation),
            search(&wanted.approximation),
        );
        lines
    }
}
