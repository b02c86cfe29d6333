//! Null, imports, score tables and labels through the engine.

use super::{common::*, open};
use image::{GrayImage, Luma, Rgb, RgbImage};
use pentimento::{
    engine::{EngineHandle, Event, ImportJob, ImportPrompts, Job},
    memorization::null::Null,
    store::ImportNames,
    study::{Generation, GenerationKey, Labels, Problem, Region, Skipped, StudyOutline},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

/// A scene that is the same for the same numbers; `salt` makes a gallery that no cache has seen.
fn scene(salt: u32, n: u32) -> RgbImage {
    let wild = |k: u32| {
        let mut x = u64::from(salt) * 7919 + u64::from(n) * 104_729 + u64::from(k) * 31 + 7;
        for _ in 0..3 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        (x >> 20) as f32 / (1u64 << 44) as f32
    };
    RgbImage::from_fn(96, 96, |x, y| {
        let (u, v) = (x as f32 / 96.0, y as f32 / 96.0);
        Rgb(std::array::from_fn(|c| {
            let c = c as u32;
            let wave =
                (u * (3.0 + 20.0 * wild(c)) + v * (2.0 + 25.0 * wild(c + 3)) + 6.0 * wild(c + 6)).sin();
            (128.0 + 110.0 * wave) as u8
        }))
    })
}

fn matte() -> GrayImage {
    GrayImage::from_fn(96, 96, |x, y| {
        Luma([if (30..70).contains(&x) && (25..80).contains(&y) {
            255
        } else {
            0
        }])
    })
}

/// A study folder: `count` scenes with mattes; the last two repeat the first.
fn study(folder: &Path, salt: u32, count: u32) -> PathBuf {
    let (images, mattes) = (folder.join("gallery"), folder.join("mattes"));
    fs::create_dir_all(&images).unwrap();
    fs::create_dir_all(&mattes).unwrap();
    for i in 0..count {
        let of = if i + 2 >= count { 0 } else { i };
        scene(salt, of).save(images.join(format!("{i}.png"))).unwrap();
        matte().save(mattes.join(format!("{i}.png"))).unwrap();
    }
    fs::write(
        folder.join("prompts.csv"),
        "prompt;group\nfirst;VM\nsecond;NM\nthird;FM\n",
    )
    .unwrap();
    fs::write(
        folder.join("study.toml"),
        "format = 1\n[gallery]\npath = \"gallery\"\nmattes = \"mattes\"\n[prompts]\npath = \"prompts.csv\"\n",
    )
    .unwrap();
    folder.to_owned()
}

fn salt() -> u32 {
    std::process::id()
        ^ std::time::SystemTime::now()
            .elapsed()
            .map_or(1, |d| d.subsec_nanos())
}

fn null_of(handle: &EngineHandle, job: Job) -> (Ending, Option<Arc<Null>>) {
    let mut null = None;
    let ending = follow(handle, job, &mut |event| {
        if let Event::Null(found) = event {
            null = Some(found.clone());
        }
    });
    (ending, null)
}

#[test]
fn the_null_is_measured_once_and_kept() {
    let folder = TempDir::new().unwrap();
    let study = study(&folder.path().join("study"), salt(), 26);
    let handle = engine(&folder.path().join("run"));
    let (ending, null) = null_of(&handle, Job::Open(study.clone()));
    assert!(matches!(ending, Ending::Finished) && null.is_none(), "{ending:?}");
    let (ending, null) = null_of(&handle, Job::Calibrate);
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let null = null.unwrap();
    assert_eq!((null.scores().len(), null.alone()), (26, 0));
    // The three copies of the first scene are of one group: none of them matches another with 1.
    assert!(null.of(Region::Foreground).iter().all(|&s| s < 0.92), "{null:?}");
    // Too small a gallery for 1 %, not too small to say where a score stands.
    assert!(null.threshold(Region::Foreground, 0.01).is_err());
    assert!(null.threshold(Region::Foreground, 0.05).is_ok());
    assert_eq!(null.standing(Region::Background, 0.99).unwrap().below, 26);
    // Opened again, it is there at once, and a job has nothing to do.
    let again = engine(&folder.path().join("run-2"));
    let (_, kept) = null_of(&again, Job::Open(study));
    assert_eq!(*kept.unwrap(), *null);
}

#[test]
fn there_is_no_null_without_a_gallery() {
    let folder = TempDir::new().unwrap();
    let handle = engine(folder.path());
    let (ending, _) = null_of(&handle, Job::Calibrate);
    let Ending::Failed(problem) = &ending else {
        panic!("{ending:?}")
    };
    assert!(problem.to_string().contains("no prepared gallery"), "{problem}");
}

#[derive(Default)]
struct Heard {
    outline: Option<Arc<StudyOutline>>,
    judged: Vec<Arc<Generation>>,
    skipped: Vec<Skipped>,
    notices: Vec<Problem>,
    labels: Option<Arc<Labels>>,
    surveyed: bool,
}

fn hear(handle: &EngineHandle, job: Job, also: &mut dyn FnMut(&Event)) -> (Ending, Heard) {
    let mut heard = Heard::default();
    let ending = follow(handle, job, &mut |event| {
        also(event);
        match event {
            Event::Opened(outline) => {
                heard.outline = Some(outline.clone());
                heard.judged.clear();
            }
            Event::Judged(g) => heard.judged.push(g.clone()),
            Event::Skipped(list) => heard.skipped = list.to_vec(),
            Event::Notice(problem) => heard.notices.push(problem.clone()),
            Event::Labels(labels) => heard.labels = Some(labels.clone()),
            Event::Surveyed(_) => heard.surveyed = true,
            _ => {}
        }
    });
    (ending, heard)
}

fn generated(folder: &Path, salt: u32) -> (PathBuf, PathBuf) {
    let (pictures, mattes) = (folder.join("generated"), folder.join("generated mattes"));
    fs::create_dir_all(&pictures).unwrap();
    fs::create_dir_all(&mattes).unwrap();
    for (name, of) in [
        ("img_0000_00", 3),
        ("img_0000_01", 4),
        ("img_0001_00", 900),
        ("img_0002_07", 901),
        ("img_0002_08", 902),
    ] {
        scene(salt, of)
            .save(pictures.join(format!("{name}.png")))
            .unwrap();
        matte().save(mattes.join(format!("{name}.png"))).unwrap();
    }
    (pictures, mattes)
}

fn import_job(folder: &Path, mattes: &Path) -> ImportJob {
    ImportJob {
        folder: folder.to_owned(),
        mattes: Some(mattes.to_owned()),
        ..ImportJob::default()
    }
}

#[test]
fn finished_pictures_are_audited_without_a_model_and_kept_as_a_run() {
    let folder = TempDir::new().unwrap();
    let salt = salt();
    let study = study(&folder.path().join("study"), salt, 12);
    let (pictures, mattes) = generated(folder.path(), salt);
    fs::write(pictures.join("img_0001_01.png"), b"\x89PNG\r\n\x1a\n broken").unwrap();
    fs::write(pictures.join("notes_about_it.png"), b"").unwrap();
    let run = folder.path().join("run");
    let handle = engine(&run);
    open(&handle, &study);
    let job = import_job(&pictures, &mattes);
    let (ending, heard) = hear(&handle, Job::Import(job.clone()), &mut |_| {});
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let outline = heard.outline.unwrap();
    assert_eq!((outline.model.as_ref(), outline.prompts.len()), (None, 3));
    assert_eq!(outline.prompts[0].group.as_deref(), Some("VM"));
    let found: Vec<_> = heard.judged.iter().map(|g| (g.key.prompt, g.key.seed)).collect();
    assert_eq!(found, [(0, 0), (0, 1), (1, 0), (2, 7), (2, 8)]);
    // The pictures that are in the gallery match themselves.
    for (g, of) in heard.judged.iter().zip([3, 4]) {
        assert_eq!(g.matches[0].gallery, of);
        assert!(g.matches[0].scores.average().unwrap() > 0.999);
        assert_eq!(g.prompt, "first");
    }
    let reasons: Vec<_> = heard
        .skipped
        .iter()
        .map(|s| format!("{}: {}", s.path.file_name().unwrap().to_string_lossy(), s.reason))
        .collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons[0].starts_with("notes_about_it.png: the name does not say"),
        "{reasons:?}"
    );
    assert!(reasons[1].starts_with("img_0001_01.png: "), "{reasons:?}");
    assert!(
        fs::read_to_string(run.join("skipped.csv"))
            .unwrap()
            .contains("img_0001_01.png")
    );
    assert!(
        fs::read_to_string(run.join("run.toml"))
            .unwrap()
            .contains("generated · FB-Mem names")
    );
    assert_eq!(
        fs::read(run.join("images/img_0002_07.png")).unwrap(),
        fs::read(pictures.join("img_0002_07.png")).unwrap()
    );

    // Again: nothing is compared twice, a changed picture is, and what is new joins.
    let before = fs::read(run.join("generations.jsonl")).unwrap();
    let (_, again) = hear(&handle, Job::Import(job.clone()), &mut |_| {});
    assert_eq!(again.judged.len(), 5);
    assert_eq!(fs::read(run.join("generations.jsonl")).unwrap(), before);
    scene(salt, 5).save(pictures.join("img_0001_00.png")).unwrap();
    let (_, changed) = hear(&handle, Job::Import(job), &mut |_| {});
    let one = changed.judged.iter().find(|g| g.key.prompt == 1).unwrap();
    assert_eq!(one.matches[0].gallery, 5);
    assert!(
        fs::read(run.join("generations.jsonl"))
            .unwrap()
            .starts_with(&before)
    );
}

#[test]
fn names_that_say_nothing_need_another_way() {
    let folder = TempDir::new().unwrap();
    let salt = salt();
    let study = study(&folder.path().join("study"), salt, 6);
    let pictures = folder.path().join("free");
    let mattes = folder.path().join("free mattes");
    for f in [&pictures, &mattes] {
        fs::create_dir(f).unwrap();
    }
    for (i, name) in ["a red fox-s1.png", "a red fox-s2.png", "an owl-s1.png"]
        .iter()
        .enumerate()
    {
        scene(salt, 50 + i as u32).save(pictures.join(name)).unwrap();
        matte().save(mattes.join(name)).unwrap();
    }
    let handle = engine(&folder.path().join("run"));
    let mut job = import_job(&pictures, &mattes);
    let (ending, _) = hear(&handle, Job::Import(job.clone()), &mut |_| {});
    assert!(
        matches!(&ending, Ending::Failed(p) if p.to_string().contains("no gallery")),
        "{ending:?}"
    );
    open(&handle, &study);
    let (ending, _) = hear(&handle, Job::Import(job.clone()), &mut |_| {});
    assert!(
        matches!(&ending, Ending::Failed(p) if p.to_string().contains("a red fox-s1.png")),
        "{ending:?}"
    );
    job.names = ImportNames::Pattern("{text}-s{seed}".into());
    job.prompts = ImportPrompts::Unknown;
    let (ending, heard) = hear(&handle, Job::Import(job), &mut |_| {});
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let prompts: Vec<_> = heard
        .outline
        .unwrap()
        .prompts
        .iter()
        .map(|p| p.text.clone())
        .collect();
    assert_eq!(prompts, ["a red fox", "an owl"]);
    assert_eq!(heard.judged.len(), 3);
}

#[test]
fn a_file_that_vanishes_during_an_import_is_listed() {
    let folder = TempDir::new().unwrap();
    let salt = salt();
    let study = study(&folder.path().join("study"), salt, 6);
    let (pictures, mattes) = generated(folder.path(), salt);
    let handle = engine(&folder.path().join("run"));
    open(&handle, &study);
    let last = pictures.join("img_0002_08.png");
    let mut gone = false;
    let (ending, heard) = hear(
        &handle,
        Job::Import(import_job(&pictures, &mattes)),
        &mut |event| {
            // The study opens before the first picture is looked at; nobody reads the last one yet.
            if matches!(event, Event::Opened(_)) && !gone {
                fs::remove_file(&last).unwrap();
                gone = true;
            }
        },
    );
    assert!(gone && matches!(ending, Ending::Finished), "{ending:?}");
    assert_eq!(heard.judged.len(), 4);
    assert!(
        heard.skipped.iter().any(|s| s.path == last),
        "{:?}",
        heard.skipped
    );
}

#[test]
fn a_score_table_opens_with_and_without_its_pictures() {
    let folder = TempDir::new().unwrap();
    let salt = salt();
    let place = folder.path().join("elsewhere");
    fs::create_dir(&place).unwrap();
    let table = place.join("scores.csv");
    fs::write(
        &table,
        "Original Image,GENERATED IMAGE,background scores,Foreground Scores,Average Scores\n\
         4.png,img_0000_00.jpg,0.5,0.7,0.6\n3.png,img_0000_00.jpg,0.95,0.85,0.9\nx,img_0001_02.jpg,bad,0.1,0.1\n\
         17.png,img_0001_02.jpg,0.2,0.3,0.25\n",
    )
    .unwrap();
    let handle = engine(&folder.path().join("run"));
    let (ending, heard) = hear(&handle, Job::Open(table.clone()), &mut |_| {});
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let outline = heard.outline.unwrap();
    assert_eq!(outline.gallery.len(), 3);
    assert_eq!(outline.arithmetic.name(), "reference");
    let best = heard.judged[0].matches[0];
    assert_eq!(outline.gallery[best.gallery as usize].name(), "3.png");
    assert_eq!(best.scores.foreground, Some(0.85));
    assert_eq!(
        heard.judged[0].verdict(&outline.thresholds).unwrap().letters(),
        "VM"
    );
    assert_eq!(heard.judged[1].key, GenerationKey { prompt: 1, seed: 2 });
    let told: String = heard.notices.iter().map(Problem::to_string).collect();
    assert!(told.contains("line 4") && told.contains("bad"), "{told}");
    assert!(told.contains("not there") && !folder.path().join("run").exists());

    // The pictures lie beside the table now, and the gallery is open.
    scene(salt, 1).save(place.join("img_0000_00.jpg")).unwrap();
    let study = study(&folder.path().join("study"), salt, 6);
    open(&handle, &study);
    let (_, heard) = hear(&handle, Job::Open(table.clone()), &mut |_| {});
    let outline = heard.outline.unwrap();
    let best = heard.judged[0].matches[0];
    assert!(
        outline.gallery[best.gallery as usize]
            .path
            .ends_with("gallery/3.png")
    );
    assert_eq!(heard.judged[0].image, place.join("img_0000_00.jpg"));
    // Small pictures are read when they come into view.
    assert!(heard.judged[0].image.is_file());
    // 17.png is not in the gallery: only its name is known.
    let other = heard.judged[1].matches[0];
    assert_eq!(outline.gallery[other.gallery as usize].path, Path::new("17.png"));
    // A gallery opened afterwards joins the table.
    let (_, heard) = hear(&handle, Job::Open(study.join("gallery")), &mut |_| {});
    assert_eq!(heard.judged.len(), 2);
}

#[test]
fn labels_find_their_pictures_by_name_or_number() {
    let folder = TempDir::new().unwrap();
    let salt = salt();
    let study = study(&folder.path().join("study"), salt, 6);
    let (pictures, mattes) = generated(folder.path(), salt);
    let handle = engine(&folder.path().join("run"));
    open(&handle, &study);
    hear(&handle, Job::Import(import_job(&pictures, &mattes)), &mut |_| {});
    let labels = folder.path().join("labels.csv");
    fs::write(
        &labels,
        "image,class,foreground,background\nsomewhere/img_0000_00.jpg,VM,,\nimg_0000_01.png,,yes,no\n\
         img_0001_00.png,TM,,\nother.png,NM,,\nimg_0002_07.png,,maybe,0\n",
    )
    .unwrap();
    let (ending, heard) = hear(&handle, Job::Open(labels), &mut |_| {});
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let labels = heard.labels.unwrap();
    assert_eq!(labels.len(), 2);
    let of = |prompt, seed| labels[&GenerationKey { prompt, seed }];
    assert_eq!(
        (of(0, 0).foreground, of(0, 0).background),
        (Some(true), Some(true))
    );
    assert_eq!(
        (of(0, 1).foreground, of(0, 1).background),
        (Some(true), Some(false))
    );
    let told: String = heard.notices.iter().map(Problem::to_string).collect();
    for part in [
        "line 4: column 2: “TM”",
        "line 5: other.png",
        "line 6: column 3: “maybe”",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn a_folder_of_generated_names_is_asked_about_and_opens_as_a_gallery_when_told_so() {
    let folder = TempDir::new().unwrap();
    let (pictures, _) = generated(folder.path(), salt());
    let handle = engine(&folder.path().join("run"));
    let (ending, heard) = hear(&handle, Job::Open(pictures.clone()), &mut |_| {});
    assert!(matches!(ending, Ending::Finished) && heard.surveyed && heard.outline.is_none());
    let (_, heard) = hear(&handle, Job::OpenGallery(pictures), &mut |_| {});
    assert_eq!(heard.outline.unwrap().gallery.len(), 5);
}
