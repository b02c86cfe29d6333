//! What a path that was dropped on the window is.

use super::{
    image_names::parse_picture_name,
    labels::{BACKGROUND_COLUMNS, CLASS_COLUMNS, FOREGROUND_COLUMNS, PICTURE_COLUMNS},
    run_parameters::RUN_FILE,
    study_file::STUDY_FILE,
};
use crate::{
    study::Problem,
    tables::{self, Delimited},
};
use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

/// What was recognised, with the path to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recognised {
    /// Folder of a `study.toml`.
    Study(PathBuf),
    /// Checkpoint: a folder in diffusers layout, or a single file in the original layout (the only one of a folder, too).
    Checkpoint(PathBuf),
    /// Folder of images.
    Gallery(PathBuf),
    /// Folder of generated pictures: all names are FB-Mem's.
    Generated(PathBuf),
    /// Prompt list.
    Prompts(PathBuf),
    /// Score table of the reference.
    Scores(PathBuf),
    /// Labels of pictures.
    Labels(PathBuf),
    /// Segmenter: a folder or a weights file.
    Segmenter(PathBuf),
    /// Weights of SAM or MobileSAM.
    ClickSegmenter(PathBuf),
    /// Folder of a run.
    Run(PathBuf),
    /// Variant file.
    Variant(PathBuf),
    /// Band of noise norms.
    Band(PathBuf),
}

/// Files that only a diffusers folder has; any of them makes it a checkpoint, whose opener then says what
/// is missing.
const CHECKPOINT_PARTS: [&str; 3] = ["model_index.json", "unet/config.json", "unet"];
const IMAGE_ENDINGS: [&str; 10] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "tif", "tiff",
];
const PROMPT_ENDINGS: [&str; 5] = ["csv", "tsv", "jsonl", "ndjson", "txt"];
const WEIGHT_ENDINGS: [&str; 6] = ["safetensors", "ckpt", "pt", "pth", "bin", "onnx"];
/// Entries of a folder that are looked at before giving up.
const MAX_ENTRIES: usize = 100_000;

/// Tells what a file or folder is, from its name and what lies in it; opens nothing large.
///
/// # Errors
/// A problem that says what was looked for and not found, or what to do with a kind of file that cannot be
/// opened.
pub fn recognise(path: &Path) -> Result<Recognised, Problem> {
    let about = fs::metadata(path).map_err(|e| Problem::io("This cannot be opened", path, &e))?;
    if about.is_dir() { folder(path) } else { file(path) }
}

fn folder(path: &Path) -> Result<Recognised, Problem> {
    let here = path.to_owned();
    if path.join(STUDY_FILE).is_file() {
        return Ok(Recognised::Study(here));
    }
    if path.join(RUN_FILE).is_file() {
        return Ok(Recognised::Run(here));
    }
    if CHECKPOINT_PARTS.iter().any(|part| path.join(part).exists()) {
        return Ok(Recognised::Checkpoint(here));
    }
    let entries = fs::read_dir(path).map_err(|e| Problem::io("This folder cannot be read", path, &e))?;
    let mut weights = Vec::new();
    let mut images = false;
    let mut generated = true;
    let mut empty = true;
    for entry in entries.take(MAX_ENTRIES).flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        empty = false;
        if has_ending(&name, &IMAGE_ENDINGS) && entry.path().is_file() {
            images = true;
            generated &= parse_picture_name(&name).is_some();
            if !generated {
                break;
            }
            continue;
        }
        if has_ending(&name, &WEIGHT_ENDINGS) {
            weights.push(name);
        }
    }
    weights.sort();
    if !images && !weights.is_empty() && says_architecture(&path.join("config.json")) {
        return Ok(Recognised::Segmenter(here));
    }
    if images && generated {
        return Ok(Recognised::Generated(here));
    }
    if !images
        && let [only] = weights.as_slice()
        && let Some(network) = names_a_network(&path.join(only))
    {
        return Ok(network.at(here));
    }
    if images {
        return Ok(Recognised::Gallery(here));
    }
    let whole: Vec<&String> = weights
        .iter()
        .filter(|name| has_ending(name, &["safetensors"]) && names_a_unet(&path.join(name)))
        .collect();
    match whole[..] {
        [] => {}
        [one] => return Ok(Recognised::Checkpoint(path.join(one))),
        _ => {
            const LISTED: usize = 12;
            let problem = Problem::new(
                "This folder holds several checkpoints in single files",
                "Open the one to use.",
            );
            let names = whole.iter().take(LISTED);
            return Err(names.fold(problem.at(path), |p, name| p.detail((*name).clone())));
        }
    }
    if let Some(first) = weights.first() {
        return Err(Problem::new(
            "This folder holds weights, but not a checkpoint in diffusers layout",
            "Choose the folder above it if it has a model_index.json, or open a single-file checkpoint itself.",
        )
        .at(path)
        .detail(format!("weights found: {first}"))
        .detail("looked for: model_index.json, unet/, and config.json with an \"architecture\" (a segmenter)"));
    }
    let mut problem = Problem::new(
        "Nothing that can be opened was found in this folder",
        "Choose the folder of a study, a checkpoint, a segmenter, a run, or one with images.",
    )
    .at(path)
    .detail(format!("looked for: {STUDY_FILE} (a study)"))
    .detail("looked for: model_index.json or unet/ (a checkpoint)")
    .detail(format!("looked for: {RUN_FILE} (a run)"))
    .detail("looked for: config.json with an \"architecture\", and weights (a segmenter)")
    .detail("looked for: image files (a gallery)");
    if empty {
        problem = problem.detail("the folder is empty");
    }
    Err(problem)
}

fn file(path: &Path) -> Result<Recognised, Problem> {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let parent = path.parent().unwrap_or(Path::new("")).to_owned();
    match name.as_str() {
        STUDY_FILE => return Ok(Recognised::Study(parent)),
        RUN_FILE => return Ok(Recognised::Run(parent)),
        "model_index.json" => return Ok(Recognised::Checkpoint(parent)),
        _ => {}
    }
    if has_ending(&name, &["toml"]) {
        // Its reader says what is wrong with it if it is none.
        return Ok(Recognised::Variant(path.to_owned()));
    }
    if has_ending(&name, &["json"]) && is_a_band(path) {
        return Ok(Recognised::Band(path.to_owned()));
    }
    if has_ending(&name, &["csv", "tsv"])
        && let Some(table) = table_kind(path)
    {
        return Ok(table);
    }
    if has_ending(&name, &PROMPT_ENDINGS) {
        return Ok(Recognised::Prompts(path.to_owned()));
    }
    if has_ending(&name, &["safetensors"]) && names_a_unet(path) {
        return Ok(Recognised::Checkpoint(path.to_owned()));
    }
    if has_ending(&name, &WEIGHT_ENDINGS)
        && let Some(network) = names_a_network(path)
    {
        // A settings file beside a file named so belongs to it: together they are the folder.
        let settings = path.with_file_name("config.json");
        let beside = path.file_stem().is_some_and(|s| s == "model") && says_architecture(&settings);
        return Ok(network.at(if beside { parent } else { path.to_owned() }));
    }
    if has_ending(&name, &WEIGHT_ENDINGS) {
        return Err(Problem::new(
            "This weights file is not a checkpoint that can be opened by itself",
            "Open a checkpoint's folder, or a .safetensors file of Stable Diffusion 1.x or 2.x. Convert others once with diffusers (in \
             Python: StableDiffusionPipeline.from_single_file(FILE).save_pretrained(FOLDER, safe_serialization=True)).",
        )
        .at(path)
        .detail("a segmenter's weights are those of U²-Net, U²-Net-P, IS-Net, BiRefNet, SAM or MobileSAM")
        .detail("a single-file checkpoint is a .safetensors file with tensors named model.diffusion_model.…")
        .detail(
            "a checkpoint folder in diffusers layout has model_index.json, unet/, vae/, text_encoder/ and tokenizer/",
        ));
    }
    if has_ending(&name, &IMAGE_ENDINGS) {
        return Err(Problem::new(
            "This is a single image",
            "Open the folder it lies in to use its images as the gallery.",
        )
        .at(path));
    }
    Err(Problem::new(
        "This kind of file cannot be opened",
        "Open a folder (study, checkpoint, segmenter, run, gallery), a list of prompts or a variant file.",
    )
    .at(path)
    .detail(format!("looked for: {STUDY_FILE}, {RUN_FILE}, model_index.json"))
    .detail("looked for: a variant (.toml)")
    .detail(format!(
        "looked for: a prompt list ({})",
        PROMPT_ENDINGS.map(|e| format!(".{e}")).join(", ")
    )))
}

/// Score tables and labels by their columns; `None` for any other table, whose reader says what it lacks.
fn table_kind(path: &Path) -> Option<Recognised> {
    const LIMIT: u64 = 64 << 10;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    let text = tables::decode_text(&bytes)?.text;
    let line = text.lines().find(|l| !l.trim().is_empty())?;
    let headers = |wanted: &[&str]| Delimited::parse(line, wanted, 1).ok().map(|table| table.headers);
    if let Some(found) = headers(&["generated image"])
        && tables::column(&found, &["original image"]).is_some()
    {
        return Some(Recognised::Scores(path.to_owned()));
    }
    if headers(&["caption", "prompt", "text"]).is_some() {
        return None;
    }
    let wanted: Vec<&str> = PICTURE_COLUMNS
        .into_iter()
        .chain(["prompt index", "prompt_index", "k"])
        .collect();
    let found = headers(&wanted)?;
    let labelled = [&CLASS_COLUMNS[..], &FOREGROUND_COLUMNS, &BACKGROUND_COLUMNS];
    let labelled = labelled
        .into_iter()
        .any(|names| tables::column(&found, names).is_some());
    labelled.then(|| Recognised::Labels(path.to_owned()))
}

fn has_ending(name: &str, endings: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        !stem.is_empty() && endings.iter().any(|known| ending.eq_ignore_ascii_case(known))
    })
}

/// Whether the header of a safetensors file names tensors of a Stable Diffusion UNet in the original layout.
fn names_a_unet(path: &Path) -> bool {
    // Its checkpoints' headers have some 150 kB.
    const LIMIT: u64 = 16 << 20;
    const NAME: &[u8] = b"\"model.diffusion_model.";
    let Ok(mut file) = File::open(path) else {
        return false;
    };
    let mut prefix = [0u8; 8];
    if file.read_exact(&mut prefix).is_err() {
        return false;
    }
    let length = u64::from_le_bytes(prefix);
    let mut header = Vec::new();
    length <= LIMIT
        && file.take(length).read_to_end(&mut header).is_ok()
        && header.windows(NAME.len()).any(|window| window == NAME)
}

/// A network that finds regions.
enum Network {
    Segmenter,
    Click,
}

impl Network {
    fn at(self, path: PathBuf) -> Recognised {
        match self {
            Self::Segmenter => Recognised::Segmenter(path),
            Self::Click => Recognised::ClickSegmenter(path),
        }
    }
}

/// The network whose tensors are named near the beginning of a weights file: in the header of a safetensors file, the
/// first entry of a `.pth` archive, the nodes of an ONNX graph. Any ONNX file counts as a segmenter: some have lost
/// all names, and nothing else here is ONNX.
fn names_a_network(path: &Path) -> Option<Network> {
    const LIMIT: u64 = 4 << 20;
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LIMIT).read_to_end(&mut bytes).ok()?;
    let names = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    if names(b"mask_decoder.") {
        return Some(Network::Click);
    }
    let onnx = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    (onnx || names(b"rebnconv") || names(b"decoder.decoder_block")).then_some(Network::Segmenter)
}

/// Whether a JSON file has the key of a band of noise norms; its reader says what is wrong with it.
fn is_a_band(path: &Path) -> bool {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1 << 20).read_to_end(&mut text));
    read.is_ok()
        && serde_json::from_slice::<serde_json::Value>(&text)
            .is_ok_and(|json| json.get("band").is_some_and(serde_json::Value::is_object))
}

/// Whether a configuration file names an architecture, as those of segmenters do.
fn says_architecture(config: &Path) -> bool {
    if !config.is_file() {
        return false;
    }
    let Ok(file) = File::open(config) else {
        return false;
    };
    let mut text = Vec::new();
    if file.take(1 << 20).read_to_end(&mut text).is_err() {
        return false;
    }
    serde_json::from_slice::<serde_json::Value>(&text)
        .is_ok_and(|json| json.get("architecture").is_some_and(serde_json::Value::is_string))
}
