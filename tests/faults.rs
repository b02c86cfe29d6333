//! A scan that is killed, or whose disk fails, and goes on: at most the picture in progress is made again, nothing
//! is lost, nothing doubled, and the result is byte for byte the uninterrupted run. See `tests/faults/README.md`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

#[path = "common/contents.rs"]
mod contents;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/kills.rs"]
mod kills;
#[path = "faults/offline.rs"]
mod offline;
#[path = "faults/scan.rs"]
mod scan;
