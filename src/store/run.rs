//! A run's folder: pictures, mattes and records that survive a crash at any moment.
//!
//! ```text
//! run.toml            every parameter, written once
//! generations.jsonl   one record per finished picture, appended and forced to disk line by line
//! timings.jsonl       how long each picture took: the one thing that differs between equal runs
//! images/             img_0003_01.png …, lossless, with prompt and parameters as text chunks
//! mattes/             the same names, 8-bit grey
//! signals/            the same names, .safetensors: maps that were seen while drawing
//! edits.jsonl         regions that a person edited; the last line of a picture counts
//! edited/             their mattes
//! run.lock            locked while a process writes
//! ```
//! A picture's files are complete before its record is written, and a record counts only with its line end:
//! what a crash leaves behind is either finished or made again. A resumed run is byte for byte the
//! uninterrupted one.

use super::{
    atomic,
    record::Record,
    region_edits::EditRecord,
    run_lock::{LOCK, lock, not_a_device},
    run_parameters::{RUN_FILE, RunParameters},
    run_writing::Writer,
};
use crate::study::{GenerationKey, Problem};
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

pub(super) const RECORDS: &str = "generations.jsonl";
pub(super) const TIMINGS: &str = "timings.jsonl";
pub(super) const IMAGES: &str = "images";
pub(super) const MATTES: &str = "mattes";
pub(super) const SIGNALS: &str = "signals";
const NOT_OPENED: &str = "The run cannot be opened";

/// An open run.
#[derive(Debug)]
pub struct Run {
    pub(super) folder: PathBuf,
    pub(super) parameters: RunParameters,
    pub(super) records: Vec<Record>,
    pub(super) places: HashMap<GenerationKey, usize>,
    pub(super) seconds: HashMap<GenerationKey, f32>,
    pub(super) notices: Vec<Problem>,
    /// Bytes and lines of `generations.jsonl` that were read.
    pub(super) length: u64,
    pub(super) lines: u64,
    /// Regions edited by hand, and how long their file was when it was read.
    pub(super) edits: HashMap<GenerationKey, EditRecord>,
    pub(super) edits_length: u64,
    pub(super) writer: Option<Writer>,
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
            if ![LOCK, IMAGES, MATTES, SIGNALS, RECORDS, TIMINGS].contains(&&*name) && !name.starts_with('.')
            {
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
            edits: HashMap::new(),
            edits_length: 0,
            writer: None,
        })
    }

    fn open_locked(folder: &Path, (lock, notice): (File, Option<Problem>)) -> Result<Self, Problem> {
        let failed = |path: &Path, e: &io::Error| Problem::io(NOT_OPENED, path, e);
        let mut run = Self::load(folder)?;
        run.notices.extend(notice);
        for part in [IMAGES, MATTES, SIGNALS] {
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
}
