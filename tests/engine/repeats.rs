//! Pictures of a prompt that repeat each other, found among all that are shown.

use super::{
    common::{Ending, engine, follow},
    open,
};
use image::{GrayImage, Luma, Rgb, RgbImage};
use pentimento::{
    engine::{Event, ImportJob, ImportPrompts, Job},
    memorization::WITHIN,
};
use std::fs;

#[test]
fn the_largest_group_of_each_prompt_is_told_and_what_cannot_be_read_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("study");
    let pictures = folder.path().join("pictures");
    for part in [&study.join("gallery"), &study.join("mattes"), &pictures] {
        fs::create_dir_all(part).unwrap();
    }
    let scene =
        |k: u32, tint: u8| RgbImage::from_fn(64, 64, |x, y| Rgb([(x * k) as u8, (y * 3) as u8, tint]));
    let matte = GrayImage::from_fn(64, 64, |x, _| Luma([if x < 30 { 255 } else { 0 }]));
    for i in 0..3 {
        scene(3 + 4 * i, 0)
            .save(study.join(format!("gallery/{i}.png")))
            .unwrap();
        matte.save(study.join(format!("mattes/{i}.png"))).unwrap();
    }
    fs::write(
        study.join("study.toml"),
        "format = 1\n[gallery]\npath = \"gallery\"\nmattes = \"mattes\"\n",
    )
    .unwrap();
    let handle = engine(&folder.path().join("run"));
    let (ending, ..) = open(&handle, &study);
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let ending = follow(&handle, Job::Repeats(WITHIN), &mut |_| {});
    assert!(
        matches!(&ending, Ending::Failed(p) if p.headline.starts_with("No prompt has two pictures")),
        "{ending:?}"
    );

    let drawn = [
        (0, 0, 3, 0),
        (0, 1, 17, 0),
        (0, 2, 3, 20),
        (0, 3, 3, 9),
        (1, 0, 3, 0),
        (1, 1, 17, 0),
    ];
    for (prompt, seed, k, tint) in drawn {
        let name = format!("img_{prompt:04}_{seed:02}.png");
        scene(k, tint).save(pictures.join(&name)).unwrap();
        matte.save(folder.path().join(&name)).unwrap();
    }
    let mut judged = Vec::new();
    let import = ImportJob {
        folder: pictures,
        prompts: ImportPrompts::Unknown,
        mattes: Some(folder.path().to_owned()),
        ..ImportJob::default()
    };
    let ending = follow(&handle, Job::Import(import), &mut |event| {
        if let Event::Judged(g) = event {
            judged.push(g.clone());
        }
    });
    assert!(
        matches!(ending, Ending::Finished) && judged.len() == 6,
        "{ending:?}"
    );
    let find = |within: f32| {
        let (mut found, mut notices) = (None, 0);
        let ending = follow(&handle, Job::Repeats(within), &mut |event| match event {
            Event::Repeats(repeats) => found = Some(repeats.clone()),
            Event::Notice(problem) if problem.headline.contains("could not be compared") => notices += 1,
            _ => {}
        });
        assert!(matches!(ending, Ending::Finished), "{ending:?}");
        (found.unwrap(), notices)
    };
    let (found, notices) = find(WITHIN);
    let seeds = |i: usize| (found.prompts[i].seeds.clone(), found.prompts[i].samples);
    assert_eq!((seeds(0), notices), ((vec![0, 2, 3], 4), 0));
    assert_eq!((seeds(1).0.len(), seeds(1).1), (1, 2));
    let one = judged.iter().find(|g| g.key.seed == 2).unwrap();
    assert_eq!(found.of(one), Some(&found.prompts[0]));
    assert!(
        found.prompts[0]
            .words(WITHIN)
            .starts_with("3 of 4 pictures repeat each other")
    );

    fs::write(&one.image, b"no picture").unwrap();
    let (found, notices) = find(WITHIN);
    assert_eq!((found.prompts[0].seeds.clone(), notices), (vec![0, 3], 1));
}
