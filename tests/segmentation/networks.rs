//! U²-Net, IS-Net and BiRefNet against PyTorch (tools/fixtures/segmentation_networks.py).

use super::{
    pattern,
    pseudo_weights::{Listing, fixture},
};
use candle_core::{Tensor, safetensors};
use pentimento::segmentation::{Architecture, PatchOrder, Scale, SegmentationError, Segmenter};
use pentimento::study::Arithmetic;
use std::collections::HashMap;

/// Writes weights and settings into a folder, as a person would have them.
pub fn folder(name: &str, weights: &HashMap<String, Tensor>, config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    safetensors::save(weights, folder.path().join(name)).unwrap();
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    folder
}

/// Largest difference between the network's probabilities and those stored; what is stored must say something.
pub fn off(segmenter: &Segmenter, want: &Tensor) -> f32 {
    let found = segmenter
        .probabilities(&pattern(segmenter.config().size))
        .unwrap();
    let want = want.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(found.len(), want.len());
    let (least, most) = want.iter().fold((1f32, 0f32), |(a, b), &v| (a.min(v), b.max(v)));
    assert!(most - least > 0.1, "the fixture says little: {least}..{most}");
    let pairs = found.iter().zip(&want);
    pairs.map(|(a, b)| (a - b).abs()).fold(0f32, f32::max)
}

#[test]
fn u2net_and_isnet_equal_pytorch() {
    for (name, size) in [("u2net", 96), ("isnet", 128)] {
        let config = format!(r#"{{"architecture":"{name}","size":{size}}}"#);
        let folder = folder("any name.safetensors", &Listing::read(name).weights(), &config);
        let segmenter = Segmenter::open(folder.path()).unwrap();
        let off = off(&segmenter, &fixture(name)[&format!("probabilities_{size}")]);
        // A hundred layers in single precision, added in another order.
        assert!(off < 1e-4, "{name}: off by {off}");
    }
}

#[test]
fn birefnet_equals_pytorch_with_both_orders_of_patches() {
    let stored = fixture("birefnet");
    for order in ["columns", "channels"] {
        let weights = Listing::read(&format!("birefnet_{order}")).weights();
        let open = |order: &str| {
            let config = format!(r#"{{"architecture":"birefnet","size":96,"patches":"{order}"}}"#);
            Segmenter::open(folder("model.safetensors", &weights, &config).path()).unwrap()
        };
        let want = &stored[&format!("probabilities_{order}")];
        let right = off(&open(order), want);
        assert!(right < 1e-3, "{order}: off by {right}");
        let other = if order == "columns" { "channels" } else { "columns" };
        assert!(
            off(&open(other), want) > 0.01,
            "the order of patches makes a difference"
        );
    }
}

#[test]
fn networks_are_recognised_and_get_their_authors_settings() {
    for (name, architecture, size, mean) in [
        ("u2net", Architecture::U2Net, 320, 0.485),
        ("isnet", Architecture::IsNet, 1024, 0.5),
        ("birefnet_columns", Architecture::BiRefNet, 1024, 0.485),
    ] {
        let weights: HashMap<_, _> = Listing::read(name)
            .weights()
            .into_iter()
            .map(|(name, tensor)| (format!("module._orig_mod.{name}"), tensor))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("downloaded.safetensors");
        safetensors::save(&weights, &file).unwrap();
        let segmenter = Segmenter::open_for(&file, Arithmetic::Reference).unwrap();
        let config = segmenter.config();
        assert_eq!(
            (config.architecture, config.size, config.scale),
            (architecture, size, Scale::ImageMax)
        );
        assert_eq!((config.mean[0], config.patches), (mean, PatchOrder::Columns));
        let corrected = Segmenter::open(folder.path()).unwrap();
        assert_eq!(corrected.config().scale, Scale::Byte);
        assert_ne!(corrected.weights_hash(), segmenter.weights_hash());
    }
}

#[test]
fn birefnets_wrong_tensors_are_named() {
    let says = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
        let mut weights = Listing::read("birefnet_columns").weights();
        change(&mut weights);
        let folder = folder(
            "model.safetensors",
            &weights,
            r#"{"architecture":"birefnet","size":96}"#,
        );
        match Segmenter::open(folder.path()) {
            Ok(_) => panic!("must be refused"),
            Err(error) => error.to_string(),
        }
    };
    let gone = "decoder.decoder_block3.dec_att.aspp_deforms.1.atrous_conv.offset_conv.weight";
    assert!(says(&|w| drop(w.remove(gone))).contains(gone));
    let table = "bb.layers.2.blocks.1.attn.relative_position_bias_table";
    let message = says(&|w| {
        drop(w.insert(
            table.into(),
            Tensor::zeros((48, 2), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap(),
        ))
    });
    assert!(message.contains(table) && message.contains("48"), "{message}");
    let norm = "squeeze_module.0.bn_in.running_var";
    assert!(says(&|w| drop(w.remove(norm))).contains(norm));
}

#[test]
fn segmenting_stops_when_asked() {
    let folder = folder(
        "model.safetensors",
        &Listing::read("birefnet_columns").weights(),
        r#"{"architecture":"birefnet","size":96}"#,
    );
    let segmenter = Segmenter::open(folder.path()).unwrap();
    let asked = std::cell::Cell::new(0);
    let stop = || {
        asked.set(asked.get() + 1);
        asked.get() > 5
    };
    let result = segmenter.segment_unless(&pattern(50), &stop);
    assert!(matches!(result, Err(SegmentationError::Stopped)));
    assert!((6..10).contains(&asked.get()));
    assert!(segmenter.segment(&pattern(50)).is_ok());
}
