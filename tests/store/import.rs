//! Names of imported pictures, labels, percentiles in score tables.

use super::put;
use pentimento::{
    store::{
        ImportNames, Recognised, ScoreRow, read_labels, read_scores, recognise, write_scores_with_null,
        write_skipped,
    },
    study::{GenerationKey, Prompt, RegionScores, Skipped, Verdict},
};
use std::fs;
use tempfile::TempDir;

fn prompts(texts: &[&str]) -> Vec<Prompt> {
    texts
        .iter()
        .zip(0..)
        .map(|(text, index)| Prompt {
            index,
            text: (*text).to_owned(),
            group: Some("VM".into()),
        })
        .collect()
}

/// A planned picture: file, prompt index, seed, text.
type Planned = (String, u32, u64, String);

fn plan(names: &ImportNames, files: &[&str], listed: &[Prompt]) -> (Vec<Planned>, Vec<String>) {
    let files: Vec<String> = files.iter().map(|f| (*f).to_owned()).collect();
    let plan = names.resolve().unwrap().0.plan(&files, listed);
    let pictures = plan
        .pictures
        .iter()
        .map(|p| (files[p.file].clone(), p.key.prompt, p.key.seed, p.prompt.clone()))
        .collect();
    let skipped = plan
        .skipped
        .iter()
        .map(|(f, why)| format!("{}: {why}", files[*f]))
        .collect();
    (pictures, skipped)
}

fn expect(found: &[Planned], wanted: &[(&str, u32, u64, &str)]) {
    let found: Vec<_> = found
        .iter()
        .map(|(f, p, s, t)| (f.as_str(), *p, *s, t.as_str()))
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn fb_mem_names_point_at_the_list() {
    let listed = prompts(&["zero", "one"]);
    let files = [
        "img_0001_02.jpg",
        "img_0000_00.png",
        "1_2.webp",
        "img_0007_00.png",
        "cat.png",
    ];
    let (found, skipped) = plan(&ImportNames::FbMem, &files, &listed);
    expect(
        &found,
        &[
            ("img_0000_00.png", 0, 0, "zero"),
            ("img_0001_02.jpg", 1, 2, "one"),
            ("img_0007_00.png", 7, 0, "prompt 7"),
        ],
    );
    assert_eq!(skipped.len(), 2);
    assert!(
        skipped[0].contains("1_2.webp: same prompt and seed as img_0001_02.jpg"),
        "{skipped:?}"
    );
    // Cluster runs count their prompts anew in every cluster.
    let (found, _) = plan(
        &ImportNames::FbMem,
        &["3_img_0001_00.jpg", "2_img_0005_00.jpg", "2_img_0001_04.jpg"],
        &listed,
    );
    expect(
        &found,
        &[
            ("2_img_0001_04.jpg", 0, 4, "cluster 2, prompt 1"),
            ("2_img_0005_00.jpg", 1, 0, "cluster 2, prompt 5"),
            ("3_img_0001_00.jpg", 2, 0, "cluster 3, prompt 1"),
        ],
    );
}

#[test]
fn free_names_are_read_by_pattern_table_or_one_by_one() {
    let listed = prompts(&["a red fox", "an owl"]);
    let by_pattern = ImportNames::Pattern("{text}_*".into());
    let (found, _) = plan(
        &by_pattern,
        &["an owl_x.png", "an owl_y.png", "a new one_z.png"],
        &listed,
    );
    expect(
        &found,
        &[
            ("an owl_x.png", 1, 0, "an owl"),
            ("an owl_y.png", 1, 1, "an owl"),
            ("a new one_z.png", 2, 0, "a new one"),
        ],
    );
    let (found, _) = plan(&ImportNames::OnePerFile, &["b.png", "a.png"], &listed);
    expect(&found, &[("b.png", 0, 0, "b"), ("a.png", 1, 0, "a")]);

    let folder = TempDir::new().unwrap();
    let table = put(
        &folder,
        "table.csv",
        "file;prompt;prompt index;seed\nx/p.png;an owl;;4\nq.png;;9;\nr.png;;;\ns.png;;one;\n",
    );
    let names = ImportNames::Table(table);
    let (found, skipped) = plan(&names, &["p.png", "q.png", "r.png", "s.png"], &listed);
    expect(&found, &[("p.png", 1, 4, "an owl"), ("q.png", 9, 0, "prompt 9")]);
    assert_eq!(skipped.len(), 2);
    let notices = names.resolve().unwrap().1;
    assert!(notices[0].to_string().contains("line 4") && notices[0].to_string().contains("line 5"));
    assert!(ImportNames::Pattern("{seed}".into()).resolve().is_err());
    let other = put(&folder, "other.csv", "a;b\n1;2\n");
    assert!(
        ImportNames::Table(other)
            .resolve()
            .unwrap_err()
            .to_string()
            .contains("a, b")
    );
}

#[test]
fn labels_are_read_in_either_form() {
    let folder = TempDir::new().unwrap();
    let file = put(
        &folder,
        "labels.tsv",
        "prompt index\tseed\tclass\n0\t1\tvm\n1\t0\tBM\n2\tx\tNM\n3\t0\t\n",
    );
    let (rows, notices) = read_labels(&file).unwrap();
    let found: Vec<_> = rows
        .iter()
        .map(|r| (r.key.unwrap(), r.labels.verdict().unwrap()))
        .collect();
    let key = |prompt, seed| GenerationKey { prompt, seed };
    assert_eq!(
        found,
        [
            (key(0, 1), Verdict::Verbatim),
            (key(1, 0), Verdict::BackgroundOnly)
        ]
    );
    let told = notices[0].to_string();
    assert!(
        told.contains("line 4: no picture") && told.contains("line 5: no label"),
        "{told}"
    );
    let other = put(&folder, "x.csv", "image,score\na,1\n");
    assert!(
        read_labels(&other)
            .unwrap_err()
            .to_string()
            .contains("image, score")
    );
}

#[test]
fn tables_are_told_apart_by_their_columns() {
    let folder = TempDir::new().unwrap();
    let scores = put(
        &folder,
        "s.csv",
        "original image,Generated Image,Average Scores\n1.png,img_0_0.jpg,0.5\n",
    );
    assert_eq!(recognise(&scores), Ok(Recognised::Scores(scores)));
    let labels = put(&folder, "l.csv", "Image;Class\nimg_0_0.jpg;VM\n");
    assert_eq!(recognise(&labels), Ok(Recognised::Labels(labels)));
    for (name, text) in [
        ("p.csv", "Caption;URL;type\na;b;VM\n"),
        ("q.csv", "prompt,class\na,VM\n"),
        ("empty.csv", ""),
        ("none.csv", "a,b\n"),
    ] {
        let list = put(&folder, name, text);
        assert_eq!(recognise(&list), Ok(Recognised::Prompts(list)));
    }
    put(&folder, "gen/img_0000_00.png", "x");
    put(&folder, "gen/scores.csv", "x");
    let generated = folder.path().join("gen");
    assert_eq!(
        recognise(&generated),
        Ok(Recognised::Generated(generated.clone()))
    );
    put(&folder, "gen/cat.png", "x");
    assert_eq!(recognise(&generated), Ok(Recognised::Gallery(generated)));
}

#[test]
fn percentiles_are_further_columns_that_readers_pass_over() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("scores.csv");
    let rows = vec![ScoreRow::new(
        "1.png",
        "img_0000_00.jpg",
        RegionScores::new(0.75, 0.5),
    )];
    let standing = |s: &RegionScores| [s.foreground.map(|f| f64::from(f) * 100.0), None];
    write_scores_with_null(&path, &rows, &standing, &[]).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(
        text,
        "original image,generated image,Background Scores,Foreground Scores,Average Scores,\
         Background Null Percentile,Foreground Null Percentile\n1.png,img_0000_00.jpg,0.5,0.75,0.625,,75\n"
    );
    assert_eq!(read_scores(&path).unwrap(), (rows, Vec::new()));
}

#[test]
fn skipped_files_are_listed_beside_the_run() {
    let folder = TempDir::new().unwrap();
    let list = folder.path().join("skipped.csv");
    write_skipped(folder.path(), &[]).unwrap();
    assert!(!list.exists());
    write_skipped(
        folder.path(),
        &[Skipped::new("a/b.png", "a/b.png: the file, is empty")],
    )
    .unwrap();
    assert_eq!(
        fs::read_to_string(&list).unwrap(),
        "file,reason\na/b.png,\"the file, is empty\"\n"
    );
    write_skipped(folder.path(), &[]).unwrap();
    assert!(!list.exists());
}
