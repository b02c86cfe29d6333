//! The reference's table from its segment files (tools/fixtures/reference_procedure.py).

use pentimento::{
    similarity::{IndexBuilder, Prepared, decode_jpeg},
    study::Arithmetic,
};
use std::{fs, path::PathBuf};

#[test]
fn segments_score_as_in_the_references_table() {
    let study = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference");
    let table = fs::read_to_string(study.join("scores.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|l| l.split(',').collect()).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut builder = IndexBuilder::create(&path, "", Arithmetic::Reference, 20).unwrap();
    let mut numbers = Vec::new();
    for number in 0..20 {
        let part = |part: &str| image::open(study.join(format!("memorized_images/{part}/{number}.png")));
        let Ok(foreground) = part("foreground") else {
            continue;
        };
        let background = part("background").unwrap();
        let row = builder.prepare_segments(&foreground.to_rgba8(), &background.to_rgba8());
        builder.push(row.unwrap()).unwrap();
        numbers.push(number);
    }
    let index = builder.finish().unwrap();
    assert_eq!(index.len(), 8);
    for rows in rows.chunk_by(|a, b| a[1] == b[1]) {
        let part = |part: &str| {
            let file = fs::read(study.join(format!("generated_{part}")).join(rows[0][1])).unwrap();
            decode_jpeg(&file, 1 << 20).unwrap()
        };
        let query =
            Prepared::query_segments(part("foreground"), part("background"), Arithmetic::Reference).unwrap();
        let found = index.search(&query, 8, &|| false).unwrap();
        for row in rows {
            let mine = found
                .iter()
                .find(|m| format!("{}.png", numbers[m.gallery as usize]) == row[0])
                .unwrap();
            let ours = [
                mine.scores.background.unwrap(),
                mine.scores.foreground.unwrap(),
                mine.scores.average().unwrap(),
            ];
            for (ours, want) in ours.into_iter().zip(&row[2..]) {
                let want: f32 = want.parse().unwrap();
                assert!((ours - want).abs() < 2e-5, "{row:?}: {ours}");
            }
        }
        let best: f32 = rows[rows.len() - 1][4].parse().unwrap();
        assert!((found[0].scores.average().unwrap() - best).abs() < 2e-5);
    }
}
