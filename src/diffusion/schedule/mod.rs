//! Denoising schedules, step by step as diffusers' schedulers, a file for each family.
//!
//! [`betas`] and [`spacing`] are what all of them share: how much noise training added, and where sampling stops on
//! the way back. [`sigmas`] serves those that step in σ = √((1−ᾱ)/ᾱ). A [`Scheduler`] is made by [`scheduler`] for one
//! drawing: it remembers what its multistep formula needs. Scalars are computed in f32 in diffusers' order.

mod betas;
mod ddim;
mod dpm;
mod euler;
mod pndm;
mod prediction;
mod scheduler;
mod sigmas;
mod spacing;

pub use betas::BetaSchedule;
pub use ddim::Ddim;
pub use dpm::{DpmSolver, SolverKind};
pub use euler::Euler;
pub use pndm::Pndm;
pub use prediction::Prediction;
pub use scheduler::{Scheduler, Stepped, scheduler};
pub use sigmas::FinalSigma;
pub use spacing::Spacing;
