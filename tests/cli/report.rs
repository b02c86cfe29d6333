//! Reports: whole, the same again, and safe whatever a prompt says.

use super::{path, pentimento, text};
use crate::common::demo;
use image::{
    AnimationDecoder, GrayImage, Luma, Rgb, RgbImage,
    codecs::{gif::GifDecoder, webp::WebPDecoder},
};
use parquet::file::reader::{FileReader, SerializedFileReader};
use pentimento::{
    store::{Places, Record, RecordMatch, Run, RunParameters, read_scores},
    study::{GenerationKey, RegionScores, Sampling},
};
use std::{fs, path::Path};

const HOSTILE: &str = "</h3><script>alert('x')</script> & \"quotes\" <img src=x onerror=alert(1)>";

/// A run of two prompts and two seeds whose scores are `shift` lower than they could be.
fn make_run(folder: &Path, shift: f32) {
    let parameters = RunParameters {
        study: "Demo <study>".into(),
        program: RunParameters::this_program(),
        model: Some("a".repeat(64)),
        sampling: Sampling {
            steps: 3,
            width: 64,
            height: 64,
            ..Sampling::default()
        },
        places: Places {
            study: Some(demo()),
            gallery: Some(demo().join("gallery")),
        },
        ..RunParameters::default()
    };
    let mut run = Run::create(folder, &parameters).unwrap();
    for (prompt, seed) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let key = GenerationKey { prompt, seed };
        let words = if prompt == 0 { HOSTILE } else { "a plain prompt" };
        let image = RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8 * 4, y as u8 * 4, seed as u8 * 99]));
        let matte = GrayImage::from_fn(64, 64, |x, _| Luma([if x > 31 { 255 } else { 0 }]));
        let image = run.write_image(&key, words, &image).unwrap();
        let matte = run.write_matte(&key, &matte).unwrap();
        let both = |f: f32, b: f32| RegionScores::new(f - shift, b - shift);
        let scores = if prompt == 0 {
            both(0.95, 0.9)
        } else {
            both(0.9, 0.3)
        };
        let found = |name: &str, scores| RecordMatch {
            name: name.into(),
            gallery: 0,
            scores,
        };
        let record = Record {
            cluster: None,
            key,
            prompt: words.into(),
            image: image.relative,
            sha256: image.sha256,
            matte: Some(matte.relative),
            confidence: Some(0.9),
            matches: vec![
                found("bm-brewery-03.jpg", scores),
                found("<b>.png", both(0.5, 0.5)),
            ],
            noise_norm: vec![3.0, 2.0, f32::NAN],
            embedding: None,
            measures: None,
            signals: None,
        };
        run.append(record, 1.0).unwrap();
    }
}

#[test]
fn a_report_says_everything_and_loads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("original"), folder.path().join("mitigated"));
    make_run(&one, 0.0);
    make_run(&two, 0.2);
    let report = |name: &str| {
        let out = folder.path().join(name);
        let tables = ["csv", "json", "parquet"].map(|e| out.with_extension(e));
        let mut args = vec!["report", path(&one)];
        if name.contains("both") {
            args.push(path(&two));
        } else {
            args.extend(["--csv", path(&tables[0])]);
        }
        args.extend(["--json", path(&tables[1]), "--parquet", path(&tables[2])]);
        args.extend(["--out", path(&out), "--quiet"]);
        let ended = pentimento(folder.path(), &args);
        assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
        assert!(text(&ended.stdout).contains(path(&out)));
        let bytes = |p: &Path| fs::read(p).unwrap_or_default();
        (fs::read_to_string(&out).unwrap(), tables.map(|t| bytes(&t)))
    };
    let first = report("a.html");
    assert_eq!(report("b.html"), first, "the same run gives the same bytes");
    let (page, [csv, json, parquet]) = first;

    // The prompt is text, the only scripts are ours, and nothing is fetched.
    assert!(!page.contains("<script>alert") && !page.contains("<img src=x") && !page.contains("<b>.png"));
    assert!(page.contains("&lt;script&gt;alert('x')&lt;/script&gt; &amp; &quot;quotes&quot;"));
    assert!(page.contains("Demo &lt;study&gt;"));
    assert_eq!(page.matches("<script").count(), 1);
    for attribute in ["src=\"", "href=\""] {
        for after in page.split(attribute).skip(1) {
            assert!(
                after.starts_with("data:") || after.starts_with('#'),
                "{}",
                &after[..40]
            );
        }
    }
    assert!(page.contains("default-src 'none'") && !page.contains("@import") && !page.contains("url("));

    for want in [
        "id=\"summary\"",
        "id=\"prompts\"",
        "id=\"parameters\"",
        "id=\"limits\"",
        "id=\"clusters\"",
        "<svg",
        "SHA-256",
        &"a".repeat(64),
        "bm-brewery-03.jpg",
        "alt=\"heat map\"",
        "pentimento scan",
        "--seeds 0..2 --steps 3",
        "“corrected”",
        "95 % interval",
    ] {
        assert!(page.contains(want), "{want}");
    }
    assert!(!page.contains("id=\"transitions\""));

    let (rows, notices) = read_scores(&put(folder.path(), "again.csv", &csv)).unwrap();
    assert!(notices.is_empty());
    assert_eq!(rows.len(), 8);
    assert_eq!(rows[1].generated, "img_0000_00.png");
    assert!((rows[1].average.unwrap() - 0.925).abs() < 1e-6, "{:?}", rows[1]);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["runs"][0]["prompts"][0]["text"], HOSTILE);
    assert_eq!(json["runs"][0]["summary"]["shares"][0]["count"], 2);
    assert_eq!(
        json["runs"][0]["prompts"][0]["pictures"][0]["noise_norm_mean"],
        2.5
    );
    let table = put(folder.path(), "again.parquet", &parquet);
    let reader = SerializedFileReader::new(fs::File::open(table).unwrap()).unwrap();
    let rows: Vec<String> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().to_string())
        .collect();
    assert_eq!(rows.len(), 4);
    assert!(
        rows[2].contains("a plain prompt") && rows[2].contains("FM"),
        "{}",
        rows[2]
    );

    // With a second run: what became of each picture.
    let (page, _) = report("both.html");
    assert!(
        page.contains("id=\"transitions\"") && page.contains("Mean change of the foreground score -0.200")
    );
    assert!(page.contains("after: mitigated") && page.contains("before: original"));
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let file = folder.join(name);
    fs::write(&file, bytes).unwrap();
    file
}

#[test]
fn a_reveal_goes_onto_a_slide() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    make_run(&run, 0.0);
    let picture = |name: &str, mode: &str, out: &str| {
        let out = folder.path().join(out);
        let args = ["picture", path(&run), name, "--mode", mode, "--out", path(&out)];
        let ended = pentimento(folder.path(), &args);
        (
            ended.status.code(),
            text(&ended.stderr),
            fs::read(out).unwrap_or_default(),
        )
    };
    let (code, said, gif) = picture("img_0000_01", "reveal", "a.gif");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(picture("img_0000_01", "reveal", "b.gif").2, gif);
    let frames = GifDecoder::new(std::io::Cursor::new(&gif)).unwrap().into_frames();
    let frames = frames.collect_frames().unwrap();
    assert_eq!(frames.len(), 24);
    assert_eq!(frames[0].buffer().dimensions(), (64, 64));
    assert_ne!(frames[0].buffer(), frames[12].buffer());

    let (code, said, webp) = picture("img_0000_01", "reveal", "a.webp");
    assert_eq!(code, Some(0), "{said}");
    let decoder = WebPDecoder::new(std::io::Cursor::new(&webp)).unwrap();
    let without_loss = decoder.into_frames().collect_frames().unwrap();
    assert_eq!(without_loss.len(), 24);
    for (frame, gif) in without_loss.iter().zip(&frames) {
        assert_eq!(frame.delay(), gif.delay());
    }
    let (_, _, webp) = picture("img_0000_01", "heat", "b.webp");
    assert!(
        !WebPDecoder::new(std::io::Cursor::new(&webp))
            .unwrap()
            .has_animation()
    );

    let (code, said, png) = picture("img_0000_01.png", "heat", "a.png");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(image::load_from_memory(&png).unwrap().width(), 64);
    let refused = |name: &str, mode: &str, out: &str, code: i32, want: &str| {
        let (ended, said, bytes) = picture(name, mode, out);
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains(want) && bytes.is_empty(), "{said}");
    };
    refused("img_0009_00", "heat", "c.png", 1, "no such picture");
    refused("img_0000_00", "heat", "c.gif", 1, "Only a Reveal moves");
    refused("img_0000_00", "heat", "c.bmp", 1, ".webp");
    refused("img_0000_00", "glow", "c.png", 2, "known: plain, heat");
}
