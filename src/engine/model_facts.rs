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
    /// Memory for one picture at a time.
    pub fn estimate(&self, sampling: &Sampling) -> MemoryEstimate {
        if self.on_cpu {
            return self.needs.estimate(sampling, 1);
        }
        let widened = Sampling {
            weights: WeightStorage::Widened,
            ..sampling.clone()
        };
        self.needs.estimate(&widened, 1)
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
