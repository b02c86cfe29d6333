//! Captions of training images, from a table or from text files beside the images.

use crate::{
    study::Problem,
    tables::{self, Complaints, Delimited},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// Largest caption file, in bytes.
const MAX_BYTES: u64 = 1 << 30;
/// Largest sidecar text file, in bytes.
const MAX_SIDECAR_BYTES: u64 = 1 << 20;
/// Longest caption that is kept, in characters.
const MAX_CHARS: usize = 10_000;
/// Most rows of a caption table.
const MAX_ROWS: usize = 10_000_000;

const FILE_COLUMNS: [&str; 6] = ["file_name", "filename", "image", "path", "file", "name"];
const TEXT_COLUMNS: [&str; 3] = ["caption", "text", "prompt"];
/// Caption files that are found by themselves in the gallery's folder: Hugging Face's ImageFolder names
/// first.
const KNOWN_NAMES: [&str; 4] = ["metadata.jsonl", "metadata.csv", "captions.jsonl", "captions.csv"];

/// Captions by file name.
#[derive(Debug, Default)]
pub(super) struct Captions {
    by_path: HashMap<String, String>,
    /// `None` where several folders have a file of this name.
    by_name: HashMap<String, Option<String>>,
}

impl Captions {
    /// Caption of an image, by its path below the gallery's folder, by its file name, else by the name without its
    /// extension.
    pub(super) fn get(&self, relative: &str) -> Option<&str> {
        let image = Path::new(relative);
        let lookup = |name: Option<&std::ffi::OsStr>| self.by_name.get(name?.to_str()?)?.as_ref();
        self.by_path
            .get(relative)
            .or_else(|| lookup(image.file_name()))
            .or_else(|| lookup(image.file_stem()))
            .map(String::as_str)
    }

    /// Number of captions.
    pub(super) fn len(&self) -> usize {
        self.by_path.len()
    }
}

/// The caption file that a gallery folder brings along.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    KNOWN_NAMES.iter().map(|n| folder.join(n)).find(|p| p.is_file())
}

/// Reads a caption table: JSON lines if the name ends in `.jsonl` or `.ndjson`, else CSV. Nothing in it is
/// fatal: what cannot be used is reported in a notice.
pub(super) fn read(path: &Path) -> (Captions, Vec<Problem>) {
    let text = match tables::read_text(path, MAX_BYTES) {
        Ok(text) => text,
        Err(problem) => {
            return (
                Captions::default(),
                vec![problem.detail("the gallery is opened without captions")],
            );
        }
    };
    let mut bad = Complaints::default();
    if let Some(line) = text.unreadable {
        bad.add(line, "is not UTF-8; unreadable letters were replaced");
    }
    let mut captions = Captions::default();
    let is_json = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("jsonl") || e.eq_ignore_ascii_case("ndjson"));
    if is_json {
        for line in tables::json_lines(&text.text) {
            match line.object {
                Ok(object) => captions.add(
                    line.line,
                    tables::text_of(&object, &FILE_COLUMNS),
                    tables::text_of(&object, &TEXT_COLUMNS),
                    &mut bad,
                ),
                Err(reason) => bad.add(line.line, reason),
            }
        }
    } else {
        match Delimited::parse(&text.text, &TEXT_COLUMNS, MAX_ROWS) {
            Ok(table) => {
                let file = tables::column(&table.headers, &FILE_COLUMNS);
                let caption = tables::column(&table.headers, &TEXT_COLUMNS);
                if file.is_none() {
                    return (captions, vec![no_columns(path, &table.headers)]);
                }
                for row in &table.rows {
                    captions.add(row.line, row.cell(file), row.cell(caption), &mut bad);
                }
            }
            Err(headers) => return (captions, vec![no_columns(path, &headers)]),
        }
    }
    let notice = bad.into_notice(
        "of the caption file could not be used as they stand",
        path,
        "The other captions are in use; correct these lines and open the gallery again.",
    );
    (captions, notice.into_iter().collect())
}

impl Captions {
    fn add(&mut self, line: u64, file: Option<&str>, caption: Option<&str>, bad: &mut Complaints) {
        let Some(file) = file else {
            return bad.add(line, "names no image file");
        };
        // An image without caption is a fact, not a mistake.
        let Some(caption) = caption else { return };
        let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
        if caption.chars().nth(MAX_CHARS).is_some() {
            return bad.add(
                line,
                format!("caption longer than {MAX_CHARS} characters (an open quote?)"),
            );
        }
        let path = file.trim_start_matches("./").replace('\\', "/");
        if self.by_path.insert(path, caption.to_owned()).is_some() {
            bad.add(line, format!("a second caption for {name}; this one is used"));
            self.by_name.remove(name);
        }
        self.by_name
            .entry(name.to_owned())
            .and_modify(|other| *other = None)
            .or_insert_with(|| Some(caption.to_owned()));
    }
}

fn no_columns(path: &Path, found: &[String]) -> Problem {
    Problem::new(
        "The caption file has no columns that name images and captions",
        "Call one column file_name and one caption, separated by commas or semicolons.",
    )
    .at(path)
    .detail(format!("columns looked for: {}", FILE_COLUMNS.join(", ")))
    .detail(format!("and: {}", TEXT_COLUMNS.join(", ")))
    .detail(format!(
        "columns found: {}",
        if found.is_empty() {
            "none, the file is empty".to_owned()
        } else {
            found
                .iter()
                .take(20)
                .map(|f| f.chars().take(60).collect())
                .collect::<Vec<String>>()
                .join(", ")
        }
    ))
    .detail("the gallery is opened without captions")
}

/// Caption from `NAME.txt` beside the image; `None` when there is none or it cannot be used.
pub(super) fn sidecar(text_file: &Path) -> Option<String> {
    let text = tables::read_text(text_file, MAX_SIDECAR_BYTES).ok()?.text;
    let caption: String = text.trim().chars().take(MAX_CHARS).collect();
    (!caption.is_empty()).then_some(caption)
}
