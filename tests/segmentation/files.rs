//! The same weights through every kind of file.

use super::{
    networks::off,
    protobuf::field,
    pseudo_weights::{Listing, fixture},
};
use candle_core::Tensor;
use pentimento::segmentation::{Architecture, Segmenter};
use std::collections::HashMap;

fn stored(name: &str, tensor: &Tensor) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &dim in tensor.dims() {
        // One number, perhaps in two bytes.
        bytes.push(1 << 3);
        if dim >= 128 {
            bytes.extend([(dim & 127) as u8 | 128]);
            let upper = dim >> 7;
            assert!(upper < 128);
            bytes.push(upper as u8);
        } else {
            bytes.push(dim as u8);
        }
    }
    bytes.extend([2 << 3, 1]);
    bytes.extend(field(8, name.as_bytes()));
    let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    bytes.extend(field(9, &raw));
    bytes
}

/// The ONNX file that PyTorch's exporter would write: BatchNorm folded into convolutions, in the order of its graph,
/// with the paths of modules in the names of nodes or, as before version 1.13, without.
fn onnx(weights: &HashMap<String, Tensor>, order: &[String], paths: bool) -> Vec<u8> {
    let mut graph = Vec::new();
    let mut number = 1000;
    let mut tensors = Vec::new();
    for (i, name) in order.iter().enumerate() {
        let (mut weight, mut bias) = (
            weights[&format!("{name}.weight")].clone(),
            weights[&format!("{name}.bias")].clone(),
        );
        if let Some(unit) = name.strip_suffix("conv_s1") {
            let norm = |part: &str| weights[&format!("{unit}bn_s1.{part}")].clone();
            let scale = (norm("weight") / (norm("running_var") + 1e-5).unwrap().sqrt().unwrap()).unwrap();
            weight = weight
                .broadcast_mul(&scale.reshape(((), 1, 1, 1)).unwrap())
                .unwrap();
            bias = (((bias - norm("running_mean")).unwrap() * scale).unwrap() + norm("bias")).unwrap();
        }
        let names = match (paths, name.ends_with("conv_s1")) {
            (true, true) => [
                format!("onnx::Conv_{number}"),
                format!("onnx::Conv_{}", number + 1),
            ],
            (true, false) => [format!("{name}.weight"), format!("{name}.bias")],
            (false, _) => [number.to_string(), (number + 1).to_string()],
        };
        number += 3;
        tensors.extend(field(5, &stored(&names[0], &weight)));
        tensors.extend(field(5, &stored(&names[1], &bias)));
        let node = match paths {
            true => format!("/{}/Conv", name.replace('.', "/")),
            false => format!("Conv_{i}"),
        };
        let inputs = ["x", &names[0], &names[1]]
            .map(|n| field(1, n.as_bytes()))
            .concat();
        let node = [inputs, field(3, node.as_bytes()), field(4, b"Conv")].concat();
        graph.extend(field(1, &node));
    }
    graph.extend(tensors);
    field(7, &graph)
}

#[test]
fn onnx_files_give_the_same_mattes_with_names_and_by_order() {
    // U²-Net-P has U²-Net's layers.
    let small = super::u2netp();
    for (name, architecture, size, weights, order) in [
        (
            "u2netp",
            Architecture::U2NetP,
            128,
            small,
            Listing::read("u2net").order,
        ),
        (
            "isnet",
            Architecture::IsNet,
            128,
            Listing::read("isnet").weights(),
            Listing::read("isnet").order,
        ),
    ] {
        for paths in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let config = format!(r#"{{"architecture":"{name}","size":{size}}}"#);
            std::fs::write(folder.path().join("config.json"), config).unwrap();
            let file = folder.path().join("model.onnx");
            std::fs::write(&file, onnx(&weights, &order, paths)).unwrap();
            let segmenter = Segmenter::open(&file).unwrap();
            let off = off(&segmenter, &fixture(name)[&format!("probabilities_{size}")]);
            assert!(off < 1e-4, "{name}, paths {paths}: off by {off}");
            let alone = folder.path().join("alone.onnx");
            std::fs::rename(&file, &alone).unwrap();
            let alone = Segmenter::open(&alone).unwrap();
            assert_eq!(alone.config().architecture, architecture);
        }
    }
}

#[test]
fn a_zip_without_a_pickle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.pth");
    // An empty archive.
    std::fs::write(&file, [b"PK\x05\x06".as_slice(), &[0; 18]].concat()).unwrap();
    assert!(Segmenter::open(&file).is_err());
}

/// A file that PyTorch exported the way BiRefNet's authors do for rembg (tools/fixtures/segmentation_onnx.py): parts of
/// BatchNorm folded, parts not, matrices transposed, tables of positions picked, equal tensors stored once.
#[test]
fn birefnets_own_export_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/segmentation");
    std::fs::copy(fixtures.join("birefnet.onnx"), folder.path().join("model.onnx")).unwrap();
    let config = r#"{"architecture":"birefnet","size":64}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let segmenter = Segmenter::open(folder.path()).unwrap();
    let off = off(&segmenter, &fixture("birefnet_onnx")["probabilities"]);
    assert!(off < 1e-3, "off by {off}");
    let alone = Segmenter::open(&fixtures.join("birefnet.onnx")).unwrap();
    assert_eq!(alone.config().architecture, Architecture::BiRefNet);
}
