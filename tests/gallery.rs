//! Training images from folders and files of any quality.

#![allow(
    clippy::unwrap_used,
    reason = "the lint spares test functions, but not their helpers"
)]

#[path = "gallery/bad_input.rs"]
mod bad_input;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use pentimento::gallery::{
    self, DecodeError, cache_dir, content_hash, decode_matte, decode_rgb, fingerprint, folder_hash, scan,
    thumbnail,
};
use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::LazyLock,
};
use tempfile::TempDir;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/files");

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 37) as u8, (y * 91) as u8, ((x + y) * 13) as u8])
    })
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn put(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_content_decides_the_format() {
    let folder = TempDir::new().unwrap();
    let image = picture(9, 5);
    let png = encoded(&image.clone().into(), ImageFormat::Png);
    assert_eq!(decode_rgb(&put(&folder, "a.jpg", png)).unwrap(), image);
    for format in [ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let bytes = encoded(&image.clone().into(), format);
        assert_eq!(
            decode_rgb(&put(&folder, "b.png", bytes)).unwrap(),
            image,
            "{format:?}"
        );
    }
}

#[test]
fn alpha_is_dropped_without_compositing() {
    let folder = TempDir::new().unwrap();
    let image = RgbaImage::from_fn(2, 1, |x, _| Rgba([200, 100, 50, if x == 0 { 0 } else { 128 }]));
    let path = put(&folder, "a.png", encoded(&image.into(), ImageFormat::Png));
    assert!(decode_rgb(&path).unwrap().pixels().all(|p| p.0 == [200, 100, 50]));
    // As a matte, the same file gives its alpha.
    assert_eq!(decode_matte(&path).unwrap().into_raw(), [0, 128]);
    // Palette with transparency, as Pillow's convert("RGB") reads it.
    let palette = decode_rgb(&Path::new(FIXTURES).join("palette.png")).unwrap();
    assert_eq!(palette.into_raw(), [0, 255, 0, 255, 0, 0]);
}

#[test]
fn colour_mattes_weigh_like_pillow() {
    let folder = TempDir::new().unwrap();
    let image = RgbImage::from_raw(4, 1, vec![255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255]).unwrap();
    let path = put(&folder, "a.png", encoded(&image.into(), ImageFormat::Png));
    assert_eq!(decode_matte(&path).unwrap().into_raw(), [76, 150, 29, 255]);
}

#[test]
fn sixteen_bits_and_cmyk_are_read() {
    let grey = decode_rgb(&Path::new(FIXTURES).join("grey16.png")).unwrap();
    let values: Vec<u8> = grey.pixels().map(|p| p.0[0]).collect();
    assert_eq!(values, [0, 0, 128, 255]);
    let cmyk = decode_rgb(&Path::new(FIXTURES).join("cmyk.jpg")).unwrap();
    assert_eq!(cmyk.dimensions(), (16, 8));
    let near = |at: (u32, u32), want: [u8; 3]| {
        let got = cmyk.get_pixel(at.0, at.1).0;
        assert!(
            got.iter().zip(want).all(|(&a, b)| a.abs_diff(b) <= 6),
            "{got:?} for {want:?}"
        );
    };
    near((1, 4), [255, 0, 0]);
    near((14, 4), [0, 0, 255]);
}

/// A JPEG with an EXIF block that asks for a quarter turn clockwise.
fn turned_jpeg(image: &RgbImage) -> Vec<u8> {
    let jpeg = encoded(&image.clone().into(), ImageFormat::Jpeg);
    let mut tiff = b"MM\0\x2a\0\0\0\x08\0\x01".to_vec();
    tiff.extend(b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0");
    let mut app1 = b"\xFF\xE1".to_vec();
    app1.extend(u16::to_be_bytes((2 + 6 + tiff.len()) as u16));
    app1.extend(b"Exif\0\0");
    app1.extend(tiff);
    [&jpeg[..2], &app1, &jpeg[2..]].concat()
}

#[test]
fn orientation_is_applied_once() {
    let folder = TempDir::new().unwrap();
    // Left half white, right half black: turned clockwise, the top is white.
    let image = RgbImage::from_fn(32, 16, |x, _| Rgb([if x < 16 { 255 } else { 0 }; 3]));
    let turned = decode_rgb(&put(&folder, "a.jpg", turned_jpeg(&image))).unwrap();
    assert_eq!(turned.dimensions(), (16, 32));
    assert!(turned.get_pixel(8, 2).0[0] > 240 && turned.get_pixel(8, 29).0[0] < 15);
    let matte = decode_matte(&put(&folder, "b.jpg", turned_jpeg(&image))).unwrap();
    assert_eq!(matte.dimensions(), (16, 32));
}

#[test]
fn an_animation_gives_its_first_frame() {
    let folder = TempDir::new().unwrap();
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for colour in [[255, 0, 0, 255], [0, 0, 255, 255]] {
        encoder
            .encode_frame(image::Frame::new(RgbaImage::from_pixel(4, 4, Rgba(colour))))
            .unwrap();
    }
    drop(encoder);
    let first = decode_rgb(&put(&folder, "a.gif", bytes)).unwrap();
    assert_eq!(first.get_pixel(1, 1).0, [255, 0, 0]);
}

fn png_that_declares(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = encoded(&picture(1, 1).into(), ImageFormat::Png);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    // The header's checksum.
    let mut crc = !0_u32;
    for byte in &bytes[12..29] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
    }
    bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    bytes
}

#[test]
fn bad_files_are_named_with_their_reason() {
    let folder = TempDir::new().unwrap();
    let says = |name: &str, bytes: &[u8], want: &str| {
        let path = put(&folder, name, bytes);
        let message = decode_rgb(&path).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains(want), "{message}");
    };
    says("empty.png", b"", "empty");
    says("text.png", b"not an image at all, just words", "known format");
    says("wide.png", &png_that_declares(20_001, 1), "20001 × 1");
    says("large.png", &png_that_declares(16_384, 8_192), "16384 × 8192");
    says(
        "monster.png",
        &png_that_declares(0x7FFF_FFFF, 0x7FFF_FFFF),
        "monster.png",
    );
    says("none.png", &png_that_declares(0, 5), "none.png");
    let png = encoded(&picture(64, 64).into(), ImageFormat::Png);
    says("cut.png", &png[..png.len() / 2], "cut.png");
    let mut gif = b"GIF89a".to_vec();
    gif.extend([0xFF; 200]);
    says("large.gif", &gif, "large.gif");
    let mut bmp = encoded(&picture(2, 2).into(), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0x7F]);
    says("large.bmp", &bmp, "large.bmp");

    assert!(matches!(
        decode_rgb(folder.path()),
        Err(DecodeError::NotAFile { .. })
    ));
    let gone = folder.path().join("gone.png");
    assert!(matches!(decode_rgb(&gone), Err(DecodeError::Unreadable { .. })));
    let big = folder.path().join("big.png");
    fs::File::create(&big)
        .unwrap()
        .set_len(gallery::MAX_FILE_BYTES + 1)
        .unwrap();
    assert!(matches!(decode_rgb(&big), Err(DecodeError::FileTooLarge { .. })));
}

#[cfg(unix)]
#[test]
fn a_named_pipe_does_not_block() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe.png");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if made.is_ok_and(|s| s.success()) {
        assert!(matches!(decode_rgb(&pipe), Err(DecodeError::NotAFile { .. })));
        assert!(fingerprint_of(&pipe).is_err());
    }
}

#[test]
fn damaged_files_never_bring_the_program_down() {
    let folder = TempDir::new().unwrap();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % below
    };
    let image: DynamicImage = picture(24, 17).into();
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::WebP,
    ];
    for format in formats {
        let whole = encoded(&image, format);
        for round in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..=round % 5 {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            if round % 7 == 0 {
                bytes.truncate(random(bytes.len()));
            }
            let path = put(&folder, "x", &bytes);
            if let Err(e) = decode_rgb(&path) {
                assert!(e.to_string().starts_with(&path.display().to_string()));
            }
        }
    }
}

#[test]
fn thumbnails_keep_the_shape() {
    assert_eq!(thumbnail(&picture(512, 256), 128).dimensions(), (128, 64));
    assert_eq!(thumbnail(&picture(3000, 2), 128).dimensions(), (128, 1));
    assert_eq!(thumbnail(&picture(40, 90), 128).dimensions(), (40, 90));
    assert_eq!(thumbnail(&picture(40, 90), 0).dimensions(), (1, 1));
    let flat = RgbImage::from_pixel(500, 300, Rgb([10, 200, 90]));
    assert!(thumbnail(&flat, 64).pixels().all(|p| p.0 == [10, 200, 90]));
}

fn names(folder: &Path) -> Vec<String> {
    scan(folder, None, None)
        .unwrap()
        .images
        .iter()
        .map(pentimento::study::GalleryImage::name)
        .collect()
}

#[test]
fn a_folder_is_listed_in_natural_order() {
    let folder = TempDir::new().unwrap();
    for name in [
        "10.jpg",
        "2.JPG",
        "1.png",
        ".hidden.png",
        "notes.md",
        "weights.safetensors",
        "b.webp",
    ] {
        put(&folder, name, "x");
    }
    fs::create_dir(folder.path().join("sub.png")).unwrap();
    assert_eq!(names(folder.path()), ["1.png", "2.JPG", "10.jpg", "b.webp"]);
}

#[test]
fn a_folder_without_images_says_what_it_holds() {
    let folder = TempDir::new().unwrap();
    let told = scan(folder.path(), None, None).unwrap_err().to_string();
    assert!(told.contains("empty"), "{told}");
    put(&folder, "a.md", "x");
    fs::create_dir(folder.path().join("train")).unwrap();
    let told = scan(folder.path(), None, None).unwrap_err().to_string();
    assert!(
        told.contains("a.md") && told.contains("train") && told.contains("sub-folders"),
        "{told}"
    );
    let told = scan(&folder.path().join("gone"), None, None)
        .unwrap_err()
        .to_string();
    assert!(told.contains("not there") && told.contains("gone"), "{told}");
}

fn captions(folder: &TempDir, file: Option<&str>) -> (Vec<Option<String>>, String) {
    let file = file.map(|f| folder.path().join(f));
    let found = scan(folder.path(), file.as_deref(), None).unwrap();
    let notices = found
        .notices
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    (found.images.into_iter().map(|i| i.caption).collect(), notices)
}

#[test]
fn captions_come_from_tables_of_any_dialect() {
    let folder = TempDir::new().unwrap();
    for name in ["1.png", "2.png", "3.png"] {
        put(&folder, name, "x");
    }
    let some = |texts: [&str; 3]| texts.map(|t| (!t.is_empty()).then(|| t.to_owned())).to_vec();

    put(
        &folder,
        "a.csv",
        "\u{feff}File_Name,Caption,group\r\n1.png,\"a \"\"red\"\" fox, running\",VM\r\n2.png,b;c,FM\r\n",
    );
    assert_eq!(
        captions(&folder, Some("a.csv")),
        (some(["a \"red\" fox, running", "b;c", ""]), String::new())
    );

    put(
        &folder,
        "b.csv",
        "path;TEXT\nsome/where/1.png;one\nC:\\x\\2.png;two\n3;three\n",
    );
    assert_eq!(
        captions(&folder, Some("b.csv")),
        (some(["one", "two", "three"]), String::new())
    );

    put(
        &folder,
        "c.jsonl",
        "{\"file_name\":\"1.png\",\"text\":\"one\"}\n\n{broken\n[1]\n{\"text\":\"nameless\"}\n{\"file_name\":\"3.png\",\"caption\":\"three\"}\n",
    );
    let (texts, notices) = captions(&folder, Some("c.jsonl"));
    assert_eq!(texts, some(["one", "", "three"]));
    for line in ["line 3", "line 4", "line 5", "3 lines", "c.jsonl"] {
        assert!(notices.contains(line), "{notices}");
    }

    // Found by itself, with a sidecar for what it does not mention.
    put(
        &folder,
        "metadata.jsonl",
        "{\"file_name\":\"2.png\",\"text\":\"from metadata\"}\n",
    );
    put(&folder, "2.txt", "beside");
    put(&folder, "3.txt", "  beside \n");
    assert_eq!(captions(&folder, None).0, some(["", "from metadata", "beside"]));
}

#[test]
fn useless_caption_files_are_told_and_not_fatal() {
    let folder = TempDir::new().unwrap();
    put(&folder, "1.png", "x");
    let notice = |name: &str, bytes: &[u8]| {
        put(&folder, name, bytes);
        let (texts, notices) = captions(&folder, Some(name));
        assert_eq!(texts, [None]);
        notices
    };
    assert!(notice("a.csv", b"x,y\n1,2\n").contains("columns found: x, y"));
    assert!(notice("b.csv", b"caption\nsomething\n").contains("file_name"));
    assert!(notice("c.csv", b"PK\0\0binary").contains("not text"));
    assert!(
        notice("d.csv", b"file_name,caption\nother.png,hello\n").contains("none of the gallery's images")
    );
    assert!(captions(&folder, Some("gone.csv")).1.contains("not there"));
    let mut flood = b"file_name,caption\n".to_vec();
    for _ in 0..5000 {
        flood.extend(b",nobody\n");
    }
    let told = notice("e.csv", &flood);
    assert!(
        told.contains("5000 lines") && told.contains("and 4988 more") && told.lines().count() < 30,
        "{told}"
    );
    put(&folder, "latin.csv", b"file_name,caption\n1.png,caf\xE9\n");
    let (texts, told) = captions(&folder, Some("latin.csv"));
    assert_eq!(texts, [Some("caf\u{FFFD}".to_owned())]);
    assert!(told.contains("line 2: is not UTF-8"), "{told}");
}

#[test]
fn mattes_are_found_by_stem() {
    let folder = TempDir::new().unwrap();
    put(&folder, "1.jpg", "x");
    put(&folder, "2.jpg", "x");
    let mattes = TempDir::new().unwrap();
    put(&mattes, "1.jpg", "x");
    let best = put(&mattes, "1.png", "x");
    let found = scan(folder.path(), None, Some(mattes.path())).unwrap();
    assert_eq!(found.images[0].matte, Some(best));
    assert_eq!(found.images[1].matte, None);
    assert!(
        found.notices[0].to_string().contains("1 of 2"),
        "{}",
        found.notices[0]
    );
    let found = scan(folder.path(), None, Some(Path::new("/nowhere/mattes"))).unwrap();
    assert!(found.notices[0].to_string().contains("/nowhere/mattes"));
}

/// All tests of this file share one cache folder of their own.
static CACHE: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new().unwrap();
    // SAFETY: the environment is only read through the standard library, which locks it.
    unsafe { std::env::set_var("PENTIMENTO_CACHE", folder.path().join("made/here")) };
    folder
});

fn fingerprint_of(path: &Path) -> std::io::Result<String> {
    LazyLock::force(&CACHE);
    fingerprint(&[pentimento::study::GalleryImage {
        path: path.to_owned(),
        matte: None,
        caption: None,
    }])
}

#[test]
fn fingerprints_follow_names_contents_and_mattes() {
    LazyLock::force(&CACHE);
    assert!(cache_dir().unwrap().starts_with(CACHE.path()));
    let folder = TempDir::new().unwrap();
    put(&folder, "1.png", "one");
    put(&folder, "2.png", "two");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(1000);
    for name in ["1.png", "2.png"] {
        fs::File::options()
            .write(true)
            .open(folder.path().join(name))
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    let mut images = scan(folder.path(), None, None).unwrap().images;
    let first = fingerprint(&images).unwrap();
    assert_eq!(first.len(), 64);
    // From the remembered hashes, and without them.
    assert!(cache_dir().unwrap().join("content-hashes-2.tsv").is_file());
    assert_eq!(fingerprint(&images).unwrap(), first);
    images[0].caption = Some("no matter".into());
    assert_eq!(fingerprint(&images).unwrap(), first);
    images.swap(0, 1);
    assert_ne!(fingerprint(&images).unwrap(), first);
    images.swap(0, 1);
    images[0].matte = Some(images[1].path.clone());
    assert_ne!(fingerprint(&images).unwrap(), first);
    images[0].matte = None;
    // Same size, other content: the time tells.
    put(&folder, "2.png", "TWO");
    assert_ne!(fingerprint(&images).unwrap(), first);
    put(&folder, "2.png", "two");
    assert_eq!(fingerprint(&images).unwrap(), first);
    // One unreadable image does not stop the others; all of them do.
    images[1].path = folder.path().join("gone.png");
    assert_ne!(fingerprint(&images).unwrap(), first);
    assert!(
        fingerprint(&images[1..])
            .unwrap_err()
            .to_string()
            .contains("gone.png")
    );
}

#[test]
fn hashes_are_those_of_sha256() {
    LazyLock::force(&CACHE);
    let folder = TempDir::new().unwrap();
    let path = put(&folder, "a", "hello world");
    let known = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
    assert_eq!(content_hash(&path).unwrap(), known);
    let hash = folder_hash(folder.path()).unwrap();
    fs::create_dir(folder.path().join("unet")).unwrap();
    assert_eq!(folder_hash(folder.path()).unwrap(), hash);
    fs::write(folder.path().join("unet/config.json"), "{}").unwrap();
    assert_ne!(folder_hash(folder.path()).unwrap(), hash);
    assert!(folder_hash(&folder.path().join("gone")).is_err());
}
