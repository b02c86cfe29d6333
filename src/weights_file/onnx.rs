//! The weights inside an ONNX file, under the names of the PyTorch module it was exported from. Only what names and
//! holds tensors is read; nothing of the graph is run.
//!
//! PyTorch's exporter folds BatchNorm into convolutions and gives the results names like `onnx::Conv_1896`; matrices
//! of linear layers are stored transposed as `onnx::MatMul_1234`. The node that uses such a tensor carries the
//! module's path in its own name (`/stage1/rebnconv1/conv_s1/Conv`), from which the tensor gets its name back. Older
//! exporters name nodes `Conv_17` and tensors `1896`: then the order of the convolutions is all there is, see
//! [`Contents::in_order`].

use super::protobuf::{Fields, Value};
use candle_core::{DType, Device, Result, Tensor, bail};
use half::{bf16, f16};
use std::collections::{HashMap, HashSet};

/// BiRefNet's graph has some ten thousand nodes.
const MOST_NODES: usize = 200_000;
/// Longest name of a node or tensor, in bytes.
const MOST_NAME: usize = 1024;

/// What a file holds.
#[derive(Default)]
pub struct Contents {
    /// Tensors by name.
    pub tensors: HashMap<String, Tensor>,
    /// Weight and bias of every convolution in the order of the graph, when their names are lost; empty otherwise.
    pub in_order: Vec<(Tensor, Option<Tensor>)>,
}

/// A tensor as it lies in the file.
#[derive(Clone, Default)]
struct Stored<'a> {
    name: String,
    dims: Vec<usize>,
    kind: u64,
    raw: Option<&'a [u8]>,
    floats: Vec<f32>,
    doubles: Vec<f64>,
    /// Bits of half-precision values.
    halves: Vec<u16>,
    elsewhere: bool,
    location: String,
}

struct Node {
    operator: String,
    name: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

/// Reads the tensors of an ONNX file.
///
/// # Errors
/// When the bytes are no ONNX model, a tensor's data lie in another file, or its length does not fit its shape.
pub fn read(bytes: &[u8]) -> Result<Contents> {
    let mut graph = None;
    for field in Fields::of(bytes) {
        if let (7, Value::Bytes(bytes)) = field? {
            graph = Some(bytes);
        }
    }
    let Some(graph) = graph else {
        bail!("it holds no graph, so it is no ONNX model");
    };
    let (mut stored, mut nodes) = (HashMap::new(), Vec::new());
    for field in Fields::of(graph) {
        match field? {
            (1, Value::Bytes(bytes)) => {
                let (node, constant) = read_node(bytes)?;
                if let (Some(tensor), Some(output)) = (constant, node.outputs.first()) {
                    stored.insert(output.clone(), tensor);
                }
                nodes.push(node);
            }
            (5, Value::Bytes(bytes)) => {
                let tensor = read_tensor(bytes)?;
                stored.insert(tensor.name.clone(), tensor);
            }
            _ => {}
        }
        if nodes.len() > MOST_NODES || stored.len() > MOST_NODES {
            bail!("its graph has more than {MOST_NODES} parts");
        }
    }
    named(stored, &nodes)
}

/// Gives the tensors the names of the module's parameters.
fn named(mut stored: HashMap<String, Stored<'_>>, nodes: &[Node]) -> Result<Contents> {
    // Equal parameters are stored once; the other names are outputs of Identity nodes.
    for node in nodes.iter().filter(|n| n.operator == "Identity") {
        if let ([input], [output]) = (node.inputs.as_slice(), node.outputs.as_slice())
            && let Some(tensor) = stored.get(input).cloned()
        {
            stored.insert(output.clone(), tensor);
        }
    }
    let mut contents = Contents::default();
    // A module that runs twice has its path with a number at the second node.
    let mut given = HashSet::new();
    let (mut convolutions, mut lost) = (Vec::new(), false);
    for node in nodes {
        let input = |i: usize| {
            let name = node.inputs.get(i)?;
            stored.get(name).map(|tensor| (name, tensor))
        };
        let path = module(&node.name);
        match node.operator.as_str() {
            "Conv" => {
                let Some((name, weight)) = input(1) else { continue };
                let weight = weight.load()?;
                let bias = input(2).map(|(_, bias)| bias.load()).transpose()?;
                match &path {
                    Some(path) => {
                        contents.tensors.insert(format!("{path}.weight"), weight.clone());
                        if let Some(bias) = &bias {
                            contents.tensors.insert(format!("{path}.bias"), bias.clone());
                        }
                    }
                    None => lost |= is_anonymous(name),
                }
                convolutions.push((weight, bias));
            }
            "MatMul" => {
                if let (Some(path), Some((name, weight))) = (path, input(1))
                    && is_anonymous(name)
                    && weight.dims.len() == 2
                    && given.insert(weight.place())
                {
                    contents
                        .tensors
                        .insert(format!("{path}.weight"), weight.load()?.t()?.contiguous()?);
                }
            }
            // Rows of a table, picked by an index that is part of the module: a window's position biases.
            "Reshape" => {
                if let (Some(path), Some((name, rows))) = (path, input(0))
                    && is_anonymous(name)
                    && rows.is_float()
                    && given.insert(rows.place())
                {
                    contents.tensors.insert(format!("{path}.picked"), rows.load()?);
                }
            }
            // The same, folded once more.
            "Add" => {
                for i in 0..2 {
                    if let (Some(path), Some((name, term))) = (&path, input(i))
                        && is_anonymous(name)
                        && term.dims.len() >= 3
                    {
                        contents.tensors.insert(format!("{path}.added"), term.load()?);
                    }
                }
            }
            _ => {}
        }
    }
    for (name, tensor) in &stored {
        if !is_anonymous(name) && tensor.is_float() && !contents.tensors.contains_key(name) {
            contents.tensors.insert(name.clone(), tensor.load()?);
        }
    }
    if lost {
        contents.in_order = convolutions;
    }
    Ok(contents)
}

/// `/stage1/rebnconv1/conv_s1/Conv_1` is a node of `stage1.rebnconv1.conv_s1`, and `/squeeze_module/squeeze_module.0/…`
/// of the first module in a sequence.
fn module(node: &str) -> Option<String> {
    let (path, _) = node.strip_prefix('/')?.rsplit_once('/')?;
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        if let Some(last) = parts.last()
            && part.strip_prefix(last).is_some_and(|rest| rest.starts_with('.'))
        {
            parts.pop();
        }
        parts.push(part);
    }
    Some(parts.join("."))
}

/// Whether a name was given by an exporter, not by a module.
fn is_anonymous(name: &str) -> bool {
    name.contains("::") || name.starts_with('/') || name.bytes().all(|b| b.is_ascii_digit())
}

fn read_node(bytes: &[u8]) -> Result<(Node, Option<Stored<'_>>)> {
    let mut node = Node {
        operator: String::new(),
        name: String::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    let mut attributes = Vec::new();
    for field in Fields::of(bytes) {
        match field? {
            (1, Value::Bytes(b)) => node.inputs.push(text(b)?),
            (2, Value::Bytes(b)) => node.outputs.push(text(b)?),
            (3, Value::Bytes(b)) => node.name = text(b)?,
            (4, Value::Bytes(b)) => node.operator = text(b)?,
            (5, Value::Bytes(b)) => attributes.push(b),
            _ => {}
        }
    }
    let mut constant = None;
    if node.operator == "Constant" {
        for attribute in attributes {
            for field in Fields::of(attribute) {
                if let (5, Value::Bytes(b)) = field? {
                    constant = Some(read_tensor(b)?);
                }
            }
        }
    }
    Ok((node, constant))
}

fn read_tensor(bytes: &[u8]) -> Result<Stored<'_>> {
    let mut tensor = Stored::default();
    for field in Fields::of(bytes) {
        match field? {
            (1, value) => {
                for dim in value.integers() {
                    tensor.dims.push(usize::try_from(dim?).unwrap_or(usize::MAX));
                    if tensor.dims.len() > 8 {
                        bail!("a tensor has more than 8 dimensions");
                    }
                }
            }
            (2, Value::Integer(kind)) => tensor.kind = kind,
            (4, Value::Bytes(b)) => {
                let (values, _) = b.as_chunks::<4>();
                tensor
                    .floats
                    .extend(values.iter().map(|v| f32::from_le_bytes(*v)));
            }
            (4, Value::Four(v)) => tensor.floats.push(f32::from_le_bytes(v)),
            // Half-precision values are kept as integers; real integers are of no interest.
            (5, value) => {
                for bits in value.integers() {
                    tensor.halves.push((bits? & 0xFFFF) as u16);
                }
            }
            (8, Value::Bytes(b)) => tensor.name = text(b)?,
            (9, Value::Bytes(b)) => tensor.raw = Some(b),
            (10, Value::Bytes(b)) => {
                let (values, _) = b.as_chunks::<8>();
                tensor
                    .doubles
                    .extend(values.iter().map(|v| f64::from_le_bytes(*v)));
            }
            (13, Value::Bytes(entry)) => {
                let (mut key, mut value) = (String::new(), String::new());
                for field in Fields::of(entry) {
                    match field? {
                        (1, Value::Bytes(b)) => key = text(b)?,
                        (2, Value::Bytes(b)) => value = text(b)?,
                        _ => {}
                    }
                }
                tensor.elsewhere = true;
                if key == "location" {
                    tensor.location = value;
                }
            }
            (14, Value::Integer(location)) => tensor.elsewhere |= location == 1,
            _ => {}
        }
    }
    if tensor.elsewhere {
        bail!(
            "the data of tensor {} lie in another file ({}); export the model into one file",
            tensor.name,
            tensor.location
        );
    }
    Ok(tensor)
}

fn text(bytes: &[u8]) -> Result<String> {
    if bytes.len() > MOST_NAME {
        bail!("a name is longer than {MOST_NAME} bytes");
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

impl Stored<'_> {
    /// Where its data lie in the file, for telling copies; its name when they were read already.
    fn place(&self) -> (usize, String) {
        match self.raw {
            Some(raw) => (raw.as_ptr() as usize, String::new()),
            None => (0, self.name.clone()),
        }
    }

    fn is_float(&self) -> bool {
        matches!(self.kind, 1 | 10 | 11 | 16)
    }

    fn load(&self) -> Result<Tensor> {
        let count = self.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let (dtype, held) = match self.kind {
            1 => (DType::F32, self.floats.len()),
            10 => (DType::F16, self.halves.len()),
            16 => (DType::BF16, self.halves.len()),
            11 => (DType::F64, self.doubles.len()),
            kind => bail!(
                "tensor {} is of ONNX's type {kind}; floating-point weights are needed (quantized models are not read)",
                self.name
            ),
        };
        let held = self.raw.map_or(held, |raw| raw.len() / dtype.size_in_bytes());
        if count != Some(held) {
            bail!(
                "tensor {} of shape {:?} holds {held} values",
                self.name,
                self.dims
            );
        }
        let (dims, device) = (self.dims.as_slice(), Device::Cpu);
        match (self.raw, self.kind) {
            (Some(raw), _) => Tensor::from_raw_buffer(raw, dtype, dims, &device),
            (None, 1) => Tensor::from_slice(&self.floats, dims, &device),
            (None, 10) => {
                let values: Vec<f16> = self.halves.iter().map(|b| f16::from_bits(*b)).collect();
                Tensor::from_vec(values, dims, &device)
            }
            (None, 16) => {
                let values: Vec<bf16> = self.halves.iter().map(|b| bf16::from_bits(*b)).collect();
                Tensor::from_vec(values, dims, &device)
            }
            (None, _) => Tensor::from_slice(&self.doubles, dims, &device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_protobuf::field;

    fn tensor(name: &str, dims: &[u8], values: &[f32]) -> Vec<u8> {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        [
            field(1, dims),
            vec![2 << 3, 1],
            field(8, name.as_bytes()),
            field(9, &raw),
        ]
        .concat()
    }

    fn node(operator: &str, name: &str, inputs: &[&str]) -> Vec<u8> {
        let inputs = inputs.iter().flat_map(|i| field(1, i.as_bytes()));
        inputs
            .chain(field(3, name.as_bytes()))
            .chain(field(4, operator.as_bytes()))
            .collect()
    }

    fn model(tensors: &[Vec<u8>], nodes: &[Vec<u8>]) -> Vec<u8> {
        let nodes = nodes.iter().flat_map(|n| field(1, n));
        let graph: Vec<u8> = nodes.chain(tensors.iter().flat_map(|t| field(5, t))).collect();
        field(7, &graph)
    }

    #[test]
    fn names_come_back_from_the_nodes() {
        let file = model(
            &[
                tensor("onnx::Conv_7", &[1, 2, 1, 1], &[1.0, 2.0]),
                tensor("onnx::Conv_8", &[1], &[3.0]),
                tensor("onnx::MatMul_9", &[2, 1], &[4.0, 5.0]),
                tensor("side1.bias", &[1], &[6.0]),
            ],
            &[
                node("Conv", "/a/b/Conv", &["x", "onnx::Conv_7", "onnx::Conv_8"]),
                node("MatMul", "/a/c/MatMul_1", &["x", "onnx::MatMul_9"]),
            ],
        );
        let contents = read(&file).unwrap();
        let mut names: Vec<_> = contents.tensors.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["a.b.bias", "a.b.weight", "a.c.weight", "side1.bias"]);
        assert_eq!(contents.tensors["a.c.weight"].dims(), [1, 2]);
        assert!(contents.in_order.is_empty());
    }

    #[test]
    fn without_names_the_order_is_kept() {
        let file = model(
            &[
                tensor("12", &[1, 2, 1, 1], &[1.0, 2.0]),
                tensor("15", &[2, 1, 1, 1], &[3.0, 4.0]),
            ],
            &[
                node("Conv", "Conv_0", &["x", "15"]),
                node("Conv", "Conv_1", &["y", "12"]),
            ],
        );
        let shapes: Vec<_> = read(&file)
            .unwrap()
            .in_order
            .iter()
            .map(|(w, _)| w.dims().to_vec())
            .collect();
        assert_eq!(shapes, [[2, 1, 1, 1], [1, 2, 1, 1]]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let says = |file: &[u8]| read(file).err().map(|e| e.to_string()).unwrap_or_default();
        let short = model(&[tensor("a", &[3], &[1.0])], &[]);
        assert!(says(&short).contains("holds 1 values"));
        let mut elsewhere = tensor("far", &[1], &[]);
        elsewhere.extend([14 << 3, 1]);
        assert!(says(&model(&[elsewhere], &[])).contains("another file"));
        assert!(says(b"").contains("no graph"));
        // Every cut and every changed byte ends in an error or a smaller result, never in a panic.
        let whole = model(
            &[tensor("a.weight", &[2], &[1.0, 2.0])],
            &[node("Conv", "/a/Conv", &["x", "a.weight"])],
        );
        for end in 0..whole.len() {
            let _ = read(&whole[..end]);
            for value in [0, 0x7F, 0x80, 0xFF] {
                let mut changed = whole.clone();
                changed[end] = value;
                let _ = read(&changed);
            }
        }
    }
}
