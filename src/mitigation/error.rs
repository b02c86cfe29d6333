//! What can go wrong while a method works.

use crate::diffusion::DiffusionError;
use thiserror::Error;

/// Why a method gave no result.
#[derive(Debug, Error)]
pub enum MitigationError {
    /// The watcher asked to stop. No fault.
    #[error("stopped")]
    Stopped,
    /// Settings out of range, or inputs that do not fit the checkpoint or each other.
    #[error("{0}")]
    Request(String),
    /// The model could not compute.
    #[error(transparent)]
    Diffusion(DiffusionError),
}

impl From<DiffusionError> for MitigationError {
    fn from(error: DiffusionError) -> Self {
        match error {
            DiffusionError::Stopped => Self::Stopped,
            other => Self::Diffusion(other),
        }
    }
}

impl From<candle_core::Error> for MitigationError {
    fn from(error: candle_core::Error) -> Self {
        Self::Diffusion(error.into())
    }
}
