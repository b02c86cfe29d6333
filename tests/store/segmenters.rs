//! Weights of segmenters, dropped alone or as a folder.

use super::put;
use pentimento::store::{Recognised, recognise};
use tempfile::TempDir;

/// The beginning of a safetensors file with one tensor.
fn safetensors(name: &str) -> Vec<u8> {
    let header = format!(r#"{{"{name}":{{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}}}"#);
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

#[test]
fn weights_are_told_apart_by_their_tensors() {
    let folder = TempDir::new().unwrap();
    let foreground = safetensors("stage1.rebnconv1.conv_s1.weight");
    let clicks = safetensors("mask_decoder.iou_token.weight");
    for name in [
        "u2net.safetensors",
        "isnet-general-use.pth",
        "alone/BiRefNet.safetensors",
    ] {
        let path = put(&folder, name, &foreground);
        assert_eq!(recognise(&path), Ok(Recognised::Segmenter(path)));
    }
    let path = put(
        &folder,
        "birefnet.safetensors",
        safetensors("decoder.decoder_block4.conv_in.weight"),
    );
    assert_eq!(recognise(&path), Ok(Recognised::Segmenter(path)));
    let alone = folder.path().join("alone");
    assert_eq!(recognise(&alone), Ok(Recognised::Segmenter(alone)));
    let path = put(&folder, "u2netp.onnx", b"\x08\x07");
    assert_eq!(recognise(&path), Ok(Recognised::Segmenter(path)));
    for name in ["sam_vit_b_01ec64.pth", "mobile_sam.pt"] {
        let path = put(&folder, name, &clicks);
        assert_eq!(recognise(&path), Ok(Recognised::ClickSegmenter(path)));
    }
    // A file whose settings lie beside it is opened with them.
    let path = put(&folder, "own/model.safetensors", &foreground);
    put(&folder, "own/config.json", r#"{"architecture": "u2net"}"#);
    let own = folder.path().join("own");
    assert_eq!(recognise(&path), Ok(Recognised::Segmenter(own)));
    let told = recognise(&put(&folder, "other.pth", b"PK"))
        .unwrap_err()
        .to_string();
    assert!(told.contains("BiRefNet") && told.contains("other.pth"), "{told}");
}
