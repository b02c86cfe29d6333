//! What a newcomer types first.

use super::{path, pentimento, text};
use std::fs;

#[test]
fn a_study_is_laid_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("my study");
    let init = || pentimento(folder.path(), &["init", path(&study), "--model", "somewhere/sd"]);
    let made = init();
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let written = fs::read_to_string(study.join("study.toml")).unwrap();
    assert!(written.contains("name = \"my study\"") && written.contains("somewhere/sd\""));
    assert!(study.join("gallery").is_dir() && study.join("prompts.csv").is_file());
    let (prompts, notices) = pentimento::store::read_prompts(&study.join("prompts.csv")).unwrap();
    assert_eq!((prompts.len(), notices.len()), (1, 0));
    let again = init();
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("There is a study in this folder already"));
}

#[test]
fn completions_and_manual_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man");
    let pages = pentimento(folder.path(), &["man", "--out", path(&out)]);
    assert_eq!(pages.status.code(), Some(0), "{}", text(&pages.stderr));
    for shell in ["bash", "zsh", "fish"] {
        let completions = pentimento(folder.path(), &["completions", shell]);
        let words = text(&completions.stdout);
        for command in ["scan", "merge", "report", "doctor"] {
            assert!(words.contains(command), "{shell}: {command}");
            let page = fs::read_to_string(out.join(format!("pentimento-{command}.1"))).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{page}");
        }
    }
    assert!(
        fs::read_to_string(out.join("pentimento.1"))
            .unwrap()
            .contains("scan")
    );
}

#[test]
fn doctor_looks_where_other_programs_keep_weights() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("u2net.pth"), "").unwrap();
    let doctor = std::process::Command::new(env!("CARGO_BIN_EXE_pentimento"))
        .args(["doctor", "--json"])
        .env("U2NET_HOME", folder.path())
        .env("PENTIMENTO_CACHE", folder.path())
        .output()
        .unwrap();
    let found: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let weights = found
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["name"] == "weights")
        .unwrap();
    assert!(
        weights["value"].as_str().unwrap().contains("u2net.pth"),
        "{weights}"
    );
    for name in ["display", "compute", "vectors", "memory", "device", "checkpoints"] {
        assert!(
            found.as_array().unwrap().iter().any(|f| f["name"] == name),
            "{name}"
        );
    }
}

#[test]
fn doctor_names_published_weights_that_are_here_and_those_to_fetch() {
    let home = tempfile::tempdir().unwrap();
    let doctor = || {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_pentimento"))
            .args(["doctor", "--json"])
            .env("HOME", home.path())
            .env("PENTIMENTO_DATA", home.path().join("data"))
            .env("PENTIMENTO_CACHE", home.path().join("cache"))
            .env("HF_HOME", home.path().join("hf"))
            .env("XDG_CACHE_HOME", home.path().join("xdg"))
            .env_remove("U2NET_HOME")
            .env_remove("HF_HUB_CACHE")
            .env_remove("HUGGINGFACE_HUB_CACHE")
            .env_remove("TORCH_HOME")
            .output()
            .unwrap();
        let found: Vec<serde_json::Value> = serde_json::from_slice(&out.stdout).unwrap();
        move |name: &str, part: &str| {
            let finding = found.iter().find(|f| f["name"] == name).unwrap();
            finding[part].as_str().unwrap().to_owned()
        }
    };
    let said = doctor();
    assert!(said("segmenters", "value").contains("none"));
    assert!(said("segmenters", "note").contains("pentimento fetch u2net"));
    assert!(said("clicks", "note").contains("pentimento fetch mobilesam"));
    assert!(said("embedders", "note").contains("dinov2 88.3 MB"));
    assert!(said("checkpoints", "value").contains("none"));

    let plant = |path: &str, bytes: u64| {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().set_len(bytes).unwrap();
    };
    plant(".u2net/u2net.onnx", 175_997_641);
    // Its download was torn.
    plant(".u2net/isnet-general-use.onnx", 1_000_000);
    plant("data/weights/mobilesam/mobile_sam.pt", 40_728_226);
    plant(
        "hf/hub/models--openai--clip-vit-large-patch14/snapshots/32bd/config.json",
        4519,
    );
    plant(
        "hf/hub/models--openai--clip-vit-large-patch14/snapshots/32bd/model.safetensors",
        1_710_540_580,
    );
    let model = "hf/hub/models--CompVis--tiny/snapshots/abcd";
    for part in ["unet", "vae", "text_encoder", "tokenizer", "scheduler"] {
        fs::create_dir_all(home.path().join(model).join(part)).unwrap();
    }
    fs::copy(
        super::demo().join("model/model_index.json"),
        home.path().join(model).join("model_index.json"),
    )
    .unwrap();
    let said = doctor();
    let segmenters = said("segmenters", "value");
    assert!(segmenters.contains("u2net.onnx (rembg's folder)"), "{segmenters}");
    assert!(!segmenters.contains("isnet"), "{segmenters}");
    assert!(said("segmenters", "note").contains("isnet 178.6 MB"));
    assert!(said("clicks", "value").contains("(fetched)"));
    assert!(said("embedders", "value").contains("(the Hugging Face cache)"));
    assert!(said("weights", "value").contains("isnet-general-use.onnx"));
    assert!(said("checkpoints", "value").contains("models--CompVis--tiny"));
}
