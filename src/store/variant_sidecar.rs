//! The safetensors files beside a variant: masks and embeddings. Read without trusting them: plain names in the
//! variant's own folder only, bounded size, header and shapes checked, content compared with its hash.

use super::variant_file::HEADLINE;
use crate::study::{BitMask, Edit, Embedding, Problem, Variant};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Largest file that is read: 150 bit-packed masks of all of SD 1.5's feed-forwards.
const MAX_BYTES: u64 = 1 << 30;
const ENDING: &str = ".safetensors";

/// The files beside one variant, each read at its first use.
pub(super) struct Sidecars {
    folder: PathBuf,
    expected: HashMap<String, String>,
    read: HashMap<String, Vec<u8>>,
}

/// Makes a problem of a reason, at the place of the variant file that named the sidecar.
type Refuse<'a> = &'a dyn Fn(String) -> Problem;

impl Sidecars {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            expected: HashMap::new(),
            read: HashMap::new(),
        }
    }

    /// The SHA-256 a file must have, in hexadecimal.
    pub(super) fn expect(&mut self, file: String, sha256: String) {
        self.expected.insert(file, sha256);
    }

    /// A mask: with `shape` one bit per entry as `numpy.packbits` packs them, else one byte per entry.
    pub(super) fn mask(
        &mut self,
        file: &str,
        tensor: &str,
        shape: Option<Vec<usize>>,
        refuse: Refuse<'_>,
    ) -> Result<BitMask, Problem> {
        self.with(file, tensor, refuse, |view| {
            if !matches!(view.dtype(), Dtype::BOOL | Dtype::U8) {
                return Err(format!("is of type {}; U8 or BOOL is expected", view.dtype()));
            }
            match shape {
                Some(shape) => BitMask::from_packed(shape, view.data()),
                None => {
                    if let Some(other) = view.data().iter().find(|byte| **byte > 1) {
                        return Err(format!(
                            "holds a {other}; 0 and 1 are expected (a packed mask needs its shape in the variant file)"
                        ));
                    }
                    let entries: Vec<bool> = view.data().iter().map(|byte| *byte == 1).collect();
                    BitMask::from_bools(view.shape().to_vec(), &entries)
                }
            }
        })
    }

    /// An embedding `[tokens, width]` or `[1, tokens, width]`, of any floating type.
    pub(super) fn embedding(
        &mut self,
        file: &str,
        tensor: &str,
        refuse: Refuse<'_>,
    ) -> Result<Embedding, Problem> {
        self.with(file, tensor, refuse, |view| {
            let (tokens, width) = match *view.shape() {
                [tokens, width] | [1, tokens, width] => (tokens, width),
                _ => return Err(format!("is {:?}; [tokens, width] is expected", view.shape())),
            };
            let values = floats(&view)?;
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                return Err(format!("is not finite at value {at}"));
            }
            Ok(Embedding {
                tokens,
                width,
                values: values.into(),
            })
        })
    }

    fn with<T>(
        &mut self,
        file: &str,
        tensor: &str,
        refuse: Refuse<'_>,
        take: impl FnOnce(TensorView<'_>) -> Result<T, String>,
    ) -> Result<T, Problem> {
        let plain =
            file.ends_with(ENDING) && !file.starts_with('.') && !file.contains(['/', '\\', ':', '\0']);
        if !plain {
            return Err(refuse(format!(
                "“{file}” is not the name of a {ENDING} file in the variant's own folder"
            )));
        }
        if !self.read.contains_key(file) {
            let bytes = self.read_file(file)?;
            self.read.insert(file.to_owned(), bytes);
        }
        let bytes = self.read.get(file).map_or(&[][..], Vec::as_slice);
        let damaged = |reason: String| {
            Problem::new(
                HEADLINE,
                "Make the variant again, or restore the file from a copy.",
            )
            .at(self.folder.join(file))
            .detail(reason)
        };
        let all =
            SafeTensors::deserialize(bytes).map_err(|e| damaged(format!("not a safetensors file: {e}")))?;
        let view = all
            .tensor(tensor)
            .map_err(|_| damaged(format!("it holds no tensor “{tensor}”")))?;
        take(view).map_err(|reason| damaged(format!("{tensor} {reason}")))
    }

    fn read_file(&self, name: &str) -> Result<Vec<u8>, Problem> {
        let path = self.folder.join(name);
        let advice = "It belongs to the variant: put it beside the variant's file.";
        let refused = |reason: &str| Problem::new(HEADLINE, advice).at(&path).detail(reason);
        let failed = |e: std::io::Error| Problem::io("A file of the variant cannot be read", &path, &e);
        let about = std::fs::metadata(&path).map_err(failed)?;
        if !about.is_file() {
            return Err(refused("it is not a regular file"));
        }
        // A link must not lead out of the folder either.
        let folder = if self.folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &self.folder
        };
        let real = |p: &Path| p.canonicalize().map_err(failed);
        if real(&path)?.parent() != Some(real(folder)?.as_path()) {
            return Err(refused("it is a link that leads out of the variant's folder"));
        }
        if about.len() > MAX_BYTES {
            return Err(refused(&format!(
                "it has {} MB; at most {} are read",
                about.len() >> 20,
                MAX_BYTES >> 20
            )));
        }
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|f| f.take(MAX_BYTES).read_to_end(&mut bytes))
            .map_err(failed)?;
        match self.expected.get(name) {
            Some(expected) if *expected != sha256(&bytes) => Err(refused(
                "its content is not what the variant file says (SHA-256 differs)",
            )),
            _ => Ok(bytes),
        }
    }
}

fn floats(view: &TensorView<'_>) -> Result<Vec<f32>, String> {
    let data = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => data
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
        Dtype::F64 => data
            .as_chunks()
            .0
            .iter()
            .map(|b| f64::from_le_bytes(*b) as f32)
            .collect(),
        Dtype::F16 => data
            .as_chunks()
            .0
            .iter()
            .map(|b| f16::from_le_bytes(*b).to_f32())
            .collect(),
        Dtype::BF16 => data
            .as_chunks()
            .0
            .iter()
            .map(|b| bf16::from_le_bytes(*b).to_f32())
            .collect(),
        other => return Err(format!("is of type {other}; F16, BF16, F32 and F64 are read")),
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A file to lie beside a variant.
pub(super) struct Packed {
    pub name: String,
    pub bytes: Vec<u8>,
    pub sha256: String,
}

/// Name of the tensor of the edit at a place: its number, within a cluster after the cluster's (`4`, `4.0`).
pub(super) fn tensor_name(place: &str, edit: &Edit) -> String {
    match edit {
        Edit::Mask(edit) => format!("{place}.{}", edit.weight),
        Edit::Cluster(_) => format!("{place}.middle"),
        _ => format!("{place}.embedding"),
    }
}

/// The tensors of edits, in order.
fn tensors(edits: &[Edit], within: &str, data: &mut Vec<(String, Dtype, Vec<usize>, Vec<u8>)>) {
    let floats = |name: String, embedding: &Embedding| {
        let bytes = embedding.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        (name, Dtype::F32, vec![embedding.tokens, embedding.width], bytes)
    };
    for (i, edit) in edits.iter().enumerate() {
        let place = format!("{within}{i}");
        let name = tensor_name(&place, edit);
        match edit {
            Edit::Mask(edit) => {
                let bits = edit.zero.packed().to_vec();
                data.push((name, Dtype::U8, vec![bits.len()], bits));
            }
            Edit::Embedding(edit) => data.push(floats(name, &edit.embedding)),
            Edit::Cluster(cluster) => {
                data.push(floats(name, &cluster.middle));
                tensors(&cluster.edits, &format!("{place}."), data);
            }
            Edit::Neurons(_) | Edit::Guidance(_) => {}
        }
    }
}

/// Masks (packed), embeddings and middles of clusters (f32) of a variant in one file; `None` if there are none.
pub(super) fn pack(variant: &Variant, stem: &str) -> Result<Option<Packed>, String> {
    let mut data = Vec::new();
    tensors(&variant.edits, "", &mut data);
    if data.is_empty() {
        return Ok(None);
    }
    let views = data
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(|e| e.to_string())?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let bytes = safetensors::serialize(views, None).map_err(|e| e.to_string())?;
    let sha256 = sha256(&bytes);
    Ok(Some(Packed {
        name: format!("{stem}-{}{ENDING}", &sha256[..8]),
        bytes,
        sha256,
    }))
}
