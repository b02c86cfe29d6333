//! The text of a variant file, from the value.

use super::{
    variant_file::VARIANT_FORMAT,
    variant_sidecar::{Packed, tensor_name},
};
use crate::study::{Edit, LayerRef, Transition, Variant, When};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct File<'a> {
    format: u64,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'a str,
    #[serde(skip_serializing_if = "Base::is_empty")]
    base: Base<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    edit: Vec<Section<'a>>,
}

#[derive(Serialize)]
struct Base<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<&'a str>,
}

impl Base<'_> {
    fn is_empty(&self) -> bool {
        self.name.is_empty() && self.hash.is_none()
    }
}

/// Keys of all kinds of edits; each uses its own.
#[derive(Default, Serialize)]
struct Section<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<Layer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    neurons: Option<&'a [u32]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<&'a [usize]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestep: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timesteps: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reach: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    edit: Vec<Section<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Layer<'a> {
    Index(u32),
    Name(&'a str),
}

/// The file's text; `beside` is what [`pack`](super::variant_sidecar::pack) made of the same variant.
pub(super) fn text(variant: &Variant, beside: Option<&Packed>) -> Result<String, String> {
    let file = beside.map(|b| b.name.as_str());
    let edit = sections(&variant.edits, "", file);
    let file = File {
        format: VARIANT_FORMAT,
        name: &variant.name,
        note: &variant.note,
        base: Base {
            name: &variant.base.name,
            hash: variant.base.hash.as_deref(),
        },
        files: beside
            .iter()
            .map(|b| (b.name.as_str(), b.sha256.as_str()))
            .collect(),
        edit,
    };
    toml::to_string(&file).map_err(|e| e.to_string())
}

/// The sections of edits; `within` is the place of the cluster that holds them, with a point behind it.
fn sections<'a>(edits: &'a [Edit], within: &str, file: Option<&'a str>) -> Vec<Section<'a>> {
    let section = |(i, edit): (usize, &'a Edit)| {
        let place = format!("{within}{i}");
        let mut section = section(edit);
        if matches!(edit, Edit::Mask(_) | Edit::Embedding(_) | Edit::Cluster(_)) {
            section.file = file;
            section.tensor = Some(tensor_name(&place, edit));
        }
        if let Edit::Cluster(cluster) = edit {
            section.edit = sections(&cluster.edits, &format!("{place}."), file);
        }
        match edit.when() {
            Some(When::Steps(span)) => section.steps = Some(span.to_string()),
            Some(When::Timesteps(span)) => section.timesteps = Some(span.to_string()),
            None => {}
        }
        section
    };
    edits.iter().enumerate().map(section).collect()
}

fn section(edit: &Edit) -> Section<'_> {
    match edit {
        Edit::Neurons(edit) => Section {
            kind: "neurons",
            layer: Some(match &edit.layer {
                LayerRef::Index(index) => Layer::Index(*index),
                LayerRef::Name(name) => Layer::Name(name),
            }),
            neurons: Some(&edit.neurons),
            factor: Some(short(edit.factor)),
            ..Section::default()
        },
        Edit::Mask(edit) => Section {
            kind: "mask",
            weight: Some(&edit.weight),
            shape: Some(edit.zero.shape()),
            ..Section::default()
        },
        Edit::Embedding(edit) => Section {
            kind: "embedding",
            prompt: edit.prompt.as_deref(),
            ..Section::default()
        },
        Edit::Cluster(cluster) => Section {
            kind: "cluster",
            cluster: Some(cluster.cluster),
            prompts: Some(cluster.prompts),
            reach: cluster.reach.is_finite().then(|| short(cluster.reach)),
            ..Section::default()
        },
        Edit::Guidance(schedule) => {
            let mut section = Section {
                kind: "guidance",
                before: Some(short(schedule.before)),
                ..Section::default()
            };
            match schedule.transition {
                Transition::Step(step) => section.step = Some(step),
                Transition::Timestep(timestep) => section.timestep = Some(timestep),
                Transition::FirstMinimum => section.at = Some("first minimum"),
            }
            section
        }
    }
}

/// The f64 with the same digits as the f32: 0.3 and not 0.30000001192092896.
fn short(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}
