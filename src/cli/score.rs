//! `pentimento score`: generated pictures against a gallery, without a model.

use super::{
    args::{Common, ScoreArgs},
    console::Console,
    images,
    reference_layout::GallerySegments,
    score_reference,
};
use crate::{
    embedding::{Embedder, Preprocessing},
    engine::{Eta, compute_pool, read_with_matte, repeating},
    memorization::MOST_ALIKE,
    segmentation::Segmenter,
    similarity::{IndexBuilder, Prepared, measure_pair},
    store::{ScoreColumn, ScoreRow, parse_picture_name, write_scores_with, write_scores_with_null},
    study::{Arithmetic, GalleryImage, Match, PairMeasures, Problem, RegionScores, gallery_names},
};
use image::{GrayImage, RgbImage};
use rayon::prelude::*;
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

/// Pictures held in memory at once.
const CHUNK: usize = 32;
/// Generated pictures that are searched for in one pass, 30 MB each.
const BATCH: usize = 4;

/// Writes `scores.csv`; pictures that cannot be read are reported and skipped.
pub fn run(args: &ScoreArgs, common: &Common) -> Result<(), Problem> {
    let own_segments = args.arithmetic == Arithmetic::Reference && args.masks_gallery.is_none();
    if let Some(segments) = own_segments
        .then(|| GallerySegments::find(&args.gallery))
        .flatten()
    {
        if args.measures {
            return Err(Problem::new(
                "The other measures need whole pictures, and the gallery lies in segments",
                "Leave out --measures, or give the mattes with --masks-gallery.",
            )
            .at(&args.gallery));
        }
        return score_reference::run(args, common, &segments);
    }
    let generated = images::list(&args.generated, args.masks_generated.as_deref())?;
    let gallery = images::list_gallery(&args.gallery, args.masks_gallery.as_deref())?;
    let lacks_matte = |list: &[GalleryImage]| list.iter().any(|g| g.matte.is_none());
    let segmenter = if lacks_matte(&generated) || lacks_matte(&gallery) {
        Some(images::segmenter(args.segmenter.as_deref(), args.arithmetic)?)
    } else {
        None
    };
    let pool = compute_pool(common.threads).map_err(|e| super::failed("Threads cannot be started", &e))?;
    let scratch = tempfile::tempdir().map_err(|e| super::failed("No temporary folder can be made", &e))?;
    let mut console = Console::new(common.quiet);
    let embedder = args
        .embedder
        .as_deref()
        .map(|path| open_embedder(path, &args.embedder_size));
    let embedder = embedder.transpose()?;
    let mut embeddings = Embeddings::new();

    let mut builder = IndexBuilder::create(
        &scratch.path().join("gallery"),
        "score",
        args.arithmetic,
        gallery.len(),
    )
    .map_err(|e| super::failed("The gallery cannot be prepared", &e))?;
    let gallery_names = gallery_names(&gallery);
    let mut names = Vec::new();
    // Gallery index of each row.
    let mut kept = Vec::new();
    let mut eta = Eta::new(gallery.len() as f64);
    for (chunk, entries) in gallery.chunks(CHUNK).enumerate() {
        let done = chunk * CHUNK;
        console.progress(
            "Preparing the gallery",
            done,
            gallery.len(),
            eta.left(done as f64),
        );
        let pictures = read(entries, segmenter.as_ref(), &pool);
        for (i, (entry, picture)) in entries.iter().zip(pictures).enumerate() {
            let Some((image, matte)) = picture else { continue };
            pool.install(|| builder.add(&image, &matte))
                .map_err(|e| super::failed("A training image cannot be prepared", &e).at(&entry.path))?;
            let name = gallery_names[done + i].as_str();
            embed(
                embedder.as_ref(),
                &mut embeddings,
                (false, name.to_owned()),
                &image,
            );
            names.push(name);
            kept.push(done + i);
        }
    }
    let index = builder
        .finish()
        .map_err(|e| super::failed("The gallery cannot be prepared", &e))?;
    console.progress("Preparing the gallery", gallery.len(), gallery.len(), None);
    console.end();

    let null = args.null.map(|_| {
        let generated = |row: usize| {
            let entry = gallery.get(*kept.get(row)?)?;
            let (image, matte) = read_with_matte(entry, segmenter.as_ref()).ok()?;
            Prepared::query(&image, &matte, args.arithmetic).ok()
        };
        super::null::of_gallery(&index, &generated, &pool, &mut console)
    });
    let mut rows = Vec::new();
    let mut measured = Measured::new();
    let mut eta = Eta::new(generated.len() as f64);
    let mut scored = 0;
    for (chunk, entries) in generated.chunks(CHUNK).enumerate() {
        let pictures = read(entries, segmenter.as_ref(), &pool);
        for (b, batch) in pictures.chunks(BATCH).enumerate() {
            let first = b * BATCH;
            let done = chunk * CHUNK + first;
            console.progress("Scoring", done, generated.len(), eta.left(done as f64));
            let mut queries = Vec::new();
            for (entry, picture) in entries[first..].iter().zip(batch) {
                let Some((image, matte)) = picture else { continue };
                let query = pool
                    .install(|| Prepared::query(image, matte, args.arithmetic))
                    .map_err(|e| {
                        super::failed("A generated picture cannot be compared", &e).at(&entry.path)
                    })?;
                queries.push((entry, query));
            }
            let prepared: Vec<&Prepared> = queries.iter().map(|(_, query)| query).collect();
            let found = pool
                .install(|| index.search_batch(&prepared, args.top_k as usize, &|| false))
                .ok_or_else(|| images::unreadable(&index))?;
            scored += queries.len();
            for (entry, picture) in entries[first..].iter().zip(batch) {
                if let Some((image, _)) = picture {
                    embed(embedder.as_ref(), &mut embeddings, (true, entry.name()), image);
                }
            }
            if args.measures {
                let there = batch.iter().flatten().zip(&queries).zip(&found);
                for (((image, matte), (entry, _)), matches) in there {
                    let of = |m: &Match| {
                        let training = gallery.get(*kept.get(m.gallery as usize)?)?;
                        let (other, alpha) = read_with_matte(training, segmenter.as_ref()).ok()?;
                        let key = (names[m.gallery as usize].to_owned(), entry.name());
                        Some((key, measure_pair((image, matte), (&other, &alpha))?))
                    };
                    measured.extend(pool.install(|| matches.par_iter().filter_map(of).collect::<Vec<_>>()));
                }
            }
            for ((entry, _), matches) in queries.iter().zip(found) {
                let row =
                    |m: crate::study::Match| ScoreRow::new(names[m.gallery as usize], entry.name(), m.scores);
                rows.extend(matches.into_iter().map(row));
            }
        }
    }
    console.progress("Scoring", generated.len(), generated.len(), None);
    console.end();
    let cosine = |row: &ScoreRow| {
        let one = embeddings.get(&(true, row.generated.clone()))?;
        let other = embeddings.get(&(false, row.original.clone()))?;
        Some(one.iter().zip(other).map(|(a, b)| a * b).sum())
    };
    let column = embedder.as_ref().map(|e| format!("{} cosine", e.name()));
    let pixels = [0, 1, 2].map(|i| {
        let measured = &measured;
        move |row: &ScoreRow| {
            measured
                .get(&(row.original.clone(), row.generated.clone()))?
                .named()[i]
                .1
        }
    });
    let named = PairMeasures::NAMES
        .into_iter()
        .zip(&pixels)
        .filter(|_| args.measures);
    let groups = match args.measures {
        true => repeated(&generated, args.alike_within, &pool),
        false => None,
    };
    let alike = |row: &ScoreRow| groups.as_ref()?.get(&row.generated).map(|&n| n as f32);
    let repeats = groups.as_ref().map(|_| ScoreColumn {
        name: super::watch::ALIKE,
        value: &alike,
    });
    let columns: Vec<ScoreColumn<'_>> = named
        .map(|(name, value)| ScoreColumn { name, value })
        .chain(repeats)
        .chain(column.iter().map(|name| ScoreColumn { name, value: &cosine }))
        .collect();
    match &null {
        Some(null) => {
            let standing = |scores: &RegionScores| super::null::percentiles(null, scores);
            write_scores_with_null(&args.out, &rows, &standing, &columns)?;
        }
        None => write_scores_with(&args.out, &rows, &columns)?,
    }
    println!(
        "{scored} pictures against {} training images: {}",
        names.len(),
        args.out.display()
    );
    if let (Some(null), Some(rate)) = (&null, args.null) {
        super::null::print(null, rate);
    }
    Ok(())
}

/// Measures of the pixels by names of training image and generated picture.
type Measured = HashMap<(String, String), PairMeasures>;

/// Size of the largest group of repeating pictures of its prompt that each picture belongs to, by file name; a picture
/// whose name says no prompt, or that belongs to no group, is left out. `None` where no prompt has two pictures.
fn repeated(
    generated: &[GalleryImage],
    within: f32,
    pool: &rayon::ThreadPool,
) -> Option<HashMap<String, usize>> {
    let mut prompts: BTreeMap<_, Vec<PathBuf>> = BTreeMap::new();
    for entry in generated {
        if let Some(name) = parse_picture_name(&entry.name()) {
            let prompt = (name.cluster, name.prompt);
            prompts.entry(prompt).or_default().push(entry.path.clone());
        }
    }
    prompts.retain(|_, files| files.len() > 1);
    if prompts.is_empty() {
        return None;
    }
    let mut sizes = HashMap::new();
    for ((_, prompt), mut files) in prompts {
        if files.len() > MOST_ALIKE {
            eprintln!(
                "pentimento: of prompt {prompt} the first {MOST_ALIKE} pictures were compared with each other"
            );
            files.truncate(MOST_ALIKE);
        }
        // What cannot be read was told when it was to be scored.
        let Some(found) = repeating(&files, within, pool, &|| false) else {
            continue;
        };
        let members = found.members.iter().filter(|_| found.members.len() > 1);
        sizes.extend(members.filter_map(|&m| {
            let name = files[m].file_name()?.to_string_lossy().into_owned();
            Some((name, found.members.len()))
        }));
    }
    Some(sizes)
}

/// Unit vectors by picture; generated ones are told from training images by the flag.
type Embeddings = HashMap<(bool, String), Vec<f32>>;

fn open_embedder(path: &Path, size: &str) -> Result<Embedder, Problem> {
    let preprocessing = if size == "skew-320" {
        Preprocessing::SKEW_320
    } else {
        Preprocessing::SMALL_288
    };
    Embedder::open_with(path, preprocessing)
        .map_err(|e| super::failed("The embedder cannot be used", &e).at(path))
}

/// A picture without an embedding has an empty cell in the table.
fn embed(embedder: Option<&Embedder>, into: &mut Embeddings, key: (bool, String), image: &RgbImage) {
    let Some(embedder) = embedder else { return };
    match embedder.embed(image) {
        Ok(vector) => {
            into.insert(key, vector);
        }
        Err(reason) => eprintln!("pentimento: no embedding of {}: {reason}", key.1),
    }
}

/// Decodes and segments a few pictures; one that cannot be read is reported and left out.
fn read(
    entries: &[GalleryImage],
    segmenter: Option<&Segmenter>,
    pool: &rayon::ThreadPool,
) -> Vec<Option<(RgbImage, GrayImage)>> {
    pool.install(|| {
        entries
            .par_iter()
            .map(|entry| {
                read_with_matte(entry, segmenter)
                    .inspect_err(|reason| eprintln!("pentimento: skipped {}: {reason}", entry.path.display()))
                    .ok()
            })
            .collect()
    })
}
