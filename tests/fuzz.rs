//! Every reader of outside data, fed with damaged files: no panic, no hang, no more than 512 MiB.
//!
//! `PENTIMENTO_FUZZ=1000000` asks for that many inputs for each reader, `PENTIMENTO_FUZZ_SEED` for other ones,
//! `PENTIMENTO_FUZZ_ONLY=pth` for one reader. Without them a short run with a fixed seed is made, bounded in time.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "fuzz/check.rs"]
mod check;
#[path = "fuzz/foreign.rs"]
mod foreign;
#[path = "fuzz/memory.rs"]
mod memory;
#[path = "fuzz/mutate.rs"]
mod mutate;
#[path = "fuzz/readers.rs"]
mod readers;
#[path = "fuzz/work.rs"]
mod work;
