//! The memory of a gradient is told before a search, and what cannot fit is refused.

use super::common::demo;
use pentimento::{diffusion::Checkpoint, study::Sampling};
use std::process::Command;

#[test]
fn memory_grows_with_pictures_and_fourfold_with_sides_and_more_where_attention_is_wide() {
    let checkpoint = Checkpoint::open(&demo().join("model")).unwrap();
    let needs = checkpoint.memory_needs();
    let sampling = checkpoint.default_sampling();
    let of = |sampling: &Sampling, pictures| needs.gradient(sampling, pictures).denoising;
    let (one, four) = (of(&sampling, 1), of(&sampling, 4));
    assert!(
        one > needs.estimate(&sampling, 1).denoising,
        "a gradient keeps all layers"
    );
    assert!(four > one && four < 4 * one);
    let larger = Sampling {
        width: 4 * sampling.width,
        height: 4 * sampling.height,
        ..sampling.clone()
    };
    // Attention between all places grows by 256, the rest by 16.
    assert!(of(&larger, 4) > 16 * (four - of(&sampling, 3)));
    let endless = Sampling {
        width: u32::MAX,
        height: u32::MAX,
        ..sampling
    };
    assert!(
        needs.gradient(&endless, usize::MAX).peak() > 1 << 60,
        "no overflow"
    );
}

#[test]
fn a_search_that_cannot_fit_is_refused_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("v.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .args([
            "locate", "--method", "prompt", "--prompt", "a house", "--seeds", "0..2", "--size", "8192",
            "--model",
        ])
        .arg(demo().join("model"))
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !out.exists(), "{said}");
    assert!(
        said.contains("a gradient over 2 pictures at once needs about"),
        "{said}"
    );
    assert!(said.contains("needs more memory than the machine has"), "{said}");
    assert!(said.contains("--size"), "{said}");
}
