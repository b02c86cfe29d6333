//! A folder laid out as the reference's scoring script expects it (METHODS §1.1): segments that exist as
//! pictures, for the gallery in `foreground/` and `background/` below it, for the generated pictures in
//! sibling folders named `…_foreground` and `…_background`.

use crate::{
    gallery::{MAX_PIXELS, decode_rgb, decode_rgba, is_image_name, read_image_file},
    similarity::{Index, IndexBuilder, Prepared, SimilarityError, decode_jpeg},
    study::{Arithmetic, Problem},
};
use image::RgbImage;
use rayon::prelude::*;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Side of the reference's generated pictures.
const SIDE: u32 = 512;
/// Training pictures prepared at once.
const CHUNK: usize = 32;

/// Where the segments of the gallery are.
pub struct GallerySegments {
    foreground: PathBuf,
    background: PathBuf,
    /// Index, as in `{i}.png`, in ascending order.
    numbers: Vec<u32>,
}

impl GallerySegments {
    /// The layout, if `gallery` has it: both folders, with pictures named by numbers.
    pub fn find(gallery: &Path) -> Option<Self> {
        let (foreground, background) = (gallery.join("foreground"), gallery.join("background"));
        let mut numbers: Vec<u32> = std::fs::read_dir(&foreground)
            .ok()?
            .filter_map(|entry| {
                let name = PathBuf::from(entry.ok()?.file_name());
                let stem = name.to_str()?.strip_suffix(".png")?;
                // `07.png` is not a name the reference would look for.
                stem.parse().ok().filter(|n: &u32| n.to_string() == stem)
            })
            .collect();
        numbers.sort_unstable();
        let found = !numbers.is_empty() && background.is_dir();
        found.then_some(Self {
            foreground,
            background,
            numbers,
        })
    }

    /// Number of training pictures.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Builds the index; pictures that cannot be used are reported and left out, as the reference leaves
    /// out those without files. Returns the names of the rows, `{i}.png`.
    pub fn index(
        &self,
        file: &Path,
        pool: &rayon::ThreadPool,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(Index, Vec<String>), SimilarityError> {
        let mut builder = IndexBuilder::create(file, "score", Arithmetic::Reference, self.len())?;
        let mut names = Vec::with_capacity(self.len());
        for (chunk, numbers) in self.numbers.chunks(CHUNK).enumerate() {
            progress(chunk * CHUNK);
            let prepare = |number: &u32| {
                let name = format!("{number}.png");
                let part = |folder: &Path| decode_rgba(&folder.join(&name)).map_err(|e| e.to_string());
                let row = part(&self.foreground)
                    .and_then(|f| Ok((f, part(&self.background)?)))
                    .and_then(|(f, b)| builder.prepare_segments(&f, &b).map_err(|e| e.to_string()));
                (name, row)
            };
            let rows: Vec<_> = pool.install(|| numbers.par_iter().map(prepare).collect());
            for (name, row) in rows {
                match row {
                    Ok(row) => {
                        builder.push(row)?;
                        names.push(name);
                    }
                    Err(reason) => eprintln!("pentimento: skipped {name}: {reason}"),
                }
            }
        }
        Ok((builder.finish()?, names))
    }
}

/// A sibling of the folder `generated`, named `{generated}{suffix}`.
fn sibling(generated: &Path, suffix: &str) -> Option<PathBuf> {
    let mut name = OsString::from(generated.file_name()?);
    name.push(suffix);
    Some(generated.with_file_name(name))
}

/// The segments of the generated picture `name`; `None` when they do not both exist.
pub fn generated_segments(generated: &Path, name: &str) -> Option<[PathBuf; 2]> {
    let part = |suffix| Some(sibling(generated, suffix)?.join(name)).filter(|p| p.is_file());
    Some([part("_foreground")?, part("_background")?])
}

/// Reads the segments and makes them ready. JPEG files are decoded as Pillow decodes them.
pub fn prepare_generated(paths: &[PathBuf; 2]) -> Result<Prepared, Problem> {
    let read = |path: &PathBuf| -> Result<RgbImage, Problem> {
        let failed = |e: &dyn std::fmt::Display| super::failed("A segment cannot be read", e).at(path);
        let bytes = read_image_file(path).map_err(|e| failed(&e))?;
        let image = if bytes.starts_with(&[0xff, 0xd8]) {
            decode_jpeg(&bytes, MAX_PIXELS).map_err(|e| failed(&e))?
        } else {
            decode_rgb(path).map_err(|e| failed(&e))?
        };
        if image.dimensions() != (SIDE, SIDE) {
            let (width, height) = image.dimensions();
            eprintln!(
                "pentimento: {}: is {width}×{height}; the reference takes 512×512 only, it is resized here",
                path.display()
            );
        }
        Ok(image)
    };
    let [foreground, background] = [read(&paths[0])?, read(&paths[1])?];
    Prepared::query_segments(foreground, background, Arithmetic::Reference)
        .map_err(|e| super::failed("A generated picture cannot be compared", &e).at(&paths[0]))
}

/// The generated pictures of a folder in the order of their names.
pub fn generated_names(generated: &Path) -> Result<Vec<String>, Problem> {
    let unreadable = |e| Problem::io("The folder of generated pictures cannot be read", generated, &e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(generated).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        match name.into_string() {
            Ok(name) if is_image_name(Path::new(&name)) && !name.starts_with('.') => names.push(name),
            Ok(_) => {}
            Err(name) => eprintln!(
                "pentimento: skipped {}: its name is not UTF-8",
                Path::new(&name).display()
            ),
        }
    }
    names.sort();
    Ok(names)
}
