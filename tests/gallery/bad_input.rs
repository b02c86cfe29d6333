//! Galleries as they are: sub-folders, files of one name, links in circles, contents exchanged under the cache.

use super::{CACHE, encoded, picture, png_that_declares, put, turned_jpeg};
use image::{DynamicImage, ImageFormat};
use pentimento::{
    gallery::{MAX_DEPTH, decode_rgb, fingerprint, scan, scan_flat},
    study::gallery_names,
};
use std::{fs, path::Path, sync::LazyLock, time::SystemTime};
use tempfile::TempDir;

fn png() -> Vec<u8> {
    encoded(&DynamicImage::from(picture(9, 7)), ImageFormat::Png)
}

fn put_at(folder: &TempDir, name: &str, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
    put(folder, name, bytes);
}

#[test]
fn sub_folders_belong_to_the_gallery() {
    let folder = TempDir::new().unwrap();
    for name in [
        "b/10.png",
        "b/2.png",
        "1.png",
        "a/deep/2.png",
        "a/2.jpg",
        ".hidden/3.png",
        "a/.4.png",
    ] {
        put_at(&folder, name, png());
    }
    put_at(&folder, "b/2.txt", "beside it");
    put_at(
        &folder,
        "captions.csv",
        "file_name,caption\na/2.jpg,by path\nb/10.png,ten\n1.png,one\n",
    );
    let found = scan(folder.path(), None, None).unwrap();
    let names = gallery_names(&found.images);
    assert_eq!(names, ["1.png", "a/2.jpg", "a/deep/2.png", "b/2.png", "b/10.png"]);
    let captions: Vec<_> = found.images.iter().map(|i| i.caption.as_deref()).collect();
    assert_eq!(
        captions,
        [Some("one"), Some("by path"), None, Some("beside it"), Some("ten")]
    );
    assert_eq!(found.notices, []);
    // A folder of generated pictures is looked at alone.
    assert_eq!(scan_flat(folder.path(), None).unwrap().images.len(), 1);
}

#[test]
fn files_of_one_name_stay_apart() {
    LazyLock::force(&CACHE);
    let folder = TempDir::new().unwrap();
    put_at(&folder, "g/a/1.png", png());
    put_at(&folder, "g/b/1.png", png());
    put_at(&folder, "g/b/2.png", png());
    put_at(&folder, "mattes/a/1.png", png());
    put_at(&folder, "mattes/1.png", png());
    put_at(&folder, "mattes/2.png", png());
    put_at(
        &folder,
        "g/captions.csv",
        "file_name,caption\na/1.png,first\nb/1.png,second\n",
    );
    let (gallery, mattes) = (folder.path().join("g"), folder.path().join("mattes"));
    let found = scan(&gallery, None, Some(&mattes)).unwrap();
    let captions: Vec<_> = found.images.iter().map(|i| i.caption.as_deref()).collect();
    assert_eq!(captions, [Some("first"), Some("second"), None]);
    let mattes: Vec<_> = found
        .images
        .iter()
        .map(|i| {
            i.matte
                .as_ref()
                .map(|m| m.strip_prefix(folder.path()).unwrap().to_owned())
        })
        .collect();
    // b/1 has no matte of its own, and 1 is not its name alone: it gets none rather than a wrong one.
    assert_eq!(
        mattes,
        [Some("mattes/a/1.png".into()), None, Some("mattes/2.png".into())]
    );
    // Moved from one sub-folder to the other, it is another gallery.
    let before = fingerprint(&found.images).unwrap();
    fs::rename(gallery.join("b/2.png"), gallery.join("a/2.png")).unwrap();
    let moved = scan(&gallery, None, None).unwrap();
    let mut moved = moved.images;
    moved
        .iter_mut()
        .zip(&found.images)
        .for_each(|(m, f)| m.matte.clone_from(&f.matte));
    assert_ne!(fingerprint(&moved).unwrap(), before);
}

#[test]
fn parts_of_pictures_and_endless_folders_are_passed_over_and_told() {
    let folder = TempDir::new().unwrap();
    for name in [
        "17.jpg",
        "foreground/17.png",
        "Background/17.png",
        "masks/17.png",
        "more/18.png",
    ] {
        put_at(&folder, name, png());
    }
    let deep: String = (0..MAX_DEPTH + 2).map(|i| format!("d{i}/")).collect();
    put_at(&folder, &format!("{deep}lost.png"), png());
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path(), folder.path().join("more/circle")).unwrap();
        std::os::unix::fs::symlink("nowhere.png", folder.path().join("dangling.png")).unwrap();
    }
    let found = scan(folder.path(), None, None).unwrap();
    assert_eq!(gallery_names(&found.images), ["17.jpg", "more/18.png"]);
    let told: String = found.notices.iter().map(ToString::to_string).collect();
    for part in ["foreground", "Background", "masks", "deeper than"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    #[cfg(unix)]
    assert!(told.contains("dangling.png"), "{told}");
}

#[test]
fn content_exchanged_under_the_same_time_is_another_gallery() {
    LazyLock::force(&CACHE);
    let folder = TempDir::new().unwrap();
    let path = put(&folder, "1.png", "one");
    let old = SystemTime::now() - std::time::Duration::from_secs(5000);
    let set_back = || {
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
    };
    set_back();
    let images = scan(folder.path(), None, None).unwrap().images;
    let first = fingerprint(&images).unwrap();
    assert_eq!(fingerprint(&images).unwrap(), first);
    // As a copying tool does that keeps times: same size, same time of modification.
    fs::write(&path, "two").unwrap();
    set_back();
    #[cfg(unix)]
    assert_ne!(fingerprint(&images).unwrap(), first);
    fs::write(&path, "one").unwrap();
    set_back();
    assert_eq!(fingerprint(&images).unwrap(), first);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_are_pictures_like_others() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    LazyLock::force(&CACHE);
    let folder = TempDir::new().unwrap();
    for name in [b"caf\xe9.png".as_slice(), b"caf\xe8.png", b"1.png"] {
        fs::write(folder.path().join(OsStr::from_bytes(name)), png()).unwrap();
    }
    let images = scan(folder.path(), None, None).unwrap().images;
    assert_eq!(images.len(), 3);
    for image in &images {
        assert!(decode_rgb(&image.path).is_ok());
    }
    assert_eq!(fingerprint(&images).unwrap(), fingerprint(&images).unwrap());
}

/// Every kind of file the gallery meets is either decoded or refused with its name and a reason; nothing panics.
#[test]
fn every_kind_of_file_is_handled_or_named() {
    let folder = TempDir::new().unwrap();
    let whole = png();
    let fixtures = Path::new(super::FIXTURES);
    /// Name, content, and the size or what the reason must say.
    type Case = (&'static str, Vec<u8>, Result<(u32, u32), &'static str>);
    let cases: Vec<Case> = vec![
        ("empty.png", Vec::new(), Err("empty")),
        ("cut.png", whole[..whole.len() / 2].to_vec(), Err("")),
        (
            "huge.png",
            png_that_declares(65_535, 65_535),
            Err("65535 × 65535"),
        ),
        ("text.png", b"hello".to_vec(), Err("not an image")),
        (
            "grey16.png",
            fs::read(fixtures.join("grey16.png")).unwrap(),
            Ok((4, 1)),
        ),
        (
            "cmyk.jpg",
            fs::read(fixtures.join("cmyk.jpg")).unwrap(),
            Ok((16, 8)),
        ),
        ("turned.jpg", turned_jpeg(&picture(32, 16)), Ok((16, 32))),
        ("wrong-ending.jpg", whole.clone(), Ok((9, 7))),
    ];
    for (name, bytes, _) in &cases {
        put(&folder, name, bytes);
    }
    let images = scan(folder.path(), None, None).unwrap().images;
    assert_eq!(
        images.len(),
        cases.len(),
        "listing looks at names only; decoding tells"
    );
    for (name, _, expected) in &cases {
        match (decode_rgb(&folder.path().join(name)), expected) {
            (Ok(image), Ok(size)) => assert_eq!(image.dimensions(), *size, "{name}"),
            (Err(error), Err(reason)) => {
                let said = error.to_string();
                assert!(said.contains(name) && said.contains(reason), "{said}");
            }
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}
