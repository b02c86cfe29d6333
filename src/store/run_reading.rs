//! Reading a run's records, also while another process appends to them.

use super::{
    record::{GalleryNames, Record},
    record_lines,
    run::{RECORDS, Run, TIMINGS},
    run_lock::not_a_device,
};
use crate::study::{GalleryImage, Generation, Problem};
use image::RgbImage;
use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    path::Path,
    sync::Arc,
};

impl Run {
    /// Reads what was appended since the last look. Returns whether the file ends in an unfinished line,
    /// which is not counted (another process may be writing it).
    ///
    /// # Errors
    /// A problem when the records cannot be read.
    pub fn refresh(&mut self) -> Result<bool, Problem> {
        self.refresh_edits()?;
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
        if read.count > 0
            && let Ok(file) = File::open(self.folder.join(TIMINGS))
        {
            self.seconds = record_lines::read_timings(file);
        }
        Ok(read.torn)
    }

    /// A later record of the same picture replaces the earlier one.
    pub(super) fn insert(&mut self, record: Record) {
        match self.places.get(&record.key) {
            Some(&at) => self.records[at] = record,
            None => {
                self.places.insert(record.key, self.records.len());
                self.records.push(record);
            }
        }
    }

    /// The records as the rest of the program knows them. Matches are found again in `gallery` by file name.
    /// `thumbnail` makes the small copy of a picture; where it cannot, a grey pixel stands in.
    pub fn generations(
        &self,
        gallery: &[GalleryImage],
        thumbnail: impl FnMut(&Path) -> Option<RgbImage>,
    ) -> Vec<Generation> {
        self.generations_of(&self.records, &mut GalleryNames::new(gallery), thumbnail)
    }

    /// As [`Run::generations`], of some records of this run.
    pub fn generations_of(
        &self,
        records: &[Record],
        names: &mut GalleryNames,
        mut thumbnail: impl FnMut(&Path) -> Option<RgbImage>,
    ) -> Vec<Generation> {
        let variant: Option<Arc<str>> = self.parameters.variant.as_ref().map(|v| v.name.as_str().into());
        records
            .iter()
            .map(|record| {
                let small = thumbnail(&self.folder.join(&record.image))
                    .unwrap_or_else(|| RgbImage::from_pixel(1, 1, image::Rgb([128; 3])));
                let seconds = self.seconds(&record.key).unwrap_or(0.0);
                let mut generation = record.generation(&self.folder, names, seconds, small, variant.clone());
                if let Some(edit) = self.edit(&record.key) {
                    edit.put_over(&mut generation, &self.folder, names);
                }
                generation
            })
            .collect()
    }
}
