//! `pentimento segment`: the mattes of a folder of pictures.

use super::{
    args::{Common, SegmentArgs},
    console::Console,
    images,
};
use crate::{
    engine::{Eta, compute_pool, matte_of},
    gallery::{decode_rgb, write_matte},
    segmentation::{Click, ClickSegmenter, Clicks, Segmenter},
    study::Problem,
};
use image::{GrayImage, RgbImage};
use std::path::PathBuf;

/// Writes one matte per picture; pictures that cannot be read are listed at the end.
pub fn run(args: &SegmentArgs, common: &Common) -> Result<(), Problem> {
    let pictures = images::list(&args.images, None)?;
    let maker = Maker::open(args)?;
    let provenance = maker.provenance();
    let pool = compute_pool(common.threads).map_err(|e| super::failed("Threads cannot be started", &e))?;
    std::fs::create_dir_all(&args.out)
        .map_err(|e| super::failed("The folder cannot be made", &e).at(&args.out))?;
    let mut console = Console::new(common.quiet);
    let mut eta = Eta::new(pictures.len() as f64);
    let mut skipped: Vec<(PathBuf, String)> = Vec::new();
    for (done, picture) in pictures.iter().enumerate() {
        console.progress("Segmenting", done, pictures.len(), eta.left(done as f64));
        let matte = decode_rgb(&picture.path)
            .map_err(|e| e.to_string())
            .and_then(|image| pool.install(|| maker.make(&image)));
        match matte {
            Ok(matte) => {
                let stem = picture.path.file_stem().unwrap_or_default();
                let file = args.out.join(stem).with_extension("png");
                write_matte(&file, &matte, &provenance)
                    .map_err(|e| super::failed("A matte cannot be written", &e).at(file))?;
            }
            Err(reason) => skipped.push((picture.path.clone(), reason)),
        }
    }
    console.progress("Segmenting", pictures.len(), pictures.len(), None);
    console.end();
    for (path, reason) in &skipped {
        eprintln!("pentimento: skipped {}: {reason}", path.display());
    }
    println!(
        "{} mattes in {} ({})",
        pictures.len() - skipped.len(),
        args.out.display(),
        maker.describe()
    );
    Ok(())
}

/// What makes the mattes.
enum Maker {
    /// The foreground.
    Foreground(Box<Segmenter>),
    /// What is pointed at.
    Clicked(Box<ClickSegmenter>, Clicks),
}

impl Maker {
    fn open(args: &SegmentArgs) -> Result<Self, Problem> {
        if args.points.is_none() && args.rect.is_none() {
            let segmenter = images::segmenter(args.segmenter.as_deref(), args.arithmetic)?;
            return Ok(Self::Foreground(Box::new(segmenter)));
        }
        let advice = "Name weights of SAM or MobileSAM (.pth, .pt or .safetensors) with --segmenter.";
        let path = args
            .segmenter
            .as_deref()
            .ok_or_else(|| Problem::new("No model that answers points is at hand", advice))?;
        let path = &crate::engine::weight_places().resolve(path);
        let segmenter = ClickSegmenter::open(path).map_err(|error| {
            let problem = Problem::new("The segmenter cannot be read", advice);
            problem.at(path).detail(error.to_string())
        })?;
        let points = args.points.iter().flat_map(|p| &p.0);
        let clicks = Clicks {
            points: points.map(|&(x, y, inside)| Click { x, y, inside }).collect(),
            rect: args.rect.map(|r| r.0),
        };
        Ok(Self::Clicked(Box::new(segmenter), clicks))
    }

    fn make(&self, image: &RgbImage) -> Result<GrayImage, String> {
        match self {
            Self::Foreground(segmenter) => matte_of(segmenter, image, &|| false).map_err(|e| e.to_string()),
            Self::Clicked(segmenter, clicks) => segmenter
                .embed(image)
                .and_then(|embedded| segmenter.segment(&embedded, clicks))
                .map(|matte| matte.alpha)
                .map_err(|e| e.to_string()),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Foreground(segmenter) => segmenter.describe(),
            Self::Clicked(segmenter, _) => segmenter.describe().to_owned(),
        }
    }

    fn provenance(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Foreground(segmenter) => segmenter.provenance(),
            Self::Clicked(segmenter, clicks) => vec![
                ("network", segmenter.describe().to_owned()),
                ("segmenter hash", segmenter.weights_hash().to_owned()),
                ("clicks", format!("{clicks:?}")),
            ],
        }
    }
}
