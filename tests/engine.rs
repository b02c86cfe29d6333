//! The engine as its callers see it: previews, stop, resume, wrong folders, broken parts.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod common;
#[path = "common/pseudo_weights.rs"]
mod pseudo_weights;
#[path = "engine/segmenters.rs"]
mod segmenters;

#[path = "engine/calibration.rs"]
mod calibration;
#[path = "engine/generated_masks.rs"]
mod generated_masks;
#[path = "engine/map.rs"]
mod map;
#[path = "engine/masks.rs"]
mod masks;
#[path = "engine/null_demo.rs"]
mod null_demo;
#[path = "engine/region.rs"]
mod region;
#[path = "engine/repeats.rs"]
mod repeats;
#[path = "engine/signals.rs"]
mod signals;
#[path = "engine/stop.rs"]
mod stop;
#[path = "engine/watch.rs"]
mod watch;

use common::{Ending, demo, engine, follow, follow_id};
use image::{Rgb, RgbImage};
use pentimento::{
    engine::{Event, GenerateJob, Job},
    study::{Generation, Problem, StudyOutline},
};
use std::{path::Path, sync::Arc};

fn open(
    handle: &pentimento::engine::EngineHandle,
    path: &Path,
) -> (Ending, Option<Arc<StudyOutline>>, Vec<Problem>) {
    let (mut outline, mut notices) = (None, Vec::new());
    let ending = follow(handle, Job::Open(path.to_owned()), &mut |event| match event {
        Event::Opened(o) => outline = Some(o.clone()),
        Event::Notice(problem) => notices.push(problem.clone()),
        _ => {}
    });
    (ending, outline, notices)
}

fn job(outline: &StudyOutline, prompts: usize, seeds: Vec<u64>) -> GenerateJob {
    let mut sampling = outline.sampling.clone();
    sampling.steps = 6; // enough to see a picture form
    GenerateJob {
        prompts: outline.prompts[..prompts].to_vec(),
        seeds,
        sampling,
        variant: None,
        redraw: false,
        shard: None,
    }
}

#[test]
fn a_picture_forms_in_previews_and_is_judged_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (first, work) = {
        let handle = engine(folder.path());
        let (_, outline, _) = open(&handle, &demo());
        let work = job(&outline.unwrap(), 1, vec![0, 1]);
        let (mut steps, mut judged) = (Vec::new(), Vec::<Arc<Generation>>::new());
        let ending = follow(&handle, Job::Generate(work.clone()), &mut |event| match event {
            Event::Step(s) => steps.push((s.key.seed, s.step, s.noise_norm.is_some())),
            Event::Judged(g) => judged.push(g.clone()),
            _ => {}
        });
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        let expected: Vec<_> = (0..2)
            .flat_map(|seed| (1..=6).map(move |s| (seed, s, true)))
            .collect();
        assert_eq!(steps, expected);
        assert_eq!(judged.len(), 2);
        for g in &judged {
            assert_eq!(g.matches.len(), 5);
            assert_eq!(g.noise_norm.len(), 6);
            assert!(
                g.matches
                    .windows(2)
                    .all(|m| m[0].scores.average() >= m[1].scores.average())
            );
            assert!(g.image.starts_with(folder.path()) && g.image.is_file());
            assert!(g.matte.as_ref().is_some_and(|m| m.is_file()));
        }
        (judged, work)
    };

    // Another engine on the same run: nothing is drawn again, the results are the same.
    let handle = engine(folder.path());
    open(&handle, &demo());
    let (mut steps, mut judged) = (0, Vec::<Arc<Generation>>::new());
    follow(&handle, Job::Generate(work), &mut |event| match event {
        Event::Step(_) => steps += 1,
        Event::Judged(g) => judged.push(g.clone()),
        _ => {}
    });
    assert_eq!(steps, 0);
    let essence = |list: &[Arc<Generation>]| -> Vec<_> {
        list.iter()
            .map(|g| (g.key, g.matches.clone(), g.noise_norm.clone(), g.image.clone()))
            .collect()
    };
    assert_eq!(essence(&judged), essence(&first));
}

/// What a kill may leave of a group: one picture recorded, one not.
#[test]
fn seeds_drawn_together_resume_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let torn = folder.path().join("torn");
    let mut work = None;
    for run in [&whole, &torn] {
        let handle = engine(run);
        let (_, outline, _) = open(&handle, &demo());
        let mut job = job(&outline.unwrap(), 1, vec![0, 1, 2]);
        job.sampling.at_once = 2;
        let mut steps = Vec::new();
        let ending = follow(&handle, Job::Generate(job.clone()), &mut |event| {
            if let Event::Step(s) = event {
                steps.push((s.step, s.key.seed));
            }
        });
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        let group = |seeds: &'static [u64]| (1..=6).flat_map(move |n| seeds.iter().map(move |&s| (n, s)));
        assert_eq!(steps, group(&[0, 1]).chain(group(&[2])).collect::<Vec<_>>());
        work = Some(job);
    }
    let lines = std::fs::read_to_string(torn.join("generations.jsonl")).unwrap();
    let first = lines.lines().next().unwrap();
    std::fs::write(torn.join("generations.jsonl"), format!("{first}\n")).unwrap();

    let handle = engine(&torn);
    open(&handle, &demo());
    let mut judged = Vec::new();
    let ending = follow(&handle, Job::Generate(work.unwrap()), &mut |event| {
        if let Event::Judged(g) = event {
            judged.push(g.key.seed);
        }
    });
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    assert_eq!(judged, [0, 1, 2]);
    let read = |run: &Path| std::fs::read_to_string(run.join("generations.jsonl")).unwrap();
    assert_eq!(read(&whole), read(&torn));
}

#[test]
fn stop_stops_within_one_denoising_step() {
    let folder = tempfile::tempdir().unwrap();
    let handle = engine(folder.path());
    let (_, outline, _) = open(&handle, &demo());
    let (id, cancel) = handle.submit(Job::Generate(job(&outline.unwrap(), 1, (0..50).collect())));
    let mut steps = 0;
    let ending = follow_id(&handle, id, &mut |event| {
        if let Event::Step(_) = event {
            steps += 1;
            if steps == 2 {
                cancel.cancel();
            }
        }
    });
    assert!(matches!(ending, Ending::Cancelled), "{ending:?}");
    assert!(
        steps <= 3,
        "{steps} steps were taken, the stop was asked for after the second"
    );
}

#[test]
fn a_wrong_folder_gets_a_card_that_names_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let handle = engine(&folder.path().join("run"));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let (ending, outline, _) = open(&handle, &empty);
    let Ending::Failed(problem) = ending else {
        panic!("{ending:?}")
    };
    assert!(outline.is_none());
    let text = problem.to_string();
    for name in ["study.toml", "model_index.json"] {
        assert!(text.contains(name), "{text}");
    }

    let half = folder.path().join("half");
    std::fs::create_dir_all(half.join("unet")).unwrap();
    std::fs::write(
        half.join("model_index.json"),
        "{\"_class_name\": \"StableDiffusionPipeline\"}",
    )
    .unwrap();
    let (ending, _, _) = open(&handle, &half);
    let Ending::Failed(problem) = ending else {
        panic!("{ending:?}")
    };
    let text = problem.to_string();
    for name in [
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "tokenizer",
    ] {
        assert!(text.contains(name), "{name} is not named in: {text}");
    }
}

#[test]
fn loose_parts_make_a_study_and_a_broken_picture_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let gallery = folder.path().join("gallery");
    std::fs::create_dir(&gallery).unwrap();
    for i in 0..6_u8 {
        let picture = RgbImage::from_fn(200, 180, |x, y| {
            Rgb([(x as u8).wrapping_mul(i + 1), y as u8, i * 40])
        });
        picture.save(gallery.join(format!("{i}.png"))).unwrap();
    }
    std::fs::write(gallery.join("3b.jpg"), b"\xff\xd8\xff\xe0 not a picture").unwrap();
    std::fs::write(gallery.join("0.txt"), "a caption of its own").unwrap();
    let prompts = folder.path().join("prompts.txt");
    std::fs::write(&prompts, "a red lighthouse\na blue teapot\n").unwrap();

    let handle = engine(&folder.path().join("run"));
    open(&handle, &gallery);
    open(&handle, &prompts);
    let (ending, outline, notices) = open(&handle, &demo().join("model"));
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let outline = outline.unwrap();
    assert_eq!(outline.gallery.len(), 7);
    assert_eq!(
        outline.gallery[0].caption.as_deref(),
        Some("a caption of its own")
    );
    assert_eq!(outline.prompts.len(), 2);
    assert_eq!((outline.sampling.width, outline.sampling.height), (128, 128));
    assert!(
        notices.iter().any(|n| n.to_string().contains("3b.jpg")),
        "{notices:?}"
    );

    let mut judged = Vec::new();
    let ending = follow(&handle, Job::Generate(job(&outline, 2, vec![3])), &mut |event| {
        if let Event::Judged(g) = event {
            judged.push(g.clone());
        }
    });
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    assert_eq!(judged.len(), 2);
    assert!(
        judged
            .iter()
            .all(|g| g.matches.len() == 5 && g.matches.iter().all(|m| m.gallery != 4))
    );
}

#[test]
fn a_studys_variants_are_read_and_drawn_into_a_run_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    std::fs::create_dir(&study).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let quoted = |path: std::path::PathBuf| format!("{:?}", path.to_str().unwrap());
    let text = format!(
        "name = \"v\"\n[model]\npath = {}\n[prompts]\npath = \"p.txt\"\n[sampling]\nwidth = 64\nheight = 64\n\
         [[variants]]\npath = {}\n[[variants]]\npath = \"absent.toml\"\n",
        quoted(fixtures.join("diffusion/sd1")),
        quoted(fixtures.join("variants/mask.toml")),
    );
    std::fs::write(study.join("study.toml"), text).unwrap();
    std::fs::write(study.join("p.txt"), "a photo of a red house\n").unwrap();

    let draw = |run: &str, variant: bool| {
        let handle = engine(&folder.path().join(run));
        let (_, outline, notices) = open(&handle, &study);
        let outline = outline.unwrap();
        assert!(
            notices.iter().any(|n| n.to_string().contains("absent.toml")),
            "{notices:?}"
        );
        assert_eq!(outline.variants.len(), 1);
        // A variant file that is opened later joins the study and replaces none of another name.
        let mut opened = None;
        follow(
            &handle,
            Job::Open(fixtures.join("variants/neurons.toml")),
            &mut |event| {
                if let Event::Variant(variant) = event {
                    opened = Some(variant.clone());
                }
            },
        );
        assert_eq!(opened.unwrap().name, "neurons");
        let work = GenerateJob {
            variant: variant.then(|| outline.variants[0].clone()),
            ..job(&outline, 1, vec![3])
        };
        let mut drawn = None;
        let ending = follow(&handle, Job::Generate(work.clone()), &mut |event| {
            if let Event::Drawn(g) = event {
                drawn = Some(g.clone());
            }
        });
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        // The same folder does not take pictures of the other kind.
        let other = GenerateJob {
            variant: (!variant).then(|| outline.variants[0].clone()),
            ..work
        };
        let Ending::Failed(problem) = follow(&handle, Job::Generate(other), &mut |_| {}) else {
            panic!("a run must not mix variants")
        };
        assert!(problem.to_string().contains("variant:"), "{problem}");
        drawn.unwrap()
    };
    let (original, edited) = (draw("a", false), draw("b", true));
    assert_eq!(
        (original.variant.as_deref(), edited.variant.as_deref()),
        (None, Some("mask"))
    );
    assert_ne!(
        std::fs::read(&original.image).unwrap(),
        std::fs::read(&edited.image).unwrap()
    );

    // What a variant gave before is told without drawing, a run beside the study under its own name; a variant
    // that is saved can be opened again.
    let handle = engine(&folder.path().join("b"));
    let (_, outline, _) = open(&handle, &study);
    let outline = outline.unwrap();
    let told = |job: Job| {
        let mut told = Vec::new();
        let ending = follow(&handle, job, &mut |event| {
            if let Event::Judged(g) = event {
                told.push((g.key, g.variant.clone()));
            }
        });
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        told
    };
    let earlier = Job::EarlierResults {
        sampling: outline.sampling.clone(),
        variant: Some(outline.variants[0].clone()),
    };
    let key = original.key;
    // Pictures that were never compared leave no record.
    let expected = |name: &str| vec![(key, Some(name.into()))];
    let judged = told(earlier);
    assert!(judged.is_empty() || judged == expected("mask"), "{judged:?}");
    let beside = told(Job::Open(folder.path().join("a")));
    assert!(beside.is_empty() || beside == expected("run a"), "{beside:?}");
    let saved = folder.path().join("saved.toml");
    told(Job::SaveVariant(saved.clone(), outline.variants[0].clone()));
    let again = pentimento::store::read_variant(&saved).unwrap();
    assert_eq!(again.content_hash(), outline.variants[0].content_hash());
}
