//! Studies, prompt lists and score tables on disk.

#![allow(
    clippy::unwrap_used,
    reason = "the lint spares test functions, but not their helpers"
)]

#[path = "common/contents.rs"]
mod contents;
#[path = "store/formats.rs"]
mod formats;
#[path = "store/import.rs"]
mod import;
#[path = "store/measures.rs"]
mod measures;
#[path = "store/region_edits.rs"]
mod region_edits;
#[path = "store/run.rs"]
mod run;
#[path = "store/segmenters.rs"]
mod segmenters;

use pentimento::{
    gallery::is_image_name,
    store::{Recognised, ScoreRow, StudyFile, best_rows, read_prompts, read_scores, recognise, write_scores},
    study::{Arithmetic, Prompt, RegionScores},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn put(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

fn study(text: &str) -> Result<StudyFile, String> {
    StudyFile::parse(text, Path::new("/home/me/demo/study.toml")).map_err(|p| p.to_string())
}

#[test]
fn a_whole_study_file_is_read() {
    let text = r#"
format = 1
name = "Demo study"
[model]
path = "model"
[gallery]
path = "../gallery"
captions = "captions.csv"
mattes = "/data/mattes"
[segmenter]
path = "segmenter"
[prompts]
path = "prompts.csv"
[sampling]
steps = 25
guidance = 4
width = 128
height = 128
scheduler = "ddim"
seeds = "0..3, 7"
[thresholds]
foreground = 0.82
background = 0.72
arithmetic = "reference"
"#;
    let study = study(text).unwrap();
    assert_eq!(study.name, "Demo study");
    assert_eq!(study.model.as_deref(), Some(Path::new("/home/me/demo/model")));
    assert_eq!(
        study.gallery.as_deref(),
        Some(Path::new("/home/me/demo/../gallery"))
    );
    assert_eq!(study.mattes.as_deref(), Some(Path::new("/data/mattes")));
    assert_eq!(
        (
            study.sampling.steps,
            study.sampling.guidance,
            study.sampling.width
        ),
        (Some(25), Some(4.0), Some(128))
    );
    assert_eq!(study.seeds, [0, 1, 2, 7]);
    assert_eq!(
        (study.thresholds.foreground, study.thresholds.background),
        (0.82, 0.72)
    );
    assert_eq!(study.arithmetic, Arithmetic::Reference);
    assert!(study.notices.is_empty());
    let outline = study.outline(Vec::new(), Vec::new(), Vec::new());
    assert_eq!(outline.root.as_deref(), Some(Path::new("/home/me/demo")));
    assert_eq!(outline.gallery_root, study.gallery);
}

#[test]
fn every_part_of_a_study_may_be_missing() {
    let empty = study("").unwrap();
    assert_eq!(empty.name, "demo");
    assert_eq!(empty.seeds, [0, 1, 2, 3]);
    assert_eq!(empty.sampling, pentimento::study::SamplingChoice::default());
    assert!(empty.model.is_none() && empty.gallery.is_none());
    assert_eq!(study("[sampling]\nseeds = [4, 9]").unwrap().seeds, [4, 9]);
    assert_eq!(study("[sampling]\nseeds = 5").unwrap().seeds, [5]);
    let chosen = study("[sampling]\nscheduler = \"euler-a\"\nrng = \"torch-cuda\"").unwrap();
    let sampling = chosen.outline(Vec::new(), Vec::new(), Vec::new()).sampling;
    assert_eq!(
        (sampling.scheduler.name(), sampling.rng.name()),
        ("euler-a", "torch-cuda")
    );
}

#[test]
fn mistakes_are_told_with_line_and_column() {
    let wrong = |text: &str, wants: &[&str]| {
        let told = study(text).unwrap_err();
        for want in wants.iter().chain(&["/home/me/demo/study.toml"]) {
            assert!(told.contains(want), "{text:?}: {told}");
        }
    };
    wrong("name = \"a\"\nname = ", &["line 2, column"]);
    wrong("a b c", &["line 1, column"]);
    wrong(
        "\n\n[sampling]\nsteps = \"many\"",
        &["line 4, column 9", "“many”", "whole number"],
    );
    wrong("[sampling]\nsteps = 0", &["line 2, column 9", "steps is 0"]);
    wrong("[sampling]\nsteps = 99999999999999", &["between 1 and 1000"]);
    wrong("[sampling]\nsteps = -3", &["-3", "whole number"]);
    wrong("[sampling]\nwidth = 130", &["line 2", "multiple of 8"]);
    wrong("[sampling]\nguidance = nan", &["guidance", "number"]);
    wrong("[sampling]\nseeds = \"0..x\"", &["line 2", "“x”"]);
    wrong("[sampling]\nseeds = \"0..99999999999\"", &["more than"]);
    wrong(
        "[sampling]\nscheduler = \"heun\"",
        &["heun", "known: ddim", "euler-a"],
    );
    wrong("[sampling]\nrng = \"dice\"", &["dice"]);
    wrong("[thresholds]\narithmetic = \"new\"", &["new", "corrected"]);
    wrong("[thresholds]\nforeground = 1.5", &["line 2", "between 0 and 1"]);
    wrong("model = \"here\"", &["[model]"]);
    wrong("[model]\npath = \"\"", &["line 2", "empty"]);
    wrong(
        "format = 2\n[some.future]\nthing = 1",
        &["newer version", "format is 2"],
    );
    wrong(&format!("x = {}", "[".repeat(100_000)), &["line 1"]);
}

#[test]
fn unknown_keys_are_told_and_have_no_effect() {
    let found = study("nmae = \"x\"\n[sampling]\nsteps = 9\nguidence = 3\n[extra]\na = 1").unwrap();
    assert_eq!(found.sampling.steps, Some(9));
    let told = found.notices[0].to_string();
    for want in [
        "line 1, column 1: “nmae”",
        "line 4, column 1: “guidence” is unknown in [sampling]",
        "“extra”",
    ] {
        assert!(told.contains(want), "{told}");
    }
}

#[test]
fn a_study_is_read_from_its_folder_with_mark_and_crlf() {
    let folder = TempDir::new().unwrap();
    put(
        &folder,
        "study.toml",
        "\u{feff}name = \"äöü\"\r\n[model]\r\npath = \"m\"\r\n",
    );
    let study = StudyFile::read(folder.path()).unwrap();
    assert_eq!(study.name, "äöü");
    assert_eq!(study.model, Some(folder.path().join("m")));
    put(&folder, "study.toml", b"name = \"\xE4\"");
    assert!(
        StudyFile::read(folder.path())
            .unwrap_err()
            .to_string()
            .contains("line 1: not UTF-8")
    );
    assert!(
        StudyFile::read(&folder.path().join("gone"))
            .unwrap_err()
            .to_string()
            .contains("gone")
    );
}

#[test]
fn what_is_dropped_is_recognised() {
    let folder = TempDir::new().unwrap();
    let here = |name: &str| folder.path().join(name);
    put(&folder, "study/study.toml", "");
    put(&folder, "study/a.png", "");
    put(&folder, "model/model_index.json", "{}");
    put(&folder, "part/unet/config.json", "{}");
    put(&folder, "seg/config.json", r#"{"architecture": "u2netp"}"#);
    put(&folder, "seg/model.safetensors", "");
    put(&folder, "run/run.toml", "format = 1");
    put(&folder, "v.toml", "format = 1");
    put(&folder, "gallery/a.JPG", "");
    put(&folder, "gallery/config.json", r#"{"architecture": "x"}"#);
    for name in ["p.csv", "p.TSV", "p.jsonl", "p.txt"] {
        assert_eq!(
            recognise(&put(&folder, name, "")),
            Ok(Recognised::Prompts(here(name)))
        );
    }
    for (path, want) in [
        ("study", Recognised::Study(here("study"))),
        ("study/study.toml", Recognised::Study(here("study"))),
        ("model", Recognised::Checkpoint(here("model"))),
        ("model/model_index.json", Recognised::Checkpoint(here("model"))),
        ("part", Recognised::Checkpoint(here("part"))),
        ("seg", Recognised::Segmenter(here("seg"))),
        ("run", Recognised::Run(here("run"))),
        ("v.toml", Recognised::Variant(here("v.toml"))),
        ("gallery", Recognised::Gallery(here("gallery"))),
    ] {
        assert_eq!(recognise(&here(path)), Ok(want), "{path}");
    }

    let told = |path: PathBuf, wants: &[&str]| {
        let told = recognise(&path).unwrap_err().to_string();
        for want in wants {
            assert!(told.contains(want), "{told}");
        }
    };
    told(
        put(&folder, "sd.ckpt", ""),
        &["diffusers", "from_single_file", "sd.ckpt"],
    );
    told(put(&folder, "sd.safetensors", ""), &["diffusers"]);
    let header = r#"{"model.diffusion_model.out.2.bias":{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}"#;
    let whole = here("v1-5.safetensors");
    fs::write(
        &whole,
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat(),
    )
    .unwrap();
    assert_eq!(recognise(&whole).unwrap(), Recognised::Checkpoint(whole));
    told(put(&folder, "one.png", ""), &["single image"]);
    told(put(&folder, "a.zip", ""), &["cannot be opened", "study.toml"]);
    put(&folder, "unet-only/diffusion.safetensors", "");
    told(here("unet-only"), &["model_index.json", "diffusion.safetensors"]);
    fs::create_dir(here("empty")).unwrap();
    told(
        here("empty"),
        &[
            "study.toml",
            "model_index.json",
            "run.toml",
            "architecture",
            "image files",
            "is empty",
        ],
    );
    told(here("gone"), &["not there"]);
    // Both rooms mean the same by an image.
    for ending in [
        "png", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "tif", "tiff",
    ] {
        let name = format!("g-{ending}/a.{ending}");
        put(&folder, &name, "");
        assert!(is_image_name(Path::new(&name)));
        assert!(matches!(
            recognise(&here(&format!("g-{ending}"))),
            Ok(Recognised::Gallery(_))
        ));
    }
}

fn prompts(name: &str, bytes: impl AsRef<[u8]>) -> (Vec<Prompt>, String) {
    let folder = TempDir::new().unwrap();
    let (prompts, notices) = read_prompts(&put(&folder, name, bytes)).unwrap();
    (
        prompts,
        notices
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
    )
}

fn prompt(index: u32, text: &str, group: Option<&str>) -> Prompt {
    Prompt {
        index,
        text: text.into(),
        group: group.map(str::to_owned),
    }
}

#[test]
fn the_reference_lists_are_read() {
    let text = ";Caption;URL;type;mean_sscd;max_sscd;Index\r\n\
        0;\"Living in the \"\"Light\"\"; with Ann\";https://x/a.jpg;VM;0.9;0.91;17\r\n\
        1;Plain, with comma;https://x/b.jpg;TM;;;18\r\n";
    let (found, notices) = prompts("memorized.csv", text);
    assert_eq!(
        found,
        [
            prompt(0, "Living in the \"Light\"; with Ann", Some("VM")),
            prompt(1, "Plain, with comma", Some("TM")),
        ]
    );
    assert_eq!(notices, "");

    let (found, _) = prompts("cluster.csv", "Caption;cluster;URL;type\nA;3;https://x;TM\n");
    assert_eq!(found, [prompt(0, "A", Some("TM"))]);
    let (found, _) = prompts(
        "membench.csv",
        ",prompt,urls\n0,\"A, b\",\"['https://x', 'https://y']\"\n",
    );
    assert_eq!(found, [prompt(0, "A, b", None)]);
}

#[test]
fn lines_with_caption_and_address_run_together_are_mended() {
    let text = ";Caption;URL;type;Index\n0;A cat;https://x/1.jpg;VM;5\n1;A dog https://x/2.jpg;TM;6\n\
        2;\"A \"\"fox\"\"\"https://x/3.jpg;VM;7\n3;\n4;Last;https://x/4.jpg;TM;9\n";
    let (found, notices) = prompts("rewrite.csv", text);
    assert_eq!(
        found,
        [
            prompt(0, "A cat", Some("VM")),
            prompt(1, "A dog", Some("TM")),
            prompt(2, "A \"fox\"", Some("VM")),
            prompt(4, "Last", Some("TM")),
        ]
    );
    assert!(
        notices.contains("line 3: caption and address run together"),
        "{notices}"
    );
    assert!(
        notices.contains("line 4:") && notices.contains("line 5:"),
        "{notices}"
    );
}

#[test]
fn json_lines_and_plain_lines_are_read() {
    let wen = "{\"caption\": \"A\", \"index\": 3, \"url\": \"u\"}\n\n{oops\n{\"caption\": \"B\"}\n{\"caption\": 5}\n";
    let (found, notices) = prompts("sdv1_500_memorized.jsonl", wen);
    assert_eq!(found, [prompt(0, "A", None), prompt(2, "B", None)]);
    assert!(
        notices.contains("line 3: not JSON") && notices.contains("line 5: no prompt"),
        "{notices}"
    );
    assert_eq!(prompts("wen.txt", wen).0.len(), 2);

    let (found, notices) = prompts("p.txt", "\u{feff}first, with; both\r\n\r\n  second \r\n");
    assert_eq!(
        found,
        [prompt(0, "first, with; both", None), prompt(1, "second", None)]
    );
    assert_eq!(notices, "");

    // A one-column list needs no quotes.
    let (found, _) = prompts("p.csv", "prompt\nred, green; blue\n\"quoted, too\"\n");
    assert_eq!(
        found,
        [
            prompt(0, "red, green; blue", None),
            prompt(1, "quoted, too", None)
        ]
    );
    // As spreadsheets save “Unicode text”.
    let wide: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain("Prompt\tGroup\nä\tFM\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    assert_eq!(prompts("p.tsv", wide).0, [prompt(0, "ä", Some("FM"))]);
}

#[test]
fn hostile_prompt_lists_are_bounded() {
    let folder = TempDir::new().unwrap();
    let fails = |name: &str, bytes: &[u8], wants: &[&str]| {
        let told = read_prompts(&put(&folder, name, bytes)).unwrap_err().to_string();
        for want in wants.iter().chain(&[name]) {
            assert!(told.contains(want), "{told}");
        }
    };
    fails(
        "a.csv",
        b"x;y;z\n1;2;3\n",
        &["no column of prompts", "x, y, z", "Caption"],
    );
    fails("b.csv", b"", &["no column"]);
    fails("c.txt", b"\n \n", &["no prompt"]);
    fails("d.csv", b"prompt\n\0\0", &["not text"]);
    fails(
        "e.jsonl",
        format!("{}\n", "[".repeat(1_000_000)).as_bytes(),
        &["line 1"],
    );
    fails("f.csv", b"prompt,b\n,1\n,2\n", &["line 2", "line 3"]);
    assert!(read_prompts(folder.path()).is_err());

    let (found, notices) = prompts(
        "g.txt",
        format!("{}\n{}\n", "ä".repeat(10_000), "x".repeat(10_001)),
    );
    assert_eq!(found.len(), 1);
    assert!(notices.contains("line 2: longer than 10000"), "{notices}");
    let (found, notices) = prompts(
        "h.csv",
        "prompt,x\nfine,1\n\"open,2\n".to_owned() + &"more,3\n".repeat(5000),
    );
    assert_eq!(found.len(), 1);
    assert!(
        notices.contains("line 3") && notices.contains("open quote"),
        "{notices}"
    );
    let (found, notices) = prompts("i.txt", "a\n".repeat(1_000_001));
    assert_eq!(found.len(), 1_000_000);
    assert!(notices.contains("first 1000000"), "{notices}");
    assert_eq!(prompts("j.txt", "a\n".repeat(1_000_000)).1, "");
}

fn rows() -> Vec<ScoreRow> {
    let both = RegionScores::new;
    vec![
        ScoreRow::new("17.png", "img_0000_01.jpg", both(0.9, 0.8)),
        ScoreRow::new("3.png", "img_0000_01.jpg", both(0.2, 0.3)),
        ScoreRow::new(
            "5.png",
            "img_0000_00.jpg",
            RegionScores {
                foreground: None,
                background: Some(0.5),
            },
        ),
        ScoreRow::new("6.png", "img_0000_00.jpg", RegionScores::default()),
        ScoreRow::new("9.png", "img_0000_01.jpg", both(0.8, 0.9)),
        ScoreRow::new("a, \"b\".png", "img_0000_00.jpg", both(0.1, 0.7)),
    ]
}

#[test]
fn score_tables_are_written_as_the_reference_writes_them() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("scores.csv");
    write_scores(&path, &rows()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "original image,generated image,Background Scores,Foreground Scores,Average Scores"
    );
    assert_eq!(lines[1], "3.png,img_0000_01.jpg,0.3,0.2,0.25");
    // Equal averages: the higher background is the better one, as in the reference's heap.
    assert!(
        lines[2].starts_with("17.png") && lines[3].starts_with("9.png"),
        "{text}"
    );
    assert_eq!(lines[4], "6.png,img_0000_00.jpg,,,");
    assert!(
        lines[5].starts_with("\"a, \"\"b\"\".png\",img_0000_00.jpg,0.7,0.1,"),
        "{text}"
    );
    assert_eq!(lines[6], "5.png,img_0000_00.jpg,0.5,,0.5");

    let (read, notices) = read_scores(&path).unwrap();
    assert!(notices.is_empty());
    let sorted = |mut rows: Vec<ScoreRow>| {
        rows.sort_by(|a, b| (&a.generated, &a.original).cmp(&(&b.generated, &b.original)));
        rows
    };
    assert_eq!(sorted(read), sorted(rows()));
    assert!(write_scores(&folder.path().join("no/such/scores.csv"), &rows()).is_err());
}

#[test]
fn best_rows_do_not_depend_on_the_order() {
    let best = |rows: &[ScoreRow]| {
        let mut best: Vec<_> = best_rows(rows).into_iter().cloned().collect();
        best.sort_by(|a, b| a.generated.cmp(&b.generated));
        best
    };
    let mut shuffled = rows();
    let first = best(&shuffled);
    assert_eq!(
        [first[0].original.as_str(), first[1].original.as_str()],
        ["5.png", "9.png"]
    );
    for turn in 0..shuffled.len() {
        shuffled.rotate_left(1);
        shuffled.swap(0, turn);
        assert_eq!(best(&shuffled), first);
    }
}

#[test]
fn foreign_score_tables_are_tolerated() {
    let folder = TempDir::new().unwrap();
    let path = put(
        &folder,
        "scores_grouped.csv",
        "\u{feff}Mem Type,SCORE,Generated Image,original IMAGE\r\nVM,0.9,g.jpg,1.jpg\r\nTM,nan,g.jpg,2.jpg\r\nTM,much,g.jpg,3.jpg\r\nTM,0.1,,4.jpg\r\nTM,inf,g.jpg,5.jpg\r\n",
    );
    let (rows, notices) = read_scores(&path).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].average, rows[0].scores),
        (Some(0.9), RegionScores::default())
    );
    assert_eq!(rows[1].average, None);
    let told = notices[0].to_string();
    assert!(
        told.contains("line 4: “much”") && told.contains("line 5") && told.contains("line 6"),
        "{told}"
    );
    let told = read_scores(&put(&folder, "x.csv", "a,b\n1,2\n"))
        .unwrap_err()
        .to_string();
    assert!(told.contains("columns found: a, b"), "{told}");
}
