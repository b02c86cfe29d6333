//! `locate --method nemo-cluster` with clusters of its own: k-means, the saved middles, and where new prompts fall.

use pentimento::{
    mitigation::{
        neurons::{NeuronRow, write_results},
        prompt_clusters::PromptClusters,
    },
    store::read_variant,
};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

const PROMPTS: [&str; 4] = [
    "a house",
    "a house by the sea",
    "portrait of a woman",
    "portrait of a man",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mitigation")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The cluster that a line of the output names for a prompt.
fn cluster_of(said: &str, prompt: &str) -> String {
    let line = said
        .lines()
        .find(|l| l.starts_with(&format!("“{prompt}”: cluster ")))
        .unwrap();
    line.split_whitespace()
        .skip_while(|w| *w != "cluster")
        .nth(1)
        .unwrap()
        .to_owned()
}

#[test]
fn prompts_are_grouped_and_new_ones_find_their_group() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(folder.path().join("list.txt"), PROMPTS.join("\n")).unwrap();
    // Located before: each prompt has the neuron of its number.
    let rows: Vec<NeuronRow> = (0..4_u32)
        .map(|i| {
            let mut lists = vec![Vec::new(); 7];
            lists[0] = vec![i];
            NeuronRow {
                caption: PROMPTS[i as usize].into(),
                initial: lists.clone(),
                refined: lists,
                ..NeuronRow::default()
            }
        })
        .collect();
    write_results(&folder.path().join("known.csv"), &rows).unwrap();
    let locate = |model: &Path, more: &[&str]| -> Output {
        Command::new(env!("CARGO_BIN_EXE_pentimento"))
            .args(["locate", "--quiet", "--method", "nemo-cluster", "--model"])
            .arg(model)
            .args(more)
            .output()
            .unwrap()
    };
    let model = root().join("unet7");
    let (list, known, out) = (at("list.txt"), at("known.csv"), at("v.toml"));
    let search = [
        "--prompts",
        &list,
        "--results",
        &known,
        "--out",
        &out,
        "--k-means",
        "2",
    ];
    let asked = [
        "--ask",
        PROMPTS[0],
        "--ask",
        PROMPTS[3],
        "--ask",
        "something else altogether",
    ];
    let found = locate(&model, &[&search[..], &asked[..]].concat());
    assert!(found.status.success(), "{}", text(&found.stderr));
    let said = text(&found.stdout);
    assert!(
        said.contains("silhouette ") && said.contains("middles of 2 clusters"),
        "{said}"
    );
    let clusters = PromptClusters::read(&folder.path().join("v-clusters.safetensors")).unwrap();
    assert_eq!(clusters.members.values().map(|m| m.0).sum::<u32>(), 4);
    // Each cluster's variant switches off the neurons of its own prompts.
    let mut neurons = 0;
    for (cluster, (prompts, _)) in &clusters.members {
        let variant = read_variant(&folder.path().join(format!("v-cluster-{cluster}.toml"))).unwrap();
        let pentimento::study::Edit::Neurons(edit) = &variant.edits[0] else {
            panic!("not neurons")
        };
        assert_eq!(edit.neurons.len(), *prompts as usize);
        neurons += edit.neurons.len();
    }
    assert_eq!(neurons, 4);

    // Later, with the saved middles alone, the same prompts fall into the same clusters.
    let file = at("v-clusters.safetensors");
    let later = locate(
        &model,
        &[&["--clusters", &file, "--out", &at("x.toml")], &asked[..]].concat(),
    );
    assert!(later.status.success(), "{}", text(&later.stderr));
    let again = text(&later.stdout);
    for prompt in [PROMPTS[0], PROMPTS[3]] {
        assert_eq!(cluster_of(&said, prompt), cluster_of(&again, prompt));
    }
    let line = again.lines().find(|l| l.starts_with("“a house”")).unwrap();
    assert!(
        line.contains("margin") && !line.contains("further away"),
        "{line}"
    );
    assert!(!folder.path().join("x.toml").exists());

    // Middles of another text encoder are refused.
    let demo = super::common::demo().join("model");
    let refused = locate(
        &demo,
        &[&["--clusters", &file, "--out", &at("x.toml")], &asked[..]].concat(),
    );
    assert!(!refused.status.success());
    assert!(
        text(&refused.stderr).contains("another text encoder"),
        "{}",
        text(&refused.stderr)
    );
    // Without clusters from anywhere it says how to get them.
    let none = locate(&model, &["--prompts", &list, "--results", &known, "--out", &out]);
    assert!(!none.status.success());
    assert!(
        text(&none.stderr).contains("column cluster"),
        "{}",
        text(&none.stderr)
    );
}
