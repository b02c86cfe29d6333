//! The loop: damage, read, watch time and memory.

use super::{
    memory::peak_of,
    mutate::{Dice, mutate},
    readers::{Reader, all},
};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Inputs for each reader in the short run, and the time it may take for each.
const SHORT: usize = 1500;
const SHORT_TIME: Duration = Duration::from_millis(400);
/// Most memory that reading one input may take.
const MOST_MEMORY: usize = 512 << 20;
/// An input that takes longer hangs.
const HANG: Duration = Duration::from_secs(20);

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// A folder in memory where there is one: inputs are written by the million.
fn scratch() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() {
        tempfile::tempdir_in(shared)
            .or_else(|_| tempfile::tempdir())
            .unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// Most memory the process has held, in bytes, as the system counts it: what C libraries take does not pass our
/// allocator. 0 where that is not told.
fn most_resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<usize>().ok());
    kilobytes.unwrap_or(0) << 10
}

/// Keeps an input that went wrong and says where.
fn keep(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!(
        "{name}-{:08x}",
        bytes
            .iter()
            .fold(0_u32, |h, &b| h.wrapping_mul(31) + u32::from(b))
    ));
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn no_reader_panics_hangs_or_takes_too_much_memory() {
    let long = number("PENTIMENTO_FUZZ");
    let seed = number("PENTIMENTO_FUZZ_SEED").unwrap_or(1) as u64;
    let only = std::env::var("PENTIMENTO_FUZZ_ONLY").ok();
    // Readers of foreign formats catch panics of their libraries; their messages would flood the output.
    std::panic::set_hook(Box::new(|_| {}));
    let hang = number("PENTIMENTO_FUZZ_HANG").map_or(HANG, |s| Duration::from_secs(s as u64));
    let current = Arc::new((AtomicU64::new(0), Mutex::new((String::new(), Vec::new()))));
    watch(current.clone(), hang);
    let mut failures = Vec::new();
    for reader in super::check::stand_in().map_or_else(all, |r| vec![r]) {
        if only.as_deref().is_some_and(|only| only != reader.name) {
            continue;
        }
        let count = long.unwrap_or(SHORT / reader.slow);
        let time = if long.is_some() { Duration::MAX } else { SHORT_TIME };
        failures.extend(fuzz(&reader, count, time, seed, &current));
    }
    drop(std::panic::take_hook());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

type Current = Arc<(AtomicU64, Mutex<(String, Vec<u8>)>)>;

/// Ends the process when one input takes for ever: a thread that hangs cannot be stopped.
fn watch(current: Current, hang: Duration) {
    thread::spawn(move || {
        let mut seen = (0, Instant::now());
        loop {
            thread::sleep(Duration::from_secs(1));
            let now = current.0.load(Relaxed);
            if now != seen.0 {
                seen = (now, Instant::now());
            } else if now > 0 && seen.1.elapsed() > hang {
                let (name, bytes) = &*current.1.lock().unwrap();
                if !bytes.is_empty() {
                    eprintln!("{name} hangs: {}", keep(name, bytes).display());
                    std::process::abort();
                }
            }
        }
    });
}

fn fuzz(reader: &Reader, count: usize, time: Duration, seed: u64, current: &Current) -> Vec<String> {
    let folder = scratch();
    let mut dice = Dice(
        seed ^ reader
            .name
            .bytes()
            .fold(0, |h: u64, b| h.wrapping_mul(131) + u64::from(b)),
    );
    let start = Instant::now();
    let (mut most, mut slowest, mut done) = (0, Duration::ZERO, 0);
    let mut failures = Vec::new();
    // What whole files leave behind once (tables of a library, thread pools) is no input's doing.
    for bytes in &reader.seeds {
        reader.read(folder.path(), bytes);
    }
    let resident = most_resident();
    while done < count && start.elapsed() < time && failures.len() < 3 {
        let one = &reader.seeds[dice.below(reader.seeds.len())];
        let other = &reader.seeds[dice.below(reader.seeds.len())];
        let bytes = mutate(&mut dice, one, other);
        *current.1.lock().unwrap() = (reader.name.to_owned(), bytes.clone());
        current.0.fetch_add(1, Relaxed);
        let begun = Instant::now();
        let read = || catch_unwind(AssertUnwindSafe(|| reader.read(folder.path(), &bytes)));
        let (result, peak) = peak_of(read);
        done += 1;
        slowest = slowest.max(begun.elapsed());
        most = most.max(peak);
        if let Err(panic) = result {
            let words = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
                .unwrap_or_default();
            failures.push(format!(
                "{}: panic “{words}”: {}",
                reader.name,
                keep(reader.name, &bytes).display()
            ));
        } else if peak > MOST_MEMORY {
            let path = keep(reader.name, &bytes);
            failures.push(format!("{}: {} MiB: {}", reader.name, peak >> 20, path.display()));
        }
    }
    current.1.lock().unwrap().1.clear();
    let grown = most_resident().saturating_sub(resident);
    if grown > MOST_MEMORY && failures.is_empty() {
        failures.push(format!(
            "{}: the process grew by {} MiB",
            reader.name,
            grown >> 20
        ));
    }
    println!(
        "{:<18} {done:>9} inputs, {:>7.0}/s, slowest {slowest:.1?}, at most {:.1} MiB",
        reader.name,
        done as f64 / start.elapsed().as_secs_f64(),
        most as f64 / f64::from(1 << 20)
    );
    failures
}
