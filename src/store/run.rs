//! A run's folder: pictures, mattes and records that survive a crash at any moment.
//!
//! ```text
//! run.toml            every parameter, written once
//! generations.jsonl   one record per finished picture, appended and forced to disk line by line
//! timings.jsonl       how long each picture took: the one thing that differs between equal runs
//! images/             img_0003_01.png …, lossless, with prompt and parameters as text chunks
//! mattes/             the same names, 8-bit grey
//! run.lock            locked while a process writes
//! ```
//! A picture's files are complete before its record is written, and a record counts only with its line end:
//! what a crash leaves behind is either finished or made again. A resumed run is byte for byte the
//! uninterrupted one.

use super::{
    atomic, picture,
    record::{GalleryNames, Record},
    record_lines::{self, Timing},
    run_lock::{LOCK, lock, not_a_device},
    run_parameters::{RUN_FILE, RunParameters},
};
use crate::study::{GalleryImage, Generation, GenerationKey, Problem};
use image::{GrayImage, RgbImage};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

const RECORDS: &str = "generations.jsonl";
const TIMINGS: &str = "timings.jsonl";
const IMAGES: &str = "images";
const MATTES: &str = "mattes";
const NOT_OPENED: &str = "The run cannot be opened";

/// A picture that is safely on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPicture {
    /// The file.
    pub path: PathBuf,
    /// Its path relative to the run's folder, for [`Record::image`] or [`Record::matte`].
    pub relative: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// An open run.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    parameters: RunParameters,
    records: Vec<Record>,
    places: HashMap<GenerationKey, usize>,
    seconds: HashMap<GenerationKey, f32>,
    notices: Vec<Problem>,
    /// Bytes and lines of `generations.jsonl` that were read.
    length: u64,
    lines: u64,
    writer: Option<Writer>,
}

#[derive(Debug)]
struct Writer {
    records: File,
    timings: File,
    /// The lock lives as long as this handle, and ends with the process however it ends.
    _lock: File,
}

impl Run {
    /// Begins a run in a folder that is made if need be, and locks it for writing.
    ///
    /// # Errors
    /// A problem when the folder holds a run or other files already, is locked, or cannot be written to.
    pub fn create(folder: &Path, parameters: &RunParameters) -> Result<Self, Problem> {
        let failed = |e: &io::Error| Problem::io("The run cannot be begun", folder, e);
        fs::create_dir_all(folder).map_err(|e| failed(&e))?;
        if folder.join(RUN_FILE).exists() {
            return Err(Problem::new(
                "There is a run in this folder already",
                "Resume it, or choose another folder.",
            )
            .at(folder));
        }
        // A crash while beginning leaves only these.
        for entry in fs::read_dir(folder).map_err(|e| failed(&e))? {
            let name = entry.map_err(|e| failed(&e))?.file_name();
            let name = name.to_string_lossy();
            if ![LOCK, IMAGES, MATTES, RECORDS, TIMINGS].contains(&&*name) && !name.starts_with('.') {
                return Err(Problem::new(
                    "This folder is not empty",
                    "Choose a new or an empty folder for the run.",
                )
                .at(folder)
                .detail(format!("it holds {name}")));
            }
        }
        let lock = lock(folder)?;
        if fs::metadata(folder.join(RECORDS)).is_ok_and(|m| m.len() > 0) {
            return Err(Problem::new(
                "This folder holds records of a run whose parameters are lost",
                "Choose another folder for the run, or restore its run.toml.",
            )
            .at(folder)
            .detail(format!("{RECORDS} is there, {RUN_FILE} is not")));
        }
        parameters
            .to_toml()
            .and_then(|text| atomic::write(&folder.join(RUN_FILE), text.as_bytes()))
            .map_err(|e| failed(&e))?;
        Self::open_locked(folder, lock)
    }

    /// Opens a run for writing and goes on where it stopped; begins it if the folder holds none. A torn
    /// last record and records whose picture is gone are dropped with a notice, so that they are made again.
    ///
    /// # Errors
    /// A problem that names the parameters which differ from those of the run in the folder, or tells that
    /// another process writes the run, or what the system reported.
    pub fn open_or_create(folder: &Path, parameters: &RunParameters) -> Result<Self, Problem> {
        if !folder.join(RUN_FILE).exists() {
            return Self::create(folder, parameters);
        }
        let lock = lock(folder)?;
        let mut run = Self::open_locked(folder, lock)?;
        let differences = run.parameters.differences(parameters);
        if !differences.is_empty() {
            let mut problem = Problem::new(
                "The run in this folder was made with other parameters",
                "Set the parameters back to resume it, or choose another folder for a new run.",
            )
            .at(folder);
            problem.details = differences;
            return Err(problem);
        }
        if run.parameters.program != parameters.program {
            run.notices.push(
                Problem::new(
                    "The run was begun by another version of the program",
                    "Begin a new run if all pictures must come from one version.",
                )
                .at(folder)
                .detail(format!(
                    "{} began it, {} goes on",
                    run.parameters.program, parameters.program
                )),
            );
        }
        Ok(run)
    }

    /// Opens a run for reading, also while another process writes it; see [`Run::refresh`].
    ///
    /// # Errors
    /// A problem when the folder holds no run of a known format, or cannot be read.
    pub fn open_read(folder: &Path) -> Result<Self, Problem> {
        let mut run = Self::load(folder)?;
        run.refresh()?;
        Ok(run)
    }

    fn load(folder: &Path) -> Result<Self, Problem> {
        if !folder.join(RUN_FILE).is_file() {
            return Err(Problem::new(
                "There is no run in this folder",
                "Choose a folder with a run.toml.",
            )
            .at(folder)
            .detail(format!("looked for: {RUN_FILE}")));
        }
        Ok(Self {
            folder: folder.to_owned(),
            parameters: RunParameters::read(folder)?,
            records: Vec::new(),
            places: HashMap::new(),
            seconds: HashMap::new(),
            notices: Vec::new(),
            length: 0,
            lines: 0,
            writer: None,
        })
    }

    fn open_locked(folder: &Path, (lock, notice): (File, Option<Problem>)) -> Result<Self, Problem> {
        let failed = |path: &Path, e: &io::Error| Problem::io(NOT_OPENED, path, e);
        let mut run = Self::load(folder)?;
        run.notices.extend(notice);
        for part in [IMAGES, MATTES] {
            let part = folder.join(part);
            fs::create_dir_all(&part).map_err(|e| failed(&part, &e))?;
            atomic::remove_leftovers(&part).map_err(|e| failed(&part, &e))?;
        }
        atomic::remove_leftovers(folder).map_err(|e| failed(folder, &e))?;

        let open = |name: &str| {
            let path = folder.join(name);
            not_a_device(&path)?;
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|e| failed(&path, &e))
        };
        let (records, timings) = (open(RECORDS)?, open(TIMINGS)?);
        let torn = run.refresh()?;
        if torn {
            let path = folder.join(RECORDS);
            records
                .set_len(run.length)
                .and_then(|()| records.sync_all())
                .map_err(|e| failed(&path, &e))?;
            run.notices
                .push(Problem::new("The last record was cut off", "Its picture is made again.").at(path));
        }
        atomic::sync_folder(folder);
        run.drop_records_without_picture();
        run.writer = Some(Writer {
            records,
            timings,
            _lock: lock,
        });
        Ok(run)
    }

    fn drop_records_without_picture(&mut self) {
        let gone: Vec<Record> = {
            let folder = &self.folder;
            let there = |relative: &str| folder.join(relative).is_file();
            let gone = |r: &Record| !there(&r.image) || r.matte.as_deref().is_some_and(|m| !there(m));
            self.records.extract_if(.., |r| gone(r)).collect()
        };
        let Some(first) = gone.first() else { return };
        self.places = self
            .records
            .iter()
            .enumerate()
            .map(|(at, r)| (r.key, at))
            .collect();
        self.notices.push(
            Problem::new(
                format!("{} recorded pictures are no longer there", gone.len()),
                "They are made again.",
            )
            .at(&self.folder)
            .detail(format!("the first is {}", first.image)),
        );
    }

    /// Reads what was appended since the last look. Returns whether the file ends in an unfinished line,
    /// which is not counted (another process may be writing it).
    ///
    /// # Errors
    /// A problem when the records cannot be read.
    pub fn refresh(&mut self) -> Result<bool, Problem> {
        let path = self.folder.join(RECORDS);
        let failed = |e: io::Error| Problem::io("The run's records cannot be read", &path, &e);
        not_a_device(&path)?;
        let mut file = match File::open(&path) {
            Ok(file) => file,
            // A run that was begun and has not drawn anything.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(failed(e)),
        };
        let length = file.metadata().map_err(failed)?.len();
        if length < self.length {
            // Somebody replaced the file.
            (self.length, self.lines) = (0, 0);
            self.records.clear();
            self.places.clear();
        }
        file.seek(SeekFrom::Start(self.length)).map_err(failed)?;
        let read = record_lines::read(file, self.lines + 1).map_err(failed)?;
        self.length += read.length;
        self.lines += read.count;
        for record in read.records {
            self.insert(record);
        }
        self.notices.extend(read.bad.into_notice(
            "of the run's records could not be used",
            &path,
            "Resuming the run makes these pictures again.",
        ));
        if let Ok(file) = File::open(self.folder.join(TIMINGS)) {
            self.seconds = record_lines::read_timings(file);
        }
        Ok(read.torn)
    }

    /// A later record of the same picture replaces the earlier one.
    fn insert(&mut self, record: Record) {
        match self.places.get(&record.key) {
            Some(&at) => self.records[at] = record,
            None => {
                self.places.insert(record.key, self.records.len());
                self.records.push(record);
            }
        }
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The parameters the run was begun with.
    pub fn parameters(&self) -> &RunParameters {
        &self.parameters
    }

    /// Records of finished pictures, in the order in which they were finished.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The record of a picture, if it is finished.
    pub fn record(&self, key: &GenerationKey) -> Option<&Record> {
        self.places.get(key).and_then(|&at| self.records.get(at))
    }

    /// Whether a picture is finished.
    pub fn has(&self, key: &GenerationKey) -> bool {
        self.places.contains_key(key)
    }

    /// What was noticed while opening and refreshing.
    pub fn notices(&self) -> &[Problem] {
        &self.notices
    }

    /// Whether this process may write to the run.
    pub fn is_writable(&self) -> bool {
        self.writer.is_some()
    }

    /// Seconds spent drawing a picture, if known.
    pub fn seconds(&self, key: &GenerationKey) -> Option<f32> {
        self.seconds.get(key).copied()
    }

    /// The records as the rest of the program knows them. Matches are found again in `gallery` by file name.
    /// `thumbnail` makes the small copy of a picture; where it cannot, a grey pixel stands in.
    pub fn generations(
        &self,
        gallery: &[GalleryImage],
        mut thumbnail: impl FnMut(&Path) -> Option<RgbImage>,
    ) -> Vec<Generation> {
        let names = GalleryNames::new(gallery);
        let variant: Option<Arc<str>> = self.parameters.variant.as_ref().map(|v| v.name.as_str().into());
        self.records
            .iter()
            .map(|record| {
                let small = thumbnail(&self.folder.join(&record.image))
                    .unwrap_or_else(|| RgbImage::from_pixel(1, 1, image::Rgb([128; 3])));
                let seconds = self.seconds(&record.key).unwrap_or(0.0);
                record.generation(&self.folder, &names, seconds, small, variant.clone())
            })
            .collect()
    }

    /// Saves a picture under its name, with the prompt and the run's parameters in its text chunks.
    ///
    /// # Errors
    /// A problem when the run is open for reading only, or the file cannot be written.
    pub fn write_image(
        &self,
        key: &GenerationKey,
        prompt: &str,
        image: &RgbImage,
    ) -> Result<WrittenPicture, Problem> {
        let text = picture::text(*key, prompt, &self.parameters);
        self.write_png(IMAGES, key, picture::encode(image, image.dimensions(), 3, &text))
    }

    /// Keeps a file as it is among the run's pictures: an imported one. It keeps its name where that is a plain one
    /// (letters that every system has in a name, ending as an image), else it gets that of `key`.
    ///
    /// # Errors
    /// As [`Run::write_image`].
    pub fn write_copy(
        &self,
        key: &GenerationKey,
        name: &str,
        bytes: &[u8],
    ) -> Result<WrittenPicture, Problem> {
        self.writer.as_ref().ok_or_else(|| self.read_only())?;
        let plain = name.len() <= 200
            && !name.starts_with('.')
            && !name.contains(|c: char| c.is_control() || "/\\:*?\"<>|\u{FFFD}".contains(c));
        let relative = if plain {
            format!("{IMAGES}/{name}")
        } else {
            format!("{IMAGES}/{key}.png")
        };
        let path = self.folder.join(&relative);
        atomic::write(&path, bytes).map_err(|e| Problem::io("A picture could not be saved", &path, &e))?;
        Ok(WrittenPicture {
            path,
            relative,
            sha256: hex::encode(Sha256::digest(bytes)),
        })
    }

    /// Saves the matte of a picture (255 = foreground).
    ///
    /// # Errors
    /// As [`Run::write_image`].
    pub fn write_matte(&self, key: &GenerationKey, matte: &GrayImage) -> Result<WrittenPicture, Problem> {
        self.write_matte_of(key, matte, &[])
    }

    /// As [`Self::write_matte`], with text about how it was made: keyword and value.
    ///
    /// # Errors
    /// As there.
    pub fn write_matte_of(
        &self,
        key: &GenerationKey,
        matte: &GrayImage,
        text: &[(&'static str, String)],
    ) -> Result<WrittenPicture, Problem> {
        self.write_png(MATTES, key, picture::encode(matte, matte.dimensions(), 1, text))
    }

    fn write_png(
        &self,
        part: &str,
        key: &GenerationKey,
        bytes: io::Result<Vec<u8>>,
    ) -> Result<WrittenPicture, Problem> {
        self.writer.as_ref().ok_or_else(|| self.read_only())?;
        let relative = format!("{part}/{key}.png");
        let path = self.folder.join(&relative);
        let failed = |e: io::Error| Problem::io("A picture could not be saved", &path, &e);
        let bytes = bytes.map_err(failed)?;
        atomic::write(&path, &bytes).map_err(failed)?;
        let sha256 = hex::encode(Sha256::digest(&bytes));
        Ok(WrittenPicture {
            path,
            relative,
            sha256,
        })
    }

    /// Appends the record of a finished picture and forces it to disk. After an error nothing of it is in
    /// the file, and it can be tried again.
    ///
    /// # Errors
    /// A problem when the run is open for reading only, the record is not valid or there already, or the
    /// file cannot be written.
    pub fn append(&mut self, record: Record, seconds: f32) -> Result<(), Problem> {
        if self.has(&record.key) {
            return Err(self.refused(format!("{} is recorded already", record.key)));
        }
        self.replace(record, seconds)
    }

    /// As [`Run::append`], but a record of the same picture is replaced: the later line counts.
    ///
    /// # Errors
    /// As [`Run::append`], except that the record may be there.
    pub fn replace(&mut self, record: Record, seconds: f32) -> Result<(), Problem> {
        let path = self.folder.join(RECORDS);
        let failed = |e: &io::Error| Problem::io("A record could not be saved", &path, e);
        let refused = |reason: String| self.refused(reason);
        if self.writer.is_none() {
            return Err(self.read_only());
        }
        record.validate().map_err(refused)?;
        let mut line = serde_json::to_vec(&record).map_err(|e| refused(e.to_string()))?;
        line.push(b'\n');
        if line.len() as u64 > record_lines::MAX_LINE {
            return Err(refused(format!(
                "the record of {} has {} bytes",
                record.key,
                line.len()
            )));
        }
        let Some(writer) = &mut self.writer else {
            return Err(self.read_only());
        };
        let at = self.length;
        let written = writer
            .records
            .seek(SeekFrom::Start(at))
            .and_then(|_| writer.records.write_all(&line))
            .and_then(|()| writer.records.sync_data());
        if let Err(e) = written {
            // Whatever part of the line reached the file must not stay before the next one.
            writer.records.set_len(at).ok();
            return Err(failed(&e));
        }
        self.length += line.len() as u64;
        self.lines += 1;
        writer.note_time(record.key, seconds);
        self.seconds.insert(record.key, seconds);
        self.insert(record);
        Ok(())
    }

    fn refused(&self, reason: String) -> Problem {
        Problem::new(
            "A record could not be saved",
            "This is a mistake of the program; please report it.",
        )
        .at(self.folder.join(RECORDS))
        .detail(reason)
    }

    fn read_only(&self) -> Problem {
        Problem::new("This run is open for reading only", "Resume it to add pictures.").at(&self.folder)
    }
}

impl Writer {
    /// Times are a convenience: they are not forced to disk, and failing to write them stops nothing.
    fn note_time(&mut self, key: GenerationKey, seconds: f32) {
        let Ok(mut line) = serde_json::to_vec(&Timing { key, seconds }) else {
            return;
        };
        line.push(b'\n');
        let written = self
            .timings
            .seek(SeekFrom::End(0))
            .and_then(|_| self.timings.write_all(&line));
        if let Err(e) = written {
            log::warn!("{TIMINGS}: {e}");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_loses_nothing() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut run = Run::create(folder.path(), &RunParameters::default()).unwrap();
        let record = |prompt| Record {
            key: GenerationKey { prompt, seed: 0 },
            prompt: "a".into(),
            image: "images/a.png".into(),
            sha256: "0".repeat(64),
            matte: None,
            confidence: None,
            matches: Vec::new(),
            noise_norm: Vec::new(),
            embedding: None,
        };
        run.append(record(0), 1.0).unwrap();
        // A device that is always full takes the place of the file.
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let good = std::mem::replace(&mut run.writer.as_mut().unwrap().records, full);
        let said = run.append(record(1), 1.0).unwrap_err().to_string();
        assert!(
            said.contains("the disk is full") && said.contains(RECORDS),
            "{said}"
        );
        assert_eq!(run.records().len(), 1);
        run.writer.as_mut().unwrap().records = good;
        run.append(record(1), 1.0).unwrap();
        assert_eq!(Run::open_read(folder.path()).unwrap().records(), run.records());
    }
}
