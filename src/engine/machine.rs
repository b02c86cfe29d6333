//! What the machine has.

use crate::diffusion::Bytes;

/// Main memory of this machine, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineMemory {
    /// All of it.
    pub total: u64,
    /// What programs could still take when this was asked.
    pub free: u64,
}

impl MachineMemory {
    /// Asks Linux's `/proc/meminfo`; other systems are not asked.
    pub fn now() -> Option<Self> {
        Self::of(&std::fs::read_to_string("/proc/meminfo").ok()?)
    }

    /// All of it, in words: `23.5 GiB`.
    pub fn total_words(&self) -> String {
        Bytes(self.total).to_string()
    }

    /// What was free, in words.
    pub fn free_words(&self) -> String {
        Bytes(self.free).to_string()
    }

    fn of(table: &str) -> Option<Self> {
        let bytes = |key: &str| {
            let line = table.lines().find(|l| l.starts_with(key))?;
            line.split_whitespace()
                .nth(1)?
                .parse::<u64>()
                .ok()?
                .checked_mul(1024)
        };
        Some(Self {
            total: bytes("MemTotal:")?,
            free: bytes("MemAvailable:")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "MemTotal:       24609796 kB\nMemFree:          541664 kB\nMemAvailable:   18211904 kB\n";
        let memory = MachineMemory::of(table);
        assert_eq!(
            memory,
            Some(MachineMemory {
                total: 24_609_796 << 10,
                free: 18_211_904 << 10
            })
        );
        assert_eq!(MachineMemory::of("MemTotal: 1 kB"), None);
    }
}
