//! The background worker: `Job` in, `Event` out. Owns the models and the caches; needs no window.
//!
//! `handle` is what callers hold, `message` what passes through it; `worker` runs the threads; `open`,
//! `prepare`, `generate` and `reporting` are the jobs, over the state in `session`; `views` answers looks, `watch` follows a run that another
//! process writes.

mod device;
mod eta;
mod generate;
mod handle;
mod message;
mod model_hash;
mod open;
mod picture;
mod places;
mod pool;
mod prepare;
mod reporting;
mod runs;
mod session;
mod shelf;
mod teller;
mod views;
mod watch;
mod worker;

pub use device::{DeviceChoice, device_words, vector_level};
pub use eta::Eta;
pub use handle::{EngineHandle, EngineSide, Ticket, ViewRequest};
pub use message::{
    CancelToken, Event, GenerateJob, Job, JobId, JobKind, PairRequest, PairView, Progress, ReportJob,
    StepPreview,
};
pub use model_hash::model_hash;
pub use picture::read_with_matte;
pub use places::{default_segmenter, demo_study, user_data};
pub use pool::compute_pool;
pub use session::made_for_another;
pub use teller::Wake;
pub use worker::{EngineOptions, start};
