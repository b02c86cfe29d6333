//! U²-Net-P against PyTorch (tools/fixtures/segmentation.py): weights come from the same generator on
//! both sides, only PyTorch's outputs are stored.
#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

#[path = "segmentation/files.rs"]
mod files;
#[path = "segmentation/networks.rs"]
mod networks;
#[path = "common/protobuf.rs"]
mod protobuf;
#[path = "common/pseudo_weights.rs"]
mod pseudo_weights;

use candle_core::{DType, Device, Tensor, safetensors};
use image::{Rgb, RgbImage};
use pentimento::segmentation::{Architecture, SegmentationError, Segmenter};
use std::{collections::HashMap, path::Path};

/// Numbers in [−0.5, 0.5), from the tensor's name.
fn uniform(name: &str, count: usize) -> Vec<f32> {
    let mut state = name.bytes().fold(0x811C_9DC5_u32, |v, b| {
        (v ^ u32::from(b)).wrapping_mul(0x0100_0193)
    });
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state >> 8) / 16_777_216.0 - 0.5) as f32
    };
    (0..count).map(|_| next()).collect()
}

fn tensor(name: &str, shape: &[usize]) -> Tensor {
    let mut values = uniform(name, shape.iter().product());
    if name.ends_with("running_var") || name.ends_with("bn_s1.weight") {
        values.iter_mut().for_each(|v| *v += 1.0);
    } else if let [_, input, h, w] = *shape {
        let bound = (2.0 * (6.0 / (input * h * w) as f64).sqrt()) as f32;
        let factor = if name.contains("conv_s1") {
            bound
        } else {
            bound * 0.2
        };
        values.iter_mut().for_each(|v| *v *= factor);
    } else {
        values.iter_mut().for_each(|v| *v *= 0.2);
    }
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn u2netp() -> HashMap<String, Tensor> {
    let mut tensors = HashMap::new();
    let mut add = |name: String, shape: &[usize]| {
        let t = tensor(&name, shape);
        tensors.insert(name, t);
    };
    let mut unit = |name: String, input: usize, output: usize| {
        add(format!("{name}.conv_s1.weight"), &[output, input, 3, 3]);
        for part in [
            "conv_s1.bias",
            "bn_s1.weight",
            "bn_s1.bias",
            "bn_s1.running_mean",
            "bn_s1.running_var",
        ] {
            add(format!("{name}.{part}"), &[output]);
        }
    };
    for (k, depth) in (1..).zip([7, 6, 5, 4, 4, 4]) {
        for (stage, input) in [
            (format!("stage{k}"), if k == 1 { 3 } else { 64 }),
            (format!("stage{k}d"), 128),
        ] {
            if stage == "stage6d" {
                continue;
            }
            unit(format!("{stage}.rebnconvin"), input, 64);
            for d in 1..=depth {
                unit(format!("{stage}.rebnconv{d}"), if d == 1 { 64 } else { 16 }, 16);
            }
            for d in 1..depth {
                unit(format!("{stage}.rebnconv{d}d"), 32, if d == 1 { 64 } else { 16 });
            }
        }
    }
    for k in 1..=6 {
        add(format!("side{k}.weight"), &[1, 64, 3, 3]);
        add(format!("side{k}.bias"), &[1]);
    }
    add("outconv.weight".into(), &[1, 6, 1, 1]);
    add("outconv.bias".into(), &[1]);
    tensors
}

fn folder(tensors: &HashMap<String, Tensor>, config: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    safetensors::save(tensors, folder.path().join("model.safetensors")).unwrap();
    if let Some(config) = config {
        std::fs::write(folder.path().join("config.json"), config).unwrap();
    }
    folder
}

fn pattern(size: u32) -> RgbImage {
    RgbImage::from_fn(size, size, |x, y| {
        Rgb([
            ((3 * x + 5 * y) % 256) as u8,
            ((x * x / 7 + y) % 256) as u8,
            ((x ^ y) * 2 % 256) as u8,
        ])
    })
}

#[test]
fn probabilities_equal_pytorch_at_two_sizes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/segmentation/u2netp.safetensors");
    let stored = safetensors::load(path, &Device::Cpu).unwrap();
    let weights = u2netp();
    for size in [128u32, 100] {
        let config = format!(r#"{{"architecture":"u2netp","size":{size}}}"#);
        let segmenter = Segmenter::open(folder(&weights, Some(&config)).path()).unwrap();
        let found = segmenter.probabilities(&pattern(size)).unwrap();
        let want = stored[&format!("probabilities_{size}")]
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert_eq!(found.len(), want.len());
        let off = found
            .iter()
            .zip(&want)
            .map(|(a, b)| (a - b).abs())
            .fold(0f32, f32::max);
        assert!(off < 1e-4, "{size}²: off by {off}");
        let (least, most) = want.iter().fold((1f32, 0f32), |(a, b), &v| (a.min(v), b.max(v)));
        assert!(most - least > 0.05, "the fixture says something: {least}..{most}");
    }
}

#[test]
fn a_matte_has_the_pictures_size_and_its_scale_is_obeyed() {
    let weights = u2netp();
    let open = |scale: &str| {
        let config = format!(r#"{{"architecture":"u2netp","size":64,"scale":"{scale}"}}"#);
        Segmenter::open(folder(&weights, Some(&config)).path()).unwrap()
    };
    let mut image = pattern(96);
    image = image::imageops::crop_imm(&image, 0, 0, 96, 57).to_image();
    let (plain, stretched) = (open("255"), open("image-max"));
    let matte = plain.segment(&image).unwrap();
    assert_eq!(matte.alpha.dimensions(), (96, 57));
    let map = plain.probabilities(&image).unwrap();
    let most = map.iter().fold(0f32, |a, &b| a.max(b));
    assert_eq!(matte.confidence, most);
    let alpha = stretched.segment(&image).unwrap().alpha;
    let (least, most) = alpha
        .pixels()
        .fold((255, 0), |(a, b), p| (p[0].min(a), p[0].max(b)));
    assert!(least < 20 && most > 235, "stretched to {least}..{most}");
    assert_ne!(plain.weights_hash(), stretched.weights_hash());
    assert!(plain.describe().contains("U²-Net-P") && plain.weights_hash().len() == 64);
    assert!(matches!(
        plain.segment(&RgbImage::new(0, 3)),
        Err(SegmentationError::Empty)
    ));
}

#[test]
fn bare_weights_are_recognised_in_half_precision_too() {
    let half = u2netp()
        .into_iter()
        .map(|(n, t)| (format!("module.{n}"), t.to_dtype(DType::F16).unwrap()))
        .collect();
    let folder = folder(&half, None);
    let segmenter = Segmenter::open(&folder.path().join("model.safetensors")).unwrap();
    assert_eq!(
        (segmenter.config().architecture, segmenter.config().size),
        (Architecture::U2NetP, 320)
    );
}

#[test]
fn wrong_weights_are_refused_by_name() {
    let refusal = |change: &dyn Fn(&mut HashMap<String, Tensor>), config: Option<&str>| {
        let mut weights = u2netp();
        change(&mut weights);
        match Segmenter::open(folder(&weights, config).path()) {
            Ok(_) => panic!("must be refused"),
            Err(e) => e.to_string(),
        }
    };
    let config = Some(r#"{"architecture":"u2netp"}"#);
    let message = refusal(&|w| drop(w.remove("side3.weight")), config);
    assert!(message.contains("side3.weight is missing"), "{message}");
    let message = refusal(
        &|w| drop(w.insert("outconv.bias".into(), tensor("x", &[2]))),
        config,
    );
    assert!(
        message.contains("outconv.bias is [2] instead of [1]"),
        "{message}"
    );
    let infinite = |w: &mut HashMap<String, Tensor>| {
        let bad = (tensor("x", &[1]) / 0.0).unwrap();
        w.insert("outconv.bias".into(), bad);
    };
    assert!(refusal(&infinite, config).contains("not finite"));
    let message = refusal(&|_| (), Some(r#"{"architecture":"modnet"}"#));
    assert!(message.contains("“modnet”"), "{message}");
    let message = refusal(&|_| (), Some(r#"{"architecture":"u2net"}"#));
    assert!(
        message.contains("U²-Net") && message.contains("and "),
        "{message}"
    );
    let message = refusal(&|w| w.retain(|n, _| n.starts_with("side")), None);
    assert!(message.contains("holds no segmenter"), "{message}");
}

#[test]
fn garbage_is_an_error_not_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        Segmenter::open(folder.path()),
        Err(SegmentationError::NoWeights(_))
    ));
    for name in ["model.safetensors", "model.pth"] {
        for bytes in [
            &b""[..],
            b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
            b"PK\x03\x04 not a zip",
            &[0x80, 2, b'c', 0xff, 1, 2],
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert!(Segmenter::open(&path).is_err());
            std::fs::remove_file(&path).unwrap();
        }
    }
}
