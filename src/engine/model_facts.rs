//! What can be told of the open checkpoint before its weights are read.

use super::MachineMemory;
use crate::{
    diffusion::{MemoryEstimate, MemoryNeeds},
    study::{Sampling, WeightStorage},
};

/// Facts about the open checkpoint, gathered from headers and configurations.
#[derive(Clone, Debug)]
pub struct ModelFacts {
    /// What its memory depends on.
    pub needs: MemoryNeeds,
    /// The machine's memory before the weights were read; `None` where it is not known.
    pub machine: Option<MachineMemory>,
    /// Whether it will compute on the CPU; on other devices all weights are held in the arithmetic's type.
    pub on_cpu: bool,
}

/// Whether there is room for a drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Enough, or not known.
    Enough,
    /// More than was free when the checkpoint was opened.
    Tight,
    /// More than the machine has.
    None,
}

impl ModelFacts {
    /// Memory for as many pictures at once as `sampling` says.
    pub fn estimate(&self, sampling: &Sampling) -> MemoryEstimate {
        let together = sampling.at_once.max(1) as usize;
        if self.on_cpu {
            return self.needs.estimate(sampling, together);
        }
        let widened = Sampling {
            weights: WeightStorage::Widened,
            ..sampling.clone()
        };
        self.needs.estimate(&widened, together)
    }

    /// How many of the pictures that `sampling` wants at once the machine has room for; at least 1.
    pub fn fitting(&self, sampling: &Sampling) -> u32 {
        let mut fewer = sampling.clone();
        while fewer.at_once > 1 && self.room(&self.estimate(&fewer)) == Room::None {
            fewer.at_once /= 2;
        }
        fewer.at_once.max(1)
    }

    /// Whether the machine has room for so much. Memory of graphics processors is not known.
    pub fn room(&self, estimate: &MemoryEstimate) -> Room {
        match self.machine.filter(|_| self.on_cpu) {
            Some(machine) if estimate.peak() > machine.total => Room::None,
            Some(machine) if estimate.peak() > machine.free => Room::Tight,
            _ => Room::Enough,
        }
    }
}
