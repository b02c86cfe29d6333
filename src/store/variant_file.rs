//! A variant on disk: a TOML file for people, and safetensors files beside it for what is too large to read.
//!
//! ```toml
//! format = 1
//! name = "Cluster 3, first third only"
//! note = "NeMo, threshold 0.428"
//!
//! [base]
//! name = "stable-diffusion-v1-4"
//! hash = "…"                        # hashes.model of a run.toml; may be left out
//!
//! [files]                           # SHA-256 of the files beside this one; may be left out
//! "cluster-3.safetensors" = "…"
//!
//! [[edit]]                          # value neurons: attn2.to_v outputs times a factor
//! kind = "neurons"
//! layer = 2                         # in order of execution, or the transformer block's name in diffusers
//! neurons = [12, 40, 77]
//! factor = 0.0
//! steps = "0..17"                   # or timesteps = "661.."; always when left out
//!
//! [[edit]]                          # weights set to zero where the mask is set
//! kind = "mask"
//! weight = "mid_block.attentions.0.transformer_blocks.0.ff.net.2.weight"
//! file = "cluster-3.safetensors"
//! tensor = "mid"                    # the weight's name when left out
//! shape = [1280, 5120]              # only when packed by numpy.packbits(mask); else one byte for each value
//!
//! [[edit]]                          # output of the text encoder for a prompt, [tokens, width]
//! kind = "embedding"
//! prompt = "a photo of a red house" # every prompt when left out
//! file = "cluster-3.safetensors"
//! tensor = "house"
//!
//! [[edit]]                          # guidance before a transition point, then the run's own
//! kind = "guidance"
//! before = 0.0
//! timestep = 500                    # or step = 10, or at = "first minimum"
//!
//! [[edit]]                          # edits for the prompts whose embedding is nearest to this middle
//! kind = "cluster"
//! cluster = 3
//! prompts = 12                      # that it was made of
//! reach = 27.4                      # largest distance of one of them; unknown when left out
//! file = "cluster-3.safetensors"
//! tensor = "middle"                 # [tokens, width]
//!
//! [[edit.edit]]                     # neurons and masks only, as above
//! kind = "neurons"
//! layer = 2
//! neurons = [12]
//! ```

use super::{
    atomic,
    toml_keys::{Keys, Source},
    variant_sidecar::Sidecars,
};
use crate::{
    study::{
        BaseCheckpoint, ClusterEdit, Edit, EmbeddingEdit, GuidanceSchedule, LayerRef, MaskEdit, NeuronEdit,
        Problem, Span, Transition, Variant, When,
    },
    tables,
};
use std::{ops::Range, path::Path};

/// Version of the format that is written and the newest one that is read.
pub const VARIANT_FORMAT: u64 = 1;

pub(super) const HEADLINE: &str = "The variant file has a mistake";
const MAX_BYTES: u64 = 16 << 20;
const FIRST_MINIMUM: &str = "first minimum";

/// Reads a variant and the files beside it that it names. What is unknown is refused: an edit with a misspelt
/// limit would be another edit.
///
/// # Errors
/// A problem that names the file and, for its content, line and column; or the file beside it and its tensor.
pub fn read_variant(path: &Path) -> Result<Variant, Problem> {
    let text = tables::read_text(path, MAX_BYTES)?;
    if let Some(line) = text.unreadable {
        return Err(Problem::new(HEADLINE, "Save the file as UTF-8.")
            .at(path)
            .detail(format!("line {line}: not UTF-8")));
    }
    let text = text.text;
    let source = Source { path, text: &text };
    let mut file = Keys::parse(source, HEADLINE)?;
    match file.whole("format")? {
        Some((VARIANT_FORMAT, _)) => {}
        Some((format, span)) if format > VARIANT_FORMAT => {
            return Err(source.problem(
                "This variant was written by a newer version of the program",
                &span,
                &format!("format is {format}; this version reads up to {VARIANT_FORMAT}"),
                "Update the program.",
            ));
        }
        Some((format, span)) => return Err(file.refuse(&span, &format!("there is no format {format}"))),
        None => return Err(file.lacks(&format!("the first line must be format = {VARIANT_FORMAT}"))),
    }
    let (name, name_span) = file.text("name")?.ok_or_else(|| file.lacks("name is missing"))?;
    let note = file.text("note")?.map(|(note, _)| note).unwrap_or_default();
    let mut base = file.section("base")?;
    let checkpoint = BaseCheckpoint {
        name: base.text("name")?.map(|(name, _)| name).unwrap_or_default(),
        hash: match base.text("hash")? {
            None => None,
            Some((hash, span)) => Some(sha256(&base, hash, &span)?),
        },
    };
    let mut files = Sidecars::new(path.parent().unwrap_or(Path::new("")));
    let hashes = file.section("files")?;
    for (name, (hash, span)) in hashes.all_texts()? {
        files.expect(name, sha256(&file, hash, &span)?);
    }
    let sections = file.sections("edit")?;
    nothing_left(&file, "format, name, note, [base], [files], [[edit]]")?;
    nothing_left(&base, "name, hash")?;

    let mut edits = Vec::with_capacity(sections.len().min(Variant::MAX_EDITS));
    if sections.len() > Variant::MAX_EDITS {
        return Err(file.lacks(&format!(
            "{} edits; at most {} are possible",
            sections.len(),
            Variant::MAX_EDITS
        )));
    }
    for section in sections {
        edits.push(edit(section, &mut files, false)?);
    }
    let variant = Variant {
        name: name.trim().to_owned(),
        note,
        base: checkpoint,
        edits,
    };
    variant.validate().map_err(|reason| {
        source.problem(
            HEADLINE,
            &name_span,
            &reason,
            "Correct it and open the file again.",
        )
    })?;
    Ok(variant)
}

/// Reads an edit; `within` a cluster, where there are no clusters.
fn edit(mut keys: Keys<'_>, files: &mut Sidecars, within: bool) -> Result<Edit, Problem> {
    let (kind, span) = keys
        .text("kind")?
        .ok_or_else(|| keys.lacks("kind is missing: neurons, mask, embedding, guidance or cluster"))?;
    let edit = match kind.as_str() {
        "neurons" => neurons(&mut keys),
        "mask" => mask(&mut keys, files),
        "embedding" => embedding(&mut keys, files),
        "guidance" => guidance(&mut keys),
        "cluster" if !within => cluster(&mut keys, files),
        other => Err(keys.refuse(
            &span,
            &format!("unknown kind “{other}”; known: neurons, mask, embedding, guidance, cluster (not within a cluster)"),
        )),
    }?;
    edit.validate().map_err(|reason| keys.lacks(&reason))?;
    Ok(edit)
}

fn neurons(keys: &mut Keys<'_>) -> Result<Edit, Problem> {
    let layer = if keys.is_text("layer") {
        keys.text("layer")?.map(|(name, _)| LayerRef::Name(name))
    } else {
        match keys.whole("layer")? {
            None => None,
            Some((index, span)) => Some(LayerRef::Index(small(keys, "layer", index, &span)?)),
        }
    };
    let layer = layer.ok_or_else(|| keys.lacks("layer is missing"))?;
    let (list, span) = keys
        .wholes("neurons")?
        .ok_or_else(|| keys.lacks("neurons is missing"))?;
    let neurons = list
        .into_iter()
        .map(|neuron| small(keys, "neurons", neuron, &span))
        .collect::<Result<Vec<_>, _>>()?;
    let factor = keys.number("factor")?.map_or(0.0, |(factor, _)| factor);
    let when = when(keys)?;
    nothing_left(keys, "kind, layer, neurons, factor, steps, timesteps")?;
    Ok(Edit::Neurons(NeuronEdit {
        layer,
        neurons,
        factor,
        when,
    }))
}

fn mask(keys: &mut Keys<'_>, files: &mut Sidecars) -> Result<Edit, Problem> {
    let (weight, _) = keys
        .text("weight")?
        .ok_or_else(|| keys.lacks("weight is missing"))?;
    let (file, span) = keys.text("file")?.ok_or_else(|| keys.lacks("file is missing"))?;
    let tensor = keys
        .text("tensor")?
        .map_or_else(|| weight.clone(), |(name, _)| name);
    let shape = match keys.wholes("shape")? {
        None => None,
        Some((sides, span)) => {
            let shape = sides
                .into_iter()
                .map(|side| small(keys, "shape", side, &span).map(|side| side as usize))
                .collect::<Result<Vec<_>, _>>()?;
            Some(shape)
        }
    };
    let when = when(keys)?;
    nothing_left(keys, "kind, weight, file, tensor, shape, steps, timesteps")?;
    let refuse = |reason: String| keys.refuse(&span, &reason);
    let zero = files.mask(&file, &tensor, shape, &refuse)?;
    Ok(Edit::Mask(MaskEdit { weight, zero, when }))
}

fn embedding(keys: &mut Keys<'_>, files: &mut Sidecars) -> Result<Edit, Problem> {
    let prompt = keys.text("prompt")?.map(|(prompt, _)| prompt);
    let (file, span) = keys.text("file")?.ok_or_else(|| keys.lacks("file is missing"))?;
    let tensor = keys
        .text("tensor")?
        .map_or_else(|| "embedding".to_owned(), |(name, _)| name);
    nothing_left(keys, "kind, prompt, file, tensor")?;
    let refuse = |reason: String| keys.refuse(&span, &reason);
    let embedding = files.embedding(&file, &tensor, &refuse)?;
    Ok(Edit::Embedding(EmbeddingEdit { prompt, embedding }))
}

fn cluster(keys: &mut Keys<'_>, files: &mut Sidecars) -> Result<Edit, Problem> {
    let mut whole = |key: &str| match keys.whole(key)? {
        Some((number, span)) => small(keys, key, number, &span).map(Some),
        None => Ok(None),
    };
    let cluster = whole("cluster")?;
    let prompts = whole("prompts")?.unwrap_or(0);
    let cluster = cluster.ok_or_else(|| keys.lacks("cluster is missing"))?;
    let reach = keys.number("reach")?.map_or(f32::INFINITY, |(reach, _)| reach);
    let (file, span) = keys.text("file")?.ok_or_else(|| keys.lacks("file is missing"))?;
    let tensor = keys
        .text("tensor")?
        .map_or_else(|| "middle".to_owned(), |(name, _)| name);
    let sections = keys.sections("edit")?;
    if sections.len() > Variant::MAX_EDITS {
        return Err(keys.lacks(&format!("at most {} edits are possible", Variant::MAX_EDITS)));
    }
    nothing_left(keys, "kind, cluster, prompts, reach, file, tensor, [[edit.edit]]")?;
    let edits = sections
        .into_iter()
        .map(|section| edit(section, files, true))
        .collect::<Result<_, _>>()?;
    let refuse = |reason: String| keys.refuse(&span, &reason);
    Ok(Edit::Cluster(ClusterEdit {
        cluster,
        prompts,
        reach,
        middle: files.embedding(&file, &tensor, &refuse)?,
        edits,
    }))
}

fn guidance(keys: &mut Keys<'_>) -> Result<Edit, Problem> {
    let before = keys.number("before")?.map_or(0.0, |(before, _)| before);
    let mut transitions = Vec::new();
    if let Some((step, span)) = keys.whole("step")? {
        transitions.push(Transition::Step(small(keys, "step", step, &span)?));
    }
    if let Some((timestep, span)) = keys.whole("timestep")? {
        transitions.push(Transition::Timestep(small(keys, "timestep", timestep, &span)?));
    }
    if let Some((at, span)) = keys.text("at")? {
        if at != FIRST_MINIMUM {
            return Err(keys.refuse(&span, &format!("at is “{at}”; only “{FIRST_MINIMUM}” is known")));
        }
        transitions.push(Transition::FirstMinimum);
    }
    nothing_left(keys, "kind, before, step, timestep, at")?;
    match transitions[..] {
        [transition] => Ok(Edit::Guidance(GuidanceSchedule { before, transition })),
        _ => Err(keys.lacks("exactly one of step, timestep and at must be given")),
    }
}

/// `steps` or `timesteps`.
fn when(keys: &mut Keys<'_>) -> Result<Option<When>, Problem> {
    if keys.has("steps") && keys.has("timesteps") {
        return Err(keys.lacks("steps and timesteps cannot both be given"));
    }
    for (key, wrap) in [
        ("steps", When::Steps as fn(Span) -> When),
        ("timesteps", When::Timesteps),
    ] {
        if let Some((text, span)) = keys.text(key)? {
            return text
                .parse()
                .map(|span| Some(wrap(span)))
                .map_err(|reason: String| keys.refuse(&span, &format!("{key}: {reason}")));
        }
    }
    Ok(None)
}

fn small(keys: &Keys<'_>, key: &str, number: u64, span: &Range<usize>) -> Result<u32, Problem> {
    u32::try_from(number).map_err(|_| keys.refuse(span, &format!("{key}: {number} is too large")))
}

fn sha256(keys: &Keys<'_>, hash: String, span: &Range<usize>) -> Result<String, Problem> {
    if hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(hash.to_ascii_lowercase())
    } else {
        Err(keys.refuse(
            span,
            "this is not a SHA-256 hash: 64 hexadecimal digits are expected",
        ))
    }
}

fn nothing_left(keys: &Keys<'_>, known: &str) -> Result<(), Problem> {
    let unknown = keys.unknown(known);
    if unknown.is_empty() {
        return Ok(());
    }
    let mut problem = keys.lacks("");
    problem.advice = "Correct the spelling, or take the line out.".to_owned();
    problem.details = unknown;
    Err(problem)
}

/// Writes a variant. Masks and embeddings go into one file beside it, named after it and after their content, so
/// that a crash leaves either the former variant or the new one.
///
/// # Errors
/// A problem when the variant is not valid or a file cannot be written.
pub fn write_variant(path: &Path, variant: &Variant) -> Result<(), Problem> {
    let failed = |reason: String| {
        Problem::new("The variant cannot be written", "")
            .at(path)
            .detail(reason)
    };
    variant.validate().map_err(failed)?;
    let stem = path
        .file_stem()
        .map_or_else(|| "variant".to_owned(), |s| s.to_string_lossy().into_owned());
    let beside = super::variant_sidecar::pack(variant, &stem).map_err(failed)?;
    let text = super::variant_text::text(variant, beside.as_ref()).map_err(failed)?;
    let io = |path: &Path, e: &std::io::Error| Problem::io("The variant cannot be written", path, e);
    if let Some(beside) = &beside {
        let sidecar = path.with_file_name(&beside.name);
        atomic::write(&sidecar, &beside.bytes).map_err(|e| io(&sidecar, &e))?;
    }
    atomic::write(path, text.as_bytes()).map_err(|e| io(path, &e))
}
