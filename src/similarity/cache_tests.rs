//! The index file gives back what was put in, and nothing once it is damaged.

use super::{super::pyramid::SCALES, *};

fn cut(seed: u8) -> Cut {
    let arithmetic = Arithmetic::Corrected;
    let value = |i: usize| (i / 7 % 251) as u8 ^ seed;
    Cut {
        arithmetic,
        extent: Extent::Both,
        planes: (0..bytes_len(arithmetic)).map(value).collect(),
    }
}

fn write(path: &Path) {
    let mut writer = Writer::create(path, "key", Arithmetic::Corrected, 3).unwrap();
    for seed in [1, 2] {
        writer.push(&Row::new(&cut(seed), 0.25).unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn rows_come_back_and_anything_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deeper").join("index");
    write(&path);
    let open = |key, arithmetic| Store::open(&path, key, arithmetic);
    let store = open("key", Arithmetic::Corrected).unwrap();
    assert_eq!((store.count, store.coverages[1]), (2, 0.25));
    let mut buffers = Buffers::default();
    for (i, seed) in [1, 2].into_iter().enumerate() {
        let cut = cut(seed);
        assert_eq!(store.bytes(i, &mut buffers).unwrap(), cut.planes);
        for r in [FOREGROUND, BACKGROUND] {
            let mut planes = Vec::new();
            region(cut.arithmetic, &cut.planes, r, &mut planes);
            let levels = pyramid(&planes);
            for scale in 1..SCALES {
                let found = store.sums(i, r, scale, &mut buffers).unwrap();
                assert!(
                    found == levels[scale - 1],
                    "picture {i}, region {r}, scale {scale}"
                );
            }
        }
    }
    assert_eq!(store.file_bytes(), std::fs::metadata(&path).unwrap().len());
    drop(store);
    assert!(open("other", Arithmetic::Corrected).is_none());
    assert!(open("key", Arithmetic::Reference).is_none());
    let names: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "the temporary file is gone");

    let whole = std::fs::read(&path).unwrap();
    for length in [0, 8, 4095, 4096, 9000, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(open("key", Arithmetic::Corrected).is_none(), "{length} bytes");
    }
    for at in [
        0,
        8,
        12,
        16,
        COUNT_AT,
        COUNT_AT + 8,
        COUNT_AT + 15,
        40,
        PAGE,
        PAGE + 12,
        PAGE + 19,
    ] {
        let mut broken = whole.clone();
        broken[at] ^= 0x80;
        std::fs::write(&path, &broken).unwrap();
        assert!(open("key", Arithmetic::Corrected).is_none(), "byte {at} flipped");
    }
}

#[test]
fn a_file_shortened_while_open_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    write(&path);
    let store = Store::open(&path, "key", Arithmetic::Corrected).unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(PAGE as u64)
        .unwrap();
    let mut buffers = Buffers::default();
    for scale in 1..SCALES {
        assert!(store.sums(1, FOREGROUND, scale, &mut buffers).is_err());
    }
    assert!(store.bytes(0, &mut buffers).is_err());
}

#[test]
fn a_builder_takes_no_more_than_promised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut writer = Writer::create(&path, "key", Arithmetic::Corrected, 1).unwrap();
    let row = Row::new(&cut(1), 0.5).unwrap();
    writer.push(&row).unwrap();
    assert!(matches!(writer.push(&row), Err(SimilarityError::Full(1))));
}
