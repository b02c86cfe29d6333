//! Writing into a run: pictures and mattes first, then the record that makes them count.

use super::{
    atomic, picture,
    record::Record,
    record_lines::{self, Timing},
    run::{IMAGES, MATTES, RECORDS, Run, SIGNALS, TIMINGS},
    run_lock::not_a_device,
    signal_maps::signal_maps_bytes,
};
use crate::study::{GenerationKey, Problem, SignalMaps};
use image::{GrayImage, RgbImage};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::PathBuf,
};

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

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) records: File,
    pub(super) timings: File,
    /// The lock lives as long as this handle, and ends with the process however it ends.
    pub(super) _lock: File,
}

impl Run {
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
        let relative = if is_plain(name) {
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

    /// Saves the maps that were seen while a picture formed. The path relative to the run's folder, for
    /// [`RecordSignals::maps`](super::RecordSignals::maps), and the file.
    ///
    /// # Errors
    /// As [`Run::write_image`].
    pub fn write_signal_maps(
        &self,
        key: &GenerationKey,
        maps: &SignalMaps,
    ) -> Result<(String, PathBuf), Problem> {
        self.writer.as_ref().ok_or_else(|| self.read_only())?;
        let relative = signals_place(key);
        let path = self.folder.join(&relative);
        let failed = |e: io::Error| Problem::io("The maps of a picture could not be saved", &path, &e);
        let bytes = signal_maps_bytes(maps).map_err(|e| failed(io::Error::other(e)))?;
        atomic::write(&path, &bytes).map_err(failed)?;
        Ok((relative, path))
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

    /// Takes a finished picture over from another run with the same parameters: checks its file against the record's
    /// hash, copies it and its matte, and appends the record.
    ///
    /// # Errors
    /// As [`Run::append`]; a problem that names a file which cannot be read or is not the recorded one.
    pub fn adopt(&mut self, from: &Run, record: &Record) -> Result<(), Problem> {
        self.writer.as_ref().ok_or_else(|| self.read_only())?;
        let read = |relative: &str| {
            let path = from.folder.join(relative);
            not_a_device(&path)?;
            fs::read(&path).map_err(|e| Problem::io("A picture cannot be taken over", &path, &e))
        };
        let image = read(&record.image)?;
        if hex::encode(Sha256::digest(&image)) != record.sha256.to_ascii_lowercase() {
            return Err(Problem::new(
                "A picture is not the one that was recorded",
                "Resume the run it comes from after removing the file; it is then drawn again.",
            )
            .at(from.folder.join(&record.image)));
        }
        let mut record = record.clone();
        // Imported pictures keep their names, which score tables tell.
        let own = record
            .image
            .strip_prefix(IMAGES)
            .and_then(|n| n.strip_prefix('/'));
        let taken = |image: &str| self.records.iter().any(|r| r.image == image);
        let usual = format!("{IMAGES}/{}.png", record.key);
        let place = if record.image != usual && own.is_some_and(is_plain) && !taken(&record.image) {
            record.image.clone()
        } else {
            usual
        };
        let put = |relative: String, bytes: &[u8]| {
            let path = self.folder.join(&relative);
            atomic::write(&path, bytes)
                .map_err(|e| Problem::io("A picture could not be saved", &path, &e))?;
            Ok(relative)
        };
        let placed = put(place, &image)?;
        let matte = record.matte.as_deref().map(read).transpose()?;
        let matte = matte
            .map(|bytes| put(format!("{MATTES}/{}.png", record.key), &bytes))
            .transpose()?;
        (record.image, record.matte) = (placed, matte);
        if let Some(signals) = &mut record.signals {
            // A picture counts without its maps.
            let maps = signals.maps.take().and_then(|relative| read(&relative).ok());
            let maps = maps.map(|bytes| put(signals_place(&record.key), &bytes));
            signals.maps = maps.transpose()?;
        }
        let (key, seconds) = (record.key, from.seconds(&record.key).unwrap_or(0.0));
        self.append(record, seconds)?;
        self.adopt_edit(from, &key)
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

fn signals_place(key: &GenerationKey) -> String {
    format!("{SIGNALS}/{key}.safetensors")
}

/// Whether a file name has only letters that every system has in a name.
fn is_plain(name: &str) -> bool {
    name.len() <= 200
        && !name.starts_with('.')
        && !name.contains(|c: char| c.is_control() || "/\\:*?\"<>|\u{FFFD}".contains(c))
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
    use crate::store::RunParameters;
    use std::fs::OpenOptions;

    #[test]
    fn a_full_disk_loses_nothing() {
        let folder = tempfile::TempDir::new().unwrap();
        let mut run = Run::create(folder.path(), &RunParameters::default()).unwrap();
        let record = |prompt| Record {
            cluster: None,
            key: GenerationKey { prompt, seed: 0 },
            prompt: "a".into(),
            image: "images/a.png".into(),
            sha256: "0".repeat(64),
            matte: None,
            confidence: None,
            matches: Vec::new(),
            noise_norm: Vec::new(),
            embedding: None,
            measures: None,
            signals: None,
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
