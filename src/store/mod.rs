//! Studies and runs on disk: `study.toml`, prompt lists, run folders that survive a crash at any moment,
//! and the tables of the reference code. Knows no window and no model.

mod atomic;
mod image_names;
mod import_names;
mod import_pattern;
mod labels;
mod merge;
mod merge_tables;
mod picture;
mod prompt_clusters;
mod prompts;
mod recognise;
mod record;
mod record_lines;
mod region_edits;
mod run;
mod run_lock;
mod run_parameters;
mod run_reading;
mod run_writing;
mod scores_csv;
mod signal_maps;
mod skipped_csv;
mod study_file;
mod toml_keys;
mod variant_file;
mod variant_sidecar;
mod variant_text;

pub use atomic::write_whole;
pub use image_names::{PictureName, parse_picture_name};
pub use import_names::{ImportNames, ImportPlan, NameReader, PlannedPicture, fb_mem_names};
pub use import_pattern::{NameParts, NamePattern};
pub use labels::{LabelRow, read_labels};
pub use merge::{Merged, find_runs, merge};
pub use picture::{picture_text, write_picture};
pub use prompt_clusters::read_clusters;
pub use prompts::{MAX_PROMPT_CHARS, MAX_PROMPTS, read_prompts};
pub use recognise::{Recognised, recognise};
pub use record::{GalleryNames, Record, RecordMatch, RecordSignals};
pub use region_edits::{EditRecord, save_region_edit};
pub use run::Run;
pub use run_parameters::{Places, RUN_FORMAT, RunParameters};
pub use run_writing::WrittenPicture;
pub use scores_csv::{
    ScoreColumn, ScoreRow, best_rows, read_scores, write_scores, write_scores_with, write_scores_with_null,
};
pub use signal_maps::{read_signal_maps, signal_maps_bytes};
pub use skipped_csv::{SKIPPED_FILE, write_skipped};
pub use study_file::{STUDY_FILE, STUDY_FORMAT, StudyFile};
pub use variant_file::{VARIANT_FORMAT, read_variant, write_variant};
