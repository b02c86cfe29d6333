//! `study.toml`: the parts of a study, written by a person.

use super::toml_keys::{Keys, Source};
use crate::{
    study::{
        Arithmetic, GalleryImage, Problem, Prompt, Sampling, SamplingChoice, StudyOutline, Thresholds,
        Variant, parse_seeds,
    },
    tables,
};
use std::{
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// Name of the file in a study's folder.
pub const STUDY_FILE: &str = "study.toml";
/// Version of the format that is written and the newest one that is read.
pub const STUDY_FORMAT: u64 = 1;

const HEADLINE: &str = "The study file has a mistake";
const MAX_BYTES: u64 = 1 << 20;

/// What a `study.toml` says. Every part may be missing.
///
/// Paths are relative to the folder of the file. Absolute paths and `..` are allowed: the file is written
/// by the person who opens it and names large things that lie elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyFile {
    /// Folder of the file.
    pub root: PathBuf,
    /// The study's name; the folder's name if the file gives none.
    pub name: String,
    /// Checkpoint folder.
    pub model: Option<PathBuf>,
    /// Folder of training images.
    pub gallery: Option<PathBuf>,
    /// Captions of the training images.
    pub captions: Option<PathBuf>,
    /// Folder of ready-made mattes of the training images.
    pub mattes: Option<PathBuf>,
    /// Folder of masks of generated pictures.
    pub generated_mattes: Option<PathBuf>,
    /// Segmenter folder.
    pub segmenter: Option<PathBuf>,
    /// Weights of SAM or MobileSAM.
    pub click_segmenter: Option<PathBuf>,
    /// Weights file or folder of an embedder.
    pub embedder: Option<PathBuf>,
    /// Gallery size from which an embedding shortlist is searched.
    pub shortlist_from: Option<usize>,
    /// Prompt list.
    pub prompts: Option<PathBuf>,
    /// How pictures are drawn, as far as the file says.
    pub sampling: SamplingChoice,
    /// Seeds for each prompt; 0 to 3 if the file names none.
    pub seeds: Vec<u64>,
    /// Thresholds to start with.
    pub thresholds: Thresholds,
    /// Arithmetic of the scores.
    pub arithmetic: Arithmetic,
    /// Variant files, in order.
    pub variants: Vec<PathBuf>,
    /// Unknown keys, one notice for all.
    pub notices: Vec<Problem>,
}

impl StudyFile {
    /// Reads a `study.toml`, or the one in a folder.
    ///
    /// # Errors
    /// A problem that names the file and, for its content, line and column: unreadable, not TOML, a value of
    /// the wrong kind or out of range, a newer format.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let file = if path.is_dir() {
            path.join(STUDY_FILE)
        } else {
            path.to_owned()
        };
        let text = tables::read_text(&file, MAX_BYTES)?;
        if let Some(line) = text.unreadable {
            return Err(Problem::new(HEADLINE, "Save the file as UTF-8.")
                .at(file)
                .detail(format!("line {line}: not UTF-8")));
        }
        Self::parse(&text.text, &file)
    }

    /// Reads the text of a study file that lies at `path`.
    ///
    /// # Errors
    /// As [`StudyFile::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problem> {
        let source = Source { path, text };
        let root = path.parent().unwrap_or(Path::new("")).to_owned();
        let mut file = Keys::parse(source, HEADLINE)?;
        let mut unknown = Vec::new();

        if let Some((format, span)) = file.whole("format")?
            && format > STUDY_FORMAT
        {
            return Err(source.problem(
                "This study was written by a newer version of the program",
                &span,
                &format!("format is {format}; this version reads up to {STUDY_FORMAT}"),
                "Update the program, or lower the number if you wrote the file by hand.",
            ));
        }
        let name = file
            .text("name")?
            .map(|(name, _)| name)
            .filter(|n| !n.trim().is_empty());
        let name = name.unwrap_or_else(|| folder_name(&root));

        let mut model = file.section("model")?;
        let mut gallery = file.section("gallery")?;
        let mut generated = file.section("generated")?;
        let mut segmenter = file.section("segmenter")?;
        let mut embedder = file.section("embedder")?;
        let mut prompts = file.section("prompts")?;
        let mut sampling = file.section("sampling")?;
        let mut thresholds = file.section("thresholds")?;
        let mut variants = file.sections("variants")?;
        let paths = variants.iter_mut().map(|keys| match part(keys, "path", &root)? {
            Some(path) => Ok(path),
            None => Err(keys.lacks("a variant needs a path")),
        });
        let paths = paths.collect::<Result<Vec<_>, Problem>>()?;
        let study = Self {
            name,
            model: part(&mut model, "path", &root)?,
            gallery: part(&mut gallery, "path", &root)?,
            captions: part(&mut gallery, "captions", &root)?,
            mattes: part(&mut gallery, "mattes", &root)?,
            generated_mattes: part(&mut generated, "mattes", &root)?,
            segmenter: part(&mut segmenter, "path", &root)?,
            click_segmenter: part(&mut segmenter, "click", &root)?,
            embedder: part(&mut embedder, "path", &root)?,
            shortlist_from: embedder
                .whole("shortlist_from")?
                .map(|(n, _)| usize::try_from(n).unwrap_or(usize::MAX)),
            prompts: part(&mut prompts, "path", &root)?,
            seeds: seeds(&mut sampling)?,
            sampling: read_sampling(&mut sampling)?,
            arithmetic: named(&mut thresholds, "arithmetic")?.unwrap_or_default(),
            thresholds: read_thresholds(&mut thresholds)?,
            variants: paths,
            notices: Vec::new(),
            root,
        };
        for (keys, known) in [
            (
                &file,
                "format, name, [model], [gallery], [generated], [segmenter], [embedder], [prompts], [sampling], \
                 [thresholds], [[variants]]",
            ),
            (&model, "path"),
            (&gallery, "path, captions, mattes"),
            (&generated, "mattes"),
            (&segmenter, "path, click"),
            (&embedder, "path, shortlist_from"),
            (&prompts, "path"),
            (
                &sampling,
                "steps, guidance, width, height, scheduler, negative, rng, at_once, weights, seeds",
            ),
            (&thresholds, "foreground, background, arithmetic"),
        ] {
            unknown.extend(keys.unknown(known));
        }
        for keys in &variants {
            unknown.extend(keys.unknown("path"));
        }
        if unknown.is_empty() {
            return Ok(study);
        }
        let mut notice = Problem::new(
            "The study file says things this program does not know",
            "They have no effect. Check the spelling.",
        )
        .at(path);
        notice.details = unknown;
        Ok(Self {
            notices: vec![notice],
            ..study
        })
    }

    /// The study's outline, with the parts that were read from the places it names. What the file does not say of
    /// sampling is the program's default; a checkpoint may know better.
    pub fn outline(
        &self,
        gallery: Vec<GalleryImage>,
        prompts: Vec<Prompt>,
        variants: Vec<Arc<Variant>>,
    ) -> StudyOutline {
        StudyOutline {
            name: self.name.clone(),
            root: Some(self.root.clone()),
            model: self.model.clone(),
            gallery,
            gallery_root: self.gallery.clone(),
            mattes: self.mattes.clone(),
            generated_mattes: self.generated_mattes.clone(),
            segmenter: self.segmenter.clone(),
            click_segmenter: self.click_segmenter.clone(),
            embedder: self.embedder.clone(),
            shortlist_from: self.shortlist_from,
            prompts,
            sampling: self.sampling.over(&Sampling::default()),
            suggested: None,
            seeds: self.seeds.clone(),
            thresholds: self.thresholds,
            arithmetic: self.arithmetic,
            variants,
        }
    }
}

fn folder_name(root: &Path) -> String {
    let absolute = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    absolute
        .file_name()
        .map_or_else(|| "Study".to_owned(), |n| n.to_string_lossy().into_owned())
}

fn part(keys: &mut Keys<'_>, key: &str, root: &Path) -> Result<Option<PathBuf>, Problem> {
    match keys.text(key)? {
        None => Ok(None),
        Some((text, span)) if text.trim().is_empty() || text.contains('\0') => {
            Err(keys.refuse(&span, &format!("{key} is empty or not a path")))
        }
        Some((text, _)) => Ok(Some(root.join(text))),
    }
}

fn named<T: FromStr<Err = String>>(keys: &mut Keys<'_>, key: &str) -> Result<Option<T>, Problem> {
    match keys.text(key)? {
        None => Ok(None),
        Some((text, span)) => text
            .parse()
            .map(Some)
            .map_err(|reason: String| keys.refuse(&span, &reason)),
    }
}

fn seeds(keys: &mut Keys<'_>) -> Result<Vec<u64>, Problem> {
    match keys.seeds("seeds")? {
        None => Ok((0..4).collect()),
        Some((text, span)) => {
            parse_seeds(&text).map_err(|reason| keys.refuse(&span, &format!("seeds: {reason}")))
        }
    }
}

/// Each value is checked as it is read, so that a complaint names its own line.
fn read_sampling(keys: &mut Keys<'_>) -> Result<SamplingChoice, Problem> {
    let mut choice = SamplingChoice::default();
    let checked = |keys: &Keys<'_>, choice: &SamplingChoice, span: &Range<usize>| {
        let sampling = choice.over(&Sampling::default());
        sampling.validate().map_err(|reason| keys.refuse(span, &reason))
    };
    for key in ["steps", "width", "height", "at_once"] {
        if let Some((value, span)) = keys.whole(key)? {
            let target = match key {
                "steps" => &mut choice.steps,
                "width" => &mut choice.width,
                "at_once" => &mut choice.at_once,
                _ => &mut choice.height,
            };
            *target = Some(u32::try_from(value).unwrap_or(u32::MAX));
            checked(keys, &choice, &span)?;
        }
    }
    if let Some((value, span)) = keys.number("guidance")? {
        choice.guidance = Some(value);
        checked(keys, &choice, &span)?;
    }
    choice.scheduler = named(keys, "scheduler")?;
    choice.negative = keys.text("negative")?.map(|(negative, _)| negative);
    choice.rng = named(keys, "rng")?;
    choice.weights = named(keys, "weights")?;
    Ok(choice)
}

fn read_thresholds(keys: &mut Keys<'_>) -> Result<Thresholds, Problem> {
    let mut thresholds = Thresholds::default();
    for (key, target) in [
        ("foreground", &mut thresholds.foreground),
        ("background", &mut thresholds.background),
    ] {
        if let Some((value, span)) = keys.number(key)? {
            if !(0.0..=1.0).contains(&value) {
                return Err(keys.refuse(&span, &format!("{key} is {value}; it must be between 0 and 1")));
            }
            *target = value;
        }
    }
    Ok(thresholds)
}
