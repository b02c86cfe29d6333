//! Regions edited by hand, beside the records of a run and never in their place: `edits.jsonl` holds a line an edit (the
//! last one of a picture counts), `edited/` the mattes. Written without the run's lock, so that a person can edit
//! while the run grows, and read together with the records.

use super::{
    atomic, picture,
    record::{GalleryNames, Record, RecordMatch, check_relative},
    record_lines::MAX_LINE,
    run::Run,
    run_lock::not_a_device,
};
use crate::study::{Generation, GenerationKey, Match, Problem, RegionEdit};
use image::GrayImage;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) const EDITS: &str = "edits.jsonl";
const EDITED: &str = "edited";

/// One line of `edits.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EditRecord {
    /// Which picture.
    pub key: GenerationKey,
    /// The edited matte, relative to the run's folder; `None` for the segmenter's own again.
    pub matte: Option<String>,
    /// SHA-256 of that file, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// SHA-256 of the segmenter whose matte it began from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segmenter: Option<String>,
    /// What it was drawn with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    /// Best training images with this region.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<RecordMatch>,
}

impl EditRecord {
    fn validate(&self) -> Result<(), String> {
        if let Some(matte) = &self.matte {
            check_relative("matte", matte)?;
        }
        if self.tools.len() > 16 || self.tools.iter().any(|t| t.len() > 64) {
            return Err("more tools than there are".to_owned());
        }
        let scores = self.matches.iter();
        let mut scores = scores.flat_map(|m| [m.scores.foreground, m.scores.background]);
        if scores.any(|s| s.is_some_and(|s| !s.is_finite())) {
            return Err("a score is not finite".to_owned());
        }
        Ok(())
    }

    /// Puts the edit over a picture that was read from its record.
    pub(super) fn put_over(&self, generation: &mut Generation, folder: &Path, gallery: &mut GalleryNames) {
        let Some(matte) = &self.matte else { return };
        let matches = self.matches.iter().filter_map(|m| {
            Some(Match {
                gallery: gallery.index(m)?,
                scores: m.scores,
            })
        });
        let matches = matches.collect();
        generation.edit = Some(Arc::new(RegionEdit {
            segmenter: self.segmenter.clone(),
            tools: self.tools.clone(),
            matte: generation.matte.replace(folder.join(matte)),
            matches: std::mem::replace(&mut generation.matches, matches),
            measures: std::mem::take(&mut generation.measures),
        }));
    }
}

/// Writes an edited matte (255 = foreground) and its line into a run's folder, each safe on disk before this returns;
/// `None` takes the segmenter's own again. Gives the matte's file.
///
/// # Errors
/// A problem when the folder holds no run or cannot be written to.
pub fn save_region_edit(
    run: &Path,
    mut record: EditRecord,
    matte: Option<&GrayImage>,
) -> Result<Option<PathBuf>, Problem> {
    if !run.join(super::run_parameters::RUN_FILE).is_file() {
        return Err(Problem::new(
            "The edited region was not saved",
            "Only pictures of a run keep their edited regions; it counts until the window closes.",
        )
        .at(run));
    }
    let path = run.join(EDITS);
    let failed = |e: io::Error| Problem::io("The edited region could not be saved", &path, &e);
    record.matte = None;
    if let Some(matte) = matte {
        let mut text = vec![("Source", "edited by hand in Pentimento".to_owned())];
        text.extend(record.segmenter.clone().map(|hash| ("Base segmenter", hash)));
        text.push(("Tools", record.tools.join(", ")));
        let bytes = picture::encode(matte, matte.dimensions(), 1, &text).map_err(failed)?;
        place(run, &mut record, &bytes).map_err(failed)?;
    }
    append(&path, &record).map_err(failed)?;
    sweep(run, &record);
    Ok(record.matte.map(|m| run.join(m)))
}

/// The matte under a name that tells its content: a crash never leaves a line with another picture.
fn place(run: &Path, record: &mut EditRecord, bytes: &[u8]) -> io::Result<()> {
    let hash = hex::encode(Sha256::digest(bytes));
    let relative = format!("{EDITED}/{}-{}.png", record.key, &hash[..12]);
    fs::create_dir_all(run.join(EDITED))?;
    atomic::write(&run.join(&relative), bytes)?;
    (record.matte, record.sha256) = (Some(relative), Some(hash));
    Ok(())
}

fn append(path: &Path, record: &EditRecord) -> io::Result<()> {
    record.validate().map_err(io::Error::other)?;
    not_a_device(path).map_err(|p| io::Error::other(p.to_string()))?;
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).open(path)?;
    // A line that a crash tore off must not swallow this one.
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != [b'\n'] {
            line.insert(0, b'\n');
        }
    }
    file.write_all(&line)?;
    file.sync_data()
}

/// Removes the former mattes of a picture. One that stays does no harm.
fn sweep(run: &Path, record: &EditRecord) {
    let Ok(entries) = fs::read_dir(run.join(EDITED)) else {
        return;
    };
    let own = format!("{}-", record.key);
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kept = record.matte.as_deref() == Some(&format!("{EDITED}/{name}"));
        if name.starts_with(&own) && !kept {
            fs::remove_file(entry.path()).ok();
        }
    }
}

impl Run {
    /// The edited region of a picture, if a person drew one that counts.
    pub fn edit(&self, key: &GenerationKey) -> Option<&EditRecord> {
        self.edits.get(key).filter(|e| e.matte.is_some())
    }

    /// Best training images of a picture: by its edited region where there is one.
    pub fn matches_of<'a>(&'a self, record: &'a Record) -> &'a [RecordMatch] {
        self.edit(&record.key).map_or(&record.matches, |e| &e.matches)
    }

    /// Reads the edits when their file has changed. Lines that cannot be read are told and passed over.
    pub(super) fn refresh_edits(&mut self) -> Result<(), Problem> {
        let path = self.folder.join(EDITS);
        let failed = |e: io::Error| Problem::io("The run's edited regions cannot be read", &path, &e);
        not_a_device(&path)?;
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(failed(e)),
        };
        let length = file.metadata().map_err(failed)?.len();
        if length == self.edits_length {
            return Ok(());
        }
        self.edits_length = length;
        self.edits.clear();
        let mut reader = BufReader::new(file);
        let (mut line, mut number, mut bad) = (Vec::new(), 0, crate::tables::Complaints::default());
        loop {
            line.clear();
            let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            if read.map_err(failed)? == 0 {
                break;
            }
            number += 1;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match serde_json::from_slice::<EditRecord>(&line) {
                Ok(edit) => match edit.validate() {
                    // One whose matte is gone is as if it had never been drawn.
                    Ok(()) if edit.matte.as_ref().is_none_or(|m| self.folder.join(m).is_file()) => {
                        self.edits.insert(edit.key, edit);
                    }
                    Ok(()) => {
                        self.edits.remove(&edit.key);
                    }
                    Err(reason) => bad.add(number, reason),
                },
                Err(e) => bad.add(number, format!("not an edited region ({e})")),
            }
        }
        self.notices.extend(bad.into_notice(
            "of the run's edited regions could not be used",
            &path,
            "The segmenter's regions count for these pictures; edit them again.",
        ));
        Ok(())
    }

    /// Takes the edited region of a picture over from another run.
    pub(super) fn adopt_edit(&mut self, from: &Run, key: &GenerationKey) -> Result<(), Problem> {
        let Some(edit) = from.edit(key).filter(|_| self.edit(key).is_none()) else {
            return Ok(());
        };
        let mut edit = edit.clone();
        let path = from.folder.join(edit.matte.as_deref().unwrap_or_default());
        not_a_device(&path)?;
        let failed = |e: io::Error| Problem::io("An edited region cannot be taken over", &path, &e);
        let bytes = fs::read(&path).map_err(failed)?;
        place(&self.folder, &mut edit, &bytes).map_err(failed)?;
        append(&self.folder.join(EDITS), &edit).map_err(failed)?;
        self.edits.insert(*key, edit);
        Ok(())
    }
}
