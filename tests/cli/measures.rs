//! Other measures as further columns.

use super::{path, pentimento, text};
use image::{GrayImage, Luma, Rgb, RgbImage};
use std::fs;

#[test]
fn score_writes_other_measures_beside_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let [generated, gallery, masks, plain, out] =
        ["generated", "gallery", "masks", "plain.csv", "scores.csv"].map(|n| folder.path().join(n));
    for d in [&generated, &gallery, &masks] {
        fs::create_dir(d).unwrap();
    }
    let picture = |k: u32| {
        RgbImage::from_fn(96, 96, |x, y| {
            Rgb([(x * k) as u8, (y * 3 + k) as u8, (x * y / k) as u8])
        })
    };
    let matte = GrayImage::from_fn(96, 96, |x, _| Luma([255 * u8::from(x < 40)]));
    for (i, k) in [2, 5, 9].into_iter().enumerate() {
        picture(k).save(gallery.join(format!("{i}.png"))).unwrap();
        matte.save(masks.join(format!("{i}.png"))).unwrap();
    }
    picture(5).save(generated.join("img_0000_00.png")).unwrap();
    matte.save(masks.join("img_0000_00.png")).unwrap();
    let run = |out: &std::path::Path, more: &[&str]| {
        let mut arguments = vec![
            "score",
            "--generated",
            path(&generated),
            "--gallery",
            path(&gallery),
        ];
        arguments.extend(["--masks-generated", path(&masks), "--masks-gallery", path(&masks)]);
        arguments.extend(["--out", path(out)]);
        arguments.extend(more);
        let run = pentimento(folder.path(), &arguments);
        assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
        fs::read_to_string(out).unwrap()
    };
    let (plain, csv) = (run(&plain, &[]), run(&out, &["--measures"]));
    assert!(
        csv.lines()
            .next()
            .unwrap()
            .ends_with("Average Scores,SSIM,Masked SSIM,Tiled L2"),
        "{csv}"
    );
    // The columns of the verdict and the order of the rows are as without.
    for (a, b) in plain.lines().zip(csv.lines()) {
        assert!(b.starts_with(a), "{a} | {b}");
    }
    let cells =
        |line: &str| -> Vec<f32> { line.rsplitn(4, ',').take(3).map(|c| c.parse().unwrap()).collect() };
    let rows: Vec<_> = csv.lines().skip(1).collect();
    assert_eq!(rows.len(), 3);
    let best = cells(rows[2]);
    assert!(
        rows[2].starts_with("1.png,") && best[0] == 0.0 && best[1] > 0.9999 && best[2] > 0.9999,
        "{best:?}"
    );
    let worst = cells(rows[0]);
    assert!(worst[0] > 0.1 && worst[2] < 0.9, "{worst:?}");
}

#[test]
fn score_counts_pictures_of_a_prompt_that_repeat_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let [generated, gallery, masks, out] =
        ["generated", "gallery", "masks", "scores.csv"].map(|n| folder.path().join(n));
    for d in [&generated, &gallery, &masks] {
        fs::create_dir(d).unwrap();
    }
    let picture =
        |k: u32, shift: u8| RgbImage::from_fn(64, 64, |x, y| Rgb([(x * k) as u8, (y * 3) as u8, shift]));
    picture(3, 0).save(gallery.join("0.png")).unwrap();
    let matte = GrayImage::from_fn(64, 64, |x, _| Luma([255 * u8::from(x < 30)]));
    // Two seeds of the first prompt are alike up to a tint, the third is another picture; the second prompt has one.
    let pictures = [
        ("img_0000_00", 3, 0),
        ("img_0000_01", 3, 20),
        ("img_0000_02", 11, 0),
        ("img_0001_00", 3, 0),
    ];
    matte.save(masks.join("0.png")).unwrap();
    for (name, k, shift) in pictures {
        picture(k, shift)
            .save(generated.join(format!("{name}.png")))
            .unwrap();
        matte.save(masks.join(format!("{name}.png"))).unwrap();
    }
    let run = |more: &[&str]| {
        let mut arguments = vec![
            "score",
            "--generated",
            path(&generated),
            "--gallery",
            path(&gallery),
        ];
        arguments.extend(["--masks-generated", path(&masks), "--masks-gallery", path(&masks)]);
        arguments.extend(["--out", path(&out), "--measures"]);
        arguments.extend(more);
        let run = pentimento(folder.path(), &arguments);
        assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
        let csv = fs::read_to_string(&out).unwrap();
        assert!(
            csv.lines()
                .next()
                .unwrap()
                .ends_with(",Alike pictures of the prompt"),
            "{csv}"
        );
        pictures.map(|(name, ..)| {
            let line = csv.lines().find(|l| l.contains(name)).unwrap();
            line.rsplit(',').next().unwrap().parse::<f32>().ok()
        })
    };
    assert_eq!(run(&[]), [Some(2.0), Some(2.0), None, None]);
    assert_eq!(run(&["--alike-within", "0.01"]), [None; 4]);
}
