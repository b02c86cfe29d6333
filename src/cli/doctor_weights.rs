//! What `doctor` says of weights: which published ones are here, what they do on this machine, and what to do next.

use super::doctor::{Finding, finding};
use crate::fetch::{CATALOG, Places, Use};
use std::path::PathBuf;

/// Loose files that are listed.
const LISTED: usize = 50;
/// Indent of further lines of a value.
const LINE: &str = "\n             ";

/// One finding for each use of weights.
pub fn published(places: &Places) -> Vec<Finding> {
    [
        (
            Use::Segmenter,
            "segmenters",
            "Without one of these only drawn scenes are segmented well",
            "u2net",
        ),
        (
            Use::Click,
            "clicks",
            "Regions cannot be corrected by pointing at them",
            "mobilesam",
        ),
        (
            Use::Embedder,
            "embedders",
            "The map and the shortlist use colours and edges alone",
            "dinov2",
        ),
    ]
    .map(|(purpose, name, without, first)| {
        let models = || CATALOG.iter().filter(move |m| m.purpose == purpose);
        let here: Vec<_> = models()
            .filter_map(|m| places.find(m).map(|found| (m, found)))
            .map(|(m, found)| {
                format!(
                    "{}: {} ({}); {}",
                    m.name,
                    found.path.display(),
                    found.place,
                    m.note
                )
            })
            .collect();
        let missing: Vec<_> = models()
            .filter(|m| places.find(m).is_none())
            .map(|m| format!("{} {}", m.name, m.size()))
            .collect();
        if here.is_empty() {
            let note = format!(
                "{without}. `pentimento fetch {first}` gets one (there are {}).",
                missing.join(", ")
            );
            return finding(name, "none of the published ones", note);
        }
        let note = match &missing[..] {
            [] => String::new(),
            missing => format!("`pentimento fetch NAME` gets {}.", missing.join(", ")),
        };
        finding(name, here.join(LINE), note)
    })
    .into()
}

/// Weights files where other programs keep theirs, whatever they are.
pub fn loose(places: &Places) -> Finding {
    let mut found: Vec<PathBuf> = [&places.rembg, &places.torch]
        .into_iter()
        .flatten()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|e| e.path()))
        .filter(|path| {
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            ["pth", "pt", "onnx", "safetensors"].contains(&ending)
        })
        .take(LISTED)
        .collect();
    found.sort();
    if found.is_empty() {
        return finding(
            "weights",
            "none in rembg's folder or torch's cache",
            "Weights can be named by their path in study.toml.",
        );
    }
    let list: Vec<_> = found.iter().map(|p| p.display().to_string()).collect();
    finding("weights", list.join(LINE), "")
}
