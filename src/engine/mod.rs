//! The background worker: `Job` in, `Event` out. Owns the models and the caches; needs no window.

mod message;

pub use message::{
    CancelToken, Event, GenerateJob, Job, JobId, JobKind, PairRequest, PairView, Progress, StepPreview,
};
