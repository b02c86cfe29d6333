//! What a report says, as plain data: also the content of its JSON export.

use super::{
    command::reproduce,
    summary::{Summary, summarize},
    transitions::Transitions,
};
use crate::{
    store::{Record, Run},
    study::{Cluster, EmbeddingCosine, GalleryImage, PairMeasures, StudyOutline, Thresholds, Verdict},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a report is made from, besides the runs.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The study of the runs: training images, groups of prompts, variants.
    pub outline: Arc<StudyOutline>,
    /// Groups of the gallery; empty when they are not known.
    pub clusters: Arc<Vec<Cluster>>,
    /// What counts as memorized.
    pub thresholds: Thresholds,
}

/// The content of a report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this layout of the JSON export.
    pub format: u32,
    /// Program and version that made it.
    pub program: String,
    /// Name of the study.
    pub study: String,
    /// What counts as memorized.
    pub thresholds: Thresholds,
    /// The runs, in the order in which they were named.
    pub runs: Vec<RunFacts>,
    /// From the first run to each other one, over the pictures that both hold.
    pub transitions: Vec<Transitions>,
}

/// What is said of one run.
#[derive(Clone, Debug, Serialize)]
pub struct RunFacts {
    /// Name of its folder.
    pub name: String,
    /// Where it lies.
    #[serde(skip)]
    pub folder: PathBuf,
    /// Parameters by name, in the order of `run.toml`.
    pub parameters: Vec<(String, String)>,
    /// The command that draws it again.
    pub command: Vec<String>,
    /// Counts over all pictures.
    pub summary: Summary,
    /// Counts per group of prompts, when the study groups them.
    pub groups: Vec<(String, Summary)>,
    /// Prompts by number.
    pub prompts: Vec<PromptFacts>,
}

/// What is said of one prompt of a run.
#[derive(Clone, Debug, Serialize)]
pub struct PromptFacts {
    /// Its number.
    pub index: u32,
    /// Its text.
    pub text: String,
    /// What the prompt list says about it.
    pub group: Option<String>,
    /// Counts of its classes.
    pub counts: [usize; 4],
    /// How many different training images are the best match of a memorized picture (VM, FM or BM).
    pub one_to_many: usize,
    /// As `one_to_many`, with the images of one group of the gallery counted once; `None` without groups.
    pub one_to_many_groups: Option<usize>,
    /// Its pictures, by seed.
    pub pictures: Vec<PictureFacts>,
}

/// What is said of one picture.
#[derive(Clone, Debug, Serialize)]
pub struct PictureFacts {
    /// Its name: `img_0003_01`.
    pub name: String,
    /// Seed of its noise.
    pub seed: u64,
    /// Its class; `None` when it was not compared.
    pub verdict: Option<Verdict>,
    /// Score of the foreground; `None` where a region is missing.
    pub foreground: Option<f32>,
    /// Score of the background.
    pub background: Option<f32>,
    /// Mean of the regions.
    pub average: Option<f32>,
    /// Confidence of the segmenter.
    pub confidence: Option<f32>,
    /// Best training images, best first.
    pub matches: Vec<MatchFacts>,
    /// Mean over the steps of ‖ε_cond − ε_uncond‖₂; `None` when it was not measured.
    pub noise_norm_mean: Option<f64>,
    /// Hash of the picture's file.
    pub sha256: String,
    /// The picture's file, relative to the run.
    pub image: String,
    /// The matte's file, relative to the run.
    pub matte: Option<String>,
    /// The noise norm of every step.
    pub noise_norm: Vec<Option<f32>>,
    /// Other measures beside the best training image; not part of the verdict.
    pub measures: Option<PairMeasures>,
    /// Cosine to it by an embedder; not part of the verdict.
    pub embedding: Option<EmbeddingCosine>,
    /// What the region was edited with by hand: class, scores and matches are then that region's, not those of the
    /// segmenter's; empty otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub edited_mask: Vec<String>,
}

/// One training image beside a picture.
#[derive(Clone, Debug, Serialize)]
pub struct MatchFacts {
    /// File name of the training image.
    pub name: String,
    /// Scores of the pair.
    pub foreground: Option<f32>,
    /// See `foreground`.
    pub background: Option<f32>,
    /// Caption of the training image, if known.
    pub caption: Option<String>,
    /// Number of the group of the gallery it belongs to.
    pub cluster: Option<u32>,
}

impl Report {
    /// Version of the JSON layout.
    pub const FORMAT: u32 = 1;

    /// Gathers everything that is said.
    pub fn gather(runs: &[Run], sources: &Sources) -> Self {
        let gallery = Gallery::new(sources);
        let facts: Vec<RunFacts> = runs.iter().map(|run| of_run(run, sources, &gallery)).collect();
        let transitions = match facts.split_first() {
            Some((first, others)) => others.iter().map(|o| Transitions::between(first, o)).collect(),
            None => Vec::new(),
        };
        let study = runs.first().map(|r| r.parameters().study.clone());
        Self {
            format: Self::FORMAT,
            program: crate::store::RunParameters::this_program(),
            study: study.unwrap_or_default(),
            thresholds: sources.thresholds,
            runs: facts,
            transitions,
        }
    }
}

/// Training images by name.
struct Gallery<'a> {
    images: HashMap<String, (u32, &'a GalleryImage)>,
    cluster_of: HashMap<u32, u32>,
    grouped: bool,
}

impl<'a> Gallery<'a> {
    fn new(sources: &'a Sources) -> Self {
        let names = sources.outline.gallery_names().into_iter();
        let images = sources.outline.gallery.iter().zip(0..);
        let members = |c: &Cluster| c.members.iter().map(|m| (*m, c.id)).collect::<Vec<_>>();
        Self {
            images: names.zip(images.map(|(image, at)| (at, image))).collect(),
            cluster_of: sources.clusters.iter().flat_map(members).collect(),
            grouped: !sources.clusters.is_empty(),
        }
    }

    fn cluster(&self, name: &str) -> Option<u32> {
        let (at, _) = self.images.get(name)?;
        self.cluster_of.get(at).copied()
    }

    fn caption(&self, name: &str) -> Option<String> {
        self.images.get(name)?.1.caption.clone()
    }
}

fn of_run(run: &Run, sources: &Sources, gallery: &Gallery<'_>) -> RunFacts {
    let mut by_prompt = BTreeMap::<u32, Vec<&Record>>::new();
    for record in run.records() {
        by_prompt.entry(record.key.prompt).or_default().push(record);
    }
    // By text as well: a run may have been drawn from another list, with numbers that mean other prompts.
    let group_of: HashMap<&str, &str> = sources
        .outline
        .prompts
        .iter()
        .filter_map(|p| Some((p.text.as_str(), p.group.as_deref()?)))
        .collect();
    let prompts: Vec<PromptFacts> = by_prompt
        .into_iter()
        .map(|(index, records)| {
            let text = records.first().map_or("", |r| r.prompt.as_str());
            of_prompt(run, index, records, group_of.get(text).copied(), sources, gallery)
        })
        .collect();
    let verdicts = |p: &PromptFacts| {
        let index = p.index;
        let of = |v: &PictureFacts| (index, v.verdict);
        p.pictures.iter().map(of).collect::<Vec<_>>()
    };
    let mut members = BTreeMap::<&str, Vec<(u32, Option<Verdict>)>>::new();
    for prompt in &prompts {
        if let Some(group) = &prompt.group {
            members.entry(group).or_default().extend(verdicts(prompt));
        }
    }
    RunFacts {
        name: name_of(run.folder()),
        folder: run.folder().to_owned(),
        parameters: parameters(run, sources),
        command: reproduce(run, &sources.outline),
        summary: summarize(prompts.iter().flat_map(verdicts)),
        groups: members
            .into_iter()
            .map(|(group, pictures)| (group.to_owned(), summarize(pictures)))
            .collect(),
        prompts,
    }
}

fn of_prompt(
    run: &Run,
    index: u32,
    mut records: Vec<&Record>,
    group: Option<&str>,
    sources: &Sources,
    gallery: &Gallery<'_>,
) -> PromptFacts {
    records.sort_by_key(|r| r.key.seed);
    let pictures: Vec<PictureFacts> = records
        .iter()
        .map(|record| of_picture(run, record, &sources.thresholds, gallery))
        .collect();
    let mut counts = [0; 4];
    for (count, verdict) in counts.iter_mut().zip(Verdict::ALL) {
        *count = pictures.iter().filter(|p| p.verdict == Some(verdict)).count();
    }
    let copied: BTreeSet<&str> = pictures
        .iter()
        .filter(|p| p.verdict.is_some_and(|v| v != Verdict::NotMemorized))
        .filter_map(|p| p.matches.first().map(|m| m.name.as_str()))
        .collect();
    // An image outside every group stands for itself.
    let grouped = copied.iter().map(|name| gallery.cluster(name).ok_or(*name));
    let groups = grouped.collect::<BTreeSet<_>>().len();
    PromptFacts {
        index,
        text: records.first().map(|r| r.prompt.clone()).unwrap_or_default(),
        group: group.map(str::to_owned),
        counts,
        one_to_many: copied.len(),
        one_to_many_groups: gallery.grouped.then_some(groups),
        pictures,
    }
}

fn of_picture(run: &Run, record: &Record, thresholds: &Thresholds, gallery: &Gallery<'_>) -> PictureFacts {
    let (edit, found) = (run.edit(&record.key), run.matches_of(record));
    let best = found.first().map(|m| m.scores);
    let finite: Vec<f64> = record
        .noise_norm
        .iter()
        .filter(|n| n.is_finite())
        .map(|n| f64::from(*n))
        .collect();
    PictureFacts {
        name: record.key.to_string(),
        seed: record.key.seed,
        verdict: best.map(|s| thresholds.classify(&s)),
        foreground: best.and_then(|s| s.foreground),
        background: best.and_then(|s| s.background),
        average: best.and_then(|s| s.average()),
        confidence: record.confidence,
        matches: found
            .iter()
            .map(|m| MatchFacts {
                name: m.name.clone(),
                foreground: m.scores.foreground,
                background: m.scores.background,
                caption: gallery.caption(&m.name),
                cluster: gallery.cluster(&m.name),
            })
            .collect(),
        noise_norm_mean: (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64),
        sha256: record.sha256.clone(),
        image: record.image.clone(),
        matte: edit.map_or_else(|| record.matte.clone(), |e| e.matte.clone()),
        noise_norm: record
            .noise_norm
            .iter()
            .map(|n| n.is_finite().then_some(*n))
            .collect(),
        // They are those of the segmenter's region.
        measures: record.measures.filter(|_| edit.is_none()),
        embedding: record.embedding.clone().filter(|_| edit.is_none()),
        edited_mask: edit.map(|e| e.tools.clone()).unwrap_or_default(),
    }
}

fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    name.to_string_lossy().into_owned()
}

fn parameters(run: &Run, sources: &Sources) -> Vec<(String, String)> {
    let p = run.parameters();
    let hash = |h: &Option<String>| h.clone().unwrap_or_else(|| "none".to_owned());
    let variant = p.variant.as_ref();
    let s = &p.sampling;
    let rows = [
        ("begun with", p.program.clone()),
        ("study", p.study.clone()),
        ("model, SHA-256", hash(&p.model)),
        ("segmenter, SHA-256", hash(&p.segmenter)),
        ("gallery, SHA-256", hash(&p.gallery)),
        ("variant", variant.map_or("none".to_owned(), |v| v.name.clone())),
        (
            "variant, SHA-256",
            variant.map_or("none".to_owned(), |v| v.hash.clone()),
        ),
        ("steps", s.steps.to_string()),
        ("guidance", s.guidance.to_string()),
        ("size", format!("{} × {}", s.width, s.height)),
        ("scheduler", s.scheduler.to_string()),
        ("noise", s.rng.to_string()),
        ("negative prompt", s.negative.clone()),
        ("arithmetic", p.arithmetic.to_string()),
    ];
    let known = variant.and_then(|id| sources.outline.variants.iter().find(|v| v.name == id.name));
    let edits = known.iter().flat_map(|v| &v.edits);
    let edits = edits.zip(1..).map(|(e, n)| (format!("edit {n}"), e.words()));
    let mut all: Vec<_> = rows.map(|(name, value)| (name.to_owned(), value)).into();
    // After the variant's hash.
    let at = all
        .iter()
        .position(|(name, _)| name == "steps")
        .unwrap_or(all.len());
    all.splice(at..at, edits);
    all
}
