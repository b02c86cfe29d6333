//! Masks of the training images from a folder, as a choice of the open study.

use super::{
    common::{Ending, engine, follow},
    open,
};
use image::{GrayImage, Luma, Rgb, RgbImage};
use pentimento::{
    engine::{Event, Job},
    study::StudyOutline,
};
use std::{fs, sync::Arc};

#[test]
fn masks_from_a_folder_take_the_place_of_the_segmenter_and_can_be_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (gallery, masks) = (folder.path().join("gallery"), folder.path().join("masks"));
    let strangers = folder.path().join("strangers");
    for part in [&gallery, &masks, &strangers] {
        fs::create_dir(part).unwrap();
    }
    for i in 0..4 {
        let image = RgbImage::from_fn(70, 64, |x, y| {
            Rgb([(x * (3 + i)) as u8, (y * 5) as u8, (x * y / (1 + i)) as u8])
        });
        image.save(gallery.join(format!("scene {i}.png"))).unwrap();
    }
    let mask = GrayImage::from_fn(70, 64, |x, _| Luma([if x < 30 { 255 } else { 0 }]));
    for i in 0..3 {
        mask.save(masks.join(format!("scene {i}.png"))).unwrap();
    }
    mask.save(strangers.join("other.png")).unwrap();

    let handle = engine(&folder.path().join("run"));
    // Nothing is open: said, no panic.
    let ending = follow(&handle, Job::Mattes(Some(masks.clone())), &mut |_| {});
    assert!(
        matches!(&ending, Ending::Failed(p) if p.headline.contains("no training images")),
        "{ending:?}"
    );

    let (ending, ..) = open(&handle, &gallery);
    assert!(matches!(ending, Ending::Finished), "{ending:?}");
    let take = |folder| {
        let (mut outline, mut notices, mut ready) = (None::<Arc<StudyOutline>>, Vec::new(), false);
        let ending = follow(&handle, Job::Mattes(folder), &mut |event| match event {
            Event::Opened(o) => outline = Some(o.clone()),
            Event::Notice(problem) => notices.push(problem.headline.clone()),
            Event::GalleryReady => ready = true,
            _ => {}
        });
        (ending, outline, notices, ready)
    };
    let (ending, outline, notices, ready) = take(Some(masks.clone()));
    assert!(matches!(ending, Ending::Finished) && ready, "{ending:?}");
    let outline = outline.unwrap();
    let given = |outline: &StudyOutline| outline.gallery.iter().filter(|i| i.matte.is_some()).count();
    assert_eq!((given(&outline), outline.mattes.as_ref()), (3, Some(&masks)));
    assert!(notices.iter().any(|n| n.contains("1 of 4")), "{notices:?}");

    // None of them fits: what was chosen stays.
    let (ending, outline, ..) = take(Some(strangers));
    assert!(
        matches!(&ending, Ending::Failed(p) if p.headline.contains("None of the masks")),
        "{ending:?}"
    );
    assert!(outline.is_none());
    let (ending, ..) = take(Some(folder.path().join("nowhere")));
    assert!(matches!(ending, Ending::Failed(_)), "{ending:?}");

    let (ending, outline, _, ready) = take(None);
    assert!(matches!(ending, Ending::Finished) && ready, "{ending:?}");
    let outline = outline.unwrap();
    assert_eq!((given(&outline), outline.mattes.as_ref()), (0, None));
}
