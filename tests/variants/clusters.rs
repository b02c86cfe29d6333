//! `locate --method nemo-cluster` with clusters of its own: k-means, the saved middles, and where new prompts fall.

use pentimento::{
    mitigation::{
        neurons::{NeuronRow, write_results},
        prompt_clusters::PromptClusters,
    },
    store::read_variant,
    study::Edit,
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

/// Draws with the whole variant and with what each cluster's prompts see of it; exports one cluster.
fn one_variant_draws_each_prompt_as_its_own_cluster_does(model: &Path, folder: &Path, said: &str) {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pentimento"))
            .args(arguments)
            .output()
            .unwrap();
        (output.status.success(), text(&output.stderr))
    };
    let at = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let model = model.to_string_lossy().into_owned();
    let draw = |prompt: &str, variant: &str, out: &str| {
        let (ok, err) = run(&[
            "generate",
            "--model",
            &model,
            "--variant",
            variant,
            "--prompt",
            prompt,
            "--steps",
            "2",
            "--size",
            "64",
            "--seeds",
            "0",
            "--out",
            out,
        ]);
        assert!(ok, "{err}");
        let mut pictures = std::fs::read_dir(out).unwrap().map(|f| f.unwrap().path());
        let picture = pictures
            .find(|p| p.extension().is_some_and(|e| e == "png"))
            .unwrap();
        (image::open(picture).unwrap().to_rgb8(), err)
    };
    let variant = read_variant(&folder.join("v.toml")).unwrap();
    let mut differ = 0;
    for (i, prompt) in [PROMPTS[0], PROMPTS[3]].into_iter().enumerate() {
        let own = cluster_of(said, prompt);
        let (whole, err) = draw(prompt, &at("v.toml"), &at(&format!("whole{i}")));
        assert!(err.contains(&format!("cluster {own}, margin ")), "{err}");
        for cluster in variant.clusters() {
            let number = cluster.cluster;
            let file = folder.join(format!("only{number}.toml"));
            pentimento::store::write_variant(&file, &variant.for_cluster(number).unwrap()).unwrap();
            let out = at(&format!("part{i}-{number}"));
            let (part, _) = draw(prompt, &file.to_string_lossy(), &out);
            if number.to_string() == own {
                assert_eq!(part, whole, "cluster {number}");
            } else {
                differ += usize::from(part != whole);
            }
        }
    }
    assert!(differ > 0, "the other cluster's edits give the same pictures");
    let export = |more: &[&str]| {
        let out = at("exported");
        run(&[
            &[
                "export",
                "--model",
                &model,
                "--variant",
                &at("v.toml"),
                "--out",
                &out,
            ][..],
            more,
        ]
        .concat())
    };
    let (ok, err) = export(&[]);
    assert!(
        !ok && err.contains("one cluster only") && err.contains("clusters of this variant: 0, 1"),
        "{err}"
    );
    let (ok, err) = export(&["--cluster", "7"]);
    assert!(!ok && err.contains("cluster 7") && err.contains("0, 1"), "{err}");
    let (ok, err) = export(&["--cluster", "1"]);
    assert!(ok && folder.join("exported/unet").is_dir(), "{err}");
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
    // One variant, in which each cluster switches off the neurons of its own prompts.
    let variant = read_variant(&folder.path().join("v.toml")).unwrap();
    assert_eq!(variant.clusters().count(), clusters.members.len());
    let mut neurons = 0;
    for cluster in variant.clusters() {
        let Edit::Neurons(edit) = &cluster.edits[0] else {
            panic!("not neurons")
        };
        assert_eq!(edit.neurons.len(), cluster.prompts as usize);
        let (prompts, reach) = clusters.members[&cluster.cluster];
        assert_eq!((cluster.prompts, cluster.reach), (prompts, reach));
        assert_eq!(
            cluster.middle.values[..],
            clusters.centroids.of[&cluster.cluster][..]
        );
        neurons += edit.neurons.len();
    }
    assert_eq!(neurons, 4);
    one_variant_draws_each_prompt_as_its_own_cluster_does(&model, folder.path(), &said);

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
