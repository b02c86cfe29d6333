//! The background worker: `Job` in, `Event` out. Owns the models and the caches; needs no window.

mod handle;
mod message;

pub use handle::{EngineHandle, EngineSide, Ticket, ViewRequest};
pub use message::{
    CancelToken, Event, GenerateJob, Job, JobId, JobKind, PairRequest, PairView, Progress, StepPreview,
};
