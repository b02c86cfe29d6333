//! Whether there is room for a gradient through the UNet, told before a search that needs one begins.

use super::{LocateJob, Method, ModelFacts, Room, session::Session};
use crate::{
    diffusion::{InitialNoise, MemoryEstimate},
    study::Problem,
};

impl LocateJob {
    /// How many pictures a gradient is taken over at once; `None` for methods without one.
    pub fn gradient_pictures(&self) -> Option<usize> {
        match &self.method {
            Method::Prompt { settings, .. } => Some(match &settings.noise {
                InitialNoise::Seeds(seeds) => seeds.len(),
                InitialNoise::Batch { count, .. } => *count,
                InitialNoise::Given(tensor) => tensor.dims().first().copied().unwrap_or(1),
            }),
            _ => None,
        }
    }
}

impl Session {
    /// Tells how much memory a search needs for gradients.
    ///
    /// # Errors
    /// More than the machine has: the search would be ended by the system, and take other programs with it.
    pub(super) fn room_for_gradients(&self, job: &LocateJob) -> Result<(), Problem> {
        let (Some(pictures), Some(facts)) = (job.gradient_pictures(), self.model_facts()) else {
            return Ok(());
        };
        let estimate = facts.needs.gradient(&job.sampling, pictures);
        match facts.room(&estimate) {
            Room::None => Err(no_room(&facts, &estimate, pictures)),
            Room::Tight => {
                let advice = "Expect swapping. Close other programs, or take fewer seeds.";
                let title = "Optimising an embedding needs more memory than is free";
                self.notice(details(Problem::new(title, advice), &facts, &estimate, pictures));
                Ok(())
            }
            Room::Enough => Ok(()),
        }
    }
}

fn no_room(facts: &ModelFacts, estimate: &MemoryEstimate, pictures: usize) -> Problem {
    let advice = if pictures > 1 && facts.room(&with_pictures(estimate, pictures, 1)) != Room::None {
        "Take fewer seeds (--seeds 0..1): every picture adds its share. Or choose a smaller --size."
    } else {
        "Not even one picture fits: choose a smaller --size, or --insert numbers:4, which needs no gradient."
    };
    let title = "Optimising an embedding needs more memory than the machine has";
    details(Problem::new(title, advice), facts, estimate, pictures)
}

/// The same for fewer pictures; what does not depend on them is little beside the weights.
fn with_pictures(estimate: &MemoryEstimate, from: usize, to: usize) -> MemoryEstimate {
    MemoryEstimate {
        denoising: estimate.denoising / from as u64 * to as u64,
        ..estimate.clone()
    }
}

fn details(problem: Problem, facts: &ModelFacts, estimate: &MemoryEstimate, pictures: usize) -> Problem {
    let machine = facts.machine.map_or_else(String::new, |m| {
        format!(
            "the machine has {}, of which {} are free",
            m.total_words(),
            m.free_words()
        )
    });
    problem
        .detail(format!(
            "needed for a gradient over {pictures} pictures at once: {}",
            estimate.peak_words()
        ))
        .detail(machine)
        .detail("every layer's results are kept for the gradient; none is computed twice to save memory")
}
