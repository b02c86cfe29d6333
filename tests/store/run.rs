//! Runs that are interrupted, watched, damaged and resumed.

use crate::contents::contents;
use image::{GrayImage, Luma, Rgb, RgbImage};
use pentimento::{
    gallery::{decode_matte, decode_rgb},
    store::{Record, RecordMatch, Run, RunParameters, picture_text},
    study::{GalleryImage, GenerationKey, Problem, RegionScores, Sampling},
};
use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn parameters() -> RunParameters {
    RunParameters {
        study: "Demo".into(),
        program: RunParameters::this_program(),
        model: Some("a".repeat(64)),
        gallery: Some("b".repeat(64)),
        sampling: Sampling {
            steps: 25,
            guidance: 4.1,
            width: 64,
            height: 64,
            ..Sampling::default()
        },
        ..RunParameters::default()
    }
}

fn key(prompt: u32, seed: u64) -> GenerationKey {
    GenerationKey { prompt, seed }
}

/// Draws one picture, as the engine would.
fn draw(run: &mut Run, key: GenerationKey) -> Result<(), Problem> {
    let text = format!("prompt {} – ä", key.prompt);
    let tint = (key.prompt * 40 + key.seed as u32 * 7) as u8;
    let image = RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8 * 4, y as u8 * 4, tint]));
    let matte = GrayImage::from_fn(64, 64, |x, _| Luma([x as u8 * 4]));
    let image = run.write_image(&key, &text, &image)?;
    let matte = run.write_matte(&key, &matte)?;
    let record = Record {
        cluster: None,
        key,
        prompt: text,
        image: image.relative,
        sha256: image.sha256,
        matte: Some(matte.relative),
        confidence: Some(0.97),
        matches: vec![RecordMatch {
            name: "7.png".into(),
            gallery: 1,
            scores: RegionScores {
                foreground: Some(0.8123456),
                background: None,
            },
        }],
        noise_norm: vec![1.25, f32::NAN, 0.1],
        embedding: None,
        measures: None,
        signals: None,
    };
    // Never the same time twice: nothing of it may reach the records.
    run.append(
        record,
        std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos() as f32,
    )
}

const KEYS: [(u32, u64); 4] = [(0, 0), (0, 1), (3, 0), (12, 123_456)];

fn draw_missing(run: &mut Run) -> usize {
    let missing: Vec<_> = KEYS
        .map(|(p, s)| key(p, s))
        .into_iter()
        .filter(|k| !run.has(k))
        .collect();
    missing.iter().for_each(|k| draw(run, *k).unwrap());
    missing.len()
}

fn whole_run() -> (TempDir, BTreeMap<PathBuf, Vec<u8>>) {
    let folder = TempDir::new().unwrap();
    let mut run = Run::create(folder.path(), &parameters()).unwrap();
    assert_eq!(draw_missing(&mut run), KEYS.len());
    drop(run);
    let files = contents(folder.path());
    (folder, files)
}

fn told(notices: &[Problem]) -> String {
    notices
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_run_comes_back_as_it_was_written() {
    let (folder, files) = whole_run();
    let names: Vec<_> = files
        .keys()
        .map(|p| p.to_str().unwrap().replace('\\', "/"))
        .collect();
    assert_eq!(
        names,
        [
            "generations.jsonl",
            "images/img_0000_00.png",
            "images/img_0000_01.png",
            "images/img_0003_00.png",
            "images/img_0012_123456.png",
            "mattes/img_0000_00.png",
            "mattes/img_0000_01.png",
            "mattes/img_0003_00.png",
            "mattes/img_0012_123456.png",
            "run.toml",
        ]
    );
    let run = Run::open_read(folder.path()).unwrap();
    assert!(!run.is_writable() && run.notices().is_empty());
    assert_eq!(run.parameters(), &parameters());
    assert_eq!(run.records().len(), 4);
    let record = &run.records()[3];
    assert_eq!(record.key, key(12, 123_456));
    assert_eq!(record.matches[0].scores.foreground, Some(0.8123456));
    assert_eq!(record.matches[0].scores.background, None);
    assert!(record.noise_norm[1].is_nan() && record.noise_norm[2] == 0.1);
    assert!(run.seconds(&record.key).is_some());
    let path = folder.path().join(&record.image);
    assert_eq!(decode_rgb(&path).unwrap().get_pixel(3, 5).0[..2], [12, 20]);
    assert_eq!(
        decode_matte(&folder.path().join(record.matte.as_ref().unwrap()))
            .unwrap()
            .get_pixel(9, 0)
            .0,
        [36]
    );

    let text = picture_text(&path).unwrap();
    let want = [
        ("prompt", "prompt 12 – ä"),
        ("prompt index", "12"),
        ("seed", "123456"),
        ("steps", "25"),
        ("guidance", "4.1"),
        ("scheduler", "ddim"),
        ("size", "64x64"),
    ];
    for (keyword, value) in want {
        assert_eq!(text[keyword], value);
    }
    assert_eq!(text["model hash"], "a".repeat(64));
    assert_eq!(text["Software"], RunParameters::this_program());
    assert!(
        fs::read_to_string(folder.path().join("run.toml"))
            .unwrap()
            .contains("guidance = 4.1\n")
    );
}

#[test]
fn generations_find_their_training_images_by_name() {
    let (folder, _) = whole_run();
    let run = Run::open_read(folder.path()).unwrap();
    let image = |name: &str| GalleryImage {
        path: name.into(),
        matte: None,
        caption: None,
    };
    let thumbnail = |path: &Path| decode_rgb(path).ok();
    let same = run.generations(&[image("1.png"), image("g/7.png")], thumbnail);
    assert_eq!(same.len(), 4);
    assert_eq!(same[0].matches[0].gallery, 1);
    assert_eq!(same[0].thumbnail.dimensions(), (64, 64));
    assert!(same[0].image.is_file() && same[0].matte.as_ref().unwrap().is_file());
    let moved = run.generations(&[image("0.png"), image("1.png"), image("7.png")], thumbnail);
    assert_eq!(moved[0].matches[0].gallery, 2);
    let other = run.generations(&[image("x.png"), image("y.png")], |_| None);
    assert!(other[0].matches.is_empty());
    assert_eq!(other[0].thumbnail.dimensions(), (1, 1));
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_wherever_it_was_torn() {
    let (_, whole) = whole_run();
    let lines = &whole[Path::new("generations.jsonl")];
    // Every place near the line ends, and some between.
    let ends: Vec<usize> = (0..lines.len()).filter(|&i| lines[i] == b'\n').collect();
    let mut cuts: Vec<usize> = (0..lines.len()).step_by(97).collect();
    cuts.extend(ends.iter().flat_map(|e| [e.saturating_sub(1), *e, e + 1]));
    for cut in cuts {
        let (folder, _) = whole_run();
        let path = folder.path().join("generations.jsonl");
        fs::write(&path, &lines[..cut]).unwrap();
        // What a kill in the middle of writing a picture leaves.
        fs::write(
            folder.path().join("images/.pentimento-abc123.part"),
            "half a picture",
        )
        .unwrap();
        fs::write(folder.path().join(".pentimento-abc123.part"), "half").unwrap();
        let kept = lines[..cut].iter().filter(|&&b| b == b'\n').count();

        let watched = Run::open_read(folder.path()).unwrap();
        assert_eq!(watched.records().len(), kept);
        assert_eq!(fs::read(&path).unwrap().len(), cut, "reading changes nothing");

        let mut run = Run::open_or_create(folder.path(), &parameters()).unwrap();
        let torn = cut > 0 && lines[cut - 1] != b'\n';
        assert_eq!(told(run.notices()).contains("cut off"), torn);
        assert_eq!(draw_missing(&mut run), KEYS.len() - kept);
        drop(run);
        assert_eq!(contents(folder.path()), whole, "cut at {cut}");
    }
}

#[test]
fn a_tail_of_zeros_is_a_torn_line() {
    let (folder, whole) = whole_run();
    let path = folder.path().join("generations.jsonl");
    fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(&[0; 5000])
        .unwrap();
    let run = Run::open_or_create(folder.path(), &parameters()).unwrap();
    assert_eq!(run.records().len(), 4);
    drop(run);
    assert_eq!(contents(folder.path()), whole);
}

#[test]
fn only_one_writer_at_a_time_and_readers_follow() {
    let folder = TempDir::new().unwrap();
    let mut run = Run::create(folder.path(), &parameters()).unwrap();
    let refused = Run::open_or_create(folder.path(), &parameters())
        .unwrap_err()
        .to_string();
    assert!(refused.contains("Another process is writing"), "{refused}");
    assert!(
        Run::create(folder.path(), &parameters())
            .unwrap_err()
            .to_string()
            .contains("already")
    );

    let mut watcher = Run::open_read(folder.path()).unwrap();
    assert!(watcher.records().is_empty());
    draw(&mut run, key(0, 0)).unwrap();
    watcher.refresh().unwrap();
    draw(&mut run, key(0, 1)).unwrap();
    watcher.refresh().unwrap();
    watcher.refresh().unwrap();
    // As text, since a NaN does not equal itself.
    assert_eq!(format!("{:?}", watcher.records()), format!("{:?}", run.records()));
    assert_eq!(watcher.records().len(), 2);
    let refused = draw(&mut watcher, key(0, 2)).unwrap_err().to_string();
    assert!(refused.contains("reading only"), "{refused}");
    let refused = draw(&mut run, key(0, 1)).unwrap_err().to_string();
    assert!(refused.contains("recorded already"), "{refused}");

    drop(run);
    assert_eq!(
        Run::open_or_create(folder.path(), &parameters())
            .unwrap()
            .records()
            .len(),
        2
    );
}

#[test]
fn other_parameters_are_named() {
    let (folder, _) = whole_run();
    let refused = |change: fn(&mut RunParameters)| {
        let mut other = parameters();
        change(&mut other);
        Run::open_or_create(folder.path(), &other)
            .unwrap_err()
            .to_string()
    };
    let said = refused(|p| p.sampling.steps = 50);
    assert!(
        said.contains("steps: the run has 25, now it is 50") && !said.contains("guidance"),
        "{said}"
    );
    assert!(refused(|p| p.model = None).contains("model: the run has aaaaaaaaaaaaaaaa, now it is none"));
    assert!(refused(|p| p.gallery = Some(format!("{}c", "b".repeat(63)))).contains("gallery"));
    assert!(refused(|p| p.arithmetic = pentimento::study::Arithmetic::Reference).contains("arithmetic"));
    assert!(refused(|p| p.sampling.negative = "fog".into()).contains("“fog”"));

    let mut other = parameters();
    other.thresholds.foreground = 0.5;
    other.program = "pentimento 9.9.9".into();
    let run = Run::open_or_create(folder.path(), &other).unwrap();
    assert!(told(run.notices()).contains("another version"));
}

#[test]
fn damaged_records_are_told_and_made_again() {
    let (folder, _) = whole_run();
    let path = folder.path().join("generations.jsonl");
    let mut lines: Vec<String> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    lines[1] = lines[1].replace("images/", "../images/");
    lines[2] = "nonsense".into();
    let long = "x".repeat(3 << 20);
    fs::write(
        &path,
        format!("{}\n{}\n{}\n{long}\n{}\n", lines[0], lines[1], lines[2], lines[3]),
    )
    .unwrap();
    let mut run = Run::open_or_create(folder.path(), &parameters()).unwrap();
    assert_eq!(run.records().len(), 2);
    let said = told(run.notices());
    for want in [
        "3 lines",
        "line 2: image “../images",
        "line 3: not a record",
        "line 4: longer",
    ] {
        assert!(said.contains(want), "{said}");
    }
    assert_eq!(draw_missing(&mut run), 2);
    drop(run);
    assert_eq!(Run::open_read(folder.path()).unwrap().records().len(), 4);
}

#[test]
fn records_stay_inside_the_folder() {
    let (folder, _) = whole_run();
    let good = Run::open_read(folder.path()).unwrap().records()[0].clone();
    assert_eq!(good.validate(), Ok(()));
    for path in [
        "/etc/passwd",
        "../x.png",
        "images/../../x.png",
        "C:\\x.png",
        "C:x.png",
        "images\\x.png",
        "",
        "a\0b",
        "./x.png",
    ] {
        let bad = Record {
            image: path.into(),
            ..good.clone()
        };
        assert!(bad.validate().is_err(), "{path}");
        let bad = Record {
            matte: Some(path.into()),
            ..good.clone()
        };
        assert!(bad.validate().is_err(), "{path}");
    }
    assert!(
        Record {
            sha256: "x".into(),
            ..good.clone()
        }
        .validate()
        .is_err()
    );
    assert!(
        Record {
            confidence: Some(f32::NAN),
            ..good
        }
        .validate()
        .is_err()
    );
}

#[test]
fn pictures_that_vanished_are_made_again() {
    let (folder, whole) = whole_run();
    fs::remove_file(folder.path().join("images/img_0003_00.png")).unwrap();
    fs::remove_file(folder.path().join("mattes/img_0000_01.png")).unwrap();
    let mut run = Run::open_or_create(folder.path(), &parameters()).unwrap();
    assert!(told(run.notices()).contains("2 recorded pictures are no longer there"));
    assert_eq!(draw_missing(&mut run), 2);
    drop(run);
    let again = contents(folder.path());
    assert_eq!(
        again[Path::new("images/img_0003_00.png")],
        whole[Path::new("images/img_0003_00.png")]
    );
    assert_eq!(Run::open_read(folder.path()).unwrap().records().len(), 4);
}

#[test]
fn foreign_and_newer_folders_are_refused() {
    let folder = TempDir::new().unwrap();
    let create = |folder: &TempDir| Run::create(folder.path(), &parameters()).unwrap_err().to_string();
    let read = |text: &str| {
        fs::write(folder.path().join("run.toml"), text).unwrap();
        Run::open_read(folder.path()).unwrap_err().to_string()
    };
    assert!(
        Run::open_read(folder.path())
            .unwrap_err()
            .to_string()
            .contains("no run")
    );
    assert!(read("format = 2\nnew = \"thing\"").contains("newer version"));
    assert!(read("study = \"x\"").contains("no format"));
    assert!(read("format = 1\n[sampling]\nsteps = \"x\"").contains("line 3, column"));
    assert!(read("format = 1\n[sampling]\nsteps = 0").contains("steps is 0"));
    assert!(read("format = ").contains("line 1, column"));
    assert!(read(&format!("x = {}", "[".repeat(100_000))).contains("line 1"));

    let other = TempDir::new().unwrap();
    fs::write(other.path().join("thesis.tex"), "x").unwrap();
    assert!(create(&other).contains("thesis.tex"));
    // Parameters lost: records are not overwritten.
    let (lost, _) = whole_run();
    fs::remove_file(lost.path().join("run.toml")).unwrap();
    assert!(create(&lost).contains("parameters are lost"));
    // A crash right after the folder was made: begun again.
    let begun = TempDir::new().unwrap();
    fs::create_dir(begun.path().join("images")).unwrap();
    fs::write(begun.path().join("run.lock"), "").unwrap();
    fs::write(begun.path().join(".pentimento-x.part"), "form").unwrap();
    assert!(Run::open_or_create(begun.path(), &parameters()).is_ok());
    assert!(!begun.path().join(".pentimento-x.part").exists());
}

#[test]
fn a_place_that_cannot_be_written_is_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    let said = Run::create(&file.join("run"), &parameters())
        .unwrap_err()
        .to_string();
    assert!(said.contains("a file, not a folder"), "{said}");
    let mut run = Run::create(&folder.path().join("run"), &parameters()).unwrap();
    draw(&mut run, key(0, 0)).unwrap();
    fs::remove_dir_all(folder.path().join("run/images")).unwrap();
    let said = draw(&mut run, key(0, 1)).unwrap_err().to_string();
    assert!(
        said.contains("could not be saved") && said.contains("not there"),
        "{said}"
    );
    use std::io::{Error, ErrorKind};
    for (kind, want) in [
        (ErrorKind::StorageFull, "disk is full"),
        (ErrorKind::PermissionDenied, "does not permit"),
        (ErrorKind::ReadOnlyFilesystem, "read-only"),
        (ErrorKind::QuotaExceeded, "quota"),
    ] {
        let said = Problem::io("It failed", Path::new("/some/where"), &Error::from(kind)).to_string();
        assert!(said.contains(want) && said.contains("/some/where"), "{said}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    // The superuser may write everywhere.
    if fs::write(folder.path().join("probe"), "").is_err() {
        let said = Run::create(folder.path(), &parameters()).unwrap_err().to_string();
        assert!(said.contains("does not permit"), "{said}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_in_place_of_the_records_is_refused() {
    let (folder, _) = whole_run();
    let path = folder.path().join("generations.jsonl");
    fs::remove_file(&path).unwrap();
    // Reading it would never end.
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    for refused in [
        Run::open_read(folder.path()),
        Run::open_or_create(folder.path(), &parameters()),
    ] {
        assert!(refused.unwrap_err().to_string().contains("not a regular file"));
    }
}

#[test]
fn hostile_png_text_is_bounded() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.png");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        picture_text(&path)
    };
    let mut whole = Vec::new();
    let mut encoder = png::Encoder::new(&mut whole, 1, 1);
    encoder
        .add_ztxt_chunk("prompt".into(), "ignored kind".into())
        .unwrap();
    // 64 MB of text in a few kilobytes.
    encoder.add_itxt_chunk("note".into(), "plain".into()).unwrap();
    let mut writer = encoder.write_header().unwrap();
    let mut bomb = png::text_metadata::ITXtChunk::new("bomb", "x".repeat(64 << 20));
    bomb.compressed = true;
    writer.write_text_chunk(&bomb).unwrap();
    writer.write_image_data(&[0]).unwrap();
    writer.finish().unwrap();
    assert!(whole.len() < 1 << 20);
    assert!(read(&whole).is_err());
    for cut in 0..60 {
        assert!(read(&whole[..cut]).is_err());
    }
    assert!(read(b"GIF89a").is_err());
    assert!(picture_text(folder.path()).is_err());
}

#[test]
fn a_variant_makes_another_run_and_none_leaves_the_file_as_it_was() {
    let folder = TempDir::new().unwrap();
    let plain = parameters();
    let edited = RunParameters {
        variant: Some(pentimento::study::VariantId {
            name: "v".into(),
            hash: "c".repeat(64),
        }),
        ..parameters()
    };
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    drop(Run::create(&a, &plain).unwrap());
    drop(Run::create(&b, &edited).unwrap());
    assert!(
        !fs::read_to_string(a.join("run.toml"))
            .unwrap()
            .contains("variant")
    );
    assert_eq!(Run::open_read(&b).unwrap().parameters(), &edited);
    let said = Run::open_or_create(&a, &edited).unwrap_err().to_string();
    assert!(
        said.contains("variant: the run has none, now it is v (cccccccccccc)"),
        "{said}"
    );
}
