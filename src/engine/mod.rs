//! The background worker: `Job` in, `Event` out. Owns the models and the caches; needs no window.
//!
//! `handle` is what callers hold, `message` what passes through it; `worker` runs the threads; `open`,
//! `mattes`, `prepare`, `generate`, `refine`, `locate` and `reporting` are the jobs, over the state in `session`;
//! `views` answers looks, `regions` compares edited regions, `watch` follows a run that another process writes.

mod approximate;
mod band_file;
mod calibrate;
mod comparing;
mod detecting;
mod device;
mod drawing;
mod embeddings;
mod eta;
mod generate;
mod generated_masks;
mod gradient_room;
mod handle;
mod import;
mod labels;
mod layouts;
mod likeness;
mod locate;
mod machine;
mod map;
mod mattes;
mod measuring;
mod message;
mod model_facts;
mod model_hash;
mod open;
mod partners;
mod picture;
mod places;
mod pool;
mod prepare;
mod refine;
mod regions;
mod repeats;
mod reporting;
mod runs;
mod session;
mod shelf;
mod small;
mod table;
mod take;
mod teller;
mod views;
mod watch;
mod worker;

pub use band_file::BandFile;
pub use comparing::{Compared, ComparisonRequest};
pub use detecting::{Detected, DetectionRequest};
pub use device::{DeviceChoice, device_words, vector_level};
pub use eta::Eta;
pub use handle::{EngineHandle, EngineSide, Ticket, ViewRequest};
pub use likeness::Likeness;
pub use locate::{
    Clustering, Findings, Grouped, Grouping, LocateJob, Method, NemoJob, StatisticsSource, group,
};
pub use machine::MachineMemory;
pub use message::{
    CancelToken, Event, GalleryMap, GenerateJob, ImportJob, ImportPrompts, Job, JobId, JobKind, PairPlace,
    PairRequest, PairView, Progress, RefineJob, Refined, ReportJob, StepPreview, Survey, TakeJob,
};
pub use model_facts::{ModelFacts, Room};
pub use model_hash::model_hash;
pub use partners::{Partner, PartnersRequest};
pub use picture::{matte_of, read_with_matte};
pub use places::{default_segmenter, demo_study, fetch_advice, user_data, weight_places};
pub use pool::compute_pool;
pub use regions::RegionRequest;
pub use repeats::{Repeating, Repeats, repeating};
pub use reporting::RevealRequest;
pub use session::made_for_another;
pub use small::{Small, THUMBNAIL_SIDE, glowing};
pub use teller::Wake;
pub use worker::{EngineOptions, start};
