//! `pentimento picture`: one picture of a run as the Stage shows it, for slides.

use super::args::PictureArgs;
use crate::{
    gallery,
    render::{Mode, OverlayParams},
    report::{is_animated, overlaid, write_animation, write_still},
    store::{Run, StudyFile},
    study::{GalleryImage, Problem, gallery_names},
};
use std::path::PathBuf;

/// Reads the picture, its matte and its best training image, and writes them overlaid.
pub fn run(args: &PictureArgs) -> Result<(), Problem> {
    let run = Run::open_read(&args.run)?;
    let wanted = args.name.trim_end_matches(".png");
    let record = run
        .records()
        .iter()
        .find(|r| r.key.to_string() == wanted)
        .ok_or_else(|| {
            Problem::new(
                "The run holds no such picture",
                "Name one of its pictures, such as img_0000_00.",
            )
            .at(&args.run)
            .detail(format!("looked for: {wanted}"))
        })?;
    // A region edited by hand stands in the place of the segmenter's.
    let best = run.matches_of(record).first().map(|m| m.name.as_str());
    let training = best.and_then(|name| {
        let gallery = gallery_of(args, &run);
        let at = gallery_names(&gallery).iter().position(|known| known == name)?;
        gallery.into_iter().nth(at)
    });
    if best.is_some() && training.is_none() {
        eprintln!("pentimento: the training image is not at hand; name its study with --study");
    }
    let matte = match run.edit(&record.key) {
        Some(edit) => edit.matte.as_ref(),
        None => record.matte.as_ref(),
    };
    let matte = matte.map(|m| args.run.join(m));
    let path = args.run.join(&record.image);
    let pair = overlaid(&path, matte.as_deref(), training.as_ref()).map_err(|reason| {
        Problem::new("The picture cannot be read", "Resume the run to draw it again.")
            .at(&path)
            .detail(reason)
    })?;
    let settings = OverlayParams {
        mode: args.mode as u32,
        ..OverlayParams::default()
    };
    let moves = is_animated(&args.out, args.mode) && !args.still;
    if moves && args.mode != Mode::Reveal {
        return Err(Problem::new(
            "Only a Reveal moves",
            "Add --mode reveal, or let the name end in .png or .webp.",
        )
        .at(&args.out));
    }
    if moves {
        write_animation(&args.out, &pair, settings)?;
    } else {
        write_still(&args.out, &pair, settings)?;
    }
    println!("{}", args.out.display());
    Ok(())
}

/// The training images of the study named, of the run's own study, or of the run's gallery folder.
fn gallery_of(args: &PictureArgs, run: &Run) -> Vec<GalleryImage> {
    let places = &run.parameters().places;
    let study = args.study.clone().or_else(|| places.study.clone());
    let file = study.and_then(|s| StudyFile::read(&s).ok());
    let named = file.and_then(|f| f.gallery);
    let folder: Option<PathBuf> = named.or_else(|| places.gallery.clone());
    let scanned = folder.and_then(|f| gallery::scan(&f, None, None).ok());
    scanned.map(|s| s.images).unwrap_or_default()
}
